//! The keys and values of control records: what brokers write into logs among the records.
//!
//! A key is an `int16` version and [`ControlRecordTypeSchema`]. The value of a transaction's end is an `int16` version and
//! [`EndTxnMarker`]; the other values begin with a version as their own first field, and all Kafka writes them in
//! version 0 of their tables so far. A reader takes a version that it doesn't know for the newest it knows and passes over
//! what follows. [`ControlRecord`](crate::records::ControlRecord) reads the records; this is what is in them.
//!
//! Only markers stand in the logs that clients read: the others belong to the brokers' own log, `__cluster_metadata`, and
//! are here for tools.
//!
//! Sources: KIP-98 (transaction markers), KIP-595 (leader change), KIP-630 (snapshots), KIP-853 (voters, KRaft version).

use alloc::vec::Vec;

use crate::uuid::Uuid;
use crate::wire::wire;

wire! {
    /// The key of a control record, behind its version.
    pub struct ControlRecordTypeSchema {
        /// What the record is: see [`ControlRecordType`](crate::records::ControlRecordType).
        r#type: i16,
    }

    /// The value of a transaction's end, behind its version. Which end, the key says.
    pub struct EndTxnMarker {
        /// The epoch of the coordinator that had it written; markers of an older one are refused.
        coordinator_epoch: i32,
    }

    /// A quorum of brokers has a new leader.
    pub struct LeaderChangeMessage {
        /// The version of the record.
        version: i16,
        /// The leader.
        leader_id: i32,
        /// Who could vote.
        voters: Vec<Voter>,
        /// Who voted for the leader.
        granting_voters: Vec<Voter>,
    }

    /// A broker with a vote.
    pub struct Voter {
        /// The broker's id.
        voter_id: i32,
        /// The id of its log directory.
        [1..] voter_directory_id: Uuid,
    }

    /// The first record of a snapshot.
    pub struct SnapshotHeaderRecord {
        /// The version of the record.
        version: i16,
        /// When the last record that the snapshot contains was appended, in milliseconds since 1970.
        last_contained_log_timestamp: i64,
    }

    /// The last record of a snapshot.
    pub struct SnapshotFooterRecord {
        /// The version of the record.
        version: i16,
    }

    /// The version of KRaft that the quorum speaks from here on.
    pub struct KRaftVersionRecord {
        /// The version of the record.
        version: i16,
        /// The version of KRaft.
        k_raft_version: i16,
    }
}
