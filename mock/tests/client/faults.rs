//! The real client while things go wrong: what it acknowledged is there, once and in order.

use std::time::Duration;

use ottla_client::{Client, TopicPartition};
use ottla_consumer::{Consumer, ConsumerOptions, OffsetReset, Start};
use ottla_mock::{ClusterOptions, Fault, Mock};
use ottla_producer::{Producer, ProducerOptions, Record};
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;

use crate::dial::by_pipes;

const RECORDS: usize = 300;

fn cluster() -> Mock {
    let options =
        ClusterOptions::new().brokers(3).topic("t", 1, 3).config("group.initial.rebalance.delay.ms", "0");
    Mock::start(options).unwrap()
}

/// Sends numbers one after the other, harming the cluster on the way, and gives what is in the log at the end.
async fn numbers_with(mock: &Mock, client: &Client, mut harm: impl FnMut(&Mock, usize)) -> Vec<String> {
    let options = ProducerOptions::default().linger(Duration::from_millis(1)).batch_size(200usize);
    let producer = Producer::new(client.clone(), options).unwrap();
    let mut deliveries = Vec::new();
    for number in 0..RECORDS {
        harm(mock, number);
        let value = number.to_string();
        deliveries.push(producer.send(Record::new("t").partition(0).value(&value)).await.unwrap());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut offsets = Vec::new();
    for delivery in deliveries {
        offsets.push(delivery.await.unwrap().offset.unwrap());
    }
    assert!(offsets.iter().copied().eq(0..RECORDS as i64), "each at its own offset");
    let mut consumer = Consumer::new(client.clone(), ConsumerOptions::default()).unwrap();
    consumer.assign([(TopicPartition { topic: "t".into(), partition: 0 }, Start::Earliest)]).unwrap();
    let mut read = Vec::new();
    while read.len() < RECORDS {
        read.push(String::from_utf8_lossy(consumer.next().await.unwrap().value().unwrap()).into_owned());
    }
    assert!(consumer.poll(Duration::from_secs(2)).await.unwrap().is_empty(), "and nothing more");
    read
}

fn all() -> Vec<String> {
    (0..RECORDS).map(|number| number.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn lost_answers_cut_connections_and_errors_neither_lose_nor_repeat_records() {
    let mock = cluster();
    let client = by_pipes(&mock);
    let rules = {
        let mut cluster = mock.cluster();
        [
            cluster.on(ApiKey::PRODUCE).skip(5).times(2, Fault::cut_answer_at(7)),
            cluster.on(ApiKey::PRODUCE).skip(10).times(2, Fault::close()),
            cluster.on(ApiKey::PRODUCE).skip(20).once(Fault::drop_answer()),
            cluster.on(ApiKey::PRODUCE).skip(30).times(3, ErrorCode::NOT_LEADER_OR_FOLLOWER),
            cluster
                .on(ApiKey::PRODUCE)
                .skip(40)
                .once(Fault::error_although_done(ErrorCode::REQUEST_TIMED_OUT)),
            cluster.on(ApiKey::FETCH).skip(1).once(Fault::cut_answer_at(9)),
            cluster.on(ApiKey::METADATA).skip(3).once(Fault::garbage(&b"\0\0\0\x04nope"[..])),
        ]
    };
    assert_eq!(numbers_with(&mock, &client, |_, _| {}).await, all());
    let hits = rules.map(|rule| mock.cluster().hits(rule));
    assert_eq!(hits[..6], [2, 2, 1, 3, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn brokers_that_die_pause_and_return_take_nothing_with_them() {
    let mock = cluster();
    let client = by_pipes(&mock);
    let harm = |mock: &Mock, number: usize| {
        let leader = mock.cluster().leader("t", 0);
        match (number, leader) {
            (40, Some(leader)) => mock.kill_broker(leader).unwrap(),
            (100 | 200, _) => (1..=3).for_each(|broker| {
                if mock.cluster().broker_state(broker) == Some(ottla_mock::BrokerState::Down) {
                    mock.restart_broker(broker).unwrap();
                }
            }),
            (120, Some(leader)) => mock.pause_broker(leader).unwrap(),
            (150, Some(leader)) => mock.move_leader("t", 0, leader % 3 + 1).unwrap(),
            (180, _) => (1..=3).for_each(|broker| mock.resume_broker(broker).unwrap()),
            (220, Some(leader)) => mock.stop_broker(leader).unwrap(),
            _ => {}
        }
    };
    assert_eq!(numbers_with(&mock, &client, harm).await, all());
}

#[tokio::test(start_paused = true)]
async fn a_group_whose_coordinator_moves_goes_on_where_it_was() {
    let mock = cluster();
    let client = by_pipes(&mock);
    let producer = Producer::new(client.clone(), ProducerOptions::default()).unwrap();
    let options = ConsumerOptions::default().group_id("g").auto_offset_reset(OffsetReset::Earliest);
    let mut consumer = Consumer::new(client.clone(), options).unwrap();
    consumer.subscribe(["t"]).unwrap();
    for round in 0..6 {
        let value = round.to_string();
        producer.send(Record::new("t").partition(0).value(&value)).await.unwrap().await.unwrap();
        let record = consumer.next().await.unwrap();
        assert_eq!(record.value(), Some(value.as_bytes()));
        consumer.commit().await.unwrap();
        mock.move_group_coordinator("g", round % 3 + 1).unwrap();
    }
    let partition = TopicPartition { topic: "t".into(), partition: 0 };
    let committed = consumer.committed(std::slice::from_ref(&partition)).await.unwrap();
    assert_eq!(committed[&partition].as_ref().map(|committed| committed.offset), Some(6));
    consumer.close(Duration::from_secs(10)).await.unwrap();
}
