//! Fetch: reads record batches from partitions. Goes to their leader, or to the follower that the leader
//! recommends.
//!
//! Needs Read on the topics; replicas need ClusterAction on the cluster.
//!
//! In a fetch session the broker remembers the client's partitions, so that requests name only what is new or
//! changed and answers only partitions with news. After an error of the session the client opens a new one
//! with all its partitions.
//!
//! Versions: 0 to 3 may answer message sets of the old formats and only brokers before 4.0 take them; 3
//! bounds the whole answer, which from then on is filled in the order of the request; 4 brings record batches
//! and isolation levels; 5 answers the log's start; 6 may answer `KAFKA_STORAGE_ERROR`, which is
//! `NOT_LEADER_OR_FOLLOWER` before; 7 adds fetch sessions; 9 adds leader epochs; 10 may answer zstd (below
//! it, brokers before 4.0 answered `UNSUPPORTED_COMPRESSION_TYPE`); 11 adds racks and preferred replicas; 12
//! is flexible and detects truncation; 13 replaces topic names by ids; 14 may answer
//! `OFFSET_MOVED_TO_TIERED_STORAGE`, to replicas; 15 moves the replica's id to a tag; 16 answers where a
//! moved partition's leader is; 17 and 18 concern replicas only.
//!
//! Sources: KIP-13 (quotas), KIP-74 (`max_bytes`), KIP-98 (isolation), KIP-107 (log start), KIP-110 (zstd),
//! KIP-112 (`KAFKA_STORAGE_ERROR`), KIP-227 (sessions), KIP-320 (epochs), KIP-392 (followers), KIP-405
//! (tiered storage), KIP-516 (topic ids), KIP-595 (divergence), KIP-853 (directory ids), KIP-903 (replica
//! epochs), KIP-951 (leader hints), KIP-1166 (high watermark).

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(FETCH: FetchRequest => FetchResponse, versions 0..=18, flexible 12..);

/// `isolation_level`: everything below the high watermark, transactions open or aborted included.
pub const READ_UNCOMMITTED: i8 = 0;

/// `isolation_level`: nothing at or above the last stable offset, and the answer lists the aborted
/// transactions.
pub const READ_COMMITTED: i8 = 1;

