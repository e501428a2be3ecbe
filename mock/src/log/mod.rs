//! One partition's log: the record batches themselves, and everything that Kafka knows about them.
//!
//! A [`PartitionLog`] is the replicated truth of a partition. It takes batches the way a leader does (validated,
//! numbered, stamped with the leader's epoch), and refuses what a leader refuses. Batches are kept as they will be
//! sent; a read gives out the stored bytes. What brokers find out by replicating stands outside: the cluster says how
//! far the high watermark is, and cuts the tail off when a leader is lost uncleanly.
//!
//! What it guarantees: offsets are dense at append, a batch that an idempotent producer repeats is in the log once, and
//! nothing of an unfinished transaction is below the last stable offset.
//!
//! - [`LogConfig`]: the topic's settings that concern its logs;
//! - `append`: what a produce request or a coordinator brings; `validate` looks into the records;
//! - `producers`: sequences and open transactions; `epochs`: which leader wrote what;
//! - `read`: fetches and lookups of offsets; `retention`, `compaction`, `truncation`: how a log shrinks;
//! - `batch`: batches cut, patched and rebuilt.
//!
//! Sources: KIP-98 (producer state, transactions), KIP-101 and KIP-279 (leader epochs), KIP-107 (delete records), KIP-32
//! (timestamps), KIP-360 (producers that are forgotten), KIP-467 (record errors), KIP-534 (tombstones), KIP-734 (the
//! latest timestamp), KIP-890 (verified transactions).

mod append;
mod batch;
mod compaction;
mod config;
mod epochs;
mod producers;
mod read;
mod retention;
mod segment;
mod truncation;
mod validate;

pub use append::{AppendContext, AppendError, Appended, MarkerAppend, RecordError};
pub use config::{InvalidLogConfig, LogConfig};
pub use epochs::EpochEnd;
pub use read::{AbortedTransaction, Isolation, OffsetAt, Slice};

use std::collections::{BTreeMap, VecDeque};

use ottla_protocol::messages::describe_producers::ProducerState;

use epochs::LeaderEpochs;
use producers::Producers;
use segment::Segment;

/// A partition's log.
#[derive(Debug)]
pub struct PartitionLog {
    config: LogConfig,
    /// From the oldest to the one that is appended to; never empty.
    segments: VecDeque<Segment>,
    start_offset: i64,
    end_offset: i64,
    high_watermark: i64,
    epochs: LeaderEpochs,
    producers: Producers,
    /// The producers as they were before the first batch of a segment, for truncation.
    snapshots: BTreeMap<i64, Producers>,
    /// Up to where some leader knew producers by its notes only.
    forgotten_to: i64,
    /// Aborted transactions in the order of their markers.
    aborted: Vec<segment::Aborted>,
}

impl PartitionLog {
    /// An empty log.
    pub fn new(config: LogConfig) -> PartitionLog {
        PartitionLog {
            config,
            segments: VecDeque::from([Segment::new(0)]),
            start_offset: 0,
            end_offset: 0,
            high_watermark: 0,
            epochs: LeaderEpochs::default(),
            producers: Producers::default(),
            snapshots: BTreeMap::new(),
            forgotten_to: 0,
            aborted: Vec::new(),
        }
    }

    /// The topic's settings.
    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Changes the topic's settings; what is in the log already stays as it is.
    pub fn set_config(&mut self, config: LogConfig) {
        self.config = config;
    }

    /// The first offset that can be read.
    pub fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// The offset that the next record gets.
    pub fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// The offset up to which all in-sync replicas have the log.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// Says how far replication is; what lies outside the log is taken for its nearest end.
    pub fn set_high_watermark(&mut self, offset: i64) {
        self.high_watermark = offset.clamp(self.start_offset, self.end_offset);
        self.producers.forget_replicated(self.high_watermark);
    }

    /// The offset up to which readers of committed records may read: before it, every transaction is decided.
    pub fn last_stable_offset(&self) -> i64 {
        match self.producers.first_unstable_offset() {
            Some(offset) => offset.max(self.start_offset).min(self.high_watermark),
            None => self.high_watermark,
        }
    }

    /// Bytes of all batches.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size_bytes).sum()
    }

    /// Notes that a leader begins its epoch at the log's end; older epochs change nothing.
    pub fn start_epoch(&mut self, leader_epoch: i32) {
        self.epochs.assign(leader_epoch, self.end_offset);
    }

    /// The newest leader epoch that the log knows.
    pub fn latest_epoch(&self) -> Option<i32> {
        self.epochs.latest()
    }

    /// Where an epoch ended, as OffsetForLeaderEpoch answers it; `None` for an epoch that the log can't place.
    pub fn end_offset_for_epoch(&self, leader_epoch: i32) -> Option<EpochEnd> {
        self.epochs.end_of(leader_epoch, self.end_offset)
    }

    /// Whether the producer has a transaction open here, so that its next batch needs no verification.
    pub fn has_ongoing_transaction(&self, producer_id: i64, producer_epoch: i16) -> bool {
        self.producers.has_ongoing_transaction(producer_id, producer_epoch)
    }

    /// Says up to which offset the leader knows producers only by what it wrote down when it stopped in good order: the last
    /// batch of each before that, by which it can tell a repeat. 0 for a leader that read its log.
    pub fn know_producers_by_notes_to(&mut self, offset: i64) {
        self.producers.know_by_notes_to(offset);
        self.forgotten_to = self.forgotten_to.max(offset);
    }

    /// The offset up to which some leader of this log knew producers only by their last batches: a batch before it that is
    /// sent again may have been taken for a new one.
    pub fn forgotten_to(&self) -> i64 {
        self.forgotten_to
    }

    /// The producers that the log remembers, as DescribeProducers answers them.
    pub fn producers(&self) -> Vec<ProducerState> {
        self.producers.describe()
    }

    /// Forgets producers that have been silent for `producer.id.expiration.ms` and have no transaction open.
    pub fn expire_producers(&mut self, now_ms: i64) {
        self.producers.expire(now_ms, self.config.producer_id_expiration_ms);
    }
}

#[cfg(test)]
mod tests;
