//! AlterConfigs: all settings of topics and brokers at once.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
};

use super::describe_configs::TOPIC;
use super::incremental_alter_configs::alter;
use super::{Call, Reply, Serve, Subject};
use crate::cluster::{Cluster, Refusal};
use crate::configs::alter::Change;

impl Serve for AlterConfigsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<AlterConfigsResponse> {
        let mut responses = Vec::new();
        for resource in &self.resources {
            let same = |other: &&AlterConfigsResource| {
                other.resource_type == resource.resource_type && other.resource_name == resource.resource_name
            };
            let changes: Vec<Change> = (resource.configs.iter())
                .map(|config| Change { name: config.name.clone(), operation: 0, value: config.value.clone() })
                .collect();
            let altered = match self.resources.iter().filter(same).count() {
                1 => {
                    let target = (resource.resource_type, resource.resource_name.as_str());
                    alter(cluster, call, target, &changes, true, self.validate_only)
                }
                _ => Err(Refusal::new(ErrorCode::INVALID_REQUEST, "Each resource must appear at most once.")),
            };
            responses.push(match altered {
                Ok(()) => AlterConfigsResourceResponse {
                    error_message: None,
                    ..failed(resource, ErrorCode::NONE, None)
                },
                Err(refusal) => failed(resource, refusal.code, Some(refusal.message)),
            });
        }
        Reply::Now(AlterConfigsResponse { responses, ..Default::default() })
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> AlterConfigsResponse {
        let responses = self.resources.iter().map(|resource| failed(resource, code, None)).collect();
        AlterConfigsResponse { responses, ..Default::default() }
    }

    fn throttle(response: &mut AlterConfigsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        let topics = self.resources.iter().filter(|resource| resource.resource_type == TOPIC);
        topics.into_iter().any(|resource| subject.is_topic(&resource.resource_name))
    }
}

fn failed(
    resource: &AlterConfigsResource,
    error_code: ErrorCode,
    message: Option<String>,
) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse {
        error_code,
        error_message: message.or_else(|| error_code.text().map(str::to_owned)),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..Default::default()
    }
}
