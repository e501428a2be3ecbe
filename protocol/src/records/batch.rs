//! Batches in what a broker sent: split by their headers, nothing verified or decompressed before it is asked
//! for.

use bytes::Bytes;

use super::cursor::{BatchCursor, DecodeOptions};
use super::error::{RecordError, RecordErrorKind};
use super::header::{
    ATTRIBUTES_AT, BATCH_HEADER_LEN, BATCH_LENGTH_OFFSET, BatchHeader, LEADER_EPOCH_AT, MAGIC_AT, MAGIC_V2,
};

/// The smallest length that Java takes for an entry of any format; what is below it is damage, whatever the
/// format.
const SMALLEST_ENTRY: i32 = 14;

/// The batches of a fetch response's partition, one after the other.
///
/// A batch that is cut off at the end, as brokers do at a fetch's size limit, is not an error: iteration ends
/// before it, and [`Batches::remaining`] says how many bytes it has. After an error there is nothing more, as
/// the next batch's place is then unknown.
///
/// Offsets are not compared from batch to batch: a consumer skips what is before its position
/// ([`BatchCursor::skip_to`]), which also covers batches that overlap.
#[derive(Clone, Debug)]
pub struct Batches {
    bytes: Bytes,
    failed: bool,
}

impl Batches {
    /// The batches in these bytes.
    pub fn new(bytes: Bytes) -> Batches {
        Batches { bytes, failed: false }
    }

    /// Bytes after the last batch that was yielded: those still to come, and a batch that is cut off.
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// The same bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    fn split_next(&mut self) -> Result<Option<RecordBatch>, RecordError> {
        let Some(prefix) = self.bytes.first_chunk::<BATCH_LENGTH_OFFSET>() else { return Ok(None) };
        let [o0, o1, o2, o3, o4, o5, o6, o7, l0, l1, l2, l3] = *prefix;
        let base_offset = i64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7]);
        let length = i32::from_be_bytes([l0, l1, l2, l3]);
        let error = |kind| RecordError { base_offset, kind };
        if length < SMALLEST_ENTRY {
            return Err(error(RecordErrorKind::BatchLength { length }));
        }
        let Some(&magic) = self.bytes.get(MAGIC_AT) else { return Ok(None) };
        match magic as i8 {
            MAGIC_V2 => {}
            magic @ (0 | 1) => return Err(error(RecordErrorKind::UnsupportedMagic { magic })),
            magic => return Err(error(RecordErrorKind::UnknownMagic { magic })),
        }
        let size = BATCH_LENGTH_OFFSET + length as usize;
        if size < BATCH_HEADER_LEN {
            return Err(error(RecordErrorKind::BatchLength { length }));
        }
        if self.bytes.len() < size {
            return Ok(None);
        }
        let bytes = self.bytes.split_to(size);
        Ok(RecordBatch::of(bytes))
    }
}

impl From<Bytes> for Batches {
    fn from(bytes: Bytes) -> Self {
        Batches::new(bytes)
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let batch = self.split_next();
        self.failed = batch.is_err();
        batch.transpose()
    }
}

/// A complete batch, of which only the header has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordBatch {
    header: BatchHeader,
    bytes: Bytes,
}

impl RecordBatch {
    pub(super) fn new(header: BatchHeader, bytes: Bytes) -> RecordBatch {
        RecordBatch { header, bytes }
    }

    /// The batch that takes all of `bytes`, if they are long enough for a header.
    fn of(bytes: Bytes) -> Option<RecordBatch> {
        let header = BatchHeader::read(bytes.first_chunk()?);
        Some(RecordBatch { header, bytes })
    }

    /// The header.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// All bytes of the batch, header included.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The bytes after the header: records, compressed or not.
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(BATCH_HEADER_LEN..)
    }

    /// Its length in bytes, header included.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Whether its records are for brokers and clients only.
    pub fn is_control(&self) -> bool {
        self.header.attributes.is_control()
    }

    /// Compares the CRC with the bytes.
    ///
    /// # Errors
    /// [`RecordErrorKind::Crc`] when they differ.
    pub fn verify_crc(&self) -> Result<(), RecordError> {
        let computed = crate::crc32c::crc32c(&self.bytes[ATTRIBUTES_AT..]);
        let stored = self.header.crc;
        if computed == stored { Ok(()) } else { Err(self.error(RecordErrorKind::Crc { stored, computed })) }
    }

    /// A cursor before the first record. The CRC is compared and decompression begins here, unless `options`
    /// say otherwise.
    ///
    /// # Errors
    /// [`RecordError`] when the CRC is wrong, the header contradicts itself, or the codec is unknown or not
    /// built in.
    pub fn cursor(&self, options: &DecodeOptions) -> Result<BatchCursor, RecordError> {
        if options.check_crcs {
            self.verify_crc()?;
        }
        BatchCursor::new(&self.header, self.payload(), options)
    }

    /// This batch at another place of a log: what a broker does on append. The CRC doesn't cover what
    /// changes.
    #[must_use]
    pub fn rebased(&self, base_offset: i64, partition_leader_epoch: i32) -> RecordBatch {
        let mut bytes = self.bytes.to_vec();
        bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
        bytes[LEADER_EPOCH_AT..MAGIC_AT].copy_from_slice(&partition_leader_epoch.to_be_bytes());
        let header = BatchHeader { base_offset, partition_leader_epoch, ..self.header };
        RecordBatch { header, bytes: bytes.into() }
    }

    fn error(&self, kind: RecordErrorKind) -> RecordError {
        RecordError { base_offset: self.header.base_offset, kind }
    }
}
