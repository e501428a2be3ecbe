//! What assignors read and write: members, topics with their racks, partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

pub use ottla_client::TopicPartition;

/// How partitions change hands in a rebalance (KIP-429).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RebalanceProtocol {
    /// Members give up everything before they rejoin.
    Eager,
    /// Members keep what they have and give up only what the new assignment takes from them.
    Cooperative,
}

/// What a member was assigned in a generation of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreviousAssignment<'a> {
    /// The assigned partitions.
    pub partitions: &'a [TopicPartition],
    /// The generation in which they were assigned.
    pub generation_id: i32,
}

/// A member of the group as its subscription describes it to the leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// The id that the coordinator gave the member.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<String>,
    /// `client.rack` of the member (subscription v3 and newer).
    pub rack_id: Option<String>,
    /// The topics it subscribes to.
    pub topics: Vec<String>,
    /// The partitions it still has (subscription v1 and newer).
    pub owned_partitions: Vec<TopicPartition>,
    /// The generation in which it got them, -1 if it has none or does not say (subscription v2 and newer).
    pub generation_id: i32,
    /// What the member's assignor added to the subscription.
    pub user_data: Option<Bytes>,
}

impl GroupMember {
    /// A dynamic member that just joined: it has no partitions, no rack and no user data.
    pub fn new<T: Into<String>>(member_id: impl Into<String>, topics: impl IntoIterator<Item = T>) -> Self {
        Self {
            member_id: member_id.into(),
            group_instance_id: None,
            rack_id: None,
            topics: topics.into_iter().map(Into::into).collect(),
            owned_partitions: Vec::new(),
            generation_id: -1,
            user_data: None,
        }
    }
}

/// The topics that the leader knows, with the number of their partitions and the racks of the replicas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupTopics {
    topics: BTreeMap<Arc<str>, Vec<Vec<String>>>,
}

impl GroupTopics {
    /// No topics.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a topic whose replicas' racks are not known.
    pub fn insert(&mut self, topic: impl Into<Arc<str>>, partitions: usize) {
        self.topics.insert(topic.into(), vec![Vec::new(); partitions]);
    }

    /// Adds a topic with, for each partition, the racks of the brokers that hold a replica.
    pub fn insert_with_racks(&mut self, topic: impl Into<Arc<str>>, racks: Vec<Vec<String>>) {
        self.topics.insert(topic.into(), racks);
    }

    /// The number of the topic's partitions; 0 if the topic is unknown.
    pub fn partition_count(&self, topic: &str) -> usize {
        self.topics.get(topic).map_or(0, Vec::len)
    }

    /// Each topic with the racks of each of its partitions, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &[Vec<String>])> {
        self.topics.iter().map(|(name, racks)| (name, racks.as_slice()))
    }
}
