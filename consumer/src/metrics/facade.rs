//! The numbers for the `metrics` facade: names of Kafka's consumer, for whatever recorder the application installed.
//!
//! Each number is looked up when it changes, so a recorder that is installed after the consumer was made gets it too.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use ottla_client::{Error, TopicPartition};

use super::{ConsumerMetrics, RebalanceReason};

/// A consumer's numbers, by its `client.id`.
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
            ("kafka_consumer_records_consumed_total", Unit::Count, "Records that brokers sent"),
            ("kafka_consumer_bytes_consumed_total", Unit::Bytes, "Bytes of batches that brokers sent"),
            ("kafka_consumer_fetch_total", Unit::Count, "Fetch requests sent"),
            ("kafka_consumer_fetch_response_total", Unit::Count, "Fetch requests answered"),
            ("kafka_consumer_commit_total", Unit::Count, "Commits that succeeded"),
            ("kafka_consumer_commit_error_total", Unit::Count, "Commits that failed, by error"),
            ("kafka_consumer_rebalance_total", Unit::Count, "Rebalances that ended, by reason"),
            ("kafka_consumer_partitions_lost_total", Unit::Count, "Partitions taken away without a commit"),
            ("kafka_consumer_stuck_total", Unit::Count, "Times that something made no progress, by reason"),
        ];
        for (name, unit, text) in counters {
            describe_counter!(name, unit, text);
        }
        let histograms = [
            ("kafka_consumer_fetch_latency", Unit::Seconds, "From a fetch request to its answer"),
            ("kafka_consumer_commit_latency", Unit::Seconds, "From a commit's begin to its end"),
            ("kafka_consumer_rebalance_latency", Unit::Seconds, "From a rebalance's first sign to its end"),
            ("kafka_consumer_time_between_poll", Unit::Seconds, "From one poll to the next"),
        ];
        for (name, unit, text) in histograms {
            describe_histogram!(name, unit, text);
        }
        let gauges = [
            ("kafka_consumer_fetches_in_flight", Unit::Count, "Fetch requests whose answers are awaited"),
            ("kafka_consumer_buffered_bytes", Unit::Bytes, "Bytes that are fetched and not read"),
            ("kafka_consumer_held_bytes", Unit::Bytes, "Bytes of the answers that they came with"),
            ("kafka_consumer_assigned_partitions", Unit::Count, "Partitions that the consumer has"),
            ("kafka_consumer_last_poll_seconds_ago", Unit::Seconds, "Since the last poll began"),
            ("kafka_consumer_records_lag_max", Unit::Count, "The lag of the partition furthest behind"),
            ("kafka_consumer_records_lag", Unit::Count, "Offsets between position and end"),
        ];
        for (name, unit, text) in gauges {
            describe_gauge!(name, unit, text);
        }
    }

    pub(super) fn received(self, topic: &Arc<str>, records: u64, bytes: u64) {
        let labels = || [("client_id", Arc::clone(&self.client)), ("topic", Arc::clone(topic))];
        counter!("kafka_consumer_records_consumed_total", &labels()).increment(records);
        counter!("kafka_consumer_bytes_consumed_total", &labels()).increment(bytes);
    }

    pub(super) fn fetch_sent(self) {
        counter!("kafka_consumer_fetch_total", "client_id" => self.client).increment(1);
    }

    pub(super) fn fetch_answered(self, latency: Duration) {
        counter!("kafka_consumer_fetch_response_total", "client_id" => Arc::clone(&self.client)).increment(1);
        histogram!("kafka_consumer_fetch_latency", "client_id" => self.client).record(latency);
    }

    pub(super) fn polled(self, interval: Duration) {
        histogram!("kafka_consumer_time_between_poll", "client_id" => self.client).record(interval);
    }

    pub(super) fn committed(self, latency: Duration, result: &Result<(), Error>) {
        match result {
            Ok(()) => {
                counter!("kafka_consumer_commit_total", "client_id" => Arc::clone(&self.client)).increment(1);
                histogram!("kafka_consumer_commit_latency", "client_id" => self.client).record(latency);
            }
            Err(error) => {
                let name = match error.code() {
                    Some(code) => code.name().map_or_else(|| code.0.to_string(), str::to_owned),
                    None => format!("{:?}", error.kind()),
                };
                counter!("kafka_consumer_commit_error_total", "client_id" => self.client, "error" => name)
                    .increment(1);
            }
        }
    }

    pub(super) fn rebalanced(self, reason: RebalanceReason, latency: Duration) {
        let client = Arc::clone(&self.client);
        counter!("kafka_consumer_rebalance_total", "client_id" => client, "reason" => reason.name())
            .increment(1);
        histogram!("kafka_consumer_rebalance_latency", "client_id" => self.client).record(latency);
    }

    pub(super) fn lost(self, partitions: usize) {
        counter!("kafka_consumer_partitions_lost_total", "client_id" => self.client)
            .increment(partitions as u64);
    }

    pub(super) fn stuck(self, reason: &'static str) {
        counter!("kafka_consumer_stuck_total", "client_id" => self.client, "reason" => reason).increment(1);
    }

    pub(super) fn levels(self, metrics: &ConsumerMetrics) {
        let set = |name, value: f64| gauge!(name, "client_id" => Arc::clone(&self.client)).set(value);
        set("kafka_consumer_fetches_in_flight", metrics.fetches.in_flight as f64);
        set("kafka_consumer_buffered_bytes", metrics.buffer.bytes as f64);
        set("kafka_consumer_held_bytes", metrics.buffer.held as f64);
        set("kafka_consumer_assigned_partitions", metrics.partitions.len() as f64);
        if let Some(since_last) = metrics.polls.since_last {
            set("kafka_consumer_last_poll_seconds_ago", since_last.as_secs_f64());
        }
        if let Some(lag) = metrics.max_lag() {
            set("kafka_consumer_records_lag_max", lag as f64);
        }
        for (name, partition) in &metrics.partitions {
            if let Some(lag) = partition.lag {
                self.lag(name, lag as f64);
            }
        }
    }

    pub(super) fn lag(&self, partition: &TopicPartition, lag: f64) {
        let labels = [
            ("client_id", Arc::clone(&self.client)),
            ("topic", Arc::clone(&partition.topic)),
            ("partition", partition.partition.to_string().into()),
        ];
        gauge!("kafka_consumer_records_lag", &labels).set(lag);
    }
}
