//! AlterShareGroupOffsets: moves an empty share group to other offsets; what it knew of single records is
//! forgotten. Goes to the group's coordinator. Needs Read on the group and on the topics.
//!
//! Sources: KIP-932.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(
    ALTER_SHARE_GROUP_OFFSETS: AlterShareGroupOffsetsRequest => AlterShareGroupOffsetsResponse,
    versions 0..=0, flexible 0..
);

wire! {
    /// The offsets to set.
    pub struct AlterShareGroupOffsetsRequest {
        /// The group; `NON_EMPTY_GROUP` if it has members, `GROUP_ID_NOT_FOUND` if there is none,
        /// `INVALID_GROUP_ID` if empty.
        group_id: String,
        /// The topics; a topic that the group didn't read before is added to what it has.
        topics: Vec<AlterShareGroupOffsetsRequestTopic>,
    }

    /// The offsets to set in one topic.
    pub struct AlterShareGroupOffsetsRequestTopic {
        /// The topic's name; `UNKNOWN_TOPIC_OR_PARTITION` if there is none.
        topic_name: String,
        /// The partitions.
        partitions: Vec<AlterShareGroupOffsetsRequestPartition>,
    }

    /// The offset to set in one partition.
    pub struct AlterShareGroupOffsetsRequestPartition {
        /// The partition's index; `UNKNOWN_TOPIC_OR_PARTITION` if there is none.
        partition_index: i32,
        /// The first offset to deliver; everything from there on is delivered as if for the first time.
        start_offset: i64,
    }

    /// What became of the offsets.
    pub struct AlterShareGroupOffsetsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// What concerns the group: `NOT_COORDINATOR` and its like, `GROUP_AUTHORIZATION_FAILED`, and what
        /// the request's field names.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String>,
        /// The topics.
        responses: Vec<AlterShareGroupOffsetsResponseTopic>,
    }

    /// What became of one topic.
    pub struct AlterShareGroupOffsetsResponseTopic {
        /// The topic's name.
        topic_name: String,
        /// The topic's id; zero if there is no such topic.
        topic_id: Uuid,
        /// The partitions.
        partitions: Vec<AlterShareGroupOffsetsResponsePartition>,
    }

    /// What became of one partition.
    pub struct AlterShareGroupOffsetsResponsePartition {
        /// The partition's index.
        partition_index: i32,
        /// `UNKNOWN_TOPIC_OR_PARTITION`, `TOPIC_AUTHORIZATION_FAILED`, `KAFKA_STORAGE_ERROR`,
        /// `UNKNOWN_SERVER_ERROR`.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String>,
    }
}
