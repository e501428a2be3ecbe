//! The leader's work between JoinGroup and SyncGroup, apart from the assignor itself: pure.
//!
//! Guarantee: a member whose subscription is unreadable gets nothing, and does not keep the others from getting theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_client::{Cluster, Topic, TopicPartition};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_protocol::{
    self, ConsumerProtocolAssignment, ConsumerProtocolSubscription, NEWEST_VERSION, decode_subscription,
    encode_assignment,
};
use ottla_protocol::messages::join_group::JoinGroupResponseMember;
use ottla_protocol::messages::sync_group::SyncGroupRequestAssignment;
use ottla_protocol::wire::EncodeError;

use crate::assignor::{Assignments, GroupMember, GroupTopics};

/// How many partitions each of the group's topics had when the assignment was made; 0 for one that did not exist.
pub(super) type PartitionCounts = BTreeMap<String, usize>;

/// Everybody in the generation, as their subscriptions describe them.
pub(super) fn members(joined: &[JoinGroupResponseMember]) -> Vec<GroupMember> {
    let member = |member: &JoinGroupResponseMember| {
        let subscription = match decode_subscription(&member.metadata) {
            Ok((subscription, _)) => subscription,
            Err(error) => {
                tracing::warn!(member = %member.member_id, %error, "a member's subscription is unreadable: it gets no partitions");
                ConsumerProtocolSubscription::default()
            }
        };
        GroupMember {
            member_id: member.member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            rack_id: subscription.rack_id.filter(|rack| !rack.is_empty()),
            topics: subscription.topics,
            owned_partitions: single(subscription.owned_partitions),
            generation_id: subscription.generation_id,
            user_data: subscription.user_data,
        }
    };
    joined.iter().map(member).collect()
}

/// Every topic that somebody subscribes to, in order.
pub(super) fn subscribed_topics(members: &[GroupMember]) -> Vec<String> {
    let topics: BTreeSet<&String> = members.iter().flat_map(|member| &member.topics).collect();
    topics.into_iter().cloned().collect()
}

/// Those of `topics` that exist, with the racks of their replicas.
pub(super) fn group_topics(cluster: &Cluster, topics: &[String]) -> GroupTopics {
    let mut known = GroupTopics::new();
    for topic in topics.iter().filter_map(|name| cluster.topic(name)) {
        known.insert_with_racks(Arc::clone(&topic.name), racks(cluster, topic));
    }
    known
}

/// Whether metadata has told of each topic whether it exists.
pub(super) fn all_answered(cluster: &Cluster, topics: &[String]) -> bool {
    topics.iter().all(|name| cluster.topic(name).is_some() || cluster.topic_error(name).is_some())
}

/// The number of partitions of each topic. One that metadata has no word of, or trouble with, keeps its `last` number:
/// only a topic that surely does not exist has none.
pub(super) fn partition_counts(
    cluster: &Cluster,
    topics: &[String],
    last: &PartitionCounts,
) -> PartitionCounts {
    let count = |name: &String| match (cluster.topic(name), cluster.topic_error(name)) {
        (Some(topic), _) => topic.partitions.len(),
        (None, Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID)) => 0,
        (None, _) => last.get(name).copied().unwrap_or(0),
    };
    topics.iter().map(|name| (name.clone(), count(name))).collect()
}

/// Everybody's share, as SyncGroup takes it.
pub(super) fn encode(assignments: &Assignments) -> Result<Vec<SyncGroupRequestAssignment>, EncodeError> {
    let share = |(member_id, partitions): (&String, &Vec<TopicPartition>)| {
        let partitions = partitions.iter().map(|partition| (&*partition.topic, partition.partition));
        let assignment = ConsumerProtocolAssignment {
            assigned_partitions: consumer_protocol::TopicPartition::group(partitions),
            ..ConsumerProtocolAssignment::default()
        };
        let assignment = encode_assignment(&assignment, NEWEST_VERSION)?;
        let member_id = member_id.clone();
        Ok(SyncGroupRequestAssignment { member_id, assignment, ..SyncGroupRequestAssignment::default() })
    };
    assignments.iter().map(share).collect()
}

fn racks(cluster: &Cluster, topic: &Topic) -> Vec<Vec<String>> {
    let rack = |node: &i32| cluster.node(*node)?.rack.as_deref().map(str::to_owned);
    topic.partitions.iter().map(|partition| partition.replicas.iter().filter_map(rack).collect()).collect()
}

fn single(topics: Vec<consumer_protocol::TopicPartition>) -> Vec<TopicPartition> {
    let mut partitions = Vec::new();
    for topic in topics {
        let name: Arc<str> = topic.topic.into();
        let of_topic = topic.partitions.into_iter();
        partitions.extend(of_topic.map(|partition| TopicPartition::new(Arc::clone(&name), partition)));
    }
    partitions
}
