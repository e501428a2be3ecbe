//! ConsumerGroupHeartbeat: all that a member of the consumer protocol does with its group: join, stay, give
//! partitions up, get new ones, leave. Goes to the group's coordinator, which also assigns. Needs Read on the
//! group and Describe on the topics that are named.
//!
//! A heartbeat says only what has changed since the last one; null, and -1 for the timeout, mean "as before".
//! After an error or a lost answer the member says everything again. A member that sends none for
//! `group.consumer.session.timeout.ms` is removed. `UNSUPPORTED_VERSION` where `group.version` or
//! `group.coordinator.rebalance.protocols` leave the protocol out.
//!
//! Versions: 1 subscribes by a regular expression that the broker evaluates, and wants the member to make its
//! own id.
//!
//! Sources: KIP-848 (the consumer protocol), KIP-1082 (the member makes its id).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(
    CONSUMER_GROUP_HEARTBEAT: ConsumerGroupHeartbeatRequest => ConsumerGroupHeartbeatResponse,
    versions 0..=1, flexible 0..
);

wire! {
    /// Says that the member is alive, and what is new.
    pub struct ConsumerGroupHeartbeatRequest {
        /// The group, created by the first that joins; `INVALID_REQUEST` if empty, `GROUP_ID_NOT_FOUND` if
        /// there is none and the member doesn't join, or if the group is of another type and can't be
        /// converted.
        group_id: String,
        /// The member's id, a UUID in text that stays with it as long as it lives; in version 0 empty to be
        /// given one, later `INVALID_REQUEST` if empty. `UNKNOWN_MEMBER_ID` once the coordinator has removed
        /// the member, which joins anew with the same id.
        member_id: String,
        /// The epoch from the last answer; 0 to join, -1 to leave, -2 for a static member that leaves to come
        /// back. `FENCED_MEMBER_EPOCH` if it is neither the member's present epoch nor, as after a lost
        /// answer, the one before: give all partitions up and join anew.
        member_epoch: i32,
        /// The `group.instance.id` of a static member; `UNRELEASED_INSTANCE_ID` while another member holds it
        /// (try later), `FENCED_INSTANCE_ID` once another has taken it over.
        instance_id: Option<String>,
        /// `client.rack`, for assignors that care; `INVALID_REQUEST` if empty.
        rack_id: Option<String>,
        /// Milliseconds the coordinator waits for the member to give partitions up until it removes it;
        /// `INVALID_REQUEST` if -1 in a join.
        rebalance_timeout_ms: i32 = -1,
        /// The topics to read, by name; they needn't exist. `TOPIC_AUTHORIZATION_FAILED` if one of them may
        /// not be described, `INVALID_REQUEST` if a join has neither names nor an expression.
        subscribed_topic_names: Option<Vec<String>>,
        /// The topics to read, as an expression in RE2's syntax; `INVALID_REGULAR_EXPRESSION` if it is none.
        /// It matches only what the member may describe; empty takes it back.
        [1..] subscribed_topic_regex: Option<String>,
        /// The assignor of the broker that the member would like; `UNSUPPORTED_ASSIGNOR` if the broker lacks
        /// it.
        server_assignor: Option<String>,
        /// What the member holds: by it the coordinator sees what was given up and may go to others. Empty,
        /// not null, in a join, else `INVALID_REQUEST`.
        topic_partitions: Option<Vec<TopicPartitions>>,
    }

    /// Partitions of a topic.
    pub struct TopicPartitions {
        /// The topic's id; topics that were deleted and created again are other ones.
        topic_id: Uuid,
        /// The partitions' indexes.
        partitions: Vec<i32>,
    }

    /// Where the member stands.
    pub struct ConsumerGroupHeartbeatResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// `NOT_COORDINATOR` and its like, `UNRELEASED_INSTANCE_ID` (ask again); `UNKNOWN_MEMBER_ID`,
        /// `FENCED_MEMBER_EPOCH` (join anew); final: `FENCED_INSTANCE_ID`, `GROUP_AUTHORIZATION_FAILED`,
        /// `TOPIC_AUTHORIZATION_FAILED`, `UNSUPPORTED_ASSIGNOR`, `GROUP_MAX_SIZE_REACHED`
        /// (`group.consumer.max.size`), and what else the request's fields name.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String>,
        /// The member's id; the coordinator's choice where the member came without.
        member_id: Option<String>,
        /// The epoch for the next heartbeat and for commits; the request's -1 or -2 after leaving.
        member_epoch: i32,
        /// After how many milliseconds the next heartbeat is due; at once when the member has given something
        /// up.
        heartbeat_interval_ms: i32,
        /// What the member is to hold from now on; null if that is as before.
        assignment: Option<Assignment>,
    }

    /// What a member is to hold.
    pub struct Assignment {
        /// All partitions that the member may read now; what it holds beyond them it must give up.
        topic_partitions: Vec<TopicPartitions>,
    }
}
