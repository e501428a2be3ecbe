//! DescribeDelegationToken: refused, as by brokers that have no secret key for tokens.
//!
//! Sources: KIP-48.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_delegation_token::{DescribeDelegationTokenRequest, DescribeDelegationTokenResponse};

use super::{Call, Reply, Serve};
use crate::cluster::Cluster;

impl Serve for DescribeDelegationTokenRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<DescribeDelegationTokenResponse> {
        let code = super::create_delegation_token::refusal(cluster);
        Reply::Now(self.refuse(call.version, code))
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> DescribeDelegationTokenResponse {
        DescribeDelegationTokenResponse { error_code, ..Default::default() }
    }

    fn throttle(response: &mut DescribeDelegationTokenResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }
}
