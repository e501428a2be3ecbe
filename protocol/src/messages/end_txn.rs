//! EndTxn: commits or aborts a transaction. Goes to the transaction's coordinator. Needs Write on the
//! transactional id.
//!
//! The answer comes once the coordinator has recorded the outcome, from where on nothing can change it; the
//! markers in the partitions are written afterwards. A request that is sent again with the same outcome is
//! answered alike.
//!
//! Versions: 2 answers `PRODUCER_FENCED` where older ones answer `INVALID_PRODUCER_EPOCH`; 3 is flexible; 4
//! may answer `TRANSACTION_ABORTABLE`; 5 gives the producer a new epoch with each transaction. Version 5 is
//! only for a cluster with transaction version 2 or newer: below it a client must send 4 at most, whatever
//! the broker announces.
//!
//! Sources: KIP-98 (transactions), KIP-588 (`PRODUCER_FENCED`), KIP-890 (`TRANSACTION_ABORTABLE`, epochs).

use alloc::string::String;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(END_TXN: EndTxnRequest => EndTxnResponse, versions 0..=5, flexible 3..);

wire! {
    /// Ends the transaction that is open.
    pub struct EndTxnRequest {
        /// The producer's transactional id; `INVALID_REQUEST` if empty.
        transactional_id: String,
        /// The producer's id; `INVALID_PRODUCER_ID_MAPPING` if the transactional id has another one, or none
        /// (any more).
        producer_id: i64,
        /// The producer's epoch; `PRODUCER_FENCED` or `INVALID_PRODUCER_EPOCH` if a newer producer took over
        /// or the coordinator aborted the transaction after its timeout. A request of version 5 that is sent
        /// again carries the epoch from before.
        producer_epoch: i16,
        /// Whether to commit; otherwise the transaction is aborted. `INVALID_TXN_STATE` if it has already
        /// ended in the other way, or there is none: to commit nothing is always wrong, to abort nothing only
        /// below version 5, which answers it with a new epoch.
        committed: bool,
    }

    /// Whether the transaction has ended.
    pub struct EndTxnResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// `CONCURRENT_TRANSACTIONS` while the coordinator is still at work on this outcome or another change
        /// (ask again), `NOT_COORDINATOR` and its like, `TRANSACTIONAL_ID_AUTHORIZATION_FAILED`, and those
        /// that the request's fields name.
        error_code: ErrorCode,
        /// The producer's id from now on, a new one when the epochs of the old one are used up; -1 with an
        /// error.
        [5.., ignorable] producer_id: i64 = -1,
        /// The epoch for the next transaction; -1 with an error.
        [5.., ignorable] producer_epoch: i16 = -1,
    }
}
