//! ListGroups: the groups that the asked broker coordinates.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse};

use super::{Call, Reply, Serve};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

impl Serve for ListGroupsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<ListGroupsResponse> {
        let sees_all = cluster.allows(call, Operation::Describe, Resource::Cluster);
        let mut groups = cluster.groups.list(&self);
        groups.retain(|group| {
            let id = &group.group_id;
            let may = sees_all || cluster.allows(call, Operation::Describe, Resource::Group(id));
            may && cluster.is_group_coordinator(call.broker, id)
        });
        Reply::Now(ListGroupsResponse { groups, ..Default::default() })
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> ListGroupsResponse {
        ListGroupsResponse { error_code, ..Default::default() }
    }

    fn throttle(response: &mut ListGroupsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }
}
