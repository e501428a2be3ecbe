//! Scripts with exact values, and a model.

use bytes::Bytes;
use ottla_protocol::compression::{Compression, Compressor};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::records::{
    BatchBuilder, Batches, ControlRecord, DecodeOptions, NO_HEADERS, ProducerState, RecordBatch, SealOptions,
};

use super::*;

mod appending;
mod compacting;
mod model;
mod reading;
mod shrinking;
mod transactions;
mod vectors;

const NOW: i64 = 1_700_000_000_000;
const PLAIN: AppendContext = AppendContext { version: 13, leader_epoch: 5, verified: false };
const VERIFIED: AppendContext = AppendContext { verified: true, ..PLAIN };

type Field<'a> = Option<&'a str>;

/// A batch on its way to the log.
#[derive(Clone)]
struct Send {
    producer: ProducerState,
    transactional: bool,
    codec: Compression,
    records: Vec<(i64, Option<String>, Option<String>)>,
}

/// Records with these values, without keys.
fn values(values: &[&str]) -> Send {
    let records = values.iter().map(|value| (NOW, None, Some((*value).to_owned()))).collect();
    Send { producer: ProducerState::NONE, transactional: false, codec: Compression::None, records }
}

/// Records with these keys and values.
fn pairs(pairs: &[(Field<'_>, Field<'_>)]) -> Send {
    let owned =
        |(key, value): &(Field<'_>, Field<'_>)| (NOW, key.map(str::to_owned), value.map(str::to_owned));
    Send { records: pairs.iter().map(owned).collect(), ..values(&[]) }
}

impl Send {
    fn of(self, producer_id: i64, producer_epoch: i16, base_sequence: i32) -> Send {
        Send { producer: ProducerState { producer_id, producer_epoch, base_sequence }, ..self }
    }

    fn transactional(self) -> Send {
        Send { transactional: true, ..self }
    }

    fn at(mut self, timestamps: &[i64]) -> Send {
        self.records.iter_mut().zip(timestamps).for_each(|(record, at)| record.0 = *at);
        self
    }

    fn bytes(&self) -> Bytes {
        let mut builder = BatchBuilder::new(1 << 20);
        for (timestamp, key, value) in &self.records {
            let (key, value) = (key.as_deref().map(str::as_bytes), value.as_deref().map(str::as_bytes));
            builder.try_append(*timestamp, key, value, NO_HEADERS).unwrap();
        }
        let options = SealOptions {
            producer: self.producer,
            transactional: self.transactional,
            ..SealOptions::default()
        };
        let mut compressor = Compressor::new(self.codec.default_level()).unwrap();
        builder.seal(&options, &mut compressor).unwrap().bytes()
    }
}

fn log() -> PartitionLog {
    PartitionLog::new(LogConfig::default())
}

/// Appends, all replicas at once.
fn put(log: &mut PartitionLog, send: &Send) -> i64 {
    let base = log.append(NOW, &VERIFIED, &send.bytes()).unwrap().base_offset;
    log.set_high_watermark(log.end_offset());
    base
}

fn end(log: &mut PartitionLog, producer_id: i64, producer_epoch: i16, commit: bool) -> i64 {
    let marker = MarkerAppend {
        producer_id,
        producer_epoch,
        coordinator_epoch: 0,
        commit,
        transaction_version: 0,
        leader_epoch: 5,
    };
    let offset = log.append_marker(NOW, &marker).unwrap();
    log.set_high_watermark(log.end_offset());
    offset
}

fn code(log: &mut PartitionLog, send: &Send) -> ErrorCode {
    log.append(NOW, &VERIFIED, &send.bytes()).unwrap_err().code
}

fn text(field: Option<&[u8]>) -> Option<String> {
    field.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// What a consumer makes of a log: it reads on and on, skips control records and, with the list of aborted transactions,
/// what was aborted.
fn consume(
    log: &PartitionLog,
    max_bytes: usize,
    isolation: Isolation,
) -> Vec<(i64, Option<String>, Option<String>)> {
    let mut position = log.start_offset();
    let mut records = Vec::new();
    loop {
        let slice = log.read(position, max_bytes, true, isolation).unwrap();
        let before = position;
        let mut pending = slice.aborted.unwrap_or_default();
        let mut aborting = Vec::new();
        for batch in Batches::new(slice.records) {
            let batch = batch.unwrap();
            let header = *batch.header();
            pending.retain(|aborted| {
                let begins = aborted.first_offset <= header.last_offset();
                if begins {
                    aborting.push(aborted.producer_id);
                }
                !begins
            });
            let mut cursor = batch.cursor(&DecodeOptions::DEFAULT).unwrap();
            while let Some(record) = cursor.next_ref().unwrap() {
                if header.attributes.is_control() {
                    if let Ok(ControlRecord::Abort { .. }) = ControlRecord::of(&record) {
                        aborting.retain(|producer_id| *producer_id != header.producer_id);
                    }
                    continue;
                }
                let is_aborted =
                    header.attributes.is_transactional() && aborting.contains(&header.producer_id);
                if record.offset >= position && !is_aborted {
                    records.push((record.offset, text(record.key), text(record.value)));
                }
            }
            position = header.next_offset();
        }
        if position == before {
            return records;
        }
    }
}

fn offsets_and_values(log: &PartitionLog, isolation: Isolation) -> Vec<(i64, String)> {
    let records = consume(log, usize::MAX, isolation);
    records.into_iter().map(|(offset, _, value)| (offset, value.unwrap_or_default())).collect()
}

fn owned(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
    expected.iter().map(|(offset, value)| (*offset, (*value).to_owned())).collect()
}

fn stored(log: &PartitionLog) -> Vec<RecordBatch> {
    log.stored().cloned().collect()
}
