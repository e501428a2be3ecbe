//! ListPartitionReassignments: which partitions are moving to other brokers. Goes to the controller. Needs
//! Describe on the cluster. Partitions that don't move, or don't exist, are not in the answer.
//!
//! Sources: KIP-455.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(
    LIST_PARTITION_REASSIGNMENTS: ListPartitionReassignmentsRequest => ListPartitionReassignmentsResponse,
    versions 0..=0,
    flexible 0..
);

wire! {
    /// Asks for the moves under way.
    pub struct ListPartitionReassignmentsRequest {
        /// How long the controller may take, in milliseconds; then the answer is `REQUEST_TIMED_OUT`.
        timeout_ms: i32 = 60_000,
        /// The partitions of interest; null for all.
        topics: Option<Vec<ListPartitionReassignmentsTopics>>,
    }

    /// A topic's partitions.
    pub struct ListPartitionReassignmentsTopics {
        /// The topic's name.
        name: String,
        /// Its partitions.
        partition_indexes: Vec<i32>,
    }

    /// The moves under way.
    pub struct ListPartitionReassignmentsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// `CLUSTER_AUTHORIZATION_FAILED` or `REQUEST_TIMED_OUT`.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String> = Some(String::new()),
        /// The moves, by topic.
        topics: Vec<OngoingTopicReassignment>,
    }

    /// A topic's moves.
    pub struct OngoingTopicReassignment {
        /// The topic's name.
        name: String,
        /// Its partitions that move.
        partitions: Vec<OngoingPartitionReassignment>,
    }

    /// A partition that moves.
    pub struct OngoingPartitionReassignment {
        /// The partition's index.
        partition_index: i32,
        /// All brokers that have a replica now, those that come and those that go included.
        replicas: Vec<i32>,
        /// Those that come: still copying, or waiting for the others.
        adding_replicas: Vec<i32>,
        /// Those that go once the others are in sync.
        removing_replicas: Vec<i32>,
    }
}
