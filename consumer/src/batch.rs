//! [`RecordBatch`]: a batch as the broker sent it, for reading without any cost per record but decoding.
//!
//! Guarantee: it owns its share of the response, so it is `Send + 'static` and outlives the consumer; its records borrow from
//! it, so that reading one neither allocates, nor copies, nor counts references. Compressed batches are decompressed as they
//! are read, in pieces of at most 1 MiB.

use std::fmt;
use std::sync::Arc;

use ottla_client::{Error, ErrorKind, TopicPartition};
pub use ottla_protocol::records::RecordRef;
use ottla_protocol::records::{BatchCursor, TimestampType};

use crate::subscription::Generation;

/// Records of one partition that were written together; of [`Consumer::poll_batches`](crate::Consumer::poll_batches).
///
/// The consumer's position is behind all of it as soon as it was handed out.
///
/// ```
/// # fn total(mut batch: ottla_consumer::RecordBatch) -> Result<usize, ottla_client::Error> {
/// let mut total = 0;
/// while let Some(record) = batch.next_record()? {
///     total += record.value.map_or(0, <[u8]>::len);
/// }
/// # Ok(total) }
/// ```
pub struct RecordBatch {
    source: TopicPartition,
    cursor: BatchCursor,
    /// Of the first record that may be in it.
    from: i64,
    timestamp_type: TimestampType,
    leader_epoch: i32,
    /// Of the position from which it was fetched.
    generation: Generation,
}

impl RecordBatch {
    pub(crate) fn new(
        source: TopicPartition,
        cursor: BatchCursor,
        from: i64,
        timestamp_type: TimestampType,
        leader_epoch: i32,
        generation: Generation,
    ) -> RecordBatch {
        RecordBatch { source, cursor, from, timestamp_type, leader_epoch, generation }
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.source.topic
    }

    /// The topic's name, shared.
    pub fn topic_name(&self) -> &Arc<str> {
        &self.source.topic
    }

    /// The partition's index.
    pub fn partition(&self) -> i32 {
        self.source.partition
    }

    /// The partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.source
    }

    /// Where it begins: no record of it has a smaller offset. That of the batch in the log, or the consumer's position, if
    /// that was within the batch.
    pub fn base_offset(&self) -> i64 {
        self.from
    }

    /// The offset behind the batch: what to commit once all of it is processed.
    pub fn next_offset(&self) -> i64 {
        self.cursor.next_offset()
    }

    /// How many records are still to be read, at most: those before [`RecordBatch::base_offset`] are counted, too.
    pub fn remaining(&self) -> usize {
        self.cursor.remaining()
    }

    /// Whose clock the records' timestamps are from.
    pub fn timestamp_type(&self) -> TimestampType {
        self.timestamp_type
    }

    /// The epoch of the leader that appended the batch, where the broker tells.
    pub fn leader_epoch(&self) -> Option<i32> {
        (self.leader_epoch >= 0).then_some(self.leader_epoch)
    }

    /// Of the position from which it was fetched.
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// The next record; `None` after the last.
    ///
    /// # Errors
    /// Kind `CorruptRecord`: what its writer put into it is no record; the same again from then on. The records before were
    /// good, and the consumer goes on behind the batch.
    #[inline]
    pub fn next_record(&mut self) -> Result<Option<RecordRef<'_>>, Error> {
        match self.cursor.next_ref() {
            Ok(record) => Ok(record),
            Err(error) => {
                let message =
                    format!("cannot read the rest of the batch of {} from offset {}", self.source, self.from);
                Err(Error::new(ErrorKind::CorruptRecord, message).with_cause(error))
            }
        }
    }

    /// Reads all records that are left.
    ///
    /// # Errors
    /// As [`RecordBatch::next_record`].
    pub fn for_each(mut self, mut each: impl FnMut(RecordRef<'_>)) -> Result<(), Error> {
        while let Some(record) = self.next_record()? {
            each(record);
        }
        Ok(())
    }
}

impl fmt::Debug for RecordBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordBatch")
            .field("partition", &format_args!("{}", self.source))
            .field("offsets", &(self.base_offset()..self.next_offset()))
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}
