//! IncrementalAlterConfigs: single settings of topics and brokers change.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};

use super::describe_configs::{BROKER, TOPIC};
use super::{Call, Reply, Serve, Subject};
use crate::cluster::{Cluster, Refusal, check_name};
use crate::configs::alter::{Change, apply};
use crate::configs::{self, Values};
use crate::security::{Operation, Resource};

impl Serve for IncrementalAlterConfigsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<IncrementalAlterConfigsResponse> {
        let mut responses = Vec::new();
        for resource in &self.resources {
            let same = |other: &&AlterConfigsResource| {
                other.resource_type == resource.resource_type && other.resource_name == resource.resource_name
            };
            let changes: Vec<Change> = (resource.configs.iter())
                .map(|config| Change {
                    name: config.name.clone(),
                    operation: config.config_operation,
                    value: config.value.clone(),
                })
                .collect();
            let altered = match self.resources.iter().filter(same).count() {
                1 => {
                    let target = (resource.resource_type, resource.resource_name.as_str());
                    alter(cluster, call, target, &changes, false, self.validate_only)
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
        Reply::Now(IncrementalAlterConfigsResponse { responses, ..Default::default() })
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> IncrementalAlterConfigsResponse {
        let responses = self.resources.iter().map(|resource| failed(resource, code, None)).collect();
        IncrementalAlterConfigsResponse { responses, ..Default::default() }
    }

    fn throttle(response: &mut IncrementalAlterConfigsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        let topics = self.resources.iter().filter(|resource| resource.resource_type == TOPIC);
        topics.into_iter().any(|resource| subject.is_topic(&resource.resource_name))
    }
}

/// Changes the settings of a resource; with `from_nothing` those that aren't named go back to their defaults.
pub(super) fn alter(
    cluster: &mut Cluster,
    call: &Call,
    (resource_type, name): (i8, &str),
    changes: &[Change],
    from_nothing: bool,
    validate_only: bool,
) -> Result<(), Refusal> {
    match resource_type {
        TOPIC => {
            if !cluster.allows(call, Operation::AlterConfigs, Resource::Topic(name)) {
                return Err(Refusal::new(
                    ErrorCode::TOPIC_AUTHORIZATION_FAILED,
                    "Topic authorization failed.",
                ));
            }
            if name.is_empty() {
                return Err(Refusal::new(ErrorCode::INVALID_REQUEST, "Default topic resources are not allowed."));
            }
            check_name(name).map_err(|error| Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, error))?;
            let text = format!("The topic '{name}' does not exist.");
            let topic = cluster.topics.get(name);
            let topic = topic.ok_or_else(|| Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text))?;
            let before = if from_nothing { Values::new() } else { topic.configs.clone() };
            let broker = cluster.brokers.common_configs();
            let current = |name: &str| configs::topic_value(name, &topic.configs, &broker).to_owned();
            let after = apply(&before, changes, configs::topic_setting, current)?;
            if let Some(unknown) = after.keys().find(|name| configs::topic_setting(name).is_none()) {
                let text = format!("Unknown topic config name: {unknown}");
                return Err(Refusal::new(ErrorCode::INVALID_CONFIG, text));
            }
            if !validate_only {
                cluster.configure_topic(name, after);
            }
            Ok(())
        }
        BROKER => alter_broker(cluster, call, name, changes, from_nothing, validate_only),
        kind => Err(Refusal::new(ErrorCode::INVALID_REQUEST, format!("Unexpected resource type {kind}"))),
    }
}

fn alter_broker(
    cluster: &mut Cluster,
    call: &Call,
    name: &str,
    changes: &[Change],
    from_nothing: bool,
    validate_only: bool,
) -> Result<(), Refusal> {
    if !cluster.allows(call, Operation::AlterConfigs, Resource::Cluster) {
        return Err(Refusal::new(ErrorCode::CLUSTER_AUTHORIZATION_FAILED, "Cluster authorization failed."));
    }
    let id = match name {
        "" => None,
        name => {
            let text = || format!("Node id must be an integer, but it is: {name}");
            let id = name.parse().map_err(|_| Refusal::new(ErrorCode::INVALID_REQUEST, text()))?;
            // A broker takes changes of its own settings only.
            if id != call.broker {
                let text = format!(
                    "Unexpected broker id, expected {} or empty string, but received {name}",
                    call.broker
                );
                return Err(Refusal::new(ErrorCode::INVALID_REQUEST, text));
            }
            Some(id)
        }
    };
    let fixed = changes
        .iter()
        .find(|change| configs::broker_setting(&change.name).is_some_and(|(_, setting)| !setting.dynamic));
    if let Some(fixed) = fixed {
        let text = format!("Cannot update these configs dynamically: Set({})", fixed.name);
        return Err(Refusal::new(ErrorCode::INVALID_REQUEST, text));
    }
    let own = id.and_then(|id| cluster.brokers.get(id)).map(|broker| &broker.configs);
    let known = own.unwrap_or(&cluster.brokers.default_configs).clone();
    let before = if from_nothing { Values::new() } else { known };
    let broker = cluster.brokers.common_configs();
    let setting = |name: &str| configs::broker_setting(name).map(|(_, setting)| setting);
    let after = apply(&before, changes, setting, |name| configs::broker_value(name, &broker).to_owned())?;
    if validate_only {
        return Ok(());
    }
    match id.and_then(|id| cluster.brokers.get_mut(id)) {
        Some(broker) => broker.configs = after,
        None => cluster.brokers.default_configs = after,
    }
    cluster.reconfigure_topics();
    Ok(())
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
