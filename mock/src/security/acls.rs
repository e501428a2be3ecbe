//! Access control lists: who may do what to which resource.
//!
//! A denial counts before any permission; without a permission nothing is allowed, but to super users. Reading, writing,
//! deleting and altering include describing.
//!
//! Sources: KIP-11, KIP-290 (prefixes), KIP-152, `StandardAuthorizer` of Kafka 4.3.

/// What somebody does, with the numbers of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are Kafka's own")]
pub enum Operation {
    All = 2,
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
    Alter = 7,
    Describe = 8,
    ClusterAction = 9,
    DescribeConfigs = 10,
    AlterConfigs = 11,
    IdempotentWrite = 12,
}

/// What it is done to, with the numbers of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are Kafka's own")]
pub enum ResourceType {
    Topic = 2,
    Group = 3,
    Cluster = 4,
    TransactionalId = 5,
}

/// Whether an entry allows or denies, with the numbers of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are Kafka's own")]
pub enum Permission {
    Deny = 2,
    Allow = 3,
}

macro_rules! from_number {
    ($type:ident: $($variant:ident),*) => {
        impl $type {
            /// The one of this number in the protocol.
            pub(crate) fn of(number: i8) -> Option<$type> {
                [$($type::$variant),*].into_iter().find(|known| *known as i8 == number)
            }
        }
    };
}
from_number!(Operation: All, Read, Write, Create, Delete, Alter, Describe, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite);
from_number!(ResourceType: Topic, Group, Cluster, TransactionalId);
from_number!(Permission: Deny, Allow);

/// An entry of the lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acl {
    /// The kind of resource.
    pub resource_type: ResourceType,
    /// The resource's name; `*` for all of its kind.
    pub name: String,
    /// Whether the name is only the beginning of one.
    pub prefixed: bool,
    /// Who, such as `User:alice`; `User:*` for everybody.
    pub principal: String,
    /// From where; `*` for anywhere.
    pub host: String,
    /// What.
    pub operation: Operation,
    /// Whether they may.
    pub permission: Permission,
}

impl Acl {
    /// An entry that allows `principal` an operation on one resource from anywhere.
    pub fn allow(
        principal: impl Into<String>,
        operation: Operation,
        resource_type: ResourceType,
        name: impl Into<String>,
    ) -> Acl {
        Acl {
            resource_type,
            name: name.into(),
            prefixed: false,
            principal: principal.into(),
            host: "*".to_owned(),
            operation,
            permission: Permission::Allow,
        }
    }

    /// The same entry, which forbids.
    #[must_use]
    pub fn denying(mut self) -> Acl {
        self.permission = Permission::Deny;
        self
    }

    /// The same entry for all resources whose name begins with its name.
    #[must_use]
    pub fn prefixed(mut self) -> Acl {
        self.prefixed = true;
        self
    }

    fn matches(&self, principal: &str, host: &str, resource: Resource<'_>) -> bool {
        let (resource_type, name) = resource.named();
        let is_named = match self.prefixed {
            true => name.starts_with(&self.name),
            false => self.name == "*" || self.name == name,
        };
        let is_host = self.host == "*" || self.host == host.trim_start_matches('/');
        let is_principal = self.principal == "User:*" || self.principal == principal;
        self.resource_type == resource_type && is_named && is_host && is_principal
    }
}

/// Which entries are meant; what is left open means all.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) resource_type: i8,
    pub(crate) name: Option<String>,
    pub(crate) pattern_type: i8,
    pub(crate) principal: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) operation: i8,
    pub(crate) permission: i8,
}

/// A filter's number for "any".
const ANY: i8 = 1;
/// A filter's pattern for every entry that concerns the resource of the name.
const MATCH: i8 = 2;
/// An entry's pattern for exactly its name.
pub(crate) const LITERAL: i8 = 3;
/// An entry's pattern for all names that begin with its name.
pub(crate) const PREFIXED: i8 = 4;

impl Filter {
    /// Whether its numbers are those of something; a request with others can't be read, by Kafka's lights.
    pub(crate) fn is_readable(&self) -> bool {
        (1..=7).contains(&self.resource_type)
            && (1..=4).contains(&self.pattern_type)
            && (1..=15).contains(&self.operation)
            && (1..=3).contains(&self.permission)
    }

    /// Whether an entry is meant.
    pub(crate) fn picks(&self, acl: &Acl) -> bool {
        let is = |wanted: i8, own: i8| wanted == ANY || wanted == own;
        let named = |wanted: &Option<String>, own: &str| wanted.as_deref().is_none_or(|wanted| wanted == own);
        let pattern = if acl.prefixed { PREFIXED } else { LITERAL };
        let is_name = match (self.pattern_type, self.name.as_deref()) {
            (MATCH, Some(name)) if acl.prefixed => name.starts_with(&acl.name),
            (MATCH, Some(name)) => acl.name == name || acl.name == "*",
            (MATCH, None) => true,
            (wanted, _) => is(wanted, pattern) && named(&self.name, &acl.name),
        };
        is(self.resource_type, acl.resource_type as i8)
            && is_name
            && named(&self.principal, &acl.principal)
            && named(&self.host, &acl.host)
            && is(self.operation, acl.operation as i8)
            && is(self.permission, acl.permission as i8)
    }
}

