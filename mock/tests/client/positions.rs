//! Where the real client reads: truncated and recreated logs, resets, offsets on request, lag.

#![allow(clippy::disallowed_methods, reason = "tests read the clock")]

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ottla_client::{Client, ErrorKind, TopicPartition};
use ottla_consumer::{Consumer, ConsumerOptions, IsolationLevel, OffsetAndMetadata, OffsetReset, Start};
use ottla_mock::{ClusterOptions, Mock};
use ottla_producer::{Producer, ProducerOptions, Record};
use ottla_protocol::api::ApiKey;

use crate::dial::by_pipes;
use crate::transaction::Transaction;

const S: fn(u64) -> Duration = Duration::from_secs;

fn at(partition: i32) -> TopicPartition {
    TopicPartition { topic: "t".into(), partition }
}

/// Writes these numbers to partition 0, each with the time it is given.
async fn write(client: &Client, numbers: impl Iterator<Item = (i64, i64)>) {
    let producer = Producer::new(client.clone(), ProducerOptions::default()).unwrap();
    for (number, timestamp) in numbers {
        let value = number.to_string();
        let record = Record::new("t").partition(0).value(&value).timestamp(timestamp);
        producer.send(record).await.unwrap().await.unwrap();
    }
    producer.close(S(10)).await.unwrap();
}

