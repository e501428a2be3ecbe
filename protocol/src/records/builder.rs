//! [`BatchBuilder`]: records encoded where they will be sent from.
//!
//! Each byte of a record is copied once, into the batch's buffer, behind room for the header. Sealing fills
//! in the header; only a codec moves the records again. Nothing is allocated per record.

use alloc::vec;
use alloc::vec::Vec;

use super::early_sum::EarlySum;
use super::header::{BATCH_HEADER_LEN, NO_TIMESTAMP};
use super::record::Header;
use super::sealed::{SealOptions, SealedBatch};
use crate::compression::{Compression, CompressionError, Compressor};
use crate::varint::{
    unsigned_len, unsigned_long_len, varint_len, write_unsigned, write_unsigned_long, zigzag, zigzag_long,
};

/// No headers, for [`BatchBuilder::try_append`].
pub const NO_HEADERS: [Header<'static>; 0] = [];

/// The most that a record takes beyond its key, value and headers: length, attributes, two deltas and the
/// lengths' varints of Kafka's own estimate.
const MAX_RECORD_OVERHEAD: usize = 21;

/// A record without headers is written at once if its content has up to so many bytes, as its length takes one byte then,
/// or between so many, as it takes two: with anything from [`LEAST`] to [`MOST`] bytes around the content.
const SHORT: usize = 63 - MOST;
const TWO_BYTES: usize = 64 - LEAST;
const LONG: usize = 8191 - MOST;

/// Attributes, two deltas, two lengths and the number of headers, with deltas below 2^28 and lengths of up to two bytes.
const LEAST: usize = 6;
const MOST: usize = 1 + 4 + 4 + 2 + 2 + 1;

/// A record of so many bytes is summed at once, if any is: of smaller ones, each sum would take longer than its share of a
/// sum over all.
const LARGE: usize = 512;

/// Room for all of a record but its content, and for whatever is written with it in one piece.
const FRONT: usize = 32;
const BEFORE_VALUE: usize = 4;

/// The length of a field that is null: -1.
const NULL: u8 = 1;

/// The most bytes that a record takes in an uncompressed batch, wherever it stands in it.
///
/// With [`BATCH_HEADER_LEN`] added it is what `max.request.size` limits.
pub fn record_size_upper_bound<'h>(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl IntoIterator<Item: Into<Header<'h>>, IntoIter: ExactSizeIterator>,
) -> usize {
    let headers = headers.into_iter();
    let count = unsigned_len(zigzag(headers.len() as i32));
    let headers: usize = headers.map(|header| header_size(&header.into())).sum();
    MAX_RECORD_OVERHEAD + field_size(key) + field_size(value) + count + headers
}

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
        let timestamp_delta =
            zigzag_long(if self.count == 0 { 0 } else { timestamp.wrapping_sub(self.base_timestamp) });
        if headers.len() == 0
            && let Some(end) = self.write_plain(timestamp_delta, key, value)
        {
            return Ok(self.appended(end, timestamp));
        }
        let end = self.write_any(timestamp_delta, key, value, headers)?;
        Ok(self.appended(end, timestamp))
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

    /// Writes a record that has no headers, if what surrounds its content is as short as usual and there is room; says
    /// where it ends.
    ///
    /// Such a record's length takes one byte or two whatever the deltas are. So it is written behind all the rest, and
    /// nothing has to be measured first.
    #[inline(always)]
    fn write_plain(
        &mut self,
        timestamp_delta: u64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Option<usize> {
        let content = key.map_or(0, <[u8]>::len).checked_add(value.map_or(0, <[u8]>::len))?;
        let start = match content {
            ..=SHORT => 1,
            TWO_BYTES..=LONG => 2,
            _ => return None,
        };
        let available = self.limit.checked_sub(self.end)?;
        if content + FRONT > available || timestamp_delta >= 1 << 28 || self.next_delta >= 1 << 27 {
            return None;
        }
        let out = self.buffer.get_mut(self.end..self.end + content + FRONT)?;
        let front = out.first_chunk_mut::<FRONT>()?;
        front[start] = 0;
        let mut at = put(front, start + 1, timestamp_delta as u32);
        at = put(front, at, (self.next_delta as u32) << 1);
        if let Some(key) = key {
            at = put(front, at, (key.len() as u32) << 1);
            out.get_mut(at..at + key.len())?.copy_from_slice(key);
            at += key.len();
        } else {
            front[at % FRONT] = NULL;
            at += 1;
        }
        let front = out.get_mut(at..)?.first_chunk_mut::<BEFORE_VALUE>()?;
        if let Some(value) = value {
            at += put(front, 0, (value.len() as u32) << 1);
            out.get_mut(at..at + value.len())?.copy_from_slice(value);
            at += value.len();
        } else {
            front[0] = NULL;
            at += 1;
        }
        // No headers.
        *out.get_mut(at)? = 0;
        at += 1;
        let length = ((at - start) as u32) << 1;
        let front = out.first_chunk_mut::<2>()?;
        if start == 1 {
            front[0] = length as u8;
        } else {
            *front = [length as u8 | 0x80, (length >> 7) as u8];
        }
        Some(self.end + at)
    }

    /// Writes any record; says where it ends.
    #[inline(never)]
    fn write_any<'h>(
        &mut self,
        timestamp_delta: u64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl ExactSizeIterator<Item: Into<Header<'h>>> + Clone,
    ) -> Result<usize, AppendError> {
        let offset_delta = self.next_delta;
        let header_count = headers.len();
        let mut body = 1
            + unsigned_long_len(timestamp_delta)
            + varint_len(offset_delta)
            + field_size(key)
            + field_size(value)
            + varint_len(header_count as i32);
        if header_count > 0 {
            body =
                headers.clone().fold(body, |body, header| body.saturating_add(header_size(&header.into())));
        }
        let size = body.saturating_add(unsigned_len(zigzag(body as i32)));
        let end = self.end.saturating_add(size);
        if end > self.limit || self.next_delta == i32::MAX {
            self.make_room(size)?;
        }
        let mut out = Writer { out: &mut self.buffer[self.end..end] };
        out.unsigned(zigzag(body as i32));
        out.bytes(&[0]);
        out.unsigned_long(timestamp_delta);
        out.unsigned(zigzag(offset_delta));
        out.field(key);
        out.field(value);
        out.unsigned(zigzag(header_count as i32));
        for header in headers {
            let Header { key, value } = header.into();
            out.field(Some(key));
            out.field(value);
        }
        Ok(end)
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

/// The part of the buffer that a record takes, written from front to back. It has exactly the record's size.
struct Writer<'a> {
    out: &'a mut [u8],
}

