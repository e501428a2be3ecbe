//! CreatePartitions: gives topics more partitions. Goes to the controller. Needs Alter on the topics.
//!
//! Records stay where they are, so that a key may from then on go to another partition than before.
//!
//! Versions: 2 is flexible; 3 may answer `THROTTLING_QUOTA_EXCEEDED`, to be asked again after the throttle
//! time.
//!
//! Sources: KIP-195 (the API), KIP-599 (quota).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(CREATE_PARTITIONS: CreatePartitionsRequest => CreatePartitionsResponse, versions 0..=3, flexible 2..);

wire! {
    /// The topics to enlarge; each succeeds or fails by itself.
    pub struct CreatePartitionsRequest {
        /// The topics; a name that stands here twice is answered with `INVALID_REQUEST`.
        topics: Vec<CreatePartitionsTopic>,
        /// How long the controller may take, in milliseconds; after `REQUEST_TIMED_OUT` partitions may still
        /// appear.
        timeout_ms: i32,
        /// Only checks whether the partitions could be created.
        validate_only: bool,
    }

    /// A topic to enlarge.
    pub struct CreatePartitionsTopic {
        /// The topic's name; `UNKNOWN_TOPIC_OR_PARTITION` if there is none.
        name: String,
        /// How many partitions it shall have, the old ones included; `INVALID_PARTITIONS` unless that is more
        /// than now.
        count: i32,
        /// Which brokers hold each new partition, in their order; null lets the controller choose.
        /// `INVALID_REPLICA_ASSIGNMENT` if the number is wrong or the brokers can't.
        assignments: Option<Vec<CreatePartitionsAssignment>> = Some(Vec::new()),
    }

    /// Where a new partition's replicas go.
    pub struct CreatePartitionsAssignment {
        /// The brokers, as many as the topic's replication factor; the first is the preferred leader.
        broker_ids: Vec<i32>,
    }

    /// What became of the topics.
    pub struct CreatePartitionsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// The results.
        results: Vec<CreatePartitionsTopicResult>,
    }

    /// What became of one topic.
    pub struct CreatePartitionsTopicResult {
        /// The topic's name.
        name: String,
        /// `TOPIC_AUTHORIZATION_FAILED`, `THROTTLING_QUOTA_EXCEEDED`, `REQUEST_TIMED_OUT`,
        /// `INVALID_REPLICATION_FACTOR` if too few brokers are alive, `REASSIGNMENT_IN_PROGRESS` from
        /// clusters with ZooKeeper, and those that the request's fields name.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String>,
    }
}
