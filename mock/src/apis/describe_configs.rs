//! DescribeConfigs: the settings of topics and brokers.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};

use super::{Call, Reply, Serve, Subject};
use crate::cluster::{Cluster, Refusal, check_name};
use crate::configs::Source;
use crate::configs::describe::{self, Described};
use crate::security::{Operation, Resource};

/// A topic.
pub(super) const TOPIC: i8 = 2;
/// A broker, or all of them.
pub(super) const BROKER: i8 = 4;

impl Serve for DescribeConfigsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<DescribeConfigsResponse> {
        let results = self.resources.iter().map(|resource| match described(cluster, call, resource) {
            Ok(all) => {
                let wanted = |described: &Described| match &resource.configuration_keys {
                    Some(keys) if !keys.is_empty() => keys.iter().any(|key| key == described.name),
                    _ => true,
                };
                let configs =
                    all.into_iter().filter(wanted).map(|described| one(&self, call.version, described));
                DescribeConfigsResult {
                    resource_type: resource.resource_type,
                    resource_name: resource.resource_name.clone(),
                    configs: configs.collect(),
                    ..Default::default()
                }
            }
            // Kafka has no words for this one.
            Err(refusal) if refusal.code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
                failed(resource, refusal.code, Some(String::new()))
            }
            Err(refusal) => failed(resource, refusal.code, Some(refusal.message)),
        });
        Reply::Now(DescribeConfigsResponse { results: results.collect(), ..Default::default() })
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> DescribeConfigsResponse {
        let results = self.resources.iter().map(|resource| failed(resource, code, None)).collect();
        DescribeConfigsResponse { results, ..Default::default() }
    }

    fn throttle(response: &mut DescribeConfigsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        let topics = self.resources.iter().filter(|resource| resource.resource_type == TOPIC);
        topics.into_iter().any(|resource| subject.is_topic(&resource.resource_name))
    }
}

fn described(
    cluster: &Cluster,
    call: &Call,
    asked: &DescribeConfigsResource,
) -> Result<Vec<Described>, Refusal> {
    let name = asked.resource_name.as_str();
    let brokers = &cluster.brokers;
    match asked.resource_type {
        TOPIC => {
            if !cluster.allows(call, Operation::DescribeConfigs, Resource::Topic(name)) {
                return Err(Refusal::new(
                    ErrorCode::TOPIC_AUTHORIZATION_FAILED,
                    "Topic authorization failed.",
                ));
            }
            check_name(name).map_err(|error| Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, error))?;
            let unknown =
                || Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("Topic {name} doesn't exist"));
            cluster
                .topics
                .get(name)
                .ok_or_else(unknown)
                .map(|topic| describe::of_topic(&topic.configs, brokers))
        }
        BROKER => {
            if !cluster.allows(call, Operation::DescribeConfigs, Resource::Cluster) {
                return Err(Refusal::new(
                    ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
                    "Cluster authorization failed.",
                ));
            }
            match name {
                "" => Ok(describe::of_default_broker(brokers)),
                // A broker knows its own settings only.
                id if id == call.broker.to_string() => Ok(describe::of_broker(call.broker, brokers)),
                _ => {
                    let text = format!(
                        "Unexpected broker id, expected {} or empty string, but received {name}",
                        call.broker
                    );
                    Err(Refusal::new(ErrorCode::INVALID_REQUEST, text))
                }
            }
        }
        kind => Err(Refusal::new(ErrorCode::INVALID_REQUEST, format!("Unsupported resource type: {kind}"))),
    }
}

fn one(
    request: &DescribeConfigsRequest,
    version: i16,
    described: Described,
) -> DescribeConfigsResourceResult {
    let synonym = |(name, value, source): (&str, String, Source)| DescribeConfigsSynonym {
        name: name.to_owned(),
        value: Some(value),
        source: source as i8,
        ..Default::default()
    };
    let synonyms = match request.include_synonyms {
        true => described.synonyms.into_iter().map(synonym).collect(),
        false => Vec::new(),
    };
    DescribeConfigsResourceResult {
        name: described.name.to_owned(),
        value: described.value,
        read_only: !described.setting.dynamic,
        is_default: version == 0 && described.source == Source::Default,
        config_source: described.source as i8,
        synonyms,
        config_type: described.setting.kind.code(),
        documentation: None,
        ..Default::default()
    }
}

fn failed(
    resource: &DescribeConfigsResource,
    error_code: ErrorCode,
    message: Option<String>,
) -> DescribeConfigsResult {
    DescribeConfigsResult {
        error_code,
        error_message: message.or_else(|| error_code.text().map(str::to_owned)),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..Default::default()
    }
}
