//! Runs that a seed decides: the course of a [`Plan`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use ottla_client::{Client, Error};
use ottla_consumer::{Consumer, ConsumerOptions};
use ottla_mock::history::{Event, Place};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::app::name;
use crate::mortal::Mortality;
use crate::pipeline::Pipeline;
use crate::plan::{Departure, INPUT, PIPELINES, Plan, READERS};
use crate::producing::Producing;
use crate::reading::{HEARTBEAT, Membership, Reading, SESSION};
use crate::simulation::{Outcome, Simulation};
use crate::world::World;

/// How long everything may take by virtual time, once the cluster is calm.
const DRAIN: Duration = Duration::from_secs(300);

/// How long requests that were held up may take to be done, once the cluster is calm.
const SETTLE: Duration = Duration::from_secs(4);

/// How often the coordinator's offsets are looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// The most lives that members have: those of the first are called 0 and so on, those of the second from here on.
const LIVES: usize = 10;

/// What the lone reader is called.
const LONE: u32 = 1_000;

/// What the first life of a pipeline is called.
const FIRST_LIFE: u32 = 2_000;

/// Runs a seed.
pub fn run(seed: u64) -> Outcome {
    run_plan(Plan::of(seed))
}

/// Runs a plan on a runtime of its own, on this thread.
///
/// # Panics
/// Within a tokio runtime.
pub fn run_plan(plan: Plan) -> Outcome {
    let simulation = Simulation::new(plan.seed)
        .brokers(plan.brokers)
        .release(plan.release)
        .replication(plan.replication)
        .cluster(|options| {
            options
                .replication_lag(plan.lag)
                .config("group.initial.rebalance.delay.ms", "100")
                .config("group.consumer.session.timeout.ms", SESSION.as_millis().to_string())
                .config("group.consumer.heartbeat.interval.ms", HEARTBEAT.as_millis().to_string())
        })
        .acts(plan.acts.iter().cloned());
    let topics = plan.topics();
    let simulation =
        topics.iter().zip(plan.sizes()).fold(simulation, |all, (topic, size)| all.topic(*topic, size));
    let outcome = simulation.run(async |world| perform(&plan, world).await);
    Outcome { plan: Some(Box::new(plan)), ..outcome }
}

/// Lets everybody work, and waits until all is done.
async fn perform(plan: &Plan, world: World) -> Result<(), String> {
    let clients = Clients::new(plan, &world)?;
    let topics: Vec<Arc<str>> = plan.topics().into_iter().map(Arc::from).collect();
    let (stop, stopped) = watch::channel(false);
    let (stop_writing, writing_stopped) = watch::channel(false);
    let mut readers = JoinSet::new();
    for (member, first) in plan.members.iter().zip((0..).step_by(LIVES)) {
        for (life, number) in member.lives.iter().zip(first..) {
            let reading = Reading { number, topics: topics.clone(), stop: stopped.clone() };
            let membership = Membership {
                plan: member.clone(),
                protocol: plan.protocol,
                committed_only: plan.committed_only,
                first: (number > first).then_some(first),
            };
            let client = match life.ends {
                Some((_, Departure::Kill)) => clients.mortal()?,
                _ => (clients.next()?, None),
            };
            readers.spawn(reading.in_group(membership, life.clone(), client, world.clone()));
        }
    }
    if let Some(lone) = &plan.lone_reader {
        let reading = Reading { number: LONE, topics, stop: stopped };
        readers.spawn(reading.alone(lone.clone(), clients.next()?, world.clone()));
    }
    let mut pipelines = JoinSet::new();
    let numbers = Arc::new(AtomicU32::new(FIRST_LIFE));
    for pipeline in &plan.pipelines {
        let lives = pipeline.lives.iter().map(|_| clients.next()).collect::<Result<Vec<_>, _>>()?;
        let (plan, numbers, stop) = (pipeline.clone(), Arc::clone(&numbers), writing_stopped.clone());
        pipelines.spawn(Pipeline { plan, numbers, stop }.run(lives, world.clone()));
    }
    let mut producers = JoinSet::new();
    for (number, producer) in (0..).zip(&plan.producers) {
        let producing = Producing { number, plan: producer.clone(), places: plan.places() };
        producers.spawn(producing.run(clients.next()?, world.clone()));
    }
    // Ends with the run.
    let mut spies = JoinSet::new();
    spies.spawn(watch_commits(world.clone()));
    world.calm().await;
    // What is held up or was paused is done only now.
    tokio::time::sleep(SETTLE).await;
    let calm = tokio::time::Instant::now();
    let drained = async {
        all(&mut producers).await?;
        if !plan.pipelines.is_empty() {
            processed(&world, &clients.next()?).await?;
        }
        stop_writing.send_replace(true);
        all(&mut pipelines).await?;
        world.drained().await;
        Ok::<(), String>(())
    };
    let drained = tokio::time::timeout_at(calm + DRAIN, drained).await;
    stop_writing.send_replace(true);
    stop.send_replace(true);
    let closed = async {
        all(&mut pipelines).await?;
        all(&mut readers).await
    };
    let closed = tokio::time::timeout(DRAIN, closed).await;
    // What is late, the history shows.
    drained.unwrap_or(Ok(()))?;
    closed.unwrap_or_else(|_| Err("the consumers did not close".to_owned()))?;
    let client = clients.next()?;
    note_commits(READERS, world.places(), &client, &world).await?;
    if !plan.pipelines.is_empty() {
        note_commits(PIPELINES, world.places_of(&INPUT.into()), &client, &world).await?;
    }
    Ok(())
}

