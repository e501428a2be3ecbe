//! What a leader looks for in a client's batch before it takes it.

use ottla_protocol::compression::{Compression, CompressionError};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::records::{
    BatchHeader, DecodeOptions, NO_TIMESTAMP, Record, RecordBatch, RecordErrorKind, RecordRef, TimestampType,
};

use super::append::{AppendError, RecordError, header_is_a_clients};
use super::{LogConfig, batch};

/// The CRC was compared already.
const UNCHECKED: DecodeOptions = DecodeOptions { check_crcs: false, ..DecodeOptions::DEFAULT };

/// Where a batch will stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
}

/// The batch as the log keeps it: checked, numbered, with the topic's kind of timestamps and codec.
pub(super) fn validated(
    config: &LogConfig,
    now_ms: i64,
    source: &RecordBatch,
    place: Place,
) -> Result<RecordBatch, AppendError> {
    let header = source.header();
    if !header_is_a_clients(header) {
        return Err(AppendError::of(ErrorCode::INVALID_RECORD));
    }
    let codec = header.attributes.compression().map_err(|_| AppendError::of(ErrorCode::INVALID_RECORD))?;
    let target = config.compression.unwrap_or(codec);

    let mut max_timestamp = NO_TIMESTAMP;
    let mut faults = Faults::default();
    let mut cursor = source.cursor(&UNCHECKED).map_err(unreadable)?;
    let mut index = 0;
    while let Some(record) = cursor.next_ref().map_err(unreadable)? {
        match fault(config, now_ms, header, &record) {
            Some((code, message)) => faults.add(code, index, message),
            None => max_timestamp = max_timestamp.max(record.timestamp),
        }
        index += 1;
    }
    faults.into_result()?;

    let timestamp_type = config.timestamp_type;
    if timestamp_type == TimestampType::LogAppendTime {
        max_timestamp = now_ms;
    }
    if target == codec {
        return Ok(batch::placed(source, place.offset, place.leader_epoch, timestamp_type, max_timestamp));
    }
    let rewritten = recompressed(source, target)?;
    Ok(batch::placed(&rewritten, place.offset, place.leader_epoch, timestamp_type, max_timestamp))
}

/// The batch in another codec.
fn recompressed(source: &RecordBatch, codec: Compression) -> Result<RecordBatch, AppendError> {
    let mut cursor = source.cursor(&UNCHECKED).map_err(unreadable)?;
    let mut records = Vec::new();
    while let Some(record) = cursor.next_record().map_err(unreadable)? {
        records.push(record);
    }
    let base_timestamp = records.first().map_or(NO_TIMESTAMP, Record::timestamp);
    let header = BatchHeader { base_timestamp, ..*source.header() };
    batch::build(&header, codec, &records)
        .map_err(|_| AppendError::of(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE))
}

/// What is wrong with a record, if anything is.
fn fault(
    config: &LogConfig,
    now_ms: i64,
    header: &BatchHeader,
    record: &RecordRef<'_>,
) -> Option<(ErrorCode, String)> {
    if config.compact && record.key.is_none() {
        return Some((
            ErrorCode::INVALID_RECORD,
            "a compacted topic takes no record without a key".to_owned(),
        ));
    }
    if config.timestamp_type == TimestampType::CreateTime && record.timestamp != NO_TIMESTAMP {
        let age = now_ms.saturating_sub(record.timestamp);
        let ahead = record.timestamp.saturating_sub(now_ms);
        if age > config.timestamp_before_max_ms || ahead > config.timestamp_after_max_ms {
            let earliest = now_ms.saturating_sub(config.timestamp_before_max_ms);
            let latest = now_ms.saturating_add(config.timestamp_after_max_ms);
            let message =
                format!("the timestamp {} is not between {earliest} and {latest}", record.timestamp);
            return Some((ErrorCode::INVALID_TIMESTAMP, message));
        }
    } else if header.attributes.timestamp_type() == TimestampType::LogAppendTime {
        return Some((ErrorCode::INVALID_TIMESTAMP, "only brokers set the log append time".to_owned()));
    }
    None
}

/// The records at fault.
#[derive(Default)]
struct Faults {
    errors: Vec<RecordError>,
    has_timestamp: bool,
}

impl Faults {
    fn add(&mut self, code: ErrorCode, index: i32, message: String) {
        self.has_timestamp |= code == ErrorCode::INVALID_TIMESTAMP;
        self.errors.push(RecordError { index, message });
    }

    fn into_result(self) -> Result<(), AppendError> {
        if self.errors.is_empty() {
            return Ok(());
        }
        let code = if self.has_timestamp { ErrorCode::INVALID_TIMESTAMP } else { ErrorCode::INVALID_RECORD };
        let message = format!("the batch was refused because of {} of its records", self.errors.len());
        Err(AppendError { record_errors: self.errors, message: Some(message), ..AppendError::of(code) })
    }
}

/// The refusal of a batch whose records can't be read, though its CRC is right.
fn unreadable(error: ottla_protocol::records::RecordError) -> AppendError {
    AppendError::of(match error.kind {
        RecordErrorKind::Compression(CompressionError::Disabled { .. }) => {
            ErrorCode::UNSUPPORTED_COMPRESSION_TYPE
        }
        RecordErrorKind::Compression(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
        _ => ErrorCode::INVALID_RECORD,
    })
}
