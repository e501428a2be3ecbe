//! AddRaftVoter: makes a controller a voter of the KRaft quorum. Goes to the active controller; brokers pass
//! it on. Needs Alter on the cluster.
//!
//! The controller must already follow the metadata log, and the quorum changes by one voter at a time.
//!
//! Versions: 1 can be answered before the change is committed.
//!
//! Sources: KIP-853, KIP-1186 (early answer).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{api, wire};

api!(ADD_RAFT_VOTER: AddRaftVoterRequest => AddRaftVoterResponse, versions 0..=1, flexible 0..);

wire! {
    /// The voter to add.
    pub struct AddRaftVoterRequest {
        /// The cluster that is meant, or null; `INCONSISTENT_CLUSTER_ID` at another one.
        cluster_id: Option<String> = Some(String::new()),
        /// How long the leader may take, in milliseconds; after `REQUEST_TIMED_OUT` the voter may still be
        /// added.
        timeout_ms: i32,
        /// The controller's id; `DUPLICATE_VOTER` if it is a voter already.
        voter_id: i32,
        /// The id of the directory that holds its metadata log; `INVALID_REQUEST` if zero.
        voter_directory_id: Uuid,
        /// Where the other voters reach it; `INVALID_REQUEST` if the leader's own listener isn't among them.
        listeners: Vec<Listener>,
        /// Whether the answer waits until a majority has the new voter set, or only until the leader has
        /// written it.
        [1..] ack_when_committed: bool = true,
    }

    /// An address on which the new voter listens.
    pub struct Listener {
        /// The listener's name, such as `CONTROLLER`.
        name: String,
        /// The name or address to dial.
        host: String,
        /// The port to dial.
        port: u16,
    }

    /// Whether the voter was added.
    pub struct AddRaftVoterResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// `NOT_LEADER_OR_FOLLOWER` after an election; `REQUEST_TIMED_OUT`, also while another change is
        /// under way (ask again); `UNSUPPORTED_VERSION` if the quorum's `kraft.version` is 0,
        /// `INVALID_REQUEST` if the new voter can't do it; `CLUSTER_AUTHORIZATION_FAILED`, and those that the
        /// request's fields name.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        [ignorable] error_message: Option<String> = Some(String::new()),
    }
}
