//! DescribeTopicPartitions: topics and their partitions, page by page, with the replicas that could still be
//! elected. Any broker serves it. Needs Describe on the topics.
//!
//! The broker walks the topics by name and stops at a limit of partitions; the cursor in the answer, sent
//! again with the same topics, goes on from there. Pages are no snapshot: each tells what holds when it is
//! asked for.
//!
//! Sources: KIP-966.

use alloc::string::String;
use alloc::vec::Vec;

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
        /// The topics; empty for all that the client may describe. Who turns pages names the same ones each
        /// time.
        topics: Vec<TopicRequest>,
        /// How many partitions the page may hold, at least 1; the broker's `max.request.partition.size.limit`
        /// may be less.
        response_partition_limit: i32 = 2000,
        /// Where the page begins, as the page before says; null for the first one.
        cursor: Option<Cursor>,
    }

    /// One topic's partitions.
    pub struct TopicRequest {
        /// The topic's name; `UNKNOWN_TOPIC_OR_PARTITION` if there is none.
        name: String,
    }

    /// Where a page begins.
    pub struct Cursor {
        /// The first topic; those whose names sort before it are passed over. `INVALID_REQUEST` if the
        /// request names topics, but not this one.
        topic_name: String,
        /// The first partition of that topic; `INVALID_REQUEST` if it is negative.
        partition_index: i32,
    }

    /// A page.
    pub struct DescribeTopicPartitionsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        [ignorable] throttle_time_ms: i32,
        /// The topics, sorted by name; after them those named ones that the client may not describe.
        topics: Vec<DescribeTopicPartitionsResponseTopic>,
        /// Where the next page begins; null if this is the last.
        next_cursor: Option<Cursor>,
    }

    /// A topic, or the part of it that the page has room for.
    pub struct DescribeTopicPartitionsResponseTopic {
        /// `UNKNOWN_TOPIC_OR_PARTITION`, `INVALID_TOPIC_EXCEPTION` or `TOPIC_AUTHORIZATION_FAILED`, for
        /// topics that the request names.
        error_code: ErrorCode,
        /// The topic's name; never null from Kafka's brokers.
        name: Option<String> = Some(String::new()),
        /// The topic's id; zero with an error.
        [ignorable] topic_id: Uuid,
        /// Whether Kafka keeps its own books in the topic.
        [ignorable] is_internal: bool,
        /// Its partitions.
        partitions: Vec<DescribeTopicPartitionsResponsePartition>,
        /// What the client may do with the topic, bit *n* for operation *n* of
        /// [`describe_acls`](super::describe_acls); always told.
        topic_authorized_operations: i32 = i32::MIN,
    }

    /// A partition.
    pub struct DescribeTopicPartitionsResponsePartition {
        /// `LEADER_NOT_AVAILABLE` while it has no leader, `LISTENER_NOT_FOUND` if the leader lacks the
        /// listener that the client came by.
        error_code: ErrorCode,
        /// The partition's index.
        partition_index: i32,
        /// The broker that leads it; -1 if there is none.
        leader_id: i32,
        /// The leader's epoch, which counts up with each new leader.
        [ignorable] leader_epoch: i32 = -1,
        /// The brokers that hold a replica, the preferred leader first.
        replica_nodes: BrokerIds,
        /// Those of them that are in sync with the leader.
        isr_nodes: BrokerIds,
        /// Those out of sync that still have every committed record, so that electing them loses nothing;
        /// none where the cluster's `eligible.leader.replicas.version` is 0.
        eligible_leader_replicas: Option<Vec<i32>>,
        /// The last that were eligible, for an election that may lose records when nobody is any more.
        last_known_elr: Option<Vec<i32>>,
        /// The replicas that are offline: the broker is down, or the disk is.
        [ignorable] offline_replicas: BrokerIds,
    }
}
