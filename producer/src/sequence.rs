//! [`Sequences`]: the batches of one partition between their first request and their outcome, and their numbers.
//!
//! ```text
//!            send_new                 acknowledged
//!  (queue) ───────────▶ InFlight ───────────────────▶ (told)
//!     ▲                  │   ▲ │
//!     │            failed│   │ │ failed, its records were told before (timeout)
//!     │                  ▼   │ ▼
//!     │                Retry─┘ Lost ── unknown whether it was written
//!     │ settle           │
//!     └──────────────── Refused ── known not to be written: its number is a gap
//! ```
//!
//! A broker takes an idempotent producer's batches of a partition only in the order of their sequence numbers, and
//! remembers the last five. What follows from that, and is kept here:
//!
//! 1. Numbers are given out in the order of the records. A retry has the number, the epoch and the bytes of the first
//!    try, so that the broker can tell a repeat. The window reaches from the oldest batch without an outcome to the
//!    newest number, batches between that have theirs included: were it counted without those, the sixth batch
//!    could push the oldest out of the broker's memory, and its repeat would look like a number out of order.
//! 2. While a batch waits to be retried, only the first one without an outcome (the *head*) is sent, and no batch gets
//!    a new number. So order holds however answers and failures interleave.
//! 3. Until a first batch of an epoch was acknowledged, a second one is not sent: a broker that knows nothing of the
//!    producer takes any number, and would take the second batch although it refused the first. Whenever the log may
//!    have lost what it knew (another leader, the topic made anew, a long silence), the same holds again, and what was
//!    sent before the doubt does not settle it.
//! 4. `OUT_OF_ORDER_SEQUENCE_NUMBER` for a batch sent as head says that neither it nor any later one was written (the
//!    broker lost what came before, or a batch whose outcome was given up was never written). For a batch sent behind
//!    others it says nothing: it is retried as head. A broker that was stopped and started in between is the exception:
//!    of each producer it has kept the last batch and not five, and says the same of an earlier one that is written. A
//!    producer cannot tell the two cases apart, and sends the batches again (rule 5): up to five may be in the log
//!    twice then, which takes a partition whose only replica was restarted between a batch and its answer. So a record
//!    of which a try was not answered counts as possibly written for as long as it is not acknowledged.
//! 5. A number that will not be used (a batch refused for good, or split, or expired unwritten) is a gap. When the head
//!    is a gap and nothing is in flight, the epoch of *this partition* is raised, and what is behind the gap goes back
//!    to the queue to be numbered from 0. Nothing behind a gap was written (rule 4), so nothing is duplicated. Brokers
//!    keep a producer's epoch per partition, so other partitions go on undisturbed.
//! 6. A batch that expired with its outcome unknown (*lost*) may or may not be written. What was sent behind it keeps its
//!    numbers and tells: accepted means that the lost one was written, out of order (as head) that it was not. With
//!    nothing sent behind it, the epoch is raised before anything else is.
//!
//! Without idempotence there are no numbers, and of the rules only the window remains: order holds with one request in
//! flight.
//!
//! Sources: KIP-98 (sequences), KIP-360 (raising the epoch after errors), KAFKA-5494 (five in flight).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use numbers::Numbers;
pub(crate) use numbers::{Identity, Kept};
use ottla_protocol::records::ProducerState;

use crate::batch::Batch;
use crate::memory::Charge;

mod numbers;

/// One partition's batches in flight.
#[derive(Debug)]
pub(crate) struct Sequences {
    idempotent: bool,
    /// The most batches without an outcome.
    window: usize,
    numbers: Numbers,
    /// Whether a batch of this epoch and era was acknowledged (rule 3).
    anchored: bool,
    /// Counts the doubts about what the log knows of the producer.
    era: u32,
    entries: VecDeque<Entry>,
    next_ticket: u64,
}

/// Names a batch in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticket(u64);

#[derive(Debug)]
struct Entry {
    ticket: Ticket,
    state: State,
    /// When it was sent last.
    era: u32,
    /// Whether some try may have been processed without an answer that told.
    unknown: bool,
    /// Gone once its records were told.
    batch: Option<Batch>,
    /// For bytes of a batch that was told, which the request under way still holds.
    charge: Option<Charge>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    InFlight { as_head: bool },
    Retry,
    Lost,
    Refused,
}

/// What may be sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// This batch again.
    Retry(Ticket),
    /// A new batch.
    New,
    /// A new batch, but first a producer id.
    NeedsIdentity,
    /// Nothing, until an answer comes.
    Wait,
}

impl Sequences {
    /// Sequences of an idempotent producer, or the mere window of another.
    pub(crate) fn new(idempotent: bool, window: usize) -> Self {
        Sequences {
            idempotent,
            window: window.max(1),
            numbers: Numbers::default(),
            anchored: false,
            era: 0,
            entries: VecDeque::new(),
            next_ticket: 0,
        }
    }

