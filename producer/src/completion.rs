//! [`Completion`]: a batch's outcome, for all who wait for it; and [`Teller`], who has to tell it.
//!
//! There is one completion for a batch. Guarantee: it is told exactly once, and whoever waits for it, or asks later, sees
//! that outcome. A batch that a broker found too large is told "split", with the completions of its parts, and the
//! [deliveries](Delivery) follow their records there.
//!
//! Sources: KIP-467 (errors of single records).

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Poll, Waker};

use ottla_client::{Error, ErrorKind};

use crate::acknowledge::{Attach, Attached, Lineup};
use crate::delivery::{Delivered, Delivery};

/// A batch's outcome to come.
#[derive(Debug)]
pub(crate) struct Completion {
    topic: Arc<str>,
    partition: i32,
    outcome: OnceLock<Outcome>,
    waiters: Mutex<Vec<Waker>>,
}

impl Completion {
    pub(crate) fn new(topic: Arc<str>, partition: i32) -> Arc<Self> {
        Arc::new(Completion { topic, partition, outcome: OnceLock::new(), waiters: Mutex::default() })
    }

    /// The topic.
    pub(crate) fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The partition's number.
    pub(crate) fn partition_id(&self) -> i32 {
        self.partition
    }

    /// The outcome of the record at `index`, if it is known and the batch was not split.
    pub(crate) fn outcome_of(&self, index: u32, timestamp: i64) -> Option<Result<Delivered, Error>> {
        match self.outcome.get()? {
            Outcome::Split(_) => None,
            told => Some(told.of(self, index, timestamp)),
        }
    }

