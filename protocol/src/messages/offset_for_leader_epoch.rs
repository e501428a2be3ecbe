//! OffsetForLeaderEpoch: where an epoch ended in the leader's log. How a consumer finds out, after a change
//! of leader, whether the records it has read are still there. Goes to the partition's leader. Needs Describe
//! on the topics, or ClusterAction on the cluster.
//!
//! Versions: 0 and 1 are for replicas and only brokers before 4.0 take them; 1 answers the epoch; 2 adds the
//! check of the current epoch; 3 adds the replica's id and is the first for which every broker is content
//! with Describe, so the first that consumers use; 4 is flexible.
//!
//! Sources: KIP-101 (epochs in place of high watermarks), KIP-279 (the answered epoch), KIP-320 (consumers).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(
    OFFSET_FOR_LEADER_EPOCH: OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse,
    versions 0..=4,
    flexible 4..
);

wire! {
    /// The epochs to look up.
    pub struct OffsetForLeaderEpochRequest {
        /// The follower that asks; -1 from a consumer; -2 from tools. Kafka's brokers answer all of them
        /// alike.
        [3.., ignorable] replica_id: i32 = -2,
        /// The lookups by topic.
        topics: Vec<OffsetForLeaderTopic>,
    }

    /// The lookups in one topic.
    pub struct OffsetForLeaderTopic {
        /// The topic's name; `UNKNOWN_TOPIC_OR_PARTITION` if there is none.
        topic: String,
        /// The lookups by partition.
        partitions: Vec<OffsetForLeaderPartition>,
    }

    /// One lookup.
    pub struct OffsetForLeaderPartition {
        /// The partition's index.
        partition: i32,
        /// The leader's epoch as the client knows it, or -1 for no check: `FENCED_LEADER_EPOCH` if it is too
        /// old, `UNKNOWN_LEADER_EPOCH` if the broker hasn't heard of it yet.
        [2.., ignorable] current_leader_epoch: i32 = -1,
        /// The epoch of the last record that the client has.
        leader_epoch: i32,
    }

    /// Where the epochs ended.
    pub struct OffsetForLeaderEpochResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        [2.., ignorable] throttle_time_ms: i32,
        /// The results by topic.
        topics: Vec<OffsetForLeaderTopicResult>,
    }

    /// Where the epochs ended in one topic.
    pub struct OffsetForLeaderTopicResult {
        /// The topic's name.
        topic: String,
        /// The results by partition.
        partitions: Vec<EpochEndOffset>,
    }

    /// Where an epoch ended in one partition.
    pub struct EpochEndOffset {
        /// `NOT_LEADER_OR_FOLLOWER`, `FENCED_LEADER_EPOCH`, `UNKNOWN_TOPIC_OR_PARTITION` after a move;
        /// `UNKNOWN_LEADER_EPOCH` if the broker lags behind the client (ask again); `KAFKA_STORAGE_ERROR`,
        /// `TOPIC_AUTHORIZATION_FAILED`.
        error_code: ErrorCode,
        /// The partition's index.
        partition: i32,
        /// The largest epoch in the log that is not above the one asked for; -1 if there is none.
        [1.., ignorable] leader_epoch: i32 = -1,
        /// The offset after that epoch's last record; -1 if unknown. A position beyond it was truncated.
        end_offset: i64 = -1,
    }
}
