//! DeleteGroups: deletes groups without members, with all that they have committed. Each group is asked for
//! at its coordinator. Needs Delete on the groups. Groups of all types can be deleted.
//!
//! Versions: 2 is flexible; apart from that all are the same.
//!
//! Sources: KIP-229.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(DELETE_GROUPS: DeleteGroupsRequest => DeleteGroupsResponse, versions 0..=2, flexible 2..);

wire! {
    /// Names the groups to delete.
    pub struct DeleteGroupsRequest {
        /// The groups; each succeeds or fails by itself.
        groups_names: Vec<String>,
    }

    /// Which groups are gone.
    pub struct DeleteGroupsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// The groups.
        results: Vec<DeletableGroupResult>,
    }

    /// A group's result.
    pub struct DeletableGroupResult {
        /// The group's name.
        group_id: String,
        /// `NON_EMPTY_GROUP` while it has members, `GROUP_ID_NOT_FOUND`, `GROUP_AUTHORIZATION_FAILED`,
        /// `NOT_COORDINATOR` and its like.
        error_code: ErrorCode,
    }
}
