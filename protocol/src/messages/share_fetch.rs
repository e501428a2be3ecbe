//! ShareFetch: acquires records of a share group for a while and, in the same request, acknowledges earlier
//! ones. Goes to each partition's leader. Needs Read on the group and on the topics.
//!
//! The broker keeps a session for each member until its connection ends: the request names only the
//! partitions that join or leave it and those with acknowledgements, and the epoch counts the requests. An
//! acquired record is locked for the member until it is acknowledged or the lock times out; then it is
//! delivered again, to anyone in the group, up to `group.share.delivery.count.limit` times.
//! `UNSUPPORTED_VERSION` where the cluster has share groups switched off.
//!
//! Versions: 0 was the early access of Kafka 4.0, and no other broker takes it, so it is never negotiated; 1
//! is the first lasting one and bounds the records instead of each partition's bytes; 2 adds the strict bound
//! on records and renewed locks.
//!
//! Sources: KIP-932, KIP-1206 (strict bound), KIP-1222 (renewed locks).

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(
    SHARE_FETCH: ShareFetchRequest => ShareFetchResponse,
    versions 0..=2, flexible 0.., negotiable 1..=2
);

wire! {
    /// Asks for records, and acknowledges others.
    pub struct ShareFetchRequest {
        /// The share group.
        group_id: Option<String>,
        /// The id that the member heartbeats with; `INVALID_REQUEST` if empty or longer than 36 characters.
        member_id: Option<String> = Some(String::new()),
        /// 0 opens a session, -1 closes it and lets go of what is acquired, else one more than in the request
        /// before, from `i32::MAX` to 1; `SHARE_SESSION_NOT_FOUND` or `INVALID_SHARE_SESSION_EPOCH` where the
        /// broker counts otherwise, and the member opens a new one.
        share_session_epoch: i32,
        /// How long the broker may wait for `min_bytes`, in milliseconds.
        max_wait_ms: i32,
        /// How many bytes are worth an answer before the time is over.
        min_bytes: i32,
        /// A bound in bytes for the whole answer; the first batch comes whole even if it is larger.
        max_bytes: i32 = i32::MAX,
        /// How many records to acquire; exceeded up to the end of a batch, unless `share_acquire_mode`
        /// forbids it.
        [1..] max_records: i32,
        /// Into how large pieces the broker cuts what is acquired, in records; it keeps its state piece by
        /// piece.
        [1..] batch_size: i32,
        /// 0 acquires whole batches, 1 never more than `max_records` records.
        [2.., ignorable] share_acquire_mode: i8,
        /// Whether there are renewals among the acknowledgements; `INVALID_REQUEST` for a renewal without it.
        /// Such a request fetches nothing, and is `INVALID_REQUEST` unless its wait, bytes and records are
        /// all 0.
        [2..] is_renew_ack: bool,
        /// Partitions that join the session, and those with acknowledgements.
        topics: Vec<FetchTopic>,
        /// Partitions that leave the session; what is acquired there stays acquired.
        forgotten_topics_data: Vec<ForgottenTopic>,
    }

    /// What to fetch from and to acknowledge in one topic.
    pub struct FetchTopic {
        /// The topic's id; `UNKNOWN_TOPIC_ID` if the broker knows no such topic.
        topic_id: Uuid,
        /// The partitions.
        partitions: Vec<FetchPartition>,
    }

    /// What to fetch from and to acknowledge in one partition.
    pub struct FetchPartition {
        /// The partition's index; `NOT_LEADER_OR_FOLLOWER` if another broker leads it by now.
        partition_index: i32,
        /// A bound in bytes for this partition; 0 only acknowledges.
        [..=0] partition_max_bytes: i32,
        /// What became of acquired records, in ascending order; `INVALID_REQUEST` where ranges overlap, and
        /// in the request that opens the session.
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

    /// Partitions of a topic that leave the session.
    pub struct ForgottenTopic {
        /// The topic's id.
        topic_id: Uuid,
        /// The partitions' indexes.
        partitions: Vec<i32>,
    }

    /// The acquired records, and what became of the acknowledgements.
    pub struct ShareFetchResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// An error of the group or the session: `GROUP_AUTHORIZATION_FAILED`, `SHARE_SESSION_NOT_FOUND`,
        /// `INVALID_SHARE_SESSION_EPOCH`, `INVALID_REQUEST`, and `SHARE_SESSION_LIMIT_REACHED`, which comes
        /// only after the request's wait, for a session that would be one too many for the broker (ask
        /// again).
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String>,
        /// Milliseconds for which the acquired records are locked.
        [1..] acquisition_lock_timeout_ms: i32,
        /// The partitions with records, errors or acknowledgements.
        responses: Vec<ShareFetchableTopicResponse>,
        /// Addresses of the leaders that `current_leader` names.
        node_endpoints: Vec<NodeEndpoint>,
    }

    /// What came of one topic.
    pub struct ShareFetchableTopicResponse {
        /// The topic's id.
        topic_id: Uuid,
        /// The partitions.
        partitions: Vec<PartitionData>,
    }

    /// What came of one partition.
    pub struct PartitionData {
        /// The partition's index.
        partition_index: i32,
        /// Why there are no records: `NOT_LEADER_OR_FOLLOWER`, `UNKNOWN_TOPIC_OR_PARTITION`,
        /// `UNKNOWN_TOPIC_ID`, `TOPIC_AUTHORIZATION_FAILED`, `KAFKA_STORAGE_ERROR`, `CORRUPT_MESSAGE`.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String>,
        /// Why the acknowledgements don't count: the same, `INVALID_RECORD_STATE` if the lock is lost,
        /// `INVALID_REQUEST` for offsets or types that can't be.
        acknowledge_error_code: ErrorCode,
        /// The error in words, meant for people.
        acknowledge_error_message: Option<String>,
        /// The new leader, sent with `NOT_LEADER_OR_FOLLOWER` and `FENCED_LEADER_EPOCH` where the broker
        /// knows it.
        current_leader: LeaderIdAndEpoch,
        /// Record batches; also with records that aren't acquired, which the member mustn't hand out. Null
        /// only in version 0.
        [nullable 0..=0] records: Option<Bytes>,
        /// Which of the records are the member's for now.
        acquired_records: Vec<AcquiredRecords>,
    }

    /// A partition's leader.
    pub struct LeaderIdAndEpoch {
        /// The broker's id; -1 if unknown.
        leader_id: i32,
        /// The epoch in which it leads.
        leader_epoch: i32,
    }

    /// A range of records that the member has acquired.
    pub struct AcquiredRecords {
        /// The first offset.
        first_offset: i64,
        /// The last offset, which is part of the range.
        last_offset: i64,
        /// How often the group has acquired them, this time included.
        delivery_count: i16,
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
