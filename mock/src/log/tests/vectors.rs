//! Batches of Kafka's own making.

use super::*;
use std::io::Read;
use std::path::PathBuf;

use serde_json::Value;

fn cases(name: &str) -> Vec<Value> {
    let default = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let folder = std::env::var_os("OTTLA_VECTORS").map_or(default, PathBuf::from);
    let Ok(packed) = std::fs::read(folder.join(format!("{name}.jsonl.gz"))) else { return Vec::new() };
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn hex(text: &str) -> Bytes {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect::<Vec<u8>>().into()
}

#[test]
fn javas_batches_are_taken_and_come_out_as_they_went_in() {
    let mut taken = 0;
    for case in cases("record_batches") {
        let Some(bytes) = case["hex"].as_str().map(hex) else { continue };
        for batch in Batches::new(bytes).flatten() {
            let header = batch.header();
            let is_whole = header.count > 0 && header.last_offset_delta + 1 == header.count;
            let is_stamped =
                header.attributes.timestamp_type() == ottla_protocol::records::TimestampType::LogAppendTime;
            if header.attributes.is_control() || !is_whole || is_stamped {
                continue;
            }
            let config = LogConfig {
                timestamp_after_max_ms: i64::MAX,
                max_message_bytes: i32::MAX,
                ..LogConfig::default()
            };
            let mut log = PartitionLog::new(config);
            let sent = batch.rebased(0, -1);
            match log.append(NOW, &VERIFIED, sent.bytes()) {
                Ok(_) => {
                    assert_eq!(stored(&log), [batch.rebased(0, 5)], "{}", case["id"]);
                    taken += 1;
                }
                Err(error) => panic!("{}: {error}", case["id"]),
            }
        }
    }
    assert!(taken > 40 || cases("record_batches").is_empty(), "{taken} batches");
}

#[test]
fn hostile_batches_are_refused_or_readable() {
    for case in cases("hostile_batches") {
        let Some(bytes) = case["hex"].as_str().map(hex) else { continue };
        let mut log = log();
        match log.append(NOW, &VERIFIED, &bytes) {
            Ok(_) => assert_eq!(
                consume(&log, usize::MAX, Isolation::LogEnd).len() as i64,
                log.end_offset(),
                "{}",
                case["id"]
            ),
            Err(_) => assert_eq!((log.end_offset(), log.size_bytes()), (0, 0), "{}", case["id"]),
        }
    }
}
