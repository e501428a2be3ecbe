//! How long many consumers of one process take to stop, by the clock on the wall.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read the clock and panic where they fail"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use ottla::consumer::{self, GroupProtocol, OffsetReset, RebalanceCallbacks};
use ottla::{ConsumerOptions, Kafka, ProducerOptions, Record, Shutdown, TopicPartition};
use ottla_tests::broker::{World, topic, unique};
use tokio::task::JoinHandle;

use super::WORLD;

const CONSUMERS: usize = 50;
const GRACE: Duration = Duration::from_secs(30);

/// What is promised. In memory other tests use the processor meanwhile; that nobody waits for anything there is what
/// `ottla`'s own tests show, on a clock that only waiting moves.
const PROMPT: Duration = match WORLD {
    World::Real => Duration::from_secs(1),
    World::Mock => Duration::from_secs(10),
};

/// What the consumers have, and have read.
#[derive(Default)]
struct Crowd {
    /// Partitions by consumer.
    partitions: BTreeMap<usize, usize>,
    /// Partitions and offsets.
    records: BTreeSet<(i32, i64)>,
}

/// Starts consumers of one group that go on until the shutdown.
fn start(
    kafka: &Kafka,
    topic: &str,
    options: &ConsumerOptions,
    shutdown: &Shutdown,
) -> (Arc<Mutex<Crowd>>, Vec<JoinHandle<()>>) {
    let crowd = Arc::new(Mutex::new(Crowd::default()));
    let tasks = (0..CONSUMERS).map(|number| {
        let mut consumer = kafka.consumer(options.clone()).unwrap();
        let (came, went) = (Arc::clone(&crowd), Arc::clone(&crowd));
        let listener = RebalanceCallbacks::new()
            .on_assigned(move |partitions| {
                *came.lock().unwrap().partitions.entry(number).or_default() += partitions.len();
            })
            .on_revoked(move |partitions| {
                *went.lock().unwrap().partitions.entry(number).or_default() -= partitions.len();
            });
        consumer.subscribe_with([topic], listener).unwrap();
        let (crowd, shutdown) = (Arc::clone(&crowd), shutdown.clone());
        tokio::spawn(async move {
            let work = |record: consumer::Record| {
                crowd.lock().unwrap().records.insert((record.partition(), record.offset()));
                async { Ok::<(), Infallible>(()) }
            };
            consumer.run(&shutdown, GRACE, work).await.unwrap();
        })
    });
    let tasks = tasks.collect();
    (crowd, tasks)
}

#[test]
fn fifty_consumers_of_a_healthy_cluster_are_gone_within_a_second() {
    WORLD.peace(Duration::from_secs(300), async |kafka, _| {
        for protocol in [GroupProtocol::Classic, GroupProtocol::Consumer] {
            let mut all_took = Vec::new();
            // A machine that is busy for once is no reason to fail, and who waits for anything does so every time.
            while all_took.iter().all(|took| *took >= PROMPT) {
                assert!(all_took.len() < 3, "{protocol:?}: {all_took:?}");
                all_took.push(gone_after(&kafka, protocol).await);
            }
            println!("{protocol:?}: {CONSUMERS} consumers were gone after {all_took:?}");
        }
    });
}

/// How long consumers take that are told to stop once each has a partition, and has read it.
async fn gone_after(kafka: &Kafka, protocol: GroupProtocol) -> Duration {
    let partitions = i32::try_from(CONSUMERS).unwrap();
    let (topic, group) = (topic(kafka, "shutdown", partitions).await, unique("shutdown"));
    let producer = kafka.producer(ProducerOptions::default()).unwrap();
    let mut deliveries = Vec::new();
    for partition in (0..partitions).chain(0..partitions) {
        let record = Record::new(&topic).partition(partition).value(b"a record");
        deliveries.push(producer.send(record).await.unwrap());
    }
    try_join_all(deliveries).await.unwrap();

    let shutdown = Shutdown::new();
    let options = ConsumerOptions::default()
        .group_id(group.as_str())
        .group_protocol(protocol)
        .auto_offset_reset(OffsetReset::Earliest);
    let (crowd, tasks) = start(kafka, &topic, &options, &shutdown);
    let started = Instant::now();
    let is_settled = || {
        let crowd = crowd.lock().unwrap();
        let all_have_one = crowd.partitions.len() == CONSUMERS
            && crowd.partitions.values().all(|partitions| *partitions == 1);
        all_have_one && crowd.records.len() == 2 * CONSUMERS
    };
    while !is_settled() {
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", crowd.lock().unwrap().partitions);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let triggered = Instant::now();
    shutdown.trigger();
    shutdown.finished(GRACE).await.unwrap();
    let took = triggered.elapsed();
    try_join_all(tasks).await.unwrap();

    let all: Vec<_> = (0..partitions).map(|index| TopicPartition::new(&*topic, index)).collect();
    let mut reader = kafka.consumer(ConsumerOptions::default().group_id(group.as_str())).unwrap();
    let committed = reader.committed(&all).await.unwrap();
    let offsets: Vec<_> = committed.values().flatten().map(|found| found.offset).collect();
    assert_eq!(offsets, [2; CONSUMERS], "{protocol:?}");
    took
}
