//! TxnOffsetCommit: commits a group's offsets as part of a transaction. Goes to the group's coordinator.
//! Needs Write on the transactional id, Read on the group and on the topics.
//!
//! The offsets stay pending until the transaction's marker comes: a commit makes them the group's, an abort
//! drops them. Meanwhile OffsetFetch answers what was there before, or `UNSTABLE_OFFSET_COMMIT`.
//!
//! Versions: 2 brings the leader epoch and may answer `COORDINATOR_LOAD_IN_PROGRESS`, which is
//! `COORDINATOR_NOT_AVAILABLE` before; 3 is flexible and names the member, so that one whose partitions have
//! gone to others is fenced; 4 may answer `TRANSACTION_ABORTABLE`; 5 looks the same but also does the work of
//! AddOffsetsToTxn. Version 5 is only for a cluster with transaction version 2 or newer: below it a client
//! must send 4 at most, whatever the broker announces.
//!
//! Sources: KIP-98 (transactions), KIP-320 (leader epoch), KIP-447 (fenced members), KIP-890 (transaction
//! version 2).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(TXN_OFFSET_COMMIT: TxnOffsetCommitRequest => TxnOffsetCommitResponse, versions 0..=5, flexible 3..);

wire! {
    /// Hands in the offsets.
    pub struct TxnOffsetCommitRequest {
        /// The producer's transactional id.
        transactional_id: String,
        /// The group, created if there is none and no member is named; `INVALID_GROUP_ID` if empty.
        group_id: String,
        /// The producer's id; `INVALID_PRODUCER_ID_MAPPING` if the transactional id has another one.
        producer_id: i64,
        /// The producer's epoch; `INVALID_PRODUCER_EPOCH` if a newer producer took over.
        producer_epoch: i16,
        /// The consumer's generation or member epoch; `ILLEGAL_GENERATION` if that is over. -1, with an empty
        /// member id: no check.
        [3..] generation_id: i32 = -1,
        /// The consumer's member id; `UNKNOWN_MEMBER_ID` if the coordinator doesn't have it. Empty, with
        /// generation -1: no check.
        [3..] member_id: String,
        /// Its `group.instance.id`, if it is static; `FENCED_INSTANCE_ID` if another member has taken it
        /// over.
        [3..] group_instance_id: Option<String>,
        /// The topics.
        topics: Vec<TxnOffsetCommitRequestTopic>,
    }

    /// One topic's partitions.
    pub struct TxnOffsetCommitRequestTopic {
        /// The topic's name; `UNKNOWN_TOPIC_OR_PARTITION` if there is none.
        name: String,
        /// Its partitions.
        partitions: Vec<TxnOffsetCommitRequestPartition>,
    }

    /// A partition's offset.
    pub struct TxnOffsetCommitRequestPartition {
        /// The partition's index; `UNKNOWN_TOPIC_OR_PARTITION` if there is none.
        partition_index: i32,
        /// The offset of the next record to read.
        committed_offset: i64,
        /// The leader epoch of the record before it, by which a later reader notices a truncated log; -1 if
        /// unknown.
        [2.., ignorable] committed_leader_epoch: i32 = -1,
        /// A text to keep with it; `OFFSET_METADATA_TOO_LARGE` beyond `offset.metadata.max.bytes` of the
        /// broker, for this partition only.
        committed_metadata: Option<String> = Some(String::new()),
    }

    /// Which offsets are pending now.
    pub struct TxnOffsetCommitResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
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
        /// The partition's index.
        partition_index: i32,
        /// Of the request as a whole, at every partition: `NOT_COORDINATOR` and its like,
        /// `CONCURRENT_TRANSACTIONS` in version 5 (ask again); `TRANSACTION_ABORTABLE` (abort, then go on),
        /// `TRANSACTIONAL_ID_AUTHORIZATION_FAILED`, `GROUP_AUTHORIZATION_FAILED`, and those that the
        /// request's fields name: after `UNKNOWN_MEMBER_ID`, `ILLEGAL_GENERATION` or `FENCED_INSTANCE_ID` the
        /// partitions may be others' now, so the transaction must be aborted. Of the partition:
        /// `UNKNOWN_TOPIC_OR_PARTITION`, `TOPIC_AUTHORIZATION_FAILED`, `OFFSET_METADATA_TOO_LARGE`.
        error_code: ErrorCode,
    }
}
