//! TxnOffsetCommit: how far a group has come, if a transaction commits.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestTopic, TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};

use super::join_group::check;
use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};
use crate::transactions::{Admission, Target, WriterKind};

impl Serve for TxnOffsetCommitRequest {
    fn serve(mut self, cluster: &mut Cluster, call: &Call) -> Reply<TxnOffsetCommitResponse> {
        if !cluster.allows(call, Operation::Write, Resource::TransactionalId(&self.transactional_id)) {
            return Reply::Now(self.refuse(call.version, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED));
        }
        if let Err(code) = check(cluster, call, Operation::Read, &self.group_id) {
            return Reply::Now(self.refuse(call.version, code));
        }
        let mut denied = Vec::new();
        for (place, topic) in std::mem::take(&mut self.topics).into_iter().enumerate() {
            if cluster.allows(call, Operation::Read, Resource::Topic(&topic.name)) {
                self.topics.push(topic);
            } else {
                denied.push((place, failed(&topic, ErrorCode::TOPIC_AUTHORIZATION_FAILED)));
            }
        }
        let mut response = match admit(cluster, call, &self) {
            Ok(()) => cluster.groups.handle_txn_offset_commit(call.now, call.version, &self),
            Err(code) => self.refuse(call.version, code),
        };
        for (place, topic) in denied {
            response.topics.insert(place.min(response.topics.len()), topic);
        }
        Reply::Now(response)
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> TxnOffsetCommitResponse {
        let topics = self.topics.iter().map(|topic| failed(topic, code)).collect();
        TxnOffsetCommitResponse { topics, ..Default::default() }
    }

    fn throttle(response: &mut TxnOffsetCommitResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        subject.is_group(&self.group_id)
            || subject.is_transactional_id(&self.transactional_id)
            || self.topics.iter().any(|topic| subject.is_topic(&topic.name))
    }
}

/// Lets the offsets into the producer's transaction, or finds them there.
fn admit(cluster: &mut Cluster, call: &Call, request: &TxnOffsetCommitRequest) -> Result<(), ErrorCode> {
    let exists = |topic: &TxnOffsetCommitRequestTopic| {
        let known = cluster.topics.get(&topic.name);
        known.is_some_and(|known| {
            topic.partitions.iter().any(|one| known.partition(one.partition_index).is_some())
        })
    };
    // What refuses these needs no transaction.
    if request.group_id.is_empty() || !request.topics.iter().any(exists) {
        return Ok(());
    }
    if cluster.transaction_coordinator(&request.transactional_id).is_none() {
        return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
    }
    let write = Admission {
        transactional_id: request.transactional_id.clone(),
        producer_id: request.producer_id,
        producer_epoch: request.producer_epoch,
        target: Target::Group(request.group_id.clone()),
        kind: WriterKind::of_txn_offset_commit(call.version),
    };
    cluster.transactions.admit(call.now, &write)
}

fn failed(topic: &TxnOffsetCommitRequestTopic, error_code: ErrorCode) -> TxnOffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| TxnOffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        error_code,
        ..Default::default()
    });
    TxnOffsetCommitResponseTopic {
        name: topic.name.clone(),
        partitions: partitions.collect(),
        ..Default::default()
    }
}
