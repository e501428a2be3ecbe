//! The whole producer over scripted connections, under a paused clock.

#![allow(
    clippy::disallowed_methods,
    reason = "a test plays the application, with clock and tasks of its own"
)]

mod cluster;
mod life;
mod mock;
mod observers;
mod tracing;
mod typed;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;
use std::time::Duration;

use futures_util::future::join_all;
use ottla_client::ErrorKind;
use ottla_client::test_support::Answer;
use ottla_protocol::error_code::ErrorCode;

use self::cluster::{Cluster, refuse};
use crate::{
    Acks, Choice, CompressionType, Delivery, Partitioner, PartitionerClass, Partitions, Producer,
    ProducerOptions, Record,
};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// A waker that counts.
#[derive(Default)]
pub(super) struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Woken {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Of a cluster with the topic `t`.
pub(super) fn scripted_client() -> ottla_client::Client {
    Cluster::new(&[1]).client()
}

async fn send(producer: &Producer, partition: i32, value: u32) -> Delivery {
    producer.send(Record::new("t").partition(partition).value(&value.to_be_bytes())).await.unwrap()
}

async fn send_all(producer: &Producer, partition: i32, values: std::ops::Range<u32>) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for value in values {
        deliveries.push(send(producer, partition, value).await);
    }
    deliveries
}

#[tokio::test(start_paused = true)]
async fn records_are_delivered_with_their_offsets() {
    let cluster = Cluster::new(&[1, 2]);
    let producer = Producer::new(cluster.client(), ProducerOptions::new()).unwrap();
    let mut deliveries = send_all(&producer, 0, 0..100).await;
    deliveries.extend(send_all(&producer, 1, 100..150).await);
    let offsets: Vec<_> =
        join_all(deliveries).await.into_iter().map(|delivered| delivered.unwrap().offset.unwrap()).collect();
    assert_eq!(offsets, (0..100).chain(0..50).collect::<Vec<i64>>());
    assert_eq!((cluster.log(0), cluster.log(1)), ((0..100).collect(), (100..150).collect()));
    assert_eq!(cluster.with(|state| (state.produce_requests, state.last_version)), (2, 13));
}

#[tokio::test(start_paused = true)]
async fn a_negative_producer_id_is_none() {
    let cluster = Cluster::new(&[1]);
    cluster.with(|state| state.producer_ids = [-1, -9].into());
    let producer = Producer::new(cluster.client(), ProducerOptions::new()).unwrap();
    assert_eq!(send(&producer, 0, 1).await.await.unwrap().offset, Some(0));
    assert_eq!(cluster.with(|state| (state.producer_ids.len(), state.produce_requests)), (0, 1));

    cluster.with(|state| state.producer_ids = vec![-1; 1_000].into());
    let options = ProducerOptions::new().delivery_timeout(MS(5_000)).request_timeout(MS(1_000));
    let producer = Producer::new(cluster.client(), options).unwrap();
    let error = send(&producer, 0, 2).await.await.unwrap_err();
    assert!(error.to_string().contains("negative"), "{error}");
    assert!(!error.possibly_written());
}

