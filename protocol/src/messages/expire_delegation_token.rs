//! ExpireDelegationToken: ends a token, now or at a new time. Goes to the controller. Only the token's owner
//! and its renewers may.
//!
//! Versions: 0, which only brokers before 4.0 take, looks like 1; 2 is flexible.
//!
//! Sources: KIP-48 (delegation tokens), KIP-896 (removed version).

use crate::error_code::ErrorCode;
use crate::wire::{Secret, api, wire};

api!(
    EXPIRE_DELEGATION_TOKEN: ExpireDelegationTokenRequest => ExpireDelegationTokenResponse,
    versions 0..=2,
    flexible 2..
);

wire! {
    /// Asks for a token's end.
    pub struct ExpireDelegationTokenRequest {
        /// The token's HMAC; `DELEGATION_TOKEN_NOT_FOUND` if no token has it.
        hmac: Secret,
        /// Milliseconds from now, at most to the token's last moment; negative ends it at once.
        /// `DELEGATION_TOKEN_EXPIRED` unless negative if it has ended already.
        expiry_time_period_ms: i64,
    }

    /// The token's new end.
    pub struct ExpireDelegationTokenResponse {
        /// `DELEGATION_TOKEN_OWNER_MISMATCH` if the client is neither owner nor renewer,
        /// `DELEGATION_TOKEN_AUTH_DISABLED`, `DELEGATION_TOKEN_REQUEST_NOT_ALLOWED` on a connection without
        /// authentication or authenticated by a token itself, and those that the request's fields name.
        error_code: ErrorCode,
        /// When it ends now, in milliseconds since 1970.
        expiry_timestamp_ms: i64,
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn debug_shows_no_hmac() {
        let hmac = Secret::from(Bytes::from_static(b"hunter2"));
        let request = ExpireDelegationTokenRequest { hmac, ..Default::default() };
        assert!(format!("{request:?}").contains("hmac: Secret(..), expiry_time_period_ms: 0"));
    }
}
