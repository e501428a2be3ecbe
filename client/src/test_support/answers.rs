//! Answers that many scripts give.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::APIS;
use ottla_protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use ottla_protocol::messages::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::uuid::Uuid;

use crate::metadata::NodeId;

/// The answer to ApiVersions of a broker that speaks all that this client does.
pub fn api_versions() -> ApiVersionsResponse {
    let api_keys = APIS
        .iter()
        .map(|known| ApiVersion {
            api_key: known.api.key.0,
            min_version: known.api.versions.min,
            max_version: known.api.versions.max,
            ..Default::default()
        })
        .collect();
    ApiVersionsResponse { api_keys, ..Default::default() }
}

/// A Metadata answer: `nodes` at `node-<id>:9092`, the first of them the controller, and topics with each partition's
/// leader (-1: none), all of epoch 0 and with an id made of the name's first bytes.
pub fn metadata(nodes: &[NodeId], topics: &[(&str, &[NodeId])]) -> MetadataResponse {
    let broker = |&node_id: &NodeId| MetadataResponseBroker {
        node_id,
        host: format!("node-{node_id}"),
        port: 9092,
        ..Default::default()
    };
    let partition = |(partition_index, &leader_id): (i32, &NodeId)| MetadataResponsePartition {
        partition_index,
        leader_id,
        leader_epoch: 0,
        replica_nodes: nodes.into(),
        isr_nodes: nodes.into(),
        ..Default::default()
    };
    let topic = |(name, leaders): &(&str, &[NodeId])| {
        let mut id = [0xff; 16];
        id.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
        MetadataResponseTopic {
            name: Some((*name).to_owned()),
            topic_id: Uuid(id),
            partitions: (0..).zip(leaders.iter()).map(partition).collect(),
            ..Default::default()
        }
    };
    MetadataResponse {
        brokers: nodes.iter().map(broker).collect(),
        cluster_id: Some("scripted".to_owned()),
        controller_id: nodes.first().copied().unwrap_or(-1),
        topics: topics.iter().map(topic).collect(),
        ..Default::default()
    }
}

/// A topic of a Metadata answer that is nothing but an error.
pub fn topic_error(name: &str, error_code: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic { name: Some(name.to_owned()), error_code, ..Default::default() }
}
