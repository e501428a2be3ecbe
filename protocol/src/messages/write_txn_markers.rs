//! WriteTxnMarkers: writes the ends of transactions into partitions. Goes to the partitions' leaders. Needs
//! ClusterAction or Alter on the cluster.
//!
//! Coordinators send it. A client only does to abort a transaction that hangs, of which no coordinator knows
//! any more; wrong markers break what transactions promise. The answer comes when all in-sync replicas have
//! the markers. In partitions of `__consumer_offsets` they also decide what becomes of pending offsets.
//!
//! Versions: 0 only brokers before 4.0 take; 1 is flexible; 2 names the transaction version, by which leaders
//! judge the epoch.
//!
//! Sources: KIP-98 (transactions), KIP-664 (hanging transactions), KIP-896 (removed version), KIP-1228
//! (transaction version).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(WRITE_TXN_MARKERS: WriteTxnMarkersRequest => WriteTxnMarkersResponse, versions 0..=2, flexible 1..);

wire! {
    /// Hands in the markers.
    pub struct WriteTxnMarkersRequest {
        /// The markers, one for each transaction.
        markers: Vec<WritableTxnMarker>,
    }

    /// The end of a transaction.
    pub struct WritableTxnMarker {
        /// The id of the producer whose transaction ends.
        producer_id: i64,
        /// Its epoch; `INVALID_PRODUCER_EPOCH` if the log has seen a newer one.
        producer_epoch: i16,
        /// Whether the transaction is committed; otherwise it is aborted.
        transaction_result: bool,
        /// Where the marker goes: all partitions of the transaction that the broker leads.
        topics: Vec<WritableTxnMarkerTopic>,
        /// The coordinator's epoch; `TRANSACTION_COORDINATOR_FENCED` if the log has seen a newer one.
        coordinator_epoch: i32,
        /// The transaction version that the transaction ran under; from 2 on the epoch must be newer than the
        /// records', else `INVALID_PRODUCER_EPOCH`, unless the transaction has ended already.
        [2.., ignorable] transaction_version: i8,
    }

    /// A topic that gets the marker.
    pub struct WritableTxnMarkerTopic {
        /// The topic's name.
        name: String,
        /// The partitions' indexes.
        partition_indexes: Vec<i32>,
    }

    /// Which markers are written.
    pub struct WriteTxnMarkersResponse {
        /// The markers.
        markers: Vec<WritableTxnMarkerResult>,
    }

    /// A marker's result.
    pub struct WritableTxnMarkerResult {
        /// The id of the producer whose transaction ends.
        producer_id: i64,
        /// The topics.
        topics: Vec<WritableTxnMarkerTopicResult>,
    }

    /// A topic's result.
    pub struct WritableTxnMarkerTopicResult {
        /// The topic's name.
        name: String,
        /// Its partitions.
        partitions: Vec<WritableTxnMarkerPartitionResult>,
    }

    /// A partition's result.
    pub struct WritableTxnMarkerPartitionResult {
        /// The partition's index.
        partition_index: i32,
        /// `UNKNOWN_TOPIC_OR_PARTITION` at a broker without the replica, `NOT_LEADER_OR_FOLLOWER` at a
        /// follower, `CLUSTER_AUTHORIZATION_FAILED`, and those that the request's fields name.
        error_code: ErrorCode,
    }
}
