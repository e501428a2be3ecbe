//! DescribeTopicPartitions: topics and their partitions, page by page, with the replicas that could still be elected.
//! Any broker serves it.
//!
//! The broker walks the topics by name and stops at a limit of partitions; the cursor in the answer, sent again with
//! the same topics, goes on from there. Pages are no snapshot: each tells what holds when it is asked for.
//!
//! Sources: KIP-966.

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{BrokerIds, api, wire};

api!(
    DESCRIBE_TOPIC_PARTITIONS: DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse,
    versions 0..=0, flexible 0..
);

wire! {
    /// Asks for a page.
    pub struct DescribeTopicPartitionsRequest {
        /// The topics; empty for all that the client may describe.
        topics: Vec<TopicRequest>,
        /// How many partitions the page may hold; the broker's `max.request.partition.size.limit` may be less.
        response_partition_limit: i32 = 2000,
        /// Where the page begins, as the page before says; null for the first one.
        cursor: Option<Cursor>,
    }

    /// A topic.
    pub struct TopicRequest {
        /// The topic's name.
        name: String,
    }

    /// Where a page begins.
    pub struct Cursor {
        /// The first topic; those whose names sort before it are passed over.
        topic_name: String,
        /// The first partition of that topic; `INVALID_REQUEST` if it is negative.
        partition_index: i32,
    }

    /// A page.
    pub struct DescribeTopicPartitionsResponse {
        /// How long the quota holds the client back, in milliseconds.
        [ignorable] throttle_time_ms: i32,
        /// The topics, sorted by name.
        topics: Vec<DescribeTopicPartitionsResponseTopic>,
        /// Where the next page begins; null if this is the last.
        next_cursor: Option<Cursor>,
    }

    /// A topic, or the part of it that the page has room for.
    pub struct DescribeTopicPartitionsResponseTopic {
        /// `UNKNOWN_TOPIC_OR_PARTITION`, `INVALID_TOPIC_EXCEPTION` or `TOPIC_AUTHORIZATION_FAILED`, for topics that
        /// the request names.
        error_code: ErrorCode,
        /// The topic's name.
        name: Option<String> = Some(String::new()),
        /// The topic's id.
        [ignorable] topic_id: Uuid,
        /// Whether Kafka keeps its own books in the topic.
        [ignorable] is_internal: bool,
        /// Its partitions.
        partitions: Vec<DescribeTopicPartitionsResponsePartition>,
        /// One bit per ACL operation that the client may do; `i32::MIN` if the broker doesn't say.
        topic_authorized_operations: i32 = i32::MIN,
    }

    /// A partition.
    pub struct DescribeTopicPartitionsResponsePartition {
        /// `LEADER_NOT_AVAILABLE` while it has no leader, `LISTENER_NOT_FOUND` if the leader lacks the listener that
        /// the client came by.
        error_code: ErrorCode,
        /// The partition's number.
        partition_index: i32,
        /// The broker that leads it; -1 if there is none.
        leader_id: i32,
        /// The leader's epoch.
        [ignorable] leader_epoch: i32 = -1,
        /// The brokers that hold a replica.
        replica_nodes: BrokerIds,
        /// Those of them that are in sync with the leader.
        isr_nodes: BrokerIds,
        /// Those out of sync that still have every committed record, so that electing them loses nothing.
        eligible_leader_replicas: Option<Vec<i32>>,
        /// The last that were eligible, for an election that may lose records when nobody is any more.
        last_known_elr: Option<Vec<i32>>,
        /// The replicas that are offline.
        [ignorable] offline_replicas: BrokerIds,
    }
}
