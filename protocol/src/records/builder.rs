//! [`BatchBuilder`]: records encoded where they will be sent from.
//!
//! Each byte of a record is copied once, into the batch's buffer, behind room for the header. Sealing fills
//! in the header; only a codec moves the records again. Nothing is allocated per record.

use alloc::vec;
use alloc::vec::Vec;

use super::early_sum::EarlySum;
use super::encode::{self, Deltas};
use super::header::{BATCH_HEADER_LEN, NO_TIMESTAMP};
use super::record::Header;
use super::sealed::{SealOptions, SealedBatch};
use crate::compression::{Compression, CompressionError, Compressor};
use crate::varint::{unsigned_len, zigzag, zigzag_long};

/// No headers, for [`BatchBuilder::try_append`].
pub const NO_HEADERS: [Header<'static>; 0] = [];

/// A record of so many bytes is summed at once, if any is: of smaller ones, each sum would take longer than its share of a
/// sum over all.
const LARGE: usize = 512;

/// A batch that records are appended to.
#[derive(Debug)]
pub struct BatchBuilder {
    /// Initialised throughout; what counts is what is before `end`.
    buffer: Vec<u8>,
    end: usize,
    limit: usize,
    count: i32,
    next_delta: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    sum: Option<EarlySum>,
}

/// Why a record was not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The batch holds records and this one would make it longer than its limit: seal it and begin another.
    #[error("the batch is full")]
    Full,
    /// The record alone is longer than a batch can be.
    #[error("a record of {size} bytes does not fit into any batch")]
    TooLarge {
        /// The record's size in bytes.
        size: usize,
    },
}

impl BatchBuilder {
    /// A builder with a new buffer for batches of up to `limit` bytes, header included (`batch.size`).
    pub fn new(limit: usize) -> BatchBuilder {
        BatchBuilder::with_buffer(Vec::new(), limit)
    }

    /// A builder that uses this buffer, which [`SealedBatch::into_buffer`] gives back after the
    /// acknowledgement.
    pub fn with_buffer(mut buffer: Vec<u8>, limit: usize) -> BatchBuilder {
        let limit = limit.clamp(BATCH_HEADER_LEN, i32::MAX as usize);
        if buffer.len() < limit {
            if buffer.is_empty() && buffer.capacity() < limit {
                // Zeroed by the operating system, if it is large.
                buffer = vec![0; limit];
            } else {
                buffer.resize(limit, 0);
            }
        }
        BatchBuilder {
            buffer,
            end: BATCH_HEADER_LEN,
            limit,
            count: 0,
            next_delta: 0,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
            sum: None,
        }
    }

    /// Has large records summed as they are appended, while their bytes are in the processor's cache, and not when the
    /// batch is sealed, perhaps by another processor. Of no use where the records are compressed.
    pub fn sum_early(mut self) -> BatchBuilder {
        if self.count == 0 {
            self.sum = Some(EarlySum::new());
        }
        self
    }

