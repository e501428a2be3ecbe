//! ShareGroupHeartbeat: joins a share group, stays in it, leaves it, and learns which partitions to fetch
//! from. Goes to the group's coordinator. Needs Read on the group and Describe on the topics that are named.
//!
//! Members of a share group share partitions, so an assignment takes nothing away from others and needs no
//! answer. The member makes up its own id. It sends what changed only, and everything anew when it joins.
//! `UNSUPPORTED_VERSION` where the cluster has share groups switched off.
//!
//! Versions: 0 was the early access of Kafka 4.0, and no other broker takes it, so it is never negotiated; 1
//! is the first lasting one.
//!
//! Sources: KIP-932.

use alloc::string::String;
use alloc::vec::Vec;

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
        /// The group, created by the first that joins; `INVALID_REQUEST` if empty, `GROUP_ID_NOT_FOUND` if it
        /// is of another type.
        group_id: String,
        /// The id that the member gave itself, a UUID in text, for as long as it lives; `INVALID_REQUEST` if
        /// empty or longer than 36 characters, `UNKNOWN_MEMBER_ID` if the coordinator has removed it, and it
        /// joins anew.
        member_id: String,
        /// 0 to join, -1 to leave, else the epoch from the last answer; one that is neither the member's nor
        /// the one before is answered with `FENCED_MEMBER_EPOCH`, and the member joins anew.
        member_epoch: i32,
        /// `client.rack`; null if there is none or it hasn't changed.
        rack_id: Option<String>,
        /// The topics wanted; null if they haven't changed. `INVALID_REQUEST` for a member that joins without
        /// any, `TOPIC_AUTHORIZATION_FAILED` if one of them may not be described.
        subscribed_topic_names: Option<Vec<String>>,
    }

    /// What the coordinator wants of the member.
    pub struct ShareGroupHeartbeatResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// `NOT_COORDINATOR` and its like pass; `GROUP_MAX_SIZE_REACHED` (`group.share.max.size`) and
        /// `GROUP_AUTHORIZATION_FAILED` don't; and those that the request's fields name.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String>,
        /// The member's id.
        member_id: Option<String>,
        /// The epoch for the next heartbeat; -1 after leaving.
        member_epoch: i32,
        /// After how many milliseconds the next heartbeat is due; without any for
        /// `group.share.session.timeout.ms` the member is removed.
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
