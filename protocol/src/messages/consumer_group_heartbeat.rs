//! ConsumerGroupHeartbeat: all that a member of the consumer protocol does with its group: join, stay, give partitions
//! up, get new ones, leave. Goes to the group's coordinator, which also assigns.
//!
//! A heartbeat says only what has changed since the last one; null, and -1 for the timeout, mean "as before". After an
//! error or a lost answer the member says everything again.
//!
//! By version: 1 subscribes by a regular expression that the broker evaluates, and wants the member to make its own id.
//!
//! Sources: KIP-848 (the consumer protocol), KIP-1082 (the member makes its id).

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
        /// The group; `NOT_COORDINATOR` if another broker takes care of it by now.
        group_id: String,
        /// The member's id, which stays with it as long as it lives; in version 0 empty to be given one.
        /// `UNKNOWN_MEMBER_ID` once the coordinator has removed the member.
        member_id: String,
        /// The epoch from the last answer; 0 to join, -1 to leave, -2 for a static member that leaves to come back.
        /// `FENCED_MEMBER_EPOCH` if the coordinator is elsewhere: give all partitions up and join anew.
        member_epoch: i32,
        /// The `group.instance.id` of a static member; `UNRELEASED_INSTANCE_ID` while another member holds it.
        instance_id: Option<String>,
        /// The rack that the member is in, for assignors that care.
        rack_id: Option<String>,
        /// Milliseconds the coordinator waits for the member to give partitions up until it removes it.
        rebalance_timeout_ms: i32 = -1,
        /// The topics to read, by name.
        subscribed_topic_names: Option<Vec<String>>,
        /// The topics to read, as an expression in RE2's syntax; `INVALID_REGULAR_EXPRESSION` if it is none.
        [1..] subscribed_topic_regex: Option<String>,
        /// The assignor of the broker that the member would like; `UNSUPPORTED_ASSIGNOR` if the broker lacks it.
        server_assignor: Option<String>,
        /// What the member holds: by it the coordinator sees what was given up and may go to others.
        topic_partitions: Option<Vec<TopicPartitions>>,
    }

    /// Partitions of a topic.
    pub struct TopicPartitions {
        /// The topic's id.
        topic_id: Uuid,
        /// The partitions' numbers.
        partitions: Vec<i32>,
    }

    /// Where the member stands.
    pub struct ConsumerGroupHeartbeatResponse {
        /// How long the quota holds the client back, in milliseconds.
        throttle_time_ms: i32,
        /// `COORDINATOR_LOAD_IN_PROGRESS`, `COORDINATOR_NOT_AVAILABLE`, `GROUP_AUTHORIZATION_FAILED`,
        /// `TOPIC_AUTHORIZATION_FAILED`, `GROUP_MAX_SIZE_REACHED`, `INVALID_REQUEST`, and those that the request's
        /// fields name.
        error_code: ErrorCode,
        /// What is wrong, in words.
        error_message: Option<String>,
        /// The member's id; the coordinator's choice where the member came without.
        member_id: Option<String>,
        /// The epoch for the next heartbeat and for commits.
        member_epoch: i32,
        /// After how many milliseconds the next heartbeat is due.
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
