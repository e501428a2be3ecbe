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
//! Whoever wants no future gives a callback ([`Producer::send_with`]); [`Interceptor`]s see every record and its outcome;
//! [`Producer::typed`] takes values instead of bytes; [`Producer::metrics`] counts. Spans and events of `tracing` are
//! per batch and request, never per record, and hold neither payloads nor secrets: *error* when the producer can't go on,
//! *warn* when records failed, *info* when a partition's epoch is raised, *debug* for requests (span `produce`), refused
//! and split batches and brokers out of reach, *trace* for each batch that is sent and written.
//!
//! Machines (`accumulator`, `sequence`, `sender`, `partitioner`, `memory`) take time and chance as arguments; `driver`
//! and the facade alone name tasks and clocks.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod accumulator;
mod acknowledge;
mod batch;
mod body;
mod builder;
mod completion;
mod delivery;
mod driver;
mod interceptor;
mod memory;
pub mod metrics;
#[cfg(test)]
mod model;
mod nodes;
mod options;
mod partitioner;
mod producer;
mod record;
mod runtime;
mod sender;
mod sequence;
mod typed;

pub use acknowledge::Callback;
pub use builder::ProducerBuilder;
pub use delivery::{Delivered, Delivery};
pub use interceptor::{Acknowledgement, Interceptor, SendId, Sending};
pub use metrics::ProducerMetrics;
pub use options::{Acks, CompressionType, ProducerOptions, ProducerValues};
pub use partitioner::{Choice, Partitioner, PartitionerClass, Partitions};
pub use producer::{Accepting, Producer, TrySendError};
pub use record::{Header, Record};
pub use typed::{TypedProducer, TypedRecord, TypedTrySendError};

/// How keys and values become bytes, for [`Producer::typed`].
pub use ottla_client::serialize;
