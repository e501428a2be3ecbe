//! DescribeUserScramCredentials: who can log in by SCRAM, and how often their passwords are hashed.
//!
//! Sources: KIP-554.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_user_scram_credentials::{
    CredentialInfo, DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
};

use super::{Call, Reply, Serve};
use crate::cluster::Cluster;
use crate::security::{Operation, Resource};

impl Serve for DescribeUserScramCredentialsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<DescribeUserScramCredentialsResponse> {
        if !cluster.allows(call, Operation::Describe, Resource::Cluster) {
            return Reply::Now(self.refuse(call.version, ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
        }
        let users = &cluster.security.users;
        let asked: Vec<String> = match &self.users {
            Some(users) if !users.is_empty() => users.iter().map(|user| user.name.clone()).collect(),
            _ => users.scram_names(),
        };
        let mut results: Vec<DescribeUserScramCredentialsResult> = Vec::new();
        for user in &asked {
            if results.iter().any(|result| result.user == *user) {
                continue;
            }
            let infos = users.scram_infos(user).into_iter().map(|(hash, iterations)| CredentialInfo {
                mechanism: hash.number(),
                iterations: i32::try_from(iterations).unwrap_or(i32::MAX),
                ..Default::default()
            });
            let credential_infos: Vec<CredentialInfo> = infos.collect();
            results.push(if asked.iter().filter(|other| *other == user).count() > 1 {
                failed(user, ErrorCode::DUPLICATE_RESOURCE)
            } else if credential_infos.is_empty() {
                failed(user, ErrorCode::RESOURCE_NOT_FOUND)
            } else {
                DescribeUserScramCredentialsResult {
                    user: user.clone(),
                    credential_infos,
                    ..Default::default()
                }
            });
        }
        Reply::Now(DescribeUserScramCredentialsResponse { results, ..Default::default() })
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> DescribeUserScramCredentialsResponse {
        let error_message = error_code.text().map(str::to_owned);
        DescribeUserScramCredentialsResponse { error_code, error_message, ..Default::default() }
    }

    fn throttle(response: &mut DescribeUserScramCredentialsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }
}

fn failed(user: &str, error_code: ErrorCode) -> DescribeUserScramCredentialsResult {
    DescribeUserScramCredentialsResult {
        user: user.to_owned(),
        error_code,
        error_message: error_code.text().map(str::to_owned),
        ..Default::default()
    }
}
