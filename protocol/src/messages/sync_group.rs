//! SyncGroup: hands in the leader's assignment and gives every member its share. Goes to the group's
//! coordinator. Needs Read on the group.
//!
//! Every member sends it after each JoinGroup; the coordinator answers all of them once the leader's has
//! come. Who doesn't send it within its rebalance timeout is removed.
//!
//! Versions: 1 brings the throttle time, 3 static members, 4 is flexible, 5 brings the protocol type and
//! name, which both sides check.
//!
//! Sources: KIP-345 (static members), KIP-559 (protocol type and name).

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(SYNC_GROUP: SyncGroupRequest => SyncGroupResponse, versions 0..=5, flexible 4..);

wire! {
    /// Asks for the member's share of the assignment.
    pub struct SyncGroupRequest {
        /// The group; `INVALID_GROUP_ID` if empty.
        group_id: String,
        /// The generation that was joined; `ILLEGAL_GENERATION` if it is over.
        generation_id: i32,
        /// The id from the join; `UNKNOWN_MEMBER_ID` if the coordinator has removed the member.
        member_id: String,
        /// The `group.instance.id` of a static member; `FENCED_INSTANCE_ID` if another member has taken it
        /// over.
        [3..] group_instance_id: Option<String>,
        /// The group's protocol type; `INCONSISTENT_GROUP_PROTOCOL` if the coordinator has another, or if it
        /// is null in version 5.
        [5.., ignorable] protocol_type: Option<String>,
        /// The assignor of this generation, checked in the same way.
        [5.., ignorable] protocol_name: Option<String>,
        /// Everybody's share, from the leader; all others leave it empty.
        assignments: Vec<SyncGroupRequestAssignment>,
    }

    /// One member's share.
    pub struct SyncGroupRequestAssignment {
        /// The member that gets it.
        member_id: String,
        /// What it gets: for consumers, an assignment blob.
        assignment: Bytes,
    }

    /// The member's share.
    pub struct SyncGroupResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        [1.., ignorable] throttle_time_ms: i32,
        /// `REBALANCE_IN_PROGRESS` if the next rebalance has begun already: join again. So after
        /// `ILLEGAL_GENERATION` and `UNKNOWN_MEMBER_ID`, with an empty id. Final: `FENCED_INSTANCE_ID`,
        /// `INCONSISTENT_GROUP_PROTOCOL`, `GROUP_AUTHORIZATION_FAILED`.
        error_code: ErrorCode,
        /// The group's protocol type, for the client to check.
        [5.., ignorable] protocol_type: Option<String>,
        /// The assignor of this generation, for the client to check.
        [5.., ignorable] protocol_name: Option<String>,
        /// What the leader gave this member; no bytes at all in an error or if the leader left the member
        /// out.
        assignment: Bytes,
    }
}
