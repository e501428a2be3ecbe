//! Notes what happens, and when by the runtime's clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ottla_mock::Mock;
use ottla_mock::history::{Event, FinalLog, History, Place, UnreadableLog};
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
    /// How many different records of a partition were handed out, by the highest offset.
    handed: BTreeMap<(u32, Place), i64>,
}

impl Recorder {
    /// An empty history that begins now.
    pub fn start() -> Recorder {
        Recorder { start: Instant::now(), notes: Arc::default() }
    }

    /// How long the run has lasted.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Notes what happens now.
    pub fn note(&self, event: Event) {
        self.notes().history.note(self.elapsed(), event);
    }

    /// Notes that a reader of a circle, a group or a reader on its own, was handed a record; `circle` tells circles apart
    /// for [`Recorder::has_seen`].
    pub fn handed_out(&self, circle: u32, event: Event) {
        if let Event::HandedOut { place, offset, .. } = &event {
            let mut notes = self.notes();
            let furthest = notes.handed.entry((circle, place.clone())).or_insert(-1);
            *furthest = (*furthest).max(*offset);
        }
        self.note(event);
    }

    /// Whether somebody of the circle was handed the last record of the log.
    pub fn has_seen(&self, circle: u32, place: &Place, log: &FinalLog) -> bool {
        let furthest = self.notes().handed.get(&(circle, place.clone())).copied().unwrap_or(-1);
        log.records.last().is_none_or(|last| last.offset <= furthest)
    }

    /// The history so far, with the logs as they are now.
    ///
    /// # Errors
    /// A log that holds what cannot be read.
    pub fn history(&self, mock: &Mock, places: &[Place]) -> Result<History, UnreadableLog> {
        let mut history = self.notes().history.clone();
        let cluster = mock.cluster();
        for place in places {
            if let Some(log) = cluster.log(&place.topic, place.partition) {
                history.keep(place.clone(), FinalLog::of(log)?);
            }
        }
        Ok(history)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
