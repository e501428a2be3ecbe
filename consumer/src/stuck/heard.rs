//! [`Heard`]: what brokers said last about what cannot be read.

use std::collections::BTreeMap;

use ottla_client::{Error, NodeId, TopicPartition};
use ottla_protocol::error_code::ErrorCode;

use crate::subscription::{Assigned, Generation, Subscription};

/// A failure that has not been followed by a success.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    /// How often in a row.
    pub(crate) tries: u32,
    pub(crate) cause: Cause,
    /// The later of two has the higher number.
    number: u64,
}

/// Why something failed; a code alone costs nothing to keep.
#[derive(Clone, Debug)]
pub(crate) enum Cause {
    Code(ErrorCode),
    Error(Error),
}

impl Cause {
    /// As an error; `doing` says what failed.
    pub(crate) fn to_error(&self, doing: impl FnOnce() -> String) -> Error {
        match self {
            Cause::Code(code) => Error::from_code(*code, doing()),
            Cause::Error(error) => error.clone(),
        }
    }
}

/// What is known beyond the positions: failures by broker and by partition, and how far open transactions reach.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    numbers: u64,
    nodes: BTreeMap<NodeId, Trouble>,
    partitions: BTreeMap<TopicPartition, (Generation, Trouble)>,
    /// Damage, by the offset at which it stands: it stays damage when it is fetched again.
    damaged: BTreeMap<TopicPartition, (Generation, i64, Trouble)>,
    /// Of partitions in which brokers hold more than committed records.
    high_watermarks: BTreeMap<TopicPartition, i64>,
}

impl Heard {
    /// A broker answered a fetch.
    pub(crate) fn answered(&mut self, node: NodeId) {
        self.nodes.remove(&node);
    }

    /// A broker did not answer a fetch, or refused it as a whole.
    pub(crate) fn unreachable(&mut self, node: NodeId, error: &Error) {
        let tries = self.nodes.get(&node).map_or(0, |trouble| trouble.tries).saturating_add(1);
        let trouble = self.trouble(tries, Cause::Error(error.clone()));
        self.nodes.insert(node, trouble);
    }

    /// A partition was read, up to where nothing is committed by now; `beyond` is up to where brokers have records, if that
    /// is further.
    pub(crate) fn served(&mut self, partition: &TopicPartition, beyond: Option<i64>) {
        if !self.partitions.is_empty() {
            self.partitions.remove(partition);
        }
        match beyond {
            Some(high_watermark) => {
                self.high_watermarks.insert(partition.clone(), high_watermark);
            }
            None if self.high_watermarks.is_empty() => {}
            None => {
                self.high_watermarks.remove(partition);
            }
        }
    }

    /// A broker refused what it was asked about a partition.
    pub(crate) fn refused(&mut self, partition: &TopicPartition, generation: Generation, code: ErrorCode) {
        self.failed(partition, generation, Cause::Code(code));
    }

    /// What was asked about a partition failed.
    pub(crate) fn failed(&mut self, partition: &TopicPartition, generation: Generation, cause: Cause) {
        let before = self.partitions.get(partition).filter(|(last, _)| *last == generation);
        let tries = before.map_or(0, |(_, trouble)| trouble.tries).saturating_add(1);
        let trouble = self.trouble(tries, cause);
        self.partitions.insert(partition.clone(), (generation, trouble));
    }

    /// What was fetched could not be read at an offset.
    pub(crate) fn damaged(
        &mut self,
        partition: &TopicPartition,
        generation: Generation,
        offset: i64,
        error: &Error,
    ) {
        let before = self.damaged.get(partition).filter(|(of, at, _)| (*of, *at) == (generation, offset));
        let tries = before.map_or(0, |(_, _, trouble)| trouble.tries).saturating_add(1);
        let trouble = self.trouble(tries, Cause::Error(error.clone()));
        self.damaged.insert(partition.clone(), (generation, offset, trouble));
    }

    fn trouble(&mut self, tries: u32, cause: Cause) -> Trouble {
        self.numbers += 1;
        Trouble { tries, cause, number: self.numbers }
    }

    /// Forgets what concerns partitions that are gone.
    pub(crate) fn retain(&mut self, subscription: &Subscription) {
        self.partitions.retain(|name, _| subscription.partition(name).is_some());
        self.damaged.retain(|name, _| subscription.partition(name).is_some());
        self.high_watermarks.retain(|name, _| subscription.partition(name).is_some());
        if subscription.iter().next().is_none() {
            self.nodes.clear();
        }
    }

    /// What failed last about a partition that is read from this broker, and the broker if all of it failed.
    pub(crate) fn of_fetching(
        &self,
        partition: &TopicPartition,
        assigned: &Assigned,
        node: NodeId,
    ) -> Option<(Option<NodeId>, &Trouble)> {
        let of_node = self.nodes.get(&node).map(|trouble| (Some(node), trouble));
        let of_partition = self.of_partition(partition, assigned).map(|trouble| (None, trouble));
        of_node.into_iter().chain(of_partition).max_by_key(|(_, trouble)| trouble.number)
    }

    /// What failed last about a partition alone, at the position that it has.
    pub(crate) fn of_partition(&self, partition: &TopicPartition, assigned: &Assigned) -> Option<&Trouble> {
        let generation = assigned.generation;
        let position = assigned.fetching().map(|fetching| fetching.position.offset);
        let refused = self.partitions.get(partition).filter(|(of, _)| *of == generation);
        let damaged = self.damaged.get(partition);
        let damaged = damaged.filter(|(of, at, _)| *of == generation && Some(*at) == position);
        refused.map(|(_, trouble)| trouble).or(damaged.map(|(_, _, trouble)| trouble))
    }

    pub(crate) fn high_watermark(&self, partition: &TopicPartition) -> Option<i64> {
        self.high_watermarks.get(partition).copied()
    }
}
