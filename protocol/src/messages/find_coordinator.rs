//! FindCoordinator: which broker coordinates a group, a transactional id or a share partition. Any broker answers.
//!
//! Versions: 0 knows groups only; 1 adds transactions; 3 is flexible; 4 asks for many keys at once; 5 may answer
//! `TRANSACTION_ABORTABLE`; 6 adds share groups.
//!
//! Sources: KIP-98 (transactions), KIP-699 (many keys), KIP-890 (transactions, second part), KIP-932 (share groups).

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
        /// The one key.
        [..=3] key: String,
        /// What the keys are: [`KEY_TYPE_GROUP`], [`KEY_TYPE_TRANSACTION`] or [`KEY_TYPE_SHARE`].
        [1..] key_type: i8,
        /// The keys.
        [4..] coordinator_keys: Vec<String>,
    }

    /// The coordinators.
    pub struct FindCoordinatorResponse {
        /// How long a quota delays the client, in milliseconds.
        [1.., ignorable] throttle_time_ms: i32,
        /// As [`Coordinator::error_code`], for the one key.
        [..=3] error_code: ErrorCode,
        /// What is wrong, in words.
        [1..=3, ignorable] error_message: Option<String> = Some(String::new()),
        /// The coordinator's broker id; -1 with an error.
        [..=3] node_id: i32,
        /// The name or address to dial.
        [..=3] host: String,
        /// The port to dial.
        [..=3] port: i32,
        /// A result for each key.
        [4..] coordinators: Vec<Coordinator>,
    }

    /// The coordinator of one key.
    pub struct Coordinator {
        /// The key.
        [4..] key: String,
        /// The coordinator's broker id; -1 with an error.
        [4..] node_id: i32,
        /// The name or address to dial.
        [4..] host: String,
        /// The port to dial.
        [4..] port: i32,
        /// `COORDINATOR_NOT_AVAILABLE` until the internal topic has a leader, `GROUP_AUTHORIZATION_FAILED`,
        /// `TRANSACTIONAL_ID_AUTHORIZATION_FAILED`, `INVALID_REQUEST` and others.
        [4..] error_code: ErrorCode,
        /// What is wrong, in words.
        [4.., ignorable] error_message: Option<String> = Some(String::new()),
    }
}
