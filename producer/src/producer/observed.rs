//! What can be observed of a producer: callbacks, interceptors, metrics.

use ottla_client::Error;

use super::{Producer, TrySendError};
use crate::accumulator::{Attempt, Reason};
use crate::acknowledge::{Attach, Callback, Unaccepted};
use crate::delivery::{Delivered, Delivery};
use crate::interceptor::AddedHeaders;
use crate::metrics::ProducerMetrics;
use crate::record::{Header, Record};
use crate::runtime;

impl Producer {
    /// Sends a record and tells its outcome to `callback`, for those who want no future. It is called exactly once,
    /// whatever happens: with what a [`Delivery`] would say if the record is accepted, with the error of
    /// [`Producer::send`] if not. This returns when the record is accepted or refused.
    ///
    /// Callbacks of accepted records are called by the producer's task: in the order of the records within a partition,
    /// under no lock, and before [`Producer::flush`] and [`Producer::close`] return. They should be quick, as the producer
    /// waits for them; they may send, with [`Producer::try_send`] or [`Producer::try_send_with`]. A panic in one is
    /// logged and ends there.
    ///
    /// ```no_run
    /// # async fn run(producer: ottla_producer::Producer) {
    /// use ottla_producer::Record;
    ///
    /// producer
    ///     .send_with(Record::new("clicks").value("42"), |outcome| match outcome {
    ///         Ok(delivered) => println!("at {:?}", delivered.offset),
    ///         Err(error) => eprintln!("lost: {error}"),
    ///     })
    ///     .await;
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropped before it returns, it leaves the record nowhere, and the callback is called with kind `Aborted`; if it was
    /// never polled, neither happens and the callback is dropped.
    pub async fn send_with(
        &self,
        record: Record<'_>,
        callback: impl FnOnce(Result<Delivered, Error>) + Send + 'static,
    ) {
        // The callback is told.
        let _ = self.send_attached(record, Some(Box::new(callback))).await;
    }

    /// Accepts a record if that needs no waiting, and then tells its outcome to `callback` as
    /// [`Producer::send_with`] does.
    ///
    /// # Errors
    /// As [`Producer::try_send`]; the callback is given back and not called.
    pub fn try_send_with<'a>(
        &self,
        record: Record<'a>,
        callback: impl FnOnce(Result<Delivered, Error>) + Send + 'static,
    ) -> Result<(), (TrySendError<'a>, Callback)> {
        let mut callback: Option<Callback> = Some(Box::new(callback));
        match self.try_send_attached(record, &mut callback) {
            Ok(_) => Ok(()),
            Err(refused) => Err((refused, callback.unwrap_or_else(|| Box::new(drop)))),
        }
    }

    /// What the producer has done so far, and what it is doing. Takes a copy of all numbers, so it is for once a second, not
    /// for once a record.
    ///
    /// ```no_run
    /// # fn report(producer: &ottla_producer::Producer) {
    /// let metrics = producer.metrics();
    /// println!("{} records written", metrics.total.records_acknowledged);
    /// println!("batches {:.0} % full", 100.0 * metrics.batches.average_fill());
    /// println!("p99 of requests {:?}", metrics.requests.latency.p99());
    /// # }
    /// ```
    pub fn metrics(&self) -> ProducerMetrics {
        let shared = &self.0.shared;
        let memory = &shared.accumulator.memory;
        let mut metrics = memory.meter.snapshot();
        let (in_use, waiting) = memory.usage();
        let buffer = &mut metrics.buffer;
        (buffer.in_use, buffer.limit, buffer.waiting) = (in_use, memory.limit(), waiting);
        metrics.batches.target_bytes = shared.values().batch_size as u64;
        metrics
    }

    /// Whether every record passes interceptors.
    #[inline]
    pub(super) fn is_intercepted(&self) -> bool {
        self.0.is_intercepted
    }

    /// [`Producer::send`] with interceptors or a callback.
    pub(super) async fn send_attached(
        &self,
        record: Record<'_>,
        callback: Option<Callback>,
    ) -> Result<Delivery, Error> {
        let outbox = &self.0.shared.outbox;
        let (id, added) = outbox.interceptors().on_send(&record);
        let (topic, partition) = (record.topic(), record.chosen_partition());
        let mut unaccepted = Unaccepted::new(outbox, topic, partition, id, callback);
        let mut headers = Vec::new();
        let record = with_headers(record, &added, &mut headers);
        let result = self.append_waiting(&record, &mut unaccepted).await;
        if let Err(error) = &result {
            unaccepted.failed(error);
        }
        result
    }

    /// [`Producer::try_send`] with interceptors or a callback, which stays where it is if the record is refused.
    pub(super) fn try_send_attached<'a>(
        &self,
        record: Record<'a>,
        callback: &mut Option<Callback>,
    ) -> Result<Delivery, TrySendError<'a>> {
        let outbox = &self.0.shared.outbox;
        let (id, added) = outbox.interceptors().on_send(&record);
        let (topic, partition) = (record.topic(), record.chosen_partition());
        let mut unaccepted = Unaccepted::new(outbox, topic, partition, id, callback.take());
        let mut headers = Vec::new();
        let whole = with_headers(record, &added, &mut headers);
        let mut attempt = Attempt::default();
        let append = || self.append_attached(&whole, &mut attempt, unaccepted.attach());
        self.try_append(&whole, append).map_err(|error| {
            *callback = unaccepted.take_callback();
            unaccepted.failed(&error);
            TrySendError { record, error }
        })
    }

    /// Appends a record with what is attached to it, as soon as that is possible.
    async fn append_waiting(
        &self,
        record: &Record<'_>,
        unaccepted: &mut Unaccepted<'_>,
    ) -> Result<Delivery, Error> {
        let mut attempt = Attempt::default();
        let mut deadline = None;
        loop {
            let reason = match self.append_attached(record, &mut attempt, unaccepted.attach()) {
                Ok(delivery) => return Ok(delivery),
                Err(reason) => reason,
            };
            let deadline = *deadline.get_or_insert_with(|| self.block_deadline());
            self.make_way(record, &reason, &mut attempt, deadline).await?;
        }
    }

    /// Tries to append, and wakes the task if it has to know.
    fn append_attached(
        &self,
        record: &Record<'_>,
        attempt: &mut Attempt,
        attach: Attach<'_>,
    ) -> Result<Delivery, Reason> {
        let shared = &*self.0.shared;
        let accumulator = &shared.accumulator;
        let timestamp = record.timestamp_ms().unwrap_or_else(runtime::timestamp);
        let (now, random) = (runtime::now, runtime::seed);
        let appended = accumulator.append_with(record, timestamp, attempt, Some(attach), now, random);
        let (result, wake) = match appended {
            Ok(accepted) => (Ok(accepted.delivery), accepted.wake),
            Err(refusal) => (Err(refusal.reason), refusal.wake),
        };
        if wake {
            shared.notify.notify_one();
        }
        result
    }
}

/// The record with what interceptors added to it.
fn with_headers<'r>(
    record: Record<'r>,
    added: &'r AddedHeaders,
    headers: &'r mut Vec<Header<'r>>,
) -> Record<'r> {
    if added.is_empty() {
        return record;
    }
    headers.extend_from_slice(record.header_slice());
    headers.extend(added.iter());
    record.headers(headers)
}
