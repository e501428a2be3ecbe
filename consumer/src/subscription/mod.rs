//! [`Subscription`]: which partitions the consumer has, and where it stands in each.
//!
//! Guarantees: a position moves only when records are handed out, or by seek and reset; whatever was asked for under an
//! older assignment or before a seek is recognised by its [`Generation`] and dropped; a partition that is leaving hands
//! out nothing.
//!
//! Sources: KIP-62, KIP-320 (positions carry leader epochs), KIP-392 (preferred replicas).

mod partition;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use ottla_client::TopicPartition;

pub use partition::Start;
pub(crate) use partition::{Assigned, Fetching, Phase, Position, PreferredReplica, ResetTo};

/// Numbers the times at which a partition got a new position that owes nothing to the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Generation(u64);

/// Where the assignment comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Source {
    /// Nowhere yet.
    #[default]
    None,
    /// The application names partitions.
    Manual,
    /// The group assigns partitions of these topics.
    Group(BTreeSet<Arc<str>>),
}

/// The partitions that the consumer has.
#[derive(Debug, Default)]
pub(crate) struct Subscription {
    pub(crate) source: Source,
    partitions: BTreeMap<TopicPartition, Assigned>,
    generations: u64,
    /// Partitions that were changed since the plan last looked.
    touched: Vec<TopicPartition>,
    /// Any may have been.
    all_touched: bool,
}

impl Subscription {
    /// Adds a partition; one that is there already stays as it is. True if it is new.
    ///
    /// A held partition stays untouched until [`Subscription::release`], so that a listener can set its position first.
    pub(crate) fn add(&mut self, partition: TopicPartition, start: Start, held: bool) -> bool {
        if self.partitions.contains_key(&partition) {
            return false;
        }
        let generation = self.next_generation();
        self.touched.push(partition.clone());
        self.partitions.insert(partition, Assigned::new(generation, Phase::of(start), held));
        true
    }

    /// Lets what was added held go on.
    pub(crate) fn release<'a>(&mut self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        for partition in partitions {
            if let Some(assigned) = self.partitions.get_mut(partition) {
                assigned.held = false;
                self.touched.push(partition.clone());
            }
        }
    }

    /// Drops a partition. True if it was there.
    pub(crate) fn remove(&mut self, partition: &TopicPartition) -> bool {
        self.touched.push(partition.clone());
        self.partitions.remove(partition).is_some()
    }

    /// Sets where a partition is read on; false if the consumer doesn't have it.
    pub(crate) fn seek(&mut self, partition: &TopicPartition, to: Start) -> bool {
        let generation = self.next_generation();
        let Some(assigned) = self.partitions.get_mut(partition) else { return false };
        self.touched.push(partition.clone());
        let Assigned { paused, held, .. } = *assigned;
        *assigned = Assigned { paused, ..Assigned::new(generation, Phase::of(to), held) };
        true
    }

    /// Sets whether a partition rests; false if the consumer doesn't have it.
    pub(crate) fn set_paused(&mut self, partition: &TopicPartition, paused: bool) -> bool {
        match self.partitions.get_mut(partition) {
            Some(assigned) => {
                assigned.paused = paused;
                self.touched.push(partition.clone());
                true
            }
            None => false,
        }
    }

    /// The application got what is before `offset`.
    pub(crate) fn advance(
        &mut self,
        partition: &TopicPartition,
        generation: Generation,
        offset: i64,
        leader_epoch: i32,
    ) {
        // The plan is only concerned by what is fetched next.
        let assigned =
            self.partitions.get_mut(partition).filter(|assigned| assigned.generation == generation);
        if let Some(fetching) = assigned.and_then(Assigned::fetching_mut)
            && offset > fetching.position.offset
        {
            fetching.position =
                Position { offset, leader_epoch: (leader_epoch >= 0).then_some(leader_epoch) };
            if fetching.fetch_offset < offset {
                fetching.fetch_offset = offset;
                self.touched.push(partition.clone());
            }
        }
    }

    /// A lookup found where the partition begins.
    pub(crate) fn found(&mut self, partition: &TopicPartition, generation: Generation, position: Position) {
        if let Some(assigned) = self.current_mut(partition, generation)
            && assigned.fetching().is_none()
        {
            assigned.phase = Phase::Fetching(Fetching::at(position));
            assigned.looking_up = false;
            assigned.not_before = None;
            assigned.failures = 0;
        }
    }

    /// Looks the position up anew, by `to`.
    pub(crate) fn reset(&mut self, partition: &TopicPartition, to: ResetTo) {
        let generation = self.next_generation();
        if let Some(assigned) = self.partitions.get_mut(partition) {
            self.touched.push(partition.clone());
            assigned.generation = generation;
            assigned.phase = Phase::AwaitingReset(to);
            assigned.looking_up = false;
            assigned.halted = false;
            // An error that poll has not returned yet is of the position before: nobody returns it any more, and nothing
            // may wait for that.
            assigned.reporting = false;
        }
    }

    /// Puts a partition off until `at`, after something failed.
    pub(crate) fn put_off(&mut self, partition: &TopicPartition, generation: Generation, at: Instant) {
        if let Some(assigned) = self.current_mut(partition, generation) {
            assigned.not_before = Some(at);
            assigned.failures = assigned.failures.saturating_add(1);
            assigned.looking_up = false;
        }
    }

    /// The partition, if its position is still of this generation.
    pub(crate) fn current_mut(
        &mut self,
        partition: &TopicPartition,
        generation: Generation,
    ) -> Option<&mut Assigned> {
        let assigned =
            self.partitions.get_mut(partition).filter(|assigned| assigned.generation == generation);
        if assigned.is_some() {
            self.touched.push(partition.clone());
        }
        assigned
    }

    /// The partitions that may have changed since this was last asked, and whether any may have.
    pub(crate) fn take_touched(&mut self) -> (bool, Vec<TopicPartition>) {
        (std::mem::take(&mut self.all_touched), std::mem::take(&mut self.touched))
    }

    /// The partition.
    pub(crate) fn partition(&self, partition: &TopicPartition) -> Option<&Assigned> {
        self.partitions.get(partition)
    }

    /// All partitions.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&TopicPartition, &Assigned)> {
        self.partitions.iter()
    }

    /// All partitions, to change what does not change which they are.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&TopicPartition, &mut Assigned)> {
        self.all_touched = true;
        self.partitions.iter_mut()
    }

    /// The names of all partitions.
    pub(crate) fn names(&self) -> Vec<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    /// The positions of those partitions that have one.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (&TopicPartition, Position)> {
        self.partitions.iter().filter_map(|(name, assigned)| Some((name, assigned.fetching()?.position)))
    }

    fn next_generation(&mut self) -> Generation {
        self.generations += 1;
        Generation(self.generations)
    }
}
