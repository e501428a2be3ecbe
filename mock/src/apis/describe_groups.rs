//! DescribeGroups: state and members of classic groups.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup,
};

use super::join_group::check;
use super::{Call, Reply, Serve, Subject};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

impl Serve for DescribeGroupsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<DescribeGroupsResponse> {
        let mut groups = Vec::with_capacity(self.groups.len());
        for group_id in &self.groups {
            let mut group = match check(cluster, call, Operation::Describe, group_id) {
                Ok(()) => cluster.groups.describe(call.version, group_id),
                Err(code) => failed(group_id, code),
            };
            if self.include_authorized_operations && group.error_code.is_ok() {
                group.authorized_operations = cluster.operations(call, Resource::Group(group_id));
            }
            groups.push(group);
        }
        Reply::Now(DescribeGroupsResponse { groups, ..Default::default() })
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> DescribeGroupsResponse {
        let groups = self.groups.iter().map(|group_id| failed(group_id, code)).collect();
        DescribeGroupsResponse { groups, ..Default::default() }
    }

    fn throttle(response: &mut DescribeGroupsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }

    fn concerns(&self, _cluster: &Cluster, subject: &Subject) -> bool {
        self.groups.iter().any(|group_id| subject.is_group(group_id))
    }
}

fn failed(group_id: &str, error_code: ErrorCode) -> DescribedGroup {
    DescribedGroup { group_id: group_id.to_owned(), error_code, ..Default::default() }
}
