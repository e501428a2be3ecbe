//! AddPartitionsToTxn: tells the transaction coordinator which partitions the transaction is about to write
//! to. Needs Write on the transactional id and on the topics.
//!
//! The coordinator must know a partition before the first record goes there, or it couldn't end the
//! transaction there. The partitions of a request are added all together or not at all. The first ones begin
//! the transaction, and its timeout. With transaction version 2 clients don't send this: the leader of a
//! partition adds it, when the first batch comes in.
//!
//! Versions: 2 answers `PRODUCER_FENCED` where older ones answer `INVALID_PRODUCER_EPOCH`; 3 is flexible; 4
//! and 5 are for brokers among themselves, hold several transactions, and can check instead of add. Up to
//! version 3 the one transaction stands in the `v3_and_below` fields.
//!
//! Sources: KIP-98 (transactions), KIP-588 (`PRODUCER_FENCED`), KIP-890 (brokers check and add).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(
    ADD_PARTITIONS_TO_TXN: AddPartitionsToTxnRequest => AddPartitionsToTxnResponse,
    versions 0..=5, flexible 3.., negotiable 0..=3
);

wire! {
    /// Announces partitions.
    pub struct AddPartitionsToTxnRequest {
        /// The transactions, from version 4 on; `CLUSTER_AUTHORIZATION_FAILED` for who lacks ClusterAction,
        /// as clients do.
        [4..] transactions: Vec<AddPartitionsToTxnTransaction>,
        /// The producer's transactional id; `INVALID_REQUEST` if empty.
        [..=3] v3_and_below_transactional_id: String,
        /// The producer's id; `INVALID_PRODUCER_ID_MAPPING` if the transactional id has another one, or none
        /// (any more).
        [..=3] v3_and_below_producer_id: i64,
        /// The producer's epoch; `PRODUCER_FENCED` or `INVALID_PRODUCER_EPOCH` if a newer producer took over.
        [..=3] v3_and_below_producer_epoch: i16,
        /// The partitions to add; those that are in already are no error, and if all are nothing is written.
        [..=3] v3_and_below_topics: Vec<AddPartitionsToTxnTopic>,
    }

    /// A transaction.
    pub struct AddPartitionsToTxnTransaction {
        /// The producer's transactional id, whose rights the sending broker has checked.
        [4..] transactional_id: String,
        /// The producer's id, as in the batches; `INVALID_PRODUCER_ID_MAPPING` if the transactional id has
        /// another one.
        [4..] producer_id: i64,
        /// The producer's epoch, as in the batches; `PRODUCER_FENCED` if it isn't the transactional id's
        /// present one.
        [4..] producer_epoch: i16,
        /// Only checks that the partitions are in the transaction; if not, the answer is
        /// `TRANSACTION_ABORTABLE`, from brokers before 3.8 `INVALID_TXN_STATE`.
        [4..] verify_only: bool,
        /// The partitions to add or to check.
        [4..] topics: Vec<AddPartitionsToTxnTopic>,
    }

    /// One topic's partitions.
    pub struct AddPartitionsToTxnTopic {
        /// The topic's name; `UNKNOWN_TOPIC_OR_PARTITION` if there is none, `TOPIC_AUTHORIZATION_FAILED` for
        /// an internal one.
        name: String,
        /// The partitions' indexes; `UNKNOWN_TOPIC_OR_PARTITION` for one that there isn't.
        partitions: Vec<i32>,
    }

    /// Which partitions are in.
    pub struct AddPartitionsToTxnResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// What concerns the request as a whole, such as `CLUSTER_AUTHORIZATION_FAILED`.
        [4.., ignorable] error_code: ErrorCode,
        /// The transactions, from version 4 on.
        [4..] results_by_transaction: Vec<AddPartitionsToTxnResult>,
        /// The topics of the one transaction, up to version 3.
        [..=3] results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult>,
    }

    /// A transaction's result.
    pub struct AddPartitionsToTxnResult {
        /// The transactional id, by which the answer is matched to the request.
        [4..] transactional_id: String,
        /// The topics.
        [4..] topic_results: Vec<AddPartitionsToTxnTopicResult>,
    }

    /// A topic's result.
    pub struct AddPartitionsToTxnTopicResult {
        /// The topic's name.
        name: String,
        /// Its partitions.
        results_by_partition: Vec<AddPartitionsToTxnPartitionResult>,
    }

    /// A partition's result.
    pub struct AddPartitionsToTxnPartitionResult {
        /// The partition's index.
        partition_index: i32,
        /// `CONCURRENT_TRANSACTIONS` while the transaction before is being ended (ask again soon),
        /// `NOT_COORDINATOR` and its like, `TRANSACTIONAL_ID_AUTHORIZATION_FAILED`, and those that the
        /// request's fields name; each stands at all partitions. `UNKNOWN_TOPIC_OR_PARTITION` (ask again) and
        /// `TOPIC_AUTHORIZATION_FAILED` stand at those at fault, and `OPERATION_NOT_ATTEMPTED` at the others
        /// then.
        partition_error_code: ErrorCode,
    }
}
