//! CreateTopics: topics with their partitions, replicas and settings.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};

use super::{Call, Reply, Serve, Subject};
use crate::cluster::{Cluster, Refusal, check_name};
use crate::configs::{self, Values};
use crate::security::{Operation, Resource};

impl Serve for CreateTopicsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<CreateTopicsResponse> {
        if !cluster.takes_controller_requests(call.broker) {
            return Reply::Now(self.refuse(call.version, ErrorCode::NOT_CONTROLLER));
        }
        let mut topics: Vec<CreatableTopicResult> = Vec::new();
        for topic in &self.topics {
            if topics.iter().any(|result| result.name == topic.name) {
                continue;
            }
            let is_twice = self.topics.iter().filter(|other| other.name == topic.name).count() > 1;
            let created = match is_twice {
                true => Err(Refusal::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name.")),
                false => create(cluster, call, topic, self.validate_only),
            };
            topics.push(created.unwrap_or_else(|refusal| failed(topic, refusal.code, Some(refusal.message))));
        }
        Reply::Now(CreateTopicsResponse { topics, ..Default::default() })
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> CreateTopicsResponse {
        let topics = self.topics.iter().map(|topic| failed(topic, code, None)).collect();
        CreateTopicsResponse { topics, ..Default::default() }
    }

    fn throttle(response: &mut CreateTopicsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        self.topics.iter().any(|topic| subject.is_topic(&topic.name))
    }
}

fn create(
    cluster: &mut Cluster,
    call: &Call,
    topic: &CreatableTopic,
    validate_only: bool,
) -> Result<CreatableTopicResult, Refusal> {
    let name = topic.name.as_str();
    let resource = Resource::Topic(name);
    if !cluster.allows(call, Operation::Create, Resource::Cluster)
        && !cluster.allows(call, Operation::Create, resource)
    {
        return Err(Refusal::new(ErrorCode::TOPIC_AUTHORIZATION_FAILED, "Authorization failed."));
    }
    check_name(name).map_err(|error| Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, error))?;
    check_new(cluster, name)?;
    let replicas = match topic.assignments.is_empty() {
        true => chosen(cluster, topic)?,
        false => given(cluster, topic)?,
    };
    let mut values = Values::new();
    for config in &topic.configs {
        let Some(value) = &config.value else {
            let text = format!("Null value not supported for topic configs: {}", config.name);
            return Err(Refusal::new(ErrorCode::INVALID_CONFIG, text));
        };
        configs::check_topic(&config.name, value)
            .map_err(|error| Refusal::new(ErrorCode::INVALID_CONFIG, error))?;
        if config.name == "remote.storage.enable" && value == "true" {
            let text = "Tiered storage is off (remote.log.storage.system.enable)";
            return Err(Refusal::new(ErrorCode::INVALID_CONFIG, text));
        }
        values.insert(config.name.clone(), value.clone());
    }
    let mut result = CreatableTopicResult {
        name: name.to_owned(),
        error_message: None,
        num_partitions: i32::try_from(replicas.len()).unwrap_or(i32::MAX),
        replication_factor: i16::try_from(replicas.first().map_or(0, Vec::len)).unwrap_or(i16::MAX),
        ..Default::default()
    };
    if cluster.allows(call, Operation::DescribeConfigs, resource) {
        let described = configs::describe::of_topic(&values, &cluster.brokers);
        let one = |config: configs::describe::Described| CreatableTopicConfigs {
            name: config.name.to_owned(),
            value: config.value,
            config_source: config.source as i8,
            ..Default::default()
        };
        result.configs = Some(described.into_iter().map(one).collect());
    } else {
        result.topic_config_error_code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
        (result.num_partitions, result.replication_factor, result.configs) = (-1, -1, None);
    }
    result.topic_id = match validate_only {
        // An id that nobody will have, as Kafka makes one up, too.
        true => cluster.new_uuid(),
        false => cluster.add_topic(name, replicas, values),
    };
    if call.version < 5 {
        // Fields that these versions lack, and that may not be left out silently.
        result.configs = Some(Vec::new());
    }
    Ok(result)
}

/// Whether no topic has this name, or one that looks the same in names of metrics.
fn check_new(cluster: &Cluster, name: &str) -> Result<(), Refusal> {
    if cluster.topics.get(name).is_some() {
        return Err(Refusal::new(ErrorCode::TOPIC_ALREADY_EXISTS, format!("Topic '{name}' already exists.")));
    }
    let plain = name.replace('.', "_");
    match cluster.topics.iter().find(|known| known.name.replace('.', "_") == plain) {
        Some(known) => {
            let text = format!("Topic '{name}' collides with existing topic: {}", known.name);
            Err(Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, text))
        }
        None => Ok(()),
    }
}

/// Replicas of the broker's choosing.
fn chosen(cluster: &mut Cluster, topic: &CreatableTopic) -> Result<Vec<Vec<i32>>, Refusal> {
    let partitions = match topic.num_partitions {
        -1 => i32::try_from(cluster.brokers.number("num.partitions")).unwrap_or(1),
        partitions => partitions,
    };
    let factor = match topic.replication_factor {
        -1 => i16::try_from(cluster.brokers.number("default.replication.factor")).unwrap_or(1),
        factor => factor,
    };
    cluster.place(partitions, factor)
}

/// Replicas of the client's choosing.
fn given(cluster: &Cluster, topic: &CreatableTopic) -> Result<Vec<Vec<i32>>, Refusal> {
    if topic.replication_factor != -1 || topic.num_partitions != -1 {
        let which = if topic.replication_factor != -1 { "replication factor" } else { "numPartitions" };
        let text = format!("A manual partition assignment was specified, but {which} was not set to -1.");
        return Err(Refusal::new(ErrorCode::INVALID_REQUEST, text));
    }
    let mut assignments: Vec<_> = topic.assignments.iter().collect();
    assignments.sort_by_key(|assignment| assignment.partition_index);
    for (expected, assignment) in (0..).zip(&assignments) {
        if assignment.partition_index != expected {
            let text = "partitions should be a consecutive 0-based integer sequence";
            return Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
        }
    }
    let replicas: Vec<Vec<i32>> =
        assignments.into_iter().map(|assignment| assignment.broker_ids.clone()).collect();
    check_replicas(cluster, &replicas)?;
    Ok(replicas)
}

/// Whether brokers can be the replicas of partitions.
pub(super) fn check_replicas(cluster: &Cluster, replicas: &[Vec<i32>]) -> Result<(), Refusal> {
    let refuse = |text: String| Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
    for assignment in replicas {
        if assignment.is_empty() {
            return refuse("The manual partition assignment includes an empty replica list.".to_owned());
        }
        if assignment.len() != replicas[0].len() {
            return refuse(
                "The manual partition assignment includes partitions of different replication factors."
                    .to_owned(),
            );
        }
        for (index, id) in assignment.iter().enumerate() {
            if assignment[..index].contains(id) {
                return refuse(format!(
                    "The manual partition assignment includes the broker {id} more than once."
                ));
            }
            if cluster.brokers.get(*id).is_none() {
                return refuse(format!(
                    "The manual partition assignment includes broker {id}, but no such broker is registered."
                ));
            }
        }
    }
    Ok(())
}

fn failed(topic: &CreatableTopic, error_code: ErrorCode, message: Option<String>) -> CreatableTopicResult {
    CreatableTopicResult {
        name: topic.name.clone(),
        error_code,
        error_message: message.or_else(|| error_code.text().map(str::to_owned)),
        ..Default::default()
    }
}
