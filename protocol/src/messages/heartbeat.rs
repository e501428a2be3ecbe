//! Heartbeat: keeps a member in its classic group, and tells it of a rebalance. Goes to the group's
//! coordinator. Needs Read on the group.
//!
//! Versions: 1 brings the throttle time, 3 static members, 4 is flexible.
//!
//! Sources: KIP-62 (heartbeats beside the poll), KIP-345 (static members).

use alloc::string::String;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(HEARTBEAT: HeartbeatRequest => HeartbeatResponse, versions 0..=4, flexible 4..);

wire! {
    /// Says that the member is alive; each one starts its session timeout anew.
    pub struct HeartbeatRequest {
        /// The group; `INVALID_GROUP_ID` if empty, and `UNKNOWN_MEMBER_ID` if there is none of this name.
        group_id: String,
        /// The generation the member is in; `ILLEGAL_GENERATION` if the group has moved on without it.
        generation_id: i32,
        /// The id from the join; `UNKNOWN_MEMBER_ID` once the coordinator has removed the member.
        member_id: String,
        /// The `group.instance.id` of a static member; `FENCED_INSTANCE_ID` if another member has taken it
        /// over.
        [3..] group_instance_id: Option<String>,
    }

    /// Whether the member is still in good standing.
    pub struct HeartbeatResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        [1.., ignorable] throttle_time_ms: i32,
        /// `REBALANCE_IN_PROGRESS` asks the member to join again; it stays a member meanwhile, and sends
        /// heartbeats until it has given up its partitions. After `ILLEGAL_GENERATION` and
        /// `UNKNOWN_MEMBER_ID` its partitions are lost: join again with an empty id. `FENCED_INSTANCE_ID` and
        /// `GROUP_AUTHORIZATION_FAILED` are final. A coordinator that is still loading answers as if all were
        /// well.
        error_code: ErrorCode,
    }
}
