//! OffsetCommit: notes how far a group has come, partition by partition.
//!
//! The committed offset is that of the next record to read. Every partition has its own outcome; some may be
//! committed while others aren't.
//!
//! By version: 0 wrote to ZooKeeper and 1 let the client set the time of the commit (Kafka 4.0 removed both); 2 to 4
//! have a retention time; 6 brings the leader epoch, 7 static members; from 9 on members of the consumer protocol can
//! commit (their epoch stands in for the generation); 10 names topics by id and no longer by name.
//!
//! Sources: KIP-211 (retention is the broker's affair), KIP-320 (leader epoch), KIP-345 (static members), KIP-848
//! (consumer protocol, topic ids), KIP-896 (removed versions).

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(OFFSET_COMMIT: OffsetCommitRequest => OffsetCommitResponse, versions 0..=10, flexible 8..);

wire! {
    /// Commits offsets.
    pub struct OffsetCommitRequest {
        /// The group; `NOT_COORDINATOR` if another broker takes care of it by now.
        group_id: String,
        /// The generation, or the member epoch; -1 commits from outside, which only an empty group lets happen.
        /// `ILLEGAL_GENERATION`, or `STALE_MEMBER_EPOCH` in the consumer protocol, if it is over.
        [1.., ignorable] generation_id_or_member_epoch: i32 = -1,
        /// The member; `UNKNOWN_MEMBER_ID` once the coordinator has removed it. Empty from outside.
        [1.., ignorable] member_id: String,
        /// The `group.instance.id` of a static member; `FENCED_INSTANCE_ID` if another member has taken it over.
        [7..] group_instance_id: Option<String>,
        /// Milliseconds to keep the offsets; -1 is the broker's `offsets.retention.minutes`.
        [2..=4, ignorable] retention_time_ms: i64 = -1,
        /// What to commit.
        topics: Vec<OffsetCommitRequestTopic>,
    }

    /// A topic to commit in.
    pub struct OffsetCommitRequestTopic {
        /// The topic's name, up to version 9.
        [..=9, ignorable] name: String,
        /// The topic's id, from version 10 on; `UNKNOWN_TOPIC_ID` if the broker knows no such topic.
        [10.., ignorable] topic_id: Uuid,
        /// The partitions to commit.
        partitions: Vec<OffsetCommitRequestPartition>,
    }

    /// A partition to commit.
    pub struct OffsetCommitRequestPartition {
        /// The partition's number; `UNKNOWN_TOPIC_OR_PARTITION` if there is no such partition.
        partition_index: i32,
        /// The offset of the next record to read.
        committed_offset: i64,
        /// The leader epoch of the last record read, by which a later reader notices a truncated log; -1 if unknown.
        [6.., ignorable] committed_leader_epoch: i32 = -1,
        /// When the commit happened, in version 1 alone; -1 is the broker's clock.
        [1..=1] commit_timestamp: i64 = -1,
        /// Any text to keep with the offset; `OFFSET_METADATA_TOO_LARGE` beyond `offset.metadata.max.bytes`.
        committed_metadata: Option<String> = Some(String::new()),
    }

    /// The outcomes.
    pub struct OffsetCommitResponse {
        /// How long the quota holds the client back, in milliseconds.
        [3.., ignorable] throttle_time_ms: i32,
        /// The topics of the request.
        topics: Vec<OffsetCommitResponseTopic>,
    }

    /// The outcomes in a topic.
    pub struct OffsetCommitResponseTopic {
        /// The topic's name, up to version 9.
        [..=9, ignorable] name: String,
        /// The topic's id, from version 10 on.
        [10.., ignorable] topic_id: Uuid,
        /// The partitions of the request.
        partitions: Vec<OffsetCommitResponsePartition>,
    }

    /// The outcome for a partition.
    pub struct OffsetCommitResponsePartition {
        /// The partition's number.
        partition_index: i32,
        /// Whether the offset is committed. What concerns the whole group, such as `REBALANCE_IN_PROGRESS` or
        /// `COORDINATOR_LOAD_IN_PROGRESS`, stands here as well, the same for every partition.
        error_code: ErrorCode,
    }
}
