//! DescribeTopicPartitions: topics in portions.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};

use super::{Call, Reply, Serve, Subject};
use crate::cluster::{Cluster, Partition, Topic, check_name};
use crate::security::{Operation, Resource};

/// The most partitions that a broker puts in one answer (`max.request.partition.size.limit`).
const MOST: usize = 2000;

impl Serve for DescribeTopicPartitionsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<DescribeTopicPartitionsResponse> {
        if self.cursor.as_ref().is_some_and(|cursor| cursor.partition_index < 0) {
            return Reply::Now(self.refuse(call.version, ErrorCode::INVALID_REQUEST));
        }
        let fetches_all = self.topics.is_empty();
        let mut names: Vec<String> = match fetches_all {
            true => cluster.topics.iter().map(|topic| topic.name.clone()).collect(),
            false => self.topics.iter().map(|topic| topic.name.clone()).collect(),
        };
        names.sort();
        names.dedup();
        let first = self.cursor.as_ref().map_or("", |cursor| cursor.topic_name.as_str());
        names.retain(|name| name.as_str() >= first);
        if !first.is_empty() && !fetches_all && names.first().is_none_or(|name| name != first) {
            return Reply::Now(self.refuse(call.version, ErrorCode::INVALID_REQUEST));
        }
        let mut room = usize::try_from(self.response_partition_limit).unwrap_or(0).clamp(1, MOST);
        let mut response = DescribeTopicPartitionsResponse::default();
        for name in names {
            let allowed = cluster.allows(call, Operation::Describe, Resource::Topic(&name));
            let topic = match (allowed, cluster.topics.get(&name)) {
                (true, Some(topic)) => topic,
                // Nobody asked for this one by name.
                (false, _) if fetches_all => continue,
                (false, _) => {
                    response.topics.push(failed(name, ErrorCode::TOPIC_AUTHORIZATION_FAILED));
                    continue;
                }
                (true, None) => {
                    let code = match check_name(&name) {
                        Ok(()) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                        Err(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
                    };
                    response.topics.push(DescribeTopicPartitionsResponseTopic {
                        topic_authorized_operations: cluster.operations(call, Resource::Topic(&name)),
                        ..failed(name, code)
                    });
                    continue;
                }
            };
            if room == 0 {
                response.next_cursor =
                    Some(Cursor { topic_name: name, partition_index: 0, ..Default::default() });
                break;
            }
            let cursor = self.cursor.as_ref().filter(|cursor| cursor.topic_name == name);
            let from = cursor.and_then(|cursor| usize::try_from(cursor.partition_index).ok()).unwrap_or(0);
            let described = describe(cluster, call, topic, from, room);
            let next = from + described.partitions.len();
            room -= described.partitions.len();
            let is_cut = next < topic.partitions.len();
            response.topics.push(described);
            if is_cut {
                let partition_index = i32::try_from(next).unwrap_or(i32::MAX);
                response.next_cursor =
                    Some(Cursor { topic_name: name, partition_index, ..Default::default() });
                break;
            }
        }
        Reply::Now(response)
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> DescribeTopicPartitionsResponse {
        let topics = self.topics.iter().map(|topic| failed(topic.name.clone(), code)).collect();
        DescribeTopicPartitionsResponse { topics, ..Default::default() }
    }

    fn throttle(response: &mut DescribeTopicPartitionsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        self.topics.iter().any(|topic| subject.is_topic(&topic.name))
    }
}

fn describe(
    cluster: &Cluster,
    call: &Call,
    topic: &Topic,
    from: usize,
    room: usize,
) -> DescribeTopicPartitionsResponseTopic {
    let partitions = (0..).zip(&topic.partitions).skip(from).take(room);
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: topic.is_internal(),
        partitions: partitions
            .map(|(index, partition)| describe_partition(cluster, index, partition))
            .collect(),
        topic_authorized_operations: cluster.operations(call, Resource::Topic(&topic.name)),
        ..Default::default()
    }
}

fn describe_partition(
    cluster: &Cluster,
    partition_index: i32,
    partition: &Partition,
) -> DescribeTopicPartitionsResponsePartition {
    let offline = partition.replicas.iter().copied().filter(|id| !cluster.brokers.is_live(*id));
    DescribeTopicPartitionsResponsePartition {
        error_code: if partition.leader < 0 { ErrorCode::LEADER_NOT_AVAILABLE } else { ErrorCode::NONE },
        partition_index,
        leader_id: partition.leader,
        leader_epoch: partition.leader_epoch,
        replica_nodes: partition.replicas.as_slice().into(),
        isr_nodes: partition.isr.as_slice().into(),
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        offline_replicas: offline.collect(),
        ..Default::default()
    }
}

fn failed(name: String, error_code: ErrorCode) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic { name: Some(name), error_code, ..Default::default() }
}
