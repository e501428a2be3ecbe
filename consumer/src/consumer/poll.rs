//! Records out: `poll`, `next` and the stream.
//!
//! Guarantee: a position moves in the same step in which its record is returned; everything before that step may be dropped
//! at any await.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;
use ottla_client::{Error, ErrorKind, TopicPartition};
use ottla_protocol::records::RecordError;

use super::{Consumer, driver};
use crate::ack::Acks;
use crate::batch::RecordBatch;
use crate::fetch::completed::CompletedFetch;
use crate::fetch::driver::{now, random};
use crate::options::CommitMode;
use crate::record::{Record, Records};

impl Consumer {
    /// The next records, at most `max.poll.records`: those at hand, or those that come within `timeout`; none if none come.
    ///
    /// Rebalances happen inside: the listener runs here, and `poll` may end without records while it is not done. Calling
    /// it says that what was returned before has been processed: it counts for commits from now on, and for
    /// `max.poll.interval.ms`.
    ///
    /// # Errors
    /// Each is returned once, and polling may go on after it: `OffsetOutOfRange` and `LogTruncated` without a reset policy,
    /// `Authorization`, `CorruptRecord` (the position stays before the batch), `UnknownTopic`; the listener's own; and
    /// errors of the group, those that keep the consumer out for good by every poll until `unsubscribe`. `Shutdown`, by
    /// every poll, once that of [`Consumer::stop_with`] was triggered.
    ///
    /// # Cancel safety
    /// Safe: records are only taken when they are returned, and a listener goes on where it was at the next poll.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Records, Error> {
        self.poll_for(timeout).await.map(Records::new)
    }

    /// The same, batch by batch: those at hand, or those that come within `timeout`, until they hold `max.poll.records`
    /// records; at least one if any comes. For reading at the least cost, on whatever task.
    ///
    /// A batch is handed out whole: the position is behind it from then on, and by the next poll all its records count as
    /// processed. Records that are not visible (aborted, control) are left out, as are those before the position.
    ///
    /// # Errors
    /// Those of [`Consumer::poll`].
    ///
    /// # Cancel safety
    /// As [`Consumer::poll`].
    pub async fn poll_batches(&mut self, timeout: Duration) -> Result<Vec<RecordBatch>, Error> {
        self.poll_for(timeout).await
    }

    async fn poll_for<T: Portion>(&mut self, timeout: Duration) -> Result<Vec<T>, Error> {
        let now = now();
        let deadline = now.checked_add(timeout);
        self.give_way(now).await;
        self.begin_poll(now);
        loop {
            if !self.rebalance(deadline).await? {
                return Ok(Vec::new());
            }
            let taken = self.fill(self.options.max_poll_records)?;
            if !taken.is_empty() || !self.wait(deadline).await {
                return Ok(taken);
            }
        }
    }

    /// The next record, however long it takes. As [`Consumer::poll`], calling it says that the record before has been
    /// processed.
    ///
    /// # Errors
    /// Those of [`Consumer::poll`].
    ///
    /// # Cancel safety
    /// Safe: a record is only taken when it is returned.
    pub async fn next(&mut self) -> Result<Record, Error> {
        loop {
            if let Some(record) = self.next_at_hand() {
                return Ok(record);
            }
            let now = now();
            self.give_way(now).await;
            self.begin_poll(now);
            self.rebalance(None).await?;
            self.pace.restart(&self.runtime);
            if let Some(record) = self.fill(1)?.pop() {
                return Ok(record);
            }
            self.wait(None).await;
        }
    }

    /// The records as a stream that has no end, but after an error after which the consumer is of no further use, and
    /// when a [`Shutdown`](crate::Shutdown) is triggered.
    /// Dropping the stream loses nothing: it can be taken again, or polled instead.
    pub fn stream(&mut self) -> RecordStream<'_> {
        RecordStream { state: StreamState::Ready(self) }
    }

    /// Passes over the batch of this partition that the last error of kind `CorruptRecord` was about; the offset that reading
    /// goes on at. Without it, the batch is fetched again and the error returned again, as the damage may have happened on
    /// the way.
    ///
    /// ```
    /// # async fn read(consumer: &mut ottla_consumer::Consumer) -> Result<(), ottla_client::Error> {
    /// # use ottla_client::ErrorKind;
    /// loop {
    ///     match consumer.next().await {
    ///         Ok(record) => println!("{record:?}"),
    ///         Err(error) if error.kind() == ErrorKind::CorruptRecord => {
    ///             for partition in consumer.damaged() {
    ///                 let offset = consumer.skip(&partition)?;
    ///                 eprintln!("{error}: going on at {offset}");
    ///             }
    ///         }
    ///         Err(error) => return Err(error),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// Kind `InvalidState` if no such error was returned since the partition's position was last set or moved, or if the
    /// damage leaves no trace of where the batch ends: then only a `seek` helps.
    pub fn skip(&mut self, partition: &TopicPartition) -> Result<i64, Error> {
        self.park();
        let next = self.shared.state().skip(partition)?;
        self.shared.work.notify_one();
        Ok(next)
    }

    /// The partitions that stand before a batch that cannot be read, as an error of kind `CorruptRecord` has said.
    pub fn damaged(&self) -> Vec<TopicPartition> {
        self.shared.state().damaged_partitions()
    }

    /// The next record of what is being read, unless something else has to be looked after first.
    #[inline]
    fn next_at_hand(&mut self) -> Option<Record> {
        if self.pace.is_due() || self.step.is_some() {
            return None;
        }
        let fetch = &mut self.reading.as_mut()?.fetch;
        let record = match fetch.next_at_hand() {
            Some(record) => record,
            // The end, or damage, which comes again: both are for the long way.
            None => fetch.next_record().ok().flatten()?,
        };
        if self.options.commit_mode == CommitMode::Acked {
            self.handed_out_alone(record.clone());
        }
        Some(record)
    }

    /// Lets other tasks on this thread have their turn, if this one has gone on for long without waiting. To be called before
    /// anything is taken.
    pub(super) async fn give_way(&mut self, now: Instant) {
        self.pace.give_way(now).await;
    }

    /// Waits until there may be news; false once `deadline` has passed.
    ///
    /// Waiting is polling: meanwhile `max.poll.interval.ms` does not run out, and what was returned before is committed
    /// when that is due. Otherwise a member of a quiet topic would lose its place by waiting for the next record.
    pub(super) async fn wait(&mut self, deadline: Option<Instant>) -> bool {
        let _inside = self.shared.meter.inside();
        loop {
            let until = deadline.into_iter().chain(self.next_chore(now())).min();
            self.pace.waited();
            if driver::wait(&self.shared, self.group.as_mut(), until).await {
                return true;
            }
            let now = now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return false;
            }
            self.begin_poll(now);
        }
    }

    /// When a poll that has nothing to return has to begin anew.
    fn next_chore(&self, now: Instant) -> Option<Instant> {
        let group =
            self.group.as_ref().map(|_| self.polled.unwrap_or(now) + self.options.max_poll_interval / 2);
        let commit = self.auto_commit.as_ref().map(|auto_commit| auto_commit.next(now));
        group.into_iter().chain(commit).min()
    }

    /// What was returned before counts as processed from here on.
    pub(super) fn begin_poll(&mut self, now: Instant) {
        self.polled = Some(now);
        self.shared.meter.polled(now);
        if let Some(group) = &self.group {
            group.polled(now);
        }
        self.auto_commit_if_due(now);
    }

    /// Takes what is at hand, up to `max` records in all.
    pub(super) fn fill<T: Portion>(&mut self, max: usize) -> Result<Vec<T>, Error> {
        // Before the records, as a partition in trouble would else be hidden by others that always have some.
        self.next_error()?;
        if self.reading.as_ref().is_some_and(|reading| !self.shared.state().is_current(reading)) {
            // The topic was created anew meanwhile.
            self.reading = None;
        }
        let (mut taken, mut room) = (Vec::new(), max);
        while room > 0 {
            if self.reading.is_none() {
                self.reading = self.shared.state().next_reading();
            }
            let Some(reading) = self.reading.as_mut() else { break };
            match T::take(&mut reading.fetch, &mut taken, &mut room) {
                Ok(false) => {}
                Ok(true) => {
                    let mut state = self.shared.state();
                    state.settle(reading);
                    state.buffer.finish(reading);
                    drop(state);
                    self.reading = None;
                    self.shared.work.notify_one();
                }
                // Good records first; the damage is met again by the next poll.
                Err(_) if !taken.is_empty() => break,
                Err(error) => {
                    let error = self.shared.state().damaged(reading, error, now(), random());
                    self.reading = None;
                    self.shared.work.notify_one();
                    return Err(error);
                }
            }
        }
        self.handed_out(&taken);
        self.settle();
        Ok(taken)
    }

    /// Whether the group is closed to the consumer for good.
    pub(super) fn has_failed(&self) -> bool {
        self.group.as_ref().is_some_and(|group| group.has_failed())
    }

    /// An error that waits to be returned.
    pub(super) fn next_error(&mut self) -> Result<(), Error> {
        let mut state = self.shared.state();
        let report = state.alarm.take().or_else(|| state.next_report(now(), random()));
        drop(state);
        match report {
            Some(error) => {
                // The partition may be tried again.
                self.shared.work.notify_one();
                Err(error)
            }
            None => Ok(()),
        }
    }
}