/// A resource by kind and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource<'a> {
    Topic(&'a str),
    Group(&'a str),
    Cluster,
    TransactionalId(&'a str),
}

impl<'a> Resource<'a> {
    /// The operations there are for this kind.
    pub(crate) fn operations(self) -> &'static [Operation] {
        use Operation::*;
        match self {
            Resource::Topic(_) => {
                &[Read, Write, Create, Delete, Alter, Describe, DescribeConfigs, AlterConfigs]
            }
            Resource::Group(_) => &[Read, Delete, Describe, DescribeConfigs, AlterConfigs],
            Resource::Cluster => {
                &[Create, Alter, Describe, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite]
            }
            Resource::TransactionalId(_) => &[Write, Describe],
        }
    }

    fn named(self) -> (ResourceType, &'a str) {
        match self {
            Resource::Topic(name) => (ResourceType::Topic, name),
            Resource::Group(name) => (ResourceType::Group, name),
            Resource::Cluster => (ResourceType::Cluster, "kafka-cluster"),
            Resource::TransactionalId(name) => (ResourceType::TransactionalId, name),
        }
    }
}

/// All entries, and those for whom none is needed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Acls {
    pub(crate) super_users: Vec<String>,
    pub(crate) entries: Vec<Acl>,
}

impl Acls {
    pub(crate) fn allow(
        &self,
        principal: &str,
        host: &str,
        operation: Operation,
        resource: Resource<'_>,
    ) -> bool {
        if self.super_users.iter().any(|user| user == principal) {
            return true;
        }
        let matching = || self.entries.iter().filter(|acl| acl.matches(principal, host, resource));
        let says = |acl: &Acl, wanted: Operation| acl.operation == Operation::All || acl.operation == wanted;
        if matching().any(|acl| acl.permission == Permission::Deny && says(acl, operation)) {
            return false;
        }
        let includes = |acl: &Acl| {
            says(acl, operation)
                || match operation {
                    Operation::Describe => {
                        use Operation::{Alter, Delete, Read, Write};
                        [Read, Write, Delete, Alter].contains(&acl.operation)
                    }
                    Operation::DescribeConfigs => acl.operation == Operation::AlterConfigs,
                    _ => false,
                }
        };
        matching().any(|acl| acl.permission == Permission::Allow && includes(acl))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acls(entries: Vec<Acl>) -> Acls {
        Acls { super_users: vec!["User:root".to_owned()], entries }
    }

    #[test]
    fn without_an_entry_only_super_users_may() {
        let acls = acls(Vec::new());
        assert!(acls.allow("User:root", "/h", Operation::Write, Resource::Topic("t")));
        assert!(!acls.allow("User:a", "/h", Operation::Write, Resource::Topic("t")));
    }

    #[test]
    fn a_denial_counts_before_a_permission() {
        let write = Acl::allow("User:*", Operation::All, ResourceType::Topic, "*");
        let not_t = Acl::allow("User:a", Operation::Write, ResourceType::Topic, "t").denying();
        let acls = acls(vec![write, not_t]);
        assert!(!acls.allow("User:a", "/h", Operation::Write, Resource::Topic("t")));
        assert!(acls.allow("User:a", "/h", Operation::Read, Resource::Topic("t")));
        assert!(acls.allow("User:b", "/h", Operation::Write, Resource::Topic("t")));
    }

    #[test]
    fn reading_includes_describing_but_not_writing_and_only_of_what_is_named() {
        let acls = acls(vec![Acl::allow("User:a", Operation::Read, ResourceType::Topic, "pre").prefixed()]);
        assert!(acls.allow("User:a", "/h", Operation::Describe, Resource::Topic("prefix")));
        assert!(!acls.allow("User:a", "/h", Operation::Write, Resource::Topic("prefix")));
        assert!(!acls.allow("User:a", "/h", Operation::Describe, Resource::Topic("other")));
        assert!(!acls.allow("User:a", "/h", Operation::Describe, Resource::Group("prefix")));
    }

    #[test]
    fn an_entry_for_a_host_counts_from_there_only() {
        let mut acl = Acl::allow("User:a", Operation::Read, ResourceType::Group, "g");
        acl.host = "10.0.0.1".to_owned();
        let acls = acls(vec![acl]);
        assert!(acls.allow("User:a", "/10.0.0.1", Operation::Read, Resource::Group("g")));
        assert!(!acls.allow("User:a", "/10.0.0.2", Operation::Read, Resource::Group("g")));
    }
}
