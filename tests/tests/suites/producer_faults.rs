//! The producer while brokers die and freeze, answers get lost or late, partitions move and multiply, and replicas are too
//! few: what is acknowledged is in the log once and in order, every outcome is told within `delivery.timeout.ms`, and a
//! record that failed is in the log only if its error says that it may be.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read the clock and panic where they fail"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ottla::producer::CompressionType;
use ottla::protocol::error_code::ErrorCode;
use ottla::{Delivery, Error, ErrorKind, Kafka, Producer, ProducerOptions, Record, TopicPartition};
use ottla_tests::broker::{
    Dice, Harm, Id, Ledger, Load, Mix, Nodes, Proxy, Treatment, World, grow, move_partition, read_all, topic,
    topic_with, within,
};
use tokio::sync::{mpsc, watch};

use super::WORLD;

const MS: fn(u64) -> Duration = Duration::from_millis;
const SECONDS: fn(u64) -> Duration = Duration::from_secs;

/// How long a partition may take to get going after its leader is gone: detection and election take about three seconds
/// on an idle machine.
const FAILOVER: Duration = Duration::from_secs(120);

/// How much later than promised something may be seen: the time that a busy machine takes to look.
const SLACK: Duration = Duration::from_secs(15);

const PARTITIONS: i32 = 4;

const CODECS: [CompressionType; 5] = [
    CompressionType::None,
    CompressionType::Gzip,
    CompressionType::Snappy,
    CompressionType::Lz4,
    CompressionType::Zstd,
];

/// How long something goes on: not so long where nodes come back at once.
fn lasting(real: Duration, mock: u64) -> Duration {
    match WORLD {
        World::Real => real,
        World::Mock => SECONDS(mock),
    }
}

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}

fn mix_of(topic: String) -> Mix {
    Mix { topic, partitions: PARTITIONS, tasks: 4, largest: 500 }
}

/// Batches of a record or two, as many on their way as the broker remembers.
fn tiny(codec: CompressionType) -> ProducerOptions {
    ProducerOptions::default().compression(codec).batch_size(200usize).max_in_flight(5usize).linger(MS(1))
}

fn tiny_mix(topic: String) -> Mix {
    Mix { largest: 150, tasks: 2, ..mix_of(topic) }
}

/// A topic with two replicas for each partition, so that one node at a time has none and can be moved to.
async fn on_two_nodes(kafka: &Kafka, name: &str) -> String {
    topic_with(kafka, name, |topic| topic.partitions(PARTITIONS).replication_factor(2)).await
}

/// Ends the load, of which everything must have been acknowledged, and compares that with the log.
async fn all_delivered(load: Load, kafka: &Kafka, topic: &str) {
    let failures = told_honestly(load, kafka, topic).await;
    assert!(failures.is_empty(), "{} records failed, the first with {}", failures.len(), failures[0].1);
}

/// Ends the load, compares what was told with the log, and gives back what failed.
async fn told_honestly(load: Load, kafka: &Kafka, topic: &str) -> Vec<(Id, Error)> {
    let (ledger, failures) = load.finish(FAILOVER).await;
    for (id, error) in &failures {
        let may_be_there = error.possibly_written();
        assert!(error.tries() > 0 || !may_be_there, "{id} may be in the log without a try: {error}");
    }
    compare(&ledger, kafka, topic).await;
    let written = failures.iter().filter(|(_, error)| error.possibly_written()).count();
    let (good, bad) = (ledger.acknowledged(), failures.len());
    println!("{topic}: {good} records acknowledged, {bad} failed, {written} of them perhaps written");
    failures
}

