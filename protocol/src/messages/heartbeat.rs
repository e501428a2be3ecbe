//! Heartbeat: keeps a member in its classic group, and tells it of a rebalance.
//!
//! By version: 1 brings the throttle time, 3 static members.
//!
//! Sources: KIP-62 (heartbeats beside the poll), KIP-345 (static members).

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(HEARTBEAT: HeartbeatRequest => HeartbeatResponse, versions 0..=4, flexible 4..);

wire! {
    /// Says that the member is alive; each one starts its session timeout anew.
    pub struct HeartbeatRequest {
        /// The group; `NOT_COORDINATOR` if another broker takes care of it by now.
        group_id: String,
        /// The generation the member is in; `ILLEGAL_GENERATION` if the group has moved on without it.
        generation_id: i32,
        /// The id from the join; `UNKNOWN_MEMBER_ID` once the coordinator has removed the member.
        member_id: String,
        /// The `group.instance.id` of a static member; `FENCED_INSTANCE_ID` if another member has taken it over.
        [3..] group_instance_id: Option<String>,
    }

    /// Whether the member is still in good standing.
    pub struct HeartbeatResponse {
        /// How long the quota holds the client back, in milliseconds.
        [1.., ignorable] throttle_time_ms: i32,
        /// `REBALANCE_IN_PROGRESS` asks the member to join again; it stays a member meanwhile.
        error_code: ErrorCode,
    }
}
