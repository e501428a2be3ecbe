//! What a consumer tells of itself: its numbers, and what makes no progress.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_client::{Client, TopicPartition};
use ottla_consumer::metrics::RebalanceReason;
use ottla_consumer::{
    Consumer, ConsumerEvent, ConsumerEvents, ConsumerOptions, OffsetReset, Start, StuckReason,
};
use ottla_mock::{ClusterOptions, Fault, Mock};
use ottla_producer::{Producer, ProducerOptions, Record};
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;

use crate::dial::by_pipes;

const S: fn(u64) -> Duration = Duration::from_secs;

fn cluster() -> Mock {
    let options =
        ClusterOptions::new().brokers(1).topic("t", 2, 1).config("group.initial.rebalance.delay.ms", "0");
    Mock::start(options).unwrap()
}

/// Writes so many records, half of them into each partition.
async fn produce(client: &Client, records: i32) {
    let producer = Producer::new(client.clone(), ProducerOptions::default()).unwrap();
    let mut deliveries = Vec::new();
    for number in 0..records {
        let record = Record::new("t").partition(number % 2).value(b"value");
        deliveries.push(producer.send(record).await.unwrap());
    }
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    producer.close(S(10)).await.unwrap();
}

fn options() -> ConsumerOptions {
    ConsumerOptions::default()
        .group_id("readers")
        .auto_offset_reset(OffsetReset::Earliest)
        .enable_auto_commit(false)
        .max_poll_records(10_usize)
}

async fn read(consumer: &mut Consumer, records: usize) {
    let mut read = 0;
    while read < records {
        read += consumer.poll(S(10)).await.unwrap().len();
    }
}

async fn next(events: &mut ConsumerEvents) -> ConsumerEvent {
    tokio::time::timeout(S(600), events.next())
        .await
        .expect("an event within ten minutes")
        .expect("a consumer")
}

