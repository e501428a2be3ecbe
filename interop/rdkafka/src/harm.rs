//! Brokers die, stop and come back: nothing is lost, doubled or out of order.
//!
//! The harm itself is done by whoever started us: a line `harm kill 2` on stdout asks for it, `done` on stdin says that
//! it has happened.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;

use crate::target::{Outcome, PATIENCE, Target, ensure, eventually, same};

pub fn produce(target: &Target) -> Outcome {
    let partitions = 3;
    let topic = target.create("broker-loss", partitions)?;
    let writer = target.writer(&[("enable.idempotence", "true"), ("linger.ms", "1")])?;
    for harm in ["kill 2", "restart 2", "stop 1", "restart 1", "kill 3", "restart 3"] {
        for n in 0..50 {
            writer.send_texts(&topic, partitions, &format!("{harm} {n}"), 6)?;
            // A few at a time, so that requests are under way when it happens.
            writer.producer.poll(Duration::from_millis(1));
        }
        if harm.starts_with("restart") {
            // The others are good enough.
            writer.finish()?;
        }
        ask(harm)?;
    }
    writer.send_texts(&topic, partitions, "after", 60)?;
    let expected = writer.finish()?;
    let found = target.read(&topic, partitions, "read_committed")?;
    for partition in 0..partitions {
        let values = |records: &[crate::target::Record]| -> Vec<Option<Vec<u8>>> {
            records.iter().map(|record| record.value.clone()).collect()
        };
        let (found, expected) = (values(&found[&partition]), values(&expected[&partition]));
        same("records in a partition", found.len(), expected.len())?;
        ensure(found == expected, || format!("records of partition {partition} are out of order"))?;
    }
    Ok(())
}

pub fn group(target: &Target) -> Outcome {
    let partitions = 3;
    let topic = target.create("broker-loss-group", partitions)?;
    let group = target.name("broker-loss-group");
    let consumer: BaseConsumer = target
        .config(&[
            ("group.id", &group),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
            ("session.timeout.ms", "10000"),
            ("heartbeat.interval.ms", "500"),
        ])
        .create()?;
    consumer.subscribe(&[&topic])?;
    let mut seen: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut total = 0;
    for harm in ["kill 1", "restart 1", "kill 2", "restart 2", "stop 3", "restart 3"] {
        let writer = target.writer(&[("enable.idempotence", "true")])?;
        writer.send_texts(&topic, partitions, harm, 30)?;
        writer.finish()?;
        total += 30;
        let end = Instant::now() + 2 * PATIENCE;
        while seen.len() < total {
            ensure(Instant::now() < end, || format!("{} of {total} records read at `{harm}`", seen.len()))?;
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                *seen.entry(message.payload().unwrap_or_default().to_vec()).or_default() += 1;
            }
        }
        eventually("the positions are committed", || {
            // Serves rebalances, should there be one.
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(10)) {
                *seen.entry(message.payload().unwrap_or_default().to_vec()).or_default() += 1;
            }
            consumer.commit(&consumer.position()?, CommitMode::Sync)?;
            let committed = consumer.committed(PATIENCE)?;
            let sum: i64 = committed.elements().iter().filter_map(|one| one.offset().to_raw()).sum();
            Ok(sum == total as i64)
        })?;
        ask(harm)?;
    }
    same("different records", seen.len(), total)
}

fn ask(harm: &str) -> Outcome {
    println!("harm {harm}");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    same("the answer to harm", answer.trim(), "done")
}
