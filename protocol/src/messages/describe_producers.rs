//! DescribeProducers: which producers a partition remembers, and where their open transactions begin. Goes to the
//! partition's leader, or to the replica of interest.
//!
//! With DescribeTransactions it finds transactions that hang: open in a partition, unknown to their coordinator.
//!
//! Sources: KIP-664.

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(DESCRIBE_PRODUCERS: DescribeProducersRequest => DescribeProducersResponse, versions 0..=0, flexible 0..);

wire! {
    /// Asks for the producers of partitions.
    pub struct DescribeProducersRequest {
        /// The topics.
        topics: Vec<TopicRequest>,
    }

    /// A topic.
    pub struct TopicRequest {
        /// The topic's name.
        name: String,
        /// The partitions' numbers.
        partition_indexes: Vec<i32>,
    }

    /// The producers of partitions.
    pub struct DescribeProducersResponse {
        /// How long the quota holds the client back, in milliseconds.
        throttle_time_ms: i32,
        /// The topics.
        topics: Vec<TopicResponse>,
    }

    /// A topic's answer.
    pub struct TopicResponse {
        /// The topic's name.
        name: String,
        /// Its partitions.
        partitions: Vec<PartitionResponse>,
    }

    /// A partition's answer.
    pub struct PartitionResponse {
        /// The partition's number.
        partition_index: i32,
        /// `NOT_LEADER_OR_FOLLOWER` at a broker without a replica, `UNKNOWN_TOPIC_OR_PARTITION`,
        /// `INVALID_TOPIC_EXCEPTION`, or `TOPIC_AUTHORIZATION_FAILED` for a client that may not read the topic.
        error_code: ErrorCode,
        /// What is wrong, in words.
        error_message: Option<String>,
        /// The producers that wrote here and that the broker has not forgotten yet.
        active_producers: Vec<ProducerState>,
    }

    /// What a partition remembers of a producer.
    pub struct ProducerState {
        /// The producer's id.
        producer_id: i64,
        /// The newest epoch it wrote with.
        producer_epoch: i32,
        /// The sequence number of its last record; -1 if there is none in this epoch.
        last_sequence: i32 = -1,
        /// When it last wrote, in milliseconds since 1970; -1 if unknown.
        last_timestamp: i64 = -1,
        /// The epoch of the coordinator that wrote its last marker.
        coordinator_epoch: i32,
        /// The first offset of its open transaction; -1 if none is open.
        current_txn_start_offset: i64 = -1,
    }
}
