//! Records through a broker and back: content, places, acknowledgements, positions, commits, dropped futures.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read the clock and panic where they fail"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::{join_all, try_join_all};
use ottla::consumer::{OffsetAndMetadata, OffsetReset, Record as ReadRecord, Start, Strategy, TimestampType};
use ottla::producer::{Acks, CompressionType, Delivered};
use ottla::protocol::error_code::ErrorCode;
use ottla::{
    Consumer, ConsumerOptions, Error, ErrorKind, Kafka, NewTopic, Producer, ProducerOptions, Record,
    TopicPartition,
};
use ottla_tests::broker::{
    DEADLINE, Dice, Id, Ledger, Outcome, Sample, catalogue, end_offsets, give_up_after, now_ms,
    partitions_of, read, read_all, topic, topic_with, unique, within,
};
use tokio::time::timeout;

use super::WORLD;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// When something that has a second is over at the latest, on a busy machine: far less than the defaults, a minute and more.
const IN_TIME: Duration = Duration::from_secs(20);

const CODECS: [CompressionType; 5] = [
    CompressionType::None,
    CompressionType::Gzip,
    CompressionType::Snappy,
    CompressionType::Lz4,
    CompressionType::Zstd,
];

/// Batches that are sent when `flush` says so, with something in them to compress.
fn large_batches() -> ProducerOptions {
    ProducerOptions::default().linger(MS(10_000)).batch_size(60_000usize)
}

/// Sends values to partition 0 and waits for all of them.
async fn produce(
    kafka: &Kafka,
    topic: &str,
    values: impl IntoIterator<Item = impl AsRef<[u8]>>,
) -> Vec<Delivered> {
    let producer = kafka.producer(ProducerOptions::default()).unwrap();
    let mut deliveries = Vec::new();
    for value in values {
        deliveries.push(producer.send(Record::new(topic).partition(0).value(value.as_ref())).await.unwrap());
    }
    try_join_all(deliveries).await.unwrap()
}

fn numbers(count: u32) -> Vec<[u8; 4]> {
    (0..count).map(u32::to_be_bytes).collect()
}

fn number(record: &ReadRecord) -> u32 {
    u32::from_be_bytes(record.value().unwrap().try_into().unwrap())
}

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}

fn member(group: &str) -> ConsumerOptions {
    ConsumerOptions::default()
        .group_id(group)
        .auto_offset_reset(OffsetReset::Earliest)
        .enable_auto_commit(false)
        .heartbeat_interval(MS(200))
}

async fn committed(kafka: &Kafka, group: &str, partition: &TopicPartition) -> Option<OffsetAndMetadata> {
    let mut observer = kafka.consumer(member(group)).unwrap();
    observer.committed(std::slice::from_ref(partition)).await.unwrap().remove(partition).flatten()
}

#[test]
fn every_codec_carries_null_empty_and_repeated_parts_unchanged() {
    WORLD.one(async |kafka, nodes| {
        for codec in CODECS {
            let topic = topic(&kafka, "codec", 1).await;
            let samples = catalogue(now_ms());
            let producer = kafka.producer(large_batches().compression(codec)).unwrap();
            let mut deliveries = Vec::new();
            for sample in &samples {
                let headers = sample.borrowed_headers();
                deliveries.push(producer.send(sample.record(&topic, &headers)).await.unwrap());
            }
            producer.flush().await.unwrap();
            let delivered = try_join_all(deliveries).await.unwrap();
            let expected: Vec<Delivered> = (0..)
                .zip(&samples)
                .map(|(offset, sample)| Delivered {
                    topic: topic.as_str().into(),
                    partition: 0,
                    offset: Some(offset),
                    timestamp: sample.timestamp,
                })
                .collect();
            assert_eq!(delivered, expected, "{codec:?}");

            let records = read_all(&kafka, &topic).await;
            let offsets: Vec<i64> = records.iter().map(ReadRecord::offset).collect();
            assert_eq!(offsets, (0..150).collect::<Vec<_>>(), "{codec:?}");
            assert!(records.iter().all(|record| record.timestamp_type() == TimestampType::CreateTime));
            for (record, sample) in records.iter().zip(&samples) {
                assert_eq!(Sample::of(record), *sample, "{codec:?}");
            }
            // The broker keeps the producer's batches as they are, so its log shows what the producer sent.
            let expected = format!("{codec:?}").to_lowercase();
            for batch in nodes.batches(&topic, 0) {
                let codec = batch.header().attributes.compression().unwrap();
                assert_eq!(codec.to_string(), expected);
                assert!(batch.header().has_producer_id(), "idempotent by default");
            }
        }
    });
}

