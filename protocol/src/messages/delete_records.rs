//! DeleteRecords: makes a partition begin later. Goes to the partitions' leaders. Needs Delete on the topics.
//!
//! The leader moves its log start offset and answers once all live replicas have followed; the space comes
//! back when whole segments lie before that offset.
//!
//! Versions: 2 is flexible; apart from that all are the same.
//!
//! Sources: KIP-107.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(DELETE_RECORDS: DeleteRecordsRequest => DeleteRecordsResponse, versions 0..=2, flexible 2..);

wire! {
    /// Asks to drop the oldest records of partitions.
    pub struct DeleteRecordsRequest {
        /// The topics.
        topics: Vec<DeleteRecordsTopic>,
        /// Milliseconds the leader waits for the replicas; after `REQUEST_TIMED_OUT` they may still follow.
        timeout_ms: i32,
    }

    /// One topic's partitions.
    pub struct DeleteRecordsTopic {
        /// The topic's name; `INVALID_TOPIC_EXCEPTION` for Kafka's internal topics.
        name: String,
        /// Its partitions.
        partitions: Vec<DeleteRecordsPartition>,
    }

    /// Where a partition is to begin.
    pub struct DeleteRecordsPartition {
        /// The partition's index; `UNKNOWN_TOPIC_OR_PARTITION` if there is none.
        partition_index: i32,
        /// The first offset to keep, -1 for the high watermark; `OFFSET_OUT_OF_RANGE` if it lies beyond that
        /// or is less than -1. One before the log's start changes nothing.
        offset: i64,
    }

    /// Where the partitions begin now.
    pub struct DeleteRecordsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// The topics.
        topics: Vec<DeleteRecordsTopicResult>,
    }

    /// A topic's result.
    pub struct DeleteRecordsTopicResult {
        /// The topic's name.
        name: String,
        /// Its partitions.
        partitions: Vec<DeleteRecordsPartitionResult>,
    }

    /// Where a partition begins now.
    pub struct DeleteRecordsPartitionResult {
        /// The partition's index.
        partition_index: i32,
        /// The lowest log start offset among the live replicas; -1 with an error.
        low_watermark: i64,
        /// `NOT_LEADER_OR_FOLLOWER`, `UNKNOWN_TOPIC_OR_PARTITION`, `TOPIC_AUTHORIZATION_FAILED`,
        /// `POLICY_VIOLATION` for a topic that is only compacted, and those that the request's fields name.
        error_code: ErrorCode,
    }
}
