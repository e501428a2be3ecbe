//! CreateAcls: entries are added to the access control list.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::create_acls::{
    AclCreation, AclCreationResult, CreateAclsRequest, CreateAclsResponse,
};

use super::describe_acls::DISABLED;
use super::{Call, Reply, Serve};
use crate::cluster::Cluster;
use crate::security::acls::{LITERAL, PREFIXED};
use crate::security::{Acl, Operation, Permission, Resource, ResourceType};

impl Serve for CreateAclsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<CreateAclsResponse> {
        let is_readable = |creation: &AclCreation| {
            (1..=7).contains(&creation.resource_type)
                && (1..=4).contains(&creation.resource_pattern_type)
                && (1..=15).contains(&creation.operation)
                && (1..=3).contains(&creation.permission_type)
        };
        if !self.creations.iter().all(is_readable) {
            return Reply::Close;
        }
        if !cluster.allows(call, Operation::Alter, Resource::Cluster) {
            return Reply::Now(self.refuse(call.version, ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
        }
        let Some(acls) = &mut cluster.security.acls else {
            let mut refused = self.refuse(call.version, ErrorCode::SECURITY_DISABLED);
            refused.results.iter_mut().for_each(|result| result.error_message = Some(DISABLED.to_owned()));
            return Reply::Now(refused);
        };
        let mut results = Vec::new();
        for creation in &self.creations {
            results.push(match entry(creation) {
                Ok(acl) => {
                    if !acls.entries.contains(&acl) {
                        acls.entries.push(acl);
                    }
                    AclCreationResult { error_message: None, ..Default::default() }
                }
                Err(message) => AclCreationResult {
                    error_code: ErrorCode::INVALID_REQUEST,
                    error_message: Some(message.to_owned()),
                    ..Default::default()
                },
            });
        }
        Reply::Now(CreateAclsResponse { results, ..Default::default() })
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> CreateAclsResponse {
        let error_message = error_code.text().map(str::to_owned);
        let result = AclCreationResult { error_code, error_message, ..Default::default() };
        CreateAclsResponse { results: vec![result; self.creations.len()], ..Default::default() }
    }

    fn throttle(response: &mut CreateAclsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }
}

fn entry(creation: &AclCreation) -> Result<Acl, &'static str> {
    let resource_type = ResourceType::of(creation.resource_type).ok_or("Invalid resource type")?;
    if creation.resource_name.is_empty() {
        return Err("Resource name should not be empty");
    }
    if resource_type == ResourceType::Cluster && creation.resource_name != "kafka-cluster" {
        return Err("The only valid name for the CLUSTER resource is kafka-cluster");
    }
    Ok(Acl {
        resource_type,
        name: creation.resource_name.clone(),
        prefixed: match creation.resource_pattern_type {
            LITERAL => false,
            PREFIXED => true,
            _ => return Err("Invalid resource pattern type"),
        },
        principal: match creation.principal.contains(':') {
            true => creation.principal.clone(),
            false => return Err("Could not parse the principal: it has no type"),
        },
        host: creation.host.clone(),
        operation: Operation::of(creation.operation).ok_or("Invalid operation type")?,
        permission: Permission::of(creation.permission_type).ok_or("Invalid permission type")?,
    })
}
