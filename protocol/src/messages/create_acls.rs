//! CreateAcls: adds ACLs. Goes to the controller. Needs Alter on the cluster.
//!
//! An ACL that exists already is created without an error; brokers heed new ones a moment after the answer.
//! What the numbers mean stands in [`describe_acls`](super::describe_acls).
//!
//! Versions: 0, which only brokers before 4.0 take, knows literal names only; 1 brings pattern types; 2 is
//! flexible; 3 brings users as resources.
//!
//! Sources: KIP-140 (the API), KIP-290 (prefixes), KIP-373 (users as resources), KIP-896 (removed version).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(CREATE_ACLS: CreateAclsRequest => CreateAclsResponse, versions 0..=3, flexible 2..);

wire! {
    /// The ACLs to add; each succeeds or fails by itself.
    pub struct CreateAclsRequest {
        /// The ACLs.
        creations: Vec<AclCreation>,
    }

    /// An ACL; "any" and "unknown" are `INVALID_REQUEST` in all its fields.
    pub struct AclCreation {
        /// The resource's type.
        resource_type: i8,
        /// The name, or its beginning; `INVALID_REQUEST` if empty, or for the cluster other than
        /// `kafka-cluster`.
        resource_name: String,
        /// 3 for the resource of this name, 4 for all whose names begin so.
        [1..] resource_pattern_type: i8 = 3,
        /// Who: type, colon and name, such as `User:alice`; `INVALID_REQUEST` if it isn't of that form.
        principal: String,
        /// From which host, as an address; `*` for any.
        host: String,
        /// What; 2 stands for all operations.
        operation: i8,
        /// Whether that is denied (2) or allowed (3).
        permission_type: i8,
    }

    /// What became of the ACLs.
    pub struct CreateAclsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// A result for each ACL, in the order of the request.
        results: Vec<AclCreationResult>,
    }

    /// What became of one ACL.
    pub struct AclCreationResult {
        /// `SECURITY_DISABLED` if there is no authorizer, `CLUSTER_AUTHORIZATION_FAILED`, or
        /// `INVALID_REQUEST` as the request's fields say.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String> = Some(String::new()),
    }
}
