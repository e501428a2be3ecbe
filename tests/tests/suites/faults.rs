//! Brokers that die, freeze and come back, and connections that break: what is acknowledged is in the log once, in order.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read the clock and panic where they fail"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ottla::consumer::{Records, Start};
use ottla::producer::CompressionType;
use ottla::{Consumer, ConsumerOptions, ErrorKind, Kafka, ProducerOptions, Record, TopicPartition};
use ottla_tests::broker::{
    CuttingDialer, Dice, Fate, Harm, Id, Ledger, Load, Mix, Nodes, Outcome, partitions_of, read_all, topic,
    within,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::WORLD;

const MS: fn(u64) -> Duration = Duration::from_millis;
const SECONDS: fn(u64) -> Duration = Duration::from_secs;

/// How long a partition may take to get going after its leader is gone: detection and election take about three seconds
/// on an idle machine, and a client that does nothing wrong adds less than one.
const FAILOVER: Duration = Duration::from_secs(120);

const PARTITIONS: i32 = 4;

async fn mix(kafka: &Kafka, name: &str) -> Mix {
    Mix { topic: topic(kafka, name, PARTITIONS).await, partitions: PARTITIONS, tasks: 4, largest: 500 }
}

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}

/// A consumer that reads all the time on a task of its own.
struct Follower {
    stop: watch::Sender<bool>,
    task: JoinHandle<Consumer>,
}

impl Follower {
    async fn start(kafka: &Kafka, topic: &str, ledger: &Arc<Ledger>) -> Follower {
        let (mut consumer, ledger) = (reader(kafka, topic).await, Arc::clone(ledger));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            while !*stopped.borrow() {
                ledger.read(1, &poll(&mut consumer).await);
            }
            consumer
        });
        Follower { stop, task }
    }
}

/// Ends the load, lets the follower read to the end, and compares what it read with what was acknowledged; nothing may
/// have failed.
async fn settle(load: Load, follower: Follower) {
    let (ledger, failures) = load.finish(FAILOVER).await;
    assert!(failures.is_empty(), "{} records failed, the first with {}", failures.len(), failures[0].1);
    follower.stop.send_replace(true);
    let mut consumer = follower.task.await.unwrap_or_else(|error| panic!("the follower failed: {error}"));
    catch_up(&mut consumer, &ledger, 1).await;
    assert_clean(&ledger);
}

async fn compare(ledger: &Ledger, kafka: &Kafka, topic: &str) {
    ledger.read(1, &read_all(kafka, topic).await);
    assert_clean(ledger);
}

