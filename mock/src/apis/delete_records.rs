//! DeleteRecords: partitions begin later.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult,
};

use super::{Call, Reply, Serve, Subject};
use crate::cluster::{Cluster, is_internal};
use crate::security::{Operation, Resource};

impl Serve for DeleteRecordsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<DeleteRecordsResponse> {
        let mut topics = Vec::new();
        for topic in &self.topics {
            let mut partitions = Vec::new();
            for asked in &topic.partitions {
                let deleted = delete(cluster, call, &topic.name, asked.partition_index, asked.offset);
                partitions.push(match deleted {
                    Ok(low_watermark) => DeleteRecordsPartitionResult {
                        partition_index: asked.partition_index,
                        low_watermark,
                        ..Default::default()
                    },
                    Err(code) => failed(asked.partition_index, code),
                });
            }
            topics.push(DeleteRecordsTopicResult {
                name: topic.name.clone(),
                partitions,
                ..Default::default()
            });
        }
        Reply::Now(DeleteRecordsResponse { topics, ..Default::default() })
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> DeleteRecordsResponse {
        let topics = self.topics.iter().map(|topic| DeleteRecordsTopicResult {
            name: topic.name.clone(),
            partitions: topic.partitions.iter().map(|asked| failed(asked.partition_index, code)).collect(),
            ..Default::default()
        });
        DeleteRecordsResponse { topics: topics.collect(), ..Default::default() }
    }

    fn throttle(response: &mut DeleteRecordsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        self.topics.iter().any(|topic| subject.is_topic(&topic.name))
    }
}

fn delete(
    cluster: &mut Cluster,
    call: &Call,
    topic: &str,
    index: i32,
    offset: i64,
) -> Result<i64, ErrorCode> {
    if !cluster.allows(call, Operation::Delete, Resource::Topic(topic)) {
        return Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    }
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let found = cluster.topics.get_mut(topic).ok_or(unknown)?;
    let id = found.id;
    if is_internal(topic) {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    let partition = found.partition_mut(index).ok_or(unknown)?;
    if partition.leader != call.broker {
        return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    let low_watermark = partition.log.delete_records(offset)?;
    cluster.parked.wake(id, index);
    Ok(low_watermark)
}

fn failed(partition_index: i32, error_code: ErrorCode) -> DeleteRecordsPartitionResult {
    DeleteRecordsPartitionResult { partition_index, low_watermark: -1, error_code, ..Default::default() }
}
