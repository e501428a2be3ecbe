//! `record_batches`: what brokers send, batch by batch and record by record, and the same records written again.

use bytes::Bytes;
use ottla_protocol::compression::{Compression, Compressor};
use ottla_protocol::records::{
    BatchBuilder, Batches, DecodeOptions, ProducerState, RecordBatch, RecordErrorKind, SealOptions,
    TimestampType,
};
use ottla_tests::json::first_byte_difference;
use serde_json::{Value as Json, json};

use crate::case::{bytes, flag, int, list, same, text};
use crate::records::record_json;
use crate::runner::Outcome;

/// Where the attributes stand in a batch.
const ATTRIBUTES_AT: usize = 21;

pub(crate) fn judge(case: &Json) -> Outcome {
    let sent = bytes(case, "hex");
    if text(case, "type") == "legacy" {
        return legacy(case, sent).into();
    }
    read(case, &sent).and_then(|()| written_again(case, sent)).into()
}

/// Message sets v0 and v1 are refused by name.
fn legacy(case: &Json, sent: Bytes) -> Result<(), String> {
    let magic = int(&case["batches"][0], "magic") as i8;
    let answer = Batches::new(sent).next().map(|batch| batch.map(|_| ()).map_err(|error| error.kind));
    same("answer", &answer, &Some(Err(RecordErrorKind::UnsupportedMagic { magic })))
}

fn read(case: &Json, sent: &Bytes) -> Result<(), String> {
    let mut batches = Batches::new(sent.clone());
    for expected in list(case, "batches") {
        let batch = batches.next().ok_or("a batch is missing")?.map_err(|error| error.to_string())?;
        let mut ours = header_json(&batch);
        let mut theirs = expected.clone();
        let records = theirs["records"].take();
        ours["records"] = Json::Null;
        same("header", &ours, &theirs)?;
        let ours = records_json(&batch)?;
        same("number of records", &ours.len(), &records.as_array().map_or(0, Vec::len))?;
        for (ours, expected) in ours.iter().zip(records.as_array().into_iter().flatten()) {
            same("record", ours, expected)?;
        }
    }
    if let Some(more) = batches.next() {
        return Err(format!("one batch too many: {:?}", more.map(|batch| *batch.header())));
    }
    same("valid bytes", &((sent.len() - batches.remaining()) as i64), &int(case, "valid_bytes"))
}

/// The same records uncompressed have the same bytes, where the line says so; with any codec they come back.
fn written_again(case: &Json, sent: Bytes) -> Result<(), String> {
    for batch in Batches::new(sent) {
        let batch = batch.map_err(|error| error.to_string())?;
        if flag(case, "exact_encode") {
            let ours = write(&batch, Compression::None)?;
            if let Some(difference) = first_byte_difference(ours.bytes(), batch.bytes()) {
                return Err(format!("encoded: {difference}"));
            }
        }
        // A delete horizon takes the place of the base timestamp; only a broker's cleaner writes one.
        if batch.header().delete_horizon_ms().is_none() {
            let expected = records_json(&batch)?;
            for codec in Compression::ALL {
                let ours = write(&batch, codec)?;
                let none_left = ours.header().count == 0;
                let codec_told = if none_left { Compression::None } else { codec };
                same("codec", &ours.header().attributes.compression(), &Ok(codec_told))?;
                same(codec.name(), &records_json(&ours)?, &expected)?;
            }
        }
    }
    Ok(())
}

fn write(batch: &RecordBatch, codec: Compression) -> Result<RecordBatch, String> {
    let header = batch.header();
    let mut builder = BatchBuilder::new(1 << 20);
    let own_times = with_own_timestamps(batch)?;
    let unchecked = DecodeOptions { check_crcs: false, ..DecodeOptions::DEFAULT };
    let mut cursor = own_times.cursor(&unchecked).map_err(|error| error.to_string())?;
    let mut next = header.base_offset;
    while let Some(record) = cursor.next_ref().map_err(|error| error.to_string())? {
        builder.skip_offsets((record.offset - next) as i32);
        next = record.offset + 1;
        let appended = builder.try_append(record.timestamp, record.key, record.value, record.headers);
        appended.map_err(|error| error.to_string())?;
    }
    builder.skip_offsets((header.next_offset() - next) as i32);
    let options = SealOptions {
        producer: ProducerState {
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
        },
        transactional: header.attributes.is_transactional(),
        control: header.attributes.is_control(),
        base_offset: header.base_offset,
        partition_leader_epoch: header.partition_leader_epoch,
        log_append_time: (header.attributes.timestamp_type() == TimestampType::LogAppendTime)
            .then_some(header.max_timestamp),
    };
    let mut compressor = Compressor::new(codec).map_err(|error| error.to_string())?;
    Ok(builder.seal(&options, &mut compressor).map_err(|error| error.to_string())?.into_batch())
}

/// Under log-append time every record shows the broker's time, but its own is still there to be written again.
fn with_own_timestamps(batch: &RecordBatch) -> Result<RecordBatch, String> {
    let mut bytes = batch.bytes().to_vec();
    let attributes = batch.header().attributes.with_timestamp_type(TimestampType::CreateTime);
    bytes[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.0.to_be_bytes());
    Batches::new(bytes.into()).next().ok_or("no batch")?.map_err(|error| error.to_string())
}

fn records_json(batch: &RecordBatch) -> Result<Vec<Json>, String> {
    let mut cursor = batch.cursor(&DecodeOptions::DEFAULT).map_err(|error| error.to_string())?;
    let mut records = Vec::new();
    while let Some(record) = cursor.next_ref().map_err(|error| error.to_string())? {
        records.push(record_json(batch.header(), &record));
    }
    Ok(records)
}

fn header_json(batch: &RecordBatch) -> Json {
    let header = batch.header();
    json!({
        "base_offset": header.base_offset,
        "last_offset": header.last_offset(),
        "next_offset": header.next_offset(),
        "magic": 2,
        "crc": header.crc,
        "valid_crc": batch.verify_crc().is_ok(),
        "size_in_bytes": batch.size(),
        "compression": header.attributes.compression().map_or("unknown", Compression::name),
        "timestamp_type": format!("{:?}", header.attributes.timestamp_type()),
        "max_timestamp": header.max_timestamp,
        "partition_leader_epoch": header.partition_leader_epoch,
        "producer_id": header.producer_id,
        "producer_epoch": header.producer_epoch,
        "base_sequence": header.base_sequence,
        "last_sequence": header.last_sequence(),
        "is_transactional": header.attributes.is_transactional(),
        "is_control": batch.is_control(),
        "base_timestamp": header.base_timestamp,
        "delete_horizon_ms": header.delete_horizon_ms(),
        "count": header.count,
    })
}
