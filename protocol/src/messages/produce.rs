//! Produce: appends record batches to partitions. Goes to the leader of every partition in it.
//!
//! Needs Write on the topics, and on the transactional id where batches are transactional.
//!
//! With `acks` 0 there is no answer at all; where one would have had an error, the broker closes the
//! connection.
//!
//! Versions: 0 to 2 carry message sets of the old formats and only brokers before 4.0 take them, though newer
//! ones still announce them; 3 carries record batches and transactional ids; 4 may answer
//! `KAFKA_STORAGE_ERROR`; 5 answers the log's start; 7 allows zstd; 8 names the records at fault; 9 is
//! flexible; 10 answers where a moved partition's leader is; 11 may answer `TRANSACTION_ABORTABLE`; 12 adds
//! partitions to the transaction implicitly, so a transaction of the older kind stays at 11; 13 replaces
//! topic names by ids.
//!
//! Every partition has its own outcome. What is retriable is sent again, by an idempotent producer with the
//! same sequence numbers: the leader remembers a producer's last five batches and answers a repeated one as
//! it answered it first, without appending it.
//!
//! Sources: KIP-13 (quotas), KIP-32 (timestamps), KIP-98 (idempotence, transactions), KIP-110 (zstd), KIP-112
//! (`KAFKA_STORAGE_ERROR`), KIP-360 (no more `UNKNOWN_PRODUCER_ID`), KIP-467 (record errors), KIP-516 (topic
//! ids), KIP-890 (transactions, second part), KIP-951 (leader hints), KAFKA-18659 (announced versions).

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(PRODUCE: ProduceRequest => ProduceResponse, versions 0..=13, flexible 9..);

wire! {
    /// Batches to append.
    pub struct ProduceRequest {
        /// The transaction's owner; null outside transactions. `TRANSACTIONAL_ID_AUTHORIZATION_FAILED`, for
        /// the whole request, if a batch is transactional and this is null or the client may not write with
        /// it.
        [3..] transactional_id: Option<String>,
        /// Who must have the records before the answer: -1 all in-sync replicas, 1 the leader, 0 nobody. Any
        /// other number is answered with `INVALID_REQUIRED_ACKS`. `min.insync.replicas` counts for -1 only,
        /// and idempotence promises nothing without it.
        acks: i16,
        /// How long the leader waits for the replicas under `acks` -1, in milliseconds, before it answers
        /// `REQUEST_TIMED_OUT`. The records stay in its log even so.
        timeout_ms: i32,
        /// The batches by topic.
        topic_data: Vec<TopicProduceData>,
    }

    /// The batches for one topic.
    pub struct TopicProduceData {
        /// The topic's name; `INVALID_TOPIC_EXCEPTION` for Kafka's internal topics.
        [..=12, ignorable] name: String,
        /// The topic's id; `UNKNOWN_TOPIC_ID` if the broker knows no topic of this id (yet, or any more).
        [13.., ignorable] topic_id: Uuid,
        /// The batches by partition.
        partition_data: Vec<PartitionProduceData>,
    }

    /// What to append to one partition.
    pub struct PartitionProduceData {
        /// The partition's index; `UNKNOWN_TOPIC_OR_PARTITION` if the broker knows none such (yet).
        index: i32,
        /// From version 3 on exactly one record batch of format 2, else `INVALID_RECORD`; with zstd below
        /// version 7 `UNSUPPORTED_COMPRESSION_TYPE`. All of it is appended, or nothing.
        records: Option<Bytes>,
    }

    /// What became of the batches.
    pub struct ProduceResponse {
        /// The results by topic.
        responses: Vec<TopicProduceResponse>,
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        [1.., ignorable] throttle_time_ms: i32,
        /// Addresses of the leaders that `current_leader` names, on the listener that was asked.
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
        /// Of the log: `MESSAGE_TOO_LARGE` beyond `max.message.bytes` (split the batch),
        /// `RECORD_LIST_TOO_LARGE` beyond a segment, `CORRUPT_MESSAGE` for a wrong CRC, `INVALID_RECORD`,
        /// `INVALID_TIMESTAMP`, `KAFKA_STORAGE_ERROR`.
        ///
        /// Of replication: `NOT_LEADER_OR_FOLLOWER`; `NOT_ENOUGH_REPLICAS`, where nothing was appended, and
        /// `NOT_ENOUGH_REPLICAS_AFTER_APPEND`, where all was.
        ///
        /// Of the producer: `OUT_OF_ORDER_SEQUENCE_NUMBER` for a gap before the batch,
        /// `INVALID_PRODUCER_EPOCH` if a newer producer took over, and in a transaction `INVALID_TXN_STATE`
        /// (from version 11 on `TRANSACTION_ABORTABLE`) for a partition that isn't part of it, or from
        /// version 12 on `CONCURRENT_TRANSACTIONS` while the one before is being ended. `UNKNOWN_PRODUCER_ID`
        /// and `DUPLICATE_SEQUENCE_NUMBER` come from old brokers only.
        error_code: ErrorCode,
        /// The offset of the batch's first record; -1 with an error.
        base_offset: i64,
        /// The time that the broker stamped on the records under `message.timestamp.type=LogAppendTime`, in
        /// milliseconds since 1970; else -1, and the records keep the producer's.
        [2.., ignorable] log_append_time_ms: i64 = -1,
        /// Where the log starts, -1 if unknown; tells an `UNKNOWN_PRODUCER_ID` by retention from one by loss.
        [5.., ignorable] log_start_offset: i64 = -1,
        /// The records that made the broker refuse the whole batch with `INVALID_RECORD` or
        /// `INVALID_TIMESTAMP`.
        [8.., ignorable] record_errors: Vec<BatchIndexAndErrorMessage>,
        /// The error in words, meant for people.
        [8.., ignorable] error_message: Option<String>,
        /// The new leader, sent with `NOT_LEADER_OR_FOLLOWER` where the broker knows it; saves the client a
        /// metadata refresh.
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
