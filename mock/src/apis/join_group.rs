//! JoinGroup: a classic member wants to be in the next generation. The answer waits for the others.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse};

use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

impl Serve for JoinGroupRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<JoinGroupResponse> {
        if let Err(code) = check(cluster, call, Operation::Read, &self.group_id) {
            return Reply::Now(self.refuse(call.version, code));
        }
        cluster.groups.handle_join(call.now, call.ticket, call.version, &call.caller, &self);
        Reply::Later
    }

    fn refuse(&self, version: i16, error_code: ErrorCode) -> JoinGroupResponse {
        let protocol_name = (version < 7).then(String::new);
        JoinGroupResponse { error_code, protocol_name, ..Default::default() }
    }

    fn throttle(response: &mut JoinGroupResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        subject.is_group(&self.group_id)
    }
}

/// Whether the caller may do this to a group, and asks the broker that coordinates it. A group without a name
/// belongs to no broker; what is wrong with it is for the group coordinator to say.
pub(super) fn check(
    cluster: &mut Cluster,
    call: &Call,
    operation: Operation,
    group_id: &str,
) -> Result<(), ErrorCode> {
    if !cluster.allows(call, operation, Resource::Group(group_id)) {
        return Err(ErrorCode::GROUP_AUTHORIZATION_FAILED);
    }
    if !group_id.is_empty() && !cluster.is_group_coordinator(call.broker, group_id) {
        return Err(ErrorCode::NOT_COORDINATOR);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
