//! AlterUserScramCredentials: passwords of SCRAM users, which the client has salted and hashed.
//!
//! Sources: KIP-554, `ScramControlManager` of Kafka 4.3.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, AlterUserScramCredentialsResult,
    ScramCredentialDeletion, ScramCredentialUpsertion,
};

use super::{Call, Reply, Serve};
use crate::cluster::Cluster;
use crate::security::scram::Hash;
use crate::security::{Operation, Resource};

/// How often a password may be hashed.
const ITERATIONS: std::ops::RangeInclusive<i32> = 4096..=16384;

impl Serve for AlterUserScramCredentialsRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<AlterUserScramCredentialsResponse> {
        if !cluster.allows(call, Operation::Alter, Resource::Cluster) {
            return Reply::Now(self.refuse(call.version, ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
        }
        let mut results: Vec<AlterUserScramCredentialsResult> = Vec::new();
        let names = names(&self);
        for (place, name) in names.iter().enumerate() {
            if names[..place].contains(name) {
                continue;
            }
            let of_user = |other: &str| other == *name;
            let deletions = self.deletions.iter().filter(|deletion| of_user(&deletion.name));
            let upsertions = self.upsertions.iter().filter(|upsertion| of_user(&upsertion.name));
            let altered = alter(cluster, deletions.collect(), upsertions.collect());
            results.push(result(name, altered.err().unwrap_or(ErrorCode::NONE)));
        }
        Reply::Now(AlterUserScramCredentialsResponse { results, ..Default::default() })
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> AlterUserScramCredentialsResponse {
        let results = names(self).into_iter().map(|name| result(name, code)).collect();
        AlterUserScramCredentialsResponse { results, ..Default::default() }
    }

    fn throttle(response: &mut AlterUserScramCredentialsResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }
}

/// Does all that is asked of one user, or nothing.
fn alter(
    cluster: &mut Cluster,
    deletions: Vec<&ScramCredentialDeletion>,
    upsertions: Vec<&ScramCredentialUpsertion>,
) -> Result<(), ErrorCode> {
    let mut seen = Vec::new();
    let named = deletions.iter().map(|deletion| (&deletion.name, deletion.mechanism));
    for (name, mechanism) in named.chain(upsertions.iter().map(|upsertion| (&upsertion.name, upsertion.mechanism)))
    {
        if name.is_empty() {
            return Err(ErrorCode::UNACCEPTABLE_CREDENTIAL);
        }
        let hash = Hash::of_number(mechanism).ok_or(ErrorCode::UNSUPPORTED_SASL_MECHANISM)?;
        if seen.contains(&hash) {
            return Err(ErrorCode::DUPLICATE_RESOURCE);
        }
        seen.push(hash);
    }
    let users = &mut cluster.security.users;
    for deletion in &deletions {
        let hash = Hash::of_number(deletion.mechanism).ok_or(ErrorCode::UNSUPPORTED_SASL_MECHANISM)?;
        if !users.has_scram(&deletion.name, hash) {
            return Err(ErrorCode::RESOURCE_NOT_FOUND);
        }
    }
    if upsertions.iter().any(|upsertion| !ITERATIONS.contains(&upsertion.iterations)) {
        return Err(ErrorCode::UNACCEPTABLE_CREDENTIAL);
    }
    for deletion in deletions {
        if let Some(hash) = Hash::of_number(deletion.mechanism) {
            users.remove_scram(&deletion.name, hash);
        }
    }
    for upsertion in upsertions {
        if let (Some(hash), Ok(iterations)) = (Hash::of_number(upsertion.mechanism), upsertion.iterations.try_into()) {
            users.set_scram(&upsertion.name, hash, iterations, &upsertion.salt, &upsertion.salted_password.0);
        }
    }
    Ok(())
}

/// The users, as often as they are named.
fn names(request: &AlterUserScramCredentialsRequest) -> Vec<&str> {
    let deleted = request.deletions.iter().map(|deletion| deletion.name.as_str());
    deleted.chain(request.upsertions.iter().map(|upsertion| upsertion.name.as_str())).collect()
}

fn result(user: &str, error_code: ErrorCode) -> AlterUserScramCredentialsResult {
    AlterUserScramCredentialsResult {
        user: user.to_owned(),
        error_code,
        error_message: error_code.text().filter(|_| !error_code.is_ok()).map(str::to_owned),
        ..Default::default()
    }
}
