//! ShareGroupDescribe: the state of share groups and of their members. Goes to the groups' coordinator. Needs
//! Describe on the groups and on all topics that their members fetch from.
//!
//! Versions: 0 was the early access of Kafka 4.0, and no other broker takes it, so it is never negotiated; 1
//! is the first lasting one.
//!
//! Sources: KIP-932, KIP-430 (authorized operations).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(
    SHARE_GROUP_DESCRIBE: ShareGroupDescribeRequest => ShareGroupDescribeResponse,
    versions 0..=1, flexible 0.., negotiable 1..=1
);

wire! {
    /// Asks about share groups.
    pub struct ShareGroupDescribeRequest {
        /// The groups; each is answered by itself.
        group_ids: Vec<String>,
        /// Asks what the client may do with each group.
        include_authorized_operations: bool,
    }

    /// The groups.
    pub struct ShareGroupDescribeResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// The groups.
        groups: Vec<DescribedGroup>,
    }

    /// A group, or why there is none.
    pub struct DescribedGroup {
        /// `GROUP_ID_NOT_FOUND`, also for a group of another type; `NOT_COORDINATOR`,
        /// `COORDINATOR_NOT_AVAILABLE`, `COORDINATOR_LOAD_IN_PROGRESS`, `INVALID_GROUP_ID`,
        /// `GROUP_AUTHORIZATION_FAILED`, and `TOPIC_AUTHORIZATION_FAILED` if the client mayn't see a topic of
        /// the group.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String>,
        /// The group's id.
        group_id: String,
        /// `Empty`, `Stable` or `Dead`; empty with an error.
        group_state: String,
        /// Counts the changes of members, subscriptions and topics.
        group_epoch: i32,
        /// The group epoch that the present assignment was computed for.
        assignment_epoch: i32,
        /// The assignor that the coordinator uses.
        assignor_name: String,
        /// The members.
        members: Vec<Member>,
        /// What the client may do with the group, bit *n* for operation *n* of
        /// [`describe_acls`](super::describe_acls); `i32::MIN` where it wasn't asked for.
        authorized_operations: i32 = i32::MIN,
    }

    /// A member.
    pub struct Member {
        /// The id it gave itself.
        member_id: String,
        /// `client.rack`, where it is set.
        rack_id: Option<String>,
        /// The group epoch that the member has reached.
        member_epoch: i32,
        /// `client.id` of the member.
        client_id: String,
        /// Where it connects from, as the broker sees it.
        client_host: String,
        /// The topics it wants.
        subscribed_topic_names: Vec<String>,
        /// What it fetches from.
        assignment: Assignment,
    }

    /// What a member fetches from.
    pub struct Assignment {
        /// The partitions, by topic.
        topic_partitions: Vec<TopicPartitions>,
    }

    /// Partitions of a topic.
    pub struct TopicPartitions {
        /// The topic's id.
        topic_id: Uuid,
        /// The topic's name.
        topic_name: String,
        /// The partitions' indexes.
        partitions: Vec<i32>,
    }
}