#[test]
fn the_brokers_time_reaches_both_sides_on_a_topic_with_log_append_time() {
    WORLD.one(async |kafka, _| {
        let topic = topic_with(&kafka, "append-time", |topic| {
            topic.partitions(1).config("message.timestamp.type", "LogAppendTime")
        })
        .await;
        let producer = kafka.producer(ProducerOptions::default()).unwrap();
        let before = now_ms();
        let delivery = producer.send(Record::new(&topic).value("v").timestamp(1_000)).await.unwrap();
        let delivered = delivery.await.unwrap();
        assert!((before..=now_ms()).contains(&delivered.timestamp), "{delivered:?} after {before}");
        let records = read_all(&kafka, &topic).await;
        assert_eq!(records[0].timestamp(), delivered.timestamp);
        assert_eq!(records[0].timestamp_type(), TimestampType::LogAppendTime);
    });
}

#[test]
fn a_record_without_a_timestamp_gets_the_time_of_send() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "send-time", 1).await;
        let before = now_ms();
        let delivered = produce(&kafka, &topic, ["v"]).await;
        let after = now_ms();
        let records = read_all(&kafka, &topic).await;
        // The clock of a record lags by a tick of the system at most.
        assert!((before - 10..=after).contains(&records[0].timestamp()));
        assert_eq!(records[0].timestamp(), delivered[0].timestamp);
    });
}

#[test]
fn a_chosen_partition_is_kept_and_one_that_does_not_exist_is_refused_in_time() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "explicit", 6).await;
        let producer = kafka.producer(ProducerOptions::default().max_block(MS(700))).unwrap();
        for partition in [5, 0, 3, 1, 4, 2] {
            let record = Record::new(&topic).partition(partition).key("same key").value("v");
            let delivered = producer.send(record).await.unwrap().await.unwrap();
            assert_eq!((delivered.partition, delivered.offset), (partition, Some(0)));
        }
        for partition in [6, -1] {
            let started = Instant::now();
            let error = producer.send(Record::new(&topic).partition(partition).value("v")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnknownTopic, "{error}");
            assert!(started.elapsed() < IN_TIME, "{error} after {:?}", started.elapsed());
        }
        assert_eq!(read_all(&kafka, &topic).await.len(), 6);
    });
}

#[test]
fn records_without_keys_fill_batches_and_reach_every_partition() {
    WORLD.one(async |kafka, nodes| {
        let topic = topic(&kafka, "sticky", 6).await;
        let producer = kafka.producer(large_batches().batch_size(4_000usize)).unwrap();
        let value = [7; 100];
        let mut deliveries = Vec::new();
        for _ in 0..6_000 {
            deliveries.push(producer.send(Record::new(&topic).value(&value)).await.unwrap());
        }
        producer.flush().await.unwrap();
        let mut counts = BTreeMap::new();
        for delivered in try_join_all(deliveries).await.unwrap() {
            *counts.entry(delivered.partition).or_insert(0) += 1;
        }
        assert_eq!(counts.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5], "{counts:?}");
        assert!(counts.values().all(|count| *count > 300), "{counts:?}");
        let batches: usize = (0..6).map(|partition| nodes.batches(&topic, partition).len()).sum();
        assert!(batches <= 260, "6,000 records that fit 35 to a batch took {batches} batches");
    });
}

#[test]
fn every_acks_setting_delivers_and_only_acknowledged_ones_know_offsets() {
    WORLD.one(async |kafka, _| {
        for acks in [Acks::None, Acks::Leader, Acks::All] {
            let topic = topic(&kafka, "acks", 1).await;
            let producer = kafka.producer(ProducerOptions::default().acks(acks)).unwrap();
            let mut deliveries = Vec::new();
            for value in numbers(300) {
                deliveries.push(producer.send(Record::new(&topic).value(&value)).await.unwrap());
            }
            producer.flush().await.unwrap();
            let offsets: Vec<Option<i64>> = try_join_all(deliveries)
                .await
                .unwrap()
                .into_iter()
                .map(|delivered| delivered.offset)
                .collect();
            let known: Vec<Option<i64>> =
                (0..300).map(|offset| (acks != Acks::None).then_some(offset)).collect();
            assert_eq!(offsets, known, "{acks:?}");
            let mut consumer = kafka.consumer(ConsumerOptions::default()).unwrap();
            consumer.assign([(at(&topic, 0), Start::Earliest)]).unwrap();
            let values: Vec<u32> = read(&mut consumer, 300).await.iter().map(number).collect();
            assert_eq!(values, (0..300).collect::<Vec<_>>(), "{acks:?}");
        }
    });
}

