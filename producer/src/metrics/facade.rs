//! The numbers for the `metrics` facade: names of Kafka's producer, for whatever recorder the application installed.
//!
//! Each number is looked up when it changes, so a recorder that is installed after the producer was made gets it too.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use ottla_client::Error;
use ottla_protocol::error_code::ErrorCode;

/// A producer's numbers, by its `client.id`.
pub(super) struct Facade {
    client: Arc<str>,
}

impl Facade {
    pub(super) fn new(client_id: Option<&Arc<str>>) -> Self {
        Facade { client: client_id.map_or_else(|| "".into(), Arc::clone) }
    }

    /// Tells the recorder what the numbers mean.
    pub(super) fn describe() {
        let counters = [
            ("kafka_producer_record_send_total", Unit::Count, "Records put into their first request"),
            ("kafka_producer_byte_total", Unit::Bytes, "Bytes of batches put into their first request"),
            ("kafka_producer_record_retry_total", Unit::Count, "Records put into a further request"),
            ("kafka_producer_record_error_total", Unit::Count, "Accepted records that failed, by error"),
            ("kafka_producer_batch_split_total", Unit::Count, "Batches split as too large"),
            ("kafka_producer_epoch_bump_total", Unit::Count, "Raised epochs of partitions"),
            ("kafka_producer_batch_error_total", Unit::Count, "Batches that brokers refused, by error"),
            ("kafka_producer_request_total", Unit::Count, "Produce requests sent"),
            ("kafka_producer_response_total", Unit::Count, "Produce requests answered"),
        ];
        for (name, unit, text) in counters {
            describe_counter!(name, unit, text);
        }
        let histograms = [
            ("kafka_producer_batch_size", Unit::Bytes, "A batch's bytes before compression"),
            ("kafka_producer_compression_rate", Unit::Count, "A batch's bytes by those before compression"),
            ("kafka_producer_record_queue_time", Unit::Seconds, "From a batch's first record to its request"),
            ("kafka_producer_request_latency", Unit::Seconds, "From a request to its answer"),
        ];
        for (name, unit, text) in histograms {
            describe_histogram!(name, unit, text);
        }
        let gauges = [
            ("kafka_producer_requests_in_flight", Unit::Count, "Requests whose answers are awaited"),
            ("kafka_producer_buffer_available_bytes", Unit::Bytes, "Free bytes of `buffer.memory`"),
            ("kafka_producer_buffer_total_bytes", Unit::Bytes, "`buffer.memory`"),
            ("kafka_producer_waiting_sends", Unit::Count, "Sends that wait for room"),
        ];
        for (name, unit, text) in gauges {
            describe_gauge!(name, unit, text);
        }
    }

    pub(super) fn sent(
        self,
        topic: &Arc<str>,
        records: u64,
        bytes: u64,
        uncompressed: u64,
        queued: Duration,
    ) {
        let labels = || [("client_id", Arc::clone(&self.client)), ("topic", Arc::clone(topic))];
        counter!("kafka_producer_record_send_total", &labels()).increment(records);
        counter!("kafka_producer_byte_total", &labels()).increment(bytes);
        let client = || Arc::clone(&self.client);
        histogram!("kafka_producer_batch_size", "client_id" => client()).record(uncompressed as f64);
        let rate = bytes as f64 / uncompressed.max(1) as f64;
        histogram!("kafka_producer_compression_rate", "client_id" => client()).record(rate);
        histogram!("kafka_producer_record_queue_time", "client_id" => client()).record(queued);
    }

    pub(super) fn retried(self, topic: &Arc<str>, records: u64) {
        let topic = Arc::clone(topic);
        counter!("kafka_producer_record_retry_total", "client_id" => self.client, "topic" => topic)
            .increment(records);
    }

    pub(super) fn failed(self, topic: &Arc<str>, records: u64, error: &Error) {
        let name = error.code().map_or_else(|| format!("{:?}", error.kind()), name);
        let topic = Arc::clone(topic);
        counter!("kafka_producer_record_error_total", "client_id" => self.client, "topic" => topic, "error" => name)
            .increment(records);
    }

    pub(super) fn refused(self, code: ErrorCode) {
        counter!("kafka_producer_batch_error_total", "client_id" => self.client, "error" => name(code))
            .increment(1);
    }

    pub(super) fn split(self) {
        counter!("kafka_producer_batch_split_total", "client_id" => self.client).increment(1);
    }

    pub(super) fn epoch_raised(self) {
        counter!("kafka_producer_epoch_bump_total", "client_id" => self.client).increment(1);
    }

    pub(super) fn request_sent(self) {
        counter!("kafka_producer_request_total", "client_id" => self.client).increment(1);
    }

    pub(super) fn request_over(self, answered: bool, latency: Duration) {
        if answered {
            let client = Arc::clone(&self.client);
            counter!("kafka_producer_response_total", "client_id" => client).increment(1);
            histogram!("kafka_producer_request_latency", "client_id" => self.client).record(latency);
        }
    }

    pub(super) fn levels(self, in_flight: u64, in_use: usize, limit: usize, waiting: usize) {
        let set = |name, value: f64| gauge!(name, "client_id" => Arc::clone(&self.client)).set(value);
        set("kafka_producer_requests_in_flight", in_flight as f64);
        set("kafka_producer_buffer_available_bytes", limit.saturating_sub(in_use) as f64);
        set("kafka_producer_buffer_total_bytes", limit as f64);
        set("kafka_producer_waiting_sends", waiting as f64);
    }
}

/// A code's name, or its number where it has none.
fn name(code: ErrorCode) -> String {
    code.name().map_or_else(|| code.0.to_string(), str::to_owned)
}
