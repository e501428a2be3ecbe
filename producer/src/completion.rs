//! [`Completion`] and [`Delivery`]: how a batch's outcome reaches the records in it.
//!
//! There is one completion for a batch and nothing for a record: a [`Delivery`] is a share of the completion and the
//! record's place in the batch. Guarantee: a completion is told exactly once, and every delivery that waits on it, or
//! is polled later, sees that outcome. A batch that a broker found too large is told "split", with the completions of
//! its parts, and its deliveries follow their record there.
//!
//! Sources: KIP-467 (errors of single records).

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use ottla_client::{Error, ErrorKind};

use crate::acknowledge::{Attach, Attached, Lineup};

/// Where a record was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset. Unknown with `acks=0`, and where the broker only said that it has had the record before.
    pub offset: Option<i64>,
    /// Milliseconds since 1970: the record's own time, or the broker's where the topic uses log-append time.
    pub timestamp: i64,
}

/// A record's outcome to come: a future that can be awaited, kept or dropped. Dropping it changes nothing for the
/// record.
///
/// # Errors
/// Why the record was not acknowledged; [`Error::possibly_written`] says whether it may be in the log even so.
///
/// # Cancel safety
/// It can be polled, kept aside and polled again.
#[derive(Debug)]
#[must_use = "the record is sent in any case, but only the delivery tells whether it arrived"]
pub struct Delivery {
    batch: Arc<Completion>,
    seat: Seat,
    timestamp: i64,
}

/// A record's batch, and which of its records it is.
///
/// What an append hands on from function to function: two words, which stay in registers. A [`Delivery`] was put together
/// from parts in memory and read back as a whole at each step, for which processors wait; that took a fifth of `send`.
#[derive(Debug)]
pub(crate) struct Place {
    batch: Arc<Completion>,
    index: u32,
}

impl Place {
    pub(crate) fn new(batch: Arc<Completion>, index: u32) -> Self {
        Place { batch, index }
    }

    /// The place so many records further on in the same batch.
    #[inline(always)]
    pub(crate) fn behind(&self, records: u32) -> Self {
        Place { batch: Arc::clone(&self.batch), index: self.index + records }
    }

    /// The delivery of the record, which has this timestamp.
    #[inline(always)]
    pub(crate) fn delivery(self, timestamp: i64) -> Delivery {
        Delivery::new(self.batch, self.index, timestamp)
    }
}

impl Delivery {
    #[inline(always)]
    pub(crate) fn new(batch: Arc<Completion>, index: u32, timestamp: i64) -> Self {
        Delivery { batch, seat: Seat::new(index), timestamp }
    }

    /// The topic that the record goes to.
    pub fn topic(&self) -> &str {
        &self.batch.topic
    }

    /// The partition that the record goes to.
    pub fn partition(&self) -> i32 {
        self.batch.partition
    }

    /// The outcome, if it is known.
    pub fn outcome(&mut self) -> Option<Result<Delivered, Error>> {
        loop {
            match self.batch.outcome.get()? {
                Outcome::Split(parts) => {
                    let index = self.seat.index();
                    let part = parts.partition_point(|part| part.first <= index) - 1;
                    let Part { first, completion } = &parts[part];
                    self.seat = Seat::new(index - first);
                    self.batch = Arc::clone(completion);
                }
                told => return Some(told.of(&self.batch, self.seat.index(), self.timestamp)),
            }
        }
    }
}

impl Future for Delivery {
    type Output = Result<Delivered, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if let Some(outcome) = self.outcome() {
                return Poll::Ready(outcome);
            }
            let this = &mut *self;
            let mut slot = this.seat.slot();
            let is_waiting = this.batch.register(&mut slot, cx.waker());
            this.seat = this.seat.with(slot);
            if is_waiting {
                return Poll::Pending;
            }
        }
    }
}

/// Which of its batch's records one is, and the place of its delivery's waker among the completion's, once it has waited.
///
/// One word, since a delivery is made in every `send` and moved at once: two half words, moved as one, are waited for.
#[derive(Clone, Copy, Debug)]
struct Seat(u64);

