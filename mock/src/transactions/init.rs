//! InitProducerId: identities, and the fencing of who had one before.

use std::time::Instant;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use super::Transactions;
use super::state::{Identity, State, Transaction, is_exhausted};

impl Transactions {
    /// Gives a producer its identity.
    pub fn handle_init_producer_id(
        &mut self,
        now: Instant,
        version: i16,
        request: &InitProducerIdRequest,
    ) -> InitProducerIdResponse {
        match self.init(now, request) {
            Ok(Identity { producer_id, epoch }) => {
                InitProducerIdResponse { producer_id, producer_epoch: epoch, ..Default::default() }
            }
            Err(code) => {
                let is_older = version < 4 && code == ErrorCode::PRODUCER_FENCED;
                let error_code = if is_older { ErrorCode::INVALID_PRODUCER_EPOCH } else { code };
                InitProducerIdResponse { error_code, producer_epoch: -1, ..Default::default() }
            }
        }
    }

    fn init(&mut self, now: Instant, request: &InitProducerIdRequest) -> Result<Identity, ErrorCode> {
        let expected = match (request.producer_id, request.producer_epoch) {
            (-1, -1) => None,
            (-1, _) | (_, -1) => return Err(ErrorCode::INVALID_REQUEST),
            (producer_id, epoch) => Some(Identity { producer_id, epoch }),
        };
        let Some(id) = request.transactional_id.as_deref() else {
            return Ok(Identity { producer_id: self.new_producer_id(), epoch: 0 });
        };
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        if request.enable2_pc {
            return Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        }
        if request.keep_prepared_txn {
            return Err(ErrorCode::UNSUPPORTED_VERSION);
        }
        let timeout_ms = request.transaction_timeout_ms;
        if timeout_ms <= 0 || timeout_ms > self.options.max_timeout_ms {
            return Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT);
        }
        self.init_transactional(now, id, timeout_ms, expected)
    }

    pub(super) fn init_transactional(
        &mut self,
        now: Instant,
        id: &str,
        timeout_ms: i32,
        expected: Option<Identity>,
    ) -> Result<Identity, ErrorCode> {
        if !self.transactions.contains_key(id) {
            let producer_id = self.new_producer_id();
            self.transactions.insert(id.to_owned(), Transaction::new(now, producer_id, timeout_ms));
        }
        let Some(known) = self.transactions.get(id) else { return Err(ErrorCode::UNKNOWN_SERVER_ERROR) };
        // An owner that used up its epochs may not have heard of the id that came after.
        let is_owner = |owner: Identity| {
            known.epoch == -1
                || owner.producer_id == known.producer_id
                || (owner.producer_id == known.previous_producer_id && is_exhausted(owner.epoch))
        };
        if !expected.is_none_or(is_owner) {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match known.state {
            State::PrepareCommit | State::PrepareAbort => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            State::Ongoing => {
                self.fence_and_abort(now, id);
                Err(ErrorCode::CONCURRENT_TRANSACTIONS)
            }
            State::Empty | State::CompleteCommit | State::CompleteAbort => {
                let (identity, last_epoch) =
                    self.next_identity(known.identity(), known.last_epoch, expected)?;
                if let Some(known) = self.transactions.get_mut(id) {
                    known.reset(now, identity, last_epoch, timeout_ms);
                }
                Ok(identity)
            }
        }
    }

    /// The identity after the one that is known, and the epoch from which a repeated request is recognised.
    fn next_identity(
        &mut self,
        known: Identity,
        last_epoch: i16,
        expected: Option<Identity>,
    ) -> Result<(Identity, i16), ErrorCode> {
        let expected = expected.map(|owner| owner.epoch);
        if is_exhausted(known.epoch) && expected.is_none_or(|epoch| epoch == known.epoch) {
            let rotated = Identity { producer_id: self.new_producer_id(), epoch: 0 };
            return Ok((rotated, if expected.is_some() { known.epoch } else { -1 }));
        }
        let bumped = Identity { epoch: known.epoch.saturating_add(1), ..known };
        match expected {
            None => Ok((bumped, -1)),
            Some(epoch) if known.epoch == -1 || epoch == known.epoch => Ok((bumped, known.epoch)),
            // The answer to the request before was lost.
            Some(epoch) if epoch == last_epoch => Ok((known, last_epoch)),
            Some(_) => Err(ErrorCode::PRODUCER_FENCED),
        }
    }
}
