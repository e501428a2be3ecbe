//! [`ProducerMetrics`]: what a producer has done so far, and what it is doing.
//!
//! Everything is counted by batches, requests or answers, never by records.
//!
//! With the feature `metrics` the numbers also go to the recorder that the application installed for the `metrics`
//! facade, under Kafka's names and with the label `client_id`; those marked with * also have `topic`:
//!
//! | kind | names, each behind `kafka_producer_` |
//! |---|---|
//! | counters | `record_send_total`*, `byte_total`*, `record_retry_total`*, `record_error_total`* (by `error`), `batch_error_total` (by `error`), `batch_split_total`, `epoch_bump_total`, `request_total`, `response_total` |
//! | histograms | `batch_size` (bytes), `compression_rate`, `record_queue_time` (seconds), `request_latency` (seconds) |
//! | gauges | `requests_in_flight`, `buffer_available_bytes`, `buffer_total_bytes`, `waiting_sends` |
//!
//! Sources: the sensors of Kafka's producer, by their names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_protocol::error_code::ErrorCode;

#[cfg(feature = "metrics")]
mod facade;
mod meter;

pub(crate) use meter::Meter;
pub use ottla_client::Histogram;

/// A producer's numbers at one instant, all since it was made unless they say otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ProducerMetrics {
    /// Records and bytes of all topics.
    pub total: Traffic,
    /// Records and bytes by topic: the first thousand topics that were sent to.
    pub topics: BTreeMap<Arc<str>, Traffic>,
    /// Records and bytes of all further topics together.
    pub other_topics: Traffic,
    /// Batches: how full, how small, how old.
    pub batches: BatchMetrics,
    /// Produce requests.
    pub requests: RequestMetrics,
    /// The memory for records, now.
    pub buffer: BufferMetrics,
    /// How many batches brokers refused, by error code; those that were retried count each time.
    pub errors: BTreeMap<ErrorCode, u64>,
}

/// Records and their bytes, as they are in batches: headers included, compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Records that were put into a request, each counted once.
    pub records_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Records that were acknowledged.
    pub records_acknowledged: u64,
    /// Their bytes.
    pub bytes_acknowledged: u64,
    /// Accepted records that failed, whether or not they were ever sent.
    pub records_failed: u64,
    /// Their bytes.
    pub bytes_failed: u64,
    /// Records that were put into a further request, counted each time, except for those that a split batch caused.
    pub records_retried: u64,
}

/// What is known of batches.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct BatchMetrics {
    /// Batches that were put into a request, each counted once; the parts of one that was split belong to it.
    pub sent: u64,
    /// Their records.
    pub records: u64,
    /// Their bytes in requests.
    pub bytes: u64,
    /// Their bytes before compression.
    pub uncompressed_bytes: u64,
    /// `batch.size`.
    pub target_bytes: u64,
    /// From a batch's first record to its first request.
    pub queue_time: Histogram,
    /// Batches that were put into a further request, counted each time. A split batch's parts are not, the first time.
    pub retried: u64,
    /// Batches that were split because a broker found them too large.
    pub split: u64,
    /// How often a partition's epoch was raised to number its batches anew.
    pub epochs_raised: u64,
}

impl BatchMetrics {
    /// Bytes of a batch before compression, on average; 0 before the first.
    pub fn average_bytes(&self) -> f64 {
        ratio(self.uncompressed_bytes, self.sent)
    }

    /// Records of a batch, on average; 0 before the first.
    pub fn average_records(&self) -> f64 {
        ratio(self.records, self.sent)
    }

    /// How full a batch is, on average: 1 is `batch.size`. Above 1 where records are larger than that.
    pub fn average_fill(&self) -> f64 {
        ratio(self.uncompressed_bytes, self.sent * self.target_bytes)
    }

    /// Bytes in requests by bytes before compression: 0.25 is a quarter. 0 before the first batch.
    pub fn compression_ratio(&self) -> f64 {
        ratio(self.bytes, self.uncompressed_bytes)
    }
}

/// What is known of produce requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestMetrics {
    /// Requests that were sent.
    pub sent: u64,
    /// Requests that were answered; with `acks=0`, those that were written to a socket.
    pub answered: u64,
    /// Requests that were not: broken connections, timeouts, brokers that are too old.
    pub failed: u64,
    /// Requests whose answers are awaited now.
    pub in_flight: u64,
    /// From a request to its answer.
    pub latency: Histogram,
    /// How long brokers wanted to be left alone, in sum.
    pub throttled: Duration,
}

/// `buffer.memory`, now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BufferMetrics {
    /// Bytes that hold records.
    pub in_use: usize,
    /// `buffer.memory`.
    pub limit: usize,
    /// Sends that wait for room.
    pub waiting: usize,
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests;