    /// Sequences of an idempotent producer that go on from where they stood. The log may have forgotten the producer
    /// meanwhile (rule 3).
    pub(crate) fn restored(window: usize, kept: Kept) -> Self {
        Sequences { numbers: kept.into(), ..Sequences::new(true, window) }
    }

    /// Where the sequence stands, if it has begun. Only while no batch is without an outcome.
    pub(crate) fn keep(&self) -> Option<Kept> {
        debug_assert!(self.is_empty());
        self.numbers.keep()
    }

    /// Batches that wait to be sent again.
    pub(crate) fn retrying(&self) -> usize {
        self.entries.iter().filter(|entry| entry.state == State::Retry).count()
    }

    /// Whether no batch is without an outcome.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Batches whose records have not been told.
    pub(crate) fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.entries.iter().filter_map(|entry| entry.batch.as_ref())
    }

    /// The batch of this ticket.
    pub(crate) fn batch_mut(&mut self, ticket: Ticket) -> Option<&mut Batch> {
        self.entry(ticket)?.batch.as_mut()
    }

    /// Begins with a new producer id. False if it is one whose epochs are used up here, so that another is needed.
    pub(crate) fn identify(&mut self, identity: Identity) -> bool {
        self.numbers.identify(identity)
    }

    /// The log may know nothing of the producer any more (rule 3).
    pub(crate) fn unanchor(&mut self) {
        self.anchored = false;
        self.era = self.era.wrapping_add(1);
    }

    /// What may be sent next.
    pub(crate) fn next(&self) -> Next {
        if !self.idempotent {
            let retry = self.entries.iter().find(|entry| entry.state == State::Retry);
            return match retry {
                Some(entry) => Next::Retry(entry.ticket),
                None if self.entries.len() < self.window => Next::New,
                None => Next::Wait,
            };
        }
        match self.head() {
            Some(head) if self.entries[head].state == State::Retry => Next::Retry(self.entries[head].ticket),
            _ if self.entries.iter().any(|entry| !matches!(entry.state, State::InFlight { .. })) => {
                Next::Wait
            }
            _ if self.span() >= self.window as u64 => Next::Wait,
            Some(_) if !self.anchored => Next::Wait,
            _ if !self.numbers.may_be_given_out() => Next::NeedsIdentity,
            _ => Next::New,
        }
    }

    /// The state that a new batch is to be sealed with, should it be sent now.
    pub(crate) fn upcoming(&self) -> ProducerState {
        if self.idempotent { self.numbers.upcoming() } else { ProducerState::NONE }
    }

    /// Takes a new batch that is being sent. Only after [`Next::New`].
    pub(crate) fn send_new(&mut self, batch: Batch) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.numbers.take(batch.count);
        let as_head = self.head().is_none();
        self.entries.push_back(Entry {
            ticket,
            state: State::InFlight { as_head },
            era: self.era,
            // Of this number: an earlier one may have been written.
            unknown: false,
            batch: Some(batch),
            charge: None,
        });
        ticket
    }

    /// Notes that a batch is being sent again, and gives it out. Only after [`Next::Retry`].
    pub(crate) fn resend(&mut self, ticket: Ticket) -> Option<&mut Batch> {
        let as_head = self.head().is_some_and(|head| self.entries[head].ticket == ticket);
        let era = self.era;
        let entry = self.entry(ticket)?;
        (entry.state, entry.era) = (State::InFlight { as_head }, era);
        entry.batch.as_mut()
    }

    /// The batch is written. Gives it back unless its records were told before.
    pub(crate) fn acknowledged(&mut self, ticket: Ticket) -> Option<Batch> {
        let at = self.position(ticket)?;
        let entry = self.entries.remove(at)?;
        self.anchored |= entry.era == self.era;
        // It would not have been accepted if those lost before it had not been written (rule 6).
        let mut before = at;
        self.entries.retain(|entry| {
            let earlier = before > 0;
            before = before.saturating_sub(1);
            !(earlier && entry.state == State::Lost)
        });
        entry.batch
    }

    /// The try failed and the batch should be sent again; `unknown` says that it may have been written.
    pub(crate) fn retry(&mut self, ticket: Ticket, unknown: bool) {
        if let Some(entry) = self.entry(ticket) {
            entry.unknown |= unknown;
            entry.end_try();
        }
    }

    /// The broker found the number out of order, or did not know the producer (rule 4). True if that was to be expected,
    /// since a number before it is a gap.
    pub(crate) fn out_of_order(&mut self, ticket: Ticket) -> bool {
        let Some(at) = self.position(ticket) else { return false };
        let behind_gap = self.entries.iter().take(at).any(|earlier| earlier.state == State::Refused);
        let entry = &mut self.entries[at];
        match entry.state {
            State::InFlight { as_head: true } => entry.refuse(),
            _ => entry.end_try(),
        }
        behind_gap
    }

    /// The broker knows a higher epoch: this try wrote nothing, and a new producer id is needed.
    pub(crate) fn spent(&mut self, ticket: Ticket) {
        if let Some(entry) = self.entry(ticket) {
            entry.refuse();
            self.numbers.spend();
        }
    }

    /// The broker refused the batch for good: it will not be written, and is not unless an earlier try, of which nobody
    /// knows the outcome, wrote it. Gives it back, to be told or split.
    pub(crate) fn refused(&mut self, ticket: Ticket) -> Option<Batch> {
        let entry = self.entry(ticket)?;
        let batch = entry.batch.take();
        entry.end_try();
        batch
    }

    /// Gives up on a batch that an answer left in the dark: it may be written or not. Gives it back to be told.
    pub(crate) fn lost(&mut self, ticket: Ticket) -> Option<Batch> {
        let entry = self.entry(ticket)?;
        entry.unknown = true;
        let batch = entry.batch.take();
        entry.end_try();
        batch
    }

    /// Puts the parts of a refused batch in its place.
    pub(crate) fn replace(&mut self, ticket: Ticket, parts: impl IntoIterator<Item = Batch>) {
        let Some(mut at) = self.position(ticket) else { return };
        self.entries.remove(at);
        for batch in parts {
            let ticket = Ticket(self.next_ticket);
            self.next_ticket += 1;
            let (state, era) = (State::Refused, self.era);
            let entry = Entry { ticket, state, era, unknown: false, batch: Some(batch), charge: None };
            self.entries.insert(at, entry);
            at += 1;
        }
    }

    /// Gives up waiting for a batch that was or is in flight: it may not be sent again. Gives it back to be told.
    pub(crate) fn give_up(&mut self, ticket: Ticket) -> Option<Batch> {
        let entry = self.entry(ticket)?;
        let mut batch = entry.batch.take();
        match entry.state {
            State::InFlight { .. } => {
                if let Some(batch) = &mut batch {
                    batch.possibly_written = true;
                    entry.charge = batch.let_go();
                }
            }
            State::Retry => entry.end_try(),
            State::Lost | State::Refused => {}
        }
        batch
    }

    /// Gives back the batches whose time is over.
    pub(crate) fn expire(&mut self, now: Instant, timeout: Duration) -> Vec<Batch> {
        let expired: Vec<Ticket> = self
            .entries
            .iter()
            .filter(|entry| entry.batch.as_ref().is_some_and(|batch| batch.is_expired(now, timeout)))
            .map(|entry| entry.ticket)
            .collect();
        expired.into_iter().filter_map(|ticket| self.give_up(ticket)).collect()
    }

    /// Resolves gaps (rules 5 and 6) once that is safe: gives back, in order, the batches to be numbered anew.
    pub(crate) fn settle(&mut self) -> Vec<Batch> {
        if !self.idempotent {
            let mut again = Vec::new();
            self.entries.retain_mut(|entry| match entry.state {
                State::Refused | State::Lost => {
                    again.extend(entry.batch.take());
                    false
                }
                State::InFlight { .. } | State::Retry => true,
            });
            return again;
        }
        let in_flight = self.entries.iter().any(|entry| matches!(entry.state, State::InFlight { .. }));
        if self.entries.is_empty() || in_flight {
            return Vec::new();
        }
        if self.head().is_some_and(|head| self.entries[head].state != State::Refused) {
            return Vec::new();
        }
        self.numbers.raise_epoch();
        self.anchored = false;
        self.entries.drain(..).filter_map(|entry| entry.batch).collect()
    }

    /// Gives back all batches, as if their time were over; the sequence goes on. Those in flight may have been written.
    pub(crate) fn give_up_all(&mut self) -> Vec<Batch> {
        let tickets: Vec<Ticket> = self.entries.iter().map(|entry| entry.ticket).collect();
        tickets.into_iter().filter_map(|ticket| self.give_up(ticket)).collect()
    }

    /// Ends: gives back all batches. Those in flight may have been written.
    pub(crate) fn abandon(&mut self) -> Vec<Batch> {
        let batches = self.give_up_all();
        self.entries.clear();
        batches
    }

    /// Batches from the oldest one without an outcome to the newest, those between that have theirs included.
    fn span(&self) -> u64 {
        self.entries.front().map_or(0, |oldest| self.next_ticket - oldest.ticket.0)
    }

    /// The first batch that is not lost.
    fn head(&self) -> Option<usize> {
        self.entries.iter().position(|entry| entry.state != State::Lost)
    }

    fn position(&self, ticket: Ticket) -> Option<usize> {
        self.entries.iter().position(|entry| entry.ticket == ticket)
    }

    fn entry(&mut self, ticket: Ticket) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.ticket == ticket)
    }
}

impl Entry {
    /// It is not in flight any more, and not known to be written.
    fn end_try(&mut self) {
        self.charge = None;
        self.state = match (&self.batch, self.unknown) {
            (Some(_), _) => State::Retry,
            (None, true) => State::Lost,
            (None, false) => State::Refused,
        };
    }

    /// The broker says that its number was not taken.
    fn refuse(&mut self) {
        self.charge = None;
        self.state = State::Refused;
        self.unknown = false;
    }
}

#[cfg(test)]
mod tests;
