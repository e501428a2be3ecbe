//! A consumer at work.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use ottla_client::{Client, Error};
use ottla_consumer::{Consumer, ConsumerOptions, IsolationLevel, OffsetReset, Record, Start};
use ottla_mock::history::{ConsumerId, Event, Place};
use tokio::sync::watch;

use crate::app::{App, name};
use crate::mortal::Mortality;
use crate::plan::{Departure, Life, LonePlan, MemberPlan, Protocol, READERS};
use crate::recorder::Recorder;
use crate::world::World;

/// After how long without a heartbeat a member of the group is given up, and how often it sends one.
pub(crate) const SESSION: Duration = Duration::from_secs(8);
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long one poll waits.
pub(crate) const POLL: Duration = Duration::from_millis(400);

/// For how long members take their time: after that they catch up, or what pipelines wrote again and again could be more than they
/// can read soon enough at their pace.
const LEISURE: Duration = Duration::from_secs(60);

/// As whom a consumer is in the group.
#[derive(Debug, Clone)]
pub struct Membership {
    /// What it does.
    pub plan: MemberPlan,
    /// What the group speaks.
    pub protocol: Protocol,
    /// Whether it sees committed records only.
    pub committed_only: bool,
    /// The number of its first life, if this is a later one.
    pub first: Option<u32>,
}

/// A consumer that reads until it is told to stop, and notes all that it sees.
#[derive(Debug)]
pub struct Reading {
    /// Which consumer it is: no two of a run have the same number.
    pub number: u32,
    /// Its topics.
    pub topics: Vec<Arc<str>>,
    /// Turns true when it has to close.
    pub stop: watch::Receiver<bool>,
}

impl Reading {
    /// Lives one life as a member of the group. `mortality` is that of the client, where it is to be killed.
    ///
    /// # Errors
    /// Options that no consumer can have.
    ///
    /// # Cancel safety
    /// Dropping it is as dropping the consumer, which the history does not say then.
    pub async fn in_group(
        mut self,
        membership: Membership,
        life: Life,
        (client, mortality): (Client, Option<Mortality>),
        world: World,
    ) -> Result<(), Error> {
        tokio::time::sleep(life.begins).await;
        let id = ConsumerId(self.number);
        let recorder = world.recorder();
        recorder.note(Event::Opened {
            consumer: id,
            group: Some(READERS.into()),
            topics: self.topics.clone(),
            committed_only: membership.committed_only,
        });
        let plan = &membership.plan;
        if let Some(before) = membership.first.filter(|_| plan.instance.is_some()) {
            recorder.note(Event::Succeeds { consumer: id, before: ConsumerId(before) });
        }
        let mut consumer = Consumer::new(client, membership.options()?)?;
        let app = App::new(id, recorder, plan.commits_when_revoked);
        consumer.subscribe_with(self.topics.iter().map(|topic| topic.to_string()), app.clone())?;
        let work = self.work(plan, &life, &mut consumer, &app);
        let lived = match life.ends {
            // Wherever it is.
            Some((at, Departure::Kill)) => {
                let left = at.saturating_sub(recorder.elapsed());
                tokio::time::timeout(left, work).await.unwrap_or(Lived::Done)
            }
            _ => work.await,
        };
        let how = match lived {
            Lived::Done => life.ends.map(|(_, how)| how),
            Lived::Fenced => Some(Departure::Drop),
        };
        if let Some(mortality) = mortality.filter(|_| how == Some(Departure::Kill)) {
            mortality.kill();
        }
        leave(consumer, id, recorder, how).await;
        Ok(())
    }

    /// Reads until the life is over.
    async fn work(&mut self, plan: &MemberPlan, life: &Life, consumer: &mut Consumer, app: &App) -> Lived {
        let recorder = app.recorder.clone();
        let rng = &mut Rng::with_seed(plan.seed ^ u64::from(self.number));
        let departure = life.ends.map(|(at, _)| at);
        let mut stalls: VecDeque<(Duration, Duration)> = plan.stalls.iter().copied().collect();
        stalls.retain(|stall| stall.0 >= life.begins);
        let mut seeks = plan.seeks;
        let mut polled = recorder.elapsed();
        while !*self.stop.borrow_and_update() && departure.is_none_or(|at| recorder.elapsed() < at) {
            if plan.rests {
                rest(rng, consumer);
            }
            if stalls.front().is_some_and(|stall| stall.0 <= recorder.elapsed())
                && let Some((_, pause)) = stalls.pop_front()
            {
                recorder.note(Event::Disturbed { what: format!("{} falls asleep", app.id) });
                tokio::time::sleep(pause).await;
                recorder.note(Event::Calmed);
            }
            if recorder.elapsed().saturating_sub(polled) > plan.max_poll_interval {
                app.overslept();
            }
            let patience = if rng.f64() < plan.impatience { POLL.mul_f64(rng.f64()) } else { 2 * POLL };
            let read = read(plan.one_by_one, consumer);
            // Errors of a poll are for the operator; whoever goes on polling goes on reading.
            let records = match tokio::time::timeout(patience, read).await {
                Ok(Err(error)) if error.is_fatal() => return Lived::Fenced,
                Ok(Ok(records)) => records,
                _ => Vec::new(),
            };
            polled = recorder.elapsed();
            // Without records there may be a rebalance that the membership knows of, and the partitions don't.
            if !records.is_empty() {
                app.note_generation(consumer);
            }
            for record in &records {
                app.handed_out(record);
            }
            if records.is_empty() {
                // So that errors that come at once don't stop the clock.
                tokio::time::sleep(Duration::from_millis(1)).await;
            } else if !plan.work.is_zero() && recorder.elapsed() < LEISURE {
                tokio::time::sleep(plan.work.mul_f64(rng.f64())).await;
            }
            if seeks > 0 && rng.u8(..8) == 0 {
                seeks -= 1;
                // What is gone by now, somebody else reads.
                let _ = app.seek_back(rng, consumer);
            }
            if plan.auto_commit.is_none() && rng.bool() {
                app.commit(consumer, rng.bool()).await;
            }
        }
        if departure.is_none() && plan.auto_commit.is_none() {
            app.commit(consumer, true).await;
        }
        Lived::Done
    }

