//! The course of a run.

#![allow(unexpected_cfgs, reason = "tokio's own flag, which names no feature of this crate")]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ottla_client::{Client, ClientOptions};
use ottla_consumer::{Consumer, ConsumerOptions};
use ottla_mock::history::{Event, FinalLog, History, Limits, Violation};
use ottla_mock::{ClusterOptions, Mock};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::pipes::Pipes;
use crate::plan::{GROUP, Plan};
use crate::producing::Producing;
use crate::reading::{GROUP_CIRCLE, Reading, name};
use crate::recorder::Recorder;
use crate::saboteur::sabotage;

/// What the clocks of all runs show when they begin, in milliseconds since 1970.
const EPOCH_MS: i64 = 1_750_000_000_000;

/// How long everything may take by virtual time, once the cluster is calm.
const DRAIN: Duration = Duration::from_secs(300);

/// What the lone reader is called.
const LONE: u32 = 1_000;

const LIMITS: Limits = Limits {
    outcome: Duration::from_secs(125),
    commit: Duration::from_secs(25),
    delivery: Duration::from_secs(120),
    expulsion: Duration::from_secs(60),
};

/// What a run came to. It prints as the violations, the plan and the whole history.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What was run.
    pub plan: Plan,
    /// What happened.
    pub history: History,
    /// What was wrong with it.
    pub violations: Vec<Violation>,
    /// What kept the run itself from being judged: a task that panicked, a log that cannot be read.
    pub failure: Option<String>,
}

impl Outcome {
    /// Whether nothing was wrong.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty() && self.failure.is_none()
    }
}

/// Runs a seed.
pub fn run(seed: u64) -> Outcome {
    run_plan(Plan::of(seed))
}

/// Runs a plan on a runtime of its own, on this thread.
///
/// # Panics
/// Within a tokio runtime.
pub fn run_plan(plan: Plan) -> Outcome {
    // The clients' own chance: jitter of backoffs, which broker to ask first.
    fastrand::seed(plan.seed);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    // Without it, tokio itself draws lots: which branch of a `select!` comes first.
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&plan.seed.to_be_bytes()));
    let runtime = match builder.enable_time().start_paused(true).build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(plan, History::new(), format!("no runtime: {error}")),
    };
    runtime.block_on(course(plan))
}

fn failed(plan: Plan, history: History, failure: String) -> Outcome {
    Outcome { plan, history, violations: Vec::new(), failure: Some(failure) }
}

async fn course(plan: Plan) -> Outcome {
    let recorder = Recorder::start();
    let mock = match Mock::start(cluster(&plan)) {
        Ok(mock) => mock,
        Err(error) => return failed(plan, History::new(), error.to_string()),
    };
    let failure = perform(&plan, &mock, &recorder).await.err();
    recorder.note(Event::Finished);
    match recorder.history(&mock, &plan.places()) {
        Ok(history) => {
            let violations = history.check(&LIMITS);
            Outcome { plan, history, violations, failure }
        }
        Err(error) => failed(plan, History::new(), error.to_string()),
    }
}

fn cluster(plan: &Plan) -> ClusterOptions {
    let options = ClusterOptions::new()
        .brokers(plan.brokers)
        .release(plan.release)
        .seed(plan.seed)
        .epoch_ms(EPOCH_MS)
        .replication_lag(plan.lag)
        .config("group.initial.rebalance.delay.ms", "100")
        .config("auto.create.topics.enable", "false");
    let topics = plan.topics().iter().zip(&plan.partitions);
    topics.fold(options, |options, (topic, partitions)| options.topic(*topic, *partitions, plan.replication))
}

