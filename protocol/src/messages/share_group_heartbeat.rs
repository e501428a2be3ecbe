//! ShareGroupHeartbeat: joins a share group, stays in it, leaves it, and learns which partitions to fetch from.
//!
//! Members of a share group share partitions, so an assignment takes nothing away from others and needs no answer. The
//! member makes up its own id. It sends what changed only, and everything anew when it joins.
//!
//! Versions: 0 was an early access in Kafka 3.9 and 4.0, and no other broker takes it, so it is never negotiated; 1 is
//! the first lasting one.
//!
//! Sources: KIP-932.

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(
    SHARE_GROUP_HEARTBEAT: ShareGroupHeartbeatRequest => ShareGroupHeartbeatResponse,
    versions 0..=1, flexible 0.., negotiable 1..=1
);

wire! {
    /// A sign of life.
    pub struct ShareGroupHeartbeatRequest {
        /// The group; empty is `INVALID_REQUEST`, and at another broker than its coordinator `NOT_COORDINATOR`.
        group_id: String,
        /// The id that the member gave itself, a UUID in text, for as long as it lives; `UNKNOWN_MEMBER_ID` if the
        /// coordinator has removed it.
        member_id: String,
        /// 0 to join, -1 to leave, else the epoch from the last answer; one that isn't the member's is answered with
        /// `FENCED_MEMBER_EPOCH`, and the member joins anew.
        member_epoch: i32,
        /// `client.rack`; null if there is none or it hasn't changed.
        rack_id: Option<String>,
        /// The topics wanted; null if they haven't changed. A member that joins has to name them.
        subscribed_topic_names: Option<Vec<String>>,
    }

    /// What the coordinator wants of the member.
    pub struct ShareGroupHeartbeatResponse {
        /// How long a quota delays the client, in milliseconds.
        throttle_time_ms: i32,
        /// `COORDINATOR_LOAD_IN_PROGRESS` and `COORDINATOR_NOT_AVAILABLE` pass; `GROUP_MAX_SIZE_REACHED`,
        /// `GROUP_AUTHORIZATION_FAILED` and `TOPIC_AUTHORIZATION_FAILED` don't; and those that the request's fields
        /// name.
        error_code: ErrorCode,
        /// The same in words.
        error_message: Option<String>,
        /// The member's id.
        member_id: Option<String>,
        /// The epoch for the next heartbeat.
        member_epoch: i32,
        /// Milliseconds until the next heartbeat.
        heartbeat_interval_ms: i32,
        /// All partitions to fetch from; null if they haven't changed.
        assignment: Option<Assignment>,
    }

    /// What a member shall fetch from.
    pub struct Assignment {
        /// The partitions, by topic.
        topic_partitions: Vec<TopicPartitions>,
    }

    /// Partitions of a topic.
    pub struct TopicPartitions {
        /// The topic's id.
        topic_id: Uuid,
        /// The partitions' indexes.
        partitions: Vec<i32>,
    }
}
