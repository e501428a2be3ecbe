//! OffsetDelete: a group forgets offsets.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestTopic, OffsetDeleteResponse, OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
};

use super::join_group::check;
use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

impl Serve for OffsetDeleteRequest {
    fn serve(mut self, cluster: &mut Cluster, call: &Call) -> Reply<OffsetDeleteResponse> {
        if let Err(code) = check(cluster, call, Operation::Delete, &self.group_id) {
            return Reply::Now(self.refuse(call.version, code));
        }
        let may = |topic: &OffsetDeleteRequestTopic| {
            cluster.allows(call, Operation::Read, Resource::Topic(&topic.name))
        };
        let (allowed, denied): (Vec<_>, Vec<_>) = std::mem::take(&mut self.topics).into_iter().partition(may);
        self.topics = allowed;
        let mut response = cluster.groups.handle_offset_delete(&self);
        if response.error_code.is_ok() {
            response
                .topics
                .extend(denied.iter().map(|topic| failed(topic, ErrorCode::TOPIC_AUTHORIZATION_FAILED)));
        }
        Reply::Now(response)
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> OffsetDeleteResponse {
        OffsetDeleteResponse { error_code, ..Default::default() }
    }

    fn throttle(response: &mut OffsetDeleteResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        subject.is_group(&self.group_id) || self.topics.iter().any(|topic| subject.is_topic(&topic.name))
    }
}

fn failed(topic: &OffsetDeleteRequestTopic, error_code: ErrorCode) -> OffsetDeleteResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| OffsetDeleteResponsePartition {
        partition_index: partition.partition_index,
        error_code,
        ..Default::default()
    });
    OffsetDeleteResponseTopic {
        name: topic.name.clone(),
        partitions: partitions.collect(),
        ..Default::default()
    }
}
