//! ShareAcknowledge: says what became of acquired records when there is nothing to fetch, and closes a share
//! session. Goes to each partition's leader, in the session that ShareFetch opened. Needs Read on the group
//! and on the topics.
//!
//! Versions: 0 was the early access of Kafka 4.0, and no other broker takes it, so it is never negotiated; 1
//! is the first lasting one; 2 adds renewed locks.
//!
//! Sources: KIP-932, KIP-1222 (renewed locks).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(
    SHARE_ACKNOWLEDGE: ShareAcknowledgeRequest => ShareAcknowledgeResponse,
    versions 0..=2, flexible 0.., negotiable 1..=2
);

wire! {
    /// What became of acquired records.
    pub struct ShareAcknowledgeRequest {
        /// The share group.
        group_id: Option<String>,
        /// The id that the member heartbeats with; `INVALID_REQUEST` if empty or longer than 36 characters.
        member_id: Option<String> = Some(String::new()),
        /// One more than in the session's request before, or -1 to close it and to let go of what is still
        /// acquired; `SHARE_SESSION_NOT_FOUND` or `INVALID_SHARE_SESSION_EPOCH` where the broker counts
        /// otherwise, and for 0.
        share_session_epoch: i32,
        /// Whether there are renewals among the acknowledgements; `INVALID_REQUEST` for a renewal without it.
        [2..] is_renew_ack: bool,
        /// The topics.
        topics: Vec<AcknowledgeTopic>,
    }

    /// What to acknowledge in one topic.
    pub struct AcknowledgeTopic {
        /// The topic's id; `UNKNOWN_TOPIC_ID` if the broker knows no such topic.
        topic_id: Uuid,
        /// The partitions.
        partitions: Vec<AcknowledgePartition>,
    }

    /// What to acknowledge in one partition.
    pub struct AcknowledgePartition {
        /// The partition's index; `NOT_LEADER_OR_FOLLOWER` if another broker leads it by now.
        partition_index: i32,
        /// What became of acquired records, in ascending order; `INVALID_REQUEST` where ranges overlap.
        acknowledgement_batches: Vec<AcknowledgementBatch>,
    }

    /// What became of a range of acquired records.
    pub struct AcknowledgementBatch {
        /// The first offset; the range may span several acquired ones.
        first_offset: i64,
        /// The last offset, which is part of the range.
        last_offset: i64,
        /// One for all offsets, or one for each: 0 there is no such record, 1 accepted, 2 released to be
        /// delivered again, 3 rejected for good, and from version 2 on 4 locked anew.
        acknowledge_types: Vec<i8>,
    }

    /// What became of the acknowledgements.
    pub struct ShareAcknowledgeResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// An error of the group or the session: `GROUP_AUTHORIZATION_FAILED`, `SHARE_SESSION_NOT_FOUND`,
        /// `INVALID_SHARE_SESSION_EPOCH`, `INVALID_REQUEST`.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String>,
        /// Milliseconds for which renewed records are locked.
        [2.., ignorable] acquisition_lock_timeout_ms: i32,
        /// The topics.
        responses: Vec<ShareAcknowledgeTopicResponse>,
        /// Addresses of the leaders that `current_leader` names.
        node_endpoints: Vec<NodeEndpoint>,
    }

    /// What came of one topic.
    pub struct ShareAcknowledgeTopicResponse {
        /// The topic's id.
        topic_id: Uuid,
        /// The partitions.
        partitions: Vec<PartitionData>,
    }

    /// What came of one partition.
    pub struct PartitionData {
        /// The partition's index.
        partition_index: i32,
        /// `INVALID_RECORD_STATE` if the lock is lost, so that the records will be delivered again;
        /// `NOT_LEADER_OR_FOLLOWER`, `UNKNOWN_TOPIC_OR_PARTITION`, `UNKNOWN_TOPIC_ID`,
        /// `TOPIC_AUTHORIZATION_FAILED`, `KAFKA_STORAGE_ERROR`, and `INVALID_REQUEST` for offsets or types
        /// that can't be.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String>,
        /// The new leader, sent with `NOT_LEADER_OR_FOLLOWER` and `FENCED_LEADER_EPOCH` where the broker
        /// knows it.
        current_leader: LeaderIdAndEpoch,
    }

    /// A partition's leader.
    pub struct LeaderIdAndEpoch {
        /// The broker's id; -1 if unknown.
        leader_id: i32,
        /// The epoch in which it leads.
        leader_epoch: i32,
    }

    /// A broker's address.
    pub struct NodeEndpoint {
        /// The broker's id.
        node_id: i32,
        /// The name or address to dial.
        host: String,
        /// The port to dial.
        port: i32,
        /// `broker.rack`, where it is set.
        rack: Option<String>,
    }
}
