//! ListConfigResources: what has settings of its own.
//!
//! Sources: KIP-1142; before, KIP-714 (client metrics alone).

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};

use super::describe_configs::{BROKER, TOPIC};
use super::{Call, Reply, Serve};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

/// The loggers of a broker, of which there are none here, but that they belong to it.
const BROKER_LOGGER: i8 = 8;
/// Subscriptions of client metrics.
const CLIENT_METRICS: i8 = 16;
/// A group.
const GROUP: i8 = 32;

/// What a request of version 1 may ask for; of nothing stands for all.
const KINDS: [i8; 5] = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];

impl Serve for ListConfigResourcesRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<ListConfigResourcesResponse> {
        if !cluster.allows(call, Operation::DescribeConfigs, Resource::Cluster) {
            return Reply::Now(self.refuse(call.version, ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
        }
        if self.resource_types.iter().any(|kind| !KINDS.contains(kind)) {
            return Reply::Now(self.refuse(call.version, ErrorCode::UNSUPPORTED_VERSION));
        }
        let mut config_resources = Vec::new();
        // Version 0 is about client metrics, which nobody can set here.
        if call.version >= 1 {
            let is_wanted =
                |kind: i8| self.resource_types.is_empty() || self.resource_types.contains(&kind);
            let mut add = |resource_type: i8, resource_name: String| {
                if is_wanted(resource_type) {
                    config_resources.push(ConfigResource {
                        resource_name,
                        resource_type,
                        ..Default::default()
                    });
                }
            };
            cluster.topics.iter().for_each(|topic| add(TOPIC, topic.name.clone()));
            for broker in cluster.brokers.live() {
                add(BROKER, broker.id.to_string());
                add(BROKER_LOGGER, broker.id.to_string());
            }
        }
        Reply::Now(ListConfigResourcesResponse { config_resources, ..Default::default() })
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> ListConfigResourcesResponse {
        ListConfigResourcesResponse { error_code, ..Default::default() }
    }

    fn throttle(response: &mut ListConfigResourcesResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }
}
