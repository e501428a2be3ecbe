//! EndTxn: a transaction's outcome.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::end_txn::{EndTxnRequest, EndTxnResponse};

use super::add_partitions_to_txn::check;
use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;

impl Serve for EndTxnRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<EndTxnResponse> {
        Reply::Now(match check(cluster, call, &self.transactional_id) {
            Ok(()) => cluster.transactions.handle_end_txn(call.now, call.version, &self),
            Err(code) => self.refuse(call.version, code),
        })
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> EndTxnResponse {
        EndTxnResponse { error_code: code, ..Default::default() }
    }

    fn throttle(response: &mut EndTxnResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        subject.is_transactional_id(&self.transactional_id)
    }
}

#[cfg(test)]
mod tests;
