//! [`Outbox`]: acknowledgements between the batch that has its outcome and the application.
//!
//! A batch gives its memory back when it has its outcome, and its callbacks may wait longer, for those of a batch before it
//! that has none. They are not part of `buffer.memory`, but bounded: until that batch is decided, its partition gets no
//! outcome but those of batches that were sent with it (`max.in.flight.requests.per.connection`, 5 with idempotence). So a
//! partition holds back the callbacks of no more than that many batches: some 50 bytes for a record, and what the callback
//! captured.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::attached::Entry;
use crate::completion::Completion;
use crate::interceptor::Interceptors;

/// Acknowledgements to deliver. The producer's task does so; when it is gone, whoever tells a batch's outcome.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    interceptors: Interceptors,
    used: AtomicBool,
    waiting: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<Ready>,
    /// Somebody delivers; he will find what is added meanwhile.
    busy: bool,
    /// The task is gone.
    abandoned: bool,
}

/// A batch's acknowledgements.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) completion: Arc<Completion>,
    pub(super) entries: Vec<Entry>,
}

/// The order of a partition's acknowledgements: that of its records.
#[derive(Debug, Default)]
pub(super) struct Order(Mutex<Due>);

#[derive(Debug, Default)]
struct Due {
    /// What was attached before this place has been handed on.
    next: u64,
    /// Known outcomes that wait for those of earlier records.
    held: BTreeMap<u64, Ready>,
}

/// Gives a partition's attachments their places.
#[derive(Debug, Default)]
pub(crate) struct Lineup {
    order: Arc<Order>,
    next: u64,
}

impl Lineup {
    pub(super) fn next(&mut self) -> u64 {
        let place = self.next;
        self.next += 1;
        place
    }

    pub(super) fn order(&self) -> Arc<Order> {
        Arc::clone(&self.order)
    }
}

impl Outbox {
    pub(crate) fn new(interceptors: Interceptors) -> Arc<Self> {
        Arc::new(Outbox { interceptors, ..Outbox::default() })
    }

    pub(crate) fn interceptors(&self) -> &Interceptors {
        &self.interceptors
    }

    /// Whether any record ever had something attached.
    pub(crate) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn note_use(&self) {
        if !self.is_used() {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Takes over the acknowledgements of a batch whose outcome is known, from place `first` on.
    pub(super) fn put(&self, order: &Order, first: u64, batch: Ready) {
        let mut state = self.state();
        let mut due = order.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = &mut *due;
        due.held.insert(first, batch);
        while let Some(earliest) = due.held.first_entry()
            && *earliest.key() == due.next
        {
            let batch = earliest.remove();
            due.next += batch.entries.len() as u64;
            state.ready.push_back(batch);
        }
        self.waiting.store(true, Ordering::Relaxed);
        let abandoned = state.abandoned;
        drop(state);
        if abandoned {
            self.deliver();
        }
    }

    /// Calls the application for everything that is due.
    pub(crate) fn deliver(&self) {
        // Whoever puts something in from elsewhere wakes the task afterwards.
        if !self.waiting.load(Ordering::Relaxed) {
            return;
        }
        let Some(mut turn) = Turn::begin(self) else { return };
        while let Some(batch) = turn.next() {
            for Entry { index, timestamp, attachment } in batch.entries {
                // A split batch handed its attachments on, so there is an outcome.
                if let Some(outcome) = batch.completion.outcome_of(index, timestamp) {
                    let (topic, partition) = (batch.completion.topic(), batch.completion.partition_id());
                    attachment.tell(self, topic, Some(partition), outcome);
                }
            }
        }
    }

    /// The task is gone: delivers what is due, and from now on does so at once.
    pub(crate) fn abandon(&self) {
        self.state().abandoned = true;
        self.deliver();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn of the one who delivers. Whatever ends it, another may begin then.
struct Turn<'a> {
    outbox: &'a Outbox,
    over: bool,
}

impl<'a> Turn<'a> {
    fn begin(outbox: &'a Outbox) -> Option<Self> {
        let was_busy = std::mem::replace(&mut outbox.state().busy, true);
        (!was_busy).then_some(Turn { outbox, over: false })
    }

    /// The next batch to deliver. With none, the turn is over in the same moment, so that nobody leaves his to it in vain.
    fn next(&mut self) -> Option<Ready> {
        let mut state = self.outbox.state();
        let batch = state.ready.pop_front();
        if batch.is_none() {
            (state.busy, self.over) = (false, true);
            self.outbox.waiting.store(false, Ordering::Relaxed);
        }
        batch
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.outbox.state().busy = false;
        }
    }
}
