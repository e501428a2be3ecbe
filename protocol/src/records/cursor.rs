//! [`BatchCursor`]: the records of one batch, one at a time, at the caller's pace.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use super::error::{RecordError, RecordErrorKind, RecordFault};
use super::header::{BatchHeader, TimestampType};
use super::record::{self, Decoded, LocatedRecord, Record, RecordRef};
use crate::compression::{Compression, Decompressor, tight};
use crate::varint::{self, VarintError};

/// How batches are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Whether CRCs are compared (`check.crcs`); yes by default.
    pub check_crcs: bool,
    /// The most bytes that one batch may decompress to, 256 MiB by default. Memory is only used for a piece
    /// of at most 1 MiB at a time, or for the longest record if that is more.
    pub max_decompressed_bytes: usize,
}

impl DecodeOptions {
    /// Compare CRCs, and allow 256 MiB from one batch.
    pub const DEFAULT: DecodeOptions =
        DecodeOptions { check_crcs: true, max_decompressed_bytes: 256 * 1024 * 1024 };
}

impl Default for DecodeOptions {
    fn default() -> Self {
        DecodeOptions::DEFAULT
    }
}

/// A place within a batch, owned, so that it can be kept between polls.
///
/// Records are checked as they are reached: their offsets increase and stay within the batch, and nothing is
/// left over after the last one. After an error the cursor returns the same error again; the records before
/// it were good.
///
/// Compressed records are decoded in pieces of at most 1 MiB, each of which lives as long as a [`Record`] of
/// it does.
#[derive(Debug)]
pub struct BatchCursor {
    base_offset: i64,
    last_offset_delta: i32,
    base_timestamp: i64,
    /// The timestamp of every record under log-append time.
    append_timestamp: Option<i64>,
    count: i32,
    /// Records that were read, skipped ones included.
    index: i32,
    /// The smallest delta that the next record may have.
    next_delta: i64,
    /// Records before this offset are skipped.
    from_offset: i64,
    /// Plain records, from the one at `at`.
    block: Bytes,
    at: usize,
    /// How often `block` was replaced.
    blocks: u32,
    /// Where the records after `block` come from.
    source: Option<Box<Decompressor>>,
    failed: Option<RecordError>,
}

impl BatchCursor {
    pub(super) fn new(
        header: &BatchHeader,
        payload: Bytes,
        options: &DecodeOptions,
    ) -> Result<BatchCursor, RecordError> {
        let mut cursor = BatchCursor {
            base_offset: header.base_offset,
            last_offset_delta: header.last_offset_delta,
            base_timestamp: header.base_timestamp,
            append_timestamp: (header.attributes.timestamp_type() == TimestampType::LogAppendTime)
                .then_some(header.max_timestamp),
            count: header.count,
            index: 0,
            next_delta: 0,
            from_offset: i64::MIN,
            block: Bytes::new(),
            at: 0,
            blocks: 0,
            source: None,
            failed: None,
        };
        cursor.check_header(header, &payload).map_err(|kind| cursor.error(kind))?;
        match header.attributes.compression() {
            Ok(Compression::None) => cursor.block = payload,
            // An empty batch, left by compaction, has no compressed stream either.
            Ok(_) if payload.is_empty() && header.count == 0 => {}
            Ok(codec) => {
                let source = Decompressor::new(codec, payload, options.max_decompressed_bytes)
                    .map_err(|error| cursor.error(error.into()))?;
                cursor.source = Some(Box::new(source));
            }
            Err(id) => return Err(cursor.error(RecordErrorKind::UnknownCodec { id })),
        }
        Ok(cursor)
    }

    fn check_header(&self, header: &BatchHeader, payload: &Bytes) -> Result<(), RecordErrorKind> {
        if header.base_offset < 0 {
            return Err(RecordErrorKind::BaseOffset);
        }
        let delta = header.last_offset_delta;
        // The offset after the last one has to be an offset too.
        if delta < 0 || header.base_offset.checked_add(i64::from(delta) + 1).is_none() {
            return Err(RecordErrorKind::LastOffsetDelta { delta });
        }
        let count = header.count;
        let plain = header.attributes.compression() == Ok(Compression::None);
        // Offsets are distinct and each record takes SMALLEST_RECORD bytes, if only once it is decompressed.
        let too_many = i64::from(count) > i64::from(delta) + 1
            || (plain && i64::from(count) > payload.len() as i64 / SMALLEST_RECORD);
        if count < 0 || too_many {
            return Err(RecordErrorKind::Count { count });
        }
        Ok(())
    }

