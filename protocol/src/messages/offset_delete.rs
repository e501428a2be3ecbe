//! OffsetDelete: makes a group forget offsets. Goes to the group's coordinator. Needs Delete on the group and
//! Read on the topics.
//!
//! Sources: KIP-496.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(OFFSET_DELETE: OffsetDeleteRequest => OffsetDeleteResponse, versions 0..=0, flexible none);

wire! {
    /// Names the offsets to forget.
    pub struct OffsetDeleteRequest {
        /// The group; `GROUP_ID_NOT_FOUND` if there is none of this name, `INVALID_GROUP_ID` if it is empty.
        group_id: String,
        /// The topics.
        topics: Vec<OffsetDeleteRequestTopic>,
    }

    /// One topic's partitions.
    pub struct OffsetDeleteRequestTopic {
        /// The topic's name; `GROUP_SUBSCRIBED_TO_TOPIC` at its partitions while members of the group read
        /// it.
        name: String,
        /// Its partitions.
        partitions: Vec<OffsetDeleteRequestPartition>,
    }

    /// A partition.
    pub struct OffsetDeleteRequestPartition {
        /// The partition's index; `UNKNOWN_TOPIC_OR_PARTITION` if there is none.
        partition_index: i32,
    }

    /// Which offsets are forgotten.
    pub struct OffsetDeleteResponse {
        /// What concerns the group as a whole: `GROUP_AUTHORIZATION_FAILED`, `NOT_COORDINATOR` and its like,
        /// `NON_EMPTY_GROUP` if it has members that are no consumers, and what the request's field names.
        error_code: ErrorCode,
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
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
        /// The partition's index.
        partition_index: i32,
        /// `GROUP_SUBSCRIBED_TO_TOPIC`, `UNKNOWN_TOPIC_OR_PARTITION` or `TOPIC_AUTHORIZATION_FAILED`. A
        /// partition without a commit is no error.
        error_code: ErrorCode,
    }
}
