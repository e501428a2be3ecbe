//! What an application reads: a [`Record`], and the [`Records`] of one poll.
//!
//! Guarantee: a record is a share of the response's buffer (or of a decompressed piece of it), not a copy, and owns
//! that share: it is `Send + 'static` and outlives the consumer.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use ottla_client::TopicPartition;
use ottla_protocol::records::LocatedRecord;
pub use ottla_protocol::records::{Header, HeaderIter, Headers, TimestampType};
use ottla_protocol::uuid::Uuid;

use crate::subscription::{Generation, Provenance};

/// A record of a partition.
///
/// Holding one keeps the whole response alive that it came with, up to about `fetch.max.bytes` (or the piece that its batch
/// was decompressed to); copy what is kept for long.
#[derive(Clone)]
pub struct Record {
    block: Arc<Block>,
    at: LocatedRecord,
}

/// What records of a batch share.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) source: TopicPartition,
    /// The batch's records, or those of them that are in one decompressed piece.
    pub(crate) bytes: Bytes,
    pub(crate) timestamp_type: TimestampType,
    /// Or -1.
    pub(crate) leader_epoch: i32,
    pub(crate) provenance: Provenance,
}

impl Record {
    #[inline]
    pub(crate) fn new(block: Arc<Block>, at: LocatedRecord) -> Record {
        Record { block, at }
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.block.source.topic
    }

    /// The topic's name, shared.
    pub fn topic_name(&self) -> &Arc<str> {
        &self.block.source.topic
    }

    /// The partition's index.
    pub fn partition(&self) -> i32 {
        self.block.source.partition
    }

    /// The partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.block.source
    }

    /// The offset in the partition.
    #[inline]
    pub fn offset(&self) -> i64 {
        self.at.offset
    }

    /// Milliseconds since 1970 by the clock that [`Record::timestamp_type`] names, or -1.
    pub fn timestamp(&self) -> i64 {
        self.at.timestamp
    }

    /// Whose clock the timestamp is from.
    pub fn timestamp_type(&self) -> TimestampType {
        self.block.timestamp_type
    }

    /// The epoch of the leader that appended the record, where the broker tells.
    pub fn leader_epoch(&self) -> Option<i32> {
        (self.block.leader_epoch >= 0).then_some(self.block.leader_epoch)
    }

    /// The key; `None` and empty are different things.
    #[inline]
    pub fn key(&self) -> Option<&[u8]> {
        self.at.key(&self.block.bytes)
    }

    /// The value; `None` is a tombstone.
    #[inline]
    pub fn value(&self) -> Option<&[u8]> {
        self.at.value(&self.block.bytes)
    }

    /// The key as a share of the buffer.
    pub fn key_bytes(&self) -> Option<Bytes> {
        self.key().map(|key| self.block.bytes.slice_ref(key))
    }

    /// The value as a share of the buffer.
    pub fn value_bytes(&self) -> Option<Bytes> {
        self.value().map(|value| self.block.bytes.slice_ref(value))
    }

    /// The headers, decoded as they are iterated.
    pub fn headers(&self) -> Headers<'_> {
        self.at.headers(&self.block.bytes)
    }

    /// A share of the buffer for bytes that were borrowed from this record, a header's value for instance.
    ///
    /// # Panics
    /// When `part` is not part of this record's batch.
    pub fn slice_ref(&self, part: &[u8]) -> Bytes {
        self.block.bytes.slice_ref(part)
    }

    /// Of the position from which it was fetched.
    pub(crate) fn generation(&self) -> Generation {
        self.block.provenance.generation
    }

    /// The id of the topic from which it was fetched, if it is known.
    pub(crate) fn topic_id(&self) -> Option<Uuid> {
        self.block.provenance.topic_id
    }

    fn source(&self) -> &TopicPartition {
        &self.block.source
    }

    /// Bytes that the record takes in its batch before compression.
    pub fn size(&self) -> usize {
        self.at.size()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("partition", &format_args!("{}", self.block.source))
            .field("record", &self.at.in_block(&self.block.bytes))
            .finish_non_exhaustive()
    }
}

/// The records of one poll: partition after partition, in the order of their offsets within each.
#[derive(Clone, Debug, Default)]
pub struct Records {
    records: Vec<Record>,
}

impl Records {
    pub(crate) fn new(records: Vec<Record>) -> Records {
        Records { records }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether the poll found none before its timeout.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The records, borrowed.
    pub fn iter(&self) -> std::slice::Iter<'_, Record> {
        self.records.iter()
    }

    /// The records as runs of the same partition.
    pub fn by_partition(&self) -> impl Iterator<Item = (&TopicPartition, &[Record])> {
        let runs = self.records.chunk_by(|one, other| one.source() == other.source());
        runs.map(|run| (run[0].source(), run))
    }

    /// The records as a list.
    pub fn into_vec(self) -> Vec<Record> {
        self.records
    }
}

impl IntoIterator for Records {
    type Item = Record;
    type IntoIter = std::vec::IntoIter<Record>;

    fn into_iter(self) -> Self::IntoIter {
        self.records.into_iter()
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = &'a Record;
    type IntoIter = std::slice::Iter<'a, Record>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
