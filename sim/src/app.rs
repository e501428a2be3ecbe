//! What an application knows of its consumer: which partitions it has and how far it is in them, by which it commits, goes
//! back, and notes what the judge has to know.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use ottla_client::{Error, TopicPartition};
use ottla_consumer::{
    Consumer, ListenerFuture, OffsetAndMetadata, RebalanceContext, RebalanceListener, Record, Start,
};
use ottla_mock::history::{ConsumerId, Event, Place, RecordId};

use crate::recorder::Recorder;

/// What the application and its listener share.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) id: ConsumerId,
    pub(crate) recorder: Recorder,
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
    pub(crate) fn seek_back(&self, rng: &mut Rng, consumer: &mut Consumer) -> Result<(), Error> {
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

    /// Notes that what the consumer had it can't have any more: it has not polled for too long.
    pub(crate) fn overslept(&self) {
        self.state().positions.clear();
        self.recorder.note(Event::Overslept { consumer: self.id });
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
    pub(crate) async fn commit(&self, consumer: &mut Consumer, by_position: bool) {
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

pub(crate) fn place(partition: &TopicPartition) -> Place {
    Place::new(Arc::clone(&partition.topic), partition.partition)
}

pub(crate) fn name(place: &Place) -> TopicPartition {
    TopicPartition::new(Arc::clone(&place.topic), place.partition)
}
