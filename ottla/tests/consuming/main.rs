//! Shutdowns, acknowledgements, members that oversleep, streams of partitions, scans and typed reading, on a cluster in memory.

#![allow(clippy::disallowed_methods, reason = "the tests read clocks and spawn tasks")]
#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]

mod acks;
mod members;
mod scans;
mod shutdown;
mod streams;
mod typed;

use std::time::Duration;

use ottla::mock::{ClusterOptions, Mock};
use ottla::{ConsumerOptions, Kafka, OffsetReset, ProducerOptions, Record, TopicPartition};

const LONG: Duration = Duration::from_secs(60);

/// Three brokers with a topic `t` of so many partitions.
fn cluster(partitions: i32) -> (Mock, Kafka) {
    let options = ClusterOptions::new().brokers(3).topic("t", partitions, 3);
    let mock = Mock::start(options.config("group.initial.rebalance.delay.ms", "0")).unwrap();
    let kafka = Kafka::embedded(&mock).unwrap();
    (mock, kafka)
}

/// Writes `values`, in order, to a partition.
async fn write(kafka: &Kafka, partition: i32, values: impl IntoIterator<Item = String>) {
    let producer = kafka.producer(ProducerOptions::default()).unwrap();
    let mut deliveries = Vec::new();
    for value in values {
        let record = Record::new("t").partition(partition).value(&value);
        deliveries.push(producer.send(record).await.unwrap());
    }
    producer.close(LONG).await.unwrap();
    for delivery in deliveries {
        delivery.await.unwrap();
    }
}

/// Writes `0`, `1`, … to each of the partitions.
async fn write_numbers(kafka: &Kafka, partitions: i32, count: i64) {
    for partition in 0..partitions {
        write(kafka, partition, (0..count).map(|number| number.to_string())).await;
    }
}

fn options() -> ConsumerOptions {
    ConsumerOptions::new()
        .group_id("g")
        .auto_offset_reset(OffsetReset::Earliest)
        .heartbeat_interval(Duration::from_millis(100))
}

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

/// The group's committed offset.
async fn committed(kafka: &Kafka, partition: i32) -> Option<i64> {
    let mut consumer = kafka.consumer(options()).unwrap();
    let mut found = consumer.committed(&[tp(partition)]).await.unwrap();
    found.remove(&tp(partition)).flatten().map(|committed| committed.offset)
}
