//! Notes what happens, and when by the runtime's clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ottla_client::Error;
use ottla_consumer::Record;
use ottla_mock::history::{ConsumerId, Event, FinalLog, History, Place, RecordId};
use ottla_producer::{Delivered, Delivery};
use tokio::time::Instant;

/// Notes what happens in a run. Clones note into the same history.
#[derive(Debug, Clone)]
pub struct Recorder {
    start: Instant,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Debug, Default)]
struct Notes {
    history: History,
    circles: BTreeMap<ConsumerId, Circle>,
    wanting: BTreeMap<Circle, Wanting>,
}

/// Those who share what they read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Circle {
    Group(Arc<str>),
    Alone(ConsumerId),
}

/// What a circle reads, and how far it is.
#[derive(Debug, Default)]
struct Wanting {
    topics: BTreeSet<Arc<str>>,
    committed_only: bool,
    /// The highest offset that was handed out.
    furthest: BTreeMap<Place, i64>,
    /// What was handed out of partitions whose logs were replaced: their offsets alone say nothing.
    anew: BTreeMap<Place, BTreeSet<(i64, RecordId)>>,
    /// Who went where last by their own will, and has been handed nothing there since.
    gone_to: BTreeMap<Place, (ConsumerId, i64)>,
}

impl Recorder {
    /// An empty history that begins now.
    pub(crate) fn start() -> Recorder {
        Recorder { start: Instant::now(), notes: Arc::default() }
    }

    /// How long the run has lasted.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Notes what happens now.
    pub fn note(&self, event: Event) {
        let at = self.elapsed();
        self.notes().take(at, event);
    }

    /// Notes that a producer accepted a record, whose value is [`RecordId::value`]'s. The future waits for the outcome and
    /// notes it, too.
    ///
    /// # Cancel safety
    /// A record whose future is dropped has no outcome in the history, which counts as a violation.
    pub fn sent(
        &self,
        record: RecordId,
        delivery: Delivery,
    ) -> impl Future<Output = Result<Delivered, Error>> + use<> {
        let place = Place::new(delivery.topic(), delivery.partition());
        self.note(Event::Sent { record, place, transaction: None });
        let recorder = self.clone();
        async move {
            let outcome = delivery.await;
            recorder.note(match &outcome {
                Ok(delivered) => Event::Acknowledged { record, offset: delivered.offset },
                Err(error) => Event::Failed { record, possibly_written: error.possibly_written() },
            });
            outcome
        }
    }

    /// Notes that a consumer handed a record out, and says which one it is by its value.
    pub fn handed_out(&self, consumer: ConsumerId, record: &Record) -> RecordId {
        // A value that is none of ours gives an id that nobody sent.
        let unknown = RecordId { producer: u32::MAX, sequence: 0 };
        let id = record.value().and_then(RecordId::of_value).unwrap_or(unknown);
        let place = Place::new(Arc::clone(record.topic_name()), record.partition());
        self.note(Event::HandedOut { consumer, place, offset: record.offset(), record: id });
        id
    }

    /// Whether somebody has yet to be handed something of this log.
    pub(crate) fn is_awaited(&self, place: &Place, log: &FinalLog) -> bool {
        self.notes().wanting.values().any(|circle| {
            let last = log.last_visible(circle.committed_only);
            if let Some(anew) = circle.anew.get(place) {
                let sought = circle.gone_to.get(place).map_or(-1, |(_, offset)| *offset);
                return last.is_some_and(|last| {
                    sought <= last.offset && !anew.contains(&(last.offset, last.record))
                });
            }
            let last = last.map_or(-1, |last| last.offset);
            circle.topics.contains(&place.topic) && circle.furthest.get(place).copied().unwrap_or(-1) < last
        })
    }

    /// The history so far, without logs.
    pub(crate) fn history(&self) -> History {
        self.notes().history.clone()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn take(&mut self, at: Duration, event: Event) {
        match &event {
            Event::Opened { consumer, group, topics, committed_only } => {
                let circle =
                    group.as_ref().map_or(Circle::Alone(*consumer), |group| Circle::Group(Arc::clone(group)));
                let wanting = self.wanting.entry(circle.clone()).or_default();
                wanting.topics.extend(topics.iter().cloned());
                wanting.committed_only |= committed_only;
                self.circles.insert(*consumer, circle);
            }
            Event::Recreated { place } => {
                for circle in self.wanting.values_mut().filter(|circle| circle.topics.contains(&place.topic))
                {
                    circle.anew.entry(place.clone()).or_default();
                }
            }
            Event::HandedOut { consumer, place, offset, record } => {
                let circle = self.circles.get(consumer).and_then(|circle| self.wanting.get_mut(circle));
                if let Some(circle) = circle {
                    if circle.gone_to.get(place).is_some_and(|(gone, _)| gone == consumer) {
                        circle.gone_to.remove(place);
                    }
                    if let Some(anew) = circle.anew.get_mut(place) {
                        anew.insert((*offset, *record));
                    }
                    let furthest = circle.furthest.entry(place.clone()).or_insert(-1);
                    *furthest = (*furthest).max(*offset);
                }
            }
            Event::Sought { consumer, place, offset } => {
                let circle = self.circles.get(consumer).and_then(|circle| self.wanting.get_mut(circle));
                if let Some(circle) = circle {
                    circle.gone_to.insert(place.clone(), (*consumer, *offset));
                }
            }
            _ => {}
        }
        self.history.note(at, event);
    }
}
