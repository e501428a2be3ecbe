//! [`SealedBatch`]: a finished batch on its way to a broker, perhaps more than once.

use alloc::vec::Vec;

use bytes::Bytes;

use super::batch::RecordBatch;
use super::builder::Contents;
use super::cursor::{BatchCursor, DecodeOptions};
use super::error::RecordError;
use super::header::{
    ATTRIBUTES_AT, BATCH_HEADER_LEN, BATCH_LENGTH_OFFSET, BatchAttributes, BatchHeader, CRC_AT, TimestampType,
};
use crate::crc32c;

/// Who wrote a batch, for the broker's check of duplicates and order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerState {
    /// The idempotent producer's id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// The sequence number of the batch's first record.
    pub base_sequence: i32,
}

impl ProducerState {
    /// A producer that is not idempotent.
    pub const NONE: ProducerState = ProducerState { producer_id: -1, producer_epoch: -1, base_sequence: -1 };
}

impl Default for ProducerState {
    fn default() -> Self {
        ProducerState::NONE
    }
}

/// What a batch's header says beyond what its records tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealOptions {
    /// Who writes it.
    pub producer: ProducerState,
    /// Whether it is part of a transaction.
    pub transactional: bool,
    /// Whether its records are control records.
    pub control: bool,
    /// The first offset: 0 in a produce request.
    pub base_offset: i64,
    /// The leader's epoch: -1 in a produce request.
    pub partition_leader_epoch: i32,
    /// The broker's time in milliseconds since 1970, in place of the records' own timestamps.
    pub log_append_time: Option<i64>,
}

impl Default for SealOptions {
    fn default() -> Self {
        SealOptions {
            producer: ProducerState::NONE,
            transactional: false,
            control: false,
            base_offset: 0,
            partition_leader_epoch: -1,
            log_append_time: None,
        }
    }
}

/// A finished batch.
///
/// Its bytes are shared, not copied, with every request that carries them. Once those are gone,
/// [`SealedBatch::into_buffer`] gives the buffer back for another batch.
#[derive(Clone, Debug)]
pub struct SealedBatch {
    /// The whole buffer, of which the batch takes the first `len` bytes.
    buffer: Bytes,
    len: usize,
    uncompressed: usize,
    header: BatchHeader,
}

impl SealedBatch {
    pub(super) fn new(
        mut buffer: Vec<u8>,
        len: usize,
        contents: &Contents,
        options: &SealOptions,
    ) -> SealedBatch {
        let timestamp_type = match options.log_append_time {
            Some(_) => TimestampType::LogAppendTime,
            None => TimestampType::CreateTime,
        };
        let mut header = BatchHeader {
            base_offset: options.base_offset,
            batch_length: (len - BATCH_LENGTH_OFFSET) as i32,
            partition_leader_epoch: options.partition_leader_epoch,
            crc: 0,
            attributes: BatchAttributes::default()
                .with_compression(contents.codec)
                .with_timestamp_type(timestamp_type)
                .with_transactional(options.transactional)
                .with_control(options.control),
            last_offset_delta: contents.last_offset_delta,
            base_timestamp: contents.base_timestamp,
            max_timestamp: options.log_append_time.unwrap_or(contents.max_timestamp),
            producer_id: options.producer.producer_id,
            producer_epoch: options.producer.producer_epoch,
            base_sequence: options.producer.base_sequence,
            count: contents.count,
        };
        header.crc = write_header(&mut buffer[..len], &header, contents.records_crc);
        SealedBatch { buffer: buffer.into(), len, uncompressed: contents.uncompressed, header }
    }

    /// The batch as it is sent.
    pub fn bytes(&self) -> Bytes {
        self.buffer.slice(..self.len)
    }

    /// Bytes that are sent.
    pub fn size(&self) -> usize {
        self.len
    }

    /// Bytes before compression, header included.
    pub fn uncompressed_size(&self) -> usize {
        self.uncompressed
    }

    /// Bytes of memory that the buffer takes.
    pub fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// How many records there are.
    pub fn count(&self) -> usize {
        self.header.count as usize
    }

    /// The latest timestamp of its records.
    pub fn max_timestamp(&self) -> i64 {
        self.header.max_timestamp
    }

    /// Who wrote it.
    pub fn producer(&self) -> ProducerState {
        let BatchHeader { producer_id, producer_epoch, base_sequence, .. } = self.header;
        ProducerState { producer_id, producer_epoch, base_sequence }
    }

    /// The header.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Changes who wrote it and the CRC with it: after a new epoch, or when sequence numbers are given out
    /// after compression. The bytes are copied if a request still holds them, so that nothing changes under
    /// its hands.
    pub fn set_producer(&mut self, producer: ProducerState) {
        if producer == self.producer() {
            return;
        }
        let ProducerState { producer_id, producer_epoch, base_sequence } = producer;
        let mut buffer = match core::mem::take(&mut self.buffer).try_into_mut() {
            Ok(buffer) => Vec::from(buffer),
            Err(shared) => shared[..self.len].to_vec(),
        };
        let before = crc32c::crc32c(&buffer[ATTRIBUTES_AT..BATCH_HEADER_LEN]);
        self.header = BatchHeader { producer_id, producer_epoch, base_sequence, ..self.header };
        // What the sum of all is without that of the former header: the records need not be read again.
        let records = self.header.crc ^ crc32c::shift(before, self.len - BATCH_HEADER_LEN);
        self.header.crc = write_header(&mut buffer[..self.len], &self.header, Some(records));
        self.buffer = buffer.into();
    }

    /// The records again, to put them into smaller batches when a broker finds this one too large.
    ///
    /// # Errors
    /// [`RecordError`] when decompression fails, or would give more than the batch was made of.
    pub fn cursor(&self) -> Result<BatchCursor, RecordError> {
        let options = DecodeOptions { check_crcs: false, max_decompressed_bytes: self.uncompressed };
        BatchCursor::new(&self.header, self.buffer.slice(BATCH_HEADER_LEN..self.len), &options)
    }

    /// This batch as a reader sees it.
    pub fn into_batch(self) -> RecordBatch {
        RecordBatch::new(self.header, self.buffer.slice(..self.len))
    }

    /// The buffer for another batch, unless a request or a record still holds it. It may be longer than the
    /// builder's limit, after a record that was, or after incompressible records.
    pub fn into_buffer(self) -> Option<Vec<u8>> {
        self.buffer.try_into_mut().ok().map(Vec::from)
    }
}

/// Writes the header to the front of a batch that is complete otherwise, and returns the CRC. The records' own may be known.
fn write_header(batch: &mut [u8], header: &BatchHeader, records: Option<u32>) -> u32 {
    if let Some(bytes) = batch.first_chunk_mut() {
        header.write(bytes);
    }
    let crc = match records {
        Some(records) => {
            let front = crc32c::crc32c(&batch[ATTRIBUTES_AT..BATCH_HEADER_LEN]);
            crc32c::join(front, records, batch.len() - BATCH_HEADER_LEN)
        }
        None => crc32c::crc32c(&batch[ATTRIBUTES_AT..]),
    };
    batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
    crc
}
