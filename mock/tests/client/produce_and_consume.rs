//! Records in and out.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_client::{Client, TopicPartition};
use ottla_consumer::{Consumer, ConsumerOptions, OffsetReset, Start};
use ottla_mock::{ClusterOptions, Mock};
use ottla_producer::{Producer, ProducerOptions, Record};

use crate::dial::{by_pipes, by_tcp};

const RECORDS: usize = 1000;

fn cluster() -> Mock {
    Mock::start(ClusterOptions::new().brokers(3).topic("orders", 6, 3)).unwrap()
}

async fn produce(client: &Client) -> BTreeMap<i32, Vec<String>> {
    let producer = Producer::new(client.clone(), ProducerOptions::default()).unwrap();
    let mut sent = Vec::new();
    for number in 0..RECORDS {
        let value = format!("value {number}");
        let key = number.to_be_bytes();
        let record = Record::new("orders").key(&key).value(&value);
        sent.push((producer.send(record).await.unwrap(), value.clone()));
    }
    let mut written: BTreeMap<i32, BTreeMap<i64, String>> = BTreeMap::new();
    for (delivery, value) in sent {
        let at = delivery.await.unwrap();
        written.entry(at.partition).or_default().insert(at.offset.unwrap(), value);
    }
    producer.close(Duration::from_secs(10)).await.unwrap();
    for values in written.values() {
        assert!(values.keys().copied().eq(0..values.len() as i64), "offsets without a gap");
    }
    written.into_iter().map(|(partition, values)| (partition, values.into_values().collect())).collect()
}

async fn consume(client: &Client) -> BTreeMap<i32, Vec<String>> {
    let options = ConsumerOptions::default().auto_offset_reset(OffsetReset::Earliest);
    let mut consumer = Consumer::new(client.clone(), options).unwrap();
    let all = (0..6).map(|partition| (TopicPartition { topic: "orders".into(), partition }, Start::Earliest));
    consumer.assign(all).unwrap();
    let mut read: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for _ in 0..RECORDS {
        let record = consumer.next().await.unwrap();
        read.entry(record.partition())
            .or_default()
            .push(String::from_utf8_lossy(record.value().unwrap()).into_owned());
    }
    consumer.close(Duration::from_secs(10)).await.unwrap();
    read
}

#[tokio::test(start_paused = true)]
async fn what_is_produced_by_pipes_is_consumed_in_order() {
    let mock = cluster();
    let client = by_pipes(&mock);
    let written = produce(&client).await;
    assert_eq!(consume(&client).await, written);
}

#[tokio::test]
async fn what_is_produced_by_tcp_is_consumed_in_order() {
    let mock = cluster();
    let client = by_tcp(&mock).await;
    let written = produce(&client).await;
    assert_eq!(consume(&client).await, written);
}

/// Two members share a topic; what both have read is all there is, and each partition had one owner.
async fn consume_as_a_group(client: &Client) -> BTreeMap<i32, Vec<String>> {
    let options = || {
        ConsumerOptions::default()
            .group_id("readers")
            .auto_offset_reset(OffsetReset::Earliest)
            .heartbeat_interval(Duration::from_millis(200))
    };
    let mut members = Vec::new();
    for _ in 0..2 {
        let mut consumer = Consumer::new(client.clone(), options()).unwrap();
        consumer.subscribe(["orders"]).unwrap();
        #[allow(clippy::disallowed_methods, reason = "members run beside each other")]
        members.push(tokio::spawn(async move {
            let mut read: BTreeMap<i32, Vec<String>> = BTreeMap::new();
            loop {
                let records = consumer.poll(Duration::from_secs(8)).await.unwrap();
                let mut is_empty = true;
                for record in records {
                    is_empty = false;
                    let value = String::from_utf8_lossy(record.value().unwrap()).into_owned();
                    read.entry(record.partition()).or_default().push(value);
                }
                if is_empty && !consumer.assignment().is_empty() {
                    break;
                }
            }
            consumer.close(Duration::from_secs(10)).await.unwrap();
            read
        }));
    }
    let mut all: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for member in members {
        for (partition, values) in member.await.unwrap() {
            assert_eq!(all.insert(partition, values), None, "partition {partition} has one owner");
        }
    }
    all
}

#[tokio::test(start_paused = true)]
async fn two_members_share_the_partitions_of_a_topic() {
    let mock = cluster();
    let client = by_pipes(&mock);
    let written = produce(&client).await;
    assert_eq!(consume_as_a_group(&client).await, written);
    // What was read is committed, so who comes after finds nothing.
    let late = ConsumerOptions::default().group_id("readers").auto_offset_reset(OffsetReset::Earliest);
    let mut late = Consumer::new(client.clone(), late).unwrap();
    late.subscribe(["orders"]).unwrap();
    assert!(late.poll(Duration::from_secs(30)).await.unwrap().is_empty());
    late.close(Duration::from_secs(10)).await.unwrap();
}
