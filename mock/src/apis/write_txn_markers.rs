//! WriteTxnMarkers: ends of transactions, written by whoever may act for the cluster.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopic,
    WritableTxnMarkerTopicResult, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};

use super::{Call, Reply, Serve, Subject};
use crate::cluster::{Cluster, OFFSETS_TOPIC};
use crate::log::MarkerAppend;
use crate::security::{Operation, Resource};

impl Serve for WriteTxnMarkersRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<WriteTxnMarkersResponse> {
        // A broker, or an administrator who ends a transaction that hangs (KIP-664).
        let is_allowed = [Operation::ClusterAction, Operation::Alter]
            .iter()
            .any(|operation| cluster.allows(call, *operation, Resource::Cluster));
        if !is_allowed {
            return Reply::Now(self.refuse(call.version, ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
        }
        Reply::Now(answer(&self, |marker, topic, partition| {
            write(cluster, call, marker, topic, partition).err().unwrap_or(ErrorCode::NONE)
        }))
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> WriteTxnMarkersResponse {
        answer(self, |_, _, _| code)
    }

    fn throttle(_response: &mut WriteTxnMarkersResponse, _throttle_time_ms: i32) {}

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        self.markers.iter().flat_map(|marker| &marker.topics).any(|topic| subject.is_topic(&topic.name))
    }
}

fn write(
    cluster: &mut Cluster,
    call: &Call,
    marker: &WritableTxnMarker,
    topic: &str,
    index: i32,
) -> Result<(), ErrorCode> {
    let found = cluster.topics.get_mut(topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let id = found.id;
    let partition = found.partition_mut(index).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if partition.leader != call.broker {
        return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    let append = MarkerAppend {
        producer_id: marker.producer_id,
        producer_epoch: marker.producer_epoch,
        coordinator_epoch: marker.coordinator_epoch,
        commit: marker.transaction_result,
        transaction_version: marker.transaction_version,
        leader_epoch: partition.leader_epoch,
    };
    partition.log.append_marker(call.now_ms, &append)?;
    cluster.grown(call.now, id, index);
    if topic == OFFSETS_TOPIC {
        cluster.groups.complete_transaction(append.producer_id, append.producer_epoch, append.commit);
    }
    Ok(())
}

fn answer(
    request: &WriteTxnMarkersRequest,
    mut code: impl FnMut(&WritableTxnMarker, &str, i32) -> ErrorCode,
) -> WriteTxnMarkersResponse {
    let mut topic = |marker: &WritableTxnMarker, topic: &WritableTxnMarkerTopic| {
        let partition = |index: &i32| WritableTxnMarkerPartitionResult {
            partition_index: *index,
            error_code: code(marker, &topic.name, *index),
            ..Default::default()
        };
        WritableTxnMarkerTopicResult {
            name: topic.name.clone(),
            partitions: topic.partition_indexes.iter().map(partition).collect(),
            ..Default::default()
        }
    };
    let mut result = |marker: &WritableTxnMarker| WritableTxnMarkerResult {
        producer_id: marker.producer_id,
        topics: marker.topics.iter().map(|asked| topic(marker, asked)).collect(),
        ..Default::default()
    };
    WriteTxnMarkersResponse {
        markers: request.markers.iter().map(&mut result).collect(),
        ..Default::default()
    }
}