#[test]
fn records_larger_than_every_fetch_limit_come_through() {
    WORLD.one(async |kafka, _| {
        let topic =
            topic_with(&kafka, "large", |topic| topic.partitions(2).config("max.message.bytes", "8000000"))
                .await;
        let producer = kafka.producer(ProducerOptions::default().max_request_size(8_000_000usize)).unwrap();
        let mut dice = Dice::seeded(1);
        let values: Vec<Vec<u8>> = [900_000, 10, 5_000_000, 0, 1_100_000].map(|len| dice.bytes(len)).into();
        for value in &values {
            for partition in 0..2 {
                let record = Record::new(&topic).partition(partition).value(value);
                producer.send(record).await.unwrap().await.unwrap();
            }
        }
        let small = ConsumerOptions::default()
            .max_partition_fetch_bytes(1_000usize)
            .fetch_max_bytes(2_000usize)
            .queued_max_bytes(4_000usize);
        let mut consumer = kafka.consumer(small).unwrap();
        consumer.assign([0, 1].map(|partition| (at(&topic, partition), Start::Earliest))).unwrap();
        let records = read(&mut consumer, 10).await;
        for partition in 0..2 {
            let mine = records.iter().filter(|record| record.partition() == partition);
            assert!(mine.map(|record| record.value().unwrap()).eq(&values), "partition {partition}");
        }
    });
}

#[test]
fn a_record_above_max_request_size_fails_alone() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "too-large", 1).await;
        let producer = kafka.producer(large_batches().max_request_size(70_000usize)).unwrap();
        let huge = vec![1; 70_001];
        let mut deliveries = Vec::new();
        for (at, value) in numbers(20).iter().enumerate() {
            if at % 5 == 3 {
                let error = producer.send(Record::new(&topic).value(&huge)).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::RecordTooLarge, "{error}");
                assert!(!error.is_retriable() && !error.possibly_written() && !error.is_fatal());
            }
            deliveries.push(producer.send(Record::new(&topic).value(value)).await.unwrap());
        }
        producer.flush().await.unwrap();
        assert_eq!(try_join_all(deliveries).await.unwrap().len(), 20);
        let values: Vec<u32> = read_all(&kafka, &topic).await.iter().map(number).collect();
        assert_eq!(values, (0..20).collect::<Vec<_>>());
    });
}

#[test]
fn a_batch_that_the_broker_finds_too_large_is_split_and_only_what_cannot_be_split_fails() {
    WORLD.one(async |kafka, _| {
        let topic =
            topic_with(&kafka, "split", |topic| topic.partitions(1).config("max.message.bytes", "20000"))
                .await;
        let producer = kafka.producer(large_batches().batch_size(200_000usize)).unwrap();
        let ledger = Ledger::default();
        let mut deliveries = Vec::new();
        for sequence in 0..100 {
            let id = Id { producer: 0, sequence };
            let payload = id.payload(if sequence == 60 { 30_000 } else { 1_000 });
            deliveries.push((id, producer.send(Record::new(&topic).value(&payload)).await.unwrap()));
        }
        producer.flush().await.unwrap();
        for (id, delivery) in deliveries {
            let delivery = delivery.await;
            match &delivery {
                Err(error) if id.sequence == 60 => {
                    assert_eq!(error.kind(), ErrorKind::RecordTooLarge, "{error}")
                }
                other => assert!(other.is_ok(), "{id}: {other:?}"),
            }
            ledger.delivery(id, at(&topic, 0), &delivery);
        }
        ledger.read(0, &read_all(&kafka, &topic).await);
        assert_eq!(ledger.exactly_once(), [""; 0]);
    });
}

#[test]
fn an_unknown_topic_is_an_error_within_max_block() {
    WORLD.one(async |kafka, _| {
        let producer = kafka.producer(ProducerOptions::default().max_block(MS(1_000))).unwrap();
        let started = Instant::now();
        let name = unique("never-created");
        let error = producer.send(Record::new(&name).value("v")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownTopic, "{error}");
        assert!(error.to_string().contains(&name), "{error}");
        assert!(started.elapsed() < IN_TIME, "{error} after {:?}", started.elapsed());

        let error = producer.send(Record::new("no such name!").value("v")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownTopic, "{error}");
    });
}

#[test]
fn a_topic_that_is_created_while_send_waits_is_found() {
    WORLD.one(async |kafka, _| {
        let name = unique("late");
        let producer = kafka.producer(ProducerOptions::default()).unwrap();
        let record = Record::new(&name).value("v");
        let mut send = Box::pin(producer.send(record));
        // Nothing to find yet.
        assert!(timeout(MS(300), &mut send).await.is_err());
        kafka.create_topic(NewTopic::new(&name).partitions(1)).await.unwrap();
        let delivered = send.await.unwrap().await.unwrap();
        assert_eq!(delivered.offset, Some(0));
    });
}

