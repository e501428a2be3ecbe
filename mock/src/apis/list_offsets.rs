//! ListOffsets: where in a partition a time is.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::list_offsets::{
    LATEST_TIMESTAMP, ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest,
    ListOffsetsResponse, ListOffsetsTopicResponse,
};

use super::fetch::check_epoch;
use super::{Call, Reply, Serve, Subject};
use crate::cluster::{Cluster, Partition};
use crate::log::{Isolation, OffsetAt};
use crate::security::{Operation, Resource};

impl Serve for ListOffsetsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<ListOffsetsResponse> {
        let isolation = match (self.replica_id, self.isolation_level) {
            // A consumer's number; others are replicas or tools that see what they see.
            (-1, 1) => Isolation::Committed,
            (-1, _) => Isolation::HighWatermark,
            _ => Isolation::LogEnd,
        };
        let mut topics = Vec::new();
        for topic in &self.topics {
            let allowed = cluster.allows(call, Operation::Describe, Resource::Topic(&topic.name));
            let is_twice = |partition: &ListOffsetsPartition| {
                let same = |other: &&ListOffsetsPartition| other.partition_index == partition.partition_index;
                topic.partitions.iter().filter(same).count() > 1
            };
            let one = |partition: &ListOffsetsPartition| {
                let found = match (allowed, is_twice(partition)) {
                    (false, _) => Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED),
                    (true, true) => Err(ErrorCode::INVALID_REQUEST),
                    (true, false) => look_up(cluster, call, &topic.name, partition, isolation),
                };
                match found {
                    Ok(found) => ListOffsetsPartitionResponse {
                        partition_index: partition.partition_index,
                        timestamp: found.timestamp,
                        offset: found.offset,
                        leader_epoch: if call.version >= 4 { found.leader_epoch } else { -1 },
                        ..Default::default()
                    },
                    Err(error_code) => failed(partition.partition_index, error_code),
                }
            };
            // What was asked twice is refused once.
            let is_first = |(place, partition): &(usize, &ListOffsetsPartition)| {
                let before = &topic.partitions[..*place];
                before.iter().all(|other| other.partition_index != partition.partition_index)
            };
            let asked = topic.partitions.iter().enumerate().filter(is_first);
            let partitions = asked.map(|(_, partition)| one(partition)).collect();
            topics.push(ListOffsetsTopicResponse {
                name: topic.name.clone(),
                partitions,
                ..Default::default()
            });
        }
        Reply::Now(ListOffsetsResponse { topics, ..Default::default() })
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> ListOffsetsResponse {
        let topics = self.topics.iter().map(|topic| ListOffsetsTopicResponse {
            name: topic.name.clone(),
            partitions: topic.partitions.iter().map(|p| failed(p.partition_index, code)).collect(),
            ..Default::default()
        });
        ListOffsetsResponse { topics: topics.collect(), ..Default::default() }
    }

    fn throttle(response: &mut ListOffsetsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        self.topics.iter().any(|topic| subject.is_topic(&topic.name))
    }
}

fn look_up(
    cluster: &Cluster,
    call: &Call,
    topic: &str,
    asked: &ListOffsetsPartition,
    isolation: Isolation,
) -> Result<OffsetAt, ErrorCode> {
    // Special values by the version that admits each.
    let admitted = match asked.timestamp {
        -3 => 7,
        -4 => 8,
        -5 => 9,
        -6 => 11,
        timestamp if timestamp < -6 => i16::MAX,
        _ => 0,
    };
    if call.version < admitted {
        return Err(ErrorCode::UNSUPPORTED_VERSION);
    }
    let found = cluster.topics.get(topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let partition = found.partition(asked.partition_index).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    // A replica compares epochs before it looks who leads.
    if partition.replicas.contains(&call.broker) {
        check_epoch(partition, asked.current_leader_epoch)?;
    }
    if partition.leader != call.broker {
        return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    if isolation != Isolation::LogEnd && asked.timestamp == LATEST_TIMESTAMP && is_settling(partition) {
        return Err(match call.version {
            5.. => ErrorCode::OFFSET_NOT_AVAILABLE,
            _ => ErrorCode::LEADER_NOT_AVAILABLE,
        });
    }
    let nowhere = OffsetAt { offset: -1, timestamp: -1, leader_epoch: -1 };
    Ok(partition.log.list_offset(asked.timestamp, isolation, partition.leader_epoch).unwrap_or(nowhere))
}

/// Whether a new leader doesn't know yet that what it began with is everywhere (KIP-207).
fn is_settling(partition: &Partition) -> bool {
    let before = partition.log.end_offset_for_epoch(partition.leader_epoch - 1);
    before.is_some_and(|before| partition.log.high_watermark() < before.end_offset)
}

fn failed(partition_index: i32, error_code: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse { partition_index, error_code, ..Default::default() }
}
