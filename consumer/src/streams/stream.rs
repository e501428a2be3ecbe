//! [`PartitionStream`]: the records of one partition, for a task of its own.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use ottla_client::{Error, ErrorKind, TopicPartition};

use super::{Progress, Slot};
use crate::fetch::buffer::Reading;
use crate::fetch::driver::{Shared, now, random};
use crate::record::Record;
use crate::turn::Turn;

/// The records of one partition, from
/// [`PartitionStreams`](crate::PartitionStreams). It can move to a task of its own.
///
/// Asking for the next record says that the one before is processed. The stream ends when the partition is to be given
/// away, at a rebalance or when the consumer is closed: then the revocation waits for the holder to reach that end (with
/// `commit.mode=acked`: to drop the stream, so that what is outstanding can still be acknowledged), commits, and goes on.
///
/// Dropping it before its end gives the partition back to the consumer, which offers a new stream of it: from the record
/// on that was handed out last, as that one does not count as processed.
///
/// What is fetched ahead of a slow holder is at most an equal part of `queued.max.bytes`, and at most about three times
/// `max.partition.fetch.bytes` (but a batch comes whole); other partitions go on meanwhile.
pub struct PartitionStream {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    reading: Option<Reading>,
    turn: Turn,
    /// Whether records are acknowledged one by one.
    acked: bool,
    ended: bool,
}

/// What a look at the buffer came to.
enum Look {
    Record(Record),
    Failed(Error),
    Nothing,
    Ended,
}

impl PartitionStream {
    pub(crate) fn new(shared: Arc<Shared>, slot: Arc<Slot>, acked: bool) -> PartitionStream {
        PartitionStream { shared, slot, reading: None, turn: Turn::default(), acked, ended: false }
    }

    /// The partition.
    pub fn partition(&self) -> &TopicPartition {
        self.slot.partition()
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// Kind `CorruptRecord`: the position stays before the batch, which is tried again, unless [`PartitionStream::skip_damaged`]
    /// passes over it. All else that concerns the partition is returned by
    /// [`PartitionStreams::next`](crate::PartitionStreams::next).
    ///
    /// # Cancel safety
    /// Safe: a record is only taken when it is returned.
    pub async fn next(&mut self) -> Option<Result<Record, Error>> {
        poll_fn(|cx| self.poll_record(cx)).await
    }

    /// Passes over the batch that the last error of kind `CorruptRecord` was about; the offset that reading goes on at. Without
    /// it, the batch is fetched again and the error returned again, as the damage may have happened on the way.
    ///
    /// # Errors
    /// Kind `InvalidState` if [`PartitionStream::next`] has returned no such error last, if the damage leaves no trace of
    /// where the batch ends (then it takes a listener's seek beyond it), or if the stream has come to its end.
    pub fn skip_damaged(&mut self) -> Result<i64, Error> {
        let partition = self.slot.partition();
        let refuse = |what: &str| Err(Error::new(ErrorKind::InvalidState, format!("{partition} {what}")));
        if self.reading.is_some() {
            return refuse("stands before no batch that cannot be read");
        }
        let next = {
            // Under the lock under which the partition is given away.
            let mut state = self.shared.state();
            if self.ended || !self.slot.is_open() {
                return refuse("is given away: its stream has come to its end");
            }
            state.settle_streams();
            state.skip(partition)?
        };
        self.shared.work.notify_one();
        Ok(next)
    }

    fn poll_record(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Record, Error>>> {
        if self.turn.is_over(now) && self.turn.begin_next(now()) {
            // It wakes the task once the others on its thread have had their turn.
            let others = pin!(tokio::task::yield_now()).poll(cx);
            if others.is_pending() {
                return Poll::Pending;
            }
        }
        loop {
            match self.look() {
                Look::Record(record) => return Poll::Ready(Some(Ok(record))),
                Look::Failed(error) => return Poll::Ready(Some(Err(error))),
                Look::Ended => return Poll::Ready(None),
                Look::Nothing if self.slot.sleep(cx.waker()) => {
                    self.turn.waited();
                    return Poll::Pending;
                }
                Look::Nothing => {}
            }
        }
    }

    fn look(&mut self) -> Look {
        if self.ended || !self.slot.ask() {
            return self.end();
        }
        loop {
            let reading = match &mut self.reading {
                Some(reading) => reading,
                none => match self.shared.state().reading_of(self.slot.partition()) {
                    Some(reading) => none.insert(reading),
                    None => return Look::Nothing,
                },
            };
            match reading.fetch.next_record() {
                Ok(Some(record)) => {
                    let then = Progress {
                        generation: reading.generation,
                        offset: reading.fetch.next_offset(),
                        leader_epoch: reading.fetch.leader_epoch(),
                    };
                    return if self.hand_out(&record, then) { Look::Record(record) } else { self.end() };
                }
                Ok(None) => {
                    let mut state = self.shared.state();
                    state.settle(reading);
                    state.buffer.finish(reading);
                    drop(state);
                    self.reading = None;
                    self.shared.work.notify_one();
                }
                Err(error) => {
                    let error = self.shared.state().damaged(reading, error, now(), random());
                    self.reading = None;
                    self.shared.work.notify_one();
                    return Look::Failed(error);
                }
            }
        }
    }

    /// Whether the record may be handed out.
    fn hand_out(&self, record: &Record, then: Progress) -> bool {
        if !self.acked {
            return self.slot.hand_out(then);
        }
        // Under the lock under which the partition is given away, so that nothing is noted of it afterwards.
        let mut state = self.shared.state();
        let handed_out = self.slot.hand_out(then);
        if handed_out && let Some(acks) = &mut state.acks {
            acks.hand_out(std::slice::from_ref(record));
        }
        handed_out
    }

    fn end(&mut self) -> Look {
        self.ended = true;
        self.reading = None;
        if !self.acked {
            self.slot.release();
        }
        Look::Ended
    }
}

impl Stream for PartitionStream {
    type Item = Result<Record, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_record(cx)
    }
}

impl Drop for PartitionStream {
    fn drop(&mut self) {
        if self.slot.leave() {
            self.shared.state().take_back(&self.slot);
            self.shared.work.notify_one();
            self.shared.news.notify_one();
        }
    }
}

impl fmt::Debug for PartitionStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionStream")
            .field("partition", &format_args!("{}", self.partition()))
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