#[test]
fn a_producer_goes_on_when_its_topic_is_deleted_and_made_anew() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "reborn", 1).await;
        let producer = kafka.producer(ProducerOptions::default()).unwrap();
        for life in 0..3 {
            for offset in 0..5 {
                let delivery = producer.send(Record::new(&topic).value("v")).await.unwrap();
                assert_eq!(delivery.await.unwrap().offset, Some(offset), "life {life}");
            }
            kafka.delete_topic(&topic).await.unwrap();
            kafka.create_topic(NewTopic::new(&topic).partitions(1)).await.unwrap();
        }
    });
}

#[test]
fn topics_that_are_there_or_not_there_are_told_as_such() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "twice", 1).await;
        let error = kafka.create_topic(NewTopic::new(&topic)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Broker, Some(ErrorCode::TOPIC_ALREADY_EXISTS)),
            "{error}"
        );
        kafka.delete_topic(&topic).await.unwrap();
        let error = kafka.delete_topic(&topic).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownTopic, "{error}");
        let error = kafka.create_topic(NewTopic::new("not a name!")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownTopic, "{error}");
        assert!(error.to_string().contains("not a name!"), "{error}");
    });
}

#[test]
fn a_member_gets_a_topic_that_is_created_after_it_subscribed() {
    WORLD.one(async |kafka, nodes| {
        let options = nodes.options().metadata_max_age(MS(300));
        let watcher = nodes.kafka_with(options);
        let (name, group) = (unique("later"), unique("later"));
        let mut consumer = watcher.consumer(member(&group)).unwrap();
        consumer.subscribe([name.as_str()]).unwrap();
        // There is nothing to read, and whether that is told as an error is the consumer's choice.
        let _ = consumer.poll(MS(700)).await;
        kafka.create_topic(NewTopic::new(&name).partitions(2)).await.unwrap();
        produce(&kafka, &name, numbers(10)).await;
        let mut seen = Vec::new();
        while seen.len() < 10 {
            // An error about the missing topic may still be waiting.
            seen.extend(consumer.poll(MS(500)).await.into_iter().flatten().map(|record| number(&record)));
        }
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
        assert_eq!(consumer.assignment(), [at(&name, 0), at(&name, 1)]);
    });
}

#[test]
fn flush_and_close_leave_nothing_open_and_a_closed_producer_refuses() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "close", 3).await;
        let producer = kafka
            .producer(ProducerOptions::default().linger(MS(20_000)).delivery_timeout(MS(60_000)))
            .unwrap();
        let mut delivery = producer.send(Record::new(&topic).value("flushed")).await.unwrap();
        assert!(delivery.outcome().is_none());
        producer.flush().await.unwrap();
        assert!(matches!(delivery.outcome(), Some(Ok(_))));

        let mut deliveries = Vec::new();
        for value in numbers(500) {
            deliveries.push(producer.send(Record::new(&topic).key(&value).value(&value)).await.unwrap());
        }
        let started = Instant::now();
        producer.close(MS(15_000)).await.unwrap();
        assert!(started.elapsed() < MS(15_000), "close lingers");
        assert!(deliveries.iter_mut().all(|delivery| matches!(delivery.outcome(), Some(Ok(_)))));
        let error = producer.send(Record::new(&topic).value("late")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        assert_eq!(read_all(&kafka, &topic).await.len(), 501);
    });
}

#[test]
fn a_dropped_producer_still_delivers_what_it_accepted() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "dropped", 1).await;
        let producer = kafka.producer(ProducerOptions::default()).unwrap();
        for value in numbers(200) {
            drop(producer.send(Record::new(&topic).value(&value)).await.unwrap());
        }
        drop(producer);
        let mut consumer = kafka.consumer(ConsumerOptions::default()).unwrap();
        consumer.assign([(at(&topic, 0), Start::Earliest)]).unwrap();
        let values: Vec<u32> = read(&mut consumer, 200).await.iter().map(number).collect();
        assert_eq!(values, (0..200).collect::<Vec<_>>());
    });
}

#[test]
fn many_tasks_on_one_handle_are_each_in_order_and_once_in_the_log() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "tasks", 4).await;
        let producer = kafka.producer(ProducerOptions::default().compression(CompressionType::Lz4)).unwrap();
        let ledger = Ledger::default();
        join_all((0..4).map(async |task| {
            let mut deliveries = Vec::new();
            for sequence in 0..2_500 {
                let id = Id { producer: task, sequence };
                let partition = (sequence % 4) as i32;
                let payload = id.payload(100);
                let record = Record::new(&topic).partition(partition).value(&payload);
                deliveries.push((id, partition, producer.send(record).await.unwrap()));
            }
            for (id, partition, delivery) in deliveries {
                ledger.delivery(id, at(&topic, partition), &delivery.await);
            }
        }))
        .await;
        assert_eq!(ledger.acknowledged(), 10_000);
        ledger.read(0, &read_all(&kafka, &topic).await);
        assert_eq!(ledger.exactly_once(), [""; 0]);
    });
}

