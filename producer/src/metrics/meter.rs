//! [`Meter`]: where the producer's task counts.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ottla_client::Error;
use ottla_protocol::error_code::ErrorCode;

#[cfg(feature = "metrics")]
use super::facade::Facade;
use super::{ProducerMetrics, Traffic};
use crate::batch::Batch;

/// Topics that are counted on their own.
const TOPICS: usize = 1_000;

/// Counts batches and requests: one short lock for each.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    counts: Mutex<ProducerMetrics>,
    client_id: OnceLock<Arc<str>>,
}

impl Meter {
    /// Names the producer, for numbers that leave it.
    pub(crate) fn name(&self, client_id: &str) {
        if self.client_id.set(client_id.into()).is_ok() {
            #[cfg(feature = "metrics")]
            Facade::describe();
        }
    }

    /// All counts; what is not counted here is zero.
    pub(crate) fn snapshot(&self) -> ProducerMetrics {
        self.counts().clone()
    }

    /// A batch is in its first request, so long after its first record.
    pub(crate) fn sent(&self, batch: &Batch, queued: Duration) {
        let (records, bytes, uncompressed) =
            (u64::from(batch.count.unsigned_abs()), batch.size() as u64, batch.uncompressed_size() as u64);
        let mut counts = self.counts();
        counts.traffic(batch.completion.topic(), |traffic| {
            traffic.records_sent += records;
            traffic.bytes_sent += bytes;
        });
        let batches = &mut counts.batches;
        batches.sent += 1;
        batches.records += records;
        batches.bytes += bytes;
        batches.uncompressed_bytes += uncompressed;
        batches.queue_time.record(queued);
        drop(counts);
        #[cfg(feature = "metrics")]
        self.facade().sent(batch.completion.topic(), records, bytes, uncompressed, queued);
    }

    /// A batch is in a further request.
    pub(crate) fn retried(&self, batch: &Batch) {
        let records = u64::from(batch.count.unsigned_abs());
        let mut counts = self.counts();
        counts.traffic(batch.completion.topic(), |traffic| traffic.records_retried += records);
        counts.batches.retried += 1;
        drop(counts);
        #[cfg(feature = "metrics")]
        self.facade().retried(batch.completion.topic(), records);
    }

    /// A batch's records are written.
    pub(crate) fn acknowledged(&self, batch: &Batch) {
        let (records, bytes) = (u64::from(batch.count.unsigned_abs()), batch.size() as u64);
        self.counts().traffic(batch.completion.topic(), |traffic| {
            traffic.records_acknowledged += records;
            traffic.bytes_acknowledged += bytes;
        });
    }

    /// A batch's records failed for good.
    pub(crate) fn failed(&self, batch: &Batch, _error: &Error) {
        let (records, bytes) = (u64::from(batch.count.unsigned_abs()), batch.size() as u64);
        self.counts().traffic(batch.completion.topic(), |traffic| {
            traffic.records_failed += records;
            traffic.bytes_failed += bytes;
        });
        #[cfg(feature = "metrics")]
        self.facade().failed(batch.completion.topic(), records, _error);
    }

    /// A batch was split.
    pub(crate) fn split(&self) {
        self.counts().batches.split += 1;
        #[cfg(feature = "metrics")]
        self.facade().split();
    }

    /// A partition's epoch was raised.
    pub(crate) fn epoch_raised(&self) {
        self.counts().batches.epochs_raised += 1;
        #[cfg(feature = "metrics")]
        self.facade().epoch_raised();
    }

    /// A broker refused a batch.
    pub(crate) fn refused(&self, code: ErrorCode) {
        *self.counts().errors.entry(code).or_default() += 1;
        #[cfg(feature = "metrics")]
        self.facade().refused(code);
    }

    /// A request is on its way.
    pub(crate) fn request_sent(&self) {
        let mut counts = self.counts();
        counts.requests.sent += 1;
        counts.requests.in_flight += 1;
        drop(counts);
        #[cfg(feature = "metrics")]
        self.facade().request_sent();
    }

    /// A request was answered after so long, or was not.
    pub(crate) fn request_over(&self, answered: bool, latency: Duration, throttle: Duration) {
        let mut counts = self.counts();
        let requests = &mut counts.requests;
        requests.in_flight = requests.in_flight.saturating_sub(1);
        requests.throttled += throttle;
        if answered {
            requests.answered += 1;
            requests.latency.record(latency);
        } else {
            requests.failed += 1;
        }
        drop(counts);
        #[cfg(feature = "metrics")]
        self.facade().request_over(answered, latency);
    }

    /// Passes on what changes up and down.
    #[cfg(feature = "metrics")]
    pub(crate) fn publish(&self, in_use: usize, limit: usize, waiting: usize) {
        let in_flight = self.counts().requests.in_flight;
        self.facade().levels(in_flight, in_use, limit, waiting);
    }

    #[cfg(feature = "metrics")]
    fn facade(&self) -> Facade {
        Facade::new(self.client_id.get())
    }

    fn counts(&self) -> MutexGuard<'_, ProducerMetrics> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProducerMetrics {
    /// Changes what is counted for a topic, and for all.
    fn traffic(&mut self, topic: &Arc<str>, mut change: impl FnMut(&mut Traffic)) {
        change(&mut self.total);
        let full = self.topics.len() >= TOPICS;
        change(match self.topics.get_mut(topic) {
            Some(known) => known,
            None if full => &mut self.other_topics,
            None => self.topics.entry(Arc::clone(topic)).or_default(),
        });
    }
}
