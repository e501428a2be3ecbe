//! DeleteShareGroupOffsets: makes an empty share group forget topics; if it reads them again, it starts anew
//! by its `share.auto.offset.reset`. Goes to the group's coordinator. Needs Delete on the group and Read on
//! the topics.
//!
//! Sources: KIP-932.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(
    DELETE_SHARE_GROUP_OFFSETS: DeleteShareGroupOffsetsRequest => DeleteShareGroupOffsetsResponse,
    versions 0..=0, flexible 0..
);

wire! {
    /// The topics to forget.
    pub struct DeleteShareGroupOffsetsRequest {
        /// The group; `NON_EMPTY_GROUP` if it has members, `GROUP_ID_NOT_FOUND` if there is none,
        /// `INVALID_GROUP_ID` if empty.
        group_id: String,
        /// The topics, each with all its partitions.
        topics: Vec<DeleteShareGroupOffsetsRequestTopic>,
    }

    /// A topic to forget.
    pub struct DeleteShareGroupOffsetsRequestTopic {
        /// The topic's name; `UNKNOWN_TOPIC_OR_PARTITION` if there is none.
        topic_name: String,
    }

    /// What became of the topics.
    pub struct DeleteShareGroupOffsetsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// What concerns the group: `NOT_COORDINATOR` and its like, `GROUP_AUTHORIZATION_FAILED`, and what
        /// the request's field names.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String>,
        /// The topics.
        responses: Vec<DeleteShareGroupOffsetsResponseTopic>,
    }

    /// What became of one topic.
    pub struct DeleteShareGroupOffsetsResponseTopic {
        /// The topic's name.
        topic_name: String,
        /// The topic's id; zero if there is no such topic.
        topic_id: Uuid,
        /// `UNKNOWN_TOPIC_OR_PARTITION`, `TOPIC_AUTHORIZATION_FAILED`, `KAFKA_STORAGE_ERROR`,
        /// `UNKNOWN_SERVER_ERROR`.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String>,
    }
}
