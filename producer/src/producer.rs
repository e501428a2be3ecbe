//! [`Producer`]: the handle that applications hold.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ottla_client::{Client, Error, ErrorKind};
use ottla_protocol::compression::Compressor;
use ottla_protocol::error_code::ErrorCode;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::accumulator::{Accumulator, Attempt, Reason, Surroundings};
use crate::acknowledge::Outbox;
use crate::builder::ProducerBuilder;
use crate::completion::Delivery;
use crate::driver::{Command, Driver, Interest, Sealers, Shared};
use crate::interceptor::{Interceptor, Interceptors};
use crate::memory::Reservation;
use crate::options::{IDEMPOTENT_IN_FLIGHT, ProducerOptions};
use crate::record::Record;
use crate::runtime;
use crate::sender::{Rules, Sender};

mod observed;

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
        let accumulator = Arc::new(Accumulator::new(
            values.batch_size.min(values.max_request_size),
            values.max_request_size,
            values.buffer_memory,
            values.partitioner.clone(),
            values.partitioner_ignore_keys,
        ));
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
        let sealers = Sealers::new(level, Arc::clone(&accumulator));
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
        runtime.spawn(Driver::new(Arc::clone(&shared), sender, sealers, inbox).run());
        Ok(Producer(Arc::new(Handle { shared, commands })))
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
    pub async fn send(&self, record: Record<'_>) -> Result<Delivery, Error> {
        if self.is_intercepted() {
            return self.send_attached(record, None).await;
        }
        let mut attempt = Attempt::default();
        match self.append(&record, &mut attempt) {
            Ok(delivery) => Ok(delivery),
            Err(reason) => self.send_later(&record, reason, attempt).await,
        }
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
        let (reply, waiting) = oneshot::channel();
        self.0.commands.send(Command::Flush(runtime::now(), reply)).map_err(|_| self.closed())?;
        for batch in waiting.await.map_err(|_| self.closed())? {
            batch.told().await;
        }
        self.delivered().await;
        Ok(())
    }

    /// Accepts no more records, flushes for up to `deadline`, fails what is left then, and ends the producer's task.
    /// Closing a producer that is closed succeeds.
    ///
    /// # Errors
    /// `Timeout` when records had to be failed at the deadline.
    ///
    /// # Cancel safety
    /// Once polled it takes effect, even if it is dropped.
    pub async fn close(&self, deadline: Duration) -> Result<(), Error> {
        let shared = &self.0.shared;
        shared.accumulator.close();
        let (reply, ended) = oneshot::channel();
        let at = runtime::now().checked_add(deadline).unwrap_or_else(|| runtime::now() + FAR_FUTURE);
        if self.0.commands.send(Command::Close(at, reply)).is_err() {
            return Ok(());
        }
        ended.await.unwrap_or(Ok(()))
    }

    /// Waits until callbacks and interceptors know every outcome that there is.
    async fn delivered(&self) {
        if self.0.shared.outbox.is_used() {
            let (reply, delivered) = oneshot::channel();
            // A task that has ended delivered everything before.
            if self.0.commands.send(Command::Deliver(reply)).is_ok() {
                let _ = delivered.await;
            }
        }
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
        let (reply, done) = oneshot::channel();
        self.0.commands.send(Command::Abort(reply)).map_err(|_| self.closed())?;
        done.await.map_err(|_| self.closed())
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
    fn append<'s>(&'s self, record: &Record<'_>, attempt: &mut Attempt<'s>) -> Result<Delivery, Reason> {
        let shared = &*self.0.shared;
        let timestamp = record.timestamp_ms().unwrap_or_else(runtime::timestamp);
        let (result, wake) =
            match shared.accumulator.append(record, timestamp, attempt, runtime::now, runtime::seed) {
                Ok(accepted) => (Ok(accepted.delivery), accepted.wake),
                Err(refusal) => (Err(refusal.reason), refusal.wake),
            };
        if wake {
            shared.notify.notify_one();
        }
        result
    }

    /// Appends as many records as possible without waiting.
    fn append_all<'s>(
        &'s self,
        records: &[Record<'_>],
        attempt: &mut Attempt<'s>,
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

    #[cold]
    async fn send_later<'s>(
        &'s self,
        record: &Record<'_>,
        mut reason: Reason,
        mut attempt: Attempt<'s>,
    ) -> Result<Delivery, Error> {
        let deadline = self.block_deadline();
        loop {
            self.make_way(record, &reason, &mut attempt, deadline).await?;
            match self.append(record, &mut attempt) {
                Ok(delivery) => return Ok(delivery),
                Err(another) => reason = another,
            }
        }
    }

    fn block_deadline(&self) -> Instant {
        let max_block = self.0.shared.values().max_block;
        runtime::now().checked_add(max_block).unwrap_or_else(|| runtime::now() + FAR_FUTURE)
    }

    /// Waits until there is hope for a record that was not taken.
    async fn make_way<'s>(
        &'s self,
        record: &Record<'_>,
        reason: &Reason,
        attempt: &mut Attempt<'s>,
        deadline: Instant,
    ) -> Result<(), Error> {
        match *reason {
            Reason::UnknownTopic => self.learn_topic(record.topic(), deadline).await,
            Reason::NoSuchPartition { partitions } => {
                self.await_partition(record, partitions, deadline).await
            }
            Reason::NoRoom { bytes } => {
                attempt.reservation = Some(self.reserve(bytes, deadline).await?);
                Ok(())
            }
            Reason::Misplaced { partition, partitions } => Err(misplaced(record, partition, partitions)),
            Reason::TooLarge { bytes, limit } => Err(too_large(record, bytes, limit)),
            Reason::Closed => Err(self.closed()),
        }
    }

    /// Waits for the topic's metadata.
    async fn learn_topic(&self, name: &str, deadline: Instant) -> Result<(), Error> {
        let shared = &self.0.shared;
        // Of this wait alone: one that fails or is dropped leaves nothing to be kept fresh.
        let asking = shared.client.topics_in_use().creating(shared.values().allow_auto_create_topics);
        asking.add(name);
        match shared.client.topic(name, deadline).await {
            Ok(topic) => {
                shared.take_up(&topic);
                Ok(())
            }
            Err(error) => {
                if error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) {
                    let waited = shared.values().max_block.as_millis();
                    let message = format!("topic {name} does not exist, or did not within {waited} ms");
                    return Err(Error::new(ErrorKind::UnknownTopic, message).with_cause(error));
                }
                Err(error)
            }
        }
    }

    /// Waits until the topic has the partition that the record names.
    async fn await_partition(
        &self,
        record: &Record<'_>,
        known: usize,
        deadline: Instant,
    ) -> Result<(), Error> {
        let shared = &self.0.shared;
        let wanted = record.chosen_partition().and_then(|partition| usize::try_from(partition).ok());
        let Some(wanted) = wanted else { return Err(no_such_partition(record, known)) };
        let mut updates = shared.client.cluster_updates();
        loop {
            if let Some(topic) = updates.borrow_and_update().topic(record.topic())
                && topic.partitions.len() > wanted
            {
                shared.take_up(topic);
                return Ok(());
            }
            shared.client.refresh_metadata();
            match runtime::until(deadline, updates.changed()).await {
                Some(Ok(())) => {}
                _ => {
                    return Err(no_such_partition(
                        record,
                        shared.accumulator.partition_count(record.topic()),
                    ));
                }
            }
        }
    }

    /// Waits for room in the buffer.
    async fn reserve(&self, bytes: usize, deadline: Instant) -> Result<Reservation<'_>, Error> {
        let shared = &self.0.shared;
        let mut wait = shared.accumulator.memory.reserve(bytes);
        let granted = std::future::poll_fn(|cx| {
            let granted = std::pin::Pin::new(&mut wait).poll(cx);
            if granted.is_pending() {
                // Open batches should go out now, full or not.
                shared.notify.notify_one();
            }
            granted
        });
        match runtime::until(deadline, granted).await {
            Some(Some(reservation)) => Ok(reservation),
            Some(None) => Err(self.closed()),
            None => Err(self.no_room(&format!("within {} ms", shared.values().max_block.as_millis()))),
        }
    }

    fn closed(&self) -> Error {
        let fatal = self.0.shared.fatal.get().cloned();
        fatal.unwrap_or_else(|| Error::new(ErrorKind::Closed, "the producer is closed"))
    }

    fn no_room(&self, when: &str) -> Error {
        let limit = self.0.shared.values().buffer_memory;
        Error::new(
            ErrorKind::BufferFull,
            format!("no room {when}: records not yet acknowledged take all {limit} bytes of `buffer.memory`"),
        )
    }
}

/// Further away than any deadline that somebody waits for.
const FAR_FUTURE: Duration = Duration::from_secs(365 * 86_400);

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.accumulator.close();
        self.shared.notify.notify_one();
    }
}

fn too_large(record: &Record<'_>, bytes: usize, limit: usize) -> Error {
    let message = format!(
        "a record for topic {} takes up to {bytes} bytes, more than the {limit} that `max.request.size` and \
         `buffer.memory` allow",
        record.topic()
    );
    Error::new(ErrorKind::RecordTooLarge, message)
}

fn misplaced(record: &Record<'_>, partition: i32, partitions: usize) -> Error {
    let topic = record.topic();
    Error::new(
        ErrorKind::InvalidState,
        format!(
            "the application's partitioner chose partition {partition} of topic {topic}, which has {partitions}"
        ),
    )
}

fn no_such_partition(record: &Record<'_>, partitions: usize) -> Error {
    let (topic, partition) = (record.topic(), record.chosen_partition().unwrap_or(-1));
    Error::new(
        ErrorKind::UnknownTopic,
        format!("topic {topic} has {partitions} partitions and no partition {partition}"),
    )
}
