//! Administrators who give topics more partitions, or delete and create them again, while they are read.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use ottla::consumer::Start;
use ottla::{ConsumerOptions, Kafka, NewTopic, ProducerOptions, Record, TopicPartition};
use ottla_tests::broker::{Dice, Id, Ledger, Nodes, grow, partitions_of, topic, unique};

use super::member::{Crew, Habits};
use super::{LONG_SESSION, MS, PATIENT, PROMPT, PROTOCOLS, Protocol, SECONDS, WORLD, load, options};

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}

/// Sends records with numbers of `sender` from 0, in turn to these partitions; all have to be acknowledged.
async fn send(kafka: &Kafka, ledger: &Ledger, sender: u32, topic: &str, partitions: &[i32], count: u64) {
    let producer = kafka.producer(ProducerOptions::default()).unwrap();
    let mut deliveries = Vec::new();
    for (sequence, partition) in (0..count).zip(partitions.iter().copied().cycle()) {
        let id = Id { producer: sender, sequence };
        let value = id.payload(50);
        let delivery = producer.send(Record::new(topic).partition(partition).value(&value)).await.unwrap();
        deliveries.push((id, at(topic, partition), delivery));
    }
    for (id, partition, delivery) in deliveries {
        let delivery = delivery.await;
        ledger.delivery(id, partition, &delivery);
        delivery.unwrap_or_else(|error| panic!("{id}: {error}"));
    }
}

#[test]
fn partitions_that_a_topic_gets_are_read_from_their_first_record() {
    const BEFORE: i32 = 2;
    const AFTER: i32 = 6;
    WORLD.peace(SECONDS(90), async |kafka, nodes| {
        let mut dice = Dice::new("more partitions");
        let user = nodes.kafka_with(nodes.options().metadata_max_age(SECONDS(1)));
        let slow = nodes.kafka();
        let (load, topic) = load(&kafka, "grown", BEFORE, &mut dice).await;
        let (mut crews, mut members) = (Vec::new(), Vec::new());
        for protocol in PROTOCOLS {
            let mut crew = Crew::unwatched(*protocol, &[&topic], BEFORE as usize, dice.next());
            let join = |kafka: &Kafka| {
                crew.member(kafka, options(*protocol, &crew.group, LONG_SESSION), crew.habits())
            };
            // To the second one, partitions are assigned that its metadata does not know yet.
            let both = [join(&user), join(&slow)];
            crew.balanced(PROMPT, &both.each_ref()).await;
            crew.grown(AFTER as usize);
            crews.push(crew);
            members.push(both);
        }
        grow(&kafka, &topic, AFTER).await;
        let grown = Instant::now();
        // Before anybody reads the new partitions.
        send(&kafka, load.ledger(), 100, &topic, &[2, 3, 4, 5], 200).await;
        for (crew, members) in crews.iter().zip(&members) {
            crew.balanced(PROMPT, &members.each_ref()).await;
            println!("{:?}: the new partitions are assigned after {:?}", crew.protocol, grown.elapsed());
        }
        let (ledger, failures) = load.finish(PATIENT).await;
        assert!(failures.is_empty(), "{failures:?}");
        let ends = crews
            .into_iter()
            .zip(members)
            .map(|(crew, members)| crew.settle(Arc::clone(&ledger), Vec::from(members)));
        for repeated in join_all(ends).await {
            assert!(repeated.is_empty(), "{repeated:?}");
        }
    });
}

/// Deletes a topic and creates it again, with two partitions, as soon as the cluster lets it.
async fn recreate(kafka: &Kafka, topic: &str) {
    kafka.delete_topic(topic).await.unwrap_or_else(|error| panic!("{topic}: {error}"));
    let deadline = Instant::now() + PATIENT;
    while let Err(error) = kafka.create_topic(NewTopic::new(topic).partitions(2)).await {
        assert!(Instant::now() < deadline, "{topic}: {error}");
        tokio::time::sleep(MS(100)).await;
    }
}

/// The values of a topic's second life, which is longer than the first.
const SECOND_LIFE: u64 = 400;

#[test]
fn a_group_reads_a_topic_that_was_deleted_and_created_again_from_its_start_and_others_all_the_time() {
    WORLD.peace(SECONDS(120), async |kafka, nodes| {
        join_all(PROTOCOLS.iter().map(|protocol| group_of_recreated(&kafka, nodes, *protocol))).await;
    });
}

async fn group_of_recreated(kafka: &Kafka, nodes: &Nodes, protocol: Protocol) {
    let user = nodes.kafka_with(nodes.options().metadata_max_age(SECONDS(1)));
    let doomed = topic(kafka, "doomed", 2).await;
    let stays = topic(kafka, "stays", 2).await;
    let ledger = Ledger::default();
    send(kafka, &ledger, 1, &stays, &[0, 1], 100).await;
    send(kafka, &ledger, 2, &doomed, &[0, 1], 100).await;
    let crew = Crew::unwatched(protocol, &[&doomed, &stays], 4, 1);
    // That a topic is gone is told to the application, by its reads and by commits.
    let habits = Habits { automatic: true, work: MS(5), tolerant: true };
    let join = || crew.member(&user, options(protocol, &crew.group, LONG_SESSION), habits);
    let members = [join(), join()];
    crew.caught_up(PROMPT, &ledger, &members.each_ref()).await;
    recreate(kafka, &doomed).await;
    send(kafka, &ledger, 3, &stays, &[0, 1], 100).await;
    let second = Ledger::default();
    send(kafka, &second, 4, &doomed, &[0, 1], SECOND_LIFE).await;
    let (began, goal) = (Instant::now(), 300 + SECOND_LIFE as usize);
    let read = || crew.journal.handed_out_values() >= goal;
    crew.until("the new topic is read from its start", PROMPT, &members.each_ref(), read).await;
    println!("{protocol:?}: read after {:?}; {:?}", began.elapsed(), members[0].view().errors);
    join_all(members.into_iter().map(super::member::Member::close)).await;
}

#[test]
fn an_assigned_topic_that_was_deleted_and_created_again_is_read_from_its_start() {
    WORLD.peace(SECONDS(90), async |kafka, nodes| {
        let user = nodes.kafka_with(nodes.options().metadata_max_age(SECONDS(1)));
        let doomed = topic(&kafka, &unique("doomed"), 2).await;
        send(&kafka, &Ledger::default(), 1, &doomed, &[0, 1], 100).await;
        let options = ConsumerOptions::default().auto_offset_reset(ottla::consumer::OffsetReset::Earliest);
        let mut consumer = user.consumer(options).unwrap();
        let starts = partitions_of(&kafka, &doomed).await.into_iter();
        consumer.assign(starts.map(|partition| (partition, Start::Earliest))).unwrap();
        let (mut found, mut errors) = (BTreeSet::new(), Vec::new());
        let mut read = async |goal: usize| {
            let deadline = Instant::now() + PATIENT;
            while found.len() < goal {
                assert!(Instant::now() < deadline, "{} of {goal} came; {errors:?}", found.len());
                match consumer.poll(MS(200)).await {
                    Ok(records) => {
                        let ids = records.iter().map(|record| Id::parse(record.value().unwrap()).unwrap());
                        found.extend(ids);
                    }
                    Err(error) => errors.push(error.to_string()),
                }
            }
        };
        read(100).await;
        recreate(&kafka, &doomed).await;
        send(&kafka, &Ledger::default(), 2, &doomed, &[0, 1], SECOND_LIFE).await;
        let began = Instant::now();
        read(100 + SECOND_LIFE as usize).await;
        println!("read after {:?}; {errors:?}", began.elapsed());
    });
}
