//! Histories of runs, and what is wrong with them.
//!
//! A run notes what its producers and consumers did, were told and were handed ([`Event`]), and at its end what the logs
//! hold ([`FinalLog`]); [`History::check`] finds everything that contradicts what Kafka's clients promise ([`Rule`]). It
//! knows nothing of any client, so it judges everybody's.
//!
//! ```
//! use std::time::Duration;
//! use ottla_mock::history::{Event, FinalLog, History, Limits, Logged, Place, RecordId, Rule};
//!
//! let (first, second) = (RecordId { producer: 1, sequence: 0 }, RecordId { producer: 1, sequence: 1 });
//! let place = Place::new("orders", 0);
//! let mut history = History::new();
//! for (record, offset) in [(first, 0), (second, 1)] {
//!     history.note(Duration::ZERO, Event::Sent { record, place: place.clone(), transaction: None });
//!     history.note(Duration::from_millis(5), Event::Acknowledged { record, offset: Some(offset) });
//! }
//! history.keep(place, FinalLog::new([Logged::plain(0, first)]));
//! let violations = history.check(&Limits::default());
//! assert_eq!(violations.iter().map(|violation| violation.rule).collect::<Vec<_>>(), [Rule::Lost]);
//! assert!(violations[0].to_string().starts_with("lost: 1#1 was acknowledged at orders-0 offset 1 and is not there"));
//! ```
//!
//! - [`event`](Event): what is noted; `log`: what the logs hold;
//! - `index`: the same, by record, transaction, consumer and partition;
//! - `rules`: one file for what concerns the log, reading, ownership, commits, transactions, processing, outcomes and time;
//! - `violation`: how a finding reads, with the part of the history around it.
//!
//! Guarantee: the findings follow from the history alone, in an order that does not change.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub use event::{ConsumerId, Entry, Event, Place, RecordId, TransactionId};
pub use log::{Fate, FinalLog, Logged, UnreadableLog};
pub use violation::{Rule, Violation};

mod event;
mod index;
mod log;
mod rules;
#[cfg(test)]
mod tests;
mod violation;

/// What happened in a run, in the order in which it happened, and what the logs held in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    entries: Vec<Entry>,
    logs: BTreeMap<Place, FinalLog>,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From a record's acceptance to its outcome: `delivery.timeout.ms` and a little more.
    pub outcome: Duration,
    /// From asking for a commit to its answer.
    pub commit: Duration,
    /// From a record's acknowledgement, or from when the cluster is calm if that is later, to its being handed out to
    /// every group.
    pub delivery: Duration,
    /// How long a disturbance can make a coordinator give up a member that is still there. Who has a partition without
    /// knowing better after that, in a calm cluster, has it wrongly.
    pub expulsion: Duration,
}

impl Default for Limits {
    /// Those of a client with Kafka's default timeouts.
    fn default() -> Limits {
        Limits {
            outcome: Duration::from_secs(125),
            commit: Duration::from_secs(65),
            delivery: Duration::from_secs(120),
            expulsion: Duration::from_secs(300),
        }
    }
}

impl History {
    /// One in which nothing has happened.
    pub fn new() -> History {
        History::default()
    }

    /// Notes what happened `at` this time since the run's start.
    pub fn note(&mut self, at: Duration, event: Event) {
        self.entries.push(Entry { at, event });
    }

    /// Keeps what a partition's log held in the end.
    pub fn keep(&mut self, place: Place, log: FinalLog) {
        self.logs.insert(place, log);
    }

    /// What happened.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What the logs held in the end.
    pub fn logs(&self) -> &BTreeMap<Place, FinalLog> {
        &self.logs
    }

    /// Everything that is wrong. Records are looked for only in logs that were kept.
    pub fn check(&self, limits: &Limits) -> Vec<Violation> {
        rules::check(self, limits)
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.entries {
            writeln!(f, "{entry}")?;
        }
        for (place, log) in &self.logs {
            writeln!(f, "{place}: {log}")?;
        }
        Ok(())
    }
}
