//! OffsetCommit: how far a group has come.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestTopic, OffsetCommitResponse, OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
};

use super::join_group::check;
use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

impl Serve for OffsetCommitRequest {
    fn serve(mut self, cluster: &mut Cluster, call: &Call) -> Reply<OffsetCommitResponse> {
        // Where no topic is known, there is nothing to ask a coordinator.
        let is_known = |topic: &OffsetCommitRequestTopic| match call.version {
            10.. => cluster.topics.by_id(topic.topic_id).is_some(),
            _ => cluster.topics.get(&topic.name).is_some(),
        };
        let is_anything_known = self.topics.iter().any(is_known);
        if let Err(code) = check(cluster, call, Operation::Read, &self.group_id)
            && (code != ErrorCode::NOT_COORDINATOR || is_anything_known)
        {
            return Reply::Now(self.refuse(call.version, code));
        }
        let mut denied = Vec::new();
        let mut topics = std::mem::take(&mut self.topics);
        // A topic of which nothing is committed isn't mentioned.
        topics.retain(|topic| !topic.partitions.is_empty());
        for (place, topic) in topics.into_iter().enumerate() {
            let name = match call.version {
                10.. => cluster.topics.name_of(topic.topic_id).unwrap_or_default(),
                _ => &topic.name,
            };
            // A topic that isn't there is refused as such.
            let is_denied = !name.is_empty() && !cluster.allows(call, Operation::Read, Resource::Topic(name));
            if is_denied {
                denied.push((place, failed(&topic, ErrorCode::TOPIC_AUTHORIZATION_FAILED)));
            } else {
                self.topics.push(topic);
            }
        }
        let mut response = cluster.groups.handle_offset_commit(call.now, call.version, &self);
        for (place, topic) in denied {
            response.topics.insert(place.min(response.topics.len()), topic);
        }
        Reply::Now(response)
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> OffsetCommitResponse {
        let topics = self.topics.iter().map(|topic| failed(topic, code)).collect();
        OffsetCommitResponse { topics, ..Default::default() }
    }

    fn throttle(response: &mut OffsetCommitResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, cluster: &Cluster, subject: &Subject) -> bool {
        subject.is_group(&self.group_id)
            || self
                .topics
                .iter()
                .any(|topic| subject.is_topic(&topic.name) || subject.is_topic_id(cluster, topic.topic_id))
    }
}

fn failed(topic: &OffsetCommitRequestTopic, error_code: ErrorCode) -> OffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| OffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        error_code,
        ..Default::default()
    });
    OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: partitions.collect(),
        ..Default::default()
    }
}