    /// Reads all partitions from their beginning, outside of the group, and committed records only; goes back now and then.
    ///
    /// # Errors
    /// Options that no consumer can have.
    ///
    /// # Cancel safety
    /// Dropping it is as dropping the consumer, which the history does not say then.
    pub async fn alone(mut self, plan: LonePlan, client: Client, world: World) -> Result<(), Error> {
        let id = ConsumerId(self.number);
        let recorder = world.recorder();
        let topics = self.topics.clone();
        recorder.note(Event::Opened { consumer: id, group: None, topics, committed_only: true });
        let options = ConsumerOptions::new()
            .isolation_level(IsolationLevel::ReadCommitted)
            .auto_offset_reset(OffsetReset::Earliest)
            .max_poll_records(plan.batch)
            .allow_auto_create_topics(false);
        let mut consumer = Consumer::new(client, options)?;
        let app = App::new(id, recorder, false);
        let rng = &mut Rng::with_seed(plan.seed);
        let (mut places, mut seeks) = (Vec::new(), plan.seeks);
        while !*self.stop.borrow_and_update() {
            assign(&world.places(), &mut places, &mut consumer, &app, Start::Earliest)?;
            if seeks > 0 && rng.u8(..5) == 0 {
                seeks -= 1;
                app.seek_back(rng, &mut consumer)?;
            }
            // One poll after the other, and each of them is given up now and then: nothing may get lost by it.
            let Ok(polled) = tokio::time::timeout(POLL / 3, consumer.poll(POLL)).await else { continue };
            let records = polled.map(|records| records.into_vec()).unwrap_or_default();
            for record in &records {
                app.handed_out(record);
            }
            if records.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        leave(consumer, id, recorder, None).await;
        Ok(())
    }
}

/// How a life went on.
enum Lived {
    /// As it was to.
    Done,
    /// Somebody has taken the place.
    Fenced,
}

/// The next records, or the next one.
async fn read(one: bool, consumer: &mut Consumer) -> Result<Vec<Record>, Error> {
    match one {
        true => consumer.next().await.map(|record| vec![record]),
        false => consumer.poll(POLL).await.map(|records| records.into_vec()),
    }
}

/// Takes partitions that have come.
pub(crate) fn assign(
    found: &[Place],
    places: &mut Vec<Place>,
    consumer: &mut Consumer,
    app: &App,
    start: Start,
) -> Result<(), Error> {
    let new: Vec<Place> = found.iter().filter(|place| !places.contains(place)).cloned().collect();
    if new.is_empty() {
        return Ok(());
    }
    for place in &new {
        app.recorder.note(Event::Assigned { consumer: app.id, place: place.clone() });
    }
    places.extend(new);
    consumer.assign(places.iter().map(|place| (name(place), start)))
}

/// Closes a consumer, or drops it, which is how one that is killed goes, too.
pub(crate) async fn leave(consumer: Consumer, id: ConsumerId, recorder: &Recorder, how: Option<Departure>) {
    if matches!(how, Some(Departure::Drop | Departure::Kill)) {
        drop(consumer);
    } else {
        recorder.note(Event::Closing { consumer: id });
        // What could not be done in time, the coordinator does by itself.
        let _ = consumer.close(Duration::from_secs(30)).await;
    }
    recorder.note(Event::Gone { consumer: id });
}

/// Lets a partition rest, or ends all rest.
fn rest(rng: &mut Rng, consumer: &mut Consumer) {
    let resting = consumer.paused();
    // A partition that is gone by now need not rest.
    if !resting.is_empty() {
        let _ = consumer.resume(&resting);
    } else if let Some(partition) = consumer.assignment().first().filter(|_| rng.u8(..4) == 0) {
        let _ = consumer.pause(std::slice::from_ref(partition));
    }
}

impl Membership {
    fn options(&self) -> Result<ConsumerOptions, Error> {
        let plan = &self.plan;
        let mut options = ConsumerOptions::new()
            .group_id(READERS)
            .auto_offset_reset(OffsetReset::Earliest)
            .max_poll_interval(plan.max_poll_interval)
            .default_api_timeout(Duration::from_secs(20))
            .enable_auto_commit(plan.auto_commit.is_some())
            .max_poll_records(plan.batch)
            .allow_auto_create_topics(false);
        if self.committed_only {
            options = options.isolation_level(IsolationLevel::ReadCommitted);
        }
        match self.protocol {
            Protocol::Classic => {
                options = options
                    .session_timeout(SESSION)
                    .heartbeat_interval(HEARTBEAT)
                    .partition_assignment_strategy(plan.strategies.clone());
            }
            Protocol::Consumer => options.set("group.protocol", "consumer")?,
        }
        if let Some(interval) = plan.auto_commit {
            options = options.auto_commit_interval(interval);
        }
        if let Some(instance) = &plan.instance {
            options = options.group_instance_id(instance.as_str());
        }
        Ok(options)
    }
}
