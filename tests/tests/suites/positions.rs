//! Where a consumer reads: offsets on request, seeks, resets, lag, logs that are truncated or created anew.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read the clock and panic where they fail"
)]

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use ottla::consumer::IsolationLevel;
use ottla::protocol::error_code::ErrorCode;
use ottla::{
    Consumer, ConsumerOptions, Error, ErrorKind, Kafka, NewTopic, NodeId, OffsetReset, Partition,
    ProducerOptions, Record, Start, TopicPartition,
};
use ottla_tests::broker::{DEADLINE, Transactions, World, now_ms, topic, topic_with, within};

use super::WORLD;

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

/// How long a cluster of which two of three nodes were killed may take until it has a leader again.
const RECOVERY: Duration = Duration::from_secs(90);

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}

/// Writes numbers to partition 0, each with its time.
async fn write(kafka: &Kafka, topic: &str, numbers: impl IntoIterator<Item = (u32, i64)>) {
    let producer = kafka.producer(ProducerOptions::default()).unwrap();
    let mut deliveries = Vec::new();
    for (number, timestamp) in numbers {
        let value = number.to_be_bytes();
        let record = Record::new(topic).partition(0).value(&value).timestamp(timestamp);
        deliveries.push(producer.send(record).await.unwrap());
    }
    try_join_all(deliveries).await.unwrap();
}

async fn write_now(kafka: &Kafka, topic: &str, numbers: std::ops::Range<u32>) {
    write(kafka, topic, numbers.map(|number| (number, now_ms()))).await;
}

/// The next records: their offsets and the numbers that they hold.
async fn read(consumer: &mut Consumer, count: usize) -> Vec<(i64, u32)> {
    let mut read = Vec::new();
    while read.len() < count {
        let record = within(RECOVERY, "a record", consumer.next()).await.unwrap();
        read.push((record.offset(), u32::from_be_bytes(record.value().unwrap().try_into().unwrap())));
    }
    read
}

fn numbers(range: std::ops::Range<u32>) -> Vec<(i64, u32)> {
    range.map(|number| (i64::from(number), number)).collect()
}

#[test]
fn ends_and_times_are_known_of_each_partition_and_can_be_sought() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "offsets", 2).await;
        let start = now_ms() - 60_000;
        write(&kafka, &topic, (0..10).map(|number| (number, start + i64::from(number) * 100))).await;
        let options = ConsumerOptions::default().default_api_timeout(SECONDS(5));
        let mut consumer = kafka.consumer(options.allow_auto_create_topics(false)).unwrap();
        let all = [at(&topic, 0), at(&topic, 1), at(&topic, 9)];

        let (begins, ends) = (consumer.begin_offsets(&all).await, consumer.end_offsets(&all).await);
        let known = |found: &HashMap<TopicPartition, Result<i64, Error>>| {
            [0, 1].map(|partition| *found[&at(&topic, partition)].as_ref().unwrap())
        };
        assert_eq!((known(&begins), known(&ends)), ([0, 0], [10, 0]));
        assert_eq!(ends[&all[2]].as_ref().unwrap_err().kind(), ErrorKind::UnknownTopic);

        let times = [(at(&topic, 0), start + 250), (at(&topic, 1), start)];
        let mut found = consumer.offsets_for_times(times).await;
        let young = found.remove(&all[0]).unwrap().unwrap().unwrap();
        assert_eq!((young.offset, young.timestamp, young.leader_epoch), (3, start + 300, Some(0)));
        assert_eq!(found.remove(&all[1]).unwrap().unwrap(), None);

        consumer.assign([(at(&topic, 0), Start::Latest)]).unwrap();
        assert_eq!(consumer.position(&all[0]).await.unwrap(), 10);
        consumer.seek_to_time(&all[..1], start + 250).unwrap();
        assert_eq!(read(&mut consumer, 1).await, [(3, 3)]);
        assert_eq!((consumer.lag(&all[0]), consumer.current_lag(&all[0]).await.unwrap()), (Some(6), 6));
        consumer.seek_to_beginning(&all[..1]).unwrap();
        assert_eq!(read(&mut consumer, 10).await, numbers(0..10));
        assert_eq!(consumer.lag(&all[0]), Some(0));
        consumer.seek_to_end(&all[..1]).unwrap();
        assert_eq!(consumer.position(&all[0]).await.unwrap(), 10);
    });
}

#[test]
fn a_reset_by_duration_begins_at_the_first_record_that_is_young_enough_or_at_the_end() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "by-duration", 1).await;
        let minutes_ago = |minutes: i64| now_ms() - minutes * 60_000;
        let old = [(0, minutes_ago(180)), (1, minutes_ago(30)), (2, minutes_ago(20))];
        write(&kafka, &topic, old).await;
        for (reset, position) in [("by_duration:PT1H", 1), ("by_duration:PT10M", 3)] {
            let mut options = ConsumerOptions::default().group_id(topic.as_str());
            options.set("auto.offset.reset", reset).unwrap();
            let mut consumer = kafka.consumer(options).unwrap();
            consumer.assign([(at(&topic, 0), Start::Committed)]).unwrap();
            assert_eq!(consumer.position(&at(&topic, 0)).await.unwrap(), position, "{reset}");
        }
    });
}

