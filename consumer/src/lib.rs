//! Ottla's consumer: group membership, fetching, positions and commits.
//!
//! A record's way in: the task in `fetch` asks each partition's leader, as `fetch::plan` says; answers lie undecoded in
//! `fetch::buffer`; [`Consumer::poll`] decodes as many records as it returns and moves the position past them. `group`
//! says which partitions the member has, [`listener`](RebalanceListener) lets the application have its word, `commit`
//! notes positions with the coordinator, `position` finds where to begin.
//!
//! Guarantees: the records of a partition come in order, none twice and none left out, however often a `poll` is dropped;
//! a commit never names what was not handed out; no record of a partition comes after its revocation.
//!
//! [`Consumer::metrics`] counts; [`Consumer::events`] tells what makes no progress, and why. Spans and events of `tracing`
//! are per fetch, commit and rebalance, never per record, and hold neither payloads nor secrets: *warn* when partitions are
//! lost, commits in the background fail or something is stuck, *info* when partitions come and go and positions are
//! reset, *debug* for requests (spans `fetch`, `commit` and `rebalance`) and what brokers refuse.

pub use ack::Acknowledger;
pub use batch::{RecordBatch, RecordRef};
pub use commit::OffsetAndMetadata;
pub use consumer::{Consumer, PartitionStreams, PendingCommit, RecordStream, RunError};
pub use listener::{ListenerFuture, RebalanceCallbacks, RebalanceContext, RebalanceListener};
pub use metrics::ConsumerMetrics;
pub use offset_reset::OffsetReset;
pub use options::{CommitMode, ConsumerOptions, ConsumerValues, GroupProtocol, IsolationLevel, Strategy};
pub use ottla_client::deserialize;
pub use ottla_client::{GroupMetadata, TopicPartition};
pub use position::query::OffsetAndTimestamp;
pub use record::{Header, HeaderIter, Headers, Record, Records, TimestampType};
pub use scan::{Scan, ScanEnd, Scanning};
pub use shutdown::{Attached, Shutdown};
pub use streams::PartitionStream;
pub use stuck::{ConsumerEvent, ConsumerEvents, Stuck, StuckReason};
pub use subscription::Start;
pub use typed::{BadRecord, Decoder, Part, TypedConsumer, TypedRecord, TypedStream};

mod ack;
pub mod assignor;
mod batch;
mod commit;
mod consumer;
mod fetch;
mod group;
mod listener;
pub mod metrics;
mod offset_reset;
mod options;
mod position;
mod record;
mod scan;
mod shutdown;
mod streams;
mod stuck;
mod subscription;
mod turn;
mod typed;

/// What the conformance suite drives directly.
#[doc(hidden)]
pub mod conformance {
    pub use ottla_protocol::messages::fetch::AbortedTransaction;

    pub use crate::fetch::completed::CompletedFetch;
}
