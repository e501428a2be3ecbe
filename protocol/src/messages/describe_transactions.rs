//! DescribeTransactions: what the coordinator knows of transactional ids. Each id is asked for at its
//! coordinator. Needs Describe on the transactional ids.
//!
//! Sources: KIP-664.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(DESCRIBE_TRANSACTIONS: DescribeTransactionsRequest => DescribeTransactionsResponse, versions 0..=0, flexible 0..);

wire! {
    /// Asks for the state of transactions.
    pub struct DescribeTransactionsRequest {
        /// The transactional ids; each is answered by itself.
        transactional_ids: Vec<String>,
    }

    /// The state of transactions.
    pub struct DescribeTransactionsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// The transactions, one for each id, in the order of the request.
        transaction_states: Vec<TransactionState>,
    }

    /// A transactional id, and the transaction that it has open or had last.
    pub struct TransactionState {
        /// `TRANSACTIONAL_ID_NOT_FOUND` if there is none or it has expired
        /// (`transactional.id.expiration.ms`), `TRANSACTIONAL_ID_AUTHORIZATION_FAILED`, `NOT_COORDINATOR` and
        /// its like, or `INVALID_REQUEST` for an empty id.
        error_code: ErrorCode,
        /// The transactional id.
        transactional_id: String,
        /// Its state: `Empty`, `Ongoing`, `PrepareCommit`, `PrepareAbort` (the outcome is decided, markers
        /// are being written), `CompleteCommit`, `CompleteAbort` or `PrepareEpochFence` (an older producer is
        /// being fenced).
        transaction_state: String,
        /// After how many milliseconds the coordinator aborts its transactions.
        transaction_timeout_ms: i32,
        /// When the transaction began, in milliseconds since 1970; -1 if there has been none.
        transaction_start_time_ms: i64,
        /// The producer's id, under which partitions know the transaction.
        producer_id: i64,
        /// The newest producer's epoch; older ones are fenced.
        producer_epoch: i16,
        /// The partitions that the transaction wrote to; while it ends, those still without a marker. Topics
        /// that the client may not describe are left out.
        topics: Vec<TopicData>,
    }

    /// A topic in a transaction.
    pub struct TopicData {
        /// The topic's name.
        topic: String,
        /// The partitions' indexes.
        partitions: Vec<i32>,
    }
}