#[test]
fn aborted_transactions_move_the_position_and_the_lag_becomes_nothing() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "aborted", 1).await;
        let place = at(&topic, 0);
        let mut transactions = Transactions::begin(&kafka, &place).await;
        let values = |count| vec![b"of a transaction".to_vec(); count];
        for _ in 0..3 {
            for _ in 0..10 {
                transactions.send(&values(100)).await;
            }
            transactions.end(false).await;
        }
        let options = ConsumerOptions::default().isolation_level(IsolationLevel::ReadCommitted);
        let mut consumer = kafka.consumer(options.max_partition_fetch_bytes(4_096usize)).unwrap();
        consumer.assign([(place.clone(), Start::Earliest)]).unwrap();
        let passed = async {
            while consumer.lag(&place) != Some(0) || consumer.position(&place).await.unwrap() < 3_003 {
                assert!(consumer.poll(Duration::from_millis(200)).await.unwrap().is_empty());
            }
        };
        within(DEADLINE, "the aborted records", passed).await;
        assert_eq!(consumer.position(&place).await.unwrap(), 3_003);

        transactions.send(&values(7)).await;
        let mut rash = kafka.consumer(ConsumerOptions::default()).unwrap();
        let places = [place.clone()];
        let end = |ends: HashMap<_, Result<i64, Error>>| *ends[&place].as_ref().unwrap();
        assert_eq!(end(consumer.end_offsets(&places).await), 3_003, "the last stable offset");
        assert_eq!(end(rash.end_offsets(&places).await), 3_010);
        transactions.end(true).await;
        for offset in 3_003..3_010 {
            assert_eq!(within(DEADLINE, "a record", consumer.next()).await.unwrap().offset(), offset);
        }
    });
}

#[test]
fn a_committed_offset_that_is_not_stable_yet_holds_up_no_other_partition() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "unstable", 2).await;
        write_now(&kafka, &topic, 0..10).await;
        let producer = kafka.producer(ProducerOptions::default()).unwrap();
        let value = 5u32.to_be_bytes();
        producer.send(Record::new(&topic).partition(1).value(&value)).await.unwrap().await.unwrap();
        let mut transactions = Transactions::begin(&kafka, &at(&topic, 0)).await;
        transactions.commit_offset(&topic, 8).await;
        let options =
            ConsumerOptions::default().group_id(topic.as_str()).auto_offset_reset(OffsetReset::Earliest);
        let mut consumer = kafka.consumer(options.enable_auto_commit(false)).unwrap();
        consumer.assign([0, 1].map(|partition| (at(&topic, partition), Start::Committed))).unwrap();
        assert_eq!(read(&mut consumer, 1).await, [(0, 5)], "of partition 1");
        assert!(consumer.poll(SECONDS(1)).await.unwrap().is_empty());
        transactions.end(true).await;
        assert_eq!(read(&mut consumer, 2).await, [(8, 8), (9, 9)]);
    });
}

/// Deletes a topic, and creates it again, with one partition, as soon as the cluster lets it.
async fn create_anew(kafka: &Kafka, topic: &str) {
    kafka.delete_topic(topic).await.unwrap();
    let created = async {
        while let Err(error) = kafka.create_topic(NewTopic::new(topic).partitions(1)).await {
            assert_eq!(error.code(), Some(ErrorCode::TOPIC_ALREADY_EXISTS), "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    within(DEADLINE, "the topic", created).await;
}

#[test]
fn what_was_read_of_a_deleted_topic_is_not_committed_for_the_one_that_has_its_name_now() {
    WORLD.one(async |kafka, nodes| {
        let topic = topic(&kafka, "successor", 1).await;
        write_now(&kafka, &topic, 0..10).await;
        let options = ConsumerOptions::default().group_id(topic.as_str()).enable_auto_commit(false);
        let options = options.auto_offset_reset(OffsetReset::Earliest).allow_auto_create_topics(false);
        let mut consumer = kafka.consumer(options).unwrap();
        let place = at(&topic, 0);
        consumer.assign([(place.clone(), Start::Committed)]).unwrap();
        assert_eq!(read(&mut consumer, 9).await, numbers(0..9));
        let former = within(DEADLINE, "the last record", consumer.next()).await.unwrap();
        create_anew(&kafka, &topic).await;
        write_now(&nodes.kafka(), &topic, 0..30).await;
        let refused = consumer.commit_offsets([(place.clone(), 10.into())]).await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION), "{refused}");
        let committed = consumer.committed(std::slice::from_ref(&place)).await.unwrap();
        assert_eq!(committed[&place], None);

        let mut seen = Vec::new();
        while seen.len() < 30 {
            match within(DEADLINE, "a record", consumer.next()).await {
                Ok(record) => seen.push(record.offset()),
                Err(error) => assert_eq!(error.kind(), ErrorKind::UnknownTopic, "{error}"),
            }
        }
        assert_eq!(seen, (0..30).collect::<Vec<_>>());
        let refused = consumer.commit_record(&former).await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION), "{refused}");
        let committed = consumer.committed(std::slice::from_ref(&place)).await.unwrap();
        assert_eq!(committed[&place], None);
        consumer.commit_offsets([(place.clone(), 30.into())]).await.unwrap();
        let committed = consumer.committed(std::slice::from_ref(&place)).await.unwrap();
        assert_eq!(committed[&place].as_ref().map(|committed| committed.offset), Some(30));
    });
}

