//! ConsumerGroupDescribe: state and members of groups of the consumer protocol. Each group is asked for at
//! its coordinator. Needs Describe on the groups and on all topics that their members read.
//!
//! Classic groups answer DescribeGroups instead; here they look like groups that don't exist.
//!
//! Versions: 1 tells which protocol a member speaks, for groups on their way from one to the other.
//!
//! Sources: KIP-848 (the consumer protocol), KIP-430 (authorized operations), KIP-1099 (member type).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(
    CONSUMER_GROUP_DESCRIBE: ConsumerGroupDescribeRequest => ConsumerGroupDescribeResponse,
    versions 0..=1, flexible 0..
);

wire! {
    /// Asks what groups consist of.
    pub struct ConsumerGroupDescribeRequest {
        /// The groups; each is answered by itself.
        group_ids: Vec<String>,
        /// Whether the answer says what the client may do with each group.
        include_authorized_operations: bool,
    }

    /// What the groups consist of.
    pub struct ConsumerGroupDescribeResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// The groups.
        groups: Vec<DescribedGroup>,
    }

    /// A group.
    pub struct DescribedGroup {
        /// `GROUP_ID_NOT_FOUND`, also for a group of another type; `INVALID_GROUP_ID` if empty,
        /// `NOT_COORDINATOR` and its like, `GROUP_AUTHORIZATION_FAILED`, or `TOPIC_AUTHORIZATION_FAILED` if
        /// its members read a topic that the client may not describe.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String>,
        /// The group's name.
        group_id: String,
        /// `Empty`, `Assigning` (a target assignment is being computed), `Reconciling` (members still give up
        /// or take over), `Stable` or `Dead`; empty with an error.
        group_state: String,
        /// The group's epoch: it grows with each change of members, subscriptions or topics.
        group_epoch: i32,
        /// The group epoch that the target assignment was computed for; behind it, the group is assigning.
        assignment_epoch: i32,
        /// The assignor that the coordinator uses: what most members prefer, or the broker's first.
        assignor_name: String,
        /// The members; none with an error.
        members: Vec<Member>,
        /// What the client may do with the group, bit *n* for operation *n* of
        /// [`describe_acls`](super::describe_acls); `i32::MIN` where it wasn't asked for.
        authorized_operations: i32 = i32::MIN,
    }

    /// A member.
    pub struct Member {
        /// The member's id.
        member_id: String,
        /// Its `group.instance.id`, if it is static.
        instance_id: Option<String>,
        /// `client.rack` of the member; null if it has none.
        rack_id: Option<String>,
        /// The epoch that it has come to; behind the assignment's, it still has to give partitions up or get
        /// some.
        member_epoch: i32,
        /// Its `client.id`.
        client_id: String,
        /// The address that it speaks from, as the broker sees it.
        client_host: String,
        /// The topics that it subscribes by name, whether or not they exist.
        subscribed_topic_names: Vec<String>,
        /// The expression that it subscribes by; null if it has none.
        subscribed_topic_regex: Option<String>,
        /// What it may read now.
        assignment: Assignment,
        /// What it shall read once everybody has given up what is others'.
        target_assignment: Assignment,
        /// 0 for a member that speaks the classic protocol, 1 for the consumer protocol, -1 if unknown.
        [1.., ignorable] member_type: i8 = -1,
    }

    /// What a member holds.
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
