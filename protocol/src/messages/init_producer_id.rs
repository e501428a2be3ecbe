//! InitProducerId: gives a producer its id and epoch. Any broker serves idempotent producers; a transactional
//! one asks its coordinator, which fences older producers of the same transactional id and aborts what they
//! left open.
//!
//! Needs Write on the transactional id; without one, IdempotentWrite on the cluster or Write on any topic.
//!
//! Versions: 2 is flexible; 3 lets a producer that met an error go on with its id and a higher epoch; 4
//! answers `PRODUCER_FENCED` where older ones answer `INVALID_PRODUCER_EPOCH`; 5 may answer
//! `TRANSACTION_ABORTABLE`; 6 (two-phase commit) is unstable in Kafka 4.3, so it is never negotiated.
//!
//! Sources: KIP-98, KIP-360 (going on after errors), KIP-588 (`PRODUCER_FENCED`), KIP-890 (transactions,
//! second part), KIP-939 (two-phase commit).

use alloc::string::String;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(INIT_PRODUCER_ID: InitProducerIdRequest => InitProducerIdResponse, versions 0..=6, flexible 2.., unstable 6..);

wire! {
    /// Asks for a producer id, or for the next epoch of one.
    pub struct InitProducerIdRequest {
        /// The transactional id; null for a producer that is only idempotent, `INVALID_REQUEST` if it is
        /// empty.
        transactional_id: Option<String> = Some(String::new()),
        /// After how many milliseconds the coordinator aborts an open transaction and fences its producer;
        /// `INVALID_TRANSACTION_TIMEOUT` if it isn't positive or more than the broker's
        /// `transaction.max.timeout.ms`. Without meaning for a null id.
        transaction_timeout_ms: i32,
        /// The id that the producer has already and wants to keep; -1 for none. `INVALID_REQUEST` if only one
        /// of id and epoch is -1.
        [3..] producer_id: i64 = -1,
        /// That id's epoch, -1 for none; `PRODUCER_FENCED` or `INVALID_PRODUCER_EPOCH` if a newer producer
        /// took over.
        [3..] producer_epoch: i16 = -1,
        /// Whether an outside coordinator decides on commit, so that transactions don't time out; needs
        /// TwoPhaseCommit on the transactional id and brokers that have it switched on, else
        /// `TRANSACTIONAL_ID_AUTHORIZATION_FAILED`.
        [6..] enable2_pc: bool,
        /// Whether a transaction that is prepared stays as it is, instead of being aborted; brokers up to 4.3
        /// answer `UNSUPPORTED_VERSION`.
        [6..] keep_prepared_txn: bool,
    }

    /// The producer's identity.
    pub struct InitProducerIdResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        [ignorable] throttle_time_ms: i32,
        /// `CONCURRENT_TRANSACTIONS` while the predecessor's transaction is being ended and
        /// `COORDINATOR_LOAD_IN_PROGRESS` (ask again), `NOT_COORDINATOR` and `COORDINATOR_NOT_AVAILABLE`,
        /// `TRANSACTIONAL_ID_AUTHORIZATION_FAILED`, `CLUSTER_AUTHORIZATION_FAILED` without a transactional
        /// id, and those that the request's fields name.
        error_code: ErrorCode,
        /// The id, a new one once the epochs of the old one are used up; -1 with an error.
        producer_id: i64 = -1,
        /// The epoch to write with; sequence numbers begin at 0 again.
        producer_epoch: i16,
        /// The id behind the transaction that was kept; -1 if there is none.
        [6..] ongoing_txn_producer_id: i64 = -1,
        /// The epoch behind the transaction that was kept; -1 if there is none.
        [6..] ongoing_txn_producer_epoch: i16 = -1,
    }
}
