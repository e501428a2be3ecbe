//! RemoveRaftVoter: takes a controller out of the KRaft quorum's voters. Goes to the active controller;
//! brokers pass it on. Needs Alter on the cluster. A leader may remove itself, and steps down after that.
//!
//! Sources: KIP-853.

use alloc::string::String;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(REMOVE_RAFT_VOTER: RemoveRaftVoterRequest => RemoveRaftVoterResponse, versions 0..=0, flexible 0..);

wire! {
    /// The voter to remove.
    pub struct RemoveRaftVoterRequest {
        /// The cluster that is meant, or null; `INCONSISTENT_CLUSTER_ID` at another one.
        cluster_id: Option<String> = Some(String::new()),
        /// The controller's id; `VOTER_NOT_FOUND` if it is no voter.
        voter_id: i32,
        /// The id of the directory that holds its metadata log; `VOTER_NOT_FOUND` if the voter has another,
        /// `INVALID_REQUEST` if zero.
        voter_directory_id: Uuid,
    }

    /// Whether the voter was removed.
    pub struct RemoveRaftVoterResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// `NOT_LEADER_OR_FOLLOWER` after an election; `REQUEST_TIMED_OUT`, also while another change is
        /// under way (ask again); `UNSUPPORTED_VERSION` if the quorum's `kraft.version` is 0;
        /// `CLUSTER_AUTHORIZATION_FAILED`, and those that the request's fields name.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        [ignorable] error_message: Option<String> = Some(String::new()),
    }
}
