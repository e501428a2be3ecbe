//! [`Delivery`]: a record's outcome to come.
//!
//! There is nothing for a record but a share of its batch's [`Completion`] and its place in the batch. Guarantee: a delivery
//! that is awaited, or asked later, sees the outcome that the batch was told; where the batch was split, it follows its
//! record into the part.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ottla_client::Error;

use crate::completion::{Completion, Outcome, Part, Slot};

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
        self.batch.topic()
    }

    /// The partition that the record goes to.
    pub fn partition(&self) -> i32 {
        self.batch.partition_id()
    }

    /// The record's place in its batch.
    pub(crate) fn index(&self) -> u32 {
        self.seat.index()
    }

    /// The record's own time.
    pub(crate) fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// The outcome, if it is known.
    pub fn outcome(&mut self) -> Option<Result<Delivered, Error>> {
        loop {
            match self.batch.outcome()? {
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

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use ottla_client::ErrorKind;

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
