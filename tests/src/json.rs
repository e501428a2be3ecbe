//! Messages as JSON, and the first difference between two values.
//!
//! As Kafka's own converters print them, a field is named as in its schema with a lower-case first letter; a field that its
//! version lacks is absent, and so is a tagged field at its default; bytes are base64, UUIDs Kafka's text. The reading is
//! strict both ways: a missing field and one too many are errors.
//!
//! As written by hand, names are in snake case, what is absent has its default, and bytes are text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ottla_protocol::reflect::{FieldRow, Kind, StructValue, TableRef, Value};
use ottla_protocol::wire::UnknownTags;
use serde_json::Value as Json;

/// What bytes written by hand begin with when they aren't text.
pub const BASE64: &str = "base64:";

/// Whose JSON is read.
#[derive(Clone, Copy)]
enum Style {
    /// Kafka's, of a version.
    Kafka(i16),
    Script,
}

/// A field's name in Kafka's JSON: `enable2_pc` is `enable2Pc`.
pub fn camel_case(snake_case: &str) -> String {
    let mut name = String::with_capacity(snake_case.len());
    let mut upper = false;
    for letter in snake_case.chars() {
        match letter {
            '_' => upper = true,
            letter if upper => {
                name.extend(letter.to_uppercase());
                upper = false;
            }
            letter => name.push(letter),
        }
    }
    name
}

/// The value of a structure in `version` that Kafka's JSON describes.
///
/// # Errors
/// The path of what doesn't fit the table, and why.
pub fn from_json(table: TableRef, version: i16, json: &Json) -> Result<Value, String> {
    structure(table, Style::Kafka(version), json, table.name)
}

/// The value of a structure that JSON written by hand describes, whatever the version.
///
/// # Errors
/// The path of what doesn't fit the table, and why.
pub fn from_script(table: TableRef, json: &Json) -> Result<Value, String> {
    structure(table, Style::Script, json, table.name)
}

impl Style {
    fn name(self, row: &FieldRow) -> String {
        match self {
            Style::Kafka(_) => camel_case(row.name),
            Style::Script => row.name.to_owned(),
        }
    }

    fn bytes(self, text: &str) -> Result<Vec<u8>, String> {
        let coded = match self {
            Style::Kafka(_) => Some(text),
            Style::Script => text.strip_prefix(BASE64),
        };
        match coded {
            Some(coded) => STANDARD.decode(coded).map_err(|error| error.to_string()),
            None => Ok(text.as_bytes().to_vec()),
        }
    }

    /// What keeps a field from being there, or from being absent.
    fn check(self, row: &FieldRow, json: Option<&Json>) -> Result<(), String> {
        let Style::Kafka(version) = self else { return Ok(()) };
        let (spec, is_known) = (&row.spec, row.spec.versions.contains(version));
        match json {
            Some(_) if !is_known => {
                Err(format!("the table says {} and Kafka has it in version {version}", spec.versions))
            }
            Some(Json::Null) if !spec.nullable.contains(version) => {
                Err(format!("the table allows no null in version {version}, and Kafka does"))
            }
            None if is_known && spec.tag.is_none() => {
                Err(format!("the table says {} and Kafka lacks it in version {version}", spec.versions))
            }
            _ => Ok(()),
        }
    }
}

fn structure(table: TableRef, style: Style, json: &Json, path: &str) -> Result<Value, String> {
    let Json::Object(object) = json else { return Err(format!("{path}: an object expected, not {json}")) };
    let mut known = Vec::with_capacity(object.len());
    let mut made = StructValue::default();
    for row in table.fields {
        let key = style.name(row);
        let (json, path) = (object.get(&key), format!("{path}.{key}"));
        style.check(row, json).map_err(|why| format!("{path}: {why}"))?;
        let value = match json {
            Some(json) => value(&row.kind, style, json, &path)?,
            None => (row.default)(),
        };
        made.fields.push((row.name.to_owned(), value));
        known.push(key);
    }
    match object.keys().find(|key| !known.contains(key)) {
        Some(key) => Err(format!("{path}: the table has no field `{key}`")),
        None => Ok(Value::Struct(made)),
    }
}

