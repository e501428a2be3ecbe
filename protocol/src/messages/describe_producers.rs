//! DescribeProducers: which producers a partition remembers, and where their open transactions begin. Goes to
//! the partition's leader, or to the replica of interest. Needs Read on the topics.
//!
//! With DescribeTransactions it finds transactions that hang: open in a partition, unknown to their
//! coordinator.
//!
//! Sources: KIP-664.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(DESCRIBE_PRODUCERS: DescribeProducersRequest => DescribeProducersResponse, versions 0..=0, flexible 0..);

wire! {
    /// Asks for the producers of partitions.
    pub struct DescribeProducersRequest {
        /// The topics.
        topics: Vec<TopicRequest>,
    }

    /// One topic's partitions.
    pub struct TopicRequest {
        /// The topic's name; `UNKNOWN_TOPIC_OR_PARTITION` if there is none.
        name: String,
        /// The partitions' indexes.
        partition_indexes: Vec<i32>,
    }

    /// The producers of partitions.
    pub struct DescribeProducersResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
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
        /// The partition's index.
        partition_index: i32,
        /// `NOT_LEADER_OR_FOLLOWER` at a broker without a replica, `UNKNOWN_TOPIC_OR_PARTITION`,
        /// `INVALID_TOPIC_EXCEPTION` for an illegal name, `KAFKA_STORAGE_ERROR`,
        /// `TOPIC_AUTHORIZATION_FAILED`.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String>,
        /// The producers that wrote here, idempotent ones included, and that the broker has not forgotten yet
        /// (`producer.id.expiration.ms`).
        active_producers: Vec<ProducerState>,
    }

    /// What a partition remembers of a producer.
    pub struct ProducerState {
        /// The producer's id; what transactional id it belongs to only the coordinator knows.
        producer_id: i64,
        /// The newest epoch it wrote with.
        producer_epoch: i32,
        /// The sequence number of its last record; -1 if there is none in this epoch.
        last_sequence: i32 = -1,
        /// When it last wrote, in milliseconds since 1970; -1 if unknown.
        last_timestamp: i64 = -1,
        /// The epoch of the coordinator that wrote its last marker; -1 if there was none yet.
        coordinator_epoch: i32,
        /// The first offset of its open transaction; -1 if none is open.
        current_txn_start_offset: i64 = -1,
    }
}
