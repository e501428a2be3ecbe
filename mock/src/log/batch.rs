//! Batches cut out of bytes, patched in place, and built anew.

use bytes::Bytes;
use ottla_protocol::compression::{Compression, CompressionError, Compressor};
use ottla_protocol::records::{
    BATCH_HEADER_LEN, BATCH_LENGTH_OFFSET, BatchAttributes, BatchHeader, Batches, MAGIC_V2, Record,
    RecordBatch, TimestampType,
};
use ottla_protocol::varint::{put_varint, put_varlong, varint_len, varlong_len};

/// Where the CRC stands, and the attributes after it, from where on it counts.
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;
const MAX_TIMESTAMP_END: usize = 43;

/// The attribute that makes the base timestamp a delete horizon (KIP-534).
const DELETE_HORIZON: i16 = 0x40;

/// The batch as it stands in the log at this place. The CRC is renewed if a timestamp changes.
pub(super) fn placed(
    batch: &RecordBatch,
    base_offset: i64,
    leader_epoch: i32,
    timestamp_type: TimestampType,
    max_timestamp: i64,
) -> RecordBatch {
    let placed = batch.rebased(base_offset, leader_epoch);
    let header = batch.header();
    if header.attributes.timestamp_type() == timestamp_type && header.max_timestamp == max_timestamp {
        return placed;
    }
    let mut bytes = placed.bytes().to_vec();
    let attributes = header.attributes.with_timestamp_type(timestamp_type);
    bytes[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.0.to_be_bytes());
    bytes[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_END].copy_from_slice(&max_timestamp.to_be_bytes());
    seal(bytes)
}