#[test]
fn assigned_partitions_start_where_they_were_told_to() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "starts", 1).await;
        let producer = kafka.producer(ProducerOptions::default()).unwrap();
        let first = now_ms() - 1_000_000;
        for (value, at) in numbers(100).iter().zip(0..) {
            let record = Record::new(&topic).partition(0).value(value).timestamp(first + at * 10);
            drop(producer.send(record).await.unwrap());
        }
        producer.flush().await.unwrap();
        let starts = [
            (Start::Earliest, 0),
            (Start::Offset(40), 40),
            (Start::Timestamp(0), 0),
            (Start::Timestamp(first + 250), 25),
            (Start::Timestamp(first + 251), 26),
            (Start::Timestamp(first + 990), 99),
        ];
        for (start, offset) in starts {
            let mut consumer = kafka.consumer(ConsumerOptions::default()).unwrap();
            consumer.assign([(at(&topic, 0), start)]).unwrap();
            assert_eq!(consumer.position(&at(&topic, 0)).await.unwrap(), offset, "{start:?}");
            let values: Vec<u32> =
                read(&mut consumer, 100 - offset as usize).await.iter().map(number).collect();
            assert_eq!(values, (offset as u32..100).collect::<Vec<_>>(), "{start:?}");
            assert_eq!(consumer.position(&at(&topic, 0)).await.unwrap(), 100, "{start:?}");
        }
        // At the end there is nothing until something is written.
        let mut waiting = Vec::new();
        for start in [Start::Latest, Start::Timestamp(first + 991), Start::Offset(100)] {
            let mut consumer = kafka.consumer(ConsumerOptions::default()).unwrap();
            consumer.assign([(at(&topic, 0), start)]).unwrap();
            assert_eq!(consumer.position(&at(&topic, 0)).await.unwrap(), 100, "{start:?}");
            assert!(consumer.poll(Duration::ZERO).await.unwrap().is_empty());
            waiting.push(consumer);
        }
        produce(&kafka, &topic, [100u32.to_be_bytes()]).await;
        for consumer in &mut waiting {
            assert_eq!(number(&consumer.next().await.unwrap()), 100);
        }
    });
}

#[test]
fn seek_and_pause_hand_out_nothing_from_before() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "seek", 2).await;
        let producer = kafka.producer(ProducerOptions::default()).unwrap();
        for value in numbers(100) {
            for partition in 0..2 {
                drop(producer.send(Record::new(&topic).partition(partition).value(&value)).await.unwrap());
            }
        }
        producer.flush().await.unwrap();
        let mut consumer = kafka.consumer(ConsumerOptions::default().max_poll_records(10usize)).unwrap();
        let (rests, runs) = (at(&topic, 0), at(&topic, 1));
        consumer.assign([(rests.clone(), Start::Earliest), (runs.clone(), Start::Earliest)]).unwrap();
        assert_eq!(within(DEADLINE, "the first records", read_some(&mut consumer)).await.len(), 10);
        consumer.pause(std::slice::from_ref(&rests)).unwrap();
        consumer.seek(&runs, Start::Offset(70)).unwrap();
        let mut seen = Vec::new();
        while seen.len() < 30 {
            seen.extend(read_some(&mut consumer).await);
        }
        let place = |record: &ReadRecord| (record.partition(), record.offset());
        assert!(seen.iter().map(place).eq((70..100).map(|offset| (1, offset))), "{seen:?}");
        // Whatever of the resting partition had been handed out stays handed out.
        let from = consumer.position(&rests).await.unwrap();
        consumer.resume(std::slice::from_ref(&rests)).unwrap();
        let rest = read(&mut consumer, (100 - from) as usize).await;
        assert!(rest.iter().map(place).eq((from..100).map(|offset| (0, offset))));
        consumer.seek(&runs, Start::Earliest).unwrap();
        assert_eq!(place(&consumer.next().await.unwrap()), (1, 0));
    });
}

/// The next poll that is not empty.
async fn read_some(consumer: &mut Consumer) -> Vec<ReadRecord> {
    loop {
        let records = consumer.poll(MS(500)).await.unwrap();
        if !records.is_empty() {
            return records.into_vec();
        }
    }
}

