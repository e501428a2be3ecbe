//! SaslHandshake: a mechanism is chosen.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse};

use super::{Call, Reply, Serve};
use crate::cluster::Cluster;

impl Serve for SaslHandshakeRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<SaslHandshakeResponse> {
        let users = &cluster.security.users;
        let mechanisms = users.mechanisms().iter().map(|mechanism| mechanism.name().to_owned()).collect();
        let Some(login) = cluster.connections.login(call.connection) else { return Reply::Close };
        if !login.may_handshake() {
            return Reply::Now(self.refuse(call.version, ErrorCode::ILLEGAL_SASL_STATE));
        }
        if login.choose(users, &self.mechanism, call.version == 0) {
            return Reply::Now(SaslHandshakeResponse { mechanisms, ..Default::default() });
        }
        Reply::Last(SaslHandshakeResponse {
            error_code: ErrorCode::UNSUPPORTED_SASL_MECHANISM,
            mechanisms,
            ..Default::default()
        })
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> SaslHandshakeResponse {
        SaslHandshakeResponse { error_code, ..Default::default() }
    }

    fn throttle(_response: &mut SaslHandshakeResponse, _throttle_time_ms: i32) {}
}
