//! RenewDelegationToken: lets a token live longer. Goes to the controller. Only the token's owner and its
//! renewers may.
//!
//! Versions: 0, which only brokers before 4.0 take, looks like 1; 2 is flexible.
//!
//! Sources: KIP-48 (delegation tokens), KIP-896 (removed version).

use crate::error_code::ErrorCode;
use crate::wire::{Secret, api, wire};

api!(
    RENEW_DELEGATION_TOKEN: RenewDelegationTokenRequest => RenewDelegationTokenResponse,
    versions 0..=2,
    flexible 2..
);

wire! {
    /// Asks for more time.
    pub struct RenewDelegationTokenRequest {
        /// The token's HMAC; `DELEGATION_TOKEN_NOT_FOUND` if no token has it.
        hmac: Secret,
        /// Milliseconds from now; 0 and less, and whatever is longer, for the broker's
        /// `delegation.token.expiry.time.ms`. Never beyond the token's last moment.
        renew_period_ms: i64,
    }

    /// The token's new end.
    pub struct RenewDelegationTokenResponse {
        /// `DELEGATION_TOKEN_EXPIRED`, `DELEGATION_TOKEN_OWNER_MISMATCH` if the client is neither owner nor
        /// renewer, `DELEGATION_TOKEN_AUTH_DISABLED`, `DELEGATION_TOKEN_REQUEST_NOT_ALLOWED` on a connection
        /// without authentication or authenticated by a token itself, and what the request's field names.
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
        let request = RenewDelegationTokenRequest { hmac, ..Default::default() };
        assert!(format!("{request:?}").contains("hmac: Secret(..), renew_period_ms: 0"));
    }
}