    /// Appends a record and says which of the batch's records it is, from 0. The first record is always
    /// taken, even if it is longer than the limit.
    ///
    /// # Errors
    /// [`AppendError`] when it does not fit; the batch is as before.
    #[inline(always)]
    pub fn try_append<'h>(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl IntoIterator<Item: Into<Header<'h>>, IntoIter: ExactSizeIterator + Clone>,
    ) -> Result<u32, AppendError> {
        let headers = headers.into_iter();
        let behind = if self.count == 0 { 0 } else { timestamp.wrapping_sub(self.base_timestamp) };
        let deltas = Deltas { timestamp: zigzag_long(behind), offset: self.next_delta };
        if headers.len() == 0
            && let Some(room) = self.buffer.get_mut(self.end..self.limit)
            && let Some(size) = encode::plain(room, deltas, key, value)
        {
            return Ok(self.appended(self.end + size, timestamp));
        }
        let end = self.append_any(deltas, key, value, headers)?;
        Ok(self.appended(end, timestamp))
    }

    /// Writes any record; says where it ends.
    #[inline(never)]
    fn append_any<'h>(
        &mut self,
        deltas: Deltas,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl ExactSizeIterator<Item: Into<Header<'h>>> + Clone,
    ) -> Result<usize, AppendError> {
        let body = encode::body_size(deltas, key, value, headers.clone());
        let size = body.saturating_add(unsigned_len(zigzag(body as i32)));
        let end = self.end.saturating_add(size);
        if end > self.limit || self.next_delta == i32::MAX {
            self.make_room(size)?;
        }
        encode::any(&mut self.buffer[self.end..end], body, deltas, key, value, headers);
        Ok(end)
    }

    /// Counts the record that ends here.
    #[inline(always)]
    fn appended(&mut self, end: usize, timestamp: i64) -> u32 {
        if end - self.end >= LARGE
            && let Some(sum) = &mut self.sum
        {
            sum.reach(&self.buffer, end);
        }
        self.end = end;
        if self.count == 0 {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        } else if timestamp > self.max_timestamp {
            self.max_timestamp = timestamp;
        }
        let index = self.count as u32;
        self.count += 1;
        self.next_delta += 1;
        index
    }

    /// Leaves a hole of `offsets` offsets, as compaction does; the batch's last offset counts holes at its
    /// end.
    pub fn skip_offsets(&mut self, offsets: i32) {
        self.next_delta = self.next_delta.saturating_add(offsets.max(0));
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the batch so far, uncompressed, header included.
    pub fn size(&self) -> usize {
        self.end
    }

    /// Bytes that it may reach with more than one record.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes of memory that the buffer takes.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Ends the batch: compresses the records if `compressor` does, and writes the header and the CRC.
    ///
    /// # Errors
    /// [`CompressionError`] when the codec cannot take so many bytes.
    pub fn seal(
        self,
        options: &SealOptions,
        compressor: &mut Compressor,
    ) -> Result<SealedBatch, CompressionError> {
        let BatchBuilder {
            mut buffer,
            mut end,
            count,
            next_delta,
            base_timestamp,
            max_timestamp,
            mut sum,
            ..
        } = self;
        let uncompressed = end;
        let mut codec = Compression::None;
        if count > 0
            && let Some(compressed) = compressor.compress(&buffer[BATCH_HEADER_LEN..end])?
        {
            end = BATCH_HEADER_LEN + compressed.len();
            if end > buffer.len() {
                buffer.resize(end, 0);
            }
            buffer[BATCH_HEADER_LEN..end].copy_from_slice(compressed);
            codec = compressor.codec();
            sum = None;
        }
        let contents = Contents {
            count,
            last_offset_delta: next_delta.max(1) - 1,
            base_timestamp,
            max_timestamp,
            codec,
            uncompressed,
            records_crc: sum.and_then(|sum| sum.finish(&buffer, end)),
        };
        Ok(SealedBatch::new(buffer, end, &contents, options))
    }

    /// Ends the batch without its records, and gives its buffer back.
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Lets the first record be longer than the limit.
    #[cold]
    fn make_room(&mut self, size: usize) -> Result<(), AppendError> {
        if self.count > 0 || self.next_delta == i32::MAX {
            return Err(AppendError::Full);
        }
        let end = self.end.saturating_add(size);
        if end > i32::MAX as usize {
            return Err(AppendError::TooLarge { size });
        }
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        Ok(())
    }
}

/// What a builder knows about its records.
pub(super) struct Contents {
    pub(super) count: i32,
    pub(super) last_offset_delta: i32,
    pub(super) base_timestamp: i64,
    pub(super) max_timestamp: i64,
    pub(super) codec: Compression,
    pub(super) uncompressed: usize,
    /// The checksum of the records alone, if it is known.
    pub(super) records_crc: Option<u32>,
}
