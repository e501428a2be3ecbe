//! DeleteTopics: topics go, by name or by id.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use ottla_protocol::uuid::Uuid;

use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

impl Serve for DeleteTopicsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<DeleteTopicsResponse> {
        let refused = if !cluster.takes_controller_requests(call.broker) {
            Some(ErrorCode::NOT_CONTROLLER)
        } else if !cluster.brokers.flag("delete.topic.enable") {
            Some(if call.version < 3 {
                ErrorCode::INVALID_REQUEST
            } else {
                ErrorCode::TOPIC_DELETION_DISABLED
            })
        } else {
            None
        };
        if let Some(code) = refused {
            return Reply::Now(self.refuse(call.version, code));
        }
        let topics = topics(&self, call.version);
        let mut responses = Vec::new();
        for (place, topic) in topics.iter().enumerate() {
            if topics[..place].contains(topic) {
                continue;
            }
            // By name and by id is twice, too, and told once, under both.
            let id_of = |topic: &DeleteTopicState| match &topic.name {
                Some(name) if topic.topic_id.is_zero() => cluster.topics.get(name).map(|found| found.id),
                _ => None,
            };
            let is_named = |id: Uuid| topics.iter().any(|other| id_of(other) == Some(id));
            if topic.name.is_none() && is_named(topic.topic_id) {
                continue;
            }
            if let Some(id) = id_of(topic)
                && topics.iter().any(|other| other.name.is_none() && other.topic_id == id)
            {
                let both = DeleteTopicState { topic_id: id, ..topic.clone() };
                responses.push(failed(&both, call.version, ErrorCode::INVALID_REQUEST));
                continue;
            }
            let is_twice = topics.iter().filter(|other| *other == topic).count() > 1;
            let deleted = match is_twice {
                true => Err(ErrorCode::INVALID_REQUEST),
                false => delete(cluster, call, topic),
            };
            responses.push(match deleted {
                Ok(result) => result,
                Err(code) => failed(topic, call.version, code),
            });
        }
        Reply::Now(DeleteTopicsResponse { responses, ..Default::default() })
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> DeleteTopicsResponse {
        let responses = topics(self, version).iter().map(|topic| failed(topic, version, code)).collect();
        DeleteTopicsResponse { responses, ..Default::default() }
    }

    fn throttle(response: &mut DeleteTopicsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, cluster: &Cluster, subject: &Subject) -> bool {
        self.topic_names.iter().any(|name| subject.is_topic(name))
            || self.topics.iter().any(|topic| {
                topic.name.as_deref().is_some_and(|name| subject.is_topic(name))
                    || subject.is_topic_id(cluster, topic.topic_id)
            })
    }
}

fn topics(request: &DeleteTopicsRequest, version: i16) -> Vec<DeleteTopicState> {
    let named = |name: &String| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
    match version {
        6.. => request.topics.clone(),
        _ => request.topic_names.iter().map(named).collect(),
    }
}

fn delete(
    cluster: &mut Cluster,
    call: &Call,
    asked: &DeleteTopicState,
) -> Result<DeletableTopicResult, ErrorCode> {
    let found = match &asked.name {
        Some(_) if !asked.topic_id.is_zero() => return Err(ErrorCode::INVALID_REQUEST),
        None if asked.topic_id.is_zero() => return Err(ErrorCode::INVALID_REQUEST),
        Some(name) => cluster.topics.get(name),
        None => cluster.topics.by_id(asked.topic_id),
    };
    let unknown = if asked.name.is_some() {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    } else {
        ErrorCode::UNKNOWN_TOPIC_ID
    };
    let known = found.map(|topic| (topic.name.clone(), topic.id));
    let name = known.as_ref().map(|(name, _)| name).or(asked.name.as_ref()).cloned().unwrap_or_default();
    if (known.is_some() || asked.name.is_some())
        && !cluster.allows(call, Operation::Delete, Resource::Topic(&name))
    {
        return Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    }
    let (name, topic_id) = known.ok_or(unknown)?;
    cluster.remove_topic(&name);
    Ok(DeletableTopicResult { name: Some(name), topic_id, ..Default::default() })
}

fn failed(topic: &DeleteTopicState, version: i16, error_code: ErrorCode) -> DeletableTopicResult {
    DeletableTopicResult {
        name: topic.name.clone().or_else(|| (version < 6).then(String::new)),
        topic_id: topic.topic_id,
        error_code,
        error_message: error_code.text().map(str::to_owned),
        ..Default::default()
    }
}
