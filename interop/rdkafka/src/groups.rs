//! Groups of two: partitions are shared, moved on rebalances and taken up where they were committed. Every record is read
//! exactly once, because a member commits what it has read before it gives partitions up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;

use crate::target::{Outcome, PATIENCE, Target, Writer, ensure, same};

const PARTITIONS: i32 = 6;

pub fn range(target: &Target) -> Outcome {
    share(target, "range", &classic("range"))
}

pub fn cooperative(target: &Target) -> Outcome {
    share(target, "cooperative", &classic("cooperative-sticky"))
}

pub fn consumer(target: &Target) -> Outcome {
    share(target, "consumer", &next("uniform"))?;
    share(target, "consumer-range", &next("range"))
}

pub fn consumer_static(target: &Target) -> Outcome {
    let group = Group::new(target, "consumer-static", &next("uniform"))?;
    let mut seen = Seen::default();
    let (a, b) = come_back(&group, &mut seen)?;
    // It is the newcomer who is refused, for the instance is in use.
    let newcomer = group.member(Some("two"))?;
    refused(&newcomer, RDKafkaErrorCode::UnreleasedInstanceId, &[&a, &b], &mut seen)?;
    let (a_done, b_done) = (a.leave(), b.leave());
    a_done.and(b_done)
}

pub fn consumer_regex(target: &Target) -> Outcome {
    let one = Group::new(target, "consumer-regex-one", &next("uniform"))?;
    let two = Group::new(target, "consumer-regex-two", &[])?;
    let other = Group::new(target, "consumer-other", &[])?;
    for group in [&one, &two, &other] {
        group.write(60)?;
    }
    // The cluster looks for topics, not the client.
    let member = one.subscriber(None, "^rdkafka-consumer-regex-(one|two)-.*")?;
    let mut seen = Seen::default();
    // Both topics have the same partitions, so each place is read twice.
    seen.pump(&[&member], "all records are read", |seen| Ok(seen.0.values().sum::<usize>() >= 120))?;
    let topics: BTreeSet<String> =
        member.consumer.assignment()?.elements().iter().map(|one| one.topic().to_owned()).collect();
    same("the topics found", topics, BTreeSet::from([one.topic.clone(), two.topic.clone()]))?;
    member.leave()
}

fn next(assignor: &'static str) -> [(&'static str, &'static str); 2] {
    [("group.protocol", "consumer"), ("group.remote.assignor", assignor)]
}

fn classic(strategy: &'static str) -> [(&'static str, &'static str); 3] {
    [
        ("partition.assignment.strategy", strategy),
        ("session.timeout.ms", "10000"),
        ("heartbeat.interval.ms", "300"),
    ]
}

fn share(target: &Target, what: &str, settings: &[(&str, &str)]) -> Outcome {
    let group = Group::new(target, what, settings)?;
    let mut seen = Seen::default();
    group.write(180)?;
    let a = group.member(None)?;
    seen.pump(&[&a], "the first member has everything", |seen| {
        Ok(a.owned()?.len() == 6 && seen.0.len() > 30)
    })?;
    let b = group.member(None)?;
    seen.pump(&[&a, &b], "both members have half", |_| Ok(a.owned()?.len() == 3 && b.owned()?.len() == 3))?;
    let all: BTreeSet<i32> = a.owned()?.union(&b.owned()?).copied().collect();
    same("the partitions of both", all.len(), 6)?;
    seen.pump(&[&a, &b], "all records are read", |seen| Ok(seen.0.len() == 180))?;
    group.write(60)?;
    seen.pump(&[&a, &b], "later records are read", |seen| Ok(seen.0.len() == 240))?;
    // A member that leaves commits first, as one that gives partitions up does.
    b.leave()?;
    seen.pump(&[&a], "the one who stays has everything", |_| Ok(a.owned()?.len() == 6))?;
    group.write(60)?;
    seen.pump(&[&a], "the one who stays reads all", |seen| Ok(seen.0.len() == 300))?;
    a.leave()?;
    group.write(60)?;
    let c = group.member(None)?;
    seen.pump(&[&c], "a new member goes on", |seen| Ok(seen.0.len() >= 360))?;
    c.leave()?;
    let again: Vec<_> = seen.0.iter().filter(|(_, times)| **times != 1).collect();
    ensure(again.is_empty(), || format!("read more than once: {again:?}"))
}

pub fn static_members(target: &Target) -> Outcome {
    let group = Group::new(target, "static", &classic("range"))?;
    let mut seen = Seen::default();
    let (a, b) = come_back(&group, &mut seen)?;
    let successor = group.member(Some("two"))?;
    refused(&b, RDKafkaErrorCode::FencedInstanceId, &[&successor], &mut seen)?;
    let (a_done, c_done) = (a.leave(), successor.leave());
    a_done.and(c_done)
}

