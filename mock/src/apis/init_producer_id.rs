//! InitProducerId: identities of producers.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

impl Serve for InitProducerIdRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<InitProducerIdResponse> {
        if let Err(code) = check(cluster, call, self.transactional_id.as_deref()) {
            return Reply::Now(self.refuse(call.version, code));
        }
        Reply::Now(cluster.transactions.handle_init_producer_id(call.now, call.version, &self))
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> InitProducerIdResponse {
        InitProducerIdResponse { error_code: code, producer_epoch: -1, ..Default::default() }
    }

    fn throttle(response: &mut InitProducerIdResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        self.transactional_id.as_deref().is_some_and(|id| subject.is_transactional_id(id))
    }
}

/// Whether the caller may write like this, and asks the broker that coordinates it.
fn check(cluster: &mut Cluster, call: &Call, transactional_id: Option<&str>) -> Result<(), ErrorCode> {
    let Some(id) = transactional_id else {
        // Who may write to any topic at all may do so idempotently.
        let writes = |name: &str| cluster.allows(call, Operation::Write, Resource::Topic(name));
        let is_allowed = cluster.allows(call, Operation::IdempotentWrite, Resource::Cluster)
            || cluster.topics.iter().any(|topic| writes(&topic.name));
        return if is_allowed { Ok(()) } else { Err(ErrorCode::CLUSTER_AUTHORIZATION_FAILED) };
    };
    if !cluster.allows(call, Operation::Write, Resource::TransactionalId(id)) {
        return Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    }
    match cluster.is_transaction_coordinator(call.broker, id) {
        true => Ok(()),
        false => Err(ErrorCode::NOT_COORDINATOR),
    }
}
