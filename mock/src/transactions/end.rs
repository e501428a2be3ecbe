//! How transactions end: by their producer, by a fence, or by their timeout.

use std::time::Instant;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::end_txn::{EndTxnRequest, EndTxnResponse};

use super::Transactions;
use super::state::{Identity, State, Transaction, is_exhausted};

/// The version from which EndTxn bumps the epoch (KIP-890, transaction version 2).
const BUMPS_FROM: i16 = 5;

/// What an EndTxn request comes to.
enum Outcome {
    /// The outcome is recorded now.
    Record,
    /// It was recorded before, and the answer lost.
    Repeated,
}

impl Transactions {
    /// Records the outcome that the producer wants.
    pub fn handle_end_txn(&mut self, now: Instant, version: i16, request: &EndTxnRequest) -> EndTxnResponse {
        let ended = self.end(now, version, request);
        let mut response = EndTxnResponse::default();
        match ended {
            Ok(identity) if version >= BUMPS_FROM => {
                response.producer_id = identity.producer_id;
                response.producer_epoch = identity.epoch;
            }
            Ok(_) => {}
            Err(ErrorCode::PRODUCER_FENCED) if version < 2 => {
                response.error_code = ErrorCode::INVALID_PRODUCER_EPOCH;
            }
            Err(code) => response.error_code = code,
        }
        response
    }

    fn end(&mut self, now: Instant, version: i16, request: &EndTxnRequest) -> Result<Identity, ErrorCode> {
        let id = request.transactional_id.as_str();
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let owner = Identity { producer_id: request.producer_id, epoch: request.producer_epoch };
        let known = self.transactions.get(id).ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        let bumps = version >= BUMPS_FROM;
        let outcome = if bumps {
            bumping_outcome(known, owner, request.committed)?
        } else {
            plain_outcome(known, owner, request.committed)?
        };
        let known = known.identity();
        Ok(match outcome {
            Outcome::Repeated => known,
            Outcome::Record => {
                let is_used_up = bumps && is_exhausted(known.epoch);
                let next = if is_used_up { self.new_producer_id() } else { -1 };
                self.prepare(now, id, request.committed, if bumps { 2 } else { 0 }, next)
            }
        })
    }

    /// Aborts an open transaction and fences its producer.
    pub(super) fn fence_and_abort(&mut self, now: Instant, id: &str) {
        let version = self.options.transaction_version;
        let Some(known) = self.transactions.get_mut(id) else { return };
        // From transaction version 2 on, the epoch that the outcome brings is the fence.
        if version < 2 {
            known.epoch = known.epoch.saturating_add(1);
            known.last_epoch = -1;
        }
        self.prepare(now, id, false, version, -1);
    }

    /// Records an outcome, has its markers written, and says what the owner is once they are.
    fn prepare(
        &mut self,
        now: Instant,
        id: &str,
        commit: bool,
        version: i8,
        next_producer_id: i64,
    ) -> Identity {
        let now_ms = self.now_ms(now);
        let Some(known) = self.transactions.get_mut(id) else {
            return Identity { producer_id: -1, epoch: -1 };
        };
        if known.state != State::Ongoing {
            known.started_ms = now_ms;
        }
        known.prepare(now, commit, version, next_producer_id);
        let identity = if next_producer_id < 0 {
            known.identity()
        } else {
            Identity { producer_id: next_producer_id, epoch: 0 }
        };
        known.complete_if_marked(now);
        if known.state.is_preparing() {
            self.queue_marker(id);
        }
        identity
    }
}

/// What becomes of a request below version 5: a repeated one is told by the outcome alone.
fn plain_outcome(known: &Transaction, owner: Identity, commit: bool) -> Result<Outcome, ErrorCode> {
    if known.producer_id != owner.producer_id {
        return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    }
    if known.epoch != owner.epoch {
        return Err(ErrorCode::PRODUCER_FENCED);
    }
    match (known.state, commit) {
        (State::Ongoing, _) => Ok(Outcome::Record),
        (State::CompleteCommit, true) | (State::CompleteAbort, false) => Ok(Outcome::Repeated),
        (State::PrepareCommit, true) | (State::PrepareAbort, false) => {
            Err(ErrorCode::CONCURRENT_TRANSACTIONS)
        }
        _ => Err(ErrorCode::INVALID_TXN_STATE),
    }
}

/// What becomes of a request from version 5 on: a repeated one has the epoch before the bump. An abort with nothing to
/// abort is recorded, too, as the producer can't know what reached the coordinator.
fn bumping_outcome(known: &Transaction, owner: Identity, commit: bool) -> Result<Outcome, ErrorCode> {
    let is_after_bump = i32::from(known.epoch) == i32::from(owner.epoch) + 1;
    let is_after_rotation =
        known.previous_producer_id == owner.producer_id && owner.epoch == i16::MAX - 1 && known.epoch == 0;
    if known.producer_id != owner.producer_id && !is_after_rotation {
        return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    }
    let is_valid = match known.state {
        State::Ongoing | State::Empty => owner.epoch == known.epoch,
        State::PrepareCommit | State::PrepareAbort => is_after_bump,
        State::CompleteCommit | State::CompleteAbort => {
            is_after_bump || is_after_rotation || owner.epoch == known.epoch
        }
    };
    if !is_valid {
        return Err(ErrorCode::PRODUCER_FENCED);
    }
    let is_repeated = is_after_bump || is_after_rotation;
    match (known.state, commit) {
        (State::Ongoing, _) => Ok(Outcome::Record),
        (State::CompleteCommit, true) | (State::CompleteAbort, false) if is_repeated => Ok(Outcome::Repeated),
        (State::CompleteCommit | State::CompleteAbort, false) if !is_repeated => Ok(Outcome::Record),
        (State::Empty, false) => Ok(Outcome::Record),
        (State::PrepareCommit, true) | (State::PrepareAbort, false) => {
            Err(ErrorCode::CONCURRENT_TRANSACTIONS)
        }
        _ => Err(ErrorCode::INVALID_TXN_STATE),
    }
}
