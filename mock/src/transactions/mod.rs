//! The transaction coordinator: who may write under a transactional id, and what has to be ended together.
//!
//! [`Transactions`] is the coordinator of a whole cluster; which broker answers for which id, and the epoch in which it
//! does, is the cluster's affair. Every request is answered at once, by the state as it is then. What the coordinator
//! wants written comes out of [`Transactions::poll_marker`]: the cluster writes the marker to each [`Target`] and says so
//! with [`Transactions::handle_marker_written`]. Until the last one is written, the transactional id answers
//! `CONCURRENT_TRANSACTIONS`, so a cluster that keeps markers back makes that window as long as it likes.
//!
//! What it guarantees: one producer at a time writes with an id, older ones are fenced by their epoch; an outcome that
//! was recorded is never changed; and every partition that was added gets its marker.
//!
//! ```text
//! Empty ──add──► Ongoing ──end──► PrepareCommit ──all markers written──► CompleteCommit ──add──► Ongoing
//!   │                │ └──end, timeout, fence──► PrepareAbort ──► CompleteAbort
//!   └── abort of nothing, transaction version 2 only ──► PrepareAbort
//! ```
//!
//! Sources: KIP-98 (transactions), KIP-360 (going on after errors), KIP-588 (`PRODUCER_FENCED`), KIP-664 (describe and
//! list), KIP-890 (verification; an epoch for each transaction), KIP-994 (filter by duration), KIP-1228 (markers' version).

mod describe;
mod end;
mod init;
mod partitions;
mod state;

pub use partitions::{Admission, WriterKind};
pub use state::{State, Target};

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use state::Transaction;

/// A coordinator's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionOptions {
    /// The longest timeout that a producer may ask for (`transaction.max.timeout.ms`).
    pub max_timeout_ms: i32,
    /// After how long an id without a transaction is forgotten (`transactional.id.expiration.ms`).
    pub id_expiration_ms: u64,
    /// The cluster's transaction version: 2 in Kafka 4, at most 1 before. The coordinator's own aborts follow it.
    pub transaction_version: i8,
    /// The first producer id that is given out.
    pub first_producer_id: i64,
}

impl Default for TransactionOptions {
    fn default() -> Self {
        TransactionOptions {
            max_timeout_ms: 15 * 60 * 1000,
            id_expiration_ms: 7 * 24 * 60 * 60 * 1000,
            transaction_version: 2,
            first_producer_id: 0,
        }
    }
}

/// The end of a transaction, to be written to each of its targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Whose transaction.
    pub transactional_id: String,
    /// The producer's id.
    pub producer_id: i64,
    /// The epoch to write.
    pub producer_epoch: i16,
    /// Whether it is committed, or else aborted.
    pub commit: bool,
    /// The version that the transaction ran under.
    pub transaction_version: i8,
    /// Where it goes.
    pub targets: Vec<Target>,
}

/// The transaction coordinator.
#[derive(Debug)]
pub struct Transactions {
    options: TransactionOptions,
    /// When the wall clock showed `epoch_ms`.
    started: Instant,
    epoch_ms: i64,
    next_producer_id: i64,
    transactions: BTreeMap<String, Transaction>,
    markers: VecDeque<Marker>,
}

impl Transactions {
    /// A coordinator that knows no ids; the wall clock shows `epoch_ms` at `started`.
    pub fn new(options: TransactionOptions, started: Instant, epoch_ms: i64) -> Transactions {
        Transactions {
            options,
            started,
            epoch_ms,
            next_producer_id: options.first_producer_id,
            transactions: BTreeMap::new(),
            markers: VecDeque::new(),
        }
    }

    /// The settings.
    pub fn options(&self) -> &TransactionOptions {
        &self.options
    }

    /// Changes the settings; transactions that run keep their timeouts.
    pub fn set_options(&mut self, options: TransactionOptions) {
        self.options = options;
    }

    /// The next marker to write, each once.
    pub fn poll_marker(&mut self) -> Option<Marker> {
        self.markers.pop_front()
    }