#[test]
fn next_stream_and_poll_share_one_position() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "styles", 1).await;
        produce(&kafka, &topic, numbers(100)).await;
        let mut consumer = kafka.consumer(ConsumerOptions::default().max_poll_records(20usize)).unwrap();
        consumer.assign([(at(&topic, 0), Start::Earliest)]).unwrap();
        let mut seen = vec![number(&consumer.next().await.unwrap())];
        let streamed: Vec<_> = consumer.stream().take(30).collect().await;
        seen.extend(streamed.into_iter().map(|record| number(&record.unwrap())));
        assert_eq!(seen, (0..31).collect::<Vec<_>>());
        while seen.len() < 100 {
            let records = consumer.poll(MS(500)).await.unwrap();
            assert!(records.len() <= 20);
            seen.extend(records.iter().map(number));
            if seen.len() < 100 {
                seen.push(number(&consumer.next().await.unwrap()));
            }
        }
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn an_offset_beyond_the_log_is_reset_or_an_error_as_configured() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "out-of-range", 1).await;
        produce(&kafka, &topic, numbers(10)).await;
        let beyond = [(at(&topic, 0), Start::Offset(500))];
        let options = |reset| ConsumerOptions::default().auto_offset_reset(reset);

        let mut consumer = kafka.consumer(options(OffsetReset::None)).unwrap();
        consumer.assign(beyond.clone()).unwrap();
        let error = within(DEADLINE, "the error", first_error(&mut consumer)).await;
        assert_eq!(error.kind(), ErrorKind::OffsetOutOfRange, "{error}");
        assert!(error.to_string().contains("500"), "{error}");
        consumer.seek(&at(&topic, 0), Start::Offset(8)).unwrap();
        assert_eq!(number(&consumer.next().await.unwrap()), 8);

        let mut consumer = kafka.consumer(options(OffsetReset::Earliest)).unwrap();
        consumer.assign(beyond).unwrap();
        assert_eq!(
            read(&mut consumer, 10).await.iter().map(number).collect::<Vec<_>>(),
            (0..10).collect::<Vec<_>>()
        );
    });
}

async fn first_error(consumer: &mut Consumer) -> Error {
    loop {
        if let Err(error) = consumer.poll(MS(500)).await {
            return error;
        }
    }
}

#[test]
fn a_consumer_resumes_from_its_groups_commit() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "resume", 3).await;
        let producer = kafka.producer(ProducerOptions::default()).unwrap();
        for value in numbers(300) {
            drop(producer.send(Record::new(&topic).key(&value).value(&value)).await.unwrap());
        }
        producer.flush().await.unwrap();
        let group = unique("resume");
        let mut seen = Vec::new();
        for round in 0..4 {
            let mut consumer = kafka.consumer(member(&group).max_poll_records(30usize)).unwrap();
            consumer.subscribe([topic.as_str()]).unwrap();
            let target = [60, 150, 151, 300][round];
            while seen.len() < target {
                seen.extend(consumer.poll(MS(500)).await.unwrap().iter().map(number));
            }
            consumer.commit().await.unwrap();
            // What was handed out after the commit comes again.
            if round == 1 {
                within(DEADLINE, "records beyond the commit", read_some(&mut consumer)).await;
            }
            consumer.close(MS(10_000)).await.unwrap();
        }
        let distinct: BTreeSet<u32> = seen.iter().copied().collect();
        assert_eq!((seen.len(), distinct.len()), (300, 300));
        let ends = end_offsets(&kafka, &topic).await;
        for (partition, end) in ends {
            assert_eq!(committed(&kafka, &group, &partition).await.map(|commit| commit.offset), Some(end));
        }
    });
}

#[test]
fn offsets_committed_by_hand_come_back_with_their_metadata() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "by-hand", 2).await;
        let group = unique("by-hand");
        produce(&kafka, &topic, numbers(10)).await;
        let mut consumer = kafka.consumer(member(&group)).unwrap();
        consumer.assign([(at(&topic, 0), Start::Committed)]).unwrap();
        let commit =
            OffsetAndMetadata { offset: 4, leader_epoch: Some(0), metadata: "why not 4?".to_owned() };
        consumer.commit_offsets([(at(&topic, 0), commit.clone())]).await.unwrap();
        let both = consumer.committed(&[at(&topic, 0), at(&topic, 1)]).await.unwrap();
        let mut both: Vec<_> = both.into_iter().collect();
        both.sort_by_key(|(partition, _)| partition.clone());
        assert_eq!(both, [(at(&topic, 0), Some(commit)), (at(&topic, 1), None)]);

        let mut next = kafka.consumer(member(&group)).unwrap();
        next.assign([(at(&topic, 0), Start::Committed)]).unwrap();
        assert_eq!(number(&next.next().await.unwrap()), 4);
    });
}

