//! Record batches, varints, murmur2 and CRC-32C against values that Kafka's own Java classes computed.
//!
//! The cases are in the folder that `OTTLA_VECTORS` names, `../shared/vectors` next to the repository by
//! default. A missing folder fails the tests.

#![allow(clippy::disallowed_methods, reason = "how long a hostile batch takes is part of what is tested")]

use std::fmt::Write as _;
use std::io::Read;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine;
use bytes::Bytes;
use ottla_protocol::compression::{Compression, CompressionError, Compressor};
use ottla_protocol::murmur2::{murmur2, partition_for_key, to_positive};
use ottla_protocol::records::{
    BatchBuilder, BatchHeader, Batches, ControlRecord, DecodeOptions, ProducerState, RecordBatch,
    RecordError, RecordErrorKind, RecordRef, SealOptions, TimestampType, sequence,
};
use ottla_protocol::varint;
use serde_json::{Value, json};

#[test]
fn primitives_equal_java() {
    let mut failures = Failures::default();
    for (line, case) in lines("primitives").iter().enumerate() {
        let kind = case["kind"].as_str().expect("kind");
        let Some(wrong) = primitive(kind, case) else { continue };
        if let Some(wrong) = wrong {
            failures.push(&format!("line {} {kind}", line + 1), &wrong);
        }
    }
    failures.check();
}

/// `None` for a kind that is not of this crate's records, else what is wrong, if anything.
fn primitive(kind: &str, case: &Value) -> Option<Option<String>> {
    let hex = || unhex(case["hex"].as_str().expect("hex"));
    let int = |field: &str| case[field].as_i64().expect("an integer");
    let differs = |ours: String, java: String| (ours != java).then(|| format!("{ours} is not Java's {java}"));
    let read = |ours: Result<(i64, usize), varint::VarintError>| {
        let ours = match ours {
            Ok((value, consumed)) => format!("{value} of {consumed}"),
            Err(varint::VarintError::Truncated) => "BufferUnderflowException".to_owned(),
            Err(varint::VarintError::TooLong) => "IllegalArgumentException".to_owned(),
        };
        let java = match case["error"].as_str() {
            Some(error) => error.to_owned(),
            None => format!("{} of {}", int("value"), int("consumed")),
        };
        differs(ours, java)
    };
    let written = |put: &dyn Fn(&mut Vec<u8>), len: usize| {
        let mut out = Vec::new();
        put(&mut out);
        differs(
            format!("{} of {len}", to_hex(&out)),
            format!("{} of {}", case["hex"].as_str().expect("hex"), out.len()),
        )
    };
    Some(match kind {
        "murmur2" => {
            let hash = murmur2(&hex());
            let mut ours = json!({"murmur2": hash, "positive": to_positive(hash), "partition": {}});
            let mut java = case.clone();
            java.as_object_mut().expect("an object").retain(|name, _| name != "kind" && name != "hex");
            for count in case["partition"].as_object().expect("partitions").keys() {
                let partitions = count.parse::<NonZeroU32>().expect("a count");
                ours["partition"][count] = partition_for_key(&hex(), partitions).into();
            }
            differs(ours.to_string(), java.to_string())
        }
        "to_positive" => differs(to_positive(int("in") as i32).to_string(), int("out").to_string()),
        "crc32c" => differs(crc32c::crc32c(&hex()).to_string(), int("crc").to_string()),
        "varint" => {
            let value = int("value") as i32;
            written(&|out| varint::put_varint(out, value), varint::varint_len(value))
        }
        "unsigned_varint" => {
            let value = int("value") as u32;
            written(&|out| varint::put_unsigned(out, value), varint::unsigned_len(value))
        }
        "varlong" => {
            let value = int("value");
            written(&|out| varint::put_varlong(out, value), varint::varlong_len(value))
        }
        "read_varint" => read(varint::varint(&hex()).map(|(value, len)| (value.into(), len))),
        "read_unsigned_varint" => read(varint::unsigned(&hex()).map(|(value, len)| (value.into(), len))),
        "read_varlong" => read(varint::varlong(&hex())),
        "sequence" => {
            let (sequence, by) = (int("sequence") as i32, int("add") as i32);
            differs(
                format!("{} {}", sequence::add(sequence, by), sequence::sub(sequence, by)),
                format!("{} {}", int("incremented"), int("decremented")),
            )
        }
        _ => return None,
    })
}

