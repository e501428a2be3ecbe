//! LeaveGroup: classic members go, or are sent away by an administrator.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse};

use super::join_group::check;
use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::Operation;

impl Serve for LeaveGroupRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<LeaveGroupResponse> {
        Reply::Now(match check(cluster, call, Operation::Read, &self.group_id) {
            Ok(()) => cluster.groups.handle_leave(call.now, call.version, &self),
            Err(code) => self.refuse(call.version, code),
        })
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> LeaveGroupResponse {
        LeaveGroupResponse { error_code, ..Default::default() }
    }

    fn throttle(response: &mut LeaveGroupResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        subject.is_group(&self.group_id)
    }
}
