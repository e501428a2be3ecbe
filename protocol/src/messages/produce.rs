//! Produce: appends record batches to partitions. Goes to the leader of every partition in it.
//!
//! Versions: 0 to 2 carry message sets of the old formats and only brokers before 4.0 take them, though newer ones
//! still announce them; 3 carries record batches and transactional ids; 5 answers the log's start; 7 allows zstd;
//! 8 names the records at fault; 9 is flexible; 10 answers where a moved partition's leader is; 11 may answer
//! `TRANSACTION_ABORTABLE`; 12 adds partitions to the transaction implicitly, so a transaction of the older kind stays
//! at 11; 13 replaces topic names by ids.
//!
//! With `acks` 0 there is no answer at all.
//!
//! Sources: KIP-13 (quotas), KIP-32 (timestamps), KIP-98 (idempotence, transactions), KIP-110 (zstd), KIP-112
//! (`KAFKA_STORAGE_ERROR`), KIP-467 (record errors), KIP-516 (topic ids), KIP-890 (transactions, second part), KIP-951
//! (leader hints), KAFKA-18659 (announced versions).

use bytes::Bytes;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(PRODUCE: ProduceRequest => ProduceResponse, versions 0..=13, flexible 9..);

wire! {
    /// Batches to append.
    pub struct ProduceRequest {
        /// The transaction's owner, checked against its ACL; null outside transactions.
        [3..] transactional_id: Option<String>,
        /// Who must have the records before the answer: -1 all in-sync replicas, 1 the leader, 0 nobody. Any other
        /// number is answered with `INVALID_REQUIRED_ACKS`. Idempotence promises nothing without -1.
        acks: i16,
        /// How long the leader waits for the replicas, in milliseconds, before it answers `REQUEST_TIMED_OUT`. The
        /// records stay in its log even so.
        timeout_ms: i32,
        /// The batches by topic.
        topic_data: Vec<TopicProduceData>,
    }

    /// The batches for one topic.
    pub struct TopicProduceData {
        /// The topic's name.
        [..=12, ignorable] name: String,
        /// The topic's id; `UNKNOWN_TOPIC_ID` answers one that the broker doesn't know (yet, or any more).
        [13.., ignorable] topic_id: Uuid,
        /// The batches by partition.
        partition_data: Vec<PartitionProduceData>,
    }

    /// What to append to one partition.
    pub struct PartitionProduceData {
        /// The partition's index.
        index: i32,
        /// From version 3 on exactly one record batch; all of it is appended, or nothing.
        records: Option<Bytes>,
    }

    /// What became of the batches.
    pub struct ProduceResponse {
        /// The results by topic.
        responses: Vec<TopicProduceResponse>,
        /// How long a quota delays the client, in milliseconds.
        [1.., ignorable] throttle_time_ms: i32,
        /// Addresses of the leaders that `current_leader` names.
        [10.., tag 0] node_endpoints: Vec<NodeEndpoint>,
    }

    /// The results for one topic.
    pub struct TopicProduceResponse {
        /// The topic's name.
        [..=12, ignorable] name: String,
        /// The topic's id.
        [13.., ignorable] topic_id: Uuid,
        /// The results by partition.
        partition_responses: Vec<PartitionProduceResponse>,
    }

    /// The result for one partition.
    pub struct PartitionProduceResponse {
        /// The partition's index.
        index: i32,
        /// `NOT_LEADER_OR_FOLLOWER` after a move; `OUT_OF_ORDER_SEQUENCE_NUMBER`, `DUPLICATE_SEQUENCE_NUMBER`,
        /// `UNKNOWN_PRODUCER_ID` or `INVALID_PRODUCER_EPOCH` for idempotent batches; `MESSAGE_TOO_LARGE`,
        /// `NOT_ENOUGH_REPLICAS`, `INVALID_RECORD` and others.
        error_code: ErrorCode,
        /// The offset of the batch's first record; -1 with an error.
        base_offset: i64,
        /// The time that the broker stamped on the records under `LogAppendTime`, else -1.
        [2.., ignorable] log_append_time_ms: i64 = -1,
        /// Where the log starts; tells an `UNKNOWN_PRODUCER_ID` by retention from one by loss.
        [5.., ignorable] log_start_offset: i64 = -1,
        /// The records that made the broker refuse the whole batch with `INVALID_RECORD` or `INVALID_TIMESTAMP`.
        [8.., ignorable] record_errors: Vec<BatchIndexAndErrorMessage>,
        /// What is wrong, in words.
        [8.., ignorable] error_message: Option<String>,
        /// The new leader, sent with `NOT_LEADER_OR_FOLLOWER` where the broker knows it.
        [10.., tag 0] current_leader: LeaderIdAndEpoch,
    }

    /// A record at fault.
    pub struct BatchIndexAndErrorMessage {
        /// The record's place in its batch, from 0.
        [8..] batch_index: i32,
        /// What is wrong with it, in words.
        [8..] batch_index_error_message: Option<String>,
    }

    /// A partition's leader.
    pub struct LeaderIdAndEpoch {
        /// The broker's id; -1 if unknown.
        [10..] leader_id: i32 = -1,
        /// The epoch in which it leads; -1 if unknown.
        [10..] leader_epoch: i32 = -1,
    }

    /// A broker's address.
    pub struct NodeEndpoint {
        /// The broker's id.
        [10..] node_id: i32,
        /// The name or address to dial.
        [10..] host: String,
        /// The port to dial.
        [10..] port: i32,
        /// `broker.rack`, where it is set.
        [10..] rack: Option<String>,
    }
}