/// A batch of these records. Of the header the places, the producer and the kind count; the length, the CRC, the number
/// of records and the codec follow from the rest.
pub(super) fn build(
    header: &BatchHeader,
    codec: Compression,
    records: &[Record],
) -> Result<RecordBatch, CompressionError> {
    let mut plain = Vec::new();
    for record in records {
        put_record(&mut plain, header, record);
    }
    let mut codec = if records.is_empty() { Compression::None } else { codec };
    let mut compressor = Compressor::new(codec.default_level())?;
    let payload = match compressor.compress(&plain)? {
        Some(compressed) => compressed,
        None => {
            codec = Compression::None;
            &plain
        }
    };
    let mut bytes = Vec::with_capacity(BATCH_HEADER_LEN + payload.len());
    bytes.extend(header.base_offset.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(header.partition_leader_epoch.to_be_bytes());
    bytes.extend(MAGIC_V2.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(header.attributes.with_compression(codec).0.to_be_bytes());
    bytes.extend(header.last_offset_delta.to_be_bytes());
    bytes.extend(header.base_timestamp.to_be_bytes());
    bytes.extend(header.max_timestamp.to_be_bytes());
    bytes.extend(header.producer_id.to_be_bytes());
    bytes.extend(header.producer_epoch.to_be_bytes());
    bytes.extend(header.base_sequence.to_be_bytes());
    bytes.extend((records.len() as i32).to_be_bytes());
    bytes.extend(payload);
    Ok(seal(bytes))
}

/// These attributes with a delete horizon or without.
pub(super) fn with_delete_horizon(attributes: BatchAttributes, set: bool) -> BatchAttributes {
    BatchAttributes(if set { attributes.0 | DELETE_HORIZON } else { attributes.0 & !DELETE_HORIZON })
}

/// Writes the length and the CRC into a batch that is complete otherwise.
fn seal(mut bytes: Vec<u8>) -> RecordBatch {
    let length = (bytes.len() - BATCH_LENGTH_OFFSET) as i32;
    bytes[8..BATCH_LENGTH_OFFSET].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[ATTRIBUTES_AT..]);
    bytes[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
    let batch = Batches::new(Bytes::from(bytes)).next();
    batch.and_then(Result::ok).expect("a header was written, and the length is that of the bytes")
}

fn put_record(out: &mut Vec<u8>, header: &BatchHeader, record: &Record) {
    let timestamp_delta = record.timestamp().wrapping_sub(header.base_timestamp);
    let offset_delta = (record.offset() - header.base_offset) as i32;
    let headers = record.headers();
    let mut size =
        1 + varlong_len(timestamp_delta) + varint_len(offset_delta) + varint_len(headers.len() as i32);
    size += field_len(record.key()) + field_len(record.value());
    size += headers.iter().map(|header| field_len(Some(header.key)) + field_len(header.value)).sum::<usize>();

    put_varint(out, size as i32);
    out.push(0);
    put_varlong(out, timestamp_delta);
    put_varint(out, offset_delta);
    put_field(out, record.key());
    put_field(out, record.value());
    put_varint(out, headers.len() as i32);
    for header in headers.iter() {
        put_field(out, Some(header.key));
        put_field(out, header.value);
    }
}

fn field_len(field: Option<&[u8]>) -> usize {
    field.map_or(varint_len(-1), |bytes| varint_len(bytes.len() as i32) + bytes.len())
}

fn put_field(out: &mut Vec<u8>, field: Option<&[u8]>) {
    put_varint(out, field.map_or(-1, |bytes| bytes.len() as i32));
    out.extend(field.unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::records::{BatchBuilder, DecodeOptions, ProducerState, SealOptions};

    fn records(batch: &RecordBatch) -> Vec<Record> {
        let mut cursor = batch.cursor(&DecodeOptions::DEFAULT).unwrap();
        std::iter::from_fn(|| cursor.next_record().unwrap()).collect()
    }

    fn batch() -> RecordBatch {
        let mut builder = BatchBuilder::new(1024);
        builder
            .try_append(1_000, Some(b"k"), Some(b"value"), &[("h", Some(&b"x"[..])), ("n", None)])
            .unwrap();
        builder.try_append(900, None, Some(b""), &[("", None)]).unwrap();
        builder.try_append(1_100, Some(b"k2"), None, &ottla_protocol::records::NO_HEADERS).unwrap();
        let options = SealOptions {
            producer: ProducerState { producer_id: 7, producer_epoch: 1, base_sequence: 5 },
            transactional: true,
            base_offset: 40,
            partition_leader_epoch: 3,
            ..SealOptions::default()
        };
        builder.seal(&options, &mut Compressor::none()).unwrap().into_batch()
    }

    #[test]
    fn a_batch_built_from_a_batchs_records_has_its_bytes() {
        let batch = batch();
        assert_eq!(build(batch.header(), Compression::None, &records(&batch)), Ok(batch));
    }

    #[test]
    fn a_batch_in_another_codec_holds_the_same_records() {
        let batch = batch();
        for codec in Compression::ALL.into_iter().filter(|codec| codec.is_available()) {
            let other = build(batch.header(), codec, &records(&batch)).unwrap();
            assert_eq!(other.header().attributes.compression(), Ok(codec));
            let show = |batch: &RecordBatch| {
                records(batch).iter().map(|record| format!("{record:?}")).collect::<Vec<_>>()
            };
            assert_eq!(show(&other), show(&batch));
        }
    }

    #[test]
    fn a_batch_keeps_its_crc_at_another_place_and_gets_a_new_one_with_another_timestamp() {
        let batch = batch();
        let moved = placed(&batch, 100, 9, TimestampType::CreateTime, 1_100);
        assert_eq!((moved.header().base_offset, moved.header().partition_leader_epoch), (100, 9));
        assert_eq!((moved.header().crc, moved.verify_crc()), (batch.header().crc, Ok(())));

        let stamped = placed(&batch, 100, 9, TimestampType::LogAppendTime, 5_000);
        assert_eq!(stamped.verify_crc(), Ok(()));
        assert_eq!(
            records(&stamped).iter().map(|record| (record.offset(), record.timestamp())).collect::<Vec<_>>(),
            [(100, 5_000), (101, 5_000), (102, 5_000)]
        );
    }
}
