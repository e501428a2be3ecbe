//! A consumer at work.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use ottla_client::{Client, Error, TopicPartition};
use ottla_consumer::{
    Consumer, ConsumerOptions, IsolationLevel, ListenerFuture, OffsetAndMetadata, OffsetReset,
    RebalanceContext, RebalanceListener, Record, Start,
};
use ottla_mock::history::{ConsumerId, Event, Place, RecordId};
use tokio::sync::watch;

use crate::plan::{Departure, LonePlan, MemberPlan, READERS};
use crate::recorder::Recorder;
use crate::world::World;

/// How long one poll waits.
pub(crate) const POLL: Duration = Duration::from_millis(400);

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
    /// Reads as a member of the group.
    ///
    /// # Errors
    /// Options that no consumer can have.
    ///
    /// # Cancel safety
    /// Dropping it is as dropping the consumer, which the history does not say then.
    pub async fn in_group(mut self, plan: MemberPlan, client: Client, world: World) -> Result<(), Error> {
        tokio::time::sleep(plan.joins).await;
        let id = ConsumerId(self.number);
        let recorder = world.recorder();
        recorder.note(Event::Opened {
            consumer: id,
            group: Some(READERS.into()),
            topics: self.topics.clone(),
            committed_only: false,
        });
        let mut consumer = Consumer::new(client, member_options(&plan))?;
        let app = App::new(id, recorder, plan.commits_when_revoked);
        consumer.subscribe_with(self.topics.iter().map(|topic| topic.to_string()), app.clone())?;
        let rng = &mut Rng::with_seed(plan.seed);
        let departure = plan.leaves.map(|(at, _)| at);
        while !*self.stop.borrow_and_update() && departure.is_none_or(|at| recorder.elapsed() < at) {
            if plan.rests {
                rest(rng, &mut consumer);
            }
            // Errors of a poll are for the operator; whoever goes on polling goes on reading.
            let records = consumer.poll(POLL).await.map(|records| records.into_vec()).unwrap_or_default();
            app.note_generation(&consumer);
            for record in &records {
                app.handed_out(record);
            }
            if records.is_empty() {
                // So that errors that come at once don't stop the clock.
                tokio::time::sleep(Duration::from_millis(1)).await;
            } else if !plan.work.is_zero() {
                tokio::time::sleep(plan.work.mul_f64(rng.f64())).await;
            }
            if plan.auto_commit.is_none() && rng.bool() {
                app.commit(&mut consumer, rng.bool()).await;
            }
        }
        let is_last = departure.is_none();
        if is_last && plan.auto_commit.is_none() {
            app.commit(&mut consumer, true).await;
        }
        leave(consumer, id, recorder, plan.leaves.map(|(_, how)| how)).await;
        Ok(())
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

/// Takes partitions that have come.
pub(crate) fn assign(
    found: &[Place],
    places: &mut Vec<Place>,
    consumer: &mut Consumer,
    app: &App,
    start: Start,
) -> Result<(), Error> {
    if found.len() == places.len() {
        return Ok(());
    }
    for place in found.iter().filter(|place| !places.contains(place)) {
        app.recorder.note(Event::Assigned { consumer: app.id, place: place.clone() });
    }
    *places = found.to_vec();
    consumer.assign(places.iter().map(|place| (name(place), start)))
}

/// Closes a consumer, or drops it.
pub(crate) async fn leave(consumer: Consumer, id: ConsumerId, recorder: &Recorder, how: Option<Departure>) {
    if how == Some(Departure::Drop) {
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

/// What the application and its listener share.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) id: ConsumerId,
    recorder: Recorder,
    state: Arc<Mutex<AppState>>,
    /// Whether the listener commits.
    commits: bool,
}

#[derive(Debug, Default)]
struct AppState {
    /// The offset after the last record of each partition.
    positions: BTreeMap<Place, i64>,
    generation: Option<i32>,
    /// Whether partitions came since the generation was noted.
    is_new: bool,
}

impl App {
    pub(crate) fn new(id: ConsumerId, recorder: &Recorder, commits: bool) -> App {
        App { id, recorder: recorder.clone(), state: Arc::default(), commits }
    }

    pub(crate) fn handed_out(&self, record: &Record) -> RecordId {
        self.state().positions.insert(place(record.topic_partition()), record.offset() + 1);
        self.recorder.handed_out(self.id, record)
    }

    /// Goes back to some offset that was read before.
    fn seek_back(&self, rng: &mut Rng, consumer: &mut Consumer) -> Result<(), Error> {
        let mut state = self.state();
        let count = state.positions.len().max(1);
        let Some((place, position)) = state.positions.iter_mut().nth(rng.usize(..count)) else {
            return Ok(());
        };
        *position = rng.i64(0..=*position);
        consumer.seek(&name(place), Start::Offset(*position))?;
        self.recorder.note(Event::Sought { consumer: self.id, place: place.clone(), offset: *position });
        Ok(())
    }

    /// Goes back to what the group has committed, wherever this consumer has read.
    pub(crate) fn rewind(&self, consumer: &mut Consumer) {
        let mut state = self.state();
        for place in std::mem::take(&mut state.positions).into_keys() {
            // What is gone meanwhile, somebody else reads.
            if consumer.seek(&name(&place), Start::Committed).is_ok() {
                self.recorder.note(Event::Revoked { consumer: self.id, place: place.clone() });
                self.recorder.note(Event::Assigned { consumer: self.id, place });
                state.is_new = true;
            }
        }
    }

    pub(crate) fn note_generation(&self, consumer: &Consumer) {
        let Some(generation) = consumer.group_metadata().map(|it| it.generation_id).filter(|it| *it >= 0)
        else {
            return;
        };
        let mut state = self.state();
        if state.is_new || state.generation != Some(generation) {
            state.generation = Some(generation);
            state.is_new = false;
            self.recorder.note(Event::Generation { consumer: self.id, generation });
        }
    }

    /// Commits what was handed out: by position, or by these very offsets.
    async fn commit(&self, consumer: &mut Consumer, by_position: bool) {
        let offsets = self.ask();
        let done = if by_position {
            consumer.commit().await
        } else {
            let offsets =
                offsets.iter().map(|(place, offset)| (name(place), OffsetAndMetadata::new(*offset)));
            consumer.commit_offsets(offsets.collect::<Vec<_>>()).await
        };
        self.answer(offsets, done.is_ok());
    }

    fn ask(&self) -> BTreeMap<Place, i64> {
        let offsets = self.state().positions.clone();
        for (place, offset) in &offsets {
            self.recorder.note(Event::CommitAsked {
                consumer: self.id,
                place: place.clone(),
                offset: *offset,
            });
        }
        offsets
    }

    fn answer(&self, offsets: BTreeMap<Place, i64>, done: bool) {
        for (place, offset) in offsets {
            self.recorder.note(Event::CommitAnswered { consumer: self.id, place, offset, done });
        }
    }

    fn state(&self) -> MutexGuard<'_, AppState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RebalanceListener for App {
    fn assigned<'a>(
        &'a mut self,
        _context: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        self.state().is_new = true;
        for partition in partitions {
            self.recorder.note(Event::Assigned { consumer: self.id, place: place(partition) });
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn revoked<'a>(
        &'a mut self,
        context: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        Box::pin(async move {
            if self.commits && !self.state().positions.is_empty() {
                let offsets = self.ask();
                let done = context.commit().await;
                self.answer(offsets, done.is_ok());
            }
            for partition in partitions {
                let place = place(partition);
                self.state().positions.remove(&place);
                self.recorder.note(Event::Revoked { consumer: self.id, place });
            }
            Ok(())
        })
    }

    fn lost<'a>(
        &'a mut self,
        _context: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        for partition in partitions {
            let place = place(partition);
            self.state().positions.remove(&place);
            self.recorder.note(Event::Lost { consumer: self.id, place });
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

fn member_options(plan: &MemberPlan) -> ConsumerOptions {
    let mut options = ConsumerOptions::new()
        .group_id(READERS)
        .auto_offset_reset(OffsetReset::Earliest)
        .session_timeout(Duration::from_secs(8))
        .heartbeat_interval(Duration::from_secs(1))
        .max_poll_interval(Duration::from_secs(30))
        .default_api_timeout(Duration::from_secs(20))
        .partition_assignment_strategy(plan.strategies.clone())
        .enable_auto_commit(plan.auto_commit.is_some())
        .max_poll_records(plan.batch)
        .allow_auto_create_topics(false);
    if let Some(interval) = plan.auto_commit {
        options = options.auto_commit_interval(interval);
    }
    if let Some(instance) = &plan.instance {
        options = options.group_instance_id(instance.as_str());
    }
    options
}

pub(crate) fn place(partition: &TopicPartition) -> Place {
    Place::new(Arc::clone(&partition.topic), partition.partition)
}

pub(crate) fn name(place: &Place) -> TopicPartition {
    TopicPartition::new(Arc::clone(&place.topic), place.partition)
}
