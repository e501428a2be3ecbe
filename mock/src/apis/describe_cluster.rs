//! DescribeCluster: brokers and controller, without topics.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};

use super::{Call, Reply, Serve};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

impl Serve for DescribeClusterRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<DescribeClusterResponse> {
        match self.endpoint_type {
            BROKERS => {}
            CONTROLLERS => {
                let text = "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER";
                return Reply::Now(DescribeClusterResponse {
                    error_message: Some(text.to_owned()),
                    ..self.refuse(call.version, ErrorCode::MISMATCHED_ENDPOINT_TYPE)
                });
            }
            _ => return Reply::Now(self.refuse(call.version, ErrorCode::UNSUPPORTED_ENDPOINT_TYPE)),
        }
        if self.include_fenced_brokers && !cluster.allows(call, Operation::Describe, Resource::Cluster) {
            return Reply::Now(self.refuse(call.version, ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
        }
        let listed = cluster.brokers.iter().filter(|broker| !broker.fenced || self.include_fenced_brokers);
        let brokers = listed.map(|broker| DescribeClusterBroker {
            broker_id: broker.id,
            host: broker.host.clone(),
            port: broker.port.into(),
            rack: broker.rack.clone(),
            is_fenced: broker.fenced,
            ..Default::default()
        });
        let mut response = DescribeClusterResponse {
            cluster_id: cluster.options.cluster_id.clone(),
            controller_id: cluster.brokers.controller().unwrap_or(-1),
            brokers: brokers.collect(),
            ..Default::default()
        };
        if self.include_cluster_authorized_operations {
            response.cluster_authorized_operations = cluster.operations(call, Resource::Cluster);
        }
        Reply::Now(response)
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> DescribeClusterResponse {
        DescribeClusterResponse {
            error_code,
            error_message: error_code.text().map(str::to_owned),
            ..Default::default()
        }
    }

    fn throttle(response: &mut DescribeClusterResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }
}
