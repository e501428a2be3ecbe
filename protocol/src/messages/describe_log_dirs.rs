//! DescribeLogDirs: what lies in the log directories of a broker. Each broker tells of its own. Needs
//! Describe on the cluster.
//!
//! Versions: 0, which only brokers before 4.0 take, looks like 1; 2 is flexible; 3 tells a client that may
//! not look, which gets an empty answer in older versions; 4 brings the size of the disk; 5 tells which
//! directories take no new replicas.
//!
//! Sources: KIP-113 (the API), KIP-784 (error of the whole), KIP-827 (disk size), KIP-1066 (cordoned
//! directories), KIP-896 (removed version).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(DESCRIBE_LOG_DIRS: DescribeLogDirsRequest => DescribeLogDirsResponse, versions 0..=5, flexible 2..);

wire! {
    /// Asks for what the directories hold.
    pub struct DescribeLogDirsRequest {
        /// Which partitions to look for; null for all. The answer leaves out those that the broker doesn't
        /// have.
        topics: Option<Vec<DescribableLogDirTopic>> = Some(Vec::new()),
    }

    /// A topic to look for.
    pub struct DescribableLogDirTopic {
        /// The topic's name.
        topic: String,
        /// Its partitions.
        partitions: Vec<i32>,
    }

    /// The directories.
    pub struct DescribeLogDirsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// `CLUSTER_AUTHORIZATION_FAILED` if the client may not look.
        [3.., ignorable] error_code: ErrorCode,
        /// The broker's directories.
        results: Vec<DescribeLogDirsResult>,
    }

    /// A directory.
    pub struct DescribeLogDirsResult {
        /// `KAFKA_STORAGE_ERROR` if the disk has failed; nothing is known about its replicas then.
        error_code: ErrorCode,
        /// Its absolute path.
        log_dir: String,
        /// The replicas in it, by topic.
        topics: Vec<DescribeLogDirsTopic>,
        /// Bytes of the volume that the directory is on, without tiered storage; -1 if unknown.
        [4.., ignorable] total_bytes: i64 = -1,
        /// Bytes of it that are free for the broker; -1 if unknown.
        [4.., ignorable] usable_bytes: i64 = -1,
        /// Whether the broker puts no new replicas there.
        [5.., ignorable] is_cordoned: bool,
    }

    /// A topic's replicas in the directory.
    pub struct DescribeLogDirsTopic {
        /// The topic's name.
        name: String,
        /// Its partitions.
        partitions: Vec<DescribeLogDirsPartition>,
    }

    /// A replica.
    pub struct DescribeLogDirsPartition {
        /// The partition's index.
        partition_index: i32,
        /// Bytes of its segments on this disk, without tiered storage.
        partition_size: i64,
        /// Records that it is behind: a replica in use behind the high watermark, a future one behind the one
        /// in use.
        offset_lag: i64,
        /// Whether it is a future one: a copy that AlterReplicaLogDirs ordered and that isn't in use yet.
        is_future_key: bool,
    }
}
