//! DeleteAcls: entries are taken from the access control list.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::delete_acls::{
    DeleteAclsFilter, DeleteAclsFilterResult, DeleteAclsMatchingAcl, DeleteAclsRequest, DeleteAclsResponse,
};

use super::describe_acls::DISABLED;
use super::{Call, Reply, Serve};
use crate::cluster::Cluster;
use crate::security::acls::{Filter, LITERAL, PREFIXED};
use crate::security::{Acl, Operation, Resource};

impl Serve for DeleteAclsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<DeleteAclsResponse> {
        if !self.filters.iter().all(|filter| filter_of(filter).is_readable()) {
            return Reply::Close;
        }
        if !cluster.allows(call, Operation::Alter, Resource::Cluster) {
            return Reply::Now(self.refuse(call.version, ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
        }
        let Some(acls) = &mut cluster.security.acls else {
            let mut refused = self.refuse(call.version, ErrorCode::SECURITY_DISABLED);
            refused
                .filter_results
                .iter_mut()
                .for_each(|result| result.error_message = Some(DISABLED.to_owned()));
            return Reply::Now(refused);
        };
        let mut filter_results = Vec::new();
        for filter in &self.filters {
            let filter = filter_of(filter);
            let (picked, left) =
                std::mem::take(&mut acls.entries).into_iter().partition(|acl| filter.picks(acl));
            acls.entries = left;
            let picked: Vec<Acl> = picked;
            filter_results.push(DeleteAclsFilterResult {
                error_message: None,
                matching_acls: picked.into_iter().map(deleted).collect(),
                ..Default::default()
            });
        }
        Reply::Now(DeleteAclsResponse { filter_results, ..Default::default() })
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> DeleteAclsResponse {
        let error_message = error_code.text().map(str::to_owned);
        let result = DeleteAclsFilterResult { error_code, error_message, ..Default::default() };
        DeleteAclsResponse { filter_results: vec![result; self.filters.len()], ..Default::default() }
    }

    fn throttle(response: &mut DeleteAclsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }
}

fn filter_of(filter: &DeleteAclsFilter) -> Filter {
    Filter {
        resource_type: filter.resource_type_filter,
        name: filter.resource_name_filter.clone(),
        pattern_type: filter.pattern_type_filter,
        principal: filter.principal_filter.clone(),
        host: filter.host_filter.clone(),
        operation: filter.operation,
        permission: filter.permission_type,
    }
}

fn deleted(acl: Acl) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl {
        error_message: None,
        resource_type: acl.resource_type as i8,
        resource_name: acl.name,
        pattern_type: if acl.prefixed { PREFIXED } else { LITERAL },
        principal: acl.principal,
        host: acl.host,
        operation: acl.operation as i8,
        permission_type: acl.permission as i8,
        ..Default::default()
    }
}
