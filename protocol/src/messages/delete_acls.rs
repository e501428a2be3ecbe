//! DeleteAcls: removes all ACLs that filters match, and tells which they were. Goes to the controller. Needs
//! Alter on the cluster. What the numbers mean stands in [`describe_acls`](super::describe_acls).
//!
//! Versions: 0, which only brokers before 4.0 take, knows literal names only; 1 brings pattern types; 2 is
//! flexible; 3 brings users as resources.
//!
//! Sources: KIP-140 (the API), KIP-290 (prefixes), KIP-373 (users as resources), KIP-896 (removed version).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(DELETE_ACLS: DeleteAclsRequest => DeleteAclsResponse, versions 0..=3, flexible 2..);

wire! {
    /// The filters; each removes what it matches.
    pub struct DeleteAclsRequest {
        /// The filters.
        filters: Vec<DeleteAclsFilter>,
    }

    /// A filter; an ACL must match all of it to go.
    pub struct DeleteAclsFilter {
        /// The resource type, or 1 for any.
        resource_type_filter: i8,
        /// The resource's name, read as the pattern type says; null for any.
        resource_name_filter: Option<String> = Some(String::new()),
        /// 3 and 4 look for that very pattern, 2 for all patterns that cover the name, 1 for the name in any
        /// pattern.
        [1..] pattern_type_filter: i8 = 3,
        /// The principal, such as `User:alice`; null for any.
        principal_filter: Option<String> = Some(String::new()),
        /// The client host that the ACL names, `*` included as such; null for any.
        host_filter: Option<String> = Some(String::new()),
        /// The operation, or 1 for any; 2 finds ACLs that say "all", not those of each operation.
        operation: i8,
        /// The permission, or 1 for any.
        permission_type: i8,
    }

    /// What was removed.
    pub struct DeleteAclsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// A result for each filter, in the order of the request.
        filter_results: Vec<DeleteAclsFilterResult>,
    }

    /// What one filter removed.
    pub struct DeleteAclsFilterResult {
        /// `SECURITY_DISABLED` if there is no authorizer, `CLUSTER_AUTHORIZATION_FAILED`, or
        /// `INVALID_REQUEST` for a filter that says "unknown".
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String> = Some(String::new()),
        /// The ACLs that it matched; none is no error.
        matching_acls: Vec<DeleteAclsMatchingAcl>,
    }

    /// An ACL that a filter matched.
    pub struct DeleteAclsMatchingAcl {
        /// Why it is still there, if it is.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String> = Some(String::new()),
        /// The resource's type.
        resource_type: i8,
        /// The name, or its beginning.
        resource_name: String,
        /// Which of the two it is: 3 the name, 4 its beginning.
        [1..] pattern_type: i8 = 3,
        /// The principal.
        principal: String,
        /// The host it connects from; `*` for any.
        host: String,
        /// The operation.
        operation: i8,
        /// 2 denied, 3 allowed.
        permission_type: i8,
    }
}