/// The next event while somebody waits for records.
async fn next_while_polling(consumer: &mut Consumer, events: &mut ConsumerEvents) -> ConsumerEvent {
    tokio::select! {
        event = next(events) => event,
        record = consumer.next() => panic!("{record:?} came"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_members_numbers_are_those_of_what_it_did() {
    let mock = cluster();
    let client = by_pipes(&mock);
    produce(&client, 100).await;
    let mut consumer = Consumer::new(client, options()).unwrap();
    consumer.subscribe(["t"]).unwrap();
    read(&mut consumer, 60).await;
    let metrics = consumer.metrics();
    assert_eq!((metrics.total.records, metrics.lag()), (100, 40));
    assert!(metrics.buffer.bytes > 0 && metrics.buffer.bytes < metrics.buffer.limit, "{:?}", metrics.buffer);
    read(&mut consumer, 40).await;
    consumer.commit().await.unwrap();

    let metrics = consumer.metrics();
    let at = |partition| metrics.partitions[&TopicPartition::new("t", partition)];
    assert_eq!(
        (at(0).position, at(0).end_offset, at(0).lag, at(0).paused),
        (Some(50), Some(50), Some(0), false)
    );
    assert_eq!((at(1).position, at(1).lag), (Some(50), Some(0)));
    assert_eq!((metrics.total, metrics.total.records), (metrics.topics["t"], 100));
    assert_eq!(metrics.max_lag(), Some(0));
    let (fetches, commits) = (&metrics.fetches, &metrics.commits);
    assert!(fetches.answered >= 1 && fetches.latency.count() == fetches.answered, "{fetches:?}");
    assert_eq!(fetches.sent, fetches.answered + fetches.failed + fetches.in_flight);
    assert_eq!((commits.succeeded, commits.failed, commits.latency.count()), (1, 0, 1));
    let rebalances = &metrics.rebalances;
    assert_eq!(rebalances.reasons, BTreeMap::from([(RebalanceReason::Joined, 1)]));
    assert_eq!((rebalances.assigned, rebalances.revoked, rebalances.under_way), (2, 0, None));
    assert!(metrics.polls.interval.count() >= 9 && metrics.stuck.is_empty(), "{metrics:?}");
}

#[tokio::test(start_paused = true)]
async fn a_broker_out_of_reach_is_told_with_the_cause_and_so_is_its_return() {
    let mock = cluster();
    let client = by_pipes(&mock);
    let mut consumer = Consumer::new(client.clone(), options()).unwrap();
    consumer.assign([(TopicPartition::new("t", 0), Start::Offset(0))]).unwrap();
    assert!(consumer.poll(S(5)).await.unwrap().is_empty());
    let mut events = consumer.events();
    mock.stop_broker(1).unwrap();
    match next_while_polling(&mut consumer, &mut events).await {
        ConsumerEvent::Stuck(stuck) => {
            assert_eq!(stuck.partitions, [TopicPartition::new("t", 0)]);
            assert!(stuck.since >= S(60) && stuck.since < S(75), "{stuck}");
            assert!(
                matches!(stuck.reason, StuckReason::FetchFails { node: Some(1), tries: 2.., .. }),
                "{stuck}"
            );
        }
        event => panic!("{event:?}"),
    }
    assert_eq!(consumer.metrics().stuck.len(), 1);
    mock.restart_broker(1).unwrap();
    let event = next_while_polling(&mut consumer, &mut events).await;
    assert!(
        matches!(&event, ConsumerEvent::Unstuck { partitions, .. } if partitions.len() == 1),
        "{event:?}"
    );
    assert!(consumer.metrics().stuck.is_empty());
    drop(consumer);
    assert!(events.next().await.is_none(), "events end with the consumer");
}

#[tokio::test(start_paused = true)]
async fn an_application_that_stops_polling_is_told_what_that_costs() {
    let mock = cluster();
    let client = by_pipes(&mock);
    produce(&client, 100).await;
    let options = options().max_poll_interval(S(100)).stuck_after(S(40));
    let mut consumer = Consumer::new(client, options).unwrap();
    let mut events = consumer.events();
    consumer.subscribe(["t"]).unwrap();
    read(&mut consumer, 10).await;
    let event = next(&mut events).await;
    match &event {
        ConsumerEvent::Stuck(stuck) => {
            assert!(matches!(stuck.reason, StuckReason::NotPolling { idle: Some(_) }), "{stuck}");
            assert_eq!((stuck.partitions.len(), stuck.lag), (2, 90));
        }
        event => panic!("{event:?}"),
    }
    let event = next(&mut events).await;
    assert!(matches!(event, ConsumerEvent::PollIntervalNear { limit, .. } if limit == S(100)), "{event:?}");
    let event = next(&mut events).await;
    assert!(matches!(event, ConsumerEvent::PollIntervalExceeded { idle, .. } if idle < S(101)), "{event:?}");
    // The member's own task has to notice as well.
    tokio::time::sleep(S(1)).await;
    read(&mut consumer, 100).await;
    let metrics = consumer.metrics();
    assert_eq!(metrics.rebalances.reasons[&RebalanceReason::PollInterval], 1);
    assert_eq!(metrics.rebalances.lost, 2);
    let mut again = Vec::new();
    while again.len() < 2 {
        again.push(next(&mut events).await);
    }
    assert!(again.iter().any(|event| matches!(event, ConsumerEvent::PollsAgain { .. })), "{again:?}");
    let ends = |event: &ConsumerEvent| matches!(event, ConsumerEvent::Unstuck { partitions, .. } if partitions.len() == 2 || partitions.is_empty());
    assert!(again.iter().any(ends), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn a_group_that_lets_nobody_in_is_told_by_its_coordinator() {
    let mock = cluster();
    let client = by_pipes(&mock);
    let code = ErrorCode::COORDINATOR_NOT_AVAILABLE;
    let rule = mock.cluster().on(ApiKey::FIND_COORDINATOR).always(Fault::error(code));
    let mut consumer = Consumer::new(client, options().default_api_timeout(S(1_000))).unwrap();
    let mut events = consumer.events();
    consumer.subscribe(["t"]).unwrap();
    match next_while_polling(&mut consumer, &mut events).await {
        ConsumerEvent::Stuck(stuck) => {
            assert!(matches!(stuck.reason, StuckReason::Coordinator), "{stuck}");
            assert!(stuck.partitions.is_empty(), "{stuck}");
        }
        event => panic!("{event:?}"),
    }
    mock.cluster().forget(rule);
    let event = next_while_polling(&mut consumer, &mut events).await;
    assert!(
        matches!(&event, ConsumerEvent::Unstuck { partitions, .. } if partitions.is_empty()),
        "{event:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_sleeps_misses_the_oldest_events_and_knows_how_many() {
    let mock = cluster();
    let client = by_pipes(&mock);
    let options = options().stuck_after(Duration::from_millis(400));
    let mut consumer = Consumer::new(client.clone(), options).unwrap();
    consumer.assign([(TopicPartition::new("t", 0), Start::Offset(0))]).unwrap();
    produce(&client, 100).await;
    read(&mut consumer, 10).await;
    let mut events = consumer.events();
    for _ in 0..40 {
        // Paused for long, then not: two events each time.
        consumer.pause(&[TopicPartition::new("t", 0)]).unwrap();
        tokio::time::sleep(S(1)).await;
        consumer.resume(&[TopicPartition::new("t", 0)]).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let kept = std::iter::from_fn(|| events.try_next()).count();
    assert_eq!((kept, events.dropped()), (64, 16));
}