fn assert_clean(ledger: &Ledger) {
    let wrong = ledger.exactly_once();
    assert!(wrong.is_empty(), "{} faults: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
}

/// Reads until the ledger holds as many different reads as acknowledgements.
async fn catch_up(consumer: &mut Consumer, ledger: &Ledger, reader: u32) {
    let deadline = Instant::now() + FAILOVER;
    while ledger.distinct_reads() < ledger.acknowledged() {
        let (read, sent) = (ledger.distinct_reads(), ledger.acknowledged());
        assert!(Instant::now() < deadline, "{read} of {sent} records came within {FAILOVER:?}");
        ledger.read(reader, &poll(consumer).await);
    }
}

async fn poll(consumer: &mut Consumer) -> Records {
    consumer.poll(MS(200)).await.unwrap_or_else(|error| panic!("poll: {error}"))
}

async fn reader(kafka: &Kafka, topic: &str) -> Consumer {
    let mut consumer = kafka.consumer(ConsumerOptions::default()).unwrap();
    let starts = partitions_of(kafka, topic).await.into_iter().map(|partition| (partition, Start::Earliest));
    consumer.assign(starts).unwrap();
    consumer
}

#[test]
fn a_leader_killed_under_load_loses_duplicates_and_reorders_nothing_twice_in_a_row() {
    WORLD.harm(SECONDS(600), async |kafka, harm| {
        let mix = mix(&kafka, "killed").await;
        let mut dice = Dice::new("killed leaders");
        let load = Load::start(&kafka, &ProducerOptions::default(), &mix, &mut dice);
        let follower = Follower::start(&kafka, &mix.topic, load.ledger()).await;
        load.advance(50, FAILOVER).await;
        for _ in 0..2 {
            let victim = harm.leader(&kafka, &at(&mix.topic, dice.below(PARTITIONS as u64) as i32)).await;
            harm.kill(victim).await;
            let killed = Instant::now();
            load.advance(50, FAILOVER).await;
            println!("node {victim} killed; all partitions go on after {:?}", killed.elapsed());
            harm.start(victim).await;
            load.advance(50, FAILOVER).await;
            harm.in_sync(&kafka, &mix.topic).await;
        }
        settle(load, follower).await;
    });
}

#[test]
fn a_leader_restarted_under_load_and_then_while_nobody_sends_goes_unnoticed() {
    WORLD.harm(SECONDS(600), async |kafka, harm| {
        let mix = mix(&kafka, "restarted").await;
        let mut dice = Dice::new("restarted leaders");
        let load = Load::start(&kafka, &ProducerOptions::default(), &mix, &mut dice);
        let ledger = Arc::clone(load.ledger());
        let mut consumer = reader(&kafka, &mix.topic).await;
        load.advance(20, FAILOVER).await;
        let victim = harm.leader(&kafka, &at(&mix.topic, 0)).await;
        harm.restart(victim).await;
        load.advance(20, FAILOVER).await;
        let idle = kafka.producer(ProducerOptions::default()).unwrap();
        let send = async |sequence| {
            let id = Id { producer: 1_000, sequence };
            let value = id.payload(50);
            let delivery = idle.send(Record::new(&mix.topic).partition(0).value(&value)).await.unwrap().await;
            ledger.delivery(id, at(&mix.topic, 0), &delivery);
            delivery.unwrap_or_else(|error| panic!("an idle producer: {error}"));
        };
        send(0).await;
        let (_, failures) = load.finish(FAILOVER).await;
        assert!(failures.is_empty(), "{failures:?}");
        catch_up(&mut consumer, &ledger, 1).await;

        // Nothing is under way now; the connections of producer and consumer end behind their backs.
        harm.in_sync(&kafka, &mix.topic).await;
        let victim = harm.leader(&kafka, &at(&mix.topic, 0)).await;
        harm.restart(victim).await;
        within(FAILOVER, "the first record after the restart", send(1)).await;
        catch_up(&mut consumer, &ledger, 1).await;
        assert_clean(&ledger);
    });
}

#[test]
fn a_leader_that_freezes_and_thaws_loses_duplicates_and_reorders_nothing() {
    WORLD.harm(SECONDS(600), async |kafka, harm| {
        // Another handle: its deadline is for the frozen broker, not for the test's own requests.
        let hasty = harm.nodes().kafka_with(harm.nodes().options().request_timeout(SECONDS(1)));
        let mix = mix(&kafka, "frozen").await;
        let mut dice = Dice::new("frozen leaders");
        let producer = ProducerOptions::default().request_timeout(SECONDS(1));
        let load = Load::start(&hasty, &producer, &mix, &mut dice);
        let follower = Follower::start(&hasty, &mix.topic, load.ledger()).await;
        load.advance(50, FAILOVER).await;
        for _ in 0..2 {
            let victim = harm.leader(&kafka, &at(&mix.topic, dice.below(PARTITIONS as u64) as i32)).await;
            harm.pause(victim).await;
            let frozen = Instant::now();
            load.advance(50, FAILOVER).await;
            println!("node {victim} frozen; all partitions go on after {:?}", frozen.elapsed());
            // What lay in its sockets is carried out now, by a leader that is none any more.
            harm.resume(victim).await;
            load.advance(50, FAILOVER).await;
            harm.in_sync(&kafka, &mix.topic).await;
        }
        settle(load, follower).await;
    });
}

/// Mostly the answer is lost; sometimes half of a request or of an answer.
fn often_cut(dice: &mut Dice) -> Fate {
    match dice.below(6) {
        0 => Fate::Write(dice.below(20_000)),
        1 => Fate::Read(dice.below(3_000)),
        // The first answer is that to ApiVersions.
        _ => Fate::Answer(2 + dice.below(12)),
    }
}

/// A handle whose connections break all the time, and who counts how often.
fn cut_handle(nodes: &Nodes, dice: &mut Dice, fate: fn(&mut Dice) -> Fate) -> (Kafka, Arc<CuttingDialer>) {
    let dialer = Arc::new(CuttingDialer::new(nodes.dialer(), Dice::seeded(dice.next()), fate));
    let options = nodes
        .options()
        .reconnect_backoff(MS(1))
        .reconnect_backoff_max(MS(20))
        .retry_backoff(MS(1))
        .retry_backoff_max(MS(20));
    (Kafka::with_dialer(options, Arc::clone(&dialer) as Arc<_>).unwrap(), dialer)
}

#[test]
fn connections_cut_between_request_and_answer_leave_each_record_in_the_log_once() {
    WORLD.peace(SECONDS(400), async |kafka, nodes| {
        let mut dice = Dice::new("cut producers");
        let cases = [
            (CompressionType::None, 16_384usize, 100),
            (CompressionType::None, 1, 100),
            (CompressionType::Gzip, 700, 40),
            (CompressionType::Snappy, 700, 40),
            (CompressionType::Lz4, 700, 40),
            (CompressionType::Zstd, 700, 40),
        ];
        for (codec, batch, goal) in cases {
            let mix = mix(&kafka, "cut").await;
            let (cut, dialer) = cut_handle(nodes, &mut dice, often_cut);
            let producer = ProducerOptions::default()
                .compression(codec)
                .batch_size(batch)
                .linger(MS(2))
                .retry_backoff(MS(1))
                .retry_backoff_max(MS(20));
            let load = Load::start(&cut, &producer, &mix, &mut dice);
            while dialer.cuts() < goal {
                load.advance(5, FAILOVER).await;
            }
            let (ledger, failures) = load.finish(FAILOVER).await;
            assert!(failures.is_empty(), "{codec:?}: {}", failures[0].1);
            let (records, cuts) = (ledger.acknowledged(), dialer.cuts());
            println!("{codec:?} in batches of {batch}: {records} records over {cuts} cuts");
            compare(&ledger, &kafka, &mix.topic).await;
        }
    });
}

#[test]
fn a_reader_whose_connections_are_cut_gets_each_record_once_and_in_order() {
    WORLD.peace(SECONDS(90), async |kafka, nodes| {
        let mut dice = Dice::new("cut readers");
        let topic = topic(&kafka, "cut-read", PARTITIONS).await;
        let ledger = Ledger::default();
        let producer = kafka.producer(ProducerOptions::default().batch_size(2_000usize)).unwrap();
        let mut deliveries = Vec::new();
        for sequence in 0..8_000 {
            let id = Id { producer: 1, sequence };
            let partition = (sequence % PARTITIONS as u64) as i32;
            let value = id.payload(200);
            let record = Record::new(&topic).partition(partition).value(&value);
            deliveries.push((id, partition, producer.send(record).await.unwrap()));
        }
        for (id, partition, delivery) in deliveries {
            ledger.delivery(id, at(&topic, partition), &delivery.await);
        }

        let (cut, dialer) = cut_handle(nodes, &mut dice, |dice| match dice.below(3) {
            0 => Fate::Answer(2 + dice.below(10)),
            1 => Fate::Write(dice.below(2_000)),
            _ => Fate::Read(dice.below(60_000)),
        });
        let options =
            ConsumerOptions::default().max_partition_fetch_bytes(4_000usize).fetch_max_bytes(10_000usize);
        let mut consumer = cut.consumer(options).unwrap();
        consumer.assign((0..PARTITIONS).map(|partition| (at(&topic, partition), Start::Earliest))).unwrap();
        catch_up(&mut consumer, &ledger, 1).await;
        println!("8000 records over {} cuts", dialer.cuts());
        assert!(dialer.cuts() > 20, "{} cuts prove little", dialer.cuts());
        assert_clean(&ledger);
    });
}

#[test]
fn an_outage_of_all_brokers_is_survived_within_the_delivery_timeout_and_told_once_beyond_it() {
    WORLD.harm(SECONDS(600), async |kafka, harm| {
        let mut dice = Dice::new("outage");
        let (patient, hasty) = (mix(&kafka, "patient").await, mix(&kafka, "hasty").await);
        let patient_load = Load::start(&kafka, &ProducerOptions::default(), &patient, &mut dice);
        let follower = Follower::start(&kafka, &patient.topic, patient_load.ledger()).await;
        let short = ProducerOptions::default().delivery_timeout(SECONDS(2)).request_timeout(MS(900));
        let hasty_kafka = harm.nodes().kafka();
        let hasty_load = Load::start(&hasty_kafka, &short, &hasty, &mut dice);
        patient_load.advance(20, FAILOVER).await;
        hasty_load.advance(20, FAILOVER).await;
        outage(harm, &hasty_kafka, &short, &hasty).await;
        patient_load.advance(20, FAILOVER).await;
        hasty_load.advance(20, FAILOVER).await;

        settle(patient_load, follower).await;
        let (ledger, failures) = hasty_load.finish(FAILOVER).await;
        assert!(!failures.is_empty(), "an outage above the delivery timeout failed no record");
        for (id, error) in &failures {
            assert_eq!(error.kind(), ErrorKind::Timeout, "{id}: {error}");
            assert!(error.cause().is_some(), "{id} failed without a cause: {error}");
            assert!(
                error.tries() > 0 || !error.possibly_written(),
                "{id} was written without a try: {error}"
            );
        }
        let written = failures.iter().filter(|(_, error)| error.possibly_written()).count();
        println!("{} records failed, {written} of them perhaps written", failures.len());
        compare(&ledger, &kafka, &hasty.topic).await;
    });
}

/// Ends all brokers, sends records that fail, and brings the brokers back.
async fn outage(harm: &Harm, kafka: &Kafka, short: &ProducerOptions, mix: &Mix) {
    harm.kill_all().await;
    let producer = kafka.producer(short.clone()).unwrap();
    let started = Instant::now();
    let mut deliveries = Vec::new();
    for partition in 0..PARTITIONS {
        let record = Record::new(&mix.topic).partition(partition).value("never");
        deliveries.push(producer.send(record).await.unwrap());
    }
    for outcome in join_all(deliveries).await {
        let error = outcome.expect_err("no broker runs");
        assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::Timeout, false), "{error}");
        assert!(error.cause().is_some(), "no cause: {error}");
        assert_eq!(Outcome::of(&Err(error)), Outcome::Refused);
    }
    let took = started.elapsed();
    // A busy machine takes its time to tell; what does not keep to the timeout takes two minutes.
    assert!(took >= SECONDS(2) && took < SECONDS(20), "a delivery timeout of 2 s was told after {took:?}");
    harm.start_all().await;
}
