//! ListOffsets: the offset at a time, or at one end of a partition. Goes to the partition's leader. Needs
//! Describe on the topics.
//!
//! Versions: 0 answers a list of segment starts and only brokers before 4.0 take it; 1 answers one offset; 2
//! adds isolation levels; 4 adds leader epochs; 5 may answer `OFFSET_NOT_AVAILABLE`, which is
//! `LEADER_NOT_AVAILABLE` before; 6 is flexible; 7, 8, 9 and 11 each admit a further special timestamp, which
//! older versions answer with `UNSUPPORTED_VERSION`; 10 adds a deadline for lookups in tiered storage.
//!
//! Sources: KIP-79 (one offset), KIP-98 (isolation), KIP-207 (`OFFSET_NOT_AVAILABLE`), KIP-320 (epochs),
//! KIP-405, KIP-734, KIP-1005, KIP-1023 (special timestamps), KIP-1075 (deadline).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(LIST_OFFSETS: ListOffsetsRequest => ListOffsetsResponse, versions 0..=11, flexible 6..);

/// `timestamp`: the offset after the last record that the client may see, by `isolation_level`.
pub const LATEST_TIMESTAMP: i64 = -1;

/// `timestamp`: the log's start, tiered storage included.
pub const EARLIEST_TIMESTAMP: i64 = -2;

/// `timestamp`: the record with the largest timestamp, from version 7 on.
pub const MAX_TIMESTAMP: i64 = -3;

/// `timestamp`: the start of what the leader itself holds, from version 8 on.
pub const EARLIEST_LOCAL_TIMESTAMP: i64 = -4;

/// `timestamp`: the last record that is in tiered storage, from version 9 on; offset -1 if there is none.
pub const LATEST_TIERED_TIMESTAMP: i64 = -5;

/// `timestamp`: the first record that is not yet in tiered storage, from version 11 on; offset -1 where the
/// topic doesn't use it.
pub const EARLIEST_PENDING_UPLOAD_TIMESTAMP: i64 = -6;

wire! {
    /// The lookups.
    pub struct ListOffsetsRequest {
        /// The follower that asks; -1 from a client; -2 from a tool that takes the answer of any replica. The
        /// default is the type's, so a client has to set it.
        replica_id: i32,
        /// How far a client sees: 0 up to the high watermark, 1 (read-committed) up to the last stable
        /// offset. Nothing beyond it is found.
        [2..] isolation_level: i8,
        /// The lookups by topic.
        topics: Vec<ListOffsetsTopic>,
        /// How long the broker may search in tiered storage, in milliseconds, before it answers
        /// `REQUEST_TIMED_OUT`; 0 for its `remote.list.offsets.request.timeout.ms`.
        [10.., ignorable] timeout_ms: i32,
    }

    /// The lookups in one topic.
    pub struct ListOffsetsTopic {
        /// The topic's name; `UNKNOWN_TOPIC_OR_PARTITION` if there is none.
        name: String,
        /// The lookups by partition.
        partitions: Vec<ListOffsetsPartition>,
    }

    /// One lookup.
    pub struct ListOffsetsPartition {
        /// The partition's index; `INVALID_REQUEST` if it stands here twice.
        partition_index: i32,
        /// The leader's epoch as the client knows it, or -1 for no check: `FENCED_LEADER_EPOCH` if it is too
        /// old, `UNKNOWN_LEADER_EPOCH` if the broker hasn't heard of it yet.
        [4.., ignorable] current_leader_epoch: i32 = -1,
        /// Milliseconds since 1970: the first record that is not older is looked for. Or one of the negative
        /// constants.
        timestamp: i64,
        /// How many segment starts the answer may list, in version 0; later ones answer one offset.
        [..=0] max_num_offsets: i32 = 1,
    }

    /// What was found.
    pub struct ListOffsetsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        [2.., ignorable] throttle_time_ms: i32,
        /// The results by topic.
        topics: Vec<ListOffsetsTopicResponse>,
    }

    /// What was found in one topic.
    pub struct ListOffsetsTopicResponse {
        /// The topic's name.
        name: String,
        /// The results by partition.
        partitions: Vec<ListOffsetsPartitionResponse>,
    }

    /// What one lookup found.
    pub struct ListOffsetsPartitionResponse {
        /// The partition's index.
        partition_index: i32,
        /// `NOT_LEADER_OR_FOLLOWER`, `FENCED_LEADER_EPOCH`, `UNKNOWN_TOPIC_OR_PARTITION` after a move;
        /// `UNKNOWN_LEADER_EPOCH` if the broker lags behind the client, `OFFSET_NOT_AVAILABLE` just after an
        /// election (ask again); `TOPIC_AUTHORIZATION_FAILED`; `UNSUPPORTED_FOR_MESSAGE_FORMAT` for a search
        /// by time in logs of the oldest format.
        error_code: ErrorCode,
        /// Starts of segments, latest first.
        [..=0] old_style_offsets: Vec<i64>,
        /// The found record's timestamp; -1 at an end of the log and where nothing was found.
        [1..] timestamp: i64 = -1,
        /// The offset; -1 where no record is as young as asked, which is no error.
        [1..] offset: i64 = -1,
        /// The epoch in which the record at the offset was written; -1 if unknown.
        [4..] leader_epoch: i32 = -1,
    }
}
