//! Many records at once: those that follow each other into the same partition are appended under one lock.

use std::time::Instant;

use super::partition::{Appended, Refused};
use super::{Accumulator, Attempt, Reason, Route};
use crate::completion::Delivery;
use crate::partitioner::PartitionerClass;
use crate::record::Record;

/// What an append of many records needs beside them.
pub(crate) struct Surroundings<N, R, W> {
    /// The time of records that have none.
    pub(crate) timestamp: i64,
    pub(crate) now: N,
    pub(crate) random: R,
    /// Wakes the task.
    pub(crate) wake: W,
}

impl Accumulator {
    /// Appends records in their order, until all are taken or one is not, and pushes their deliveries. The task is woken
    /// as often as it has to know something, so that it sends the first while the last are appended.
    pub(crate) fn append_all(
        &self,
        records: &[Record<'_>],
        attempt: &mut Attempt,
        around: &Surroundings<impl Fn() -> Instant, impl Fn() -> u64, impl Fn()>,
        deliveries: &mut Vec<Delivery>,
    ) -> Result<(), Reason> {
        let mut left = records;
        while let Some((record, rest)) = left.split_first() {
            let timestamp = record.timestamp_ms().unwrap_or(around.timestamp);
            let result = self.append(record, timestamp, attempt, &around.now, &around.random);
            if result.as_ref().map_or_else(|refusal| refusal.wake, |accepted| accepted.wake) {
                (around.wake)();
            }
            let delivery = result.map_err(|refusal| refusal.reason)?.delivery;
            // Room that was not needed is others' from here on.
            *attempt = Attempt::default();
            let run = self.append_run(record.topic(), delivery.partition() as u32, rest, around, {
                deliveries.push(delivery);
                &mut *deliveries
            });
            left = &rest[run..];
        }
        Ok(())
    }

    /// Appends those of `records` that come first and belong into this partition, as far as there is room; their number.
    fn append_run(
        &self,
        name: &str,
        at: u32,
        records: &[Record<'_>],
        around: &Surroundings<impl Fn() -> Instant, impl Fn() -> u64, impl Fn()>,
        deliveries: &mut Vec<Delivery>,
    ) -> usize {
        // An own partitioner is asked with no lock held, and a partition that changes with each record has no runs.
        if matches!(self.partitioner, PartitionerClass::Custom(_)) {
            return 0;
        }
        let topics = self.topics();
        let Some(topic) = topics.get(name) else { return 0 };
        let belongs = |record: &Record<'_>| {
            if !is_same(record.topic(), name) || !record.is_within(self.max_record_size) {
                return None;
            }
            match self.route(topic, record, None) {
                Ok(Route::Fixed(partition)) => (partition == at).then_some(false),
                Ok(Route::Sticky) => topic.sticky.is(at).then_some(true),
                Ok(Route::Next | Route::Random) | Err(_) => None,
            }
        };
        let mut next = records.iter().map_while(|record| Some((record, belongs(record)?))).peekable();
        if next.peek().is_none() {
            return 0;
        }
        let (room, mut taken, mut wake) = (self.room(), 0, false);
        let mut partition = topic.partitions[at as usize].lock();
        for (record, sticky) in next {
            let timestamp = record.timestamp_ms().unwrap_or(around.timestamp);
            match partition.append(record, timestamp, sticky, &room, &mut None, &around.now) {
                Ok(Appended { delivery, wake: now_wake, turn_over }) => {
                    wake |= now_wake;
                    deliveries.push(delivery);
                    taken += 1;
                    if turn_over {
                        topic.sticky.move_on(at, &topic.now, (around.random)());
                    }
                }
                Err(Refused::TurnOver { wake: now_wake }) => {
                    wake |= now_wake;
                    topic.sticky.move_on(at, &topic.now, (around.random)());
                    break;
                }
                Err(Refused::NoRoom { wake: now_wake, .. }) => {
                    wake |= now_wake;
                    break;
                }
                // Appended on its own, it will say what is wrong.
                Err(Refused::TooLarge | Refused::Closed) => break,
            }
        }
        drop(partition);
        if wake {
            (around.wake)();
        }
        taken
    }
}

/// Whether two names are equal; they are mostly one.
#[inline]
fn is_same(name: &str, other: &str) -> bool {
    std::ptr::eq(name, other) || name == other
}
