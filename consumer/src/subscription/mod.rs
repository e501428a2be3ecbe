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
use ottla_protocol::uuid::Uuid;

use crate::fetch::plan::Route;

pub use partition::Start;
pub(crate) use partition::{
    Assigned, Fetching, Origin, Phase, Position, PreferredReplica, ResetTo, Standing,
};

/// Numbers the times at which a partition got a new position that owes nothing to the one before; the default is none of
/// them, and before all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Generation(u64);

/// Where records are from: of which position of the consumer, and of which topic, if its id is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Provenance {
    pub(crate) generation: Generation,
    pub(crate) topic_id: Option<Uuid>,
}

#[cfg(test)]
impl Generation {
    pub(crate) fn of(number: u64) -> Generation {
        Generation(number)
    }
}

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
    /// Whether each partition is read at a pace of its own.
    pub(crate) streamed: bool,
    partitions: BTreeMap<TopicPartition, Assigned>,
    /// Those about which something is to be asked, or compared with the metadata, beside their records.
    unsettled: BTreeSet<TopicPartition>,
    /// The number of the metadata that all partitions were compared with last.
    pub(crate) compared_with: u64,
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
        self.unsettled.insert(partition.clone());
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
        self.unsettled.remove(partition);
        self.touched.push(partition.clone());
        self.partitions.remove(partition).is_some()
    }

    /// Sets where a partition is read on; false if the consumer doesn't have it.
    pub(crate) fn seek(&mut self, partition: &TopicPartition, to: Start) -> bool {
        self.begin_anew(partition, Phase::of(to))
    }

    /// Sets an offset from which a partition is read on, with the epoch of the record before it: a leader that knows better
    /// is believed. False if the consumer doesn't have it.
    pub(crate) fn seek_to(&mut self, partition: &TopicPartition, position: Position) -> bool {
        let is_there = self.begin_anew(partition, Phase::Fetching(Fetching::at(position)));
        if position.leader_epoch.is_some()
            && let Some(assigned) = self.partitions.get_mut(partition)
        {
            assigned.standing = Standing::Due;
        }
        is_there
    }

    /// Goes on elsewhere in the log that the partition is in. The offset says nothing about another topic of its name, though
    /// the leader is to be asked again.
    pub(crate) fn move_within(&mut self, partition: &TopicPartition, position: Position) {
        let Some(Assigned { origin, handed_of, .. }) = self.partitions.get(partition).cloned() else {
            return;
        };
        self.seek_to(partition, position);
        if let Some(assigned) = self.partitions.get_mut(partition) {
            assigned.origin = origin.without_leader();
            assigned.handed_of = handed_of;
        }
    }

    fn begin_anew(&mut self, partition: &TopicPartition, phase: Phase) -> bool {
        let generation = self.next_generation();
        let Some(assigned) = self.partitions.get_mut(partition) else { return false };
        self.touched.push(partition.clone());
        let Assigned { paused, held, .. } = *assigned;
        *assigned = Assigned { paused, ..Assigned::new(generation, phase, held) };
        self.unsettled.insert(partition.clone());
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
        let Some(assigned) = assigned else { return };
        let topic_id = assigned.origin.topic_id();
        if let Some(fetching) = assigned.fetching_mut()
            && offset > fetching.position.offset
        {
            fetching.position =
                Position { offset, leader_epoch: (leader_epoch >= 0).then_some(leader_epoch) };
            if offset > fetching.fetch_offset {
                fetching.fetch_offset = offset;
                fetching.fetch_epoch = fetching.position.leader_epoch;
                self.touched.push(partition.clone());
            }
            assigned.handed_of = topic_id;
        }
    }

    /// A lookup found where the partition begins: in the log of a leader, else it is for the leader to say whether that is in
    /// its log, as far as an epoch lets it.
    pub(crate) fn found(
        &mut self,
        partition: &TopicPartition,
        generation: Generation,
        position: Position,
        origin: Origin,
    ) {
        if let Some(assigned) = self.current_mut(partition, generation)
            && assigned.fetching().is_none()
        {
            assigned.phase = Phase::Fetching(Fetching::at(position));
            assigned.standing = match origin {
                Origin::Leader(_) => Standing::Sound,
                _ if position.leader_epoch.is_some() => Standing::Due,
                _ => Standing::Sound,
            };
            assigned.origin = origin;
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
            assigned.standing = Standing::Sound;
            assigned.origin = Origin::Unknown;
            assigned.looking_up = false;
            assigned.halted = false;
            // An error that poll has not returned yet is of the position before: nobody returns it any more, and nothing
            // may wait for that.
            assigned.reporting = false;
            self.unsettled.insert(partition.clone());
        }
    }

    /// The log was truncated: goes back to where it still is what was read. The leader at `route` says so itself.
    pub(crate) fn go_back(&mut self, partition: &TopicPartition, position: Position, route: Route) {
        let generation = self.next_generation();
        if let Some(assigned) = self.partitions.get_mut(partition) {
            self.touched.push(partition.clone());
            assigned.generation = generation;
            assigned.phase = Phase::Fetching(Fetching::at(position));
            assigned.standing = Standing::Sound;
            assigned.origin = Origin::Leader(route);
            assigned.halted = false;
            assigned.reporting = false;
            assigned.failures = 0;
            self.unsettled.insert(partition.clone());
        }
    }

    /// Sets whether the position is known to be in the leader's log, and in whose.
    pub(crate) fn stand(&mut self, partition: &TopicPartition, standing: Standing, origin: Origin) {
        let Some(assigned) = self.partitions.get_mut(partition) else { return };
        self.touched.push(partition.clone());
        assigned.standing = standing;
        assigned.origin = origin;
        if assigned.is_settled() {
            self.unsettled.remove(partition);
        } else {
            self.unsettled.insert(partition.clone());
        }
    }

    /// Those about which something is to be asked, or compared with the metadata, beside their records.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = (&TopicPartition, &Assigned)> {
        self.unsettled.iter().filter_map(|name| Some((name, self.partitions.get(name)?)))
    }

    /// Puts a partition off until `at`, after something failed.
    pub(crate) fn put_off(&mut self, partition: &TopicPartition, generation: Generation, at: Instant) {
        if let Some(assigned) = self.current_mut(partition, generation) {
            assigned.not_before = Some(at);
            assigned.failures = assigned.failures.saturating_add(1);
            assigned.looking_up = false;
            if matches!(assigned.standing, Standing::Asked(_)) {
                assigned.standing = Standing::Due;
            }
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

    /// In which log the partition's position was known to be last.
    pub(crate) fn origin(&self, partition: &TopicPartition) -> Origin {
        self.partitions.get(partition).map_or(Origin::Unknown, |assigned| assigned.origin)
    }

    /// Of which topic the offsets are that the application has of this partition: a topic that was created anew is another
    /// one, of which it was handed nothing yet.
    pub(crate) fn handed_of(&self, partition: &TopicPartition) -> Option<Uuid> {
        let assigned = self.partitions.get(partition)?;
        assigned.handed_of.or_else(|| assigned.origin.topic_id())
    }

    /// How many partitions there are.
    pub(crate) fn count(&self) -> usize {
        self.partitions.len()
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
