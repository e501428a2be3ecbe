//! What comes into a log: clients' batches and coordinators' markers.

use bytes::Bytes;
use ottla_protocol::compression::{Compression, Compressor};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::records::{
    BatchBuilder, BatchHeader, Batches, ControlRecord, NO_HEADERS, ProducerState, RecordBatch,
    RecordErrorKind, SealOptions, TimestampType,
};

use super::producers::Ending;
use super::segment::{Aborted, Segment};
use super::{PartitionLog, validate};

/// What an append needs to know besides the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendContext {
    /// The produce request's version.
    pub version: i16,
    /// The epoch of the leader that appends.
    pub leader_epoch: i32,
    /// Whether the transaction's coordinator confirmed that the partition is in the transaction, or that is not asked
    /// (Kafka before 3.6). Counts for transactional batches only.
    pub verified: bool,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The first record's offset.
    pub base_offset: i64,
    /// The last record's offset.
    pub last_offset: i64,
    /// The broker's time on the records under `LogAppendTime`, else -1; a repeated batch's latest timestamp.
    pub log_append_time_ms: i64,
    /// Where the log begins.
    pub log_start_offset: i64,
    /// Whether the batch was in the log before.
    pub duplicate: bool,
}

/// Why a batch was refused; the log is as before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}{}", message.as_deref().map(|text| format!(" ({text})")).unwrap_or_default())]
pub struct AppendError {
    /// The code in the answer.
    pub code: ErrorCode,
    /// Where the log begins, or -1 where Kafka doesn't say it.
    pub log_start_offset: i64,
    /// The records at fault (KIP-467).
    pub record_errors: Vec<RecordError>,
    /// What is wrong, in words, where Kafka says it.
    pub message: Option<String>,
}

/// A record at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// Its place in the batch, from 0.
    pub index: i32,
    /// What is wrong with it.
    pub message: String,
}

impl AppendError {
    /// A refusal before the log was looked at.
    pub(super) fn of(code: ErrorCode) -> AppendError {
        AppendError { code, log_start_offset: -1, record_errors: Vec::new(), message: None }
    }

    pub(super) fn at(mut self, log_start_offset: i64) -> AppendError {
        self.log_start_offset = log_start_offset;
        self
    }
}

/// The end of a transaction, for one of its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkerAppend {
    /// Whose transaction ends.
    pub producer_id: i64,
    /// The epoch to end it with.
    pub producer_epoch: i16,
    /// The epoch of the coordinator that decided.
    pub coordinator_epoch: i32,
    /// Whether it is committed, or else aborted.
    pub commit: bool,
    /// From 2 on the marker's epoch is newer than the records' (KIP-1228).
    pub transaction_version: i8,
    /// The epoch of the leader that appends.
    pub leader_epoch: i32,
}

impl PartitionLog {
    /// The producer of a transaction's first batch here, of whom the coordinator has to be asked before the append:
    /// whether the partition is in the transaction, or (`implicit`, from Produce version 12 on) to add it. `None` where
    /// nothing needs to be asked.
    pub fn begin_verification(&mut self, now_ms: i64, records: &Bytes, implicit: bool) -> Option<(i64, i16)> {
        let batch = Batches::new(records.clone()).next()?.ok()?;
        let header = batch.header();
        let (producer_id, epoch) = (header.producer_id, header.producer_epoch);
        if !header.attributes.is_transactional() || self.producers.has_ongoing_transaction(producer_id, epoch)
        {
            return None;
        }
        self.producers.begin_verification(now_ms, header, implicit);
        Some((producer_id, epoch))
    }

    /// Appends what a produce request brings for the partition, which has to be exactly one batch.
    ///
    /// # Errors
    /// [`AppendError`] with the code of whatever Kafka checks; nothing is appended then.
    pub fn append(
        &mut self,
        now_ms: i64,
        context: &AppendContext,
        records: &Bytes,
    ) -> Result<Appended, AppendError> {
        let batch = only_batch(context.version, records)?;
        if batch.header().base_offset != 0 {
            return Err(self.refuse(ErrorCode::INVALID_RECORD));
        }
        self.check_size(&batch)?;
        if batch.verify_crc().is_err() {
            return Err(AppendError::of(ErrorCode::CORRUPT_MESSAGE));
        }
        let place = validate::Place { offset: self.end_offset, leader_epoch: context.leader_epoch };
        let placed = validate::validated(&self.config, now_ms, &batch, place)
            .map_err(|error| error.at(self.start_offset))?;
        self.check_size(&placed)?;
        if placed.size() > self.config.segment_bytes.max(0) as usize {
            return Err(AppendError::of(ErrorCode::RECORD_LIST_TOO_LARGE));
        }

        let header = *placed.header();
        if header.has_producer_id() {
            if let Some(known) = self.producers.duplicate_of(&header) {
                return Ok(Appended {
                    base_offset: known.first_offset(),
                    last_offset: known.last_offset,
                    log_append_time_ms: known.timestamp,
                    log_start_offset: self.start_offset,
                    duplicate: true,
                });
            }
            let (producer_id, epoch) = (header.producer_id, header.producer_epoch);
            let unverified = header.attributes.is_transactional() && !context.verified;
            if unverified && !self.producers.has_ongoing_transaction(producer_id, epoch) {
                return Err(self.refuse(ErrorCode::INVALID_TXN_STATE));
            }
            self.producers.check(&header).map_err(|code| self.refuse(code))?;
        }
        self.push(now_ms, placed);
        if header.has_producer_id() {
            self.producers.append(&header);
        }
        Ok(Appended {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            log_append_time_ms: match self.config.timestamp_type {
                TimestampType::LogAppendTime => now_ms,
                TimestampType::CreateTime => -1,
            },
            log_start_offset: self.start_offset,
            duplicate: false,
        })
    }

