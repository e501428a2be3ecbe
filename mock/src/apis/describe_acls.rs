//! DescribeAcls: entries of the access control list.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_acls::{
    AclDescription, DescribeAclsRequest, DescribeAclsResource, DescribeAclsResponse,
};

use super::{Call, Reply, Serve};
use crate::cluster::Cluster;
use crate::security::acls::{Filter, LITERAL, PREFIXED};
use crate::security::{Operation, Resource};

/// What brokers say that have no access control list.
pub(super) const DISABLED: &str = "No Authorizer is configured on the broker";

impl Serve for DescribeAclsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<DescribeAclsResponse> {
        if cluster.security.acls.is_none() {
            return Reply::Now(DescribeAclsResponse {
                error_message: Some(DISABLED.to_owned()),
                ..self.refuse(call.version, ErrorCode::SECURITY_DISABLED)
            });
        }
        let filter = Filter {
            resource_type: self.resource_type_filter,
            name: self.resource_name_filter.clone(),
            pattern_type: self.pattern_type_filter,
            principal: self.principal_filter.clone(),
            host: self.host_filter.clone(),
            operation: self.operation,
            permission: self.permission_type,
        };
        if !filter.is_readable() {
            return Reply::Close;
        }
        if !cluster.allows(call, Operation::Describe, Resource::Cluster) {
            return Reply::Now(self.refuse(call.version, ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
        }
        let Some(acls) = &cluster.security.acls else { return Reply::Close };
        let mut resources: Vec<DescribeAclsResource> = Vec::new();
        for acl in acls.entries.iter().filter(|acl| filter.picks(acl)) {
            let pattern_type = if acl.prefixed { PREFIXED } else { LITERAL };
            if call.version == 0 && acl.prefixed {
                // That version has no way to say it.
                continue;
            }
            let description = AclDescription {
                principal: acl.principal.clone(),
                host: acl.host.clone(),
                operation: acl.operation as i8,
                permission_type: acl.permission as i8,
                ..Default::default()
            };
            let same = resources.iter_mut().find(|known| {
                known.resource_type == acl.resource_type as i8
                    && known.resource_name == acl.name
                    && known.pattern_type == pattern_type
            });
            match same {
                Some(resource) => resource.acls.push(description),
                None => resources.push(DescribeAclsResource {
                    resource_type: acl.resource_type as i8,
                    resource_name: acl.name.clone(),
                    pattern_type,
                    acls: vec![description],
                    ..Default::default()
                }),
            }
        }
        Reply::Now(DescribeAclsResponse { error_message: None, resources, ..Default::default() })
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> DescribeAclsResponse {
        let error_message = error_code.text().map(str::to_owned);
        DescribeAclsResponse { error_code, error_message, ..Default::default() }
    }

    fn throttle(response: &mut DescribeAclsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }
}