#[test]
fn batches_decode_as_in_java() {
    let mut failures = Failures::default();
    for case in lines("record_batches") {
        let id = case["id"].as_str().expect("id");
        let data = Bytes::from(unhex(case["hex"].as_str().expect("hex")));
        if case["type"] == "legacy" {
            let magic = case["batches"][0]["magic"].as_i64().expect("magic") as i8;
            let base_offset = i64::from_be_bytes(data[..8].try_into().expect("eight bytes"));
            let expected = RecordError { base_offset, kind: RecordErrorKind::UnsupportedMagic { magic } };
            match Batches::new(data).next() {
                Some(Err(error)) if error == expected => {}
                other => failures.push(id, &format!("expected {expected:?}, got {other:?}")),
            }
            continue;
        }
        let mut batches = Batches::new(data.clone());
        let decoded: Result<Vec<Value>, RecordError> =
            batches.by_ref().map(|batch| batch.and_then(|batch| batch_json(&batch))).collect();
        match decoded {
            Ok(decoded) if Value::from(decoded.clone()) == case["batches"] => {}
            Ok(decoded) => failures.push(id, &first_difference(&Value::from(decoded), &case["batches"])),
            Err(error) => failures.push(id, &error.to_string()),
        }
        let valid = data.len() - batches.remaining();
        if valid as u64 != case["valid_bytes"].as_u64().expect("valid_bytes") {
            failures.push(id, &format!("{valid} valid bytes, Java has {}", case["valid_bytes"]));
        }
    }
    failures.check();
}

#[test]
fn records_encode_to_the_bytes_of_java() {
    let mut failures = Failures::default();
    let mut exact = 0;
    for case in lines("record_batches") {
        let id = case["id"].as_str().expect("id");
        if case["type"] == "legacy" {
            continue;
        }
        let data = Bytes::from(unhex(case["hex"].as_str().expect("hex")));
        for batch in Batches::new(data) {
            let batch = batch.expect("decodes, as another test shows");
            if batch.header().delete_horizon_ms().is_some() {
                continue;
            }
            if case["exact_encode"] == true {
                exact += 1;
                let ours = encode(&batch, Compression::None);
                if ours.bytes() != batch.bytes() {
                    failures.push(id, &format!("{} is not {}", to_hex(ours.bytes()), to_hex(batch.bytes())));
                }
            }
            for codec in Compression::ALL {
                let ours = encode(&batch, codec);
                let (records, expected) = (records_json(&ours), records_json(&batch));
                if records != expected {
                    failures.push(id, &format!("{codec}: {records:?} is not {expected:?}"));
                }
            }
        }
    }
    assert!(exact > 0, "no case asks for exact bytes");
    failures.check();
}

/// Cases that Java accepts and that are refused here, with the reason.
const STRICTER: [(&str, &str); 12] = [
    ("codec_1_trailing_garbage", "bytes after the compressed stream"),
    ("codec_3_trailing_garbage", "bytes after the compressed stream"),
    ("codec_2_bit_flip_crc_fixed", "may be damaged in any way"),
    ("codec_3_bit_flip_crc_fixed", "may be damaged in any way"),
    ("codec_4_bit_flip_crc_fixed", "may be damaged in any way"),
    ("count_0", "records that the header does not count"),
    ("last_offset_delta_", "a record beyond the last offset, or a negative delta"),
    ("base_offset_", "a negative offset, or one beyond what an offset can be"),
    ("key_length_-2", "a negative length other than -1"),
    ("key_length_-2147483648", "a negative length other than -1"),
    ("header_value_length_-2", "a negative length other than -1"),
    ("offset_delta_", "offsets that do not increase or are beyond the last"),
];