#[tokio::test]
async fn many_tasks_of_a_multi_thread_runtime_share_a_producer() {
    let work = async {
        let cluster = Cluster::new(&[1, 2, 1]);
        let options = ProducerOptions::new().batch_size(1_000usize);
        let producer = Producer::new(cluster.client(), options).unwrap();
        let tasks = (0..8u32).map(|task| {
            let producer = producer.clone();
            tokio::spawn(async move {
                for value in 0..500 {
                    let value = (task * 500 + value).to_be_bytes();
                    drop(producer.send(Record::new("t").value(&value)).await.unwrap());
                }
                producer.flush().await.unwrap();
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let mut all: Vec<u32> = (0..3).flat_map(|partition| cluster.log(partition)).collect();
        all.sort_unstable();
        assert_eq!(all, (0..4_000).collect::<Vec<_>>());
        assert!((0..3).all(|partition| !cluster.log(partition).is_empty()), "sticky, but uniform");
    };
    tokio::task::spawn_blocking(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_all().build().unwrap();
        runtime.block_on(work);
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_unknown_topic_is_named_after_max_block() {
    let cluster = Cluster::new(&[1]);
    let producer = Producer::new(cluster.client(), ProducerOptions::new().max_block(MS(3_000))).unwrap();
    let start = tokio::time::Instant::now();
    let error = producer.send(Record::new("nowhere").value("v")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTopic);
    assert!(error.to_string().contains("nowhere"), "{error}");
    assert!(start.elapsed() <= MS(3_100), "{:?}", start.elapsed());
    let error = producer.send(Record::new("t").partition(9).value("v")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTopic);
    assert!(error.to_string().contains("no partition 9"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_task_learns_of_one_new_partition_after_the_other() {
    let cluster = Cluster::new(&[1]);
    let client = cluster.client();
    let producer = Producer::new(client.clone(), ProducerOptions::new()).unwrap();
    send(&producer, 0, 0).await.await.unwrap();
    for count in 2..6 {
        cluster.with(|state| state.leaders.push(1));
        let mut updates = client.cluster_updates();
        client.refresh_metadata();
        let has_all = |known: &ottla_client::Cluster| {
            known.topic("t").is_some_and(|topic| topic.partitions.len() == count)
        };
        updates.wait_for(has_all).await.unwrap();
        // Nothing else wakes the task.
        tokio::time::sleep(MS(1)).await;
        assert_eq!(producer.accumulator().partition_count("t"), count);
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_hint_is_followed_without_a_metadata_round_trip() {
    let cluster = Cluster::new(&[1]);
    let producer = Producer::new(cluster.client(), ProducerOptions::new()).unwrap();
    send(&producer, 0, 0).await.await.unwrap();
    let before = cluster.with(|state| {
        state.leaders = vec![2];
        state.metadata_requests
    });
    cluster.on_produce(|_, received| {
        (received.node == Some(1)).then(|| refuse(received, ErrorCode::NOT_LEADER_OR_FOLLOWER, Some(2)))
    });
    let start = tokio::time::Instant::now();
    send(&producer, 0, 1).await.await.unwrap();
    assert_eq!(cluster.log(0), [0, 1]);
    assert!(start.elapsed() < MS(50), "neither backoff nor metadata was waited for: {:?}", start.elapsed());
    assert!(cluster.with(|state| state.metadata_requests) <= before + 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_hint_metadata_tells_the_new_leader() {
    let cluster = Cluster::new(&[1]);
    let producer = Producer::new(cluster.client(), ProducerOptions::new()).unwrap();
    send(&producer, 0, 0).await.await.unwrap();
    cluster.with(|state| state.leaders = vec![2]);
    send(&producer, 0, 1).await.await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(cluster.log(0), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_cut_before_the_answer_duplicates_and_reorders_nothing() {
    let cluster = Cluster::new(&[1]);
    let mut requests = 0;
    cluster.on_produce(move |state, received| {
        requests += 1;
        match requests % 4 {
            // Taken, but the answer is lost; or lost itself.
            1 => {
                state.take(received);
                Some(Answer::Close)
            }
            3 => Some(Answer::Close),
            _ => None,
        }
    });
    let options = ProducerOptions::new().batch_size(200usize).linger(Duration::ZERO);
    let producer = Producer::new(cluster.client(), options).unwrap();
    let deliveries = send_all(&producer, 0, 0..200).await;
    let offsets: Vec<_> =
        join_all(deliveries).await.into_iter().map(|sent| sent.unwrap().offset.unwrap()).collect();
    assert_eq!(offsets, (0..200).collect::<Vec<i64>>());
    assert_eq!(cluster.log(0), (0..200).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker_costs_the_delivery_timeout_and_the_error_says_so() {
    let cluster = Cluster::new(&[1]);
    cluster.on_produce(|_, _| Some(Answer::Nothing));
    let options = ProducerOptions::new().request_timeout(MS(1_000)).delivery_timeout(MS(5_000));
    let producer = Producer::new(cluster.client(), options).unwrap();
    let start = tokio::time::Instant::now();
    let error = send(&producer, 0, 1).await.await.unwrap_err();
    assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::Timeout, true));
    assert!(error.tries() > 1 && start.elapsed() <= MS(5_100), "{error} after {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn not_enough_replicas_is_retried_until_it_is_over() {
    let cluster = Cluster::new(&[1]);
    let healed = tokio::time::Instant::now() + MS(15_000);
    cluster.on_produce(move |_, received| {
        (tokio::time::Instant::now() < healed).then(|| refuse(received, ErrorCode::NOT_ENOUGH_REPLICAS, None))
    });
    let producer = Producer::new(cluster.client(), ProducerOptions::new()).unwrap();
    let deliveries = send_all(&producer, 0, 0..10).await;
    assert!(join_all(deliveries).await.iter().all(Result::is_ok));
    assert!(tokio::time::Instant::now() < healed + MS(1_200), "at the next retry");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_topic_id_is_refreshed_and_retried() {
    let cluster = Cluster::new(&[1]);
    let mut first = true;
    cluster.on_produce(move |_, received| {
        std::mem::take(&mut first).then(|| refuse(received, ErrorCode::UNKNOWN_TOPIC_ID, None))
    });
    let producer = Producer::new(cluster.client(), ProducerOptions::new()).unwrap();
    send(&producer, 0, 1).await.await.unwrap();
    assert_eq!(cluster.log(0), [1]);
}

#[tokio::test(start_paused = true)]
async fn acks_none_tells_no_offset_and_needs_no_producer_id() {
    let cluster = Cluster::new(&[1]);
    let producer = Producer::new(cluster.client(), ProducerOptions::new().acks(Acks::None)).unwrap();
    let delivered = send(&producer, 0, 5).await.await.unwrap();
    assert_eq!(delivered.offset, None);
    producer.close(MS(1_000)).await.unwrap();
    tokio::time::sleep(MS(10)).await;
    assert_eq!(cluster.log(0), [5]);
}

#[tokio::test(start_paused = true)]
async fn every_codec_arrives() {
    let codecs =
        [CompressionType::Gzip, CompressionType::Snappy, CompressionType::Lz4, CompressionType::Zstd];
    for codec in codecs {
        let cluster = Cluster::new(&[1]);
        let options = ProducerOptions::new().compression(codec).batch_size(64_000usize);
        let producer = Producer::new(cluster.client(), options).unwrap();
        let padding = [b'x'; 96];
        let mut deliveries = Vec::new();
        for value in 0..5_000u32 {
            let value = [&value.to_be_bytes()[..], &padding].concat();
            deliveries.push(producer.send(Record::new("t").value(&value)).await.unwrap());
        }
        producer.flush().await.unwrap();
        assert!(
            deliveries.iter_mut().all(|delivery| delivery.outcome().is_some_and(|outcome| outcome.is_ok()))
        );
        assert_eq!(cluster.log(0), (0..5_000).collect::<Vec<_>>(), "{codec:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_too_large_fails_alone() {
    let cluster = Cluster::new(&[1]);
    let options = ProducerOptions::new().max_request_size(10_000usize).batch_size(500usize);
    let producer = Producer::new(cluster.client(), options).unwrap();
    let before = send(&producer, 0, 0).await;
    let error = producer.send(Record::new("t").value(&vec![0; 10_000])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RecordTooLarge);
    let mut beyond_a_batch = 1u32.to_be_bytes().to_vec();
    beyond_a_batch.resize(5_000, 0);
    let large = producer.send(Record::new("t").value(&beyond_a_batch)).await.unwrap();
    let after = send(&producer, 0, 2).await;
    for delivery in [before, large, after] {
        delivery.await.unwrap();
    }
    assert_eq!(cluster.log(0), [0, 1, 2]);
}
