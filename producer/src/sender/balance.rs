//! Tells partitioners how long the queues of partitions are, so that records without a key avoid slow brokers.
//!
//! Loads are reckoned when batches move or leaders change, never when a record is appended, and not more often than pays:
//! at most every millisecond, and a topic's not before as many microseconds have passed as it has partitions.
//!
//! Sources: KIP-794.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ottla_client::NodeId;

use super::Sender;
use crate::partitioner::Load;

const EVERY: Duration = Duration::from_millis(1);

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Balance {
    told_at: Option<Instant>,
    /// Brokers that have taken nothing for `partitioner.availability.timeout.ms` although something waited.
    slow: BTreeSet<NodeId>,
    /// Topics whose leaders changed.
    changed: BTreeSet<u32>,
}

impl Balance {
    /// A topic's leaders changed, so that its load counts no more.
    pub(super) fn changed(&mut self, topic: u32) {
        self.changed.insert(topic);
    }
}

impl Sender {
    /// Tells the loads of topics in which batches wait.
    pub(crate) fn balance(&mut self, now: Instant) {
        if !self.rules.adaptive {
            return;
        }
        let slow = self.slow(now);
        let mut at_once = std::mem::take(&mut self.lanes.balance.changed);
        if slow != self.lanes.balance.slow {
            tracing::debug!(?slow, "brokers that take nothing get no records without a key");
            at_once.extend(self.lanes.topics.keys());
            self.lanes.balance.slow = slow;
        }
        for topic in &at_once {
            self.reckon(*topic, now);
        }
        if self.lanes.busy.is_empty() || self.lanes.balance.told_at.is_some_and(|at| now < at + EVERY) {
            return;
        }
        self.lanes.balance.told_at = Some(now);
        for topic in self.lanes.busy.clone() {
            let Some(state) = self.lanes.topics.get(&topic) else { continue };
            let rest = Duration::from_micros(state.lanes.len() as u64);
            if !at_once.contains(&topic) && state.reckoned_at.is_none_or(|at| at + rest <= now) {
                self.reckon(topic, now);
            }
        }
    }

    /// When the next broker will count as slow, if it takes nothing until then.
    pub(super) fn next_slow(&self, now: Instant) -> Option<Instant> {
        if !self.rules.adaptive || self.rules.availability.is_zero() {
            return None;
        }
        self.nodes.next_slow(self.rules.availability, now)
    }

    fn slow(&self, now: Instant) -> BTreeSet<NodeId> {
        let timeout = self.rules.availability;
        if timeout.is_zero() { BTreeSet::new() } else { self.nodes.slow(timeout, now).collect() }
    }

    fn reckon(&mut self, id: u32, now: Instant) {
        let Some(topic) = self.lanes.topics.get(&id) else { return };
        let count = topic.lanes.len();
        let (mut queues, mut waits, mut excluded) = (Vec::with_capacity(count), false, false);
        for index in &topic.lanes {
            let Some(lane) = self.lanes.find(*index) else { continue };
            // More may have been filled since the task was told of the first full one.
            let full = if lane.glance.full > 0 { lane.buffer.glance().full } else { 0 };
            let waiting = lane.waiting() + full.saturating_sub(lane.glance.full) as u32;
            waits |= waiting > 0;
            match lane.leader {
                Some(leader) if self.lanes.balance.slow.contains(&leader) => excluded = true,
                Some(_) => queues.push((lane.buffer.partition as u32, waiting)),
                None => {}
            }
        }
        let load = Load::of(&queues, count, excluded);
        let Some(topic) = self.lanes.topics.get_mut(&id) else { return };
        topic.reckoned_at = Some(now);
        if load.is_some() || topic.weighted {
            topic.weighted = load.is_some();
            self.accumulator.set_load(&topic.name, load);
        }
        if !waits {
            self.lanes.busy.remove(&id);
        }
    }
}