/// A static member that ends does not leave: when it is back, it has what it had and the other has noticed nothing.
fn come_back(group: &Group<'_>, seen: &mut Seen) -> Outcome<(Member, Member)> {
    group.write(60)?;
    let (a, b) = (group.member(Some("one"))?, group.member(Some("two"))?);
    let half = |_: &Seen| Ok(a.owned()?.len() == 3 && b.owned()?.len() == 3);
    seen.pump(&[&a, &b], "both members have half", half)?;
    seen.pump(&[&a, &b], "all records are read", |seen| Ok(seen.0.len() == 60))?;
    let (owned, rebalances) = (b.owned()?, a.rebalances());
    b.leave()?;
    let b = group.member(Some("two"))?;
    seen.pump(&[&a, &b], "the member is back with what it had", |_| Ok(b.owned()? == owned))?;
    group.write(60)?;
    seen.pump(&[&a, &b], "later records are read", |seen| Ok(seen.0.len() == 120))?;
    same("rebalances of the other since", a.rebalances() - rebalances, 0)?;
    Ok((a, b))
}

/// Lets all work until one of them gets this error.
fn refused(member: &Member, code: RDKafkaErrorCode, others: &[&Member], seen: &mut Seen) -> Outcome {
    let end = Instant::now() + PATIENCE;
    loop {
        ensure(Instant::now() < end, || format!("nobody got {code:?}"))?;
        for other in others {
            seen.poll(other)?;
        }
        match member.consumer.poll(Duration::from_millis(20)) {
            Some(Err(error)) if is(&error, code) => return Ok(()),
            Some(Err(error)) => log::warn!("{error}"),
            Some(Ok(_)) | None => {}
        }
    }
}

/// A topic and the group that reads it.
struct Group<'a> {
    target: &'a Target,
    topic: String,
    name: String,
    writer: Writer,
    settings: Vec<(&'a str, &'a str)>,
}

impl<'a> Group<'a> {
    fn new(target: &'a Target, what: &str, settings: &[(&'a str, &'a str)]) -> Outcome<Group<'a>> {
        let topic = target.create(what, PARTITIONS)?;
        let writer = target.writer(&[("enable.idempotence", "true")])?;
        Ok(Group { target, topic, name: target.name(what), writer, settings: settings.to_vec() })
    }

    fn write(&self, count: i32) -> Outcome {
        self.writer.send_texts(&self.topic, PARTITIONS, "text", count)?;
        self.writer.finish().map(drop)
    }

    fn member(&self, instance: Option<&str>) -> Outcome<Member> {
        self.subscriber(instance, &self.topic)
    }

    fn subscriber(&self, instance: Option<&str>, topic: &str) -> Outcome<Member> {
        let mut config = self.target.config(&self.settings);
        config
            .set("group.id", &self.name)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest");
        if let Some(instance) = instance {
            config.set("group.instance.id", instance);
        }
        let consumer: BaseConsumer<Ownership> = config.create_with_context(Ownership::default())?;
        consumer.subscribe(&[topic])?;
        Ok(Member { consumer })
    }
}

struct Member {
    consumer: BaseConsumer<Ownership>,
}

impl Member {
    fn owned(&self) -> Outcome<BTreeSet<i32>> {
        Ok(self.consumer.assignment()?.elements().iter().map(|one| one.partition()).collect())
    }

    fn rebalances(&self) -> usize {
        *self.consumer.context().rebalances.lock().unwrap()
    }

    fn leave(self) -> Outcome {
        let context = self.consumer.context().clone();
        drop(self.consumer);
        context.check()
    }
}

/// Counts rebalances, and commits before partitions go.
#[derive(Default)]
struct Ownership {
    rebalances: Mutex<usize>,
    failed: Mutex<Option<KafkaError>>,
}

impl Ownership {
    fn check(&self) -> Outcome {
        match self.failed.lock().unwrap().take() {
            Some(error) => Err(format!("committing before partitions go: {error}").into()),
            None => Ok(()),
        }
    }
}

impl ClientContext for Ownership {}

impl ConsumerContext for Ownership {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        log::info!("rebalance: {rebalance:?}");
        *self.rebalances.lock().unwrap() += 1;
        if matches!(rebalance, Rebalance::Revoke(_))
            && let Err(error) = consumer.commit_consumer_state(CommitMode::Sync)
            && !is(&error, RDKafkaErrorCode::NoOffset)
        {
            *self.failed.lock().unwrap() = Some(error);
        }
    }
}

/// How often each record was read.
#[derive(Default)]
struct Seen(BTreeMap<(i32, i64), usize>);

impl Seen {
    /// Lets all members work until `done` says so.
    fn pump(&mut self, members: &[&Member], what: &str, done: impl Fn(&Seen) -> Outcome<bool>) -> Outcome {
        let end = Instant::now() + PATIENCE;
        while !done(self)? {
            if Instant::now() > end {
                let owned: Vec<_> = members.iter().map(|member| member.owned()).collect();
                return Err(format!(
                    "not within {PATIENCE:?}: {what}; {} read, owned {owned:?}",
                    self.0.len()
                )
                .into());
            }
            for member in members {
                self.poll(member)?;
            }
        }
        Ok(())
    }

    fn poll(&mut self, member: &Member) -> Outcome {
        if let Some(message) = member.consumer.poll(Duration::from_millis(5)) {
            let message = message?;
            *self.0.entry((message.partition(), message.offset())).or_default() += 1;
        }
        member.consumer.context().check()
    }
}

fn is(error: &KafkaError, code: RDKafkaErrorCode) -> bool {
    error.rdkafka_error_code() == Some(code)
}
