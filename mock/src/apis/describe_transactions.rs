//! DescribeTransactions: what the coordinator knows of transactional ids.

use std::collections::BTreeMap;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, TransactionState,
};

use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};
use crate::transactions::Target;

impl Serve for DescribeTransactionsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<DescribeTransactionsResponse> {
        let states = self.transactional_ids.iter().map(|id| describe(cluster, call, id)).collect();
        Reply::Now(DescribeTransactionsResponse { transaction_states: states, ..Default::default() })
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> DescribeTransactionsResponse {
        let states = self.transactional_ids.iter().map(|id| failed(id, code)).collect();
        DescribeTransactionsResponse { transaction_states: states, ..Default::default() }
    }

    fn throttle(response: &mut DescribeTransactionsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        self.transactional_ids.iter().any(|id| subject.is_transactional_id(id))
    }
}

fn describe(cluster: &mut Cluster, call: &Call, id: &str) -> TransactionState {
    if !cluster.allows(call, Operation::Describe, Resource::TransactionalId(id)) {
        return failed(id, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    }
    if !cluster.is_transaction_coordinator(call.broker, id) {
        return failed(id, ErrorCode::NOT_COORDINATOR);
    }
    let groups: Vec<String> = cluster.transactions.targets(id).filter_map(group).map(str::to_owned).collect();
    let places: BTreeMap<String, (&'static str, i32)> =
        groups.into_iter().map(|group| (group.clone(), cluster.group_partition(&group))).collect();
    let mut state = cluster.transactions.describe(id, |group| places.get(group).copied().unwrap_or_default());
    state.topics.retain(|data| cluster.allows(call, Operation::Describe, Resource::Topic(&data.topic)));
    state
}

fn group(target: &Target) -> Option<&str> {
    match target {
        Target::Group(group) => Some(group),
        Target::Partition { .. } => None,
    }
}

fn failed(id: &str, error_code: ErrorCode) -> TransactionState {
    TransactionState { transactional_id: id.to_owned(), error_code, ..Default::default() }
}
