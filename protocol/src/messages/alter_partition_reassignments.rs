//! AlterPartitionReassignments: moves partitions to other brokers, or calls that off. Goes to the controller.
//! Needs Alter on the cluster.
//!
//! The answer only says that the copying has begun; ListPartitionReassignments shows what is still under way.
//!
//! Versions: 1 can forbid that the number of replicas changes.
//!
//! Sources: KIP-455 (the API), KIP-860 (replication factor kept).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(
    ALTER_PARTITION_REASSIGNMENTS: AlterPartitionReassignmentsRequest => AlterPartitionReassignmentsResponse,
    versions 0..=1,
    flexible 0..
);

wire! {
    /// The moves; each partition succeeds or fails by itself.
    pub struct AlterPartitionReassignmentsRequest {
        /// How long the controller may take to begin, in milliseconds; after `REQUEST_TIMED_OUT` it may still
        /// have begun.
        timeout_ms: i32 = 60_000,
        /// Whether a partition may get more or fewer replicas than it has; else that is
        /// `INVALID_REPLICATION_FACTOR`.
        [1..] allow_replication_factor_change: bool = true,
        /// The partitions, by topic.
        topics: Vec<ReassignableTopic>,
    }

    /// A topic's partitions.
    pub struct ReassignableTopic {
        /// The topic's name; `UNKNOWN_TOPIC_OR_PARTITION` if there is none.
        name: String,
        /// Its partitions.
        partitions: Vec<ReassignablePartition>,
    }

    /// Where a partition goes.
    pub struct ReassignablePartition {
        /// The partition's index; `UNKNOWN_TOPIC_OR_PARTITION` if there is none. A move under way is replaced
        /// by the new one.
        partition_index: i32,
        /// The brokers, the preferred leader first; `INVALID_REPLICA_ASSIGNMENT` if they can't: none, one
        /// twice, or one that isn't registered. Null calls the move off that is under way;
        /// `NO_REASSIGNMENT_IN_PROGRESS` if there is none.
        replicas: Option<Vec<i32>>,
    }

    /// Which moves have begun.
    pub struct AlterPartitionReassignmentsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// Whether the request let the number of replicas change.
        [1.., ignorable] allow_replication_factor_change: bool = true,
        /// What concerns all: `CLUSTER_AUTHORIZATION_FAILED` or `REQUEST_TIMED_OUT`.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String> = Some(String::new()),
        /// The results, by topic.
        responses: Vec<ReassignableTopicResponse>,
    }

    /// A topic's results.
    pub struct ReassignableTopicResponse {
        /// The topic's name.
        name: String,
        /// Its partitions.
        partitions: Vec<ReassignablePartitionResponse>,
    }

    /// Whether a partition moves.
    pub struct ReassignablePartitionResponse {
        /// The partition's index.
        partition_index: i32,
        /// `UNKNOWN_TOPIC_OR_PARTITION`, and those that the request's fields name.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String> = Some(String::new()),
    }
}