async fn write_now(client: &Client, numbers: std::ops::Range<i64>) {
    write(client, numbers.map(|number| (number, now_ms()))).await;
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

/// The next records: their offsets and the numbers that they hold.
async fn read(consumer: &mut Consumer, count: usize) -> Vec<(i64, i64)> {
    let mut read = Vec::new();
    while read.len() < count {
        let record = consumer.next().await.unwrap();
        let number = std::str::from_utf8(record.value().unwrap()).unwrap().parse().unwrap();
        read.push((record.offset(), number));
    }
    read
}

fn numbers(range: std::ops::Range<i64>) -> Vec<(i64, i64)> {
    range.map(|number| (number, number)).collect()
}

fn consumer(client: &Client, options: ConsumerOptions) -> Consumer {
    Consumer::new(client.clone(), options).unwrap()
}

/// A log of 15 numbers on two brokers, all read by `consumer`, of which 10 to 14 are lost with their leader.
async fn lose_what_was_read(mock: &Mock, client: &Client, consumer: &mut Consumer) {
    write_now(client, 0..10).await;
    let leader = mock.cluster().leader("t", 0).unwrap();
    let follower = (1..=2).find(|broker| *broker != leader).unwrap();
    mock.kill_broker(follower).unwrap();
    tokio::time::sleep(S(20)).await;
    write_now(client, 10..15).await;
    consumer.assign([(at(0), Start::Earliest)]).unwrap();
    assert_eq!(read(consumer, 15).await, numbers(0..15));
    mock.kill_broker(leader).unwrap();
    tokio::time::sleep(S(20)).await;
    mock.restart_broker(follower).unwrap();
}

fn two_brokers() -> Mock {
    let options = ClusterOptions::new().brokers(3).topic("t", 1, 2);
    // The third broker only keeps the cluster alive.
    Mock::start(options.config("unclean.leader.election.enable", "true").racks(["a", "b", "c"])).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_truncated_log_is_read_on_from_where_it_diverges() {
    for reset in [OffsetReset::Earliest, OffsetReset::Latest] {
        let mock = two_brokers();
        let client = by_pipes(&mock);
        let mut consumer = consumer(&client, ConsumerOptions::default().auto_offset_reset(reset));
        lose_what_was_read(&mock, &client, &mut consumer).await;
        write(&client, (0..3).map(|number| (100 + number, now_ms()))).await;
        assert_eq!(read(&mut consumer, 3).await, [(10, 100), (11, 101), (12, 102)], "{reset:?}");
        assert_eq!(consumer.position(&at(0)).await.unwrap(), 13);
        assert_eq!(consumer.current_lag(&at(0)).await.unwrap(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_policy_a_truncated_log_is_an_error_that_names_both_offsets() {
    let mock = two_brokers();
    let client = by_pipes(&mock);
    let mut consumer = consumer(&client, ConsumerOptions::default().auto_offset_reset(OffsetReset::None));
    lose_what_was_read(&mock, &client, &mut consumer).await;
    // As many again: the old position is in the log, and only the epochs tell.
    write(&client, (0..8).map(|number| (100 + number, now_ms()))).await;
    for _ in 0..2 {
        let error = consumer.poll(S(60)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LogTruncated, "{error}");
        let text = error.to_string();
        assert!(text.contains("t-0") && text.contains("position 15") && text.contains("offset 10"), "{text}");
    }
    consumer.seek(&at(0), Start::Offset(10)).unwrap();
    assert_eq!(read(&mut consumer, 2).await, [(10, 100), (11, 101)]);
    // A position from elsewhere, with its epoch, is no better.
    let kept = OffsetAndMetadata { offset: 15, leader_epoch: Some(0), metadata: String::new() };
    consumer.seek_to_offset(&at(0), &kept).unwrap();
    assert_eq!(consumer.poll(S(60)).await.unwrap_err().kind(), ErrorKind::LogTruncated);
}

#[tokio::test(start_paused = true)]
async fn new_leaders_are_asked_once_each_for_all_of_their_partitions() {
    let mock = Mock::start(ClusterOptions::new().brokers(3).topic("t", 60, 3)).unwrap();
    let client = by_pipes(&mock);
    let producer = Producer::new(client.clone(), ProducerOptions::default()).unwrap();
    for partition in 0..60 {
        producer.send(Record::new("t").partition(partition).value(b"v")).await.unwrap().await.unwrap();
    }
    let mut consumer = consumer(&client, ConsumerOptions::default());
    consumer.assign((0..60).map(|partition| (at(partition), Start::Earliest))).unwrap();
    for _ in 0..60 {
        consumer.next().await.unwrap();
    }
    assert_eq!(mock.cluster().requests(ApiKey::OFFSET_FOR_LEADER_EPOCH), 0);
    mock.kill_broker(1).unwrap();
    assert!(consumer.poll(S(30)).await.unwrap().is_empty());
    for partition in 0..60 {
        producer.send(Record::new("t").partition(partition).value(b"w")).await.unwrap().await.unwrap();
    }
    for _ in 0..60 {
        assert_eq!(consumer.next().await.unwrap().offset(), 1);
    }
    let asked = mock.cluster().requests(ApiKey::OFFSET_FOR_LEADER_EPOCH);
    assert!((1..=4).contains(&asked), "{asked} requests for twenty partitions that moved to two brokers");
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_deleted_and_created_anew_is_read_from_its_start() {
    let mock = Mock::start(ClusterOptions::new().brokers(3).topic("t", 1, 3)).unwrap();
    let client = by_pipes(&mock);
    write_now(&client, 0..10).await;
    let options = ConsumerOptions::default().auto_offset_reset(OffsetReset::Earliest);
    let mut consumer = consumer(&client, options.allow_auto_create_topics(false));
    consumer.assign([(at(0), Start::Earliest)]).unwrap();
    assert_eq!(read(&mut consumer, 10).await, numbers(0..10));
    {
        let mut cluster = mock.cluster();
        let now = cluster.now();
        assert!(cluster.delete_topic(now, "t"));
        cluster.create_topic("t", 1, 3).unwrap();
    }
    // More than there were: the old position is in the new log.
    write(&by_pipes(&mock), (0..30).map(|number| (number, now_ms()))).await;
    assert_eq!(read(&mut consumer, 30).await, numbers(0..30));
}

#[tokio::test(start_paused = true)]
async fn a_reset_by_duration_begins_at_the_first_record_that_is_young_enough_or_at_the_end() {
    let mock = Mock::start(ClusterOptions::new().brokers(1).topic("t", 1, 1)).unwrap();
    let client = by_pipes(&mock);
    let minutes_ago = |minutes: i64| now_ms() - minutes * 60_000;
    write(&client, [(0, minutes_ago(180)), (1, minutes_ago(30)), (2, minutes_ago(20))].into_iter()).await;
    let mut options = ConsumerOptions::default().group_id("g");
    options.set("auto.offset.reset", "by_duration:PT1H").unwrap();
    let mut hour = consumer(&client, options.clone());
    hour.assign([(at(0), Start::Committed)]).unwrap();
    assert_eq!(hour.position(&at(0)).await.unwrap(), 1);
    assert_eq!(read(&mut hour, 2).await, [(1, 1), (2, 2)]);
    options.set("auto.offset.reset", "by_duration:PT10M").unwrap();
    let mut minutes = consumer(&client, options);
    minutes.assign([(at(0), Start::Committed)]).unwrap();
    assert_eq!(minutes.position(&at(0)).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn ends_and_times_are_answered_for_each_partition_whether_it_is_assigned_or_not() {
    let mock = Mock::start(ClusterOptions::new().brokers(3).topic("t", 3, 3)).unwrap();
    let client = by_pipes(&mock);
    let start = now_ms() - 10_000;
    write(&client, (0..10).map(|number| (number, start + number * 100))).await;
    let mut consumer = consumer(&client, ConsumerOptions::default().allow_auto_create_topics(false));
    let all = [at(0), at(1), at(7), TopicPartition { topic: "none".into(), partition: 0 }];

    let ends = consumer.end_offsets(&all).await;
    let begins = consumer.begin_offsets(&all).await;
    let known =
        |found: &HashMap<_, Result<i64, _>>| [0, 1].map(|partition| *found[&at(partition)].as_ref().unwrap());
    assert_eq!((known(&begins), known(&ends)), ([0, 0], [10, 0]));
    for found in [&begins, &ends] {
        for unknown in &all[2..] {
            let error = found[unknown].as_ref().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnknownTopic, "{error}");
        }
    }
    let times = [(at(0), start + 250), (at(1), start), (at(2), -5)];
    let mut found = consumer.offsets_for_times(times).await;
    let young = found.remove(&at(0)).unwrap().unwrap().unwrap();
    assert_eq!((young.offset, young.timestamp, young.leader_epoch), (3, start + 300, Some(0)));
    assert_eq!(found.remove(&at(1)).unwrap().unwrap(), None);
    assert_eq!(found.remove(&at(2)).unwrap().unwrap_err().kind(), ErrorKind::InvalidState);
    let late = consumer.offsets_for_times([(at(0), start + 5_000)]).await.remove(&at(0));
    assert_eq!(late.unwrap().unwrap(), None);

    assert_eq!(consumer.seek_to_end(&[at(0)]).unwrap_err().kind(), ErrorKind::InvalidState);
    consumer.assign([(at(0), Start::Earliest), (at(1), Start::Earliest)]).unwrap();
    assert_eq!(consumer.lag(&at(0)), None, "nothing is known yet");
    consumer.seek_to_time(&[at(0), at(1)], start + 250).unwrap();
    assert_eq!(read(&mut consumer, 1).await, [(3, 3)]);
    assert_eq!((consumer.lag(&at(0)), consumer.current_lag(&at(0)).await.unwrap()), (Some(6), 6));
    consumer.seek_to_end(&[at(0)]).unwrap();
    assert_eq!(consumer.position(&at(0)).await.unwrap(), 10);
    consumer.seek_to_beginning(&[at(0)]).unwrap();
    assert_eq!(read(&mut consumer, 10).await, numbers(0..10));
    assert_eq!(consumer.lag(&at(0)), Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_hangs_keeps_back_the_offsets_of_its_own_partitions_only() {
    let mock = Mock::start(ClusterOptions::new().brokers(3).topic("t", 3, 3)).unwrap();
    let client = by_pipes(&mock);
    let leaders: Vec<i32> = (0..3).map(|partition| mock.cluster().leader("t", partition).unwrap()).collect();
    let options = ConsumerOptions::default().default_api_timeout(S(3));
    let mut consumer = consumer(&client, options);
    let all = [at(0), at(1), at(2)];
    assert_eq!(consumer.end_offsets(&all).await.len(), 3);
    mock.pause_broker(leaders[1]).unwrap();
    let started = tokio::time::Instant::now();
    let ends = consumer.end_offsets(&all).await;
    assert!(started.elapsed() < S(4), "{:?}", started.elapsed());
    assert_eq!(ends[&at(1)].as_ref().unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!([0, 2].map(|partition| *ends[&at(partition)].as_ref().unwrap()), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn aborted_transactions_move_the_position_and_the_lag_becomes_nothing() {
    let mock = Mock::start(ClusterOptions::new().brokers(1).topic("t", 1, 1)).unwrap();
    let client = by_pipes(&mock);
    let options = ConsumerOptions::default().isolation_level(IsolationLevel::ReadCommitted);
    let mut reader = consumer(&client, options.max_partition_fetch_bytes(4_096usize));
    reader.assign([(at(0), Start::Earliest)]).unwrap();
    let mut transaction = Transaction::begin(&client, "writer").await;
    for _ in 0..5 {
        for _ in 0..20 {
            transaction.write("t", 100).await;
        }
        transaction.end(false).await;
    }
    assert!(reader.poll(S(5)).await.unwrap().is_empty());
    assert_eq!(reader.position(&at(0)).await.unwrap(), 10_005);
    assert_eq!((reader.lag(&at(0)), reader.current_lag(&at(0)).await.unwrap()), (Some(0), 0));

    // What is open is out of sight for one, and not for the other.
    transaction.write("t", 7).await;
    let mut rash = consumer(&client, ConsumerOptions::default());
    let end = |ends: HashMap<_, Result<i64, _>>| *ends[&at(0)].as_ref().unwrap();
    assert_eq!(end(reader.end_offsets(&[at(0)]).await), 10_005);
    assert_eq!(end(rash.end_offsets(&[at(0)]).await), 10_012);
    assert!(reader.poll(S(5)).await.unwrap().is_empty());
    assert_eq!(reader.lag(&at(0)), Some(0));
    transaction.end(true).await;
    for offset in 10_005..10_012 {
        assert_eq!(reader.next().await.unwrap().offset(), offset);
    }
    assert!(reader.poll(S(5)).await.unwrap().is_empty());
    assert_eq!((reader.position(&at(0)).await.unwrap(), reader.lag(&at(0))), (10_013, Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_committed_offset_that_is_not_stable_yet_holds_up_no_other_partition() {
    let mock = Mock::start(ClusterOptions::new().brokers(3).topic("t", 2, 3)).unwrap();
    let client = by_pipes(&mock);
    write_now(&client, 0..10).await;
    let producer = Producer::new(client.clone(), ProducerOptions::default()).unwrap();
    producer.send(Record::new("t").partition(1).value(b"5")).await.unwrap().await.unwrap();
    let mut transaction = Transaction::begin(&client, "writer").await;
    transaction.commit_offset("g", "t", 8).await;
    let options = ConsumerOptions::default().group_id("g").auto_offset_reset(OffsetReset::Earliest);
    let mut consumer = consumer(&client, options.enable_auto_commit(false));
    consumer.assign([(at(0), Start::Committed), (at(1), Start::Committed)]).unwrap();
    assert_eq!(read(&mut consumer, 1).await, [(0, 5)], "of partition 1");
    assert!(consumer.poll(S(5)).await.unwrap().is_empty());
    transaction.end(true).await;
    assert_eq!(read(&mut consumer, 2).await, [(8, 8), (9, 9)]);
}
