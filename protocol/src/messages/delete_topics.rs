//! DeleteTopics: deletes topics and all their records. Goes to the controller. Needs Delete on the topics or
//! on the cluster.
//!
//! The answer comes when the controller has forgotten the topics; brokers delete the files later.
//!
//! Versions: 0 only brokers before 4.0 take; 3 may answer `TOPIC_DELETION_DISABLED`, which is
//! `INVALID_REQUEST` before; 4 is flexible; 5 adds messages in words and may answer
//! `THROTTLING_QUOTA_EXCEEDED`, to be asked again after the throttle time; 6 deletes by name or by id.
//!
//! Sources: KIP-4, KIP-322 (`TOPIC_DELETION_DISABLED`), KIP-516 (topic ids), KIP-599 (quota).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(DELETE_TOPICS: DeleteTopicsRequest => DeleteTopicsResponse, versions 0..=6, flexible 4..);

wire! {
    /// The topics to delete; each succeeds or fails by itself.
    pub struct DeleteTopicsRequest {
        /// The topics, from version 6 on; `INVALID_REQUEST` for one that stands here twice, by name or by id.
        [6..] topics: Vec<DeleteTopicState>,
        /// The topics' names, up to version 5.
        [..=5, ignorable] topic_names: Vec<String>,
        /// How long the controller may take, in milliseconds; after `REQUEST_TIMED_OUT` a topic may still
        /// disappear.
        timeout_ms: i32,
    }

    /// A topic to delete, by name or by id; `INVALID_REQUEST` answers both at once, and neither.
    pub struct DeleteTopicState {
        /// The name; null where the id is given.
        [6..] name: Option<String>,
        /// The id, which can't hit a newer topic of the same name; zero where the name is given.
        [6..] topic_id: Uuid,
    }

    /// What became of the topics.
    pub struct DeleteTopicsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        [1.., ignorable] throttle_time_ms: i32,
        /// The results.
        responses: Vec<DeletableTopicResult>,
    }

    /// What became of one topic.
    pub struct DeletableTopicResult {
        /// The name; null where the topic was named by an id that the client may not resolve.
        [nullable 6..] name: Option<String> = Some(String::new()),
        /// The id; zero where it is unknown.
        [6.., ignorable] topic_id: Uuid,
        /// `UNKNOWN_TOPIC_OR_PARTITION`, `UNKNOWN_TOPIC_ID`, `TOPIC_DELETION_DISABLED` for
        /// `delete.topic.enable=false`, `TOPIC_AUTHORIZATION_FAILED`, also for a topic that isn't there if
        /// the client couldn't describe it, `THROTTLING_QUOTA_EXCEEDED`, `REQUEST_TIMED_OUT`,
        /// `INVALID_REQUEST`.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        [5.., ignorable] error_message: Option<String>,
    }
}
