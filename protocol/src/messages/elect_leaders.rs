//! ElectLeaders: has partitions led by their preferred replica again, or by any living one. Goes to the
//! controller. Needs Alter on the cluster.
//!
//! An unclean election makes a replica leader that isn't in sync: what only the others had is lost.
//!
//! Versions: 0 elects preferred replicas only and has no error of the whole; 2 is flexible.
//!
//! Sources: KIP-183 (preferred replicas), KIP-460 (unclean elections).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(ELECT_LEADERS: ElectLeadersRequest => ElectLeadersResponse, versions 0..=2, flexible 2..);

wire! {
    /// Asks for elections.
    pub struct ElectLeadersRequest {
        /// 0 elects the preferred replica, 1 a living one where there is no leader; `INVALID_REQUEST` for
        /// other numbers.
        [1..] election_type: i8,
        /// The partitions; null for all, and then the answer leaves out those that need no election.
        topic_partitions: Option<Vec<TopicPartitions>> = Some(Vec::new()),
        /// How long the controller may take, in milliseconds; then the answer is `REQUEST_TIMED_OUT`.
        timeout_ms: i32 = 60_000,
    }

    /// A topic's partitions.
    pub struct TopicPartitions {
        /// The topic's name; `UNKNOWN_TOPIC_OR_PARTITION` if there is none.
        topic: String,
        /// Its partitions.
        partitions: Vec<i32>,
    }

    /// The elections' results.
    pub struct ElectLeadersResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// What concerns all: `CLUSTER_AUTHORIZATION_FAILED`, `REQUEST_TIMED_OUT`, `INVALID_REQUEST`.
        [1..] error_code: ErrorCode,
        /// The results, by topic.
        replica_election_results: Vec<ReplicaElectionResult>,
    }

    /// A topic's results.
    pub struct ReplicaElectionResult {
        /// The topic's name.
        topic: String,
        /// Its partitions.
        partition_result: Vec<PartitionResult>,
    }

    /// A partition's result.
    pub struct PartitionResult {
        /// The partition's index.
        partition_id: i32,
        /// `ELECTION_NOT_NEEDED` if the preferred replica leads already or, for an unclean election, any
        /// does; `PREFERRED_LEADER_NOT_AVAILABLE` or `ELIGIBLE_LEADERS_NOT_AVAILABLE` if nobody can lead;
        /// `UNKNOWN_TOPIC_OR_PARTITION`.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String> = Some(String::new()),
    }
}