    /// A marker is in the target's log, or the target is gone for good. Once that holds for all targets, the
    /// transaction is complete.
    pub fn handle_marker_written(
        &mut self,
        now: Instant,
        transactional_id: &str,
        producer_id: i64,
        target: &Target,
    ) {
        let Some(transaction) = self.transactions.get_mut(transactional_id) else { return };
        if transaction.producer_id == producer_id && transaction.state.is_preparing() {
            transaction.targets.remove(target);
            transaction.complete_if_marked(now);
        }
    }

    /// Another broker coordinates these ids now: the markers that are not written yet come out again.
    pub fn handle_coordinator_moved(&mut self, is_moved: impl Fn(&str) -> bool) {
        self.markers.retain(|marker| !is_moved(&marker.transactional_id));
        let preparing = |(id, known): &(&String, &Transaction)| is_moved(id) && known.state.is_preparing();
        let ids: Vec<String> = self.transactions.iter().filter(preparing).map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.queue_marker(&id);
        }
    }

    /// When [`Transactions::handle_deadline`] has something to do.
    pub fn poll_deadline(&self) -> Option<Instant> {
        self.transactions.values().filter_map(|transaction| self.deadline_of(transaction)).min()
    }

    /// Aborts what has run for too long, and forgets ids that were not used for long.
    pub fn handle_deadline(&mut self, now: Instant) {
        let is_due = |known: &Transaction| self.deadline_of(known).is_some_and(|deadline| deadline <= now);
        let due: Vec<String> =
            self.transactions.iter().filter(|(_, known)| is_due(known)).map(|(id, _)| id.clone()).collect();
        for id in due {
            if self.transactions.get(&id).is_some_and(|known| known.state == State::Ongoing) {
                self.fence_and_abort(now, &id);
            } else {
                self.transactions.remove(&id);
            }
        }
    }

    /// Fences the producer of an id, as another one that began with the same id would; an open transaction is aborted.
    /// Says whether the id was known.
    pub fn fence(&mut self, now: Instant, transactional_id: &str) -> bool {
        let Some(known) = self.transactions.get_mut(transactional_id) else { return false };
        let timeout_ms = known.timeout_ms;
        if known.state == State::Ongoing && self.options.transaction_version >= 2 {
            // The new producer would ask again after the abort; the old one is to be fenced as it would be then.
            known.epoch = known.epoch.saturating_add(1);
        }
        // What the new producer would be answered concerns nobody: an abort begins, or the epoch is a new one.
        let _ = self.init_transactional(now, transactional_id, timeout_ms, None);
        true
    }

    fn now_ms(&self, now: Instant) -> i64 {
        let elapsed = now.saturating_duration_since(self.started).as_millis();
        self.epoch_ms.saturating_add(i64::try_from(elapsed).unwrap_or(i64::MAX))
    }

    fn deadline_of(&self, transaction: &Transaction) -> Option<Instant> {
        match transaction.state {
            State::Ongoing => {
                let timeout = Duration::from_millis(u64::try_from(transaction.timeout_ms).unwrap_or(0));
                transaction.started.checked_add(timeout)
            }
            State::Empty | State::CompleteCommit | State::CompleteAbort => {
                transaction.updated.checked_add(Duration::from_millis(self.options.id_expiration_ms))
            }
            State::PrepareCommit | State::PrepareAbort => None,
        }
    }

    fn new_producer_id(&mut self) -> i64 {
        let id = self.next_producer_id;
        self.next_producer_id += 1;
        id
    }

    /// Lets the marker of a transaction that is being ended come out.
    fn queue_marker(&mut self, transactional_id: &str) {
        let Some(known) = self.transactions.get(transactional_id) else { return };
        self.markers.push_back(Marker {
            transactional_id: transactional_id.to_owned(),
            producer_id: known.producer_id,
            producer_epoch: known.epoch,
            commit: known.state == State::PrepareCommit,
            transaction_version: known.version,
            targets: known.targets.iter().cloned().collect(),
        });
    }
}

#[cfg(test)]
mod tests;
