//! What the coordinator keeps of a transactional id, and how that changes.

use std::collections::BTreeSet;
use std::time::Instant;

use ottla_protocol::error_code::ErrorCode;

/// Where a transactional id is in its cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// No transaction yet.
    Empty,
    /// Something was added.
    Ongoing,
    /// To be committed; markers are being written.
    PrepareCommit,
    /// To be aborted; markers are being written.
    PrepareAbort,
    /// Committed.
    CompleteCommit,
    /// Aborted.
    CompleteAbort,
}

impl State {
    /// Kafka's name.
    pub const fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Ongoing => "Ongoing",
            State::PrepareCommit => "PrepareCommit",
            State::PrepareAbort => "PrepareAbort",
            State::CompleteCommit => "CompleteCommit",
            State::CompleteAbort => "CompleteAbort",
        }
    }

    /// Whether markers are being written.
    pub const fn is_preparing(self) -> bool {
        matches!(self, State::PrepareCommit | State::PrepareAbort)
    }
}

/// What gets a transaction's marker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A partition of a topic.
    Partition {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: i32,
    },
    /// The offsets of a group.
    Group(String),
}

/// Epochs from here on are not given to clients, so that the coordinator can always fence.
pub(super) const fn is_exhausted(epoch: i16) -> bool {
    epoch >= i16::MAX - 1
}

/// A producer as a client names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
}

/// A transactional id.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) producer_id: i64,
    /// The id before the last change, whatever it changed.
    pub(super) previous_producer_id: i64,
    /// The id from the transaction's completion on, or -1 to keep the one it has.
    pub(super) next_producer_id: i64,
    /// The epoch, or -1 before the first.
    pub(super) epoch: i16,
    /// The epoch before, where its owner may have missed the answer that told the new one.
    pub(super) last_epoch: i16,
    pub(super) timeout_ms: i32,
    pub(super) state: State,
    /// What is added and not marked yet.
    pub(super) targets: BTreeSet<Target>,
    /// When the transaction began, in milliseconds since 1970, or -1.
    pub(super) started_ms: i64,
    pub(super) started: Instant,
    pub(super) updated: Instant,
    /// The transaction version of the last change.
    pub(super) version: i8,
}

impl Transaction {
    pub(super) fn new(now: Instant, producer_id: i64, timeout_ms: i32) -> Transaction {
        Transaction {
            producer_id,
            previous_producer_id: -1,
            next_producer_id: -1,
            epoch: -1,
            last_epoch: -1,
            timeout_ms,
            state: State::Empty,
            targets: BTreeSet::new(),
            started_ms: -1,
            started: now,
            updated: now,
            version: 0,
        }
    }

    pub(super) fn identity(&self) -> Identity {
        Identity { producer_id: self.producer_id, epoch: self.epoch }
    }

    /// Whether a producer may act for this id now.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_ID_MAPPING`, `PRODUCER_FENCED`, or `CONCURRENT_TRANSACTIONS` while markers are being written.
    pub(super) fn check_owner(&self, owner: Identity) -> Result<(), ErrorCode> {
        if self.producer_id != owner.producer_id {
            // The owner has heard of its next id before the markers are written.
            let is_next = self.state.is_preparing() && self.next_producer_id == owner.producer_id;
            let code = if is_next {
                ErrorCode::CONCURRENT_TRANSACTIONS
            } else {
                ErrorCode::INVALID_PRODUCER_ID_MAPPING
            };
            return Err(code);
        }
        if self.epoch != owner.epoch {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        if self.state.is_preparing() {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        Ok(())
    }

    /// A producer begins anew: no transaction, another epoch or id.
    pub(super) fn reset(&mut self, now: Instant, identity: Identity, last_epoch: i16, timeout_ms: i32) {
        self.touch(now);
        self.state = State::Empty;
        self.producer_id = identity.producer_id;
        self.epoch = identity.epoch;
        self.last_epoch = last_epoch;
        self.timeout_ms = timeout_ms;
        self.targets.clear();
        self.started_ms = -1;
    }

    /// Adds to the transaction, which begins with that if none is open.
    pub(super) fn add(
        &mut self,
        now: Instant,
        now_ms: i64,
        targets: impl IntoIterator<Item = Target>,
        version: i8,
    ) {
        self.touch(now);
        if self.state != State::Ongoing {
            self.state = State::Ongoing;
            self.started = now;
            self.started_ms = now_ms;
        }
        self.targets.extend(targets);
        self.version = version;
    }

    /// Records the outcome. From transaction version 2 on the markers have the next epoch; `next_producer_id` follows
    /// where there is none left for the owner.
    pub(super) fn prepare(&mut self, now: Instant, commit: bool, version: i8, next_producer_id: i64) {
        self.touch(now);
        self.state = if commit { State::PrepareCommit } else { State::PrepareAbort };
        self.version = version;
        self.next_producer_id = next_producer_id;
        if version >= 2 {
            self.last_epoch = self.epoch;
            self.epoch = self.epoch.saturating_add(1);
        }
    }

    /// Completes the transaction if nothing is left to be marked.
    pub(super) fn complete_if_marked(&mut self, now: Instant) {
        if !self.state.is_preparing() || !self.targets.is_empty() {
            return;
        }
        self.touch(now);
        self.state =
            if self.state == State::PrepareCommit { State::CompleteCommit } else { State::CompleteAbort };
        if self.version >= 2 && self.next_producer_id >= 0 {
            self.producer_id = self.next_producer_id;
            self.epoch = 0;
        }
        self.next_producer_id = -1;
    }

    fn touch(&mut self, now: Instant) {
        self.previous_producer_id = self.producer_id;
        self.updated = now;
    }
}