fn value(kind: &Kind, style: Style, json: &Json, path: &str) -> Result<Value, String> {
    let misfit = || format!("{path}: {json} is no {kind:?}");
    let integer = || json.as_i64().ok_or_else(misfit);
    Ok(match kind {
        Kind::Bool => Value::Bool(json.as_bool().ok_or_else(misfit)?),
        Kind::Int8 => Value::Int8(integer()?.try_into().map_err(|_| misfit())?),
        Kind::Int16 => Value::Int16(integer()?.try_into().map_err(|_| misfit())?),
        Kind::Uint16 => Value::Uint16(integer()?.try_into().map_err(|_| misfit())?),
        Kind::Int32 => Value::Int32(integer()?.try_into().map_err(|_| misfit())?),
        Kind::Uint32 => Value::Uint32(integer()?.try_into().map_err(|_| misfit())?),
        Kind::Int64 => Value::Int64(integer()?),
        Kind::Float64 => Value::Float64(match json {
            Json::String(name) => name.parse().map_err(|_| misfit())?,
            number => number.as_f64().ok_or_else(misfit)?,
        }),
        Kind::Uuid => Value::Uuid(json.as_str().and_then(|text| text.parse().ok()).ok_or_else(misfit)?),
        Kind::String => Value::String(json.as_str().ok_or_else(misfit)?.to_owned()),
        Kind::Bytes => {
            let text = json.as_str().ok_or_else(misfit)?;
            Value::Bytes(style.bytes(text).map_err(|error| format!("{path}: {error}"))?.into())
        }
        Kind::Array(element) => {
            let Json::Array(elements) = json else { return Err(misfit()) };
            let made = elements
                .iter()
                .enumerate()
                .map(|(i, json)| value(element, style, json, &format!("{path}[{i}]")));
            Value::Array(made.collect::<Result<_, _>>()?)
        }
        Kind::Struct(table) => structure(*table, style, json, path)?,
        Kind::Nullable(_) if json.is_null() => Value::Null,
        Kind::Nullable(inner) => value(inner, style, json, path)?,
    })
}

/// The value without the tags that its tables don't know, at any depth.
pub fn without_unknown_tags(value: &Value) -> Value {
    match value {
        Value::Array(elements) => Value::Array(elements.iter().map(without_unknown_tags).collect()),
        Value::Struct(structure) => Value::Struct(StructValue {
            fields: structure
                .fields
                .iter()
                .map(|(name, value)| (name.clone(), without_unknown_tags(value)))
                .collect(),
            unknown_tags: UnknownTags::default(),
        }),
        other => other.clone(),
    }
}

/// Where two values differ first, and how. Floating-point numbers are compared bit by bit.
pub fn first_difference(ours: &Value, expected: &Value) -> Option<String> {
    match (ours, expected) {
        // JSON has one name for all that are not a number.
        (Value::Float64(ours), Value::Float64(expected))
            if ours.to_bits() == expected.to_bits() || (ours.is_nan() && expected.is_nan()) =>
        {
            None
        }
        (Value::Array(ours), Value::Array(expected)) if ours.len() == expected.len() => {
            let mut pairs = ours.iter().zip(expected).enumerate();
            pairs
                .find_map(|(i, (ours, expected))| Some(format!("[{i}]{}", first_difference(ours, expected)?)))
        }
        (Value::Struct(ours), Value::Struct(expected))
            if ours.fields.len() == expected.fields.len() && ours.unknown_tags == expected.unknown_tags =>
        {
            let mut pairs = ours.fields.iter().zip(&expected.fields);
            pairs.find_map(|((name, ours), (other, expected))| {
                if name != other {
                    return Some(format!(".{name}: `{other}` expected"));
                }
                Some(format!(".{name}{}", first_difference(ours, expected)?))
            })
        }
        (ours, expected) if ours == expected => None,
        (ours, expected) => Some(format!(": {} instead of {}", shortened(ours), shortened(expected))),
    }
}

/// Where two byte strings differ first, and how.
pub fn first_byte_difference(ours: &[u8], expected: &[u8]) -> Option<String> {
    if ours == expected {
        return None;
    }
    let at = ours.iter().zip(expected).take_while(|(ours, expected)| ours == expected).count();
    let from = at.saturating_sub(4);
    let part = |bytes: &[u8]| crate::vectors::hex(&bytes[from..bytes.len().min(at + 12)]);
    Some(format!(
        "{} bytes instead of {}, byte {at} differs: …{}… instead of …{}…",
        ours.len(),
        expected.len(),
        part(ours),
        part(expected),
    ))
}

fn shortened(value: &Value) -> String {
    let text = match value {
        Value::Bytes(bytes) => format!("bytes {}", crate::vectors::hex(bytes)),
        other => format!("{other:?}"),
    };
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.len()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_kafkas_by_their_underscores_alone() {
        assert_eq!(camel_case("session_timeout_ms"), "sessionTimeoutMs");
        assert_eq!(camel_case("enable2_pc"), "enable2Pc");
        assert_eq!(camel_case("topics"), "topics");
    }

    #[test]
    fn the_first_difference_is_named_by_its_path() {
        let made = |number| {
            let inner = StructValue { fields: vec![("b".into(), Value::Int8(number))], ..Default::default() };
            let list = Value::Array(vec![Value::Struct(inner)]);
            Value::Struct(StructValue { fields: vec![("a".into(), list)], ..Default::default() })
        };
        assert_eq!(first_difference(&made(1), &made(1)), None);
        assert_eq!(first_difference(&made(1), &made(2)), Some(".a[0].b: Int8(1) instead of Int8(2)".into()));
    }
}
