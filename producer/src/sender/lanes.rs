//! [`Lanes`]: all partitions of the producer's task, by index and by topic.
//!
//! A topic that is idle for `metadata.max.idle.ms` is forgotten with its lanes. What stays of a partition is where its
//! sequence stands ([`Kept`]): brokers remember the numbers they have seen, and would take a second number 0 of the same
//! epoch for a repeat.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Index, IndexMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_client::NodeId;

use super::balance::Balance;
use super::lane::Lane;
use crate::accumulator::PartitionBuffer;
use crate::sequence::{Kept, Sequences};

/// The partitions.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    slots: Vec<Option<Box<Lane>>>,
    pub(super) topics: BTreeMap<u32, TopicLanes>,
    by_name: HashMap<Arc<str>, u32>,
    next_topic: u32,
    /// Of forgotten topics.
    kept: HashMap<Arc<str>, KeptTopic>,
    /// Topics in which batches wait, or waited when their load was told last.
    pub(super) busy: BTreeSet<u32>,
    pub(super) balance: Balance,
    /// When to look for idle topics.
    idle_check: Option<Instant>,
}

/// The lanes of a topic.
#[derive(Debug)]
pub(super) struct TopicLanes {
    pub(super) name: Arc<str>,
    pub(super) lanes: Vec<u32>,
    /// When records came last, as far as the task was told.
    pub(super) used_at: Instant,
    /// When its load was reckoned last.
    pub(super) reckoned_at: Option<Instant>,
    /// Whether its partitions are drawn by weights.
    pub(super) weighted: bool,
}

/// What stays of a topic that was forgotten.
#[derive(Debug, Default)]
struct KeptTopic {
    by_partition: Vec<Option<Kept>>,
    /// How many of them are something.
    count: usize,
}

impl Lanes {
    /// The lane of this index, unless its topic was forgotten.
    pub(super) fn find(&self, index: u32) -> Option<&Lane> {
        self.slots.get(index as usize)?.as_deref()
    }

    pub(super) fn find_mut(&mut self, index: u32) -> Option<&mut Lane> {
        self.slots.get_mut(index as usize)?.as_deref_mut()
    }

    /// All indices that a lane may have.
    pub(super) fn indices(&self) -> std::ops::Range<u32> {
        0..self.slots.len() as u32
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Lane> {
        self.slots.iter_mut().filter_map(|slot| slot.as_deref_mut())
    }

    /// Makes a lane for a partition, which goes on with its sequence if it had one.
    pub(super) fn meet(
        &mut self,
        buffer: Arc<PartitionBuffer>,
        leader: Option<NodeId>,
        now: Instant,
        sequences: impl FnOnce(Option<Kept>) -> Sequences,
    ) {
        let index = buffer.index;
        let kept = self.take_kept(&buffer);
        let topic = match self.by_name.get(&buffer.topic) {
            Some(&topic) => topic,
            None => {
                let topic = self.next_topic;
                self.next_topic += 1;
                self.by_name.insert(Arc::clone(&buffer.topic), topic);
                topic
            }
        };
        let name = || Arc::clone(&buffer.topic);
        let lanes = self.topics.entry(topic).or_insert_with(|| TopicLanes {
            name: name(),
            lanes: Vec::new(),
            used_at: now,
            reckoned_at: None,
            weighted: false,
        });
        lanes.lanes.push(index);
        lanes.used_at = now;
        if self.slots.len() <= index as usize {
            self.slots.resize_with(index as usize + 1, || None);
        }
        self.slots[index as usize] = Some(Box::new(Lane::new(buffer, topic, leader, sequences(kept))));
    }

    /// Records came for a partition.
    pub(super) fn used(&mut self, index: u32, now: Instant) {
        if let Some(topic) = self.find(index).map(|lane| lane.topic)
            && let Some(topic) = self.topics.get_mut(&topic)
        {
            topic.used_at = now;
        }
    }

    /// Notes whether batches wait in a partition.
    pub(super) fn note(&mut self, index: u32) {
        if let Some(lane) = self.find(index)
            && lane.waiting() > 0
        {
            self.busy.insert(lane.topic);
        }
    }

    /// The topics that were idle for so long; asked in vain too early, it does nothing.
    pub(super) fn idle(&mut self, now: Instant, max_idle: Duration) -> Vec<Arc<str>> {
        if self.topics.is_empty() || self.idle_check.is_some_and(|at| at > now) {
            return Vec::new();
        }
        // Topics are few or many, but never looked over often.
        let soonest = now + (max_idle / 100).max(Duration::from_millis(1));
        let (mut idle, mut next) = (Vec::new(), now + max_idle);
        let ids: Vec<u32> = self.topics.keys().copied().collect();
        for id in ids {
            let due = self.topics[&id].used_at + max_idle;
            if due > now {
                next = next.min(due);
            } else if self.is_quiet(id) {
                idle.push(Arc::clone(&self.topics[&id].name));
            } else {
                next = soonest;
            }
        }
        self.idle_check = Some(next.max(soonest));
        idle
    }

    /// When to look for idle topics next.
    pub(super) fn next_idle_check(&self) -> Option<Instant> {
        self.idle_check.filter(|_| !self.topics.is_empty())
    }

    /// Whether nothing of a topic is under way.
    fn is_quiet(&mut self, topic: u32) -> bool {
        let Some(lanes) = self.topics.get(&topic).map(|topic| topic.lanes.clone()) else { return true };
        lanes.into_iter().all(|index| {
            self.find_mut(index).is_none_or(|lane| {
                lane.look();
                lane.is_told() && lane.sequences.is_empty()
            })
        })
    }

    /// Forgets a topic of which nothing is under way and whose buffers `evict` could remove.
    pub(super) fn forget(&mut self, name: &str, evict: impl FnOnce() -> bool) -> bool {
        let Some(&id) = self.by_name.get(name) else { return evict() };
        if !self.is_quiet(id) || !evict() {
            return false;
        }
        self.by_name.remove(name);
        self.busy.remove(&id);
        let Some(topic) = self.topics.remove(&id) else { return true };
        let mut kept = self.kept.remove(name).unwrap_or_default();
        for index in topic.lanes {
            let Some(lane) = self.slots[index as usize].take() else { continue };
            let partition = lane.buffer.partition as usize;
            if let Some(sequence) = lane.sequences.keep() {
                if kept.by_partition.len() <= partition {
                    kept.by_partition.resize_with(partition + 1, || None);
                }
                kept.count += usize::from(kept.by_partition[partition].replace(sequence).is_none());
            }
        }
        if kept.count > 0 {
            kept.by_partition.shrink_to_fit();
            self.kept.insert(topic.name, kept);
        }
        while self.slots.last().is_some_and(Option::is_none) {
            self.slots.pop();
        }
        self.slots.shrink_to(2 * self.slots.len());
        true
    }

    fn take_kept(&mut self, buffer: &PartitionBuffer) -> Option<Kept> {
        let kept = self.kept.get_mut(&buffer.topic)?;
        let found = kept.by_partition.get_mut(buffer.partition as usize)?.take()?;
        kept.count -= 1;
        if kept.count == 0 {
            self.kept.remove(&buffer.topic);
        }
        Some(found)
    }
}

impl Index<u32> for Lanes {
    type Output = Lane;

    fn index(&self, index: u32) -> &Lane {
        self.find(index).expect("a topic with something under way is not forgotten")
    }
}

impl IndexMut<u32> for Lanes {
    fn index_mut(&mut self, index: u32) -> &mut Lane {
        self.find_mut(index).expect("a topic with something under way is not forgotten")
    }
}
