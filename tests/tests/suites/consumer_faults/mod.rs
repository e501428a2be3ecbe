//! The consumer while brokers, networks, administrators and its own application do their worst: no record is lost, none of
//! a revoked partition is handed out, commits are never ahead of processing, each partition is read in order, everything
//! goes on within bounded time, and what is read twice is what could not be committed.
//!
//! Every scenario about groups runs for each of [`PROTOCOLS`] at the same time, beside each other on one topic.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read the clock and panic where they fail"
)]

mod brokers;
mod crowd;
mod member;
mod positions;
mod process;
mod rebalances;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use ottla::consumer::{OffsetReset, Strategy};
use ottla::{ConsumerOptions, Kafka, ProducerOptions};
use ottla_tests::broker::{Dice, Load, Mix, Nodes, World, topic};

use super::WORLD;
use member::{Crew, Member, Repeated};

const MS: fn(u64) -> Duration = Duration::from_millis;
const SECONDS: fn(u64) -> Duration = Duration::from_secs;

/// Far more than a rebalance takes on a busy machine, and less than the session timeout of members that shall not notice
/// anything.
const PROMPT: Duration = Duration::from_secs(20);

/// How long things may be held up when brokers fail.
const PATIENT: Duration = Duration::from_secs(45);

/// For members that must not be taken for dead.
const LONG_SESSION: Duration = Duration::from_secs(30);

/// For members that shall be taken for dead soon.
const SHORT_SESSION: Duration = Duration::from_secs(3);

/// After how long a member of the consumer protocol counts as dead: the clusters' own setting.
const CONSUMER_SESSION: Duration = Duration::from_secs(8);

/// How a group agrees on who reads what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// The members' leader assigns, by this strategy.
    Classic(Strategy),
    /// The coordinator assigns. (KIP-848)
    Consumer,
}

/// What every scenario about groups runs with.
const PROTOCOLS: &[Protocol] =
    &[Protocol::Classic(Strategy::Range), Protocol::Classic(Strategy::CooperativeSticky), Protocol::Consumer];

impl Protocol {
    /// After how long without a heartbeat a member that asks for `session` counts as dead.
    fn session(self, session: Duration) -> Duration {
        match self {
            Protocol::Classic(_) => session,
            Protocol::Consumer => CONSUMER_SESSION,
        }
    }
}

/// The options of a member of `group` that commits by itself.
fn options(protocol: Protocol, group: &str, session: Duration) -> ConsumerOptions {
    let common = ConsumerOptions::default()
        .group_id(group)
        .auto_offset_reset(OffsetReset::Earliest)
        .enable_auto_commit(false)
        .auto_commit_interval(MS(200))
        .fetch_max_wait(MS(250));
    match protocol {
        Protocol::Classic(strategy) => common
            .partition_assignment_strategy(vec![strategy])
            .session_timeout(session)
            .heartbeat_interval(MS(300)),
        Protocol::Consumer => {
            let mut common = common;
            common.set("group.protocol", "consumer").expect("an option of the consumer");
            common
        }
    }
}

/// How long something goes on: not so long where nodes come back at once.
fn lasting(mock: u64) -> Duration {
    match WORLD {
        World::Real => World::fault_time(),
        World::Mock => SECONDS(mock),
    }
}

/// Begins to write to a topic of its own.
async fn load(kafka: &Kafka, name: &str, partitions: i32, dice: &mut Dice) -> (Load, String) {
    let topic = topic(kafka, name, partitions).await;
    let mix = Mix { topic: topic.clone(), partitions, tasks: 1, largest: 100 };
    // As the handle itself, which for some is in a hurry.
    let options =
        ProducerOptions::default().request_timeout(kafka.client().options().values().request_timeout);
    (Load::start(kafka, &options, &mix, dice), topic)
}

/// What a scenario of one protocol has.
struct Stage<'a> {
    kafka: &'a Kafka,
    nodes: &'a Nodes,
    crew: Crew,
    dice: Dice,
}

impl Stage<'_> {
    fn member(&self, kafka: &Kafka, session: Duration) -> Member {
        self.crew.member(kafka, options(self.crew.protocol, &self.crew.group, session), self.crew.habits())
    }
}

/// Runs `act` with a crew of each protocol, all of which read what one load writes. Then the load ends, the members that
/// are left read the rest and end, and what all of them did is audited. Gives back how often what was read again.
async fn with_crews(
    kafka: &Kafka,
    nodes: &Nodes,
    name: &str,
    partitions: i32,
    act: impl AsyncFn(&mut Stage<'_>) -> Vec<Member>,
) -> Vec<Repeated> {
    let mut dice = Dice::new(name);
    let (load, topic) = load(kafka, name, partitions, &mut dice).await;
    let mut stages: Vec<Stage<'_>> = Vec::new();
    for protocol in PROTOCOLS {
        let crew = Crew::start(nodes, *protocol, &topic, partitions, dice.next()).await;
        stages.push(Stage { kafka, nodes, crew, dice: Dice::seeded(dice.next()) });
    }
    let left = join_all(stages.iter_mut().map(|stage| act(stage))).await;
    let crews: Vec<Crew> = stages.into_iter().map(|stage| stage.crew).collect();
    let (ledger, failures) = load.finish(PATIENT).await;
    assert!(failures.is_empty(), "{} records failed, the first with {}", failures.len(), failures[0].1);
    let ends = crews.into_iter().zip(left).map(|(crew, left)| crew.settle(Arc::clone(&ledger), left));
    join_all(ends).await
}
