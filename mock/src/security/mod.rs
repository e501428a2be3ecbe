//! Who may come in, what they may do, and how fast.

pub use acls::{Acl, Operation, Permission, ResourceType};
pub(crate) use acls::{Acls, Resource};
pub(crate) use login::Login;
pub use quotas::Quota;

use crate::apis::Call;
use crate::cluster::Cluster;

use quotas::Quotas;
use users::Users;

pub(crate) mod acls;
mod login;
pub(crate) mod quotas;
pub(crate) mod scram;
mod users;

/// Users, rights and quotas of a cluster.
///
/// With a user, every connection has to log in by SASL. With an access control list, even an empty one, only what it
/// allows is allowed.
///
/// ```
/// use ottla_mock::{Acl, ClusterOptions, Operation, Quota, ResourceType, Security};
///
/// let security = Security::new()
///     .plain("alice", "wonderland")
///     .scram("root", "hunter2")
///     .super_user("User:root")
///     .acl(Acl::allow("User:alice", Operation::Read, ResourceType::Topic, "orders"))
///     .quota(Quota::of_client("slow").producer_byte_rate(10_000.0));
/// let options = ClusterOptions::new().security(security);
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Default)]
pub struct Security {
    pub(crate) users: Users,
    pub(crate) acls: Option<Acls>,
    pub(crate) quotas: Quotas,
}

impl Security {
    /// Anybody may do anything.
    pub fn new() -> Security {
        Security::default()
    }

    /// A user of SASL PLAIN.
    #[must_use]
    pub fn plain(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.users.add_plain(name.into(), password.into());
        self
    }

    /// A user of SASL SCRAM-SHA-256 and SCRAM-SHA-512.
    #[must_use]
    pub fn scram(mut self, name: impl Into<String>, password: impl AsRef<str>) -> Self {
        self.users.add_scram(&name.into(), password.as_ref());
        self
    }

    /// Somebody who may do anything, such as `User:root`.
    #[must_use]
    pub fn super_user(mut self, principal: impl Into<String>) -> Self {
        self.acls.get_or_insert_default().super_users.push(principal.into());
        self
    }

    /// An entry of the access control list.
    #[must_use]
    pub fn acl(mut self, acl: Acl) -> Self {
        self.acls.get_or_insert_default().entries.push(acl);
        self
    }

    /// A quota.
    #[must_use]
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quotas.add(quota);
        self
    }

    /// A connection begins.
    pub(crate) fn login(&self) -> Login {
        if self.users.are_required() { Login::closed() } else { Login::open() }
    }
}

impl Cluster {
    /// Whether the caller may do this.
    pub(crate) fn allows(&self, call: &Call, operation: Operation, resource: Resource<'_>) -> bool {
        match &self.security.acls {
            None => true,
            Some(acls) => acls.allow(&call.caller.principal, &call.caller.host, operation, resource),
        }
    }

    /// What the caller may do with a resource: a bit for each operation's number.
    pub(crate) fn operations(&self, call: &Call, resource: Resource<'_>) -> i32 {
        let allowed =
            resource.operations().iter().filter(|operation| self.allows(call, **operation, resource));
        allowed.fold(0, |bits, operation| bits | 1 << *operation as i32)
    }
}
