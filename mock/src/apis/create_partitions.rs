//! CreatePartitions: topics grow.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
};

use super::create_topics::check_replicas;
use super::{Call, Reply, Serve, Subject};
use crate::cluster::{Cluster, Refusal};
use crate::security::{Operation, Resource};

impl Serve for CreatePartitionsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<CreatePartitionsResponse> {
        if !cluster.takes_controller_requests(call.broker) {
            return Reply::Now(self.refuse(call.version, ErrorCode::NOT_CONTROLLER));
        }
        let mut results: Vec<CreatePartitionsTopicResult> = Vec::new();
        for topic in &self.topics {
            if results.iter().any(|result| result.name == topic.name) {
                continue;
            }
            let is_twice = self.topics.iter().filter(|other| other.name == topic.name).count() > 1;
            let grown = match is_twice {
                true => Err(Refusal::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name.")),
                false => grow(cluster, call, topic, self.validate_only),
            };
            results.push(match grown {
                Ok(()) => CreatePartitionsTopicResult { name: topic.name.clone(), ..Default::default() },
                // Kafka has no words for this one.
                Err(refusal) if refusal.code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
                    CreatePartitionsTopicResult {
                        name: topic.name.clone(),
                        error_code: refusal.code,
                        error_message: None,
                        ..Default::default()
                    }
                }
                Err(refusal) => failed(topic, refusal.code, Some(refusal.message)),
            });
        }
        Reply::Now(CreatePartitionsResponse { results, ..Default::default() })
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> CreatePartitionsResponse {
        let results = self.topics.iter().map(|topic| failed(topic, code, None)).collect();
        CreatePartitionsResponse { results, ..Default::default() }
    }

    fn throttle(response: &mut CreatePartitionsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        self.topics.iter().any(|topic| subject.is_topic(&topic.name))
    }
}

fn grow(
    cluster: &mut Cluster,
    call: &Call,
    topic: &CreatePartitionsTopic,
    validate_only: bool,
) -> Result<(), Refusal> {
    let name = topic.name.as_str();
    if !cluster.allows(call, Operation::Alter, Resource::Topic(name)) {
        return Err(Refusal::new(ErrorCode::TOPIC_AUTHORIZATION_FAILED, "Topic authorization failed."));
    }
    let unknown = || {
        Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "This server does not host this topic-partition.")
    };
    let found = cluster.topics.get(name).ok_or_else(unknown)?;
    let current = i32::try_from(found.partitions.len()).unwrap_or(i32::MAX);
    let factor = found.partitions.first().map_or(1, |partition| partition.replicas.len());
    if topic.count <= current {
        let text = match topic.count == current {
            true => format!("Topic already has {current} partition(s)."),
            false => format!(
                "The topic {name} currently has {current} partition(s); {} would not be an increase.",
                topic.count
            ),
        };
        return Err(Refusal::new(ErrorCode::INVALID_PARTITIONS, text));
    }
    let additional = topic.count - current;
    let replicas: Vec<Vec<i32>> = match &topic.assignments {
        Some(assignments) => {
            let given: Vec<Vec<i32>> =
                assignments.iter().map(|assignment| assignment.broker_ids.clone()).collect();
            if i32::try_from(given.len()) != Ok(additional) {
                let text = format!(
                    "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
                    given.len()
                );
                return Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
            }
            check_replicas(cluster, &given)?;
            given
        }
        None => cluster.place(additional, i16::try_from(factor).unwrap_or(i16::MAX))?,
    };
    if !validate_only {
        cluster.add_partitions(name, replicas);
    }
    Ok(())
}

fn failed(
    topic: &CreatePartitionsTopic,
    error_code: ErrorCode,
    message: Option<String>,
) -> CreatePartitionsTopicResult {
    CreatePartitionsTopicResult {
        name: topic.name.clone(),
        error_code,
        error_message: message.or_else(|| error_code.text().map(str::to_owned)),
        ..Default::default()
    }
}
