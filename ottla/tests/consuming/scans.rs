use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use ottla::mock::{ApiKey, ClusterOptions, Fault, Mock};
use ottla::{ErrorKind, Kafka, ProducerOptions, Record, Scan, ScanEnd, Scanning, Shutdown, Start};
use tokio::time::{Instant, timeout};

use crate::{LONG, cluster, tp, write_numbers};

/// The offsets that a scan returns, by partition, in the order in which they come.
async fn offsets(mut scanning: Scanning) -> BTreeMap<i32, Vec<i64>> {
    let mut read = BTreeMap::<i32, Vec<i64>>::new();
    while let Some(record) = timeout(LONG, scanning.next()).await.expect("it ends") {
        let record = record.unwrap();
        read.entry(record.partition()).or_default().push(record.offset());
    }
    assert!(scanning.next().await.is_none(), "it stays at its end");
    read
}

fn range(partitions: std::ops::Range<i32>, from: i64, to: i64) -> BTreeMap<i32, Vec<i64>> {
    partitions.map(|partition| (partition, (from..to).collect())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_scan_reads_a_topic_from_start_to_end_and_ends() {
    let (_mock, kafka) = cluster(6);
    // Partition 5 is empty.
    write_numbers(&kafka, 5, 1200).await;
    let started = Instant::now();
    assert_eq!(offsets(kafka.scan("t").read()).await, range(0..5, 0, 1200));
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_empty_topic_and_one_that_does_not_exist() {
    let (_mock, kafka) = cluster(3);
    assert!(kafka.scan("t").read().next().await.is_none());
    let mut missing = kafka.scan("nowhere").read();
    assert_eq!(missing.next().await.unwrap().unwrap_err().kind(), ErrorKind::UnknownTopic);
    assert!(missing.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn offsets_bound_a_scan_and_what_is_written_meanwhile_is_not_read() {
    let (_mock, kafka) = cluster(2);
    write_numbers(&kafka, 2, 100).await;
    let scan = kafka.scan("t");
    let inner = scan.clone().from(Start::Offset(20)).to(ScanEnd::Offset(70)).read();
    assert_eq!(offsets(inner).await, range(0..2, 20, 70));
    let tail = scan.clone().from(Start::Offset(95)).to(ScanEnd::Offset(1000)).read();
    assert_eq!(offsets(tail).await, range(0..2, 95, 100));
    let one = Scan::partitions(kafka.client().clone(), [tp(1)]).from(Start::Offset(98)).read();
    assert_eq!(offsets(one).await, range(1..2, 98, 100));
    let none = scan.clone().from(Start::Offset(70)).to(ScanEnd::Offset(70)).read();
    assert_eq!(offsets(none).await, BTreeMap::new());
    let mut open = scan.read();
    open.next().await.unwrap().unwrap();
    write_numbers(&kafka, 2, 50).await;
    let rest: Vec<_> = open.collect().await;
    assert_eq!(rest.len(), 199);
}

#[tokio::test(start_paused = true)]
async fn times_bound_a_scan() {
    let (_mock, kafka) = cluster(2);
    let producer = kafka.producer(ProducerOptions::default()).unwrap();
    let mut deliveries = Vec::new();
    for hour in 0..48 {
        for partition in 0..2 {
            let record = Record::new("t").partition(partition).timestamp(hour * 3_600_000).value("x");
            deliveries.push(producer.send(record).await.unwrap());
        }
    }
    producer.close(LONG).await.unwrap();
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    let hours = |from: i64, to: i64| {
        kafka.scan("t").from(Start::Timestamp(from * 3_600_000)).to(ScanEnd::Timestamp(to * 3_600_000)).read()
    };
    assert_eq!(offsets(hours(10, 20)).await, range(0..2, 10, 20));
    assert_eq!(offsets(hours(40, 1000)).await, range(0..2, 40, 48));
    assert_eq!(offsets(hours(100, 1000)).await, BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn a_scan_ends_behind_what_compaction_left() {
    let options = ClusterOptions::new().brokers(1).topic("t", 1, 1);
    let mock = Mock::start(options.config("log.cleanup.policy", "compact")).unwrap();
    let kafka = Kafka::embedded(&mock).unwrap();
    let options = || ProducerOptions::default().linger(Duration::ZERO).enable_idempotence(false);
    let producer = kafka.producer(options()).unwrap();
    for number in 0..40_i64 {
        let key = (number % 3).to_string();
        producer.send(Record::new("t").key(&key).value("x")).await.unwrap().await.unwrap();
    }
    // Tombstones last: past their time, compaction removes their batches whole.
    for key in ["0", "2"] {
        producer.send(Record::new("t").key(key)).await.unwrap().await.unwrap();
    }
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(2 * 86_400)).await;
        mock.cluster().clean_logs(Instant::now().into_std());
    }
    assert_eq!(mock.cluster().log("t", 0).unwrap().end_offset(), 42);
    let started = Instant::now();
    assert_eq!(offsets(kafka.scan("t").read()).await, BTreeMap::from([(0, vec![37])]));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn faults_on_the_way_change_nothing() {
    let (mock, kafka) = cluster(3);
    write_numbers(&kafka, 3, 500).await;
    mock.cluster().on(ApiKey::FETCH).skip(1).times(3, Fault::cut_answer_at(1000));
    mock.cluster().on(ApiKey::LIST_OFFSETS).times(2, Fault::drop_answer());
    assert_eq!(offsets(kafka.scan("t").read()).await, range(0..3, 0, 500));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_a_scan() {
    let (mock, kafka) = cluster(1);
    write_numbers(&kafka, 1, 10).await;
    mock.cluster().on(ApiKey::FETCH).always(Fault::drop_answer());
    let shutdown = Shutdown::new();
    let mut scanning = kafka.scan("t").stop_with(&shutdown).read();
    let trigger = shutdown.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        trigger.trigger();
    });
    let started = Instant::now();
    assert!(scanning.next().await.is_none());
    assert_eq!(started.elapsed(), Duration::from_secs(5));
}
