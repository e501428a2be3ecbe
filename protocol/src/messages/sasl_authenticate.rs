//! SaslAuthenticate: carries the tokens of a SASL exchange, as many round trips as the mechanism takes.
//!
//! Tokens are [`Secret`]s: with PLAIN and OAUTHBEARER the client's is the credential itself.
//!
//! Versions: 1 brings the session's lifetime, by whose end the client must have authenticated again, as the
//! same principal and with the same mechanism; 2 is flexible.
//!
//! Sources: KIP-152 (the API), KIP-368 (authentication again on a living connection).

use alloc::string::String;

use crate::error_code::ErrorCode;
use crate::wire::{Secret, api, wire};

api!(SASL_AUTHENTICATE: SaslAuthenticateRequest => SaslAuthenticateResponse, versions 0..=2, flexible 2..);

wire! {
    /// The client's next token.
    pub struct SaslAuthenticateRequest {
        /// The token; `SASL_AUTHENTICATION_FAILED` if the broker doesn't take it, `ILLEGAL_SASL_STATE` if
        /// none is due.
        auth_bytes: Secret,
    }

    /// The broker's next token.
    pub struct SaslAuthenticateResponse {
        /// `SASL_AUTHENTICATION_FAILED` is final with these credentials; the broker closes the connection
        /// after any error.
        error_code: ErrorCode,
        /// What the broker says about an error, without a hint whether the user or the password was wrong.
        error_message: Option<String> = Some(String::new()),
        /// The token, which the mechanism may want to check even if it is the last; empty where it has none.
        auth_bytes: Secret,
        /// Milliseconds until the broker closes the connection unless the client authenticates again; 0:
        /// never, or the exchange isn't over yet.
        [1.., ignorable] session_lifetime_ms: i64,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn debug_shows_no_token() {
        let auth_bytes = Secret::from(Bytes::from_static(b"\0alice\0hunter2"));
        let request = SaslAuthenticateRequest { auth_bytes: auth_bytes.clone(), ..Default::default() };
        assert_eq!(
            format!("{request:?}"),
            "SaslAuthenticateRequest { auth_bytes: Secret(..), unknown_tags: UnknownTags(None) }"
        );
        let response = SaslAuthenticateResponse { auth_bytes, ..Default::default() };
        assert!(format!("{response:?}").contains("auth_bytes: Secret(..)"));
    }
}
