//! Kafka's own Java client, alone and beside Ottla: what one writes the other reads, keys go to the same partitions, both
//! share a group, and Java's groups and transactions find brokers that keep their promises.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read the clock and panic where they fail"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::future::try_join_all;
use ottla::consumer::{IsolationLevel, OffsetReset, Record as ReadRecord, Strategy};
use ottla::protocol::murmur2::partition_for_key;
use ottla::{Consumer, ConsumerOptions, Kafka, ProducerOptions, Record, TopicPartition};
use ottla_tests::broker::{
    Dice, Nodes, Sample, catalogue, end_offsets, java, now_ms, read_all, read_all_with, topic, unique,
};

use super::WORLD;

const MS: fn(u64) -> Duration = Duration::from_millis;

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

fn line(record: &ReadRecord) -> String {
    format!("{} {} {}", record.topic(), record.offset(), Sample::of(record).line())
}

#[test]
fn what_javas_producer_writes_ottla_reads() {
    WORLD.one(async |kafka, nodes| {
        let mut args = Vec::new();
        let mut topics = Vec::new();
        for codec in CODECS {
            let topic = topic(&kafka, "from-java", 1).await;
            args.push(format!("{codec}={topic}"));
            topics.push((codec, topic));
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let written = java(nodes, "Produce", &args).await;
        assert_eq!(written.len(), CODECS.len() * 80);
        let mut found = Vec::new();
        for (codec, topic) in &topics {
            found.extend(read_all(&kafka, topic).await.iter().map(line));
            // Java sends a batch uncompressed only if it is told to, and numbers it unless it is told not to.
            let kinds: BTreeSet<(String, bool)> = nodes
                .batches(topic, 0)
                .iter()
                .map(|batch| batch.header())
                .map(|header| {
                    (header.attributes.compression().unwrap().to_string(), header.has_producer_id())
                })
                .collect();
            assert_eq!(kinds, BTreeSet::from([((*codec).to_owned(), true)]));
        }
        for (found, written) in found.iter().zip(&written) {
            assert_eq!(found, written);
        }
        assert_eq!(found.len(), written.len());
    });
}

#[test]
fn what_ottla_writes_javas_consumer_reads() {
    WORLD.one(async |kafka, nodes| {
        let samples = catalogue(now_ms());
        let (mut topics, mut written) = (Vec::new(), Vec::new());
        for codec in CODECS {
            let topic = topic(&kafka, "to-java", 1).await;
            let mut options = ProducerOptions::default().linger(MS(10_000)).batch_size(60_000usize);
            options.set("compression.type", codec).unwrap();
            let producer = kafka.producer(options).unwrap();
            let mut deliveries = Vec::new();
            for sample in &samples {
                let headers = sample.borrowed_headers();
                deliveries.push(producer.send(sample.record(&topic, &headers)).await.unwrap());
            }
            producer.flush().await.unwrap();
            let delivered = try_join_all(deliveries).await.unwrap();
            written.extend(delivered.iter().zip(&samples).map(|(delivered, sample)| {
                format!("{} {} {}", topic, delivered.offset.unwrap(), sample.line())
            }));
            topics.push(topic);
        }
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        let found = java(nodes, "Consume", &topics).await;
        for (found, written) in found.iter().zip(&written) {
            assert_eq!(found, written);
        }
        assert_eq!(found.len(), written.len());
    });
}

#[test]
fn ten_thousand_random_keys_go_to_the_partitions_that_java_chooses() {
    WORLD.one(async |kafka, nodes| {
        const PARTITIONS: u32 = 31;
        let seed = Dice::new("keys").below(1 << 40).to_string();
        let javas = topic(&kafka, "keys-java", PARTITIONS as i32).await;
        java(nodes, "Keys", &[&javas, "10000", &seed]).await;
        let records = read_all(&kafka, &javas).await;
        assert_eq!(records.len(), 10_000);
        let partitions = NonZeroU32::new(PARTITIONS).unwrap();
        for record in &records {
            assert_eq!(
                partition_for_key(record.key().unwrap(), partitions),
                record.partition(),
                "{record:?}"
            );
        }

        let ours = topic(&kafka, "keys-ottla", PARTITIONS as i32).await;
        let producer = kafka.producer(ProducerOptions::default()).unwrap();
        let mut deliveries = Vec::new();
        for record in &records {
            deliveries.push(producer.send(Record::new(&ours).key(record.key().unwrap())).await.unwrap());
        }
        let chosen: Vec<i32> =
            try_join_all(deliveries).await.unwrap().iter().map(|delivered| delivered.partition).collect();
        assert!(chosen.iter().copied().eq(records.iter().map(ReadRecord::partition)));
    });
}

#[test]
fn a_java_member_and_an_ottla_member_share_a_groups_partitions() {
    WORLD.one(async |kafka, nodes| {
        let topic = topic(&kafka, "shared", 4).await;
        let group = unique("shared");
        let options = ConsumerOptions::default()
            .group_id(&*group)
            .partition_assignment_strategy(vec![Strategy::Range])
            .auto_offset_reset(OffsetReset::Earliest)
            .enable_auto_commit(false)
            .heartbeat_interval(MS(200));
        let mut consumer = kafka.consumer(options).unwrap();
        consumer.subscribe([topic.as_str()]).unwrap();
        let mut mine = BTreeSet::new();
        poll_until_assigned(&mut consumer, 4, &mut mine).await;
        fill(&kafka, &topic, 0..4, 10).await;
        poll_until_read(&mut consumer, 4, 10, &mut mine).await;

        let args = [group.as_str(), topic.as_str()];
        let java = java(nodes, "Member", &args);
        let ottla = async {
            poll_until_assigned(&mut consumer, 2, &mut mine).await;
            // The two are settled: what is written now is divided, and the empty value ends Java's part.
            fill(&kafka, &topic, 0..4, 100).await;
            poll_until_assigned(&mut consumer, 4, &mut mine).await;
            // Java has left: what comes now is all for the one that stayed.
            fill(&kafka, &topic, 0..4, 1).await;
            poll_until_read(&mut consumer, 4, 113, &mut mine).await;
        };
        let (lines, ()) = futures_util::join!(java, ottla);

        let javas: BTreeSet<(i32, i64)> = lines.iter().map(|line| pair(line)).collect();
        assert_eq!(javas.len(), lines.len(), "Java read something twice");
        let partitions: BTreeSet<i32> = javas.iter().map(|(partition, _)| *partition).collect();
        let halves = [BTreeSet::from([0, 1]), BTreeSet::from([2, 3])];
        assert!(halves.contains(&partitions), "the range assignor gave Java {partitions:?}");
        let expected_javas: BTreeSet<(i32, i64)> =
            partitions.iter().flat_map(|partition| (11..112).map(|offset| (*partition, offset))).collect();
        assert_eq!(javas, expected_javas);
        // Each went on where the other had committed.
        let ends = end_offsets(&kafka, &topic).await;
        let all: BTreeSet<(i32, i64)> = ends
            .iter()
            .flat_map(|(partition, end)| (0..*end).map(|offset| (partition.partition, offset)))
            .collect();
        assert_eq!(mine, all.difference(&javas).copied().collect());
        consumer.close(MS(10_000)).await.unwrap();
    });
}

#[test]
fn what_javas_transactions_aborted_is_read_only_uncommitted() {
    WORLD.one(async |kafka, nodes| {
        let topic = topic(&kafka, "transactions", 1).await;
        java(nodes, "Transact", &[&topic]).await;
        let read = async |isolation| {
            let options = ConsumerOptions::default().isolation_level(isolation);
            let records = read_all_with(&kafka, &topic, options).await;
            records
                .iter()
                .map(|record| String::from_utf8(record.value().unwrap().to_vec()).unwrap())
                .collect()
        };
        let all: Vec<String> = read(IsolationLevel::ReadUncommitted).await;
        let numbers = all.iter().map(|value| value.split_once(' ').unwrap().1.parse::<u32>().unwrap());
        assert!(numbers.eq(0..54), "{all:?}");
        let committed: Vec<String> = read(IsolationLevel::ReadCommitted).await;
        assert_eq!(committed.len(), 30);
        assert!(
            committed.iter().eq(all.iter().filter(|value| !value.starts_with("aborted"))),
            "{committed:?}"
        );
    });
}

#[test]
fn two_java_members_of_a_classic_group_hand_partitions_over() {
    WORLD.one(async |kafka, nodes| java_group(&kafka, nodes, "classic").await);
}

#[test]
fn two_java_members_of_a_group_of_the_new_protocol_hand_partitions_over() {
    WORLD.one(async |kafka, nodes| java_group(&kafka, nodes, "consumer").await);
}

/// One member, then two, then the other: thirty records for each of four partitions at each stage.
async fn java_group(kafka: &Kafka, nodes: &Nodes, protocol: &str) {
    let topic = topic(kafka, "java-group", 4).await;
    let group = unique("java-group");
    let lines = java(nodes, "Group", &[protocol, &group, &topic, "4", "30"]).await;
    let mut read: BTreeMap<(i32, i64), &str> = BTreeMap::new();
    let mut told = Vec::new();
    for line in &lines {
        match line.split_once(' ').unwrap() {
            (who @ ("first" | "second"), place) => {
                let before = read.insert(pair(place), who);
                assert_eq!(before, None, "{place} was read twice");
            }
            _ => told.push(line.as_str()),
        }
    }
    assert_eq!(told, ["shared 2 2", "committed 0 90", "committed 1 90", "committed 2 90", "committed 3 90"]);
    let by = |name: &str, stage: std::ops::Range<i64>| {
        read.iter().filter(|((_, offset), who)| stage.contains(offset) && **who == name).count()
    };
    let shares = [0..30, 30..60, 60..90].map(|stage| (by("first", stage.clone()), by("second", stage)));
    assert_eq!(shares, [(120, 0), (60, 60), (0, 120)]);
    assert_eq!(read.len(), 360);
}

#[test]
fn javas_pipeline_reads_transforms_and_writes_each_record_once() {
    WORLD.one(async |kafka, nodes| {
        let (source, target) = (topic(&kafka, "source", 1).await, topic(&kafka, "target", 1).await);
        let producer = kafka.producer(ProducerOptions::default()).unwrap();
        let mut deliveries = Vec::new();
        for number in 0..30 {
            let value = number.to_string();
            deliveries.push(producer.send(Record::new(&source).partition(0).value(&value)).await.unwrap());
        }
        try_join_all(deliveries).await.unwrap();
        let id = unique("pipeline");
        let lines = java(nodes, "Pipeline", &[&id, &source, &target, "30"]).await;
        let mut expected: Vec<String> =
            [0, 10, 10, 20, 20, 30].iter().map(|offset| format!("committed {offset}")).collect();
        expected.extend((0..30).map(|number| format!("read_committed kept {number}")));
        for tens in 0..3 {
            let numbers = tens * 10..(tens + 1) * 10;
            expected.extend(numbers.clone().map(|number| format!("read_uncommitted aborted {number}")));
            expected.extend(numbers.map(|number| format!("read_uncommitted kept {number}")));
        }
        expected.push("fenced".to_owned());
        assert_eq!(lines, expected);
        // Ottla sees the same.
        let committed = ConsumerOptions::default().isolation_level(IsolationLevel::ReadCommitted);
        let values: Vec<String> = read_all_with(&kafka, &target, committed)
            .await
            .iter()
            .map(|record| String::from_utf8(record.value().unwrap().to_vec()).unwrap())
            .collect();
        assert!(values.iter().cloned().eq((0..30).map(|number| format!("kept {number}"))), "{values:?}");
    });
}

/// Writes `count` records and one with an empty value to each partition.
async fn fill(kafka: &Kafka, topic: &str, partitions: std::ops::Range<i32>, count: usize) {
    let producer = kafka.producer(ProducerOptions::default()).unwrap();
    let mut deliveries = Vec::new();
    for partition in partitions {
        for value in std::iter::repeat_n("v", count).chain([""]) {
            let record = Record::new(topic).partition(partition).value(value);
            deliveries.push(producer.send(record).await.unwrap());
        }
    }
    try_join_all(deliveries).await.unwrap();
}

async fn poll_until_assigned(consumer: &mut Consumer, partitions: usize, read: &mut BTreeSet<(i32, i64)>) {
    while consumer.assignment().len() != partitions {
        note(consumer, read).await;
    }
}

/// Polls until every partition was read up to `end`, by whomever.
async fn poll_until_read(
    consumer: &mut Consumer,
    partitions: usize,
    end: i64,
    read: &mut BTreeSet<(i32, i64)>,
) {
    let mut positions: BTreeMap<TopicPartition, i64> = BTreeMap::new();
    while positions.len() < partitions || positions.values().any(|position| *position <= end) {
        note(consumer, read).await;
        for partition in consumer.assignment() {
            let position = consumer.position(&partition).await.unwrap();
            positions.insert(partition, position);
        }
    }
}

async fn note(consumer: &mut Consumer, read: &mut BTreeSet<(i32, i64)>) {
    for record in consumer.poll(MS(100)).await.unwrap() {
        assert!(read.insert((record.partition(), record.offset())), "Ottla read {record:?} twice");
    }
    // What was handed out is done with.
    consumer.commit().await.unwrap();
}

fn pair(line: &str) -> (i32, i64) {
    let (partition, offset) = line.split_once(' ').unwrap();
    (partition.parse().unwrap(), offset.parse().unwrap())
}
