//! DescribeProducers: which producers a partition's log remembers.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState, TopicRequest,
    TopicResponse,
};

use super::{Call, Reply, Serve, Subject};
use crate::cluster::{Cluster, check_name};
use crate::security::{Operation, Resource};

impl Serve for DescribeProducersRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<DescribeProducersResponse> {
        let partition = |topic: &TopicRequest, index: i32| match producers(cluster, call, &topic.name, index)
        {
            Ok(active_producers) => {
                PartitionResponse { partition_index: index, active_producers, ..Default::default() }
            }
            // Kafka says more only where it doesn't even know the topic.
            Err(code) if cluster.topics.get(&topic.name).is_some() => {
                PartitionResponse { error_message: None, ..failed(index, code) }
            }
            Err(code) => failed(index, code),
        };
        let topic = |topic: &TopicRequest| TopicResponse {
            name: topic.name.clone(),
            partitions: topic.partition_indexes.iter().map(|index| partition(topic, *index)).collect(),
            ..Default::default()
        };
        let topics = self.topics.iter().map(topic).collect();
        Reply::Now(DescribeProducersResponse { topics, ..Default::default() })
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> DescribeProducersResponse {
        let topic = |topic: &TopicRequest| TopicResponse {
            name: topic.name.clone(),
            partitions: topic.partition_indexes.iter().map(|index| failed(*index, code)).collect(),
            ..Default::default()
        };
        DescribeProducersResponse { topics: self.topics.iter().map(topic).collect(), ..Default::default() }
    }

    fn throttle(response: &mut DescribeProducersResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        self.topics.iter().any(|topic| subject.is_topic(&topic.name))
    }
}

/// The producers of a partition, for which any broker with a copy may be asked.
fn producers(
    cluster: &Cluster,
    call: &Call,
    topic: &str,
    index: i32,
) -> Result<Vec<ProducerState>, ErrorCode> {
    if !cluster.allows(call, Operation::Read, Resource::Topic(topic)) {
        return Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    }
    check_name(topic).map_err(|_| ErrorCode::INVALID_TOPIC_EXCEPTION)?;
    let partition = cluster.topics.get(topic).and_then(|topic| topic.partition(index));
    let partition = partition.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if !partition.replicas.contains(&call.broker) {
        return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    Ok(partition.log.producers())
}

fn failed(index: i32, code: ErrorCode) -> PartitionResponse {
    PartitionResponse {
        partition_index: index,
        error_code: code,
        error_message: code.text().map(str::to_owned),
        ..Default::default()
    }
}
