//! [`Producer`]: the handle that applications hold.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ottla_client::{Client, Error, ErrorKind};
use ottla_protocol::compression::Compressor;
use ottla_protocol::error_code::ErrorCode;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::accumulator::{Accumulator, Reason};
use crate::completion::Delivery;
use crate::driver::{Command, Driver, Sealers, Shared, adopt};
use crate::memory::Reservation;
use crate::options::{IDEMPOTENT_IN_FLIGHT, ProducerOptions};
use crate::record::Record;
use crate::runtime;
use crate::sender::{Rules, Sender};

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
    /// `RecordTooLarge` or `Closed`.
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
            values.partitioner_ignore_keys,
        ));
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
        };
        let topics = client.topics_in_use();
        let sender = Sender::new(rules, Arc::clone(&accumulator), compressor);
        let sealers = Sealers::new(level, Arc::clone(&accumulator));
        let shared = Arc::new(Shared {
            client,
            options,
            accumulator,
            topics,
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
    /// `BufferFull` when no room came, `Timeout` when no broker told the topic's metadata, `Closed` or whatever
    /// made the producer unusable. The record is nowhere then.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it leaves the record nowhere; there is no half of it.
    pub async fn send(&self, record: Record<'_>) -> Result<Delivery, Error> {
        match self.append(&record, &mut None) {
            Ok(delivery) => Ok(delivery),
            Err(reason) => self.send_later(&record, reason).await,
        }
    }

    /// Accepts a record if that needs no waiting.
    ///
    /// # Errors
    /// The record, and why it was not taken. For a topic that is not known yet, its metadata is asked for.
    pub fn try_send<'a>(&self, record: Record<'a>) -> Result<Delivery, TrySendError<'a>> {
        let mut reason = match self.append(&record, &mut None) {
            Ok(delivery) => return Ok(delivery),
            Err(reason) => reason,
        };
        let shared = &self.0.shared;
        if reason == Reason::UnknownTopic
            && let Some(topic) = shared.client.cluster().topic(record.topic())
        {
            adopt(&shared.accumulator, topic);
            reason = match self.append(&record, &mut None) {
                Ok(delivery) => return Ok(delivery),
                Err(reason) => reason,
            };
        }
        let error = match reason {
            Reason::UnknownTopic => {
                shared.topics.add(record.topic());
                shared.client.refresh_metadata();
                let message = format!("the metadata of topic {} is being fetched", record.topic());
                Error::new(ErrorKind::UnknownTopic, message).with_retriable(true)
            }
            Reason::NoRoom { .. } => self.no_room("now"),
            Reason::NoSuchPartition { partitions } => no_such_partition(&record, partitions),
            Reason::TooLarge { bytes, limit } => too_large(&record, bytes, limit),
            Reason::Closed => self.closed(),
        };
        Err(TrySendError { record, error })
    }

    /// Sends everything that was accepted before, without lingering, and waits until all of it has its outcome. Whether
    /// that was success, the deliveries tell.
    ///
    /// # Errors
    /// `Closed` when the producer's task has ended; then everything has its outcome.
    ///
    /// # Cancel safety
    /// Dropping it ends the wait and nothing else.
    pub async fn flush(&self) -> Result<(), Error> {
        let (reply, waiting) = oneshot::channel();
        self.0.commands.send(Command::Flush(reply)).map_err(|_| self.closed())?;
        for batch in waiting.await.map_err(|_| self.closed())? {
            batch.told().await;
        }
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

    /// The options' values.
    pub fn values(&self) -> &crate::ProducerValues {
        self.0.shared.values()
    }

    /// Tries to append, and wakes the task if it has to know.
    #[inline]
    fn append<'s>(
        &'s self,
        record: &Record<'_>,
        reserved: &mut Option<Reservation<'s>>,
    ) -> Result<Delivery, Reason> {
        let shared = &*self.0.shared;
        let timestamp = record.timestamp_ms().unwrap_or_else(runtime::timestamp);
        let (result, wake) =
            match shared.accumulator.append(record, timestamp, reserved, runtime::now, runtime::seed) {
                Ok(accepted) => (Ok(accepted.delivery), accepted.wake),
                Err(refusal) => (Err(refusal.reason), refusal.wake),
            };
        if wake {
            shared.notify.notify_one();
        }
        result
    }

    #[cold]
    async fn send_later(&self, record: &Record<'_>, mut reason: Reason) -> Result<Delivery, Error> {
        let max_block = self.0.shared.values().max_block;
        let deadline = runtime::now().checked_add(max_block).unwrap_or_else(|| runtime::now() + FAR_FUTURE);
        loop {
            let mut reserved = None;
            match reason {
                Reason::UnknownTopic => self.learn_topic(record.topic(), deadline).await?,
                Reason::NoSuchPartition { partitions } => {
                    self.await_partition(record, partitions, deadline).await?;
                }
                Reason::NoRoom { bytes } => reserved = Some(self.reserve(bytes, deadline).await?),
                Reason::TooLarge { bytes, limit } => return Err(too_large(record, bytes, limit)),
                Reason::Closed => return Err(self.closed()),
            }
            match self.append(record, &mut reserved) {
                Ok(delivery) => return Ok(delivery),
                Err(another) => reason = another,
            }
        }
    }

    /// Waits for the topic's metadata.
    async fn learn_topic(&self, name: &str, deadline: Instant) -> Result<(), Error> {
        let shared = &self.0.shared;
        match shared.client.topic(name, deadline).await {
            Ok(topic) => {
                // Only now: a wait that fails or is dropped leaves nothing to be kept fresh.
                shared.topics.add(name);
                adopt(&shared.accumulator, &topic);
                Ok(())
            }
            Err(error) => {
                let unknown = error.kind() == ErrorKind::UnknownTopic
                    || error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
                if unknown && error.kind() != ErrorKind::UnknownTopic {
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
                adopt(&shared.accumulator, topic);
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

fn no_such_partition(record: &Record<'_>, partitions: usize) -> Error {
    let (topic, partition) = (record.topic(), record.chosen_partition().unwrap_or(-1));
    Error::new(
        ErrorKind::UnknownTopic,
        format!("topic {topic} has {partitions} partitions and no partition {partition}"),
    )
}