async fn compare(ledger: &Ledger, kafka: &Kafka, topic: &str) {
    ledger.read(1, &read_all(kafka, topic).await);
    let wrong = ledger.exactly_once();
    assert!(wrong.is_empty(), "{} faults: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
}

/// Kills a leader, waits until others lead, starts it again, and waits until it is in sync: once, and then again until
/// `duration` is over.
async fn kill_leaders(
    kafka: &Kafka,
    harm: &Harm,
    load: &Load,
    topic: &str,
    duration: Duration,
    dice: &mut Dice,
) {
    let began = Instant::now();
    load.advance(20, FAILOVER).await;
    loop {
        let victim = harm.leader(kafka, &at(topic, dice.below(PARTITIONS as u64) as i32)).await;
        harm.kill(victim).await;
        let killed = Instant::now();
        load.advance(20, FAILOVER).await;
        println!("node {victim} killed; all partitions go on after {:?}", killed.elapsed());
        harm.start(victim).await;
        load.advance(20, FAILOVER).await;
        harm.in_sync(kafka, topic).await;
        if began.elapsed() >= duration {
            return;
        }
    }
}

#[test]
fn leaders_killed_one_after_the_other_lose_duplicate_and_reorder_nothing() {
    WORLD.harm(SECONDS(900), async |kafka, harm| {
        let mut dice = Dice::new("kills");
        let mix = mix_of(topic(&kafka, "killed", PARTITIONS).await);
        let load =
            Load::start(&kafka, &ProducerOptions::default().request_timeout(SECONDS(10)), &mix, &mut dice);
        kill_leaders(&kafka, harm, &load, &mix.topic, lasting(World::fault_time(), 8), &mut dice).await;
        all_delivered(load, &kafka, &mix.topic).await;
    });
}

#[test]
fn leaders_killed_under_tiny_batches_of_every_codec_lose_duplicate_and_reorder_nothing() {
    WORLD.harm(SECONDS(900), async |kafka, harm| {
        let mut dice = Dice::new("kills under tiny batches");
        let mut loads = Vec::new();
        for codec in CODECS {
            let mix = tiny_mix(topic(&kafka, "tiny-killed", PARTITIONS).await);
            loads.push((Load::start(&kafka, &tiny(codec), &mix, &mut dice), mix.topic));
        }
        let advance = async || {
            join_all(loads.iter().map(|(load, _)| load.advance(20, FAILOVER))).await;
        };
        for _ in 0..2 {
            advance().await;
            let (_, topic) = &loads[dice.below(loads.len() as u64) as usize];
            let victim = harm.leader(&kafka, &at(topic, dice.below(PARTITIONS as u64) as i32)).await;
            harm.kill(victim).await;
            let killed = Instant::now();
            advance().await;
            println!("node {victim} killed; all partitions go on after {:?}", killed.elapsed());
            harm.start(victim).await;
            advance().await;
            for (_, topic) in &loads {
                harm.in_sync(&kafka, topic).await;
            }
        }
        for (load, topic) in loads {
            all_delivered(load, &kafka, &topic).await;
        }
    });
}

#[test]
fn a_broker_stopped_for_longer_than_the_request_timeout_loses_duplicates_and_reorders_nothing() {
    WORLD.harm(SECONDS(600), async |kafka, harm| {
        let mut dice = Dice::new("a stopped broker");
        // Another handle: its timeouts are for the stopped broker, not for the test's own requests.
        let timeout = lasting(SECONDS(5), 1);
        let hasty = harm.nodes().kafka_with(harm.nodes().options().request_timeout(timeout));
        let mix = mix_of(topic(&kafka, "stopped", PARTITIONS).await);
        let options = ProducerOptions::default().request_timeout(timeout).delivery_timeout(SECONDS(60));
        let load = Load::start(&hasty, &options, &mix, &mut dice);
        load.advance(50, FAILOVER).await;
        let victim = harm.leader(&kafka, &at(&mix.topic, dice.below(PARTITIONS as u64) as i32)).await;
        harm.pause(victim).await;
        let stopped = Instant::now();
        load.advance(50, FAILOVER).await;
        println!("node {victim} stopped; all partitions go on after {:?}", stopped.elapsed());
        tokio::time::sleep(lasting(World::fault_time(), 4).saturating_sub(stopped.elapsed())).await;
        // What lay in its sockets is carried out now, by a leader that is none any more.
        harm.resume(victim).await;
        load.advance(50, FAILOVER).await;
        harm.in_sync(&kafka, &mix.topic).await;
        all_delivered(load, &kafka, &mix.topic).await;
    });
}

/// A handle whose connections go through a proxy, and come back soon.
fn through_proxy(
    nodes: &Nodes,
    dice: &mut Dice,
    choice: impl Fn(&mut Dice) -> Treatment + Send + 'static,
) -> (Kafka, Arc<Proxy>) {
    let proxy = Arc::new(Proxy::new(nodes.dialer(), Dice::seeded(dice.next()), choice));
    let options = nodes.options().reconnect_backoff(MS(1)).reconnect_backoff_max(MS(20));
    (Kafka::with_dialer(options, Arc::clone(&proxy) as Arc<_>).unwrap(), proxy)
}

/// One in four answers never comes; of most of these requests it is certain that they were carried out.
fn cut_often(dice: &mut Dice) -> Treatment {
    match dice.below(12) {
        0 | 1 => Treatment::Lose,
        2 => Treatment::Cut,
        _ => Treatment::Pass,
    }
}

async fn cut(nodes: &Nodes, kafka: &Kafka, options: &ProducerOptions, mix: &Mix, goal: u64, dice: &mut Dice) {
    let (through, proxy) = through_proxy(nodes, dice, cut_often);
    let options = options.clone().retry_backoff(MS(1)).retry_backoff_max(MS(20));
    let (began, load) = (Instant::now(), Load::start(&through, &options, mix, dice));
    within(SECONDS(300), "cutting connections", proxy.until_cut(goal)).await;
    load.advance(5, FAILOVER).await;
    all_delivered(load, kafka, &mix.topic).await;
    println!("{}: {} cuts in {:?}", mix.topic, proxy.cuts(), began.elapsed());
}

#[test]
fn five_hundred_connections_cut_between_request_and_answer_lose_duplicate_and_reorder_nothing() {
    WORLD.peace(SECONDS(500), async |kafka, nodes| {
        let mut dice = Dice::new("500 cuts");
        let mix = mix_of(topic(&kafka, "cut", PARTITIONS).await);
        cut(nodes, &kafka, &ProducerOptions::default(), &mix, 500, &mut dice).await;
    });
}

#[test]
fn connections_cut_under_tiny_batches_of_every_codec_lose_duplicate_and_reorder_nothing() {
    WORLD.peace(SECONDS(500), async |kafka, nodes| {
        let mut dice = Dice::new("cuts under tiny batches");
        let each = CODECS.map(|codec| (codec, Dice::seeded(dice.next())));
        join_all(each.map(async |(codec, mut dice)| {
            let mix = tiny_mix(topic(&kafka, "tiny-cut", PARTITIONS).await);
            cut(nodes, &kafka, &tiny(codec), &mix, 100, &mut dice).await;
        }))
        .await;
    });
}

#[test]
fn answers_that_come_after_the_request_timeout_lose_duplicate_and_reorder_nothing() {
    WORLD.peace(SECONDS(400), async |kafka, nodes| {
        let mut dice = Dice::new("late answers");
        let mix = mix_of(topic(&kafka, "late", PARTITIONS).await);
        let (through, proxy) = through_proxy(nodes, &mut dice, |dice| match dice.below(20) {
            0 => Treatment::Hold(MS(1_100 + dice.below(2_000))),
            _ => Treatment::Pass,
        });
        let options = ProducerOptions::default().request_timeout(SECONDS(1)).delivery_timeout(SECONDS(60));
        let load = Load::start(&through, &options, &mix, &mut dice);
        within(SECONDS(60), "holding answers back", proxy.until_held(12)).await;
        load.advance(20, FAILOVER).await;
        all_delivered(load, &kafka, &mix.topic).await;
    });
}

#[test]
fn answers_that_never_come_in_time_fail_records_at_their_deadline_which_say_that_they_may_be_written() {
    WORLD.peace(SECONDS(400), async |kafka, nodes| {
        let mut dice = Dice::new("answers too late");
        let mix = mix_of(topic(&kafka, "too-late", PARTITIONS).await);
        let late = Arc::new(AtomicBool::new(false));
        let is_late = Arc::clone(&late);
        let (through, _proxy) =
            through_proxy(nodes, &mut dice, move |_| match is_late.load(Ordering::Relaxed) {
                true => Treatment::Hold(SECONDS(30)),
                false => Treatment::Pass,
            });
        let options = ProducerOptions::default().request_timeout(SECONDS(1)).delivery_timeout(SECONDS(3));
        let load = Load::start(&through, &options, &mix, &mut dice);
        load.advance(20, FAILOVER).await;
        late.store(true, Ordering::Relaxed);
        tokio::time::sleep(SECONDS(7)).await;
        late.store(false, Ordering::Relaxed);
        load.advance(100, FAILOVER).await;
        let failures = told_honestly(load, &kafka, &mix.topic).await;
        let written = failures.iter().filter(|(_, error)| error.possibly_written()).count();
        assert!(written > 0, "none of {} failures says that it may be written", failures.len());
        for (id, error) in &failures {
            assert_eq!(error.kind(), ErrorKind::Timeout, "{id}: {error}");
        }
    });
}

/// Moves random partitions to other nodes and leaders.
async fn move_leaders(kafka: &Kafka, nodes: &Nodes, load: &Load, topic: &str, moves: u64, dice: &mut Dice) {
    load.advance(10, FAILOVER).await;
    let began = Instant::now();
    for _ in 0..moves {
        let mut ids = nodes.ids();
        let partition = at(topic, dice.below(PARTITIONS as u64) as i32);
        let leader = kafka.client().topic(topic, Instant::now() + FAILOVER).await.unwrap();
        let leader = leader.partition(partition.partition).and_then(|partition| partition.leader);
        // The new leader is another node; the second replica may be the old one.
        let mut pick = |ids: &mut Vec<i32>| ids.remove(dice.below(ids.len() as u64) as usize);
        ids.retain(|id| Some(*id) != leader);
        let first = pick(&mut ids);
        ids.extend(leader);
        let second = pick(&mut ids);
        move_partition(kafka, &partition, &[first, second]).await;
    }
    load.advance(10, FAILOVER).await;
    println!("{topic}: {moves} moves in {:?}", began.elapsed());
}

#[test]
fn leadership_moved_under_load_loses_duplicates_and_reorders_nothing() {
    WORLD.peace(SECONDS(600), async |kafka, nodes| {
        let mut dice = Dice::new("moves");
        let mix = mix_of(on_two_nodes(&kafka, "moved").await);
        let mover = nodes.kafka();
        let load = Load::start(&kafka, &ProducerOptions::default(), &mix, &mut dice);
        move_leaders(&mover, nodes, &load, &mix.topic, 16, &mut dice).await;
        all_delivered(load, &kafka, &mix.topic).await;
    });
}

#[test]
fn leadership_moved_under_tiny_batches_of_every_codec_loses_duplicates_and_reorders_nothing() {
    WORLD.peace(SECONDS(400), async |kafka, nodes| {
        let mut dice = Dice::new("moves under tiny batches");
        let mover = nodes.kafka();
        let each = CODECS.map(|codec| (codec, Dice::seeded(dice.next())));
        join_all(each.map(async |(codec, mut dice)| {
            let mix = tiny_mix(on_two_nodes(&kafka, "tiny-moved").await);
            let load = Load::start(&kafka, &tiny(codec), &mix, &mut dice);
            move_leaders(&mover, nodes, &load, &mix.topic, 4, &mut dice).await;
            all_delivered(load, &kafka, &mix.topic).await;
        }))
        .await;
    });
}

/// When it was first heard that a record is in each partition, by whether records have keys.
type FirstSeen = BTreeMap<(bool, i32), Instant>;

/// Sends records whose partition the partitioner chooses, until told to stop.
async fn send_anywhere(
    producer: Producer,
    number: u32,
    topic: String,
    keyed: bool,
    stop: watch::Receiver<bool>,
    notes: mpsc::UnboundedSender<(Id, Delivery)>,
) {
    // What waits for its turn would hide where the partitioner puts what comes now.
    let mut pace = tokio::time::interval(MS(60));
    for sequence in 0.. {
        if *stop.borrow() {
            return;
        }
        pace.tick().await;
        let id = Id { producer: number, sequence };
        let (value, key) = (id.payload(100), (sequence % 97).to_string());
        let record = Record::new(&topic).maybe_key(keyed.then_some(key.as_bytes())).value(&value);
        let delivery = producer.send(record).await.unwrap_or_else(|error| panic!("send: {error}"));
        notes.send((id, delivery)).expect("the notes are taken to the end");
    }
}

async fn note_places(
    keyed: bool,
    mut noted: mpsc::UnboundedReceiver<(Id, Delivery)>,
    ledger: Arc<Ledger>,
    seen: Arc<watch::Sender<FirstSeen>>,
) {
    while let Some((id, delivery)) = noted.recv().await {
        let delivery = delivery.await;
        let delivered = delivery.as_ref().unwrap_or_else(|error| panic!("{id}: {error}"));
        let place = (keyed, delivered.partition);
        ledger.delivery(id, at(&delivered.topic, delivered.partition), &delivery);
        seen.send_if_modified(|seen| {
            let is_new = !seen.contains_key(&place);
            seen.entry(place).or_insert_with(Instant::now);
            is_new
        });
    }
}

#[test]
fn partitions_that_a_topic_gets_under_load_are_used_within_the_metadata_age_and_in_order() {
    const BEFORE: i32 = 2;
    const AFTER: i32 = 6;
    const AGE: Duration = Duration::from_secs(3);
    // By then records with keys and without have drawn each of the partitions.
    const DRAWS: Duration = Duration::from_secs(2);
    // Nodes for itself: what other tests do to them would have to be told from what takes too long.
    WORLD.harm(SECONDS(120), async |kafka, harm| {
        let nodes = harm.nodes();
        let user = nodes.kafka_with(nodes.options().metadata_max_age(AGE));
        let topic = topic(&kafka, "grown", BEFORE).await;
        let ledger = Arc::new(Ledger::default());
        let (stop, stopped) = watch::channel(false);
        let (seen, mut sight) = watch::channel(FirstSeen::new());
        let (seen, mut tasks, mut producers) = (Arc::new(seen), Vec::new(), Vec::new());
        // With the first two the partitioner changes partitions batch by batch, with the others key by key.
        let options = ProducerOptions::default().batch_size(150usize);
        for number in 0..4 {
            let producer = user.producer(options.clone()).unwrap();
            let (notes, noted) = mpsc::unbounded_channel();
            let (sender, keyed) = (producer.clone(), number >= 2);
            tasks.push(tokio::spawn(send_anywhere(
                sender,
                number,
                topic.clone(),
                keyed,
                stopped.clone(),
                notes,
            )));
            tasks.push(tokio::spawn(note_places(keyed, noted, Arc::clone(&ledger), Arc::clone(&seen))));
            producers.push(producer);
        }
        let everywhere = |seen: &FirstSeen, count: i32| {
            [false, true]
                .iter()
                .all(|keyed| (0..count).all(|partition| seen.contains_key(&(*keyed, partition))))
        };
        let old = sight.wait_for(|seen| everywhere(seen, BEFORE));
        drop(within(FAILOVER, "using the old partitions", old).await.unwrap());
        // What piled up while they started would come before what is to be seen.
        for producer in &producers {
            within(FAILOVER, "catching up", producer.flush()).await.unwrap();
        }
        grow(&kafka, &topic, AFTER).await;
        let grown = Instant::now();
        let used = async {
            let mut updates = user.client().cluster_updates();
            let heard = updates.wait_for(|cluster| {
                cluster.topic(&topic).is_some_and(|topic| topic.partitions.len() as i32 == AFTER)
            });
            drop(heard.await.unwrap());
            let heard = grown.elapsed();
            drop(sight.wait_for(|seen| everywhere(seen, AFTER)).await.unwrap());
            println!(
                "the new partitions are heard of after {heard:?}, and all in use after {:?}",
                grown.elapsed()
            );
        };
        if tokio::time::timeout(AGE + DRAWS + SLACK, used).await.is_err() {
            let (heard, seen) = (user.client().cluster(), sight.borrow());
            panic!("not all are in use after {:?}: {seen:?}, {:?}", grown.elapsed(), heard.topic(&topic));
        }

        // And who names a partition that nobody told him of waits for it no longer than that.
        grow(&kafka, &topic, AFTER + 1).await;
        let id = Id { producer: 100, sequence: 0 };
        let value = id.payload(100);
        let newest = async {
            producers[0].send(Record::new(&topic).partition(AFTER).value(&value)).await.unwrap().await
        };
        let delivery = within(AGE + SLACK, "using the newest partition", newest).await;
        ledger.delivery(id, at(&topic, AFTER), &delivery);
        delivery.unwrap_or_else(|error| panic!("the newest partition: {error}"));

        stop.send_replace(true);
        for task in tasks {
            within(FAILOVER, "sending the rest", task).await.unwrap();
        }
        println!("{topic}: {} records acknowledged", ledger.acknowledged());
        compare(&ledger, &kafka, &topic).await;
    });
}

#[test]
fn too_few_replicas_for_a_while_delay_the_patient_and_fail_the_hasty_honestly() {
    WORLD.harm(SECONDS(600), async |kafka, harm| {
        let mut dice = Dice::new("too few replicas");
        // All three have to be in sync, so that one that is gone is one too many, and the controllers still agree.
        let strict = async |name| {
            topic_with(&kafka, name, |topic| {
                topic.partitions(PARTITIONS).replication_factor(3).config("min.insync.replicas", "3")
            })
            .await
        };
        let (patient, hasty) = (mix_of(strict("patient").await), mix_of(strict("hasty").await));
        let patient_load = Load::start(&kafka, &ProducerOptions::default(), &patient, &mut dice);
        let short = ProducerOptions::default().request_timeout(SECONDS(1)).delivery_timeout(SECONDS(3));
        let hasty_kafka = harm.nodes().kafka();
        let hasty_load = Load::start(&hasty_kafka, &short, &hasty, &mut dice);
        patient_load.advance(20, FAILOVER).await;
        hasty_load.advance(20, FAILOVER).await;
        let victim = harm.leader(&kafka, &at(&patient.topic, dice.below(PARTITIONS as u64) as i32)).await;
        harm.kill(victim).await;
        // It takes about three seconds until the dead node counts as out of sync.
        tokio::time::sleep(lasting(SECONDS(12), 9)).await;
        harm.start(victim).await;
        patient_load.advance(20, FAILOVER).await;
        hasty_load.advance(20, FAILOVER).await;

        all_delivered(patient_load, &kafka, &patient.topic).await;
        let failures = told_honestly(hasty_load, &kafka, &hasty.topic).await;
        let refused =
            failures.iter().filter(|(_, error)| error.code() == Some(ErrorCode::NOT_ENOUGH_REPLICAS));
        let refused = refused.count();
        assert!(refused > 0, "too few replicas failed none of {} records that failed", failures.len());
        println!("{refused} of {} failed records were refused for lack of replicas", failures.len());
    });
}

#[test]
fn a_record_too_large_for_the_broker_between_good_ones_fails_alone() {
    const LIMIT: usize = 10_000;
    const RECORDS: u64 = 500;
    // Splitting needs a few round trips for each large record, not a wait.
    const PROMPT: Duration = Duration::from_secs(30);
    const MANY: u32 = i32::MAX as u32;
    let cases = [
        (65_536usize, CompressionType::None, MANY),
        (65_536, CompressionType::Lz4, MANY),
        (1, CompressionType::None, MANY),
        (16_384, CompressionType::Zstd, MANY),
        // What is refused for its size alone uses up none of the good ones' tries.
        (65_536, CompressionType::None, 3),
        (16_384, CompressionType::Lz4, 3),
    ];
    WORLD.peace(SECONDS(120), async |kafka, _| {
        let mut dice = Dice::new("too large");
        for (batch, codec, retries) in cases {
            let topic = topic_with(&kafka, "too-large", |topic| {
                topic.partitions(2).config("max.message.bytes", LIMIT.to_string())
            })
            .await;
            let options = ProducerOptions::default()
                .batch_size(batch)
                .compression(codec)
                .linger(MS(20))
                .retries(retries)
                .request_timeout(SECONDS(5))
                .delivery_timeout(PROMPT);
            let producer = kafka.producer(options).unwrap();
            let (ledger, mut deliveries) = (Ledger::default(), Vec::new());
            // A leader that has not heard of a new topic yet says that it does not lead it, which leaves open what it wrote.
            let patient = kafka.producer(ProducerOptions::default()).unwrap();
            for partition in 0..2 {
                let id = Id { producer: 2, sequence: partition };
                let (value, partition) = (id.payload(16), partition as i32);
                let record = Record::new(&topic).partition(partition).value(&value);
                let delivery = patient.send(record).await.unwrap().await;
                assert!(delivery.is_ok(), "{delivery:?}");
                ledger.delivery(id, at(&topic, partition), &delivery);
            }
            let began = Instant::now();
            for sequence in 0..RECORDS {
                let id = Id { producer: 1, sequence };
                let is_large = dice.below(40) == 0 || sequence == 5;
                let len =
                    if is_large { LIMIT as u64 + 100 + dice.below(20_000) } else { 16 + dice.below(900) };
                let (value, partition) = (id.payload(len as usize), dice.below(2) as i32);
                let record = Record::new(&topic).partition(partition).value(&value);
                let delivery = producer.send(record).await.unwrap();
                deliveries.push((id, partition, is_large, delivery));
            }
            let told = deliveries
                .into_iter()
                .map(async |(id, partition, is_large, delivery)| (id, partition, is_large, delivery.await));
            let mut failed = 0;
            for (id, partition, is_large, delivery) in
                within(PROMPT + SLACK, "telling what became of them", join_all(told)).await
            {
                let error = delivery.as_ref().err();
                let kind = error.map(|error| (error.kind(), error.possibly_written()));
                let expected = is_large.then_some((ErrorKind::RecordTooLarge, false));
                assert_eq!(kind, expected, "{id} in batches of {batch}, {codec:?}: {error:?}");
                failed += u32::from(is_large);
                ledger.delivery(id, at(&topic, partition), &delivery);
            }
            let took = began.elapsed();
            println!(
                "{failed} of {RECORDS} were too large, in batches of {batch}, {codec:?}, {retries} retries: {took:?}"
            );
            compare(&ledger, &kafka, &topic).await;
        }
    });
}
