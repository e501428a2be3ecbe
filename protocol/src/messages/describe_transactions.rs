//! DescribeTransactions: what the coordinator knows of transactional ids. Each id is asked for at its coordinator.
//!
//! Sources: KIP-664.

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(DESCRIBE_TRANSACTIONS: DescribeTransactionsRequest => DescribeTransactionsResponse, versions 0..=0, flexible 0..);

wire! {
    /// Asks for the state of transactions.
    pub struct DescribeTransactionsRequest {
        /// The transactional ids; none get none in the answer.
        transactional_ids: Vec<String>,
    }

    /// The state of transactions.
    pub struct DescribeTransactionsResponse {
        /// How long the quota holds the client back, in milliseconds.
        throttle_time_ms: i32,
        /// The transactions, one for each id.
        transaction_states: Vec<TransactionState>,
    }

    /// A transactional id, and the transaction that it has open or had last.
    pub struct TransactionState {
        /// `TRANSACTIONAL_ID_NOT_FOUND`, `TRANSACTIONAL_ID_AUTHORIZATION_FAILED`, `NOT_COORDINATOR`,
        /// `COORDINATOR_LOAD_IN_PROGRESS`, or `INVALID_REQUEST` for an empty id.
        error_code: ErrorCode,
        /// The transactional id.
        transactional_id: String,
        /// Its state: `Empty`, `Ongoing`, `PrepareCommit`, `PrepareAbort`, `CompleteCommit`, `CompleteAbort` or
        /// `PrepareEpochFence`.
        transaction_state: String,
        /// After how many milliseconds the coordinator aborts its transactions.
        transaction_timeout_ms: i32,
        /// When the transaction began, in milliseconds since 1970; -1 if there has been none.
        transaction_start_time_ms: i64,
        /// The producer's id.
        producer_id: i64,
        /// The producer's epoch.
        producer_epoch: i16,
        /// The partitions that the transaction wrote to; while it ends, those still without a marker. Topics that the
        /// client may not describe are left out.
        topics: Vec<TopicData>,
    }

    /// A topic in a transaction.
    pub struct TopicData {
        /// The topic's name.
        topic: String,
        /// The partitions' numbers.
        partitions: Vec<i32>,
    }
}