/// What a poll hands out one after the other.
pub(super) trait Portion: Sized {
    /// Takes of a fetch what there is room for, in records; true at its end.
    fn take(fetch: &mut CompletedFetch, taken: &mut Vec<Self>, room: &mut usize)
    -> Result<bool, RecordError>;

    /// Notes that these have to be acknowledged.
    fn note(handed_out: &[Self], acks: &mut Acks);
}

impl Portion for Record {
    fn take(
        fetch: &mut CompletedFetch,
        taken: &mut Vec<Record>,
        room: &mut usize,
    ) -> Result<bool, RecordError> {
        let before = taken.len();
        let ended = fetch.take_into(taken, *room);
        *room -= taken.len() - before;
        ended
    }

    fn note(handed_out: &[Record], acks: &mut Acks) {
        acks.hand_out(handed_out);
    }
}

impl Portion for RecordBatch {
    fn take(
        fetch: &mut CompletedFetch,
        taken: &mut Vec<RecordBatch>,
        room: &mut usize,
    ) -> Result<bool, RecordError> {
        while *room > 0 {
            let Some(batch) = fetch.next_batch()? else { return Ok(true) };
            *room = room.saturating_sub(batch.remaining().max(1));
            taken.push(batch);
        }
        Ok(false)
    }

    fn note(handed_out: &[RecordBatch], acks: &mut Acks) {
        acks.hand_out_batches(handed_out);
    }
}

