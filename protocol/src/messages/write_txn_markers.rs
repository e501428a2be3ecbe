//! WriteTxnMarkers: writes the ends of transactions into partitions. Goes to the partitions' leaders.
//!
//! Coordinators send it. A client only does to abort a transaction that hangs, of which no coordinator knows any more;
//! wrong markers break what transactions promise, so it takes the right to act for the cluster.
//!
//! By version: 0 only brokers before 4.0 take; 2 names the transaction version, by which leaders judge the epoch.
//!
//! Sources: KIP-98 (transactions), KIP-664 (hanging transactions), KIP-896 (removed version), KIP-1228 (transaction
//! version).

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
        /// Where the marker goes.
        topics: Vec<WritableTxnMarkerTopic>,
        /// The coordinator's epoch; `TRANSACTION_COORDINATOR_FENCED` if the log has seen a newer one.
        coordinator_epoch: i32,
        /// The transaction version that the transaction ran under; from 2 on the epoch must be newer than the records'.
        [2.., ignorable] transaction_version: i8,
    }

    /// A topic that gets the marker.
    pub struct WritableTxnMarkerTopic {
        /// The topic's name.
        name: String,
        /// The partitions' numbers.
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
        /// The partition's number.
        partition_index: i32,
        /// `NOT_LEADER_OR_FOLLOWER`, `UNKNOWN_TOPIC_OR_PARTITION`, `CLUSTER_AUTHORIZATION_FAILED`, and those that the
        /// request's fields name.
        error_code: ErrorCode,
    }
}
