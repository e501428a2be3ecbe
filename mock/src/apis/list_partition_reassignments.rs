//! ListPartitionReassignments: partitions that are on the move.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, OngoingPartitionReassignment,
    OngoingTopicReassignment,
};

use super::{Call, Reply, Serve, Subject};
use crate::cluster::{Cluster, Topic};
use crate::security::{Operation, Resource};

impl Serve for ListPartitionReassignmentsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<ListPartitionReassignmentsResponse> {
        if !cluster.allows(call, Operation::Describe, Resource::Cluster) {
            return Reply::Now(self.refuse(call.version, ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
        }
        if !cluster.takes_controller_requests(call.broker) {
            return Reply::Now(self.refuse(call.version, ErrorCode::NOT_CONTROLLER));
        }
        let is_asked = |topic: &str, index: i32| match &self.topics {
            None => true,
            Some(topics) => {
                topics.iter().any(|asked| asked.name == topic && asked.partition_indexes.contains(&index))
            }
        };
        let ongoing = |topic: &Topic| OngoingTopicReassignment {
            name: topic.name.clone(),
            partitions: (0..)
                .zip(&topic.partitions)
                .filter(|(index, partition)| partition.is_moving() && is_asked(&topic.name, *index))
                .map(|(partition_index, partition)| OngoingPartitionReassignment {
                    partition_index,
                    replicas: partition.replicas.clone(),
                    adding_replicas: partition.adding.clone(),
                    removing_replicas: partition.removing.clone(),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        let topics =
            cluster.topics.iter().map(ongoing).filter(|topic| !topic.partitions.is_empty()).collect();
        Reply::Now(ListPartitionReassignmentsResponse { error_message: None, topics, ..Default::default() })
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> ListPartitionReassignmentsResponse {
        let error_message = error_code.text().map(str::to_owned);
        ListPartitionReassignmentsResponse { error_code, error_message, ..Default::default() }
    }

    fn throttle(response: &mut ListPartitionReassignmentsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        self.topics.iter().flatten().any(|topic| subject.is_topic(&topic.name))
    }
}