#[test]
fn a_topic_that_is_deleted_and_created_anew_is_read_from_its_start() {
    WORLD.one(async |kafka, nodes| {
        let topic = topic(&kafka, "anew", 1).await;
        write_now(&kafka, &topic, 0..10).await;
        let options = ConsumerOptions::default().auto_offset_reset(OffsetReset::Earliest);
        let mut consumer = kafka.consumer(options.allow_auto_create_topics(false)).unwrap();
        consumer.assign([(at(&topic, 0), Start::Earliest)]).unwrap();
        assert_eq!(read(&mut consumer, 10).await, numbers(0..10));
        create_anew(&kafka, &topic).await;
        // More than there were: the old position is in the new log. Another handle, that knows nothing of the old topic.
        write_now(&nodes.kafka(), &topic, 0..30).await;
        let mut seen = Vec::new();
        while seen.len() < 30 {
            match within(DEADLINE, "a record", consumer.next()).await {
                Ok(record) => {
                    let value = record.value().unwrap().try_into().unwrap();
                    seen.push((record.offset(), u32::from_be_bytes(value)));
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::UnknownTopic, "{error}"),
            }
        }
        assert_eq!(seen, numbers(0..30));
    });
}

/// Waits until the partition is as `wanted` says, by fresh metadata.
async fn until(kafka: &Kafka, topic: &str, wanted: impl Fn(&Partition) -> bool) {
    let in_use = kafka.client().topics_in_use();
    in_use.add(topic);
    let reached = async {
        loop {
            kafka.client().refresh_metadata();
            let cluster = kafka.client().cluster();
            if cluster.topic(topic).and_then(|topic| topic.partition(0)).is_some_and(&wanted) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    within(RECOVERY, "the partition's state", reached).await;
}

#[test]
fn a_truncated_log_is_read_on_from_where_it_diverges_or_reported() {
    WORLD.harm(SECONDS(240), async |kafka, harm| {
        let topic = topic_with(&kafka, "truncated", |topic| {
            let topic = topic.partitions(1).replication_factor(2).config("min.insync.replicas", "1");
            topic.config("unclean.leader.election.enable", "true")
        })
        .await;
        let place = at(&topic, 0);
        write_now(&kafka, &topic, 0..10).await;
        let leader: NodeId = harm.leader(&kafka, &place).await;
        let in_use = kafka.client().topics_in_use();
        in_use.add(&topic);
        let known = kafka.client().cluster().topic(&topic).cloned().unwrap();
        let follower = *known.partitions[0].replicas.iter().find(|node| **node != leader).unwrap();
        harm.in_sync(&kafka, &topic).await;
        harm.kill(follower).await;
        until(&kafka, &topic, |partition| partition.isr == [leader]).await;
        write_now(&kafka, &topic, 10..15).await;

        let reader = |reset| {
            let options = ConsumerOptions::default().auto_offset_reset(reset);
            let mut consumer = kafka.consumer(options).unwrap();
            consumer.assign([(place.clone(), Start::Earliest)]).unwrap();
            consumer
        };
        let mut lenient = reader(OffsetReset::Latest);
        let mut strict = reader(OffsetReset::None);
        for consumer in [&mut lenient, &mut strict] {
            assert_eq!(read(consumer, 15).await, numbers(0..15));
        }
        harm.kill(leader).await;
        if WORLD == World::Mock {
            // In memory, followers copy from a leader until the controller misses it. Real ones can't, and the one real
            // controller that is left decides nothing.
            until(&kafka, &topic, |partition| partition.leader.is_none()).await;
        }
        harm.start(follower).await;
        until(&kafka, &topic, |partition| partition.leader == Some(follower)).await;
        // The old position is in the log again: only the epochs tell.
        write_now(&kafka, &topic, 100..108).await;
        let written: Vec<(i64, u32)> = (0..8).map(|number| (10 + i64::from(number), 100 + number)).collect();
        assert_eq!(read(&mut lenient, 8).await, written);
        let refused = async {
            loop {
                if let Err(error) = strict.poll(SECONDS(1)).await {
                    break error;
                }
            }
        };
        let error = within(RECOVERY, "the error", refused).await;
        assert_eq!(error.kind(), ErrorKind::LogTruncated, "{error}");
        let text = error.to_string();
        assert!(text.contains("position 15") && text.contains("offset 10"), "{text}");
        strict.seek(&place, Start::Offset(10)).unwrap();
        assert_eq!(read(&mut strict, 8).await, written);
        harm.start(leader).await;
    });
}