async fn all(tasks: &mut JoinSet<Result<(), Error>>) -> Result<(), String> {
    while let Some(done) = tasks.join_next().await {
        done.map_err(|error: JoinError| format!("a task ended: {error}"))?
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Waits until the pipelines have committed all of their input.
async fn processed(world: &World, client: &Client) -> Result<(), String> {
    let places = world.places_of(&INPUT.into());
    loop {
        let committed = committed(PIPELINES, &places, client).await;
        let is_done = |place: &Place| {
            if !world.is_copied(place) {
                return false;
            }
            let log = world.log(place).and_then(Result::ok);
            let end = log.and_then(|log| log.last_visible(true).map(|last| last.offset + 1)).unwrap_or(0);
            let found = committed.iter().flatten().find(|(found, _)| found == place);
            found.map_or(0, |(_, offset)| *offset) >= end
        };
        if committed.is_ok() && places.iter().all(is_done) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Where a group stands.
async fn committed(group: &str, places: &[Place], client: &Client) -> Result<Vec<(Place, i64)>, String> {
    let options = ConsumerOptions::new().group_id(group).enable_auto_commit(false);
    let mut consumer = Consumer::new(client.clone(), options).map_err(|error| error.to_string())?;
    let names: Vec<_> = places.iter().map(name).collect();
    let mut committed = consumer.committed(&names).await.map_err(|error| error.to_string())?;
    let found = places.iter().zip(names).filter_map(|(place, name)| {
        let held = committed.remove(&name)??;
        Some((place.clone(), held.offset))
    });
    Ok(found.collect())
}

/// Notes where a group stands.
async fn note_commits(group: &str, places: Vec<Place>, client: &Client, world: &World) -> Result<(), String> {
    for (place, offset) in committed(group, &places, client).await? {
        world.recorder().note(Event::Stored { group: group.into(), place, offset });
    }
    Ok(())
}

/// Notes each offset that the readers' coordinator holds as soon as it changes, so that a commit that goes back is found
/// even where later ones hide it.
async fn watch_commits(world: World) {
    let mut held: BTreeMap<Place, i64> = BTreeMap::new();
    loop {
        tokio::time::sleep(GLANCE).await;
        for place in world.places() {
            let found = world.mock().cluster().committed_offset(READERS, &place.topic, place.partition);
            if let Some(offset) = found
                && held.insert(place.clone(), offset) != Some(offset)
            {
                world.recorder().note(Event::Stored { group: READERS.into(), place, offset });
            }
        }
    }
}

/// One client for everybody, or one for each.
struct Clients<'a> {
    world: &'a World,
    shared: Option<Client>,
}

impl Clients<'_> {
    fn new<'a>(plan: &Plan, world: &'a World) -> Result<Clients<'a>, String> {
        let mut clients = Clients { world, shared: None };
        if plan.shared_client {
            clients.shared = Some(clients.next()?);
        }
        Ok(clients)
    }

    /// A client that can be killed, which is nobody else's.
    fn mortal(&self) -> Result<(Client, Option<Mortality>), String> {
        let (client, mortality) = self.world.mortal_client().map_err(|error| error.to_string())?;
        Ok((client, Some(mortality)))
    }

    fn next(&self) -> Result<Client, String> {
        match &self.shared {
            Some(client) => Ok(client.clone()),
            None => self.world.client().map_err(|error| error.to_string()),
        }
    }
}
