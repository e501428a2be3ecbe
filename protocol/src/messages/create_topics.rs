//! CreateTopics: creates topics. Goes to the controller. Needs Create on the topics or on the cluster;
//! DescribeConfigs on a topic to be told its configuration.
//!
//! The answer comes when the controller has recorded the topics; brokers may learn of them a moment later.
//!
//! Versions: 0 and 1 only brokers before 4.0 take; 1 adds the dry run and messages in words; 4 lets the
//! broker choose partitions and replicas; 5 is flexible and answers the topic's configuration; 6 may answer
//! `THROTTLING_QUOTA_EXCEEDED`, to be asked again after the throttle time, where older ones create and
//! throttle then; 7 answers topic ids.
//!
//! Sources: KIP-4, KIP-464 (broker defaults), KIP-516 (topic ids), KIP-525 (answered configuration), KIP-599
//! (quota).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(CREATE_TOPICS: CreateTopicsRequest => CreateTopicsResponse, versions 0..=7, flexible 5..);

wire! {
    /// The topics to create; each succeeds or fails by itself.
    pub struct CreateTopicsRequest {
        /// The topics; a name that stands here twice is answered with `INVALID_REQUEST`, and more than 10,000
        /// partitions in one request with `POLICY_VIOLATION`.
        topics: Vec<CreatableTopic>,
        /// How long the controller may take, in milliseconds; after `REQUEST_TIMED_OUT` a topic may still
        /// appear.
        timeout_ms: i32 = 60_000,
        /// Only checks whether the topics could be created; the answer is the same.
        [1..] validate_only: bool,
    }

    /// A topic to create.
    pub struct CreatableTopic {
        /// The name; `TOPIC_ALREADY_EXISTS`, or `INVALID_TOPIC_EXCEPTION` if it is illegal or differs from a
        /// topic's only in dots and underscores.
        name: String,
        /// How many partitions; -1 with assignments (else `INVALID_REQUEST`), and from version 4 on also for
        /// `num.partitions` of the controller. `INVALID_PARTITIONS` for 0 and less.
        num_partitions: i32,
        /// How many replicas; -1 with assignments (else `INVALID_REQUEST`), and from version 4 on also for
        /// `default.replication.factor` of the controller. `INVALID_REPLICATION_FACTOR` for 0 and less and if
        /// there are fewer brokers.
        replication_factor: i16,
        /// Which brokers hold which partition, if the client decides; `INVALID_REPLICA_ASSIGNMENT` unless the
        /// partitions are numbered from 0 without gaps, all have as many replicas, and each a broker that is
        /// alive.
        assignments: Vec<CreatableReplicaAssignment>,
        /// Settings that differ from the broker's defaults; `INVALID_CONFIG` for one that it doesn't know or
        /// whose value it doesn't take.
        configs: Vec<CreatableTopicConfig>,
    }

    /// Where a partition's replicas go.
    pub struct CreatableReplicaAssignment {
        /// The partition's index.
        partition_index: i32,
        /// The brokers; the first is the preferred leader.
        broker_ids: Vec<i32>,
    }

    /// A setting.
    pub struct CreatableTopicConfig {
        /// Its name, such as `retention.ms`.
        name: String,
        /// Its value; null is `INVALID_CONFIG`.
        value: Option<String> = Some(String::new()),
    }

    /// What became of the topics.
    pub struct CreateTopicsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        [2.., ignorable] throttle_time_ms: i32,
        /// The results.
        topics: Vec<CreatableTopicResult>,
    }

    /// What became of one topic.
    pub struct CreatableTopicResult {
        /// The topic's name.
        name: String,
        /// The new topic's id, by which newer requests name it.
        [7.., ignorable] topic_id: Uuid,
        /// `TOPIC_AUTHORIZATION_FAILED`, `POLICY_VIOLATION` by `create.topic.policy.class.name`,
        /// `THROTTLING_QUOTA_EXCEEDED`, `REQUEST_TIMED_OUT`, and those that the request's fields name.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        [1.., ignorable] error_message: Option<String> = Some(String::new()),
        /// Why there are no `configs`: `TOPIC_AUTHORIZATION_FAILED` where the client may create but not
        /// describe. The topic is created even so.
        [5.., tag 0, ignorable] topic_config_error_code: ErrorCode,
        /// How many partitions the topic has; -1 if the client may not know.
        [5.., ignorable] num_partitions: i32 = -1,
        /// How many replicas its partitions have; -1 if the client may not know.
        [5.., ignorable] replication_factor: i16 = -1,
        /// All settings of the topic; null if the client may not know.
        [5.., ignorable] configs: Option<Vec<CreatableTopicConfigs>> = Some(Vec::new()),
    }

    /// A setting of the new topic.
    pub struct CreatableTopicConfigs {
        /// Its name.
        [5..] name: String,
        /// Its value; null if it is sensitive.
        [5..] value: Option<String> = Some(String::new()),
        /// Whether the topic can't override it.
        [5..] read_only: bool,
        /// Where the value comes from, numbered as in [`describe_configs`](super::describe_configs); -1 if
        /// unknown.
        [5.., ignorable] config_source: i8 = -1,
        /// Whether the broker never tells the value; then it is null.
        [5..] is_sensitive: bool,
    }
}
