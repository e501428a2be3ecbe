//! OffsetCommit: notes how far a group has come, partition by partition. Goes to the group's coordinator.
//! Needs Read on the group and on the topics.
//!
//! The committed offset is that of the next record to read. Every partition has its own outcome; some may be
//! committed while others aren't. A commit also counts as a heartbeat in a classic group.
//!
//! Versions: 0 wrote to ZooKeeper and 1 let the client set the time of the commit (only brokers before 4.0
//! take them); 2 to 4 have a retention time; 6 brings the leader epoch, 7 static members; from 9 on members
//! of the consumer protocol can commit (their epoch stands in for the generation), and a group that isn't
//! there is `GROUP_ID_NOT_FOUND` instead of `ILLEGAL_GENERATION`; 10 names topics by id and no longer by
//! name.
//!
//! Sources: KIP-211 (retention is the broker's affair), KIP-320 (leader epoch), KIP-345 (static members),
//! KIP-848 (consumer protocol, topic ids), KIP-896 (removed versions), KIP-1251 (older epochs).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(OFFSET_COMMIT: OffsetCommitRequest => OffsetCommitResponse, versions 0..=10, flexible 8..);

wire! {
    /// Commits offsets.
    pub struct OffsetCommitRequest {
        /// The group; with generation -1 it is created if there is none.
        group_id: String,
        /// The generation, or the member epoch; -1 commits from outside, which only a group without members
        /// lets happen. `ILLEGAL_GENERATION`, or `STALE_MEMBER_EPOCH` in the consumer protocol, if it isn't
        /// the current one; Kafka 4.3 also takes an older epoch for partitions that the member has had since
        /// then.
        [1.., ignorable] generation_id_or_member_epoch: i32 = -1,
        /// The member; `UNKNOWN_MEMBER_ID` once the coordinator has removed it, or if it is empty, as from
        /// outside, and the group has members. A member of the consumer protocol needs version 9: below it,
        /// `UNSUPPORTED_VERSION`.
        [1.., ignorable] member_id: String,
        /// The `group.instance.id` of a static member; `FENCED_INSTANCE_ID` if another member has taken it
        /// over.
        [7..] group_instance_id: Option<String>,
        /// Milliseconds to keep the offsets from now on; -1 keeps them while the group lives, and for the
        /// broker's `offsets.retention.minutes` after.
        [2..=4, ignorable] retention_time_ms: i64 = -1,
        /// What to commit.
        topics: Vec<OffsetCommitRequestTopic>,
    }

    /// A topic to commit in.
    pub struct OffsetCommitRequestTopic {
        /// The topic's name, up to version 9; `UNKNOWN_TOPIC_OR_PARTITION` if there is none.
        [..=9, ignorable] name: String,
        /// The topic's id, from version 10 on; `UNKNOWN_TOPIC_ID` if the broker knows no such topic.
        [10.., ignorable] topic_id: Uuid,
        /// The partitions to commit.
        partitions: Vec<OffsetCommitRequestPartition>,
    }

    /// A partition to commit.
    pub struct OffsetCommitRequestPartition {
        /// The partition's index; `UNKNOWN_TOPIC_OR_PARTITION` if there is no such partition.
        partition_index: i32,
        /// The offset of the next record to read; the coordinator doesn't compare it with the log or with
        /// earlier commits.
        committed_offset: i64,
        /// The leader epoch of the last record read, by which a later reader notices a truncated log; -1 if
        /// unknown.
        [6.., ignorable] committed_leader_epoch: i32 = -1,
        /// When the commit happened, in version 1 alone; -1 is the broker's clock.
        [1..=1] commit_timestamp: i64 = -1,
        /// Any text to keep with the offset; `OFFSET_METADATA_TOO_LARGE` beyond `offset.metadata.max.bytes`,
        /// for this partition only.
        committed_metadata: Option<String> = Some(String::new()),
    }

    /// The outcomes.
    pub struct OffsetCommitResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
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
        /// The partition's index.
        partition_index: i32,
        /// Whether the offset is committed. What concerns the whole group stands here as well, the same for
        /// every partition: `REBALANCE_IN_PROGRESS` (rejoin first), `UNKNOWN_MEMBER_ID` and
        /// `ILLEGAL_GENERATION` (the partitions may be others' now: rejoin, don't commit again),
        /// `STALE_MEMBER_EPOCH` (commit with the epoch of the next heartbeat), `FENCED_INSTANCE_ID` (give
        /// up), `GROUP_AUTHORIZATION_FAILED`, `NOT_COORDINATOR` and its like.
        ///
        /// Of the partition itself: `TOPIC_AUTHORIZATION_FAILED` and what the request's fields name;
        /// `INVALID_COMMIT_OFFSET_SIZE` from brokers before 4.0.
        error_code: ErrorCode,
    }
}
