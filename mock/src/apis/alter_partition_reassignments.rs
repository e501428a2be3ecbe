//! AlterPartitionReassignments: partitions move to other brokers.
//!
//! New replicas that are live have everything at once, so a reassignment is done when all of its brokers are.
//!
//! Sources: KIP-455.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignablePartitionResponse, ReassignableTopicResponse,
};

use super::{Call, Reply, Serve, Subject};
use crate::cluster::{Cluster, Refusal};
use crate::security::{Operation, Resource};

impl Serve for AlterPartitionReassignmentsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<AlterPartitionReassignmentsResponse> {
        if !cluster.allows(call, Operation::Alter, Resource::Cluster) {
            return Reply::Now(self.refuse(call.version, ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
        }
        if !cluster.takes_controller_requests(call.broker) {
            return Reply::Now(self.refuse(call.version, ErrorCode::NOT_CONTROLLER));
        }
        let mut responses = Vec::new();
        for topic in &self.topics {
            let mut partitions = Vec::new();
            for asked in &topic.partitions {
                let altered = alter(cluster, call, &topic.name, asked, self.allow_replication_factor_change);
                partitions.push(match altered {
                    Ok(()) => result(asked.partition_index, ErrorCode::NONE, None),
                    Err(refusal) if refusal.code == ErrorCode::NO_REASSIGNMENT_IN_PROGRESS => {
                        result(asked.partition_index, refusal.code, None)
                    }
                    Err(refusal) => result(asked.partition_index, refusal.code, Some(refusal.message)),
                });
            }
            responses.push(ReassignableTopicResponse {
                name: topic.name.clone(),
                partitions,
                ..Default::default()
            });
        }
        Reply::Now(AlterPartitionReassignmentsResponse {
            allow_replication_factor_change: self.allow_replication_factor_change,
            error_message: None,
            responses,
            ..Default::default()
        })
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> AlterPartitionReassignmentsResponse {
        let error_message = error_code.text().map(str::to_owned);
        AlterPartitionReassignmentsResponse { error_code, error_message, ..Default::default() }
    }

    fn throttle(response: &mut AlterPartitionReassignmentsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        self.topics.iter().any(|topic| subject.is_topic(&topic.name))
    }
}

fn alter(
    cluster: &mut Cluster,
    call: &Call,
    topic: &str,
    asked: &ReassignablePartition,
    factor_may_change: bool,
) -> Result<(), Refusal> {
    let unknown =
        || Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "Unable to find the topic or partition.");
    let found = cluster.topics.get(topic).ok_or_else(unknown)?;
    let id = found.id;
    let index = asked.partition_index;
    let partition = found.partition(index).ok_or_else(unknown)?;
    let Some(replicas) = &asked.replicas else {
        if partition.adding.is_empty() && partition.removing.is_empty() {
            let code = ErrorCode::NO_REASSIGNMENT_IN_PROGRESS;
            return Err(Refusal::new(code, code.text().unwrap_or_default()));
        }
        cluster.cancel_reassignment(id, index);
        return Ok(());
    };
    super::create_topics::check_replicas(cluster, std::slice::from_ref(replicas))?;
    let before = partition.replicas.len() - partition.adding.len();
    if !factor_may_change && replicas.len() != before {
        let text = format!("The replication factor is changed from {before} to {}", replicas.len());
        return Err(Refusal::new(ErrorCode::INVALID_REPLICATION_FACTOR, text));
    }
    cluster.reassign(call.now, id, index, replicas);
    Ok(())
}

fn result(
    partition_index: i32,
    error_code: ErrorCode,
    error_message: Option<String>,
) -> ReassignablePartitionResponse {
    ReassignablePartitionResponse { partition_index, error_code, error_message, ..Default::default() }
}