/// Lets everybody work, and waits until all is done.
async fn perform(plan: &Plan, mock: &Mock, recorder: &Recorder) -> Result<(), String> {
    let clients = Clients::new(plan, mock)?;
    let topics: Vec<Arc<str>> = plan.topics().iter().map(|topic| (*topic).into()).collect();
    let (stop, stopped) = watch::channel(false);
    let mut readers = JoinSet::new();
    for (number, member) in (0..).zip(&plan.members) {
        let reading = Reading { number, topics: topics.clone(), stop: stopped.clone() };
        readers.spawn(reading.in_group(member.clone(), clients.next()?, recorder.clone()));
    }
    if plan.lone_reader {
        let reading = Reading { number: LONE, topics, stop: stopped };
        readers.spawn(reading.alone(plan.places(), clients.next()?, recorder.clone()));
    }
    let mut producers = JoinSet::new();
    for (number, producer) in (0..).zip(&plan.producers) {
        let producing =
            Producing { number, plan: producer.clone(), places: plan.places(), epoch_ms: EPOCH_MS };
        producers.spawn(producing.run(clients.next()?, recorder.clone()));
    }
    sabotage(mock.clone(), recorder.clone(), plan.acts.clone()).await;
    let calm = tokio::time::Instant::now();
    let drained = async {
        all(&mut producers).await?;
        until_read(plan, mock, recorder).await
    };
    let drained = tokio::time::timeout_at(calm + DRAIN, drained).await;
    stop.send_replace(true);
    let closed = tokio::time::timeout(DRAIN, all(&mut readers)).await;
    // What is late, the history shows.
    drained.unwrap_or(Ok(()))?;
    closed.unwrap_or_else(|_| Err("the consumers did not close".to_owned()))?;
    note_commits(plan, &clients.next()?, recorder).await
}

async fn all(tasks: &mut JoinSet<Result<(), ottla_client::Error>>) -> Result<(), String> {
    while let Some(done) = tasks.join_next().await {
        done.map_err(|error: JoinError| format!("a task ended: {error}"))?
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Waits until everybody has read everything.
async fn until_read(plan: &Plan, mock: &Mock, recorder: &Recorder) -> Result<(), String> {
    let circles: &[u32] = if plan.lone_reader { &[GROUP_CIRCLE, LONE] } else { &[GROUP_CIRCLE] };
    for place in plan.places() {
        loop {
            let log = mock.cluster().log(&place.topic, place.partition).map(FinalLog::of);
            let Some(log) = log else { break };
            let log = log.map_err(|error| error.to_string())?;
            if circles.iter().all(|circle| recorder.has_seen(*circle, &place, &log)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

/// Notes where the group stands.
async fn note_commits(plan: &Plan, client: &Client, recorder: &Recorder) -> Result<(), String> {
    let options = ConsumerOptions::new().group_id(GROUP).enable_auto_commit(false);
    let mut consumer = Consumer::new(client.clone(), options).map_err(|error| error.to_string())?;
    let names: Vec<_> = plan.places().iter().map(name).collect();
    let mut committed = consumer.committed(&names).await.map_err(|error| error.to_string())?;
    for (place, name) in plan.places().into_iter().zip(names) {
        if let Some(Some(held)) = committed.remove(&name) {
            recorder.note(Event::Stored { group: GROUP.into(), place, offset: held.offset });
        }
    }
    Ok(())
}

/// One client for everybody, or one for each.
struct Clients {
    pipes: Pipes,
    shared: Option<Client>,
}

impl Clients {
    fn new(plan: &Plan, mock: &Mock) -> Result<Clients, String> {
        let mut clients = Clients { pipes: Pipes::to(mock), shared: None };
        if plan.shared_client {
            clients.shared = Some(clients.next()?);
        }
        Ok(clients)
    }

    fn next(&self) -> Result<Client, String> {
        if let Some(client) = &self.shared {
            return Ok(client.clone());
        }
        let options = ClientOptions::new()
            .request_timeout(Duration::from_secs(2))
            .default_api_timeout(Duration::from_secs(20))
            .metadata_max_age(Duration::from_secs(20))
            .connection_setup_timeout(Duration::from_secs(2))
            .connection_setup_timeout_max(Duration::from_secs(4));
        self.pipes.client(options).map_err(|error| error.to_string())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {} violations", self.plan.seed, self.violations.len())?;
        if let Some(failure) = &self.failure {
            writeln!(f, "{failure}")?;
        }
        for violation in &self.violations {
            writeln!(f, "{violation}")?;
        }
        writeln!(f, "\n{:#?}\n", self.plan)?;
        write!(f, "{}", self.history)
    }
}
