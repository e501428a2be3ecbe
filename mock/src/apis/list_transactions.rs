//! ListTransactions: the transactional ids that a broker coordinates.

use std::collections::BTreeSet;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::list_transactions::{ListTransactionsRequest, ListTransactionsResponse};
use regex_lite::{Regex, RegexBuilder};

use super::{Call, Reply, Serve};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

/// How much memory a pattern may take once compiled.
const SIZE_LIMIT: usize = 1 << 20;

impl Serve for ListTransactionsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<ListTransactionsResponse> {
        let pattern = match self.transactional_id_pattern.as_deref().filter(|pattern| !pattern.is_empty()) {
            None => None,
            Some(pattern) => match whole(pattern) {
                Ok(pattern) => Some(pattern),
                Err(code) => return Reply::Now(self.refuse(call.version, code)),
            },
        };
        let ids: Vec<String> = cluster.transactions.ids().map(str::to_owned).collect();
        let is_listed = |cluster: &mut Cluster, id: &str| {
            pattern.as_ref().is_none_or(|pattern| pattern.is_match(id))
                && cluster.is_transaction_coordinator(call.broker, id)
                && cluster.allows(call, Operation::Describe, Resource::TransactionalId(id))
        };
        let listed: BTreeSet<String> = ids.into_iter().filter(|id| is_listed(cluster, id)).collect();
        Reply::Now(cluster.transactions.handle_list(call.now, &self, |id| listed.contains(id)))
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> ListTransactionsResponse {
        ListTransactionsResponse { error_code: code, ..Default::default() }
    }

    fn throttle(response: &mut ListTransactionsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }
}

/// The pattern, for the whole of an id.
fn whole(pattern: &str) -> Result<Regex, ErrorCode> {
    // Alone first: a pattern must not close the parenthesis that is put around it.
    let compile = |pattern: &str| RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).build();
    compile(pattern)
        .and_then(|_| compile(&format!("^(?:{pattern})$")))
        .map_err(|_| ErrorCode::INVALID_REGULAR_EXPRESSION)
}