#[test]
fn automatic_commits_never_run_ahead_of_what_was_handed_out_before() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "auto", 1).await;
        let group = unique("auto");
        produce(&kafka, &topic, numbers(400)).await;
        let options =
            member(&group).enable_auto_commit(true).auto_commit_interval(MS(20)).max_poll_records(7usize);
        let mut consumer = kafka.consumer(options).unwrap();
        consumer.subscribe([topic.as_str()]).unwrap();
        let mut observer = kafka.consumer(member(&group)).unwrap();
        let partitions = [at(&topic, 0)];
        let (mut before, mut handed_out, mut last) = (0, 0, 0);
        for target in [100, 200, 300, 400] {
            let mut pausing = false;
            while handed_out < target || last < handed_out {
                if handed_out >= target && !pausing {
                    // Nothing more for now: the next polls say that all of it has been processed.
                    consumer.pause(&partitions).unwrap();
                    pausing = true;
                }
                let records = consumer.poll(if pausing { MS(5) } else { MS(500) }).await.unwrap();
                let committed = observer.committed(&partitions).await.unwrap();
                let committed = committed[&partitions[0]].as_ref().map_or(0, |commit| commit.offset);
                assert!(committed <= before, "{committed} is committed and {before} were processed");
                assert!(committed >= last, "the commit went back from {last} to {committed}");
                last = committed;
                // What this poll returned counts as processed from the next one on.
                handed_out += records.len() as i64;
                before = handed_out;
            }
            consumer.resume(&partitions).unwrap();
        }
        let behind = {
            consumer.seek(&partitions[0], Start::Offset(250)).unwrap();
            read_some(&mut consumer).await.len() as i64
        };
        consumer.close(MS(10_000)).await.unwrap();
        // The last commit says what was handed out last, wherever that is.
        let last = committed(&kafka, &group, &partitions[0]).await.map(|commit| commit.offset);
        assert_eq!(last, Some(250 + behind));
    });
}

#[test]
fn closing_without_automatic_commits_commits_nothing() {
    WORLD.one(async |kafka, _| {
        let topic = topic(&kafka, "manual", 1).await;
        let group = unique("manual");
        produce(&kafka, &topic, numbers(50)).await;
        let mut consumer = kafka.consumer(member(&group)).unwrap();
        consumer.subscribe([topic.as_str()]).unwrap();
        read(&mut consumer, 50).await;
        consumer.close(MS(10_000)).await.unwrap();
        assert_eq!(committed(&kafka, &group, &at(&topic, 0)).await, None);
    });
}

#[test]
fn dropping_send_at_any_point_loses_and_duplicates_nothing() {
    WORLD.one(async |kafka, _| {
        let mut dice = Dice::new("dropping send");
        let topic = topic(&kafka, "drop-send", 3).await;
        // So little memory that many sends have to wait for room.
        let options =
            ProducerOptions::default().buffer_memory(40_000usize).batch_size(4_000usize).linger(MS(1));
        let producer = kafka.producer(options).unwrap();
        let ledger = Ledger::default();
        let seeds: Vec<u64> = (0..3).map(|_| dice.next()).collect();
        let given_up: usize = join_all((0..).zip(seeds).map(async |(task, seed)| {
            send_and_give_up(&producer, &topic, &ledger, task, Dice::seeded(seed)).await
        }))
        .await
        .into_iter()
        .sum();
        producer.flush().await.unwrap();
        assert!(given_up > 100, "only {given_up} sends were given up");
        assert!(ledger.acknowledged() > 300, "only {} records were acknowledged", ledger.acknowledged());
        ledger.read(0, &read_all(&kafka, &topic).await);
        assert_eq!(ledger.exactly_once(), [""; 0]);
    });
}

/// Sends 600 records, giving up some sends and some deliveries; returns how many sends.
async fn send_and_give_up(
    producer: &Producer,
    topic: &str,
    ledger: &Ledger,
    task: u32,
    mut dice: Dice,
) -> usize {
    let mut given_up = 0;
    for sequence in 0..600 {
        let id = Id { producer: task, sequence };
        let partition = dice.below(3) as i32;
        let payload = id.payload(200 + dice.below(1_500) as usize);
        let record = Record::new(topic).partition(partition).value(&payload);
        // Some have the patience to wait for room.
        let polls = if dice.below(4) == 0 { u64::MAX } else { dice.below(4) };
        let delivery = match give_up_after(polls, producer.send(record)).await {
            None => {
                given_up += 1;
                ledger.sent(id, at(topic, partition), Outcome::Refused);
                continue;
            }
            Some(delivery) => delivery.unwrap(),
        };
        // A delivery that nobody waits for is a record that arrives all the same: nothing fails here.
        match give_up_after(dice.below(3), delivery).await {
            None => ledger.sent(id, at(topic, partition), Outcome::Acknowledged { offset: None }),
            Some(delivery) => ledger.delivery(id, at(topic, partition), &delivery),
        }
    }
    given_up
}

