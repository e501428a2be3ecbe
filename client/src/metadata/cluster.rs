//! The cluster as this client knows it: an immutable snapshot, shared by `Arc`.
//!
//! Sources: KIP-320 (leader epochs), KIP-516 (topic ids), KIP-951 (leaders learned from other answers).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::uuid::Uuid;

use crate::topic_partition::TopicPartition;

/// The id of a broker; negative for a bootstrap server whose id is not known yet.
pub type NodeId = i32;

/// A snapshot of brokers, topics and leaders.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cluster {
    pub(super) id: Option<Arc<str>>,
    pub(super) controller: Option<NodeId>,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) topics: HashMap<Arc<str>, Arc<Topic>>,
    pub(super) names: HashMap<Uuid, Arc<str>>,
    pub(super) errors: HashMap<Arc<str>, TopicError>,
    pub(super) generation: u64,
}

/// Why a topic is not known, and since which generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TopicError {
    pub(crate) code: ErrorCode,
    pub(crate) generation: u64,
}

/// A broker and where to dial it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The broker's id.
    pub id: NodeId,
    /// The name or address to dial.
    pub host: Arc<str>,
    /// The port to dial.
    pub port: u16,
    /// `broker.rack`, where it is set.
    pub rack: Option<Arc<str>>,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// The name.
    pub name: Arc<str>,
    /// The id; zero where brokers are too old to tell.
    pub id: Uuid,
    /// Whether Kafka itself owns the topic.
    pub internal: bool,
    /// The partitions; a partition's index is its place.
    pub partitions: Vec<Partition>,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The broker that takes writes and reads; `None` during an election.
    pub leader: Option<NodeId>,
    /// Counts up with each new leader; -1 where brokers are too old to tell.
    pub leader_epoch: i32,
    /// The brokers that hold a copy.
    pub replicas: Vec<NodeId>,
    /// The brokers whose copy is in sync.
    pub isr: Vec<NodeId>,
    /// The brokers whose copy can't be reached.
    pub offline: Vec<NodeId>,
    /// Why the partition has no leader.
    pub error: ErrorCode,
}

/// Who leads a partition, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leader {
    /// The broker.
    pub node: NodeId,
    /// Its epoch; -1 where brokers are too old to tell.
    pub epoch: i32,
}

/// A partition's leader as an answer names it that was not asked for it (KIP-951).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderHint {
    /// The partition.
    pub partition: TopicPartition,
    /// Its topic's id; zero, where brokers are too old to tell, is any topic's.
    pub topic_id: Uuid,
    /// Who leads it.
    pub leader: Leader,
    /// The leader's address, if the answer has it.
    pub endpoint: Option<Node>,
}

impl Cluster {
    /// The cluster's id.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// A broker that takes controller requests.
    pub fn controller(&self) -> Option<NodeId> {
        self.controller
    }

    /// The broker of this id.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    /// The brokers, by ascending id; none before the first answer.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// A topic in use.
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// The topic in use that has this id.
    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.topics.get(self.names.get(&id)?)
    }

    /// The topics in use, in no particular order.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// The leader of a partition of a topic in use.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<Leader> {
        let partition = self.topic(topic)?.partition(partition)?;
        Some(Leader { node: partition.leader?, epoch: partition.leader_epoch })
    }

    /// The error in the last answer about a topic in use, if it was an error.
    pub fn topic_error(&self, name: &str) -> Option<ErrorCode> {
        self.errors.get(name).map(|error| error.code)
    }

    /// Counts the snapshots.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The error about a topic, if an answer newer than `generation` brought it.
    pub(crate) fn topic_error_since(&self, name: &str, generation: u64) -> Option<ErrorCode> {
        self.errors.get(name).filter(|error| error.generation > generation).map(|error| error.code)
    }
}

impl Topic {
    /// The partition of this index.
    pub fn partition(&self, index: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index).ok()?)
    }
}
