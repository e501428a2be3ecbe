//! What a consumer gets of fetched data, against what the Java client gets (`consumer_fetch.jsonl.gz` in the folder of
//! golden vectors, `OTTLA_VECTORS`).

use std::io::Read;
use std::path::PathBuf;

use bytes::Bytes;
use ottla_consumer::IsolationLevel;
use ottla_consumer::conformance::{AbortedTransaction, CompletedFetch};
use serde_json::Value;

#[test]
fn records_next_offsets_and_errors_are_javas() {
    let failures: Vec<String> =
        lines("consumer_fetch.jsonl.gz").iter().filter_map(|case| check(case).err()).collect();
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
}

fn check(case: &Value) -> Result<(), String> {
    let id = case["id"].as_str().ok_or("a case without id")?;
    let isolation = match case["isolation"].as_str() {
        Some("read_committed") => IsolationLevel::ReadCommitted,
        _ => IsolationLevel::ReadUncommitted,
    };
    let aborted = case["aborted_transactions"].as_array().into_iter().flatten();
    let aborted = aborted.map(|row| AbortedTransaction {
        producer_id: number(&row["producer_id"]),
        first_offset: number(&row["first_offset"]),
        ..Default::default()
    });
    let max = number(&case["max_poll_records"]) as usize;
    let records = hex(&case["records_hex"]);
    let mut fetch = CompletedFetch::new(records, number(&case["fetch_offset"]), isolation, aborted.collect());
    for (at, call) in case["java"]["calls"].as_array().into_iter().flatten().enumerate() {
        let taken = fetch.take(max);
        let what = |problem: String| format!("{id}, call {at}: {problem}");
        match (&taken, call.get("error").is_some()) {
            (Err(error), false) => return Err(what(error.to_string())),
            (Ok(records), true) => {
                return Err(what(format!("{} records instead of an error", records.len())));
            }
            _ => {}
        }
        if let Ok(records) = taken {
            let offsets: Vec<i64> = records.iter().map(|record| record.offset()).collect();
            let expected: Vec<i64> = call["offsets"].as_array().into_iter().flatten().map(number).collect();
            if offsets != expected {
                return Err(what(format!("offsets {offsets:?}, {expected:?} with Java")));
            }
            let mut crc = flate2::Crc::new();
            for record in &records {
                crc.update(record.key().unwrap_or_default());
                crc.update(b",");
                crc.update(record.value().unwrap_or_default());
                crc.update(b"\n");
            }
            if i64::from(crc.sum()) != number(&call["kv_crc32"]) {
                return Err(what("keys and values differ".into()));
            }
        }
        if fetch.next_offset() != number(&call["next_fetch_offset"]) {
            return Err(what(format!(
                "next offset {}, {} with Java",
                fetch.next_offset(),
                call["next_fetch_offset"]
            )));
        }
    }
    Ok(())
}

fn number(value: &Value) -> i64 {
    value.as_i64().expect("an integer")
}

fn hex(value: &Value) -> Bytes {
    let digits = value.as_str().expect("hex").as_bytes();
    let byte =
        |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).expect("ASCII"), 16).expect("hex digits");
    digits.chunks(2).map(byte).collect()
}

fn lines(file: &str) -> Vec<Value> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let path = std::env::var_os("OTTLA_VECTORS").map_or_else(default, PathBuf::from).join(file);
    let packed = std::fs::File::open(&path)
        .unwrap_or_else(|e| panic!("golden vectors needed, {}: {e}", path.display()));
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(packed).read_to_string(&mut text).expect("gzipped text");
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert!(!lines.is_empty(), "{} is empty", path.display());
    lines
}
