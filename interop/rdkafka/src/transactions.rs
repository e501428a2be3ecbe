//! Transactions: what is committed is read, what is aborted is not; offsets go with them; an older producer is fenced.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::Producer;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::target::{Outcome, PATIENCE, Record, Target, Writer, ensure, eventually, same};

pub fn commit_and_abort(target: &Target) -> Outcome {
    let partitions = 3;
    let topic = target.create("transactions", partitions)?;
    let writer = transactional(target, "transactions")?;
    for (what, commit) in [("one", true), ("two", false), ("three", true), ("four", false), ("five", true)] {
        writer.producer.begin_transaction()?;
        writer.send_texts(&topic, partitions, what, 30)?;
        end(&writer, commit)?;
    }
    same(
        "records read committed",
        words(&target.read(&topic, partitions, "read_committed")?),
        counted(&[("one", 30), ("three", 30), ("five", 30)]),
    )?;
    same(
        "records read uncommitted",
        words(&target.read(&topic, partitions, "read_uncommitted")?),
        counted(&[("one", 30), ("two", 30), ("three", 30), ("four", 30), ("five", 30)]),
    )?;

    writer.producer.begin_transaction()?;
    writer.send_texts(&topic, partitions, "six", 30)?;
    writer.producer.flush(PATIENCE)?;
    let seen = words(&target.read(&topic, partitions, "read_committed")?);
    ensure(!seen.contains_key("six"), || "an open transaction was read".to_owned())?;
    writer.producer.commit_transaction(PATIENCE)?;
    let seen = words(&target.read(&topic, partitions, "read_committed")?);
    same("records read after the last commit", seen.get("six").copied(), Some(30))
}

pub fn offsets(target: &Target) -> Outcome {
    let (input, output) = (target.create("input", 1)?, target.create("output", 1)?);
    let group = target.name("transaction-offsets");
    let source = target.writer(&[])?;
    source.send_texts(&input, 1, "in", 20)?;
    source.finish()?;
    let consumer = member(target, &group)?;
    consumer.subscribe(&[&input])?;
    same("records read", read(&consumer, 20)?, 20)?;
    let writer = transactional(target, "transaction-offsets")?;
    let membership = || consumer.group_metadata().ok_or("the consumer has no group metadata");
    for (what, commit) in [("aborted", false), ("committed", true)] {
        writer.producer.begin_transaction()?;
        writer.send_texts(&output, 1, what, 20)?;
        writer.producer.send_offsets_to_transaction(&consumer.position()?, &membership()?, PATIENCE)?;
        end(&writer, commit)?;
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&input, 0);
        let expected = if commit { Offset::Offset(20) } else { Offset::Invalid };
        let mut last = None;
        eventually("the offset is what the transaction made of it", || {
            let found = consumer.committed_offsets(asked.clone(), PATIENCE)?;
            last = found.elements().first().map(|one| one.offset());
            Ok(last == Some(expected))
        })
        .map_err(|error| format!("{error}; it is {last:?}"))?;
    }
    drop(consumer);
    source.send_texts(&input, 1, "more", 1)?;
    source.finish()?;
    let next = member(target, &group)?;
    next.subscribe(&[&input])?;
    let end = Instant::now() + PATIENCE;
    loop {
        ensure(Instant::now() < end, || "the group's next member read nothing".to_owned())?;
        if let Some(message) = next.poll(Duration::from_millis(100)) {
            same("the next member's first record", message?.payload().unwrap_or_default(), b"more 0")?;
            break;
        }
    }
    same(
        "records of the output",
        words(&target.read(&output, 1, "read_committed")?),
        counted(&[("committed", 20)]),
    )
}

pub fn fencing(target: &Target) -> Outcome {
    let topic = target.create("fencing", 1)?;
    let first = transactional(target, "fencing")?;
    first.producer.begin_transaction()?;
    first.send_texts(&topic, 1, "first", 10)?;
    first.producer.flush(PATIENCE)?;
    // The cluster aborts what the first has begun.
    let second = transactional(target, "fencing")?;
    second.producer.begin_transaction()?;
    second.send_texts(&topic, 1, "second", 10)?;
    let refused = first
        .send_texts(&topic, 1, "late", 10)
        .and_then(|()| Ok(first.producer.commit_transaction(PATIENCE)?));
    let Err(error) = refused else { return Err("a fenced producer could commit".into()) };
    let code = error.downcast_ref::<KafkaError>().and_then(KafkaError::rdkafka_error_code);
    let fenced = [RDKafkaErrorCode::Fenced, RDKafkaErrorCode::Fatal, RDKafkaErrorCode::InvalidProducerEpoch];
    ensure(code.is_some_and(|code| fenced.contains(&code)), || format!("the fenced producer got: {error}"))?;
    second.producer.commit_transaction(PATIENCE)?;
    same("records read", words(&target.read(&topic, 1, "read_committed")?), counted(&[("second", 10)]))
}

fn transactional(target: &Target, what: &str) -> Outcome<Writer> {
    let id = target.name(what);
    let writer = target.writer(&[("transactional.id", &id), ("transaction.timeout.ms", "60000")])?;
    writer.producer.init_transactions(PATIENCE)?;
    Ok(writer)
}

fn end(writer: &Writer, commit: bool) -> Outcome {
    // What was not sent yet would not be there to be aborted; and it polls, as the end needs somebody to do.
    writer.producer.flush(PATIENCE)?;
    if commit {
        writer.producer.commit_transaction(PATIENCE)?;
    } else {
        writer.producer.abort_transaction(PATIENCE)?;
    }
    Ok(())
}

fn member(target: &Target, group: &str) -> Outcome<BaseConsumer> {
    let settings = [
        ("group.id", group),
        ("enable.auto.commit", "false"),
        ("auto.offset.reset", "earliest"),
        ("isolation.level", "read_committed"),
        ("session.timeout.ms", "6000"),
        ("heartbeat.interval.ms", "500"),
    ];
    Ok(target.config(&settings).create()?)
}

fn read(consumer: &BaseConsumer, count: usize) -> Outcome<usize> {
    let (mut seen, end) = (0, Instant::now() + PATIENCE);
    while seen < count && Instant::now() < end {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            message?;
            seen += 1;
        }
    }
    Ok(seen)
}

/// How many records begin with each word.
fn words(found: &BTreeMap<i32, Vec<Record>>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in found.values().flatten() {
        let text = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
        *counts.entry(text.split(' ').next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    counts
}

fn counted(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect()
}
