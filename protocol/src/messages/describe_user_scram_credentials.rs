//! DescribeUserScramCredentials: which users have SCRAM credentials, and of what kind; the credentials nobody
//! gets. Any broker answers. Needs Describe on the cluster. Mechanisms: 1 SCRAM-SHA-256, 2 SCRAM-SHA-512.
//!
//! Sources: KIP-554.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(
    DESCRIBE_USER_SCRAM_CREDENTIALS: DescribeUserScramCredentialsRequest => DescribeUserScramCredentialsResponse,
    versions 0..=0,
    flexible 0..
);

wire! {
    /// Asks for users.
    pub struct DescribeUserScramCredentialsRequest {
        /// The users; null or empty for all.
        users: Option<Vec<UserName>> = Some(Vec::new()),
    }

    /// A user.
    pub struct UserName {
        /// The name; `DUPLICATE_RESOURCE` if it comes twice.
        name: String,
    }

    /// The users.
    pub struct DescribeUserScramCredentialsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// What concerns all, such as `CLUSTER_AUTHORIZATION_FAILED`.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String> = Some(String::new()),
        /// A result for each user.
        results: Vec<DescribeUserScramCredentialsResult>,
    }

    /// A user's credentials.
    pub struct DescribeUserScramCredentialsResult {
        /// The user's name.
        user: String,
        /// `RESOURCE_NOT_FOUND` if the user has none, `DUPLICATE_RESOURCE`.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String> = Some(String::new()),
        /// The credentials, at most one for each mechanism.
        credential_infos: Vec<CredentialInfo>,
    }

    /// What may be known of a credential.
    pub struct CredentialInfo {
        /// The mechanism.
        mechanism: i8,
        /// How often it hashes the password, which the server tells every client that logs in.
        iterations: i32,
    }
}
