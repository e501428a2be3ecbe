//! DescribeLogDirs: which logs a broker holds, and how large they are.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult,
    DescribeLogDirsTopic,
};

use super::{Call, Reply, Serve, Subject};
use crate::cluster::{Cluster, Topic};
use crate::security::{Operation, Resource};

/// A disk has to have some size.
const DISK_BYTES: i64 = 1 << 40;

impl Serve for DescribeLogDirsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<DescribeLogDirsResponse> {
        if !cluster.allows(call, Operation::Describe, Resource::Cluster) {
            return Reply::Now(self.refuse(call.version, ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
        }
        let mut used = 0;
        let mut topics = Vec::new();
        for topic in cluster.topics.iter() {
            let asked =
                self.topics.as_ref().map(|topics| topics.iter().find(|asked| asked.topic == topic.name));
            let is_asked = |index: i32| match asked {
                None => true,
                Some(asked) => asked.is_some_and(|asked| asked.partitions.contains(&index)),
            };
            let partitions = held(topic, call.broker).filter(|partition| is_asked(partition.partition_index));
            let partitions: Vec<_> = partitions.collect();
            used += held(topic, call.broker).map(|partition| partition.partition_size).sum::<i64>();
            if !partitions.is_empty() {
                topics.push(DescribeLogDirsTopic {
                    name: topic.name.clone(),
                    partitions,
                    ..Default::default()
                });
            }
        }
        let result = DescribeLogDirsResult {
            log_dir: cluster.brokers.setting("log.dirs").to_owned(),
            topics,
            total_bytes: DISK_BYTES,
            usable_bytes: DISK_BYTES.saturating_sub(used),
            ..Default::default()
        };
        Reply::Now(DescribeLogDirsResponse { results: vec![result], ..Default::default() })
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> DescribeLogDirsResponse {
        // Before version 3 an answer without results is all that can be said.
        let error_code = if version >= 3 { code } else { ErrorCode::NONE };
        DescribeLogDirsResponse { error_code, ..Default::default() }
    }

    fn throttle(response: &mut DescribeLogDirsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        self.topics.iter().flatten().any(|topic| subject.is_topic(&topic.topic))
    }
}

/// The partitions of which a broker holds a copy.
fn held(topic: &Topic, broker: i32) -> impl Iterator<Item = DescribeLogDirsPartition> {
    let copies =
        (0..).zip(&topic.partitions).filter(move |(_, partition)| partition.replicas.contains(&broker));
    copies.map(move |(partition_index, partition)| DescribeLogDirsPartition {
        partition_index,
        partition_size: i64::try_from(partition.log.size_bytes()).unwrap_or(i64::MAX),
        offset_lag: (partition.log.high_watermark() - partition.end_of(broker)).max(0),
        ..Default::default()
    })
}
