//! ListGroups: the groups that a broker coordinates. Whoever wants all groups of a cluster asks every broker.
//! Needs Describe on the cluster, or on each group that is to be seen.
//!
//! Versions: 1 brings the throttle time; 3 is flexible; 4 filters by state and answers it; 5 does likewise
//! with the type.
//!
//! Sources: KIP-40 (the API), KIP-518 (states), KIP-848 (types).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(LIST_GROUPS: ListGroupsRequest => ListGroupsResponse, versions 0..=5, flexible 3..);

wire! {
    /// Asks for the groups of a broker.
    pub struct ListGroupsRequest {
        /// The states of interest, such as `Stable`, in any case; empty for all. One that the broker doesn't
        /// know matches nothing.
        [4..] states_filter: Vec<String>,
        /// The types of interest, such as `classic`, `consumer`, `share` or `streams`, in any case; empty for
        /// all.
        [5..] types_filter: Vec<String>,
    }

    /// The groups of a broker.
    pub struct ListGroupsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        [1.., ignorable] throttle_time_ms: i32,
        /// `COORDINATOR_LOAD_IN_PROGRESS` while the broker may not know all of its groups yet (ask again), or
        /// `COORDINATOR_NOT_AVAILABLE`.
        error_code: ErrorCode,
        /// The groups that the client may describe; the others are left out silently.
        groups: Vec<ListedGroup>,
    }

    /// A group.
    pub struct ListedGroup {
        /// The group's name.
        group_id: String,
        /// The protocol type of its members, such as `consumer`; empty for a group that only commits offsets.
        protocol_type: String,
        /// Its state, in the words of its type.
        [4.., ignorable] group_state: String,
        /// Its type: `classic`, `consumer`, `share` or `streams`.
        [5.., ignorable] group_type: String,
    }
}
