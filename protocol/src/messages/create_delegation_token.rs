//! CreateDelegationToken: a credential for somebody else to connect with, in place of one's own. Goes to the
//! controller.
//!
//! Whoever has authenticated may ask for a token of their own; for another owner's the client needs
//! CreateTokens on that user. The token's id is the user name and its HMAC, in Base64, the password of a
//! SCRAM exchange. The HMAC is a [`Secret`]: whoever has it is the owner to the cluster.
//!
//! Versions: 0, which only brokers before 4.0 take, looks like 1; 2 is flexible; 3 lets a client ask on
//! behalf of another owner.
//!
//! Sources: KIP-48 (delegation tokens), KIP-373 (other owners), KIP-896 (removed version).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{Secret, api, wire};

api!(
    CREATE_DELEGATION_TOKEN: CreateDelegationTokenRequest => CreateDelegationTokenResponse,
    versions 0..=3,
    flexible 2..
);

wire! {
    /// Asks for a new token.
    pub struct CreateDelegationTokenRequest {
        /// The type of the principal that the token stands for; null, like the name, for the client's own.
        [3..] owner_principal_type: Option<String> = Some(String::new()),
        /// Its name; null or empty for the client's own. `DELEGATION_TOKEN_AUTHORIZATION_FAILED` for
        /// another's without CreateTokens on that user.
        [3..] owner_principal_name: Option<String> = Some(String::new()),
        /// Who besides the owner may renew and expire the token.
        renewers: Vec<CreatableRenewers>,
        /// Milliseconds after which no renewal helps; 0 and less, and whatever is longer, for the broker's
        /// `delegation.token.max.lifetime.ms`.
        max_lifetime_ms: i64,
    }

    /// A principal that may renew the token.
    pub struct CreatableRenewers {
        /// Its type; `INVALID_PRINCIPAL_TYPE` unless `User`.
        principal_type: String,
        /// Its name.
        principal_name: String,
    }

    /// The token.
    pub struct CreateDelegationTokenResponse {
        /// `DELEGATION_TOKEN_AUTH_DISABLED` if the cluster has no secret key for tokens,
        /// `DELEGATION_TOKEN_REQUEST_NOT_ALLOWED` on a connection without authentication or authenticated by
        /// a token itself, `UNSUPPORTED_VERSION` if the cluster's `metadata.version` is older than 3.6, and
        /// those that the request's fields name.
        error_code: ErrorCode,
        /// The type of the owner's principal.
        principal_type: String,
        /// The owner's name.
        principal_name: String,
        /// The type of the principal that asked for it.
        [3..] token_requester_principal_type: String,
        /// The name of the principal that asked for it.
        [3..] token_requester_principal_name: String,
        /// When it was made, in milliseconds since 1970.
        issue_timestamp_ms: i64,
        /// When it ends unless it is renewed: after `delegation.token.expiry.time.ms`, at most.
        expiry_timestamp_ms: i64,
        /// When it ends in any case.
        max_timestamp_ms: i64,
        /// Its id, which is no secret.
        token_id: String,
        /// Its HMAC, which is.
        hmac: Secret,
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn debug_shows_the_id_but_not_the_hmac() {
        let hmac = Secret::from(Bytes::from_static(b"hunter2"));
        let response =
            CreateDelegationTokenResponse { token_id: "tok-1".to_owned(), hmac, ..Default::default() };
        assert!(
            format!("{response:?}").contains(r#"token_id: "tok-1", hmac: Secret(..), throttle_time_ms: 0"#)
        );
    }
}
