//! The control record that lists who votes in a quorum of brokers; see [`control_records`](super::control_records).
//!
//! Sources: KIP-853.

use alloc::string::String;
use alloc::vec::Vec;

use crate::uuid::Uuid;
use crate::wire::wire;

wire! {
    /// The voters from here on.
    pub struct VotersRecord {
        /// The version of the record.
        version: i16,
        /// The voters.
        voters: Vec<Voter>,
    }

    /// A broker with a vote.
    pub struct Voter {
        /// The broker's id.
        voter_id: i32,
        /// The id of its log directory.
        voter_directory_id: Uuid,
        /// Where it listens.
        endpoints: Vec<Endpoint>,
        /// Which versions of KRaft it speaks.
        k_raft_version_feature: KRaftVersionFeature,
    }

    /// A listener.
    pub struct Endpoint {
        /// The listener's name; each is there once.
        name: String,
        /// The host.
        host: String,
        /// The port.
        port: u16,
    }

    /// A range of versions.
    pub struct KRaftVersionFeature {
        /// The oldest.
        min_supported_version: i16,
        /// The newest.
        max_supported_version: i16,
    }
}
