//! OffsetForLeaderEpoch: where an epoch ended.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
};

use super::fetch::check_epoch;
use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

impl Serve for OffsetForLeaderEpochRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<OffsetForLeaderEpochResponse> {
        let topics = self.topics.iter().map(|topic| {
            let allowed = cluster.allows(call, Operation::Describe, Resource::Topic(&topic.topic));
            let one = |asked: &OffsetForLeaderPartition| {
                let found = match allowed {
                    true => look_up(cluster, call, &topic.topic, asked),
                    false => Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED),
                };
                match found {
                    Ok((leader_epoch, end_offset)) => EpochEndOffset {
                        partition: asked.partition,
                        leader_epoch,
                        end_offset,
                        ..Default::default()
                    },
                    Err(error_code) => failed(asked.partition, error_code),
                }
            };
            OffsetForLeaderTopicResult {
                topic: topic.topic.clone(),
                partitions: topic.partitions.iter().map(one).collect(),
                ..Default::default()
            }
        });
        Reply::Now(OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() })
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> OffsetForLeaderEpochResponse {
        let topics = self.topics.iter().map(|topic| OffsetForLeaderTopicResult {
            topic: topic.topic.clone(),
            partitions: topic.partitions.iter().map(|asked| failed(asked.partition, code)).collect(),
            ..Default::default()
        });
        OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() }
    }

    fn throttle(response: &mut OffsetForLeaderEpochResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        self.topics.iter().any(|topic| subject.is_topic(&topic.topic))
    }
}

fn look_up(
    cluster: &Cluster,
    call: &Call,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<(i32, i64), ErrorCode> {
    let found = cluster.topics.get(topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let partition = found.partition(asked.partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    // A replica compares epochs before it looks who leads.
    if partition.replicas.contains(&call.broker) {
        check_epoch(partition, asked.current_leader_epoch)?;
    }
    if partition.leader != call.broker {
        return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    let end = partition.log.end_offset_for_epoch(asked.leader_epoch);
    Ok(end.map_or((-1, -1), |end| (end.leader_epoch, end.end_offset)))
}

fn failed(partition: i32, error_code: ErrorCode) -> EpochEndOffset {
    EpochEndOffset { partition, error_code, ..Default::default() }
}
