//! [`Producer`]: the handle that applications hold.

use std::sync::Arc;

use ottla_client::{Client, Error, ErrorKind};
use tokio::sync::{mpsc, watch};

use crate::accumulator::{Attempt, Reason, Surroundings};
use crate::builder::ProducerBuilder;
use crate::delivery::{Delivery, Place};
use crate::driver::{Command, Shared};
use crate::options::ProducerOptions;
use crate::record::Record;
use crate::runtime;

mod accepting;
mod life;
mod observed;
mod start;
mod waiting;

pub use accepting::Accepting;
use life::FAR_FUTURE;
use waiting::{misplaced, no_such_partition, too_large};

/// Sends records to Kafka. Clones share everything; sending from many tasks through one handle is the normal use.
///
/// Records are gathered into batches and sent by a task of the runtime in which the producer was made. When the last
/// handle is dropped, the task goes on in the background until every accepted record has its outcome (at the latest when
/// its `delivery.timeout.ms` is over), then ends; nothing blocks. If the runtime ends before that, outstanding
/// deliveries fail with kind `Closed`. Use [`Producer::close`] to be sure.
#[derive(Clone, Debug)]
pub struct Producer(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
    /// Its receiver is the task's.
    task: watch::Sender<()>,
    /// Whether every record passes interceptors.
    is_intercepted: bool,
}

/// A record that [`Producer::try_send`] didn't take, and why.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct TrySendError<'a> {
    /// The record, as it was given.
    pub record: Record<'a>,
    /// Kind `BufferFull` without room, `UnknownTopic` while metadata is being fetched (both go away with time),
    /// `RecordTooLarge`, `InvalidState` by a partitioner of the application's, or `Closed`.
    #[source]
    pub error: Error,
}

impl Producer {
    /// A producer on the connections and metadata of `client`.
    ///
    /// # Errors
    /// Kind `Config` for options that contradict each other or a codec that this build lacks, and outside of a tokio
    /// runtime.
    pub fn new(client: Client, options: ProducerOptions) -> Result<Producer, Error> {
        Producer::builder(client, options).build()
    }

    /// A producer with more than options: see [`ProducerBuilder`].
    pub fn builder(client: Client, options: ProducerOptions) -> ProducerBuilder {
        ProducerBuilder::new(client, options)
    }

    /// Accepts a record: it is in its partition's batch when this returns, and will be sent whether or not the delivery
    /// is awaited. Waits up to `max.block.ms` for the topic's metadata and for room in `buffer.memory`.
    ///
    /// # Errors
    /// `UnknownTopic` for a topic or partition that doesn't exist, `RecordTooLarge` (nothing else is affected),
    /// `InvalidState` when a partitioner of the application's chose a partition that doesn't exist, `BufferFull` when no
    /// room came, `Timeout` when no broker told the topic's metadata, `Closed` or whatever made the producer unusable.
    /// The record is nowhere then.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it leaves the record nowhere; there is no half of it.
    #[inline]
    pub fn send<'a>(&'a self, record: Record<'a>) -> Accepting<'a> {
        Accepting::new(self, record)
    }

