//! FindCoordinator: who coordinates a group or a transactional id.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse, KEY_TYPE_GROUP, KEY_TYPE_TRANSACTION,
};

use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

impl Serve for FindCoordinatorRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<FindCoordinatorResponse> {
        let keys = keys(&self, call.version);
        let found = keys.iter().map(|key| find(cluster, call, self.key_type, key)).collect();
        Reply::Now(response(call.version, found))
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> FindCoordinatorResponse {
        response(version, keys(self, version).iter().map(|key| failed(key, code)).collect())
    }

    fn throttle(response: &mut FindCoordinatorResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        let is_meant = |key: &String| match self.key_type {
            KEY_TYPE_GROUP => subject.is_group(key),
            _ => subject.is_transactional_id(key),
        };
        is_meant(&self.key) || self.coordinator_keys.iter().any(is_meant)
    }
}

fn keys(request: &FindCoordinatorRequest, version: i16) -> Vec<String> {
    match version {
        4.. => request.coordinator_keys.clone(),
        _ => vec![request.key.clone()],
    }
}

fn find(cluster: &mut Cluster, call: &Call, key_type: i8, key: &str) -> Coordinator {
    let (resource, code) = match key_type {
        KEY_TYPE_GROUP => (Resource::Group(key), ErrorCode::GROUP_AUTHORIZATION_FAILED),
        KEY_TYPE_TRANSACTION => {
            (Resource::TransactionalId(key), ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
        }
        _ => {
            let code = ErrorCode::INVALID_REQUEST;
            let error_message = code.text().map(str::to_owned);
            return Coordinator { error_message, ..failed(key, code) };
        }
    };
    if !cluster.allows(call, Operation::Describe, resource) {
        return failed(key, code);
    }
    let coordinator = match key_type {
        KEY_TYPE_GROUP => cluster.group_coordinator(key),
        _ => cluster.transaction_coordinator(key),
    };
    match coordinator.and_then(|id| cluster.brokers.get(id)).filter(|broker| !broker.fenced) {
        Some(broker) => Coordinator {
            key: key.to_owned(),
            node_id: broker.id,
            host: broker.host.clone(),
            port: broker.port.into(),
            ..Default::default()
        },
        None => failed(key, ErrorCode::COORDINATOR_NOT_AVAILABLE),
    }
}

fn failed(key: &str, error_code: ErrorCode) -> Coordinator {
    Coordinator { key: key.to_owned(), node_id: -1, port: -1, error_code, ..Default::default() }
}

fn response(version: i16, mut found: Vec<Coordinator>) -> FindCoordinatorResponse {
    if version >= 4 {
        return FindCoordinatorResponse { coordinators: found, ..Default::default() };
    }
    let Some(found) = found.pop() else { return FindCoordinatorResponse::default() };
    FindCoordinatorResponse {
        error_code: found.error_code,
        // Kafka's own word for no error.
        error_message: Some(
            found.error_code.text().filter(|_| !found.error_code.is_ok()).unwrap_or("NONE").to_owned(),
        ),
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..Default::default()
    }
}
