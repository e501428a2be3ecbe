//! AlterUserScramCredentials: sets and removes users' SCRAM credentials. Goes to the controller. Needs Alter
//! on the cluster.
//!
//! The password stays with the client: it sends the salted password, RFC 5802's `Hi(password, salt,
//! iterations)`, from which the broker makes the keys that it stores. That is enough to log in with and hence
//! a [`Secret`]; send it over TLS only. Mechanisms: 1 SCRAM-SHA-256, 2 SCRAM-SHA-512.
//!
//! Sources: KIP-554.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::error_code::ErrorCode;
use crate::wire::{Secret, api, wire};

api!(
    ALTER_USER_SCRAM_CREDENTIALS: AlterUserScramCredentialsRequest => AlterUserScramCredentialsResponse,
    versions 0..=0,
    flexible 0..
);

wire! {
    /// The changes; a user's happen all or none, and `DUPLICATE_RESOURCE` answers two for one mechanism.
    pub struct AlterUserScramCredentialsRequest {
        /// The credentials to remove.
        deletions: Vec<ScramCredentialDeletion>,
        /// The credentials to add or replace.
        upsertions: Vec<ScramCredentialUpsertion>,
    }

    /// A credential to remove.
    pub struct ScramCredentialDeletion {
        /// The user's name; `RESOURCE_NOT_FOUND` if it has no such credential.
        name: String,
        /// The mechanism; `UNSUPPORTED_SASL_MECHANISM` for one that the broker doesn't know.
        mechanism: i8,
    }

    /// A credential to add or replace.
    pub struct ScramCredentialUpsertion {
        /// The user's name; `UNACCEPTABLE_CREDENTIAL` if empty.
        name: String,
        /// The mechanism; `UNSUPPORTED_SASL_MECHANISM` for one that the broker doesn't know.
        mechanism: i8,
        /// How often the password was hashed; `UNACCEPTABLE_CREDENTIAL` below 4096 and above 16384.
        iterations: i32,
        /// Random bytes that went into the hash; `UNACCEPTABLE_CREDENTIAL` if empty.
        salt: Bytes,
        /// The hash; `UNACCEPTABLE_CREDENTIAL` if empty.
        salted_password: Secret,
    }

    /// What became of the users.
    pub struct AlterUserScramCredentialsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// A result for each user.
        results: Vec<AlterUserScramCredentialsResult>,
    }

    /// What became of one user.
    pub struct AlterUserScramCredentialsResult {
        /// The user's name.
        user: String,
        /// `CLUSTER_AUTHORIZATION_FAILED`, `UNSUPPORTED_VERSION` if the cluster's `metadata.version` is older
        /// than 3.5, and those that the request's fields name.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String> = Some(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_salted_password() {
        let salted_password = Secret::from(Bytes::from_static(b"hunter2"));
        let upsertion = ScramCredentialUpsertion { salted_password, ..Default::default() };
        let request = AlterUserScramCredentialsRequest { upsertions: vec![upsertion], ..Default::default() };
        assert!(format!("{request:?}").contains(r#"salt: b"", salted_password: Secret(..), unknown_tags"#));
    }
}
