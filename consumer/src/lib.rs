//! Ottla's consumer: group membership, fetching, positions and commits.
//!
//! A record's way in: the task in `fetch` asks each partition's leader, as `fetch::plan` says; answers lie undecoded in
//! `fetch::buffer`; [`Consumer::poll`] decodes as many records as it returns and moves the position past them. `group`
//! says which partitions the member has, [`listener`](RebalanceListener) lets the application have its word, `commit`
//! notes positions with the coordinator, `position` finds where to begin.
//!
//! Guarantees: the records of a partition come in order, none twice and none left out, however often a `poll` is dropped;
//! a commit never names what was not handed out; no record of a partition comes after its revocation.

pub use batch::{RecordBatch, RecordRef};
pub use commit::OffsetAndMetadata;
pub use consumer::{Consumer, RecordStream};
pub use listener::{ListenerFuture, RebalanceCallbacks, RebalanceContext, RebalanceListener};
pub use options::{ConsumerOptions, ConsumerValues, IsolationLevel, OffsetReset, Strategy};
pub use ottla_client::{GroupMetadata, TopicPartition};
pub use record::{Header, HeaderIter, Headers, Record, Records, TimestampType};
pub use subscription::Start;

pub mod assignor;
mod batch;
mod commit;
mod consumer;
mod fetch;
mod group;
mod listener;
mod options;
mod position;
mod record;
mod subscription;

/// What the conformance suite drives directly.
#[doc(hidden)]
pub mod conformance {
    pub use ottla_protocol::messages::fetch::AbortedTransaction;

    pub use crate::fetch::completed::CompletedFetch;
}
