//! SaslAuthenticate: tokens go back and forth.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::sasl_authenticate::{SaslAuthenticateRequest, SaslAuthenticateResponse};

use super::{Call, Reply, Serve};
use crate::cluster::Cluster;

impl Serve for SaslAuthenticateRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<SaslAuthenticateResponse> {
        let users = &cluster.security.users;
        let Some(login) = cluster.connections.login(call.connection) else { return Reply::Close };
        if !login.may_authenticate() {
            let text = "SaslAuthenticate request received after successful authentication";
            return Reply::Now(SaslAuthenticateResponse {
                error_message: Some(text.to_owned()),
                ..self.refuse(call.version, ErrorCode::ILLEGAL_SASL_STATE)
            });
        }
        match login.token(users, &self.auth_bytes.0) {
            Ok(token) => Reply::Now(SaslAuthenticateResponse {
                error_message: None,
                auth_bytes: token.into(),
                ..Default::default()
            }),
            Err(message) => Reply::Last(SaslAuthenticateResponse {
                error_message: Some(message),
                ..self.refuse(call.version, ErrorCode::SASL_AUTHENTICATION_FAILED)
            }),
        }
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> SaslAuthenticateResponse {
        let error_message = error_code.text().map(str::to_owned);
        SaslAuthenticateResponse { error_code, error_message, ..Default::default() }
    }

    fn throttle(_response: &mut SaslAuthenticateResponse, _throttle_time_ms: i32) {}
}
