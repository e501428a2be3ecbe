//! OffsetDelete: makes a group forget offsets. Goes to the group's coordinator.
//!
//! Sources: KIP-496.

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(OFFSET_DELETE: OffsetDeleteRequest => OffsetDeleteResponse, versions 0..=0, flexible none);

wire! {
    /// Names the offsets to forget.
    pub struct OffsetDeleteRequest {
        /// The group; `GROUP_ID_NOT_FOUND` if there is none of this name.
        group_id: String,
        /// The topics.
        topics: Vec<OffsetDeleteRequestTopic>,
    }

    /// A topic.
    pub struct OffsetDeleteRequestTopic {
        /// The topic's name; `GROUP_SUBSCRIBED_TO_TOPIC` at its partitions while members of the group read it.
        name: String,
        /// Its partitions.
        partitions: Vec<OffsetDeleteRequestPartition>,
    }

    /// A partition.
    pub struct OffsetDeleteRequestPartition {
        /// The partition's number.
        partition_index: i32,
    }

    /// Which offsets are forgotten.
    pub struct OffsetDeleteResponse {
        /// What concerns the group as a whole: `GROUP_ID_NOT_FOUND`, `GROUP_AUTHORIZATION_FAILED`, `NOT_COORDINATOR`,
        /// `COORDINATOR_LOAD_IN_PROGRESS`, or `NON_EMPTY_GROUP` if its members are no consumers.
        error_code: ErrorCode,
        /// How long the quota holds the client back, in milliseconds.
        [ignorable] throttle_time_ms: i32,
        /// The topics; none if the group as a whole has an error.
        topics: Vec<OffsetDeleteResponseTopic>,
    }

    /// A topic's result.
    pub struct OffsetDeleteResponseTopic {
        /// The topic's name.
        name: String,
        /// Its partitions.
        partitions: Vec<OffsetDeleteResponsePartition>,
    }

    /// A partition's result.
    pub struct OffsetDeleteResponsePartition {
        /// The partition's number.
        partition_index: i32,
        /// `GROUP_SUBSCRIBED_TO_TOPIC`, `UNKNOWN_TOPIC_OR_PARTITION` or `TOPIC_AUTHORIZATION_FAILED`. A partition
        /// without a commit is no error.
        error_code: ErrorCode,
    }
}
