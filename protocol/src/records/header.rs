//! The 61 bytes before a batch's records.

use bytes::{Buf, BufMut};

use super::sequence;
use crate::compression::Compression;

/// Bytes of a batch before its records.
pub const BATCH_HEADER_LEN: usize = 61;

/// Bytes that a batch's length field does not count: the base offset and the length itself.
pub const BATCH_LENGTH_OFFSET: usize = 12;

/// The only message format that is supported, in every Kafka since 0.11.
pub const MAGIC_V2: i8 = 2;

/// Where the leader epoch stands; the base offset is at 0 and the length at 8.
pub(super) const LEADER_EPOCH_AT: usize = 12;
/// Where the format stands, in every format.
pub(super) const MAGIC_AT: usize = 16;
/// Where the CRC stands.
pub(super) const CRC_AT: usize = 17;
/// Where the bytes begin that the CRC covers.
pub(super) const ATTRIBUTES_AT: usize = 21;

/// No timestamp.
pub const NO_TIMESTAMP: i64 = -1;

/// A batch's header (KIP-98), in the order of its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset that records' deltas count from; the first record's, unless compaction removed it.
    pub base_offset: i64,
    /// Bytes after this field.
    pub batch_length: i32,
    /// The leader epoch in which the batch was appended; -1 in a produce request.
    pub partition_leader_epoch: i32,
    /// CRC-32C of everything after this field.
    pub crc: u32,
    /// Codec, kind of timestamps, transactional, control, delete horizon.
    pub attributes: BatchAttributes,
    /// The last offset less the base offset, also when compaction removed the last record.
    pub last_offset_delta: i32,
    /// The timestamp that records' deltas count from, in milliseconds since 1970.
    pub base_timestamp: i64,
    /// The latest timestamp in the batch, or the broker's under log-append time.
    pub max_timestamp: i64,
    /// The idempotent producer's id, or -1.
    pub producer_id: i64,
    /// Its epoch, or -1.
    pub producer_epoch: i16,
    /// The sequence number of the base offset, or -1.
    pub base_sequence: i32,
    /// How many records follow.
    pub count: i32,
}

impl BatchHeader {
    /// Reads a header of format v2; the format itself has been checked.
    pub(super) fn read(bytes: &[u8; BATCH_HEADER_LEN]) -> BatchHeader {
        let bytes = &mut &bytes[..];
        let base_offset = bytes.get_i64();
        let batch_length = bytes.get_i32();
        let partition_leader_epoch = bytes.get_i32();
        bytes.advance(1);
        BatchHeader {
            base_offset,
            batch_length,
            partition_leader_epoch,
            crc: bytes.get_u32(),
            attributes: BatchAttributes(bytes.get_i16()),
            last_offset_delta: bytes.get_i32(),
            base_timestamp: bytes.get_i64(),
            max_timestamp: bytes.get_i64(),
            producer_id: bytes.get_i64(),
            producer_epoch: bytes.get_i16(),
            base_sequence: bytes.get_i32(),
            count: bytes.get_i32(),
        }
    }

    /// The header's bytes.
    pub(super) fn write(&self, bytes: &mut [u8; BATCH_HEADER_LEN]) {
        let out = &mut &mut bytes[..];
        out.put_i64(self.base_offset);
        out.put_i32(self.batch_length);
        out.put_i32(self.partition_leader_epoch);
        out.put_i8(MAGIC_V2);
        out.put_u32(self.crc);
        out.put_i16(self.attributes.0);
        out.put_i32(self.last_offset_delta);
        out.put_i64(self.base_timestamp);
        out.put_i64(self.max_timestamp);
        out.put_i64(self.producer_id);
        out.put_i16(self.producer_epoch);
        out.put_i32(self.base_sequence);
        out.put_i32(self.count);
    }

