//! DescribeDelegationToken: the tokens that the client may see, HMACs included. Any broker answers.
//!
//! Those are the tokens it owns or may renew, and those for which it has Describe on the token or
//! DescribeTokens on the owner.
//!
//! Versions: 0, which only brokers before 4.0 take, looks like 1; 2 is flexible; 3 tells who asked for the
//! token.
//!
//! Sources: KIP-48 (delegation tokens), KIP-373 (who asked; DescribeTokens), KIP-896 (removed version).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{Secret, api, wire};

api!(
    DESCRIBE_DELEGATION_TOKEN: DescribeDelegationTokenRequest => DescribeDelegationTokenResponse,
    versions 0..=3,
    flexible 2..
);

wire! {
    /// Asks for tokens.
    pub struct DescribeDelegationTokenRequest {
        /// Whose tokens, that they own or may renew; null for everybody's, empty for none.
        owners: Option<Vec<DescribeDelegationTokenOwner>> = Some(Vec::new()),
    }

    /// An owner of tokens.
    pub struct DescribeDelegationTokenOwner {
        /// The principal's type, such as `User`.
        principal_type: String,
        /// The principal's name.
        principal_name: String,
    }

    /// The tokens.
    pub struct DescribeDelegationTokenResponse {
        /// `DELEGATION_TOKEN_AUTH_DISABLED`, or `DELEGATION_TOKEN_REQUEST_NOT_ALLOWED` on a connection
        /// without authentication or authenticated by a token itself.
        error_code: ErrorCode,
        /// Those that the client may see; others are left out without an error.
        tokens: Vec<DescribedDelegationToken>,
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
    }

    /// A token.
    pub struct DescribedDelegationToken {
        /// The type of the owner's principal.
        principal_type: String,
        /// The owner's name.
        principal_name: String,
        /// The type of the principal that asked for it.
        [3..] token_requester_principal_type: String,
        /// The name of the principal that asked for it.
        [3..] token_requester_principal_name: String,
        /// When it was made, in milliseconds since 1970.
        issue_timestamp: i64,
        /// When it ends unless it is renewed.
        expiry_timestamp: i64,
        /// When it ends in any case.
        max_timestamp: i64,
        /// Its id, which is no secret.
        token_id: String,
        /// Its HMAC, which is.
        hmac: Secret,
        /// Who besides the owner may renew it.
        renewers: Vec<DescribedDelegationTokenRenewer>,
    }

    /// A principal that may renew a token.
    pub struct DescribedDelegationTokenRenewer {
        /// Its type.
        principal_type: String,
        /// Its name.
        principal_name: String,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn debug_shows_no_hmac() {
        let hmac = Secret::from(Bytes::from_static(b"hunter2"));
        let token = DescribedDelegationToken { hmac, ..Default::default() };
        let response = DescribeDelegationTokenResponse { tokens: vec![token], ..Default::default() };
        assert!(format!("{response:?}").contains("hmac: Secret(..), renewers: []"));
    }
}
