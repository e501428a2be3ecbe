//! AddPartitionsToTxn: what a transaction will write to; from version 4 on also brokers' questions about that.

use std::collections::BTreeMap;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult, AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult,
};

use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

impl Serve for AddPartitionsToTxnRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<AddPartitionsToTxnResponse> {
        if call.version < 4 {
            return Reply::Now(match check(cluster, call, &self.v3_and_below_transactional_id) {
                Ok(()) => add(cluster, call, &self),
                Err(code) => self.refuse(call.version, code),
            });
        }
        if !cluster.allows(call, Operation::ClusterAction, Resource::Cluster) {
            return Reply::Now(self.refuse(call.version, ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
        }
        let mut results = Vec::with_capacity(self.transactions.len());
        for transaction in self.transactions {
            let id = transaction.transactional_id.clone();
            if cluster.is_transaction_coordinator(call.broker, &id) {
                let one = AddPartitionsToTxnRequest { transactions: vec![transaction], ..Default::default() };
                results.extend(add(cluster, call, &one).results_by_transaction);
            } else {
                let topic_results = failed(&transaction.topics, ErrorCode::NOT_COORDINATOR);
                results.push(AddPartitionsToTxnResult {
                    transactional_id: id,
                    topic_results,
                    ..Default::default()
                });
            }
        }
        Reply::Now(AddPartitionsToTxnResponse { results_by_transaction: results, ..Default::default() })
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> AddPartitionsToTxnResponse {
        if version >= 4 {
            return AddPartitionsToTxnResponse { error_code: code, ..Default::default() };
        }
        let results_by_topic_v3_and_below = failed(&self.v3_and_below_topics, code);
        AddPartitionsToTxnResponse { results_by_topic_v3_and_below, ..Default::default() }
    }

    fn throttle(response: &mut AddPartitionsToTxnResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        let topics = self.transactions.iter().flat_map(|transaction| &transaction.topics);
        subject.is_transactional_id(&self.v3_and_below_transactional_id)
            || self
                .transactions
                .iter()
                .any(|transaction| subject.is_transactional_id(&transaction.transactional_id))
            || topics.chain(&self.v3_and_below_topics).any(|topic| subject.is_topic(&topic.name))
    }
}

/// Whether the caller may write under an id, and asks the broker that coordinates it.
pub(super) fn check(cluster: &mut Cluster, call: &Call, transactional_id: &str) -> Result<(), ErrorCode> {
    if !cluster.allows(call, Operation::Write, Resource::TransactionalId(transactional_id)) {
        return Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    }
    match cluster.is_transaction_coordinator(call.broker, transactional_id) {
        true => Ok(()),
        false => Err(ErrorCode::NOT_COORDINATOR),
    }
}

fn add(
    cluster: &mut Cluster,
    call: &Call,
    request: &AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    let topics = request.transactions.iter().flat_map(|transaction| &transaction.topics);
    let mut codes = BTreeMap::new();
    for topic in topics.chain(&request.v3_and_below_topics) {
        for &partition in &topic.partitions {
            codes.insert((topic.name.clone(), partition), code_of(cluster, call, &topic.name, partition));
        }
    }
    let check = |topic: &str, partition| {
        codes.get(&(topic.to_owned(), partition)).copied().unwrap_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    };
    cluster.transactions.handle_add_partitions(call.now, call.version, request, check)
}

/// What keeps a partition out of a transaction. Brokers ask for a client that was checked where it wrote.
fn code_of(cluster: &Cluster, call: &Call, name: &str, partition: i32) -> ErrorCode {
    let topic = cluster.topics.get(name);
    let is_internal = topic.is_some_and(|topic| topic.is_internal());
    let is_allowed = !is_internal && cluster.allows(call, Operation::Write, Resource::Topic(name));
    if call.version < 4 && !is_allowed {
        return ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    }
    match topic.and_then(|topic| topic.partition(partition)) {
        Some(_) => ErrorCode::NONE,
        None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    }
}

fn failed(topics: &[AddPartitionsToTxnTopic], code: ErrorCode) -> Vec<AddPartitionsToTxnTopicResult> {
    let partition = |index: &i32| AddPartitionsToTxnPartitionResult {
        partition_index: *index,
        partition_error_code: code,
        ..Default::default()
    };
    let topic = |topic: &AddPartitionsToTxnTopic| AddPartitionsToTxnTopicResult {
        name: topic.name.clone(),
        results_by_partition: topic.partitions.iter().map(partition).collect(),
        ..Default::default()
    };
    topics.iter().map(topic).collect()
}
