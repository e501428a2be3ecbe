//! AddOffsetsToTxn: tells the transaction coordinator that the transaction will commit offsets of a group.
//! Needs Write on the transactional id and Read on the group.
//!
//! The coordinator adds the partition of `__consumer_offsets` that holds the group; then TxnOffsetCommit
//! takes the offsets to the group's own coordinator. With transaction version 2 clients don't send this:
//! TxnOffsetCommit does both.
//!
//! Versions: 2 answers `PRODUCER_FENCED` where older ones answer `INVALID_PRODUCER_EPOCH`; 3 is flexible; 4
//! may answer `TRANSACTION_ABORTABLE`.
//!
//! Sources: KIP-98 (transactions), KIP-588 (`PRODUCER_FENCED`), KIP-890 (`TRANSACTION_ABORTABLE`).

use alloc::string::String;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(ADD_OFFSETS_TO_TXN: AddOffsetsToTxnRequest => AddOffsetsToTxnResponse, versions 0..=4, flexible 3..);

wire! {
    /// Announces a group's offsets.
    pub struct AddOffsetsToTxnRequest {
        /// The producer's transactional id; `INVALID_REQUEST` if empty.
        transactional_id: String,
        /// The producer's id; `INVALID_PRODUCER_ID_MAPPING` if the transactional id has another one, or none
        /// (any more).
        producer_id: i64,
        /// The producer's epoch; `PRODUCER_FENCED` or `INVALID_PRODUCER_EPOCH` if a newer producer took over.
        producer_epoch: i16,
        /// The group whose offsets will follow; it need not exist yet.
        group_id: String,
    }

    /// Whether the group is in.
    pub struct AddOffsetsToTxnResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// `CONCURRENT_TRANSACTIONS` while the transaction before is being ended (ask again soon),
        /// `NOT_COORDINATOR` and its like; `TRANSACTIONAL_ID_AUTHORIZATION_FAILED`,
        /// `GROUP_AUTHORIZATION_FAILED`, after which the transaction can only be aborted, and those that the
        /// request's fields name.
        error_code: ErrorCode,
    }
}