#[test]
fn hostile_batches_are_refused_or_give_what_java_gives() {
    let mut failures = Failures::default();
    for case in lines("hostile_batches") {
        let name = case["name"].as_str().expect("name");
        let java = &case["java"];
        let data = Bytes::from(unhex(case["hex"].as_str().expect("hex")));
        let start = Instant::now();
        let (records, seen, result) = consume(&data, 50);
        let elapsed = start.elapsed();
        // A second is the bar where the code is optimised and the machine is its own.
        if elapsed > Duration::from_secs(10) {
            failures.push(name, &format!("took {elapsed:?}"));
        }
        if records.windows(2).any(|pair| pair[0]["offset"].as_i64() >= pair[1]["offset"].as_i64()) {
            failures.push(name, "offsets went backwards");
        }
        let accepted = java["status"] == "ok";
        match result {
            Ok(()) if !accepted && !allows_acceptance(&case) => {
                failures.push(name, &format!("accepted, Java: {}", java["message"]));
            }
            Ok(()) if accepted => {
                // Java delivers offsets again that a consumer had already; here they are skipped.
                let skips = ["overlapping_batches", "batches_backwards"].contains(&name);
                let expected = java["records"].as_array().expect("records");
                let same = expected.iter().all(|record| records.contains(record)) || expected.is_empty();
                if !skips && (!same || seen != java["records_seen"].as_u64().unwrap_or(0)) {
                    failures.push(name, &format!("{seen} records {records:?}, Java {expected:?}"));
                }
            }
            Err(error) if accepted && !STRICTER.iter().any(|(stricter, _)| name.starts_with(stricter)) => {
                failures.push(name, &format!("refused ({error}), Java accepts"));
            }
            Ok(()) | Err(_) => {}
        }
    }
    failures.check();
}

/// Whether a client may take a batch that Java refuses.
fn allows_acceptance(case: &Value) -> bool {
    let must = case["must"].as_str().expect("must");
    ["partial", " ok", "records;"].iter().any(|word| must.contains(word))
}

#[test]
fn damage_anywhere_gives_an_error_or_records_but_no_panic() {
    for case in lines("record_batches") {
        let data = unhex(case["hex"].as_str().expect("hex"));
        if data.len() > 500 {
            continue;
        }
        for at in 0..data.len() {
            for flip in [0x01, 0x10, 0x80, 0xff] {
                let mut data = data.clone();
                data[at] ^= flip;
                let options = DecodeOptions { check_crcs: false, max_decompressed_bytes: 1 << 20 };
                let _ = consume_with(&Bytes::from(data), 0, &options);
            }
            let _ = consume(&Bytes::copy_from_slice(&data[..at]), 0);
        }
    }
}

/// Reads as a consumer does: from batch to batch, and no record at or before the last one again. Gives the
/// first `keep` records, the number of all, and how it ended.
fn consume(data: &Bytes, keep: usize) -> (Vec<Value>, u64, Result<(), RecordError>) {
    consume_with(data, keep, &DecodeOptions::DEFAULT)
}

fn consume_with(
    data: &Bytes,
    keep: usize,
    options: &DecodeOptions,
) -> (Vec<Value>, u64, Result<(), RecordError>) {
    let (mut records, mut seen, mut position) = (Vec::new(), 0, 0);
    let mut walk = || {
        for batch in Batches::new(data.clone()) {
            let batch = batch?;
            let mut cursor = batch.cursor(options)?;
            cursor.skip_to(position);
            while let Some(record) = cursor.next_ref()? {
                position = record.offset + 1;
                seen += 1;
                if records.len() < keep && record.value.is_none_or(|value| value.len() < 1 << 20) {
                    records.push(record_json(batch.header(), &record));
                }
            }
            position = position.max(batch.header().next_offset());
        }
        Ok(())
    };
    let result = walk();
    (records, seen, result)
}

