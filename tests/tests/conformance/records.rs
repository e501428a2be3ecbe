//! What the judges of record batches share: reading as a consumer does, and records as the vectors print them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ottla_protocol::records::{BatchHeader, Batches, ControlRecord, DecodeOptions, RecordError, RecordRef};
use serde_json::{Value as Json, json};

/// What came out of bytes that a broker might have sent.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// The records that an application gets, as the vectors print them, up to a number of them.
    pub(crate) records: Vec<Json>,
    /// How many records an application gets.
    pub(crate) count: u64,
    /// Whether a control batch was among the batches.
    pub(crate) control: bool,
    /// The offset where the next fetch begins.
    pub(crate) position: i64,
    /// Whether the position or an offset ever went back, or a batch moved nothing on.
    pub(crate) backwards: bool,
    /// Why reading ended before the bytes did.
    pub(crate) error: Option<RecordError>,
}

/// Reads batch after batch: no record before the position, none of a control batch. Prints the first `keep` records.
pub(crate) fn read_as_a_consumer(bytes: &Bytes, options: &DecodeOptions, keep: usize) -> Read {
    let mut read = Read::default();
    read.error = walk(bytes, options, keep, &mut read).err();
    read
}

fn walk(bytes: &Bytes, options: &DecodeOptions, keep: usize, read: &mut Read) -> Result<(), RecordError> {
    for batch in Batches::new(bytes.clone()) {
        let batch = batch?;
        let mut cursor = batch.cursor(options)?;
        cursor.skip_to(read.position);
        read.control |= batch.is_control();
        while let Some(record) = cursor.next_ref()? {
            read.backwards |= record.offset < read.position;
            read.position = record.offset + 1;
            if !batch.is_control() {
                read.count += 1;
                if read.records.len() < keep {
                    read.records.push(record_json(batch.header(), &record));
                }
            }
        }
        read.position = read.position.max(cursor.next_offset());
        read.backwards |= read.position <= batch.header().base_offset;
    }
    Ok(())
}

/// A record as the vectors print it.
pub(crate) fn record_json(header: &BatchHeader, record: &RecordRef<'_>) -> Json {
    let base64 = |bytes: Option<&[u8]>| bytes.map(|bytes| STANDARD.encode(bytes));
    let headers: Vec<Json> = record.headers.iter().map(|h| json!([h.key_str(), base64(h.value)])).collect();
    let mut json = json!({
        "offset": record.offset,
        "timestamp": record.timestamp,
        "sequence": header.sequence_of(record.offset),
        "key": base64(record.key),
        "value": base64(record.value),
        "headers": headers,
    });
    if header.attributes.is_control() {
        let (kind, epoch) = match ControlRecord::of(record) {
            Ok(ControlRecord::Abort { coordinator_epoch }) => ("ABORT", coordinator_epoch),
            Ok(ControlRecord::Commit { coordinator_epoch }) => ("COMMIT", coordinator_epoch),
            _ => return json,
        };
        json["control_type"] = kind.into();
        json["coordinator_epoch"] = epoch.into();
    }
    json
}