    /// Accepts records in their order, as [`Producer::send`] does one by one, at less cost: those that follow each other
    /// into one partition share a lock, and those without a timestamp share one. The deliveries are pushed to `deliveries`
    /// as the records are accepted.
    ///
    /// It waits for room as often as it takes, up to `max.block.ms` each time.
    ///
    /// ```no_run
    /// # use ottla_client::Error;
    /// # use ottla_producer::{Producer, Record};
    /// # async fn run(producer: &Producer, lines: &[String]) -> Result<(), Error> {
    /// let records: Vec<_> = lines.iter().map(|line| Record::new("lines").value(line)).collect();
    /// let mut deliveries = Vec::new();
    /// producer.send_all(&records, &mut deliveries).await?;
    /// for delivery in deliveries {
    ///     delivery.await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As of [`Producer::send`], for the first record that can't be accepted: the one after those that have a delivery.
    /// Neither it nor any later one is accepted then; what came before is sent all the same.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has accepted exactly the first so many records as it has pushed deliveries, and no
    /// half of any.
    pub async fn send_all(
        &self,
        records: &[Record<'_>],
        deliveries: &mut Vec<Delivery>,
    ) -> Result<(), Error> {
        deliveries.reserve(records.len());
        if self.is_intercepted() {
            for record in records {
                deliveries.push(self.send_attached(*record, None).await?);
            }
            return Ok(());
        }
        let (mut left, mut attempt) = (records, Attempt::default());
        let mut deadline = None;
        loop {
            let before = deliveries.len();
            let reason = match self.append_all(left, &mut attempt, deliveries) {
                Ok(()) => return Ok(()),
                Err(reason) => reason,
            };
            let accepted = deliveries.len() - before;
            left = &left[accepted..];
            let Some(record) = left.first() else { return Ok(()) };
            if accepted > 0 {
                deadline = None;
            }
            self.make_way(
                record,
                &reason,
                &mut attempt,
                *deadline.get_or_insert_with(|| self.block_deadline()),
            )
            .await?;
        }
    }

    /// Accepts a record if that needs no waiting.
    ///
    /// # Errors
    /// The record, and why it was not taken. For a topic that is not known yet, its metadata is asked for.
    pub fn try_send<'a>(&self, record: Record<'a>) -> Result<Delivery, TrySendError<'a>> {
        if self.is_intercepted() {
            return self.try_send_attached(record, &mut None);
        }
        let mut attempt = Attempt::default();
        let append = || self.append(&record, &mut attempt);
        self.try_append(&record, append).map_err(|error| TrySendError { record, error })
    }

    /// Appends if that needs no waiting.
    fn try_append(
        &self,
        record: &Record<'_>,
        mut append: impl FnMut() -> Result<Delivery, Reason>,
    ) -> Result<Delivery, Error> {
        let mut reason = match append() {
            Ok(delivery) => return Ok(delivery),
            Err(reason) => reason,
        };
        let shared = &self.0.shared;
        if reason == Reason::UnknownTopic
            && let Some(topic) = shared.client.cluster().topic(record.topic())
        {
            shared.take_up(topic);
            reason = match append() {
                Ok(delivery) => return Ok(delivery),
                Err(reason) => reason,
            };
        }
        Err(match reason {
            Reason::UnknownTopic => {
                shared.topics.ask(record.topic(), runtime::now());
                shared.client.refresh_metadata();
                let message = format!("the metadata of topic {} is being fetched", record.topic());
                Error::new(ErrorKind::UnknownTopic, message).with_retriable(true)
            }
            Reason::NoRoom { .. } => self.no_room("now"),
            Reason::NoSuchPartition { partitions } => no_such_partition(record, partitions),
            Reason::Misplaced { partition, partitions } => misplaced(record, partition, partitions),
            Reason::TooLarge { bytes, limit } => too_large(record, bytes, limit),
            Reason::Closed => self.closed(),
        })
    }

    /// The options' values.
    pub fn values(&self) -> &crate::ProducerValues {
        self.0.shared.values()
    }

    #[cfg(test)]
    pub(crate) fn accumulator(&self) -> &crate::accumulator::Accumulator {
        &self.0.shared.accumulator
    }

    /// Tries to append, and wakes the task if it has to know.
    #[inline]
    fn append(&self, record: &Record<'_>, attempt: &mut Attempt) -> Result<Delivery, Reason> {
        let timestamp = record.timestamp_ms().unwrap_or_else(runtime::timestamp);
        match self.append_quickly(record, timestamp) {
            Some(place) => Ok(place.delivery(timestamp)),
            None => self.append_slowly(record, timestamp, attempt),
        }
    }

    /// Appends if there is nothing to see to.
    #[inline(always)]
    fn append_quickly(&self, record: &Record<'_>, timestamp: i64) -> Option<Place> {
        self.0.shared.accumulator.append_quickly(record, timestamp, runtime::seed)
    }

    #[cold]
    #[inline(never)]
    fn append_slowly(
        &self,
        record: &Record<'_>,
        timestamp: i64,
        attempt: &mut Attempt,
    ) -> Result<Delivery, Reason> {
        let shared = &*self.0.shared;
        let appended = shared.accumulator.append(record, timestamp, attempt, runtime::now, runtime::seed);
        let (result, wake) = match appended {
            Ok(accepted) => (Ok(accepted.delivery), accepted.wake),
            Err(refusal) => (Err(refusal.reason), refusal.wake),
        };
        if wake {
            shared.notify.notify_one();
        }
        result
    }

    /// Appends as many records as possible without waiting.
    fn append_all(
        &self,
        records: &[Record<'_>],
        attempt: &mut Attempt,
        deliveries: &mut Vec<Delivery>,
    ) -> Result<(), Reason> {
        let shared = &*self.0.shared;
        let around = Surroundings {
            timestamp: runtime::timestamp(),
            now: runtime::now,
            random: runtime::seed,
            wake: || shared.notify.notify_one(),
        };
        shared.accumulator.append_all(records, attempt, &around, deliveries)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.accumulator.close();
        self.shared.notify.notify_one();
    }
}
