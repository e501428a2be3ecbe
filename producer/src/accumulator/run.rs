//! Many records at once: those that follow each other into the same partition are appended under one lock.

use std::num::NonZeroUsize;
use std::time::Instant;

use super::{Accumulator, Attempt, Reason, Route, recent};
use crate::delivery::Delivery;
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
            if attempt.is_first()
                && let Some(taken) = self.append_run(left, around, deliveries)
            {
                left = &left[taken.get()..];
                continue;
            }
            let result = self.append(record, timestamp, attempt, &around.now, &around.random);
            if result.as_ref().map_or_else(|refusal| refusal.wake, |accepted| accepted.wake) {
                (around.wake)();
            }
            deliveries.push(result.map_err(|refusal| refusal.reason)?.delivery);
            // Room that was not needed is others' from here on.
            *attempt = Attempt::default();
            left = rest;
        }
        Ok(())
    }

    /// Appends the first of `records`, and those behind it that belong into the same partition, as far as there is room
    /// in the open batch; their number. `None` if the first is one for [`Accumulator::append`].
    fn append_run(
        &self,
        records: &[Record<'_>],
        around: &Surroundings<impl Fn() -> Instant, impl Fn() -> u64, impl Fn()>,
        deliveries: &mut Vec<Delivery>,
    ) -> Option<NonZeroUsize> {
        // An own partitioner is asked with no lock held.
        if matches!(self.partitioner, PartitionerClass::Custom(_)) {
            return None;
        }
        let first = records.first()?;
        self.look(first.topic(), |topic| {
            let (at, mut partition) = match self.route(topic, first, None) {
                Ok(Route::Fixed(at)) => (at, topic.partitions.get(at as usize)?.lock()),
                Ok(Route::Sticky) => self.lock_sticky(topic, &around.random)?,
                // A partition that changes with each record has no runs.
                Ok(Route::Next | Route::Random) | Err(_) => return None,
            };
            let belongs = |record: &Record<'_>| {
                if !is_same(record.topic(), first.topic()) || !record.is_within(self.max_record_size) {
                    return None;
                }
                match self.route(topic, record, None) {
                    Ok(Route::Fixed(partition)) => (partition == at).then_some(false),
                    Ok(Route::Sticky) => topic.sticky.is(recent::lane(), at).then_some(true),
                    Ok(Route::Next | Route::Random) | Err(_) => None,
                }
            };
            let (mut taken, mut last, mut is_over) = (0, 0, false);
            for record in records {
                let Some(sticky) = belongs(record) else { break };
                let timestamp = record.timestamp_ms().unwrap_or(around.timestamp);
                let appended = partition.append_to_open(record, timestamp, sticky, &self.closed);
                let Some((index, turn_over)) = appended else { break };
                (taken, last) = (taken + 1, index);
                if turn_over {
                    is_over = true;
                    break;
                }
            }
            let taken = NonZeroUsize::new(taken)?;
            // All of them are in one batch, one behind the other.
            let first = partition.place(last + 1 - taken.get() as u32)?;
            deliveries.extend(records[..taken.get()].iter().zip(0..).map(|(record, behind)| {
                first.behind(behind).delivery(record.timestamp_ms().unwrap_or(around.timestamp))
            }));
            drop(partition);
            if is_over {
                self.end_turn(topic, at, (around.random)());
            }
            Some(taken)
        })
    }
}

/// Whether two names are equal; they are mostly one.
#[inline]
fn is_same(name: &str, other: &str) -> bool {
    std::ptr::eq(name, other) || name == other
}
