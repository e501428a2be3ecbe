//! What a thread remembers from one record to the next: the topics that it sent to last, and which of a topic's sticky
//! partitions is its own.
//!
//! Finding a topic under the lock that all threads share takes as long as encoding a short record. So each thread keeps
//! the topics it has found, with the epoch in which it found them: the number that the table of topics had then. Each
//! change of any producer's table gives it a number that no table had before, so a topic counts for its producer alone
//! and only until the next change.
//!
//! What is kept here can be older than the table by the moment between the comparison and its use. That is harmless:
//! such a record could as well have come a moment earlier. Only where a batch is opened has the topic to be known still,
//! which is for [`super::Accumulator::append`] to see to, under the lock.
//!
//! A producer that is gone leaves a few topics' tables with each thread that sent, until that thread sends to others or ends;
//! they hold no records.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::topics::TopicBuffers;

/// So many topics can be kept, each in the place that its name decides.
const PLACES: usize = 8;

thread_local! {
    static TOPICS: RefCell<[Option<Known>; PLACES]> = const { RefCell::new([const { None }; PLACES]) };
    static LANE: Cell<usize> = const { Cell::new(0) };
}

/// A topic, as it was in an epoch.
pub(super) struct Known {
    pub(super) epoch: u64,
    pub(super) topic: Arc<TopicBuffers>,
}

/// Looks at a topic as it is in `epoch`, or as `find` finds it, which is kept.
#[inline(always)]
pub(super) fn look<T>(
    epoch: u64,
    name: &str,
    find: impl FnOnce() -> Option<Known>,
    mut look: impl FnMut(&TopicBuffers) -> Option<T>,
) -> Option<T> {
    let place = place(name);
    let kept = TOPICS.try_with(|topics| match &topics.try_borrow().ok()?[place] {
        Some(known) if known.epoch == epoch && *known.topic.name == *name => Some(look(&known.topic)),
        _ => None,
    });
    match kept {
        Ok(Some(seen)) => seen,
        _ => {
            let known = find()?;
            let seen = look(&known.topic);
            keep(place, known);
            seen
        }
    }
}

/// Keeps a topic, unless the thread is about to end.
#[cold]
#[inline(never)]
fn keep(place: usize, known: Known) {
    // The forerunner is dropped outside: whatever comes with it may send a record.
    let forerunner = TOPICS.try_with(|topics| topics.try_borrow_mut().ok()?[place].replace(known));
    drop(forerunner);
}

/// Names that tell topics apart mostly differ in length or at their end.
#[inline(always)]
fn place(name: &str) -> usize {
    name.len().wrapping_add(usize::from(name.as_bytes().last().copied().unwrap_or_default())) % PLACES
}

/// Which of a topic's sticky partitions this thread sends to.
#[inline(always)]
pub(super) fn lane() -> usize {
    LANE.try_with(Cell::get).unwrap_or_default()
}

/// Chooses another one.
pub(super) fn set_lane(lane: usize) {
    // A thread that ends sends no more.
    let _ = LANE.try_with(|own| own.set(lane));
}
