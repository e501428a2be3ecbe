//! CreateDelegationToken: refused, as by brokers that have no secret key for tokens.
//!
//! Sources: KIP-48, KIP-373.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::create_delegation_token::{CreateDelegationTokenRequest, CreateDelegationTokenResponse};

use super::{Call, Reply, Serve};
use crate::cluster::Cluster;

impl Serve for CreateDelegationTokenRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<CreateDelegationTokenResponse> {
        let (kind, name) = call.caller.principal.split_once(':').unwrap_or(("User", &call.caller.principal));
        let mut response = self.refuse(call.version, refusal(cluster));
        (response.principal_type, response.principal_name) = (kind.to_owned(), name.to_owned());
        if call.version >= 3 {
            (response.token_requester_principal_type, response.token_requester_principal_name) =
                (kind.to_owned(), name.to_owned());
        }
        Reply::Now(response)
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> CreateDelegationTokenResponse {
        CreateDelegationTokenResponse {
            error_code,
            issue_timestamp_ms: -1,
            expiry_timestamp_ms: -1,
            max_timestamp_ms: -1,
            ..Default::default()
        }
    }

    fn throttle(response: &mut CreateDelegationTokenResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }
}

/// Who hasn't logged in may not even ask; others learn that there are no tokens.
pub(super) fn refusal(cluster: &Cluster) -> ErrorCode {
    match cluster.security.users.are_required() {
        true => ErrorCode::DELEGATION_TOKEN_AUTH_DISABLED,
        false => ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED,
    }
}