wire! {
    /// What to read, and how long to wait for it.
    pub struct FetchRequest {
        /// The cluster that the sender believes to talk to; `INCONSISTENT_CLUSTER_ID` if it isn't. For KRaft
        /// voters.
        [12.., tag 0, ignorable] cluster_id: Option<String>,
        /// The follower's id; -1 from a consumer.
        [..=14] replica_id: i32 = -1,
        /// The follower; the default from a consumer.
        [15.., tag 1] replica_state: ReplicaState,
        /// How long the broker may hold the request, in milliseconds, until `min_bytes` are there.
        max_wait_ms: i32,
        /// The broker answers at once when it has this many bytes for all partitions together; 0 never waits.
        /// An error or a recommended replica ends the wait as well.
        min_bytes: i32,
        /// A bound of the answer's records in bytes, beside the broker's own `fetch.max.bytes`; the first
        /// batch comes whole even if it is larger, so that the client gets on.
        [3.., ignorable] max_bytes: i32 = i32::MAX,
        /// [`READ_UNCOMMITTED`] or [`READ_COMMITTED`].
        [4.., ignorable] isolation_level: i8,
        /// The session that this request continues; 0 for none. `FETCH_SESSION_ID_NOT_FOUND` if the broker
        /// dropped it, `FETCH_SESSION_TOPIC_ID_ERROR` if it was opened with names and this version has ids,
        /// or the other way round.
        [7.., ignorable] session_id: i32,
        /// 0 asks for a new session, then counts up, from `i32::MAX` to 1; -1 wants none. Both close
        /// `session_id`. A gap is answered with `INVALID_FETCH_SESSION_EPOCH`.
        [7.., ignorable] session_epoch: i32 = -1,
        /// The partitions to read; in a session those that are new or changed. From version 3 on the answer's
        /// bytes go to the first ones first, so clients move partitions that got records to the end.
        topics: Vec<FetchTopic>,
        /// Partitions to take out of the session, up to the last, which ends it.
        [7..] forgotten_topics_data: Vec<ForgottenTopic>,
        /// The consumer's `client.rack`; the leader may recommend a replica in it.
        [11.., ignorable] rack_id: String,
    }

    /// A follower that fetches.
    pub struct ReplicaState {
        /// The follower's id; -1 from a consumer.
        [15..] replica_id: i32 = -1,
        /// The follower's broker epoch; a stale one is answered with `STALE_BROKER_EPOCH`. -1 if it has none.
        [15..] replica_epoch: i64 = -1,
    }

    /// What to read of one topic.
    pub struct FetchTopic {
        /// The topic's name; `UNKNOWN_TOPIC_OR_PARTITION` if the broker knows none such (yet).
        [..=12, ignorable] topic: String,
        /// The topic's id; `UNKNOWN_TOPIC_ID` if the broker knows no topic of this id (yet, or any more),
        /// `INCONSISTENT_TOPIC_ID` if its log belongs to another topic of the same name.
        [13.., ignorable] topic_id: Uuid,
        /// The partitions to read.
        partitions: Vec<FetchPartition>,
    }

    /// What to read of one partition.
    pub struct FetchPartition {
        /// The partition's index; `UNKNOWN_TOPIC_OR_PARTITION` if the broker knows none such (yet).
        partition: i32,
        /// The leader's epoch as the client knows it, or -1 for no check: `FENCED_LEADER_EPOCH` if it is too
        /// old, `UNKNOWN_LEADER_EPOCH` if the broker hasn't heard of it yet.
        [9.., ignorable] current_leader_epoch: i32 = -1,
        /// The first offset wanted; `OFFSET_OUT_OF_RANGE` below the log's start or beyond its end, where a
        /// consumer resets its position. Records before it may come too, as batches come whole.
        fetch_offset: i64,
        /// The epoch of the record before `fetch_offset`, or -1 for no check; where the logs differ,
        /// `diverging_epoch` is answered and no records.
        [12..] last_fetched_epoch: i32 = -1,
        /// Where a follower's own log starts, by which the leader answers DeleteRecords; -1 from a consumer.
        [5.., ignorable] log_start_offset: i64 = -1,
        /// A bound in bytes for this partition; the first batch of the answer comes whole even if it is
        /// larger.
        partition_max_bytes: i32,
        /// The directory that a follower fetches into; zero from a consumer.
        [17.., tag 0, ignorable] replica_directory_id: Uuid,
        /// The high watermark that a follower knows; `i64::MAX` from a consumer.
        [18.., tag 1, ignorable] high_watermark: i64 = i64::MAX,
    }

    /// Partitions of a topic that leave the session.
    pub struct ForgottenTopic {
        /// The topic's name.
        [7..=12, ignorable] topic: String,
        /// The topic's id.
        [13.., ignorable] topic_id: Uuid,
        /// The partitions' indexes.
        [7..] partitions: Vec<i32>,
    }

    /// What was read.
    pub struct FetchResponse {
        /// Milliseconds that a quota asks the client to keep silent; if not 0, the answer holds no records.
        [1.., ignorable] throttle_time_ms: i32,
        /// An error of the session, with no partitions: `FETCH_SESSION_ID_NOT_FOUND`,
        /// `INVALID_FETCH_SESSION_EPOCH`, `FETCH_SESSION_TOPIC_ID_ERROR`.
        [7.., ignorable] error_code: ErrorCode,
        /// The session that the broker keeps from now on; 0 if it keeps none, as when its cache
        /// (`max.incremental.fetch.session.cache.slots`) is full of livelier ones.
        [7..] session_id: i32,
        /// The partitions; in a session only those with news.
        responses: Vec<FetchableTopicResponse>,
        /// Addresses of the leaders that `current_leader` names.
        [16.., tag 0] node_endpoints: Vec<NodeEndpoint>,
    }

    /// What was read of one topic.
    pub struct FetchableTopicResponse {
        /// The topic's name.
        [..=12, ignorable] topic: String,
        /// The topic's id.
        [13.., ignorable] topic_id: Uuid,
        /// The partitions.
        partitions: Vec<PartitionData>,
    }

    /// What was read of one partition.
    pub struct PartitionData {
        /// The partition's index.
        partition_index: i32,
        /// `NOT_LEADER_OR_FOLLOWER`, `FENCED_LEADER_EPOCH` after a move; `UNKNOWN_LEADER_EPOCH` if the broker
        /// lags behind the client (ask again); `OFFSET_OUT_OF_RANGE`; `UNKNOWN_TOPIC_OR_PARTITION`,
        /// `UNKNOWN_TOPIC_ID`, `INCONSISTENT_TOPIC_ID`, `TOPIC_AUTHORIZATION_FAILED`, `KAFKA_STORAGE_ERROR`,
        /// `CORRUPT_MESSAGE`.
        error_code: ErrorCode,
        /// The first offset that is not on all in-sync replicas yet; -1 with an error.
        high_watermark: i64,
        /// The first offset of the oldest transaction that is still open, or the high watermark; -1 if
        /// unknown.
        [4.., ignorable] last_stable_offset: i64 = -1,
        /// The log's first offset; -1 if unknown. What is before it was deleted by retention or
        /// DeleteRecords.
        [5.., ignorable] log_start_offset: i64 = -1,
        /// Set where the client's log and the leader's differ: what follows this point is not the leader's.
        [12.., tag 0] diverging_epoch: EpochEndOffset,
        /// The new leader, sent with `NOT_LEADER_OR_FOLLOWER` and `FENCED_LEADER_EPOCH` from version 16 on,
        /// where the broker knows it.
        [12.., tag 1] current_leader: LeaderIdAndEpoch,
        /// The snapshot that a KRaft replica has to load before it goes on.
        [12.., tag 2] snapshot_id: SnapshotId,
        /// Aborted transactions among the records, for [`READ_COMMITTED`] only, in no promised order: the
        /// client drops their records itself. Null for [`READ_UNCOMMITTED`].
        [4.., ignorable] aborted_transactions: Option<Vec<AbortedTransaction>> = Some(Vec::new()),
        /// The replica to fetch from for a while instead of the leader, near the request's `rack_id`; -1 for
        /// none. No records come with it. A follower that can't serve a request answers an error, and the
        /// client goes back to the leader.
        [11..] preferred_read_replica: i32 = -1,
        /// Record batches, the last of which may be cut short; a slice of the frame.
        records: Option<Bytes>,
    }

    /// The end of an epoch.
    pub struct EpochEndOffset {
        /// The largest epoch that both logs can share; -1 where there is no divergence.
        [12..] epoch: i32 = -1,
        /// The offset at which that epoch ends in the leader's log.
        [12..] end_offset: i64 = -1,
    }

    /// A partition's leader.
    pub struct LeaderIdAndEpoch {
        /// The broker's id; -1 if unknown.
        [12..] leader_id: i32 = -1,
        /// The epoch in which it leads; -1 if unknown.
        [12..] leader_epoch: i32 = -1,
    }

    /// A KRaft snapshot's name.
    pub struct SnapshotId {
        /// The offset after its last record; -1 for no snapshot.
        end_offset: i64 = -1,
        /// The epoch of its last record.
        epoch: i32 = -1,
    }

    /// A transaction that was aborted.
    pub struct AbortedTransaction {
        /// Whose it was; the client drops this producer's records from `first_offset` to the control record.
        [4..] producer_id: i64,
        /// The offset of its first record in this partition; its control record ends it.
        [4..] first_offset: i64,
    }

    /// A broker's address.
    pub struct NodeEndpoint {
        /// The broker's id.
        [16..] node_id: i32,
        /// The name or address to dial.
        [16..] host: String,
        /// The port to dial.
        [16..] port: i32,
        /// `broker.rack`, where it is set.
        [16..] rack: Option<String>,
    }
}
