//! Messages as JSON in snake case: requests with defaults for what isn't named, answers with everything.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::records::{Batches, DecodeOptions, RecordBatch};
use ottla_protocol::reflect::{Kind, StructValue, TableRef, Value};
use serde_json::{Map, Value as Json, json};

/// What a request's bytes begin with when they aren't text.
pub(crate) const BASE64: &str = "base64:";

/// The value that `json` describes: a field that it lacks has its default.
pub(crate) fn request(table: TableRef, json: &Json) -> Result<Value, String> {
    let Json::Object(object) = json else { return Err(format!("{}: no object: {json}", table.name)) };
    if let Some(name) = object.keys().find(|name| table.fields.iter().all(|row| row.name != *name)) {
        return Err(format!("{} has no field {name}", table.name));
    }
    let mut made = StructValue::default();
    for row in table.fields {
        let value = match object.get(row.name) {
            Some(json) => field(&row.kind, json).map_err(|error| format!("{}: {error}", row.name))?,
            None => (row.default)(),
        };
        made.fields.push((row.name.to_owned(), value));
    }
    Ok(Value::Struct(made))
}

fn field(kind: &Kind, json: &Json) -> Result<Value, String> {
    let misfit = || format!("{json} is no {kind:?}");
    let integer = || json.as_i64().ok_or_else(misfit);
    Ok(match kind {
        Kind::Bool => Value::Bool(json.as_bool().ok_or_else(misfit)?),
        Kind::Int8 => Value::Int8(integer()?.try_into().map_err(|_| misfit())?),
        Kind::Int16 => Value::Int16(integer()?.try_into().map_err(|_| misfit())?),
        Kind::Uint16 => Value::Uint16(integer()?.try_into().map_err(|_| misfit())?),
        Kind::Int32 => Value::Int32(integer()?.try_into().map_err(|_| misfit())?),
        Kind::Uint32 => Value::Uint32(integer()?.try_into().map_err(|_| misfit())?),
        Kind::Int64 => Value::Int64(integer()?),
        Kind::Float64 => Value::Float64(json.as_f64().ok_or_else(misfit)?),
        Kind::Uuid => Value::Uuid(json.as_str().and_then(|text| text.parse().ok()).ok_or_else(misfit)?),
        Kind::String => Value::String(json.as_str().ok_or_else(misfit)?.to_owned()),
        Kind::Bytes => {
            let text = json.as_str().ok_or_else(misfit)?;
            let bytes = match text.strip_prefix(BASE64) {
                Some(coded) => STANDARD.decode(coded).map_err(|error| error.to_string())?,
                None => text.as_bytes().to_vec(),
            };
            Value::Bytes(bytes.into())
        }
        Kind::Array(element) => {
            let elements = json.as_array().ok_or_else(misfit)?.iter().map(|json| field(element, json));
            Value::Array(elements.collect::<Result<_, _>>()?)
        }
        Kind::Struct(table) => request(*table, json)?,
        Kind::Nullable(_) if json.is_null() => Value::Null,
        Kind::Nullable(inner) => field(inner, json)?,
    })
}

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