/// The stream of [`Consumer::stream`].
pub struct RecordStream<'a> {
    state: StreamState<'a>,
}

type Waiting<'a> = Pin<Box<dyn Future<Output = (&'a mut Consumer, Result<Record, Error>)> + Send + 'a>>;

enum StreamState<'a> {
    Ready(&'a mut Consumer),
    Waiting(Waiting<'a>),
    Ended,
}

impl Stream for RecordStream<'_> {
    type Item = Result<Record, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut waiting = match std::mem::replace(&mut self.state, StreamState::Ended) {
            StreamState::Ended => return Poll::Ready(None),
            StreamState::Waiting(waiting) => waiting,
            StreamState::Ready(consumer) => {
                if let Some(record) = consumer.next_at_hand() {
                    self.state = StreamState::Ready(consumer);
                    return Poll::Ready(Some(Ok(record)));
                }
                Box::pin(async move {
                    let record = consumer.next().await;
                    (consumer, record)
                })
            }
        };
        match waiting.as_mut().poll(cx) {
            Poll::Pending => {
                self.state = StreamState::Waiting(waiting);
                Poll::Pending
            }
            Poll::Ready((_, Err(error))) if error.kind() == ErrorKind::Shutdown => Poll::Ready(None),
            Poll::Ready((consumer, Err(error))) if error.is_fatal() || consumer.has_failed() => {
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready((consumer, record)) => {
                self.state = StreamState::Ready(consumer);
                Poll::Ready(Some(record))
            }
        }
    }
}

impl fmt::Debug for RecordStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordStream").finish_non_exhaustive()
    }
}
