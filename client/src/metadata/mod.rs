//! The cluster as last seen, and how it is kept fresh.
//!
//! - `cluster`: the snapshot; `update`: the rules by which an answer becomes the next one;
//! - `in_use`: which topics anybody cares for; `refresh`: when to ask; `driver`: the task that asks.

mod cluster;
mod driver;
mod in_use;
mod refresh;
mod update;

pub use cluster::{Cluster, Leader, LeaderHint, Node, NodeId, Partition, Topic};
pub(crate) use driver::Metadata;
pub use driver::{ClusterUpdates, TopicsInUse};
