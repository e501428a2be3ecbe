//! [`Partitions`]: a topic's partitions as a partitioner sees them.

use std::num::NonZeroU32;
use std::sync::Arc;

use ottla_client::NodeId;
use ottla_protocol::murmur2::{murmur2, to_positive};

/// A topic's partitions, as of the metadata known last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partitions {
    topic: Arc<str>,
    leaders: Box<[Option<NodeId>]>,
    /// Those with a leader, ascending.
    available: Box<[u32]>,
}

impl Partitions {
    pub(crate) fn new(topic: Arc<str>, leaders: Vec<Option<NodeId>>) -> Self {
        let led = leaders.iter().enumerate().filter(|(_, leader)| leader.is_some());
        Partitions { topic, available: led.map(|(at, _)| at as u32).collect(), leaders: leaders.into() }
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// How many partitions there are; never none.
    pub fn count(&self) -> usize {
        self.leaders.len()
    }

    /// The partitions that have a leader, ascending.
    pub fn available(&self) -> impl ExactSizeIterator<Item = i32> + '_ {
        self.available.iter().map(|&partition| partition as i32)
    }

    /// The broker that leads a partition; `None` while there is none, and for a partition that does not exist.
    pub fn leader(&self, partition: i32) -> Option<NodeId> {
        *self.leaders.get(usize::try_from(partition).ok()?)?
    }

    /// The hash by which the Java client chooses a partition, as a number that isn't negative; to be divided by
    /// [`Partitions::count`].
    pub fn hash(&self, key: &[u8]) -> i32 {
        to_positive(murmur2(key))
    }

    pub(crate) fn leaders(&self) -> &[Option<NodeId>] {
        &self.leaders
    }

    pub(crate) fn led(&self) -> &[u32] {
        &self.available
    }

    pub(crate) fn nonzero(&self) -> Option<NonZeroU32> {
        u32::try_from(self.leaders.len()).ok().and_then(NonZeroU32::new)
    }

    /// The partition of this number, if the topic has it.
    pub(crate) fn find(&self, partition: i32) -> Option<u32> {
        u32::try_from(partition).ok().filter(|&partition| (partition as usize) < self.leaders.len())
    }

    /// One of those with a leader, or of all if none has one: the one in this place of an endless round.
    pub(crate) fn nth(&self, place: u64) -> u32 {
        match self.available.len() {
            0 => (place % self.leaders.len().max(1) as u64) as u32,
            led => self.available[(place % led as u64) as usize],
        }
    }
}
