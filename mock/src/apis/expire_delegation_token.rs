//! ExpireDelegationToken: refused, as by brokers that have no secret key for tokens.
//!
//! Sources: KIP-48.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::expire_delegation_token::{ExpireDelegationTokenRequest, ExpireDelegationTokenResponse};

use super::{Call, Reply, Serve};
use crate::cluster::Cluster;

impl Serve for ExpireDelegationTokenRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<ExpireDelegationTokenResponse> {
        let code = super::create_delegation_token::refusal(cluster);
        Reply::Now(self.refuse(call.version, code))
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> ExpireDelegationTokenResponse {
        ExpireDelegationTokenResponse { error_code, expiry_timestamp_ms: -1, ..Default::default() }
    }

    fn throttle(response: &mut ExpireDelegationTokenResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }
}