    /// The outcome, if it is known.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.get()
    }

    /// The partition, as `topic-0`.
    pub(crate) fn partition(&self) -> String {
        format!("{}-{}", self.topic, self.partition)
    }

    /// Tells the outcome and wakes whoever waits. False if it was told before; the first outcome stands.
    pub(crate) fn tell(&self, outcome: Outcome) -> bool {
        // Under the lock, so that nobody registers between the outcome and the wakers' being taken.
        let mut waiters = self.waiters();
        let first = self.outcome.set(outcome).is_ok();
        let woken = std::mem::take(&mut *waiters);
        drop(waiters);
        woken.into_iter().for_each(Waker::wake);
        first
    }

    /// Waits until every record of the batch has its outcome, whatever it is.
    pub(crate) async fn told(self: Arc<Self>) {
        let mut open = vec![self];
        while let Some(batch) = open.pop() {
            let mut slot = Slot::NONE;
            std::future::poll_fn(|cx| match batch.outcome.get() {
                Some(_) => Poll::Ready(()),
                None if batch.register(&mut slot, cx.waker()) => Poll::Pending,
                None => Poll::Ready(()),
            })
            .await;
            if let Some(Outcome::Split(parts)) = batch.outcome.get() {
                open.extend(parts.iter().map(|part| Arc::clone(&part.completion)));
            }
        }
    }

    /// Whether the outcome is known. A split batch counts as told: its parts are not this batch any more.
    #[cfg(test)]
    pub(crate) fn is_told(&self) -> bool {
        self.outcome.get().is_some()
    }

    /// Notes a waker in `slot`; false if the outcome is known by now.
    pub(crate) fn register(&self, slot: &mut Slot, waker: &Waker) -> bool {
        let mut waiters = self.waiters();
        if self.outcome.get().is_some() {
            return false;
        }
        match waiters.get_mut(slot.0 as usize) {
            Some(known) => known.clone_from(waker),
            None => {
                *slot = Slot(waiters.len() as u32);
                waiters.push(waker.clone());
            }
        }
        true
    }

    fn waiters(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A waker's place; the last number means none. A batch has fewer records than that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot(pub(crate) u32);

impl Slot {
    pub(crate) const NONE: Slot = Slot(u32::MAX);
}

/// The one who has to tell a batch's outcome. If it is dropped with nothing told (a runtime that shuts down drops tasks
/// wherever they are), the records are told that, so that no delivery waits for ever.
#[derive(Debug)]
pub(crate) struct Teller {
    completion: Arc<Completion>,
    /// What the application attached to the records.
    attached: Option<Box<Attached>>,
}

impl Teller {
    pub(crate) fn new(topic: Arc<str>, partition: i32) -> Self {
        Teller { completion: Completion::new(topic, partition), attached: None }
    }

    /// Shares the completion.
    pub(crate) fn share(&self) -> Arc<Completion> {
        Arc::clone(&self.completion)
    }

    /// A teller for a part of this batch.
    pub(crate) fn part(&self) -> Self {
        Teller::new(Arc::clone(&self.completion.topic), self.completion.partition)
    }

    /// Notes what the application attached to the record of this delivery, the last one of the batch so far.
    pub(crate) fn attach(&mut self, delivery: &Delivery, attach: &mut Attach<'_>, lineup: &mut Lineup) {
        Attached::add(&mut self.attached, delivery.index(), delivery.timestamp(), attach, lineup);
    }

    /// Gives what is attached to the parts of the batch; the second begins with the record at `first`.
    pub(crate) fn hand_on(&mut self, first: u32, left: &mut Teller, right: &mut Teller) {
        if let Some(attached) = self.attached.take() {
            [left.attached, right.attached] = attached.split(first);
        }
    }

    /// Tells the outcome, and hands on what is attached. False if it was told before; the first outcome stands.
    pub(crate) fn tell(&mut self, outcome: Outcome) -> bool {
        let first = self.completion.tell(outcome);
        if let Some(attached) = self.attached.take() {
            attached.told(&self.completion);
        }
        first
    }
}

impl std::ops::Deref for Teller {
    type Target = Completion;

    fn deref(&self) -> &Completion {
        &self.completion
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        if self.completion.outcome.get().is_none() {
            let message = format!(
                "the producer's task ended before records for {} had an outcome",
                self.completion.partition()
            );
            self.tell(Outcome::Failed(Error::new(ErrorKind::Closed, message).with_possibly_written(true)));
        } else if let Some(attached) = self.attached.take() {
            // Somebody else told the completion.
            attached.told(&self.completion);
        }
    }
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All records are written.
    Acknowledged {
        /// The first record's offset, where the broker said it.
        base_offset: Option<i64>,
        /// The broker's time, where the topic uses it.
        log_append_time: Option<i64>,
    },
    /// No record is acknowledged.
    Failed(Error),
    /// No record is acknowledged, and the broker named the ones at fault.
    FailedByRecords {
        /// By ascending place in the batch.
        at_fault: Box<[(u32, Error)]>,
        /// What the other records are told.
        others: Error,
    },
    /// The records went on in smaller batches, by ascending first record.
    Split(Box<[Part]>),
}

/// A part of a batch that was split.
#[derive(Debug)]
pub(crate) struct Part {
    /// Place of its first record in the whole batch; 0 in the first part.
    pub(crate) first: u32,
    pub(crate) completion: Arc<Completion>,
}

impl Outcome {
    /// What became of the record at `index`; of a batch that was split, its parts know.
    pub(crate) fn of(&self, batch: &Completion, index: u32, timestamp: i64) -> Result<Delivered, Error> {
        match self {
            Outcome::Acknowledged { base_offset, log_append_time } => Ok(Delivered {
                topic: Arc::clone(&batch.topic),
                partition: batch.partition,
                offset: base_offset.map(|base| base + i64::from(index)),
                timestamp: log_append_time.unwrap_or(timestamp),
            }),
            Outcome::Failed(error) => Err(error.clone()),
            Outcome::FailedByRecords { at_fault, others } => Err(at_fault
                .binary_search_by_key(&index, |(at, _)| *at)
                .map_or_else(|_| others.clone(), |at| at_fault[at].1.clone())),
            Outcome::Split(_) => unreachable!("a delivery follows a split before it asks"),
        }
    }
}
