//! DescribeQuorum: how the KRaft quorum replicates the metadata log. Goes to the active controller; brokers
//! pass it on. Needs Describe on the cluster.
//!
//! Versions: 1 adds when each replica last fetched and was last caught up; 2 adds errors in words, directory
//! ids of replicas, and where the controllers listen.
//!
//! Sources: KIP-595 (KRaft), KIP-836 (replicas' times), KIP-853 (directory ids, listeners).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

// Kafka calls structures of both messages `TopicData` and `PartitionData`; each keeps that name on the wire's side and
// gets its own on this one.
pub use request::{PartitionData as RequestPartitionData, TopicData as RequestTopicData};
pub use response::{PartitionData as ResponsePartitionData, TopicData as ResponseTopicData};

api!(DESCRIBE_QUORUM: DescribeQuorumRequest => DescribeQuorumResponse, versions 0..=2, flexible 0..);

wire! {
    /// Asks about the metadata log's quorum.
    pub struct DescribeQuorumRequest {
        /// Exactly the topic `__cluster_metadata`; anything else is answered with
        /// `UNKNOWN_TOPIC_OR_PARTITION`.
        topics: Vec<RequestTopicData>,
    }

    /// The state of the quorum.
    pub struct DescribeQuorumResponse {
        /// What concerns the request as a whole, such as `CLUSTER_AUTHORIZATION_FAILED`.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        [2.., ignorable] error_message: Option<String> = Some(String::new()),
        /// The topic asked about.
        topics: Vec<ResponseTopicData>,
        /// Where the voters listen; only those that the leader knows the addresses of.
        [2..] nodes: Vec<Node>,
    }

    /// How far a replica of the metadata log is.
    pub struct ReplicaState {
        /// The node's id.
        replica_id: i32,
        /// The directory of its log, which tells a replaced disk from the one before; zero if unknown.
        [2..] replica_directory_id: Uuid,
        /// The offset up to which it has the log; -1 if unknown.
        log_end_offset: i64,
        /// When it last fetched, in the leader's milliseconds; -1 for the leader itself and where that is
        /// unknown.
        [1.., ignorable] last_fetch_timestamp: i64 = -1,
        /// When it last had all of the log, in the leader's milliseconds: now, for the leader; -1 if unknown.
        [1.., ignorable] last_caught_up_timestamp: i64 = -1,
    }

    /// A controller's addresses.
    pub struct Node {
        /// The controller's id, which a voter's `replica_id` refers to.
        [2..] node_id: i32,
        /// Its listeners.
        [2..] listeners: Vec<Listener>,
    }

    /// An address on which a controller listens.
    pub struct Listener {
        /// The listener's name, such as `CONTROLLER`.
        [2..] name: String,
        /// The name or address to dial.
        [2..] host: String,
        /// The port to dial.
        [2..] port: u16,
    }
}

mod request {
    use alloc::string::String;
    use alloc::vec::Vec;

    use crate::wire::wire;

    wire! {
        /// The topic asked about.
        pub struct TopicData {
            /// Its name, `__cluster_metadata`.
            topic_name: String,
            /// Exactly partition 0.
            partitions: Vec<PartitionData>,
        }

        /// The partition asked about.
        pub struct PartitionData {
            /// Its index.
            partition_index: i32,
        }
    }
}

mod response {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::ReplicaState;
    use crate::error_code::ErrorCode;
    use crate::wire::wire;

    wire! {
        /// The topic asked about.
        pub struct TopicData {
            /// Its name.
            topic_name: String,
            /// Its partition.
            partitions: Vec<PartitionData>,
        }

        /// The state of the metadata log.
        pub struct PartitionData {
            /// The partition's index.
            partition_index: i32,
            /// `NOT_LEADER_OR_FOLLOWER` from a controller that doesn't lead; `UNKNOWN_TOPIC_OR_PARTITION` for
            /// any other partition than the metadata log's.
            error_code: ErrorCode,
            /// The error in words, meant for people.
            [2.., ignorable] error_message: Option<String> = Some(String::new()),
            /// The active controller; -1 if the answering node knows of none.
            leader_id: i32,
            /// The epoch in which it leads, which counts up with each election.
            leader_epoch: i32,
            /// The offset up to which a majority of the voters has the log; -1 until a new leader knows.
            high_watermark: i64,
            /// The replicas that elect the leader and make up the majority, the leader included.
            current_voters: Vec<ReplicaState>,
            /// The replicas that only follow: brokers, and controllers outside the voter set.
            observers: Vec<ReplicaState>,
        }
    }
}