impl Writer<'_> {
    #[inline]
    fn advance(&mut self, len: usize) {
        self.out = &mut core::mem::take(&mut self.out)[len..];
    }

    #[inline]
    fn unsigned(&mut self, value: u32) {
        let len = write_unsigned(self.out, value);
        self.advance(len);
    }

    #[inline]
    fn unsigned_long(&mut self, value: u64) {
        let len = write_unsigned_long(self.out, value);
        self.advance(len);
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.out[..bytes.len()].copy_from_slice(bytes);
        self.advance(bytes.len());
    }

    #[inline]
    fn field(&mut self, field: Option<&[u8]>) {
        match field {
            Some(bytes) => {
                self.unsigned(zigzag(bytes.len() as i32));
                self.bytes(bytes);
            }
            None => self.unsigned(zigzag(-1)),
        }
    }
}

/// Writes a varint of up to four bytes where there is room for it; where it ends. A number that is not negative is
/// doubled for it: that is all that zigzag makes of it.
#[inline(always)]
fn put<const N: usize>(out: &mut [u8; N], at: usize, value: u32) -> usize {
    if value < 0x80 {
        out[at % N] = value as u8;
        at + 1
    } else if value < 0x4000 {
        out[at % N] = value as u8 | 0x80;
        out[(at + 1) % N] = (value >> 7) as u8;
        at + 2
    } else {
        put_more(out, at, value)
    }
}

#[cold]
fn put_more<const N: usize>(out: &mut [u8; N], at: usize, value: u32) -> usize {
    out[at % N] = value as u8 | 0x80;
    out[(at + 1) % N] = (value >> 7) as u8 | 0x80;
    let mut last = at + 2;
    if value >= 0x20_0000 {
        out[last % N] = (value >> 14) as u8 | 0x80;
        last += 1;
        out[last % N] = (value >> 21) as u8;
    } else {
        out[last % N] = (value >> 14) as u8;
    }
    last + 1
}

#[inline]
fn field_size(field: Option<&[u8]>) -> usize {
    match field {
        Some(bytes) => unsigned_len(zigzag(bytes.len() as i32)).saturating_add(bytes.len()),
        None => 1,
    }
}

#[inline]
fn header_size(header: &Header<'_>) -> usize {
    field_size(Some(header.key)).saturating_add(field_size(header.value))
}