    /// Appends the marker that ends a producer's transaction, and gives its offset.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` or `TRANSACTION_COORDINATOR_FENCED` for a marker that comes too late.
    pub fn append_marker(&mut self, now_ms: i64, marker: &MarkerAppend) -> Result<i64, ErrorCode> {
        let &MarkerAppend { producer_id, producer_epoch, coordinator_epoch, .. } = marker;
        let end = Ending {
            producer_id,
            producer_epoch,
            coordinator_epoch,
            transaction_version: marker.transaction_version,
        };
        self.producers.check_end(&end)?;
        let offset = self.end_offset;
        let record = if marker.commit {
            ControlRecord::Commit { coordinator_epoch }
        } else {
            ControlRecord::Abort { coordinator_epoch }
        };
        let stamped = self.config.timestamp_type == TimestampType::LogAppendTime;
        let options = SealOptions {
            producer: ProducerState { producer_id, producer_epoch, base_sequence: -1 },
            transactional: true,
            control: true,
            base_offset: offset,
            partition_leader_epoch: marker.leader_epoch,
            log_append_time: stamped.then_some(now_ms),
        };
        let mut builder = BatchBuilder::new(128);
        let value = record.value();
        builder
            .try_append(now_ms, Some(&record.key()), value.as_ref().map(|bytes| &bytes[..]), NO_HEADERS)
            .map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)?;
        let batch = builder
            .seal(&options, &mut Compressor::none())
            .map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)?
            .into_batch();
        self.push(now_ms, batch);
        if let Some(first_offset) = self.producers.end(&end, offset, now_ms)
            && !marker.commit
        {
            self.aborted.push(Aborted { producer_id, first_offset, last_offset: offset });
        }
        Ok(offset)
    }

    /// Puts a batch that was checked at the log's end.
    fn push(&mut self, now_ms: i64, batch: RecordBatch) {
        if self.must_roll(now_ms, &batch) {
            self.roll();
        }
        let header = *batch.header();
        self.epochs.assign(header.partition_leader_epoch, header.base_offset);
        if let Some(segment) = self.segments.back_mut() {
            segment.push(batch, now_ms);
        }
        self.end_offset = header.next_offset();
    }

    /// Begins a new segment at the log's end, unless the last one is empty.
    pub(super) fn roll(&mut self) {
        if self.segments.back().is_some_and(|segment| segment.batches.is_empty()) {
            return;
        }
        self.segments.push_back(Segment::new(self.end_offset));
        self.snapshots.insert(self.end_offset, self.producers.clone());
    }

    fn must_roll(&self, now_ms: i64, batch: &RecordBatch) -> bool {
        let Some(segment) = self.segments.back() else { return false };
        let timestamp = batch.header().max_timestamp;
        let now = if timestamp < 0 { now_ms } else { timestamp };
        let is_full = segment.size_bytes + batch.size() as u64 > self.config.segment_bytes.max(0) as u64;
        let is_old =
            segment.first_timestamp.is_some_and(|first| now.saturating_sub(first) > self.config.segment_ms);
        is_full || is_old
    }

    fn check_size(&self, batch: &RecordBatch) -> Result<(), AppendError> {
        if batch.size() > self.config.max_message_bytes.max(0) as usize {
            return Err(AppendError::of(ErrorCode::MESSAGE_TOO_LARGE));
        }
        Ok(())
    }

    fn refuse(&self, code: ErrorCode) -> AppendError {
        AppendError::of(code).at(self.start_offset)
    }
}

/// The one batch of a produce request's partition.
fn only_batch(version: i16, records: &Bytes) -> Result<RecordBatch, AppendError> {
    let refuse = |code| Err(AppendError::of(code));
    let unreadable = |kind: RecordErrorKind| {
        // What no Kafka ever wrote is told in words, too.
        let is_foreign =
            matches!(kind, RecordErrorKind::UnknownMagic { .. } | RecordErrorKind::BatchLength { .. });
        let message = is_foreign.then(|| format!("the bytes are no batch: {kind}"));
        Err(AppendError { message, ..AppendError::of(code_of(kind)) })
    };
    let mut batches = Batches::new(records.clone());
    let batch = match batches.next() {
        None => return refuse(ErrorCode::INVALID_RECORD),
        Some(Err(error)) => return unreadable(error.kind),
        Some(Ok(batch)) => batch,
    };
    if batch.header().attributes.compression() == Ok(Compression::Zstd) && version < 7 {
        return refuse(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
    }
    match batches.next() {
        None => Ok(batch),
        Some(Ok(_)) => refuse(ErrorCode::INVALID_RECORD),
        Some(Err(error)) => unreadable(error.kind),
    }
}

/// The code for bytes that are no batch.
fn code_of(kind: RecordErrorKind) -> ErrorCode {
    match kind {
        RecordErrorKind::UnsupportedMagic { .. } => ErrorCode::INVALID_RECORD,
        _ => ErrorCode::CORRUPT_MESSAGE,
    }
}

/// Whether the header's numbers agree with each other and with what a client may write.
pub(super) fn header_is_a_clients(header: &BatchHeader) -> bool {
    let is_counted = header.last_offset_delta >= 0
        && header.count > 0
        && i64::from(header.last_offset_delta) + 1 == i64::from(header.count);
    let is_sequenced = !header.has_producer_id() || header.base_sequence >= 0;
    is_counted && is_sequenced && !header.attributes.is_control()
}