#[test]
fn dropping_poll_and_commit_at_any_point_loses_and_repeats_nothing() {
    WORLD.one(async |kafka, _| {
        let mut dice = Dice::new("dropping poll and commit");
        let topic = topic(&kafka, "drop-poll", 3).await;
        let ledger = Ledger::default();
        let total = 3_000;
        fill(&kafka, &topic, 3, total, &ledger).await;
        // Several lives of a member: each ends with a commit that is waited for.
        let group = unique("drop-poll");
        let (mut reader, mut given_up) = (0, 0);
        let unfinished = unfinished(&ledger);
        while unfinished(total as usize) {
            let options = member(&group)
                .max_poll_records(5usize)
                .max_partition_fetch_bytes(2_000usize)
                .fetch_max_wait(MS(50));
            let mut consumer = kafka.consumer(options).unwrap();
            consumer.subscribe([topic.as_str()]).unwrap();
            let target = (ledger.distinct_reads() + 1_000).min(total as usize);
            while unfinished(target) {
                given_up += usize::from(poll_and_give_up(&mut consumer, &ledger, reader, &mut dice).await);
            }
            consumer.commit().await.unwrap();
            consumer.close(MS(10_000)).await.unwrap();
            reader += 1;
        }
        assert_eq!(ledger.exactly_once(), [""; 0]);
        assert!(given_up > 100, "only {given_up} calls were given up");
        for partition in partitions_of(&kafka, &topic).await {
            assert_eq!(committed(&kafka, &group, &partition).await.map(|commit| commit.offset), Some(1_000));
        }
    });
}

#[test]
fn dropping_poll_while_members_come_and_go_loses_and_repeats_nothing() {
    WORLD.one(async |kafka, _| {
        for strategy in [Strategy::Range, Strategy::CooperativeSticky] {
            let mut dice = Dice::new(&format!("dropping poll in a group, {strategy:?}"));
            let topic = topic(&kafka, "drop-group", 4).await;
            let ledger = Ledger::default();
            fill(&kafka, &topic, 4, 4_000, &ledger).await;
            // What is handed out is committed before its partition goes to somebody else.
            let options = member(&unique("drop-group"))
                .partition_assignment_strategy(vec![strategy])
                .enable_auto_commit(true)
                .max_poll_records(7usize);
            let mut members: Vec<(u32, Consumer)> = Vec::new();
            let mut reader = 0;
            let unfinished = unfinished(&ledger);
            while unfinished(4_000) {
                // One alone, then two, three, two, and one that has seen them all.
                let wanted = [1, 2, 3, 2, 1][ledger.distinct_reads() / 800];
                if members.len() < wanted {
                    let mut consumer = kafka.consumer(options.clone()).unwrap();
                    consumer.subscribe([topic.as_str()]).unwrap();
                    members.push((reader, consumer));
                    reader += 1;
                }
                if members.len() > wanted {
                    members.remove(0).1.close(MS(10_000)).await.unwrap();
                }
                for (reader, consumer) in &mut members {
                    if let Some(records) = give_up_after(dice.below(6), consumer.poll(MS(10))).await {
                        ledger.read(*reader, &records.unwrap());
                    }
                }
            }
            assert_eq!(ledger.exactly_once(), [""; 0], "{strategy:?}");
        }
    });
}

/// Says whether less than a number of records was read. When it takes too long, it says no, and the ledger tells what
/// never came.
fn unfinished(ledger: &Ledger) -> impl Fn(usize) -> bool {
    let started = Instant::now();
    move |total| ledger.distinct_reads() < total && started.elapsed() < DEADLINE / 3
}

/// Writes `total` records of one sender, in turn to each partition, and notes what became of them.
async fn fill(kafka: &Kafka, topic: &str, partitions: u64, total: u64, ledger: &Ledger) {
    let producer = kafka.producer(ProducerOptions::default().batch_size(3_000usize)).unwrap();
    let mut deliveries = Vec::new();
    for sequence in 0..total {
        let id = Id { producer: 0, sequence };
        let partition = (sequence % partitions) as i32;
        let payload = id.payload(60);
        let record = Record::new(topic).partition(partition).value(&payload);
        deliveries.push((id, partition, producer.send(record).await.unwrap()));
    }
    producer.flush().await.unwrap();
    for (id, partition, delivery) in deliveries {
        ledger.delivery(id, at(topic, partition), &delivery.await);
    }
}

/// One call to the consumer; true if it was given up. A commit may also be overtaken by the next one.
async fn poll_and_give_up(consumer: &mut Consumer, ledger: &Ledger, reader: u32, dice: &mut Dice) -> bool {
    let polls = dice.below(5);
    match dice.below(10) {
        0..=5 => {
            let records = give_up_after(polls, consumer.poll(MS(20))).await;
            records.map(|records| ledger.read(reader, &records.unwrap())).is_none()
        }
        6 | 7 => {
            let record = give_up_after(polls, timeout(MS(50), consumer.next())).await.and_then(Result::ok);
            record.map(|record| ledger.read(reader, [&record.unwrap()])).is_none()
        }
        _ => give_up_after(polls, consumer.commit()).await.map(Result::unwrap).is_none(),
    }
}
