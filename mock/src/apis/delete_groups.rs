//! DeleteGroups: groups without members are forgotten, and what they committed.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};

use super::join_group::check;
use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::Operation;

impl Serve for DeleteGroupsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<DeleteGroupsResponse> {
        let mut results = Vec::with_capacity(self.groups_names.len());
        for (place, group_id) in self.groups_names.iter().enumerate() {
            if self.groups_names[..place].contains(group_id) {
                continue;
            }
            results.push(match check(cluster, call, Operation::Delete, group_id) {
                Ok(()) => cluster.groups.delete(group_id),
                Err(code) => failed(group_id, code),
            });
        }
        Reply::Now(DeleteGroupsResponse { results, ..Default::default() })
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> DeleteGroupsResponse {
        let results = self.groups_names.iter().map(|group_id| failed(group_id, code)).collect();
        DeleteGroupsResponse { results, ..Default::default() }
    }

    fn throttle(response: &mut DeleteGroupsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        self.groups_names.iter().any(|group_id| subject.is_group(group_id))
    }
}

fn failed(group_id: &str, error_code: ErrorCode) -> DeletableGroupResult {
    DeletableGroupResult { group_id: group_id.to_owned(), error_code, ..Default::default() }
}
