//! AlterReplicaLogDirs: moves a broker's replicas between the disks of that broker. Goes to the broker whose
//! replicas move. Needs Alter on the cluster.
//!
//! The answer only says that the copying has begun: DescribeLogDirs shows a future replica and its lag until
//! it takes the old one's place. For a replica that the broker doesn't have yet, it remembers the directory.
//!
//! Versions: 0, which only brokers before 4.0 take, looks like 1; 2 is flexible.
//!
//! Sources: KIP-113 (the API), KIP-896 (removed version), KIP-1066 (cordoned directories).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(ALTER_REPLICA_LOG_DIRS: AlterReplicaLogDirsRequest => AlterReplicaLogDirsResponse, versions 0..=2, flexible 2..);

wire! {
    /// What goes where.
    pub struct AlterReplicaLogDirsRequest {
        /// The directories that get replicas.
        dirs: Vec<AlterReplicaLogDir>,
    }

    /// A directory and what moves there.
    pub struct AlterReplicaLogDir {
        /// Its absolute path; `LOG_DIR_NOT_FOUND` if it isn't one of the broker's `log.dirs`, since Kafka 4.3
        /// `INVALID_REPLICA_ASSIGNMENT` if it is cordoned.
        path: String,
        /// The replicas, by topic.
        topics: Vec<AlterReplicaLogDirTopic>,
    }

    /// A topic's replicas.
    pub struct AlterReplicaLogDirTopic {
        /// The topic's name; `INVALID_TOPIC_EXCEPTION` if it is too long for the future replica's directory.
        name: String,
        /// The partitions whose replicas on this broker move; a move under way to another directory is given
        /// up for the new one.
        partitions: Vec<i32>,
    }

    /// Which moves have begun.
    pub struct AlterReplicaLogDirsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// The results, by topic.
        results: Vec<AlterReplicaLogDirTopicResult>,
    }

    /// A topic's results.
    pub struct AlterReplicaLogDirTopicResult {
        /// The topic's name.
        topic_name: String,
        /// Its partitions.
        partitions: Vec<AlterReplicaLogDirPartitionResult>,
    }

    /// Whether a replica moves.
    pub struct AlterReplicaLogDirPartitionResult {
        /// The partition's index.
        partition_index: i32,
        /// `KAFKA_STORAGE_ERROR` for a disk that failed, `REPLICA_NOT_AVAILABLE` or
        /// `UNKNOWN_TOPIC_OR_PARTITION` if the broker has no such replica (yet),
        /// `CLUSTER_AUTHORIZATION_FAILED`, and those that the request's fields name.
        error_code: ErrorCode,
    }
}
