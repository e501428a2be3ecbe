//! What a connection is for, and whom a request is for.

use std::fmt;
use std::sync::Arc;

use crate::metadata::NodeId;

/// What a connection is for. A broker serves the requests of one connection in order, so each purpose has its own:
/// a held Fetch or JoinGroup never delays a Produce or a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// Produce requests.
    Produce,
    /// Requests that nobody else's may delay, such as one member's or one consumer's fetches; the number is the lane's, from
    /// [`Client::lane`](crate::Client::lane).
    Lane(u64),
    /// Everything short: metadata, lookups, administration.
    General,
}

/// Whom a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A broker.
    Node(NodeId, Purpose),
    /// The controller, or a broker that forwards to it.
    Controller,
    /// Any broker.
    Any,
}

/// What has a coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CoordinatorKey {
    /// A consumer group, by its id.
    Group(Arc<str>),
    /// A transactional producer, by its transactional id.
    Transaction(Arc<str>),
}

impl fmt::Display for CoordinatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CoordinatorKey::Group(id) => write!(f, "group `{id}`"),
            CoordinatorKey::Transaction(id) => write!(f, "transactional id `{id}`"),
        }
    }
}
