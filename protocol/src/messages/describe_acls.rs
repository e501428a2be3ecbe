//! DescribeAcls: the ACLs that a filter matches. Any broker answers. Needs Describe on the cluster.
//!
//! The numbers of all three ACL APIs, as far as Kafka 4.3 has them:
//!
//! - resource types: 1 any, 2 topic, 3 group, 4 cluster, 5 transactional id, 6 delegation token, 7 user;
//! - pattern types: 1 any, 2 whatever applies to the name, 3 literal (`*` stands for all), 4 prefix;
//! - operations: 1 any, 2 all, 3 read, 4 write, 5 create, 6 delete, 7 alter, 8 describe, 9 cluster action, 10
//!   describe configs, 11 alter configs, 12 idempotent write, 13 create tokens, 14 describe tokens, 15
//!   two-phase commit;
//! - permissions: 1 any, 2 deny, 3 allow.
//!
//! 0 is "unknown" and nowhere taken; "any" and pattern type 2 are for filters only. Who is allowed to read,
//! write, delete or alter is also allowed to describe, and who to alter configs, to describe them.
//!
//! Versions: 0, which only brokers before 4.0 take, knows literal names only; 1 brings pattern types; 2 is
//! flexible; 3 brings resource type 7.
//!
//! Sources: KIP-140 (the API), KIP-290 (prefixes), KIP-373 (users as resources), KIP-896 (removed version).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error_code::ErrorCode;
use crate::wire::{api, wire};

api!(DESCRIBE_ACLS: DescribeAclsRequest => DescribeAclsResponse, versions 0..=3, flexible 2..);

wire! {
    /// A filter; an ACL must match all of it.
    pub struct DescribeAclsRequest {
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

    /// The ACLs that match.
    pub struct DescribeAclsResponse {
        /// Milliseconds that a quota asks the client to keep silent; 0 for none.
        throttle_time_ms: i32,
        /// `SECURITY_DISABLED` if the broker has no authorizer, `CLUSTER_AUTHORIZATION_FAILED` if the client
        /// may not look.
        error_code: ErrorCode,
        /// The error in words, meant for people.
        error_message: Option<String> = Some(String::new()),
        /// The ACLs, by resource pattern; none is no error.
        resources: Vec<DescribeAclsResource>,
    }

    /// The ACLs of one resource pattern.
    pub struct DescribeAclsResource {
        /// The resource's type.
        resource_type: i8,
        /// The name, or its beginning.
        resource_name: String,
        /// Which of the two it is: 3 the name, 4 its beginning.
        [1..] pattern_type: i8 = 3,
        /// The ACLs.
        acls: Vec<AclDescription>,
    }

    /// Who may or may not do what.
    pub struct AclDescription {
        /// The principal; `User:*` for everybody.
        principal: String,
        /// The host it connects from; `*` for any.
        host: String,
        /// The operation.
        operation: i8,
        /// 2 denies and wins over every 3, which allows.
        permission_type: i8,
    }
}