    /// The next record, borrowed; `None` after the last.
    ///
    /// # Errors
    /// [`RecordError`] when the batch is damaged here; it is the same from then on.
    #[inline(always)]
    pub fn next_ref(&mut self) -> Result<Option<RecordRef<'_>>, RecordError> {
        self.next_with(|_, _, offset, timestamp, decoded| decoded.record(offset, timestamp))
    }

    /// The next record, which shares the cursor's buffer; `None` after the last.
    ///
    /// # Errors
    /// As [`BatchCursor::next_ref`].
    #[inline]
    pub fn next_record(&mut self) -> Result<Option<Record>, RecordError> {
        self.next_with(|block, _, offset, timestamp, decoded| {
            Record::new(offset, timestamp, block.slice_ref(decoded.body), decoded.layout)
        })
    }

    /// The next record, by its place in [`BatchCursor::block`] as it is then; `None` after the last.
    ///
    /// # Errors
    /// As [`BatchCursor::next_ref`].
    #[inline(always)]
    pub fn next_located(&mut self) -> Result<Option<LocatedRecord>, RecordError> {
        self.next_with(|_, start, offset, timestamp, decoded| {
            LocatedRecord::new(offset, timestamp, start, &decoded)
        })
    }

    /// Finds the next records, as many as `found` takes, and says how many there were, as long as they lie at hand in
    /// [`BatchCursor::block`] and are of the usual kind; another may still come. What ends it is for
    /// [`BatchCursor::next_located`] to say: the end of the batch or of the block, a record to be skipped, a long number, or
    /// damage.
    pub fn locate(&mut self, found: &mut [LocatedRecord]) -> usize {
        if self.failed.is_some() || self.from_offset > self.base_offset + self.next_delta {
            return 0;
        }
        let most = found.len().min(self.remaining());
        let block = &self.block[..];
        let last = i64::from(self.last_offset_delta);
        let (mut at, mut next_delta, mut count) = (self.at, self.next_delta, 0);
        for place in &mut found[..most] {
            let Some((prefix, decoded)) = block.get(at..).and_then(record::decode_framed) else { break };
            let delta = i64::from(decoded.offset_delta);
            if delta < next_delta || delta > last {
                break;
            }
            let start = at + prefix;
            at = start + decoded.body.len();
            next_delta = delta + 1;
            let timestamp = match self.append_timestamp {
                Some(timestamp) => timestamp,
                None => self.base_timestamp.wrapping_add(decoded.timestamp_delta),
            };
            *place = LocatedRecord::new(self.base_offset + delta, timestamp, start, &decoded);
            count += 1;
        }
        (self.at, self.next_delta) = (at, next_delta);
        // No more than are left of the header's count.
        self.index += count as i32;
        count
    }

    /// Goes back to behind `last`, which was found in the present block before the last `count` records: these come again.
    #[cold]
    pub fn back_to(&mut self, last: &LocatedRecord, count: usize) {
        self.at = last.end();
        self.next_delta = last.offset - self.base_offset + 1;
        self.index -= count as i32;
    }

    /// What holds the record that was read last: the batch's records, or the piece of them that is decompressed.
    pub fn block(&self) -> &Bytes {
        &self.block
    }

    /// A number that changes whenever [`BatchCursor::block`] does.
    #[inline]
    pub fn block_number(&self) -> u32 {
        self.blocks
    }

    /// Skips records before this offset.
    pub fn skip_to(&mut self, offset: i64) {
        self.from_offset = self.from_offset.max(offset);
    }

    /// Records that are still to come by the header's count, those to be skipped included.
    pub fn remaining(&self) -> usize {
        (self.count - self.index) as usize
    }

    /// The offset that the batch begins at, which compaction may have left without a record.
    pub fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// The offset of the batch's last record, which compaction may have removed.
    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// The offset after the batch: where a consumer goes on after its last record, also when there was none.
    pub fn next_offset(&self) -> i64 {
        self.last_offset() + 1
    }

    /// Takes the next record and makes of it what the caller wants.
    #[inline(always)]
    fn next_with<'a, T>(
        &'a mut self,
        make: impl FnOnce(&'a Bytes, usize, i64, i64, Decoded<'a>) -> T,
    ) -> Result<Option<T>, RecordError> {
        if self.index >= self.count || self.failed.is_some() {
            return self.end().map(|()| None);
        }
        if self.from_offset > self.base_offset + self.next_delta {
            self.skip()?;
            if self.index >= self.count {
                return self.end().map(|()| None);
            }
        }
        let (start, end) = self.frame()?;
        // From here on `block` is borrowed for as long as the result lives, and only other fields may change.
        let fault = match record::decode(&self.block[start..end]) {
            Ok(decoded) => {
                let delta = decoded.offset_delta;
                if i64::from(delta) >= self.next_delta && delta <= self.last_offset_delta {
                    self.next_delta = i64::from(delta) + 1;
                    self.index += 1;
                    self.at = end;
                    let offset = self.base_offset + i64::from(delta);
                    let timestamp = match self.append_timestamp {
                        Some(timestamp) => timestamp,
                        None => self.base_timestamp.wrapping_add(decoded.timestamp_delta),
                    };
                    return Ok(Some(make(&self.block, start, offset, timestamp, decoded)));
                }
                RecordFault::OffsetDelta { delta }
            }
            Err(fault) => fault,
        };
        let kind = RecordErrorKind::Record { index: self.index, fault };
        let error = RecordError { base_offset: self.base_offset, kind };
        self.failed = Some(error);
        Err(error)
    }

    /// Passes by the records before `from_offset`.
    #[cold]
    fn skip(&mut self) -> Result<(), RecordError> {
        while self.index < self.count {
            let (start, end) = self.frame()?;
            let delta = match record::decode(&self.block[start..end]) {
                Ok(decoded) => decoded.offset_delta,
                Err(fault) => return Err(self.fail(self.fault(fault))),
            };
            // Before the offset is reckoned, which may be none beyond the batch's last.
            if i64::from(delta) < self.next_delta || delta > self.last_offset_delta {
                return Err(self.fail(self.fault(RecordFault::OffsetDelta { delta })));
            }
            if self.base_offset + i64::from(delta) >= self.from_offset {
                break;
            }
            self.next_delta = i64::from(delta) + 1;
            self.index += 1;
            self.at = end;
        }
        Ok(())
    }

    /// Where the body of the record at `at` starts and ends in `block`.
    #[inline]
    fn frame(&mut self) -> Result<(usize, usize), RecordError> {
        let rest = &self.block[self.at..];
        if let Ok((length, prefix)) = varint::varint(rest)
            && length >= SMALLEST_BODY
            && length as usize <= rest.len() - prefix
        {
            let start = self.at + prefix;
            return Ok((start, start + length as usize));
        }
        self.frame_refilled()
    }

    /// [`BatchCursor::frame`] after more was decoded, unless the record is damaged.
    #[cold]
    fn frame_refilled(&mut self) -> Result<(usize, usize), RecordError> {
        loop {
            let rest = &self.block[self.at..];
            let needed = match varint::varint(rest) {
                Ok((length, _)) if length < SMALLEST_BODY => {
                    return Err(self.fail(self.fault(RecordFault::Length { length })));
                }
                Ok((length, prefix)) => {
                    let size = prefix + length as usize;
                    if size <= rest.len() {
                        return Ok((self.at + prefix, self.at + size));
                    }
                    size
                }
                Err(VarintError::Truncated) => rest.len() + 1,
                Err(VarintError::TooLong) => return Err(self.fail(self.fault(RecordFault::Varint))),
            };
            self.refill(needed).map_err(|kind| self.fail(kind))?;
        }
    }

    /// Decodes until `block` holds `needed` bytes from `at` on, which it does not yet.
    fn refill(&mut self, needed: usize) -> Result<(), RecordErrorKind> {
        let held = self.block.len() - self.at;
        let Some(source) = self.source.as_deref_mut().filter(|source| !source.is_ended()) else {
            return Err(match held {
                0 => RecordErrorKind::MissingRecords { count: self.count, found: self.index },
                _ => self.fault(RecordFault::CutOff),
            });
        };
        if needed - held > source.room() {
            return Err(source.limit_error().into());
        }
        let hint = source.size_hint();
        let mut block = Vec::with_capacity(held + hint.clamp(MIN_BLOCK, MAX_BLOCK));
        block.extend_from_slice(&self.block[self.at..]);
        // A record's length is only a claim. Beyond a block, memory follows what was really decoded.
        let full = held + hint.clamp(MIN_BLOCK, MAX_BLOCK);
        loop {
            let want =
                if block.len() < full { full - block.len() } else { block.len().min(needed - block.len()) };
            let ended = source.read(&mut block, want)?;
            if ended || block.len() >= needed.max(full) {
                break;
            }
        }
        self.block = tight(block);
        self.blocks = self.blocks.wrapping_add(1);
        self.at = 0;
        Ok(())
    }

    #[cold]
    fn end(&mut self) -> Result<(), RecordError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.check_end().map_err(|kind| self.fail(kind))
    }

    /// After the last record there must be nothing more.
    fn check_end(&mut self) -> Result<(), RecordErrorKind> {
        let mut left = self.at < self.block.len();
        if let Some(source) = self.source.as_deref_mut()
            && !left
            && !source.is_ended()
        {
            let mut rest = Vec::new();
            source.read(&mut rest, 1)?;
            left = !rest.is_empty();
        }
        if left { Err(RecordErrorKind::TrailingBytes { count: self.count }) } else { Ok(()) }
    }

    fn fault(&self, fault: RecordFault) -> RecordErrorKind {
        RecordErrorKind::Record { index: self.index, fault }
    }

    fn fail(&mut self, kind: RecordErrorKind) -> RecordError {
        let error = self.error(kind);
        self.failed = Some(error);
        self.block = Bytes::new();
        self.at = 0;
        self.source = None;
        error
    }

    fn error(&self, kind: RecordErrorKind) -> RecordError {
        RecordError { base_offset: self.base_offset, kind }
    }
}

/// Records that own their share of the buffer; an error is the last item.
impl Iterator for BatchCursor {
    type Item = Result<Record, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed.is_some() {
            return None;
        }
        self.next_record().transpose()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.remaining() + 1))
    }
}

/// Attributes, two deltas, null key, null value, no headers; before them a length of one byte.
const SMALLEST_BODY: i32 = 6;
const SMALLEST_RECORD: i64 = 7;

/// How much is decoded at once: little for a small batch, never so much that a hostile one costs memory.
const MIN_BLOCK: usize = 512;
const MAX_BLOCK: usize = 1024 * 1024;
