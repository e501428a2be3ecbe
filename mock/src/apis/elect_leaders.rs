//! ElectLeaders: the preferred replica leads again, or one that is out of sync where nobody else is left.
//!
//! Sources: KIP-183 (preferred), KIP-460 (unclean).

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};

use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

impl Serve for ElectLeadersRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<ElectLeadersResponse> {
        if !cluster.allows(call, Operation::Alter, Resource::Cluster) {
            return Reply::Now(self.refuse(call.version, ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
        }
        if self.topic_partitions.as_ref().is_some_and(Vec::is_empty) {
            return Reply::Now(ElectLeadersResponse::default());
        }
        if ![PREFERRED, UNCLEAN].contains(&self.election_type) {
            let mut refused = self.refuse(call.version, ErrorCode::INVALID_REQUEST);
            let text = format!("Unknown election type {}", self.election_type);
            let results =
                refused.replica_election_results.iter_mut().flat_map(|topic| &mut topic.partition_result);
            results.for_each(|result| result.error_message = Some(text.clone()));
            return Reply::Now(refused);
        }
        let asked: Vec<(String, Vec<i32>)> = match &self.topic_partitions {
            Some(topics) => {
                topics.iter().map(|topic| (topic.topic.clone(), topic.partitions.clone())).collect()
            }
            None => cluster
                .topics
                .iter()
                .map(|t| (t.name.clone(), (0..).take(t.partitions.len()).collect()))
                .collect(),
        };
        let mut results = Vec::new();
        for (topic, partitions) in asked {
            let mut partition_result = Vec::new();
            for index in partitions {
                let code = elect(cluster, call, self.election_type, &topic, index).err().unwrap_or_default();
                // Who asked for all of them wants to hear of those where there was something to do.
                if self.topic_partitions.is_some() || code != ErrorCode::ELECTION_NOT_NEEDED {
                    partition_result.push(result(index, code));
                }
            }
            if !partition_result.is_empty() {
                results.push(ReplicaElectionResult { topic, partition_result, ..Default::default() });
            }
        }
        Reply::Now(ElectLeadersResponse { replica_election_results: results, ..Default::default() })
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> ElectLeadersResponse {
        let topics = self.topic_partitions.iter().flatten().map(|topic| ReplicaElectionResult {
            topic: topic.topic.clone(),
            partition_result: topic.partitions.iter().map(|index| result(*index, code)).collect(),
            ..Default::default()
        });
        ElectLeadersResponse {
            error_code: if version >= 1 { code } else { ErrorCode::NONE },
            replica_election_results: topics.collect(),
            ..Default::default()
        }
    }

    fn throttle(response: &mut ElectLeadersResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        self.topic_partitions.iter().flatten().any(|topic| subject.is_topic(&topic.topic))
    }
}

fn elect(
    cluster: &mut Cluster,
    call: &Call,
    election_type: i8,
    topic: &str,
    index: i32,
) -> Result<(), ErrorCode> {
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let found = cluster.topics.get(topic).ok_or(unknown)?;
    let partition = found.partition(index).ok_or(unknown)?;
    let id = found.id;
    let live = |id: &&i32| cluster.brokers.is_live(**id);
    let leader = match election_type {
        PREFERRED => {
            let preferred = partition.replicas.first().filter(live).filter(|id| partition.isr.contains(id));
            if partition.replicas.first() == Some(&partition.leader) {
                return Err(ErrorCode::ELECTION_NOT_NEEDED);
            }
            *preferred.ok_or(ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE)?
        }
        _ => {
            if partition.leader >= 0 {
                return Err(ErrorCode::ELECTION_NOT_NEEDED);
            }
            *partition.replicas.iter().find(live).ok_or(ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE)?
        }
    };
    cluster.lead(call.now, id, index, leader);
    Ok(())
}

fn result(partition_id: i32, error_code: ErrorCode) -> PartitionResult {
    let error_message = (!error_code.is_ok()).then(|| error_code.text().unwrap_or_default().to_owned());
    PartitionResult { partition_id, error_code, error_message, ..Default::default() }
}