/// The batch built again from its records.
fn encode(batch: &RecordBatch, codec: Compression) -> RecordBatch {
    let header = batch.header();
    let created = with_create_time(batch);
    let options = DecodeOptions { check_crcs: false, ..DecodeOptions::DEFAULT };
    let mut cursor = created.cursor(&options).expect("decodes, as another test shows");
    let mut builder = BatchBuilder::new(batch_limit(batch));
    let mut next = header.base_offset;
    while let Some(record) = cursor.next_ref().expect("decodes, as another test shows") {
        builder.skip_offsets((record.offset - next) as i32);
        next = record.offset + 1;
        builder
            .try_append(record.timestamp, record.key, record.value, record.headers)
            .expect("there is room");
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
    let mut compressor = Compressor::new(codec).expect("all codecs are on by default");
    builder.seal(&options, &mut compressor).expect("the input is small").into_batch()
}

/// The batch with the timestamps that its records were created with, which log-append time hides.
fn with_create_time(batch: &RecordBatch) -> RecordBatch {
    const TIMESTAMP_TYPE: u8 = 0x08;
    let mut bytes = batch.bytes().to_vec();
    bytes[22] &= !TIMESTAMP_TYPE;
    Batches::new(bytes.into()).next().expect("a batch").expect("only an attribute was changed")
}

/// More than the records take in any encoding.
fn batch_limit(batch: &RecordBatch) -> usize {
    let mut size = batch.size();
    for record in batch.cursor(&DecodeOptions::DEFAULT).expect("decodes") {
        size += record.expect("decodes").size() + 16;
    }
    size
}

fn records_json(batch: &RecordBatch) -> Vec<Value> {
    let mut cursor = batch.cursor(&DecodeOptions::DEFAULT).expect("decodes");
    let mut records = Vec::new();
    while let Some(record) = cursor.next_ref().expect("decodes") {
        records.push(record_json(batch.header(), &record));
    }
    records
}

fn batch_json(batch: &RecordBatch) -> Result<Value, RecordError> {
    let header = batch.header();
    let mut records = Vec::new();
    let mut cursor = batch.cursor(&DecodeOptions::DEFAULT)?;
    while let Some(record) = cursor.next_ref()? {
        let mut json = record_json(header, &record);
        if batch.is_control() {
            let (kind, epoch) = match ControlRecord::of(&record) {
                Ok(ControlRecord::Commit { coordinator_epoch }) => ("COMMIT", coordinator_epoch),
                Ok(ControlRecord::Abort { coordinator_epoch }) => ("ABORT", coordinator_epoch),
                other => panic!("{other:?}"),
            };
            json["control_type"] = kind.into();
            json["coordinator_epoch"] = epoch.into();
        }
        records.push(json);
    }
    let owned: Vec<_> = batch.cursor(&DecodeOptions::DEFAULT)?.collect::<Result<_, _>>()?;
    assert_eq!(owned.len(), records.len());
    for (owned, borrowed) in owned.iter().zip(&records) {
        assert_eq!(owned.offset(), borrowed["offset"]);
        assert_eq!(base64(owned.value_bytes().as_deref()), borrowed["value"]);
        assert_eq!(base64(owned.key()), borrowed["key"]);
    }
    Ok(json!({
        "base_offset": header.base_offset,
        "last_offset": header.last_offset(),
        "next_offset": header.next_offset(),
        "magic": 2,
        "crc": header.crc,
        "valid_crc": batch.verify_crc().is_ok(),
        "size_in_bytes": batch.size(),
        "compression": header.attributes.compression().expect("a known codec").name(),
        "timestamp_type": format!("{:?}", header.attributes.timestamp_type()),
        "max_timestamp": header.max_timestamp,
        "partition_leader_epoch": header.partition_leader_epoch,
        "producer_id": header.producer_id,
        "producer_epoch": header.producer_epoch,
        "base_sequence": header.base_sequence,
        "last_sequence": header.last_sequence(),
        "is_transactional": header.attributes.is_transactional(),
        "is_control": header.attributes.is_control(),
        "base_timestamp": header.base_timestamp,
        "delete_horizon_ms": header.delete_horizon_ms(),
        "count": header.count,
        "records": records,
    }))
}

fn record_json(header: &BatchHeader, record: &RecordRef<'_>) -> Value {
    let headers: Vec<_> =
        record.headers.iter().map(|header| json!([header.key_str(), base64(header.value)])).collect();
    json!({
        "offset": record.offset,
        "timestamp": record.timestamp,
        "sequence": header.sequence_of(record.offset),
        "key": base64(record.key),
        "value": base64(record.value),
        "headers": headers,
    })
}

fn base64(bytes: Option<&[u8]>) -> Value {
    bytes.map(|bytes| base64::engine::general_purpose::STANDARD.encode(bytes)).into()
}

/// Where two values differ first, as both are too long to read.
fn first_difference(ours: &Value, java: &Value) -> String {
    match (ours, java) {
        (Value::Object(a), Value::Object(b)) => {
            for (name, value) in b {
                if a.get(name) != Some(value) {
                    return format!(
                        "{name}: {}",
                        first_difference(a.get(name).unwrap_or(&Value::Null), value)
                    );
                }
            }
            format!("{:?} is not {:?}", a.keys(), b.keys())
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let at = a.iter().zip(b).position(|(a, b)| a != b).unwrap_or_default();
            format!("[{at}] {}", first_difference(&a[at], &b[at]))
        }
        _ => format!("{ours} is not Java's {java}"),
    }
}

fn lines(file: &str) -> Vec<Value> {
    let path = vectors().join(format!("{file}.jsonl.gz"));
    let compressed = std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}: set OTTLA_VECTORS to the folder of golden vectors", path.display())
    });
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(&compressed[..]).read_to_string(&mut text).expect("a gzip file");
    let lines: Vec<_> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(!lines.is_empty(), "{} has no cases", path.display());
    lines
}

