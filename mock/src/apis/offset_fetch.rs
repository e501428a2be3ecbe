//! OffsetFetch: where groups have come to. Up to version 7 the request is about one group, from 8 on about several; here
//! it is always about several.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};

use super::join_group::check;
use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

impl Serve for OffsetFetchRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<OffsetFetchResponse> {
        let require_stable = self.require_stable;
        let groups = groups(&self, call.version).into_iter();
        let found = groups.map(|group| fetch(cluster, call, group, require_stable)).collect();
        Reply::Now(response(call.version, found))
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> OffsetFetchResponse {
        response(version, groups(self, version).iter().map(|group| failed(version, group, code)).collect())
    }

    fn throttle(response: &mut OffsetFetchResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        subject.is_group(&self.group_id) || self.groups.iter().any(|group| subject.is_group(&group.group_id))
    }
}

fn fetch(
    cluster: &mut Cluster,
    call: &Call,
    mut group: OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    let version = call.version;
    if let Err(code) = check(cluster, call, Operation::Describe, &group.group_id) {
        return failed(version, &group, code);
    }
    let allows = |name: &str| cluster.allows(call, Operation::Describe, Resource::Topic(name));
    let mut denied = Vec::new();
    if let Some(topics) = &mut group.topics {
        topics.retain(|topic| {
            let name = match version {
                10.. => cluster.topics.name_of(topic.topic_id).unwrap_or_default(),
                _ => topic.name.as_str(),
            };
            let is_allowed = name.is_empty() || allows(name);
            if !is_allowed {
                denied.push(without_offsets(topic, ErrorCode::TOPIC_AUTHORIZATION_FAILED));
            }
            is_allowed
        });
    }
    let mut found = cluster.groups.handle_offset_fetch(version, &group, require_stable);
    if !found.error_code.is_ok() {
        return failed(version, &group, found.error_code);
    }
    if group.topics.is_none() {
        found.topics.retain(|topic| cluster.allows(call, Operation::Describe, Resource::Topic(&topic.name)));
    }
    found.topics.extend(denied);
    found
}

fn groups(request: &OffsetFetchRequest, version: i16) -> Vec<OffsetFetchRequestGroup> {
    if version >= 8 {
        return request.groups.clone();
    }
    let topic = |topic: &OffsetFetchRequestTopic| OffsetFetchRequestTopics {
        name: topic.name.clone(),
        partition_indexes: topic.partition_indexes.clone(),
        ..Default::default()
    };
    vec![OffsetFetchRequestGroup {
        group_id: request.group_id.clone(),
        topics: request.topics.as_ref().map(|topics| topics.iter().map(topic).collect()),
        ..Default::default()
    }]
}

/// Up to version 1 a group has no error of its own, only its partitions have.
fn failed(version: i16, group: &OffsetFetchRequestGroup, error_code: ErrorCode) -> OffsetFetchResponseGroup {
    let group_id = group.group_id.clone();
    if version >= 2 {
        return OffsetFetchResponseGroup { group_id, error_code, ..Default::default() };
    }
    let topics = group.topics.iter().flatten().map(|topic| without_offsets(topic, error_code)).collect();
    OffsetFetchResponseGroup { group_id, topics, ..Default::default() }
}

fn without_offsets(topic: &OffsetFetchRequestTopics, error_code: ErrorCode) -> OffsetFetchResponseTopics {
    let partitions = topic.partition_indexes.iter().map(|index| OffsetFetchResponsePartitions {
        partition_index: *index,
        committed_offset: -1,
        error_code,
        ..Default::default()
    });
    OffsetFetchResponseTopics {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: partitions.collect(),
        ..Default::default()
    }
}

fn response(version: i16, mut groups: Vec<OffsetFetchResponseGroup>) -> OffsetFetchResponse {
    if version >= 8 {
        return OffsetFetchResponse { groups, ..Default::default() };
    }
    let Some(group) = groups.pop() else { return OffsetFetchResponse::default() };
    let partition = |partition: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
        ..Default::default()
    };
    let topics = group.topics.into_iter().map(|topic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(partition).collect(),
        ..Default::default()
    });
    OffsetFetchResponse { topics: topics.collect(), error_code: group.error_code, ..Default::default() }
}
