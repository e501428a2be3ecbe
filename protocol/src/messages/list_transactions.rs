//! ListTransactions: the transactional ids that a broker coordinates. Whoever wants all of a cluster asks
//! every broker. Needs Describe on each transactional id that is to be seen.
//!
//! Versions: 1 filters by duration, 2 by a pattern for the id.
//!
//! Sources: KIP-664 (the API), KIP-994 (duration), KIP-1152 (pattern).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(LIST_TRANSACTIONS: ListTransactionsRequest => ListTransactionsResponse, versions 0..=2, flexible 0..);

wire! {
    /// Asks for the transactions of a broker; one must pass all filters.
    pub struct ListTransactionsRequest {
        /// The states of interest, such as `Ongoing`; empty for all.
        state_filters: Vec<String>,
        /// The ids of the producers of interest; empty for all.
        producer_id_filters: Vec<i64>,
        /// Only transactions that have run for longer than so many milliseconds; negative for all.
        [1..] duration_filter: i64 = -1,
        /// A regular expression in RE2's syntax that the whole transactional id has to match, null or empty
        /// for all; `INVALID_REGULAR_EXPRESSION` if it is none.
        [2..] transactional_id_pattern: Option<String>,
    }

    /// The transactions of a broker.
    pub struct ListTransactionsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// `COORDINATOR_LOAD_IN_PROGRESS` while the broker may not know all of its transactions yet,
        /// `COORDINATOR_NOT_AVAILABLE`, or what the request's fields name.
        error_code: ErrorCode,
        /// Those of the states asked for that the broker doesn't know; nothing matches them.
        unknown_state_filters: Vec<String>,
        /// The transactions that the client may describe; the others are left out silently.
        transaction_states: Vec<TransactionState>,
    }

    /// A transactional id and its state.
    pub struct TransactionState {
        /// The transactional id.
        transactional_id: String,
        /// The producer's id.
        producer_id: i64,
        /// Its state, as DescribeTransactions names it.
        transaction_state: String,
    }
}
