//! TxnOffsetCommit: commits a group's offsets as part of a transaction. Goes to the group's coordinator.
//!
//! The offsets stay pending until the transaction's marker comes: a commit makes them the group's, an abort drops them.
//! Meanwhile OffsetFetch answers what was there before, or `UNSTABLE_OFFSET_COMMIT`.
//!
//! By version: 2 brings the leader epoch; 3 names the member, so that one whose partitions have gone to others is
//! fenced; 4 may answer `TRANSACTION_ABORTABLE`; 5 looks the same but also does the work of AddOffsetsToTxn. Version 5
//! is only for a cluster with transaction version 2 or newer: below it a client must send 4 at most, whatever the
//! broker announces.
//!
//! Sources: KIP-98 (transactions), KIP-320 (leader epoch), KIP-447 (fenced members), KIP-890 (transaction version 2).

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(TXN_OFFSET_COMMIT: TxnOffsetCommitRequest => TxnOffsetCommitResponse, versions 0..=5, flexible 3..);

wire! {
    /// Hands in the offsets.
    pub struct TxnOffsetCommitRequest {
        /// The producer's transactional id; `TRANSACTIONAL_ID_AUTHORIZATION_FAILED` if it may not write with it.
        transactional_id: String,
        /// The group; `GROUP_AUTHORIZATION_FAILED` if the producer may not read with it, `NOT_COORDINATOR` if another
        /// broker takes care of it by now.
        group_id: String,
        /// The producer's id.
        producer_id: i64,
        /// The producer's epoch; `INVALID_PRODUCER_EPOCH` if a newer producer took over.
        producer_epoch: i16,
        /// The consumer's generation or member epoch; `ILLEGAL_GENERATION` if that is over. -1: no check.
        [3..] generation_id: i32 = -1,
        /// The consumer's member id; `UNKNOWN_MEMBER_ID` if the coordinator doesn't have it. Empty: no check.
        [3..] member_id: String,
        /// Its `group.instance.id`, if it is static; `FENCED_INSTANCE_ID` if another member has taken it over.
        [3..] group_instance_id: Option<String>,
        /// The topics.
        topics: Vec<TxnOffsetCommitRequestTopic>,
    }

    /// A topic.
    pub struct TxnOffsetCommitRequestTopic {
        /// The topic's name.
        name: String,
        /// Its partitions.
        partitions: Vec<TxnOffsetCommitRequestPartition>,
    }

    /// A partition's offset.
    pub struct TxnOffsetCommitRequestPartition {
        /// The partition's number.
        partition_index: i32,
        /// The offset of the next record to read.
        committed_offset: i64,
        /// The leader epoch of the record before it, by which a later reader notices a truncated log; -1 if unknown.
        [2.., ignorable] committed_leader_epoch: i32 = -1,
        /// A text to keep with it; `OFFSET_METADATA_TOO_LARGE` beyond `offset.metadata.max.bytes` of the broker.
        committed_metadata: Option<String> = Some(String::new()),
    }

    /// Which offsets are pending now.
    pub struct TxnOffsetCommitResponse {
        /// How long the quota holds the client back, in milliseconds.
        throttle_time_ms: i32,
        /// The topics.
        topics: Vec<TxnOffsetCommitResponseTopic>,
    }

    /// A topic's result.
    pub struct TxnOffsetCommitResponseTopic {
        /// The topic's name.
        name: String,
        /// Its partitions.
        partitions: Vec<TxnOffsetCommitResponsePartition>,
    }

    /// A partition's result.
    pub struct TxnOffsetCommitResponsePartition {
        /// The partition's number.
        partition_index: i32,
        /// `UNKNOWN_TOPIC_OR_PARTITION`, `TOPIC_AUTHORIZATION_FAILED`, `COORDINATOR_LOAD_IN_PROGRESS`,
        /// `TRANSACTION_ABORTABLE` (abort, then go on), and those that the request's fields name.
        error_code: ErrorCode,
    }
}