fn vectors() -> PathBuf {
    match std::env::var_os("OTTLA_VECTORS") {
        Some(folder) => folder.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes everything");
        hex
    })
}

/// Collects what fails, so that one run shows all of it.
#[derive(Default)]
struct Failures(Vec<String>);

impl Failures {
    fn push(&mut self, case: &str, what: &str) {
        self.0.push(format!("{case}: {}", &what[..what.len().min(600)]));
    }

    fn check(self) {
        assert!(self.0.is_empty(), "{} cases failed:\n{}", self.0.len(), self.0.join("\n"));
    }
}

#[test]
fn bombs_end_with_an_error_or_are_walked_in_bounded_memory() {
    const LIMIT: usize = 64 << 20;
    let folder = vectors().join("bombs");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).expect("the folder of bombs") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let data = Bytes::from(std::fs::read(&path).expect("a file"));
        let options = DecodeOptions { check_crcs: true, max_decompressed_bytes: LIMIT };
        let before = peak_memory();
        let start = Instant::now();
        let (_, records, result) = consume_with(&data, 0, &options);
        let (elapsed, grown) = (start.elapsed(), peak_memory().saturating_sub(before));
        // One of them repeats an offset, which ends it early.
        let limited = matches!(
            result,
            Err(RecordError {
                kind: RecordErrorKind::Compression(CompressionError::Limit { .. })
                    | RecordErrorKind::Record { .. },
                ..
            })
        );
        println!("{name}: {records} records, {result:?}, {elapsed:?}, {} MiB", grown >> 20);
        assert!(limited || result.is_ok(), "{name}: {result:?}");
        // The record that is read may take all of the limit, next to what it was before its buffer grew.
        assert!(grown < 2 * LIMIT, "{name}: memory grew by {} MiB", grown >> 20);
        seen += 1;
    }
    assert!(seen > 0, "no bombs in {}", folder.display());
}

/// The most memory that the process has had in its address space, where the system says.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    peak.unwrap_or(0usize) * 1024
}
