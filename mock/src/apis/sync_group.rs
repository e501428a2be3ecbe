//! SyncGroup: the leader hands the assignment in, and everybody gets its share. The answer waits for the leader.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

use super::join_group::check;
use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::Operation;

impl Serve for SyncGroupRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<SyncGroupResponse> {
        // From version 5 on the client must say what it takes part in.
        let says_all = call.version < 5 || (self.protocol_type.is_some() && self.protocol_name.is_some());
        if !says_all {
            return Reply::Now(self.refuse(call.version, ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
        }
        if let Err(code) = check(cluster, call, Operation::Read, &self.group_id) {
            return Reply::Now(self.refuse(call.version, code));
        }
        cluster.groups.handle_sync(call.now, call.ticket, call.version, &self);
        Reply::Later
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> SyncGroupResponse {
        SyncGroupResponse { error_code, ..Default::default() }
    }

    fn throttle(response: &mut SyncGroupResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        subject.is_group(&self.group_id)
    }
}
