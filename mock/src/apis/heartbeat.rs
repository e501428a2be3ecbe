//! Heartbeat: a classic member is alive.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};

use super::join_group::check;
use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::Operation;

impl Serve for HeartbeatRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<HeartbeatResponse> {
        let code = match check(cluster, call, Operation::Read, &self.group_id) {
            Ok(()) => cluster.groups.handle_heartbeat(call.now, &self),
            Err(code) => code,
        };
        Reply::Now(self.refuse(call.version, code))
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> HeartbeatResponse {
        HeartbeatResponse { error_code, ..Default::default() }
    }

    fn throttle(response: &mut HeartbeatResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        subject.is_group(&self.group_id)
    }
}
