//! Connections, metadata and routing: what Ottla's producer, consumer and admin stand on.
//!
//! - [`Client`]: the handle that everything shares;
//! - `net`: dialling, frames, connections and their pool;
//! - `metadata`: the cluster as last seen, and how it is kept fresh;
//! - [`mod@options`]: options as tables; [`Error`]: the one error type;
//! - [`serialize`]: how keys and values become bytes; [`deserialize`]: and the other way round.
//!
//! Guarantees: a connection's requests go out in the order of their submission; a broken connection gives everybody who
//! waits on it the same cause; every wait has a deadline; dropping a future loses nothing but its answer; when the last
//! [`Client`] is gone, so are its tasks and sockets.
//!
//! Pure machines (backoff, frames, handshake, requests in flight, metadata rules) take time and chance as arguments; the
//! `driver`, `task` and `transport` files and the facades alone touch sockets, clocks and tasks.

pub use backoff::Backoff;
pub use client::Client;
pub use error::{Error, ErrorKind};
pub use group_metadata::GroupMetadata;
pub use histogram::Histogram;
pub use lane::Lane;
pub use metadata::{
    Cluster, ClusterUpdates, Leader, LeaderHint, Node, NodeId, Partition, Topic, TopicsInUse,
};
pub use net::{Connection, Dial, DialFuture, Reply, Sent, Stream, TcpDialer};
pub use options::{ClientOptions, ClientValues};
pub use purpose::{CoordinatorKey, Purpose, Target};
pub use topic_partition::TopicPartition;

mod backoff;
mod client;
mod coordinator;
pub mod deserialize;
mod error;
mod group_metadata;
mod histogram;
mod lane;
mod metadata;
mod net;
pub mod options;
mod purpose;
mod router;
mod runtime;
pub mod serialize;
mod silent;
#[cfg(any(test, feature = "testing"))]
pub mod test_support;
mod topic_partition;