    /// The offset of the batch's last record, which compaction may have removed.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The offset after the batch, where a fetch goes on.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// Whether an idempotent producer wrote the batch.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > -1
    }

    /// The sequence number of the record at `offset` within the batch, or -1 without an idempotent producer.
    pub fn sequence_of(&self, offset: i64) -> i32 {
        match i32::try_from(offset.saturating_sub(self.base_offset)) {
            Ok(delta) if self.base_sequence >= 0 && delta >= 0 => sequence::add(self.base_sequence, delta),
            _ => -1,
        }
    }

    /// The sequence number of the batch's last offset, or -1.
    pub fn last_sequence(&self) -> i32 {
        self.sequence_of(self.last_offset())
    }

    /// Until when a transaction marker or tombstone stays in a compacted log (KIP-534), in milliseconds since
    /// 1970.
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        self.attributes.has_delete_horizon().then_some(self.base_timestamp)
    }
}

/// A batch's attributes: reserved bits are kept and ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BatchAttributes(pub i16);

impl BatchAttributes {
    const CODEC: i16 = 0x07;
    const LOG_APPEND_TIME: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;
    const DELETE_HORIZON: i16 = 0x40;

    /// How the records are compressed, or the id of a codec that is not known.
    pub fn compression(self) -> Result<Compression, u8> {
        let id = (self.0 & Self::CODEC) as u8;
        Compression::from_id(id).ok_or(id)
    }

    /// Whose clock the records' timestamps are from.
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the batch is part of a transaction.
    pub const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether the batch holds control records, which no application sees.
    pub const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// Whether the base timestamp is the delete horizon.
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    /// These attributes with another codec.
    #[must_use]
    pub const fn with_compression(self, codec: Compression) -> BatchAttributes {
        BatchAttributes(self.0 & !Self::CODEC | codec.id() as i16)
    }

    /// These attributes with another kind of timestamps.
    #[must_use]
    pub const fn with_timestamp_type(self, timestamp_type: TimestampType) -> BatchAttributes {
        self.with(Self::LOG_APPEND_TIME, matches!(timestamp_type, TimestampType::LogAppendTime))
    }

    /// These attributes, part of a transaction or not.
    #[must_use]
    pub const fn with_transactional(self, transactional: bool) -> BatchAttributes {
        self.with(Self::TRANSACTIONAL, transactional)
    }

    /// These attributes, with control records or without.
    #[must_use]
    pub const fn with_control(self, control: bool) -> BatchAttributes {
        self.with(Self::CONTROL, control)
    }

    const fn with(self, bit: i16, set: bool) -> BatchAttributes {
        BatchAttributes(if set { self.0 | bit } else { self.0 & !bit })
    }
}

/// Whose clock a record's timestamp is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer's, when the record was made.
    #[default]
    CreateTime,
    /// The broker's, when the batch was appended.
    LogAppendTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_from_its_bytes() {
        let header = BatchHeader {
            base_offset: 1,
            batch_length: 2,
            partition_leader_epoch: 3,
            crc: 4,
            attributes: BatchAttributes(5),
            last_offset_delta: 6,
            base_timestamp: 7,
            max_timestamp: 8,
            producer_id: 9,
            producer_epoch: 10,
            base_sequence: 11,
            count: 12,
        };
        let mut bytes = [0; BATCH_HEADER_LEN];
        header.write(&mut bytes);
        assert_eq!(BatchHeader::read(&bytes), header);
        assert_eq!(bytes[MAGIC_AT], 2);
        assert_eq!(bytes[CRC_AT..ATTRIBUTES_AT], [0, 0, 0, 4]);
    }

    #[test]
    fn attributes_keep_bits_they_do_not_know() {
        let attributes = BatchAttributes(0x7f80)
            .with_compression(Compression::Zstd)
            .with_timestamp_type(TimestampType::LogAppendTime)
            .with_transactional(true)
            .with_control(true);
        assert_eq!(attributes, BatchAttributes(0x7fbc));
        assert_eq!(
            attributes.with_transactional(false).with_compression(Compression::None),
            BatchAttributes(0x7fa8)
        );
        assert_eq!(BatchAttributes(6).compression(), Err(6));
    }
}
