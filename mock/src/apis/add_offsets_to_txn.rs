//! AddOffsetsToTxn: a transaction will commit a group's offsets.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use super::add_partitions_to_txn::check;
use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

impl Serve for AddOffsetsToTxnRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<AddOffsetsToTxnResponse> {
        let checked = check(cluster, call, &self.transactional_id);
        let is_reader = cluster.allows(call, Operation::Read, Resource::Group(&self.group_id));
        Reply::Now(match checked {
            Err(code @ ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED) => self.refuse(call.version, code),
            _ if !is_reader => self.refuse(call.version, ErrorCode::GROUP_AUTHORIZATION_FAILED),
            Err(code) => self.refuse(call.version, code),
            Ok(()) => cluster.transactions.handle_add_offsets(call.now, call.version, &self),
        })
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> AddOffsetsToTxnResponse {
        AddOffsetsToTxnResponse { error_code: code, ..Default::default() }
    }

    fn throttle(response: &mut AddOffsetsToTxnResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        subject.is_transactional_id(&self.transactional_id) || subject.is_group(&self.group_id)
    }
}
