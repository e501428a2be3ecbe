//! DescribeQuorum: who votes on the metadata. Every broker here is one of the controllers, as in a small test cluster, and
//! none lags behind.
//!
//! Sources: KIP-595, KIP-836 (times), KIP-853 (addresses).

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, Listener, Node, ReplicaState, RequestTopicData,
    ResponsePartitionData, ResponseTopicData,
};

use super::{Call, Reply, Serve};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

/// The topic whose one partition holds the metadata.
const METADATA_TOPIC: &str = "__cluster_metadata";

impl Serve for DescribeQuorumRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<DescribeQuorumResponse> {
        if !cluster.allows(call, Operation::Describe, Resource::Cluster) {
            return Reply::Now(self.refuse(call.version, ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
        }
        let asked: Vec<(&str, i32)> = (self.topics.iter())
            .flat_map(|topic| topic.partitions.iter().map(|one| (topic.topic_name.as_str(), one.partition_index)))
            .collect();
        // Anything else than exactly that partition is unknown.
        if asked != [(METADATA_TOPIC, 0)] {
            return Reply::Now(unknown(&self, call.version));
        }
        let time = if call.version >= 1 { call.now_ms } else { -1 };
        // How much is in that log tells nobody anything; it grows with the topics, as Kafka's does.
        let end = i64::try_from(cluster.topics.iter().count()).unwrap_or(0) + 1;
        let voters = cluster.brokers.iter().map(|broker| ReplicaState {
            replica_id: broker.id,
            log_end_offset: end,
            last_fetch_timestamp: time,
            last_caught_up_timestamp: time,
            ..Default::default()
        });
        let partition = ResponsePartitionData {
            leader_id: cluster.brokers.controller().unwrap_or(-1),
            leader_epoch: 1,
            high_watermark: end,
            current_voters: voters.collect(),
            ..Default::default()
        };
        let nodes = cluster.brokers.iter().map(|broker| Node {
            node_id: broker.id,
            listeners: vec![Listener {
                name: "CONTROLLER".to_owned(),
                host: broker.host.clone(),
                port: broker.port,
                ..Default::default()
            }],
            ..Default::default()
        });
        Reply::Now(DescribeQuorumResponse {
            topics: vec![ResponseTopicData {
                topic_name: METADATA_TOPIC.to_owned(),
                partitions: vec![partition],
                ..Default::default()
            }],
            nodes: if call.version >= 2 { nodes.collect() } else { Vec::new() },
            ..Default::default()
        })
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> DescribeQuorumResponse {
        let error_message = error_code.text().map(str::to_owned);
        DescribeQuorumResponse { error_code, error_message, ..Default::default() }
    }

    fn throttle(_response: &mut DescribeQuorumResponse, _throttle_time_ms: i32) {}
}

fn unknown(request: &DescribeQuorumRequest, version: i16) -> DescribeQuorumResponse {
    let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let topic = |topic: &RequestTopicData| ResponseTopicData {
        topic_name: topic.topic_name.clone(),
        partitions: (topic.partitions.iter())
            .map(|partition| ResponsePartitionData {
                partition_index: partition.partition_index,
                error_code: code,
                error_message: if version >= 2 { code.text().map(str::to_owned) } else { Some(String::new()) },
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    DescribeQuorumResponse { topics: request.topics.iter().map(topic).collect(), ..Default::default() }
}
