//! [`Producer`]: the handle that applications hold.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ottla_client::{Client, Error, ErrorKind};
use ottla_protocol::compression::{Compression, Compressor};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::accumulator::{Accumulator, Attempt, Reason, Surroundings};
use crate::acknowledge::Outbox;
use crate::builder::ProducerBuilder;
use crate::completion::{Delivery, Place};
use crate::driver::{Command, Driver, Interest, Sealers, Shared};
use crate::interceptor::{Interceptor, Interceptors};
use crate::options::{IDEMPOTENT_IN_FLIGHT, ProducerOptions};
use crate::record::Record;
use crate::runtime;
use crate::sender::{Rules, Sender};

mod accepting;
mod observed;
mod waiting;

pub use accepting::Accepting;
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

    pub(crate) fn start(
        client: Client,
        options: ProducerOptions,
        interceptors: Vec<Arc<dyn Interceptor>>,
    ) -> Result<Producer, Error> {
        options.validate()?;
        let runtime = runtime::current()?;
        let values = options.values();
        let level = values.compression_level()?;
        let compressor = Compressor::new(level)
            .map_err(|error| Error::new(ErrorKind::Config, "option `compression.type`").with_cause(error))?;
        let accumulator = Accumulator::new(
            values.batch_size.min(values.max_request_size),
            values.max_request_size,
            values.buffer_memory,
            values.partitioner.clone(),
            values.partitioner_ignore_keys,
        );
        let is_compressed = compressor.codec() != Compression::None;
        let accumulator = Arc::new(if is_compressed { accumulator } else { accumulator.sum_early() });
        accumulator.memory.meter.name(&client.options().values().client_id);
        let idempotent = values.is_idempotent();
        let rules = Rules {
            idempotent,
            max_in_flight: if idempotent {
                values.max_in_flight.min(IDEMPOTENT_IN_FLIGHT)
            } else {
                values.max_in_flight
            },
            max_request_size: values.max_request_size,
            linger: values.linger,
            delivery_timeout: values.delivery_timeout,
            retries: values.max_retries,
            backoff: values.backoff(),
            adaptive: values.partitioner_adaptive,
            availability: values.partitioner_availability_timeout,
            max_idle: values.metadata_max_idle,
        };
        let in_use = client.topics_in_use().creating(values.allow_auto_create_topics);
        let topics = Interest::new(in_use, values.metadata_max_idle);
        let sender = Sender::new(rules, Arc::clone(&accumulator), compressor);
        let sealers = Sealers::new(level);
        let shared = Arc::new(Shared {
            client,
            options,
            accumulator,
            topics,
            outbox: Outbox::new(Interceptors::new(interceptors)),
            notify: Notify::new(),
            fatal: OnceLock::new(),
        });
        let (commands, inbox) = mpsc::unbounded_channel();
        let (task, alive) = watch::channel(());
        runtime.spawn(Driver::new(Arc::clone(&shared), sender, sealers, inbox, alive).run());
        let is_intercepted = !shared.outbox.interceptors().is_empty();
        Ok(Producer(Arc::new(Handle { shared, commands, task, is_intercepted })))
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

    /// Sends everything that was accepted before, without lingering, and waits until all of it has its outcome. Whether
    /// that was success, the deliveries tell. What is accepted meanwhile does not prolong it. Callbacks and interceptors
    /// know it when this returns.
    ///
    /// # Errors
    /// `Closed` when the producer's task has ended; then everything has its outcome.
    ///
    /// # Cancel safety
    /// Dropping it ends the wait and nothing else.
    pub async fn flush(&self) -> Result<(), Error> {
        let now = runtime::now();
        let waiting = self.ask(|reply| Command::Flush(now, reply)).await;
        for batch in waiting.ok_or_else(|| self.closed())? {
            batch.told().await;
        }
        self.delivered().await;
        Ok(())
    }

    /// Accepts no more records, flushes for up to `deadline`, fails what is left then, and ends the producer's task.
    /// Closing a producer that is closed succeeds.
    ///
    /// # Errors
    /// `Timeout` when records had to be failed at the deadline, or when a callback of the application's holds the task up
    /// for a second longer.
    ///
    /// # Cancel safety
    /// Once polled it takes effect, even if it is dropped.
    pub async fn close(&self, deadline: Duration) -> Result<(), Error> {
        let shared = &self.0.shared;
        shared.accumulator.close();
        let at = runtime::now().checked_add(deadline).unwrap_or_else(|| runtime::now() + FAR_FUTURE);
        let ended = self.ask(|reply| Command::Close(at, reply));
        match runtime::until_if_timed(at + SLACK, ended).await {
            Some(ended) => ended.unwrap_or(Ok(())),
            None => Err(Error::new(
                ErrorKind::Timeout,
                "the producer's task did not end by close's deadline: does a callback of a record block?",
            )),
        }
    }

    /// Waits until callbacks and interceptors know every outcome that there is.
    async fn delivered(&self) {
        if self.0.shared.outbox.is_used() {
            // A task that has ended delivered everything before.
            self.ask(Command::Deliver).await;
        }
    }

    /// What the task answers; `None` if it has ended.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.0.commands.send(command(reply)).ok()?;
        answer_of(&self.0.task, answer).await
    }

    /// Gives up every record that was accepted before and has no outcome yet: its delivery fails at once with kind
    /// `Aborted`, and [`Error::possibly_written`] is true where a request that holds it is under way or was not answered.
    /// The producer goes on with what is sent afterwards, in order and without duplicates as ever; records that others send
    /// while this is awaited may be given up, too. To end the producer at once, use [`Producer::close`] with no time.
    ///
    /// # Errors
    /// `Closed` when the producer's task has ended; then everything has its outcome.
    ///
    /// # Cancel safety
    /// Once polled it takes effect, even if it is dropped.
    pub async fn abort(&self) -> Result<(), Error> {
        self.ask(Command::Abort).await.ok_or_else(|| self.closed())
    }

    /// The options' values.
    pub fn values(&self) -> &crate::ProducerValues {
        self.0.shared.values()
    }

    #[cfg(test)]
    pub(crate) fn accumulator(&self) -> &Accumulator {
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

/// An answer of the task, unless it ends without one.
///
/// A command may pass into the channel and find nobody there: it is sent in two steps, and a runtime that shuts down drops the
/// receiver between them. The channel would keep it then for as long as there are handles, and whoever waits has one.
async fn answer_of<T>(task: &watch::Sender<()>, mut answer: oneshot::Receiver<T>) -> Option<T> {
    tokio::select! {
        biased;
        answer = &mut answer => answer.ok(),
        () = task.closed() => answer.try_recv().ok(),
    }
}

/// How much later than its deadline `close` stops waiting for the task to say how it ended.
const SLACK: Duration = Duration::from_secs(1);

/// Further away than any deadline that somebody waits for.
const FAR_FUTURE: Duration = Duration::from_secs(365 * 86_400);

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.accumulator.close();
        self.shared.notify.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_command_that_stays_in_the_channel_of_a_task_that_ended_is_not_waited_for() {
        let (task, alive) = watch::channel(());
        // What is in the channel is neither answered nor dropped.
        let (in_channel, answer) = oneshot::channel::<()>();
        let waiting = tokio::time::timeout(Duration::from_secs(60), answer_of(&task, answer));
        let mut waiting = std::pin::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(alive);
        assert_eq!(waiting.await, Ok(None));
        drop(in_channel);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_the_task_gave_before_it_ended_counts() {
        let (task, alive) = watch::channel(());
        let (reply, answer) = oneshot::channel();
        reply.send(7).expect("somebody waits");
        drop(alive);
        assert_eq!(answer_of(&task, answer).await, Some(7));
    }
}
