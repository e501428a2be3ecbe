//! Ottla's producer: records in, acknowledgements out, in order and once.
//!
//! A record's way: [`Producer::send`] → `partitioner` → `accumulator` (encoded in place into its partition's open
//! batch) → `driver` asks `sender` which batches go into the next request, `sequence` numbers them → the leader's
//! connection → the answer → the batch's [`Delivery`]s resolve.
//!
//! Guarantees: every record's outcome is told exactly once, within `delivery.timeout.ms` of its acceptance; with
//! idempotence (the default) what is acknowledged is in the log once, and each partition's records are in the log in the
//! order in which they were accepted, whatever was retried meanwhile.
//!
//! Machines (`accumulator`, `sequence`, `sender`, `partitioner`, `memory`) take time and chance as arguments; `driver`
//! and the facade alone name tasks and clocks.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod accumulator;
mod batch;
mod completion;
mod driver;
mod memory;
#[cfg(test)]
mod model;
mod options;
mod partitioner;
mod producer;
mod record;
mod runtime;
mod sender;
mod sequence;

pub use completion::{Delivered, Delivery};
pub use options::{Acks, CompressionType, ProducerOptions, ProducerValues};
pub use partitioner::{Choice, Partitioner, PartitionerClass, Partitions};
pub use producer::{Producer, TrySendError};
pub use record::{Header, Record};