impl Seat {
    #[inline(always)]
    const fn new(index: u32) -> Self {
        Seat((Slot::NONE.0 as u64) << 32 | index as u64)
    }

    const fn index(self) -> u32 {
        self.0 as u32
    }

    const fn slot(self) -> Slot {
        Slot((self.0 >> 32) as u32)
    }

    const fn with(self, slot: Slot) -> Self {
        Seat((slot.0 as u64) << 32 | self.index() as u64)
    }
}

/// A waker's place; the last number means none. A batch has fewer records than that.
#[derive(Clone, Copy, Debug)]
struct Slot(u32);

impl Slot {
    const NONE: Slot = Slot(u32::MAX);
}

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
    fn register(&self, slot: &mut Slot, waker: &Waker) -> bool {
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
        Attached::add(&mut self.attached, delivery.seat.index(), delivery.timestamp, attach, lineup);
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
    fn of(&self, batch: &Completion, index: u32, timestamp: i64) -> Result<Delivered, Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn acknowledged(base: i64) -> Outcome {
        Outcome::Acknowledged { base_offset: Some(base), log_append_time: None }
    }

    fn poll(delivery: &mut Delivery) -> Poll<Result<Delivered, Error>> {
        Pin::new(delivery).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn records_of_a_batch_get_consecutive_offsets_and_their_own_timestamps() {
        let batch = Completion::new("t".into(), 3);
        let mut first = Delivery::new(Arc::clone(&batch), 0, 10);
        let mut third = Delivery::new(Arc::clone(&batch), 2, 12);
        assert!(poll(&mut first).is_pending());
        assert!(batch.tell(acknowledged(100)));
        let delivered = |offset, timestamp| Delivered {
            topic: "t".into(),
            partition: 3,
            offset: Some(offset),
            timestamp,
        };
        assert!(matches!(poll(&mut first), Poll::Ready(Ok(d)) if d == delivered(100, 10)));
        assert!(matches!(poll(&mut third), Poll::Ready(Ok(d)) if d == delivered(102, 12)));
    }

    #[test]
    fn only_the_first_outcome_stands() {
        let batch = Completion::new("t".into(), 0);
        assert!(batch.tell(acknowledged(1)));
        assert!(!batch.tell(Outcome::Failed(Error::new(ErrorKind::Timeout, "late"))));
        let mut delivery = Delivery::new(batch, 0, 0);
        assert!(matches!(poll(&mut delivery), Poll::Ready(Ok(d)) if d.offset == Some(1)));
    }

    #[test]
    fn deliveries_follow_their_record_into_the_parts_of_a_split_batch() {
        let whole = Completion::new("t".into(), 0);
        let mut deliveries: Vec<_> = (0..4).map(|i| Delivery::new(Arc::clone(&whole), i, 0)).collect();
        for delivery in &mut deliveries {
            assert!(poll(delivery).is_pending());
        }
        let parts = [Completion::new("t".into(), 0), Completion::new("t".into(), 0)];
        let part = |first, at: usize| Part { first, completion: Arc::clone(&parts[at]) };
        whole.tell(Outcome::Split([part(0, 0), part(3, 1)].into()));
        assert!(poll(&mut deliveries[0]).is_pending());
        parts[1].tell(acknowledged(50));
        parts[0].tell(acknowledged(7));
        let offsets: Vec<_> = deliveries
            .iter_mut()
            .map(|delivery| match poll(delivery) {
                Poll::Ready(Ok(delivered)) => delivered.offset,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(offsets, [Some(7), Some(8), Some(9), Some(50)]);
    }

    #[test]
    fn errors_of_single_records_reach_those_records_only() {
        let batch = Completion::new("t".into(), 0);
        let error = |text: &str| Error::new(ErrorKind::Broker, text);
        batch.tell(Outcome::FailedByRecords {
            at_fault: [(1, error("bad key"))].into(),
            others: error("neighbour"),
        });
        let text = |index| match poll(&mut Delivery::new(Arc::clone(&batch), index, 0)) {
            Poll::Ready(Err(error)) => error.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(text(0).contains("neighbour") && text(1).contains("bad key"));
    }
}
