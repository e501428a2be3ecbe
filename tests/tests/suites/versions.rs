//! Older brokers: every codec, a group of two, commit and resume.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read the clock and panic where they fail"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::try_join_all;
use ottla::consumer::{OffsetReset, Strategy};
use ottla::{Consumer, ConsumerOptions, Kafka, ProducerOptions, Record};
use ottla_tests::broker::{Id, Ledger, Nodes, Sample, catalogue, now_ms, read_all, topic, unique};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// The suite for each of these versions; a binary says which.
macro_rules! versions {
    ($($module:ident: $version:literal,)+) => {$(
        mod $module {
            #[test]
            fn every_codec_and_every_kind_of_part_comes_back() {
                crate::WORLD.of_version($version, crate::versions::codecs);
            }

            #[test]
            fn two_members_of_a_group_share_the_partitions() {
                crate::WORLD.of_version($version, crate::versions::group_of_two);
            }

            #[test]
            fn a_consumer_resumes_from_its_commit() {
                crate::WORLD.of_version($version, crate::versions::resume);
            }
        }
    )+};
}

pub(crate) async fn codecs(kafka: Kafka, _: &Nodes) {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = topic(&kafka, "codec", 1).await;
        let samples = catalogue(now_ms());
        let mut options = ProducerOptions::default();
        options.set("compression.type", codec).unwrap();
        let producer = kafka.producer(options).unwrap();
        let mut deliveries = Vec::new();
        for sample in &samples {
            let headers = sample.borrowed_headers();
            deliveries.push(producer.send(sample.record(&topic, &headers)).await.unwrap());
        }
        let delivered = try_join_all(deliveries).await.unwrap();
        assert!(delivered.iter().map(|delivered| delivered.offset.unwrap()).eq(0..150), "{codec}");
        let records: Vec<Sample> = read_all(&kafka, &topic).await.iter().map(Sample::of).collect();
        assert_eq!(records, samples, "{codec}");
    }
}

pub(crate) async fn group_of_two(kafka: Kafka, _: &Nodes) {
    for strategy in [Strategy::Range, Strategy::CooperativeSticky] {
        let topic = topic(&kafka, "two", 4).await;
        let group = unique("two");
        let ledger = Ledger::default();
        let mut members = Vec::new();
        for _ in 0..2 {
            let mut consumer =
                kafka.consumer(member(&group).partition_assignment_strategy(vec![strategy])).unwrap();
            consumer.subscribe([topic.as_str()]).unwrap();
            members.push(consumer);
        }
        let [one, two] = &mut members[..] else { unreachable!("two members were made") };
        while one.assignment().len() != 2 || two.assignment().len() != 2 {
            let (one, two) = futures_util::join!(one.poll(MS(50)), two.poll(MS(50)));
            assert!(one.unwrap().is_empty() && two.unwrap().is_empty());
        }
        produce(&kafka, &topic, 4, 0, 2_000, &ledger).await;
        while ledger.distinct_reads() < 2_000 {
            let (one, two) = futures_util::join!(one.poll(MS(50)), two.poll(MS(50)));
            ledger.read(1, &one.unwrap());
            ledger.read(2, &two.unwrap());
        }
        assert_eq!(ledger.exactly_once(), [""; 0], "{strategy:?}");
        let owned: BTreeSet<_> = [one.assignment(), two.assignment()].concat().into_iter().collect();
        assert_eq!(owned.len(), 4, "{strategy:?}");
        // Who leaves hands over what it had, and nothing is seen twice or not at all.
        let one = members.remove(0);
        one.close(MS(10_000)).await.unwrap();
        produce(&kafka, &topic, 4, 1, 400, &ledger).await;
        while ledger.distinct_reads() < 2_400 {
            ledger.read(2, &members[0].poll(MS(50)).await.unwrap());
        }
        assert_eq!(ledger.exactly_once(), [""; 0], "{strategy:?}");
        members.remove(0).close(MS(10_000)).await.unwrap();
    }
}

pub(crate) async fn resume(kafka: Kafka, _: &Nodes) {
    let topic = topic(&kafka, "resume", 2).await;
    let group = unique("resume");
    let ledger = Ledger::default();
    produce(&kafka, &topic, 2, 0, 200, &ledger).await;
    for (reader, target) in [(0, 70), (1, 200)] {
        let mut consumer =
            kafka.consumer(member(&group).enable_auto_commit(false).max_poll_records(10usize)).unwrap();
        consumer.subscribe([topic.as_str()]).unwrap();
        while ledger.distinct_reads() < target {
            ledger.read(reader, &consumer.poll(MS(500)).await.unwrap());
        }
        consumer.commit().await.unwrap();
        close(consumer).await;
    }
    assert_eq!(ledger.exactly_once(), [""; 0]);
}

async fn close(consumer: Consumer) {
    consumer.close(MS(10_000)).await.unwrap();
}

fn member(group: &str) -> ConsumerOptions {
    ConsumerOptions::default()
        .group_id(group)
        .auto_offset_reset(OffsetReset::Earliest)
        .heartbeat_interval(MS(200))
}

/// Writes `count` records of one producer, round robin, and waits for all of them.
async fn produce(kafka: &Kafka, topic: &str, partitions: u64, producer: u32, count: u64, ledger: &Ledger) {
    let handle = kafka.producer(ProducerOptions::default()).unwrap();
    let mut deliveries = Vec::new();
    for sequence in 0..count {
        let id = Id { producer, sequence };
        let partition = (sequence % partitions) as i32;
        let payload = id.payload(64);
        let record = Record::new(topic).partition(partition).value(&payload);
        deliveries.push((id, partition, handle.send(record).await.unwrap()));
    }
    for (id, partition, delivery) in deliveries {
        let partition = ottla::TopicPartition { topic: topic.into(), partition };
        ledger.delivery(id, partition, &delivery.await);
    }
}
