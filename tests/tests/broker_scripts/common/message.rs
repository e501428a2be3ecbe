//! Answers as JSON in snake case, with everything that they say.

use std::fmt::Write as _;

use bytes::Bytes;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::records::{Batches, DecodeOptions, RecordBatch};
use ottla_protocol::reflect::Value;
use serde_json::{Map, Value as Json, json};

/// All that an answer says: error codes by name, UUIDs as Kafka shows them, record batches taken apart.
pub(crate) fn answer(name: &str, value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int8(value) => json!(value),
        Value::Int16(code) if name.ends_with("error_code") => {
            ErrorCode(*code).name().map_or_else(|| json!(code), |name| json!(name))
        }
        Value::Int16(value) => json!(value),
        Value::Uint16(value) => json!(value),
        Value::Int32(value) => json!(value),
        Value::Uint32(value) => json!(value),
        Value::Int64(value) => json!(value),
        Value::Float64(value) => json!(value),
        Value::Uuid(value) => json!(value.to_string()),
        Value::String(value) => json!(value),
        Value::Bytes(bytes) if name == "records" => batches(bytes),
        Value::Bytes(bytes) => json!(bytes.escape_ascii().to_string()),
        Value::Array(values) => values.iter().map(|value| answer(name, value)).collect(),
        Value::Struct(value) => {
            let mut fields: Map<String, Json> =
                value.fields.iter().map(|(name, value)| (name.clone(), answer(name, value))).collect();
            let mut tags = String::new();
            if value.unknown_tags != Default::default() {
                let _ = write!(tags, "{:?}", value.unknown_tags);
                fields.insert("unknown tags".to_owned(), json!(tags));
            }
            Json::Object(fields)
        }
    }
}

fn batches(bytes: &Bytes) -> Json {
    let all = Batches::new(bytes.clone());
    all.map(|batch| batch.map_or_else(|error| json!(format!("{:?}", error.kind)), |batch| one(&batch)))
        .collect()
}

fn one(batch: &RecordBatch) -> Json {
    let header = batch.header();
    let mut records = Vec::new();
    let mut fault = Json::Null;
    match batch.cursor(&DecodeOptions::default()) {
        Err(error) => fault = json!(format!("{:?}", error.kind)),
        Ok(mut cursor) => loop {
            match cursor.next_record() {
                Ok(Some(record)) => records.push(json!({
                    "offset": record.offset(),
                    "timestamp": record.timestamp(),
                    "key": record.key().map(|key| key.escape_ascii().to_string()),
                    "value": record.value().map(|value| value.escape_ascii().to_string()),
                })),
                Ok(None) => break,
                Err(error) => {
                    fault = json!(format!("{:?}", error.kind));
                    break;
                }
            }
        },
    }
    json!({
        "base_offset": header.base_offset,
        "last_offset_delta": header.last_offset_delta,
        "partition_leader_epoch": header.partition_leader_epoch,
        "attributes": header.attributes.0,
        "base_timestamp": header.base_timestamp,
        "max_timestamp": header.max_timestamp,
        "producer_id": header.producer_id,
        "producer_epoch": header.producer_epoch,
        "base_sequence": header.base_sequence,
        "count": header.count,
        "fault": fault,
        "records_in_order": records,
    })
}
