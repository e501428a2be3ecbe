//! FindCoordinator: which broker coordinates a group, a transactional id or a share partition. Any broker
//! answers.
//!
//! Needs Describe on the group or on the transactional id; for share partitions, which only brokers ask for,
//! ClusterAction on the cluster.
//!
//! A key belongs to a partition of `__consumer_offsets`, `__transaction_state` or `__share_group_state`, and
//! that partition's leader is the coordinator. The broker creates the topic if it is missing.
//!
//! Versions: 0 knows groups only; 1 adds transactions; 3 is flexible; 4 asks for many keys at once; 5 may
//! answer `TRANSACTION_ABORTABLE`; 6 adds share partitions.
//!
//! Sources: KIP-98 (transactions), KIP-699 (many keys), KIP-890 (transactions, second part), KIP-932 (share
//! groups).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(FIND_COORDINATOR: FindCoordinatorRequest => FindCoordinatorResponse, versions 0..=6, flexible 3..);

/// `key_type`: the keys are group ids.
pub const KEY_TYPE_GROUP: i8 = 0;

/// `key_type`: the keys are transactional ids.
pub const KEY_TYPE_TRANSACTION: i8 = 1;

/// `key_type`: the keys are `group:topic-id:partition`.
pub const KEY_TYPE_SHARE: i8 = 2;

wire! {
    /// The keys whose coordinators are wanted.
    pub struct FindCoordinatorRequest {
        /// The one key, up to version 3.
        [..=3] key: String,
        /// What the keys are: [`KEY_TYPE_GROUP`], [`KEY_TYPE_TRANSACTION`] or, from version 6 on,
        /// [`KEY_TYPE_SHARE`]. `INVALID_REQUEST` for a share key before, or one that isn't of the form that
        /// the constant names.
        [1..] key_type: i8,
        /// The keys, from version 4 on; each is answered by itself.
        [4..] coordinator_keys: Vec<String>,
    }

    /// The coordinators.
    pub struct FindCoordinatorResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        [1.., ignorable] throttle_time_ms: i32,
        /// As [`Coordinator::error_code`], for the one key.
        [..=3] error_code: ErrorCode,
        /// What is wrong, in words; `NONE`, as a word, if nothing is.
        [1..=3, ignorable] error_message: Option<String> = Some(String::new()),
        /// The coordinator's broker id; -1, with no address, in an error.
        [..=3] node_id: i32,
        /// The name or address to dial.
        [..=3] host: String,
        /// The port to dial.
        [..=3] port: i32,
        /// A result for each key, from version 4 on.
        [4..] coordinators: Vec<Coordinator>,
    }

    /// The coordinator of one key.
    pub struct Coordinator {
        /// The key, as in the request.
        [4..] key: String,
        /// The coordinator's broker id; -1, with no address, in an error. A connection of its own, beside the
        /// one that fetches from that broker, keeps heartbeats out of the fetches' way.
        [4..] node_id: i32,
        /// The name or address to dial.
        [4..] host: String,
        /// The port to dial.
        [4..] port: i32,
        /// `COORDINATOR_NOT_AVAILABLE` until the key's partition has a leader that is alive (ask again),
        /// `GROUP_AUTHORIZATION_FAILED`, `TRANSACTIONAL_ID_AUTHORIZATION_FAILED`, `INVALID_REQUEST`.
        [4..] error_code: ErrorCode,
        /// What is wrong, in words; brokers leave it out from version 4 on.
        [4.., ignorable] error_message: Option<String> = Some(String::new()),
    }
}
