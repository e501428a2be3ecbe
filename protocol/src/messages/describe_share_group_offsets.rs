//! DescribeShareGroupOffsets: where share groups have come to in their partitions. Goes to the groups'
//! coordinator. Needs Describe on the groups and on the topics.
//!
//! Versions: 1 adds the lag.
//!
//! Sources: KIP-932, KIP-1226 (lag).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(
    DESCRIBE_SHARE_GROUP_OFFSETS: DescribeShareGroupOffsetsRequest => DescribeShareGroupOffsetsResponse,
    versions 0..=1, flexible 0..
);

wire! {
    /// Asks for share groups' offsets.
    pub struct DescribeShareGroupOffsetsRequest {
        /// The groups; each is answered by itself.
        groups: Vec<DescribeShareGroupOffsetsRequestGroup>,
    }

    /// A group asked about.
    pub struct DescribeShareGroupOffsetsRequestGroup {
        /// The group; `GROUP_ID_NOT_FOUND` if there is no share group of this name.
        group_id: String,
        /// The topics; null for all that the group has a state for and the client may see.
        topics: Option<Vec<DescribeShareGroupOffsetsRequestTopic>> = Some(Vec::new()),
    }

    /// A topic asked about.
    pub struct DescribeShareGroupOffsetsRequestTopic {
        /// The topic's name; `UNKNOWN_TOPIC_OR_PARTITION` at its partitions if there is none.
        topic_name: String,
        /// The partitions' indexes.
        partitions: Vec<i32>,
    }

    /// Share groups' offsets.
    pub struct DescribeShareGroupOffsetsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// The groups.
        groups: Vec<DescribeShareGroupOffsetsResponseGroup>,
    }

    /// A group's offsets, or why there are none.
    pub struct DescribeShareGroupOffsetsResponseGroup {
        /// The group.
        group_id: String,
        /// The topics; none with an error of the group.
        topics: Vec<DescribeShareGroupOffsetsResponseTopic>,
        /// `GROUP_ID_NOT_FOUND`, `NOT_COORDINATOR` and its like, `GROUP_AUTHORIZATION_FAILED`,
        /// `INVALID_REQUEST`.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String>,
    }

    /// A topic's offsets.
    pub struct DescribeShareGroupOffsetsResponseTopic {
        /// The topic's name.
        topic_name: String,
        /// The topic's id; zero if there is no such topic.
        topic_id: Uuid,
        /// The partitions.
        partitions: Vec<DescribeShareGroupOffsetsResponsePartition>,
    }

    /// A partition's offset.
    pub struct DescribeShareGroupOffsetsResponsePartition {
        /// The partition's index.
        partition_index: i32,
        /// The first offset that isn't done with; what is before it is never delivered again. -1 if there is
        /// none yet.
        start_offset: i64,
        /// The leader epoch of the partition that the group's state is of.
        leader_epoch: i32,
        /// How many records from the start offset on are not done with; -1 if unknown.
        [1.., ignorable] lag: i64 = -1,
        /// `UNKNOWN_TOPIC_OR_PARTITION`, `TOPIC_AUTHORIZATION_FAILED`, `UNKNOWN_SERVER_ERROR`.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String>,
    }
}
