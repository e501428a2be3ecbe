//! Records as nearly all are: into a batch that is open, with no lock taken but the partition's.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::partition::{Locked, PartitionBuffer};
use super::recent::{self, Known};
use super::topics::TopicBuffers;
use super::{Accumulator, Route};
use crate::delivery::Place;
use crate::partitioner::{PartitionerClass, Sticky};
use crate::record::Record;

impl Accumulator {
    /// Appends a record as nearly all are: to a batch that is open, in a partition that nobody has to be asked for. `None`
    /// if anything is otherwise, of which [`Accumulator::append`] makes what there is to make; then nothing has happened.
    #[inline(always)]
    pub(crate) fn append_quickly(
        &self,
        record: &Record<'_>,
        timestamp: i64,
        random: impl Fn() -> u64,
    ) -> Option<Place> {
        let is_custom = matches!(self.partitioner, PartitionerClass::Custom(_));
        if !record.is_within(self.max_record_size) || is_custom && record.chosen_partition().is_none() {
            return None;
        }
        self.look(record.topic(), |topic| {
            let (at, sticky, mut partition) = match self.route(topic, record, None) {
                Ok(Route::Fixed(at)) => (at, false, topic.partitions.get(at as usize)?.lock()),
                Ok(Route::Sticky) => {
                    let (at, partition) = self.lock_sticky(topic, &random)?;
                    (at, true, partition)
                }
                Ok(Route::Next | Route::Random) | Err(_) => return None,
            };
            let (index, turn_over) = partition.append_to_open(record, timestamp, sticky, &self.closed)?;
            let place = partition.place(index)?;
            if turn_over {
                drop(partition);
                self.end_turn(topic, at, random());
            }
            Some(place)
        })
    }

    /// Locks the sticky partition of this thread.
    #[inline(always)]
    pub(super) fn lock_sticky<'t>(
        &self,
        topic: &'t TopicBuffers,
        random: impl Fn() -> u64,
    ) -> Option<(u32, Locked<'t>)> {
        let at = topic.sticky.current_of(recent::lane())?;
        let buffer = topic.partitions.get(at as usize)?;
        match buffer.try_lock() {
            Some(partition) => Some((at, partition)),
            None => Some(self.lock_another(topic, at, buffer, random())),
        }
    }

    /// Locks the partition of the next lane: at `at` somebody is appending. Threads that send much spread over as many
    /// partitions as they need, and do not queue for one while others are free.
    #[cold]
    #[inline(never)]
    fn lock_another<'t>(
        &self,
        topic: &'t TopicBuffers,
        at: u32,
        busy: &'t PartitionBuffer,
        random: u64,
    ) -> (u32, Locked<'t>) {
        let lane = Sticky::next_lane(recent::lane());
        let other = topic.sticky.apart_from(at, lane, &topic.now, random);
        match topic.partitions.get(other as usize) {
            Some(partition) if other != at => {
                recent::set_lane(lane);
                (other, partition.lock())
            }
            _ => (at, busy.lock()),
        }
    }

    /// Moves the thread's lane on, and the thread back to the lane that all begin with: where nobody is in its way any
    /// more, one partition is enough, whose batches are fuller.
    #[cold]
    #[inline(never)]
    pub(super) fn end_turn(&self, topic: &TopicBuffers, from: u32, random: u64) -> u32 {
        let lane = recent::lane();
        recent::set_lane(0);
        let next = topic.sticky.move_on(lane, from, &topic.now, random);
        if lane == 0 { next } else { topic.sticky.current(0, &topic.now, || random) }
    }

    /// Looks at a topic as it is now.
    #[inline(always)]
    pub(super) fn look<T>(&self, name: &str, look: impl FnMut(&TopicBuffers) -> Option<T>) -> Option<T> {
        recent::look(self.epoch.load(Ordering::Acquire), name, || self.find(name), look)
    }

    /// Finds a topic, and in which epoch.
    #[cold]
    #[inline(never)]
    fn find(&self, name: &str) -> Option<Known> {
        let topics = self.topics();
        let topic = Arc::clone(topics.get(name)?);
        // It is stored under the lock only.
        Some(Known { epoch: self.epoch.load(Ordering::Relaxed), topic })
    }
}
