//! Every message in every version: generated values come back from their bytes, and what a version can't express is an
//! error or, where Kafka says so, left out.
//!
//! `PROPTEST_CASES` says how many values each message gets in each version.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use ottla_protocol::reflect::{APIS, BLOBS, DynMessage, FieldRow, Kind, StructValue, TableRef, Value};
use ottla_protocol::uuid::Uuid;
use ottla_protocol::wire::{EncodeErrorKind, UnknownTags};
use ottla_tests::json::{first_byte_difference, first_difference};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

const CASES: u32 = 24;

#[test]
fn every_request_comes_back_from_its_bytes_in_every_version() {
    for api in APIS {
        for version in api.api.versions.min..=api.api.versions.max {
            comes_back(&api.request, version, api.api.flexible(version));
        }
    }
}

#[test]
fn every_response_comes_back_from_its_bytes_in_every_version() {
    for api in APIS {
        for version in api.api.versions.min..=api.api.versions.max {
            comes_back(&api.response, version, api.api.flexible(version));
        }
    }
}

#[test]
fn every_blob_comes_back_from_its_bytes_in_every_version() {
    for blob in BLOBS {
        for version in blob.versions.min..=blob.versions.max {
            comes_back(blob, version, blob.flexible(version));
        }
    }
}

fn comes_back(message: &DynMessage, version: i16, flexible: bool) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let strategy = structure(message.table, version, flexible);
    let result =
        runner.run(&strategy, |value| judge(message, version, flexible, value).map_err(TestCaseError::fail));
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, value)) => {
            panic!("{} in version {version}: {reason}\nthe value: {value:?}", message.table.name)
        }
        Err(TestError::Abort(reason)) => panic!("{} in version {version}: {reason}", message.table.name),
    }
}

fn judge(message: &DynMessage, version: i16, flexible: bool, value: StructValue) -> Result<(), String> {
    let expected = expressible(&value, message.table, version, flexible);
    let encoded =
        message.encode(Value::Struct(value), version, flexible).map_err(|error| error.to_string())?;
    let (bytes, expected) = match (encoded, expected) {
        (Ok(bytes), Ok(expected)) => (bytes, Value::Struct(expected)),
        (Err(error), Err(kind)) if error.kind == kind && error.version == version => return Ok(()),
        (encoded, Ok(_)) => return Err(format!("{encoded:?} instead of bytes")),
        (encoded, Err(kind)) => return Err(format!("{encoded:?} instead of {kind:?}")),
    };
    let decoded = message.decode(&bytes, version, flexible).map_err(|error| error.to_string())?;
    if let Some(difference) = first_difference(&decoded, &expected) {
        return Err(format!("decoded {difference}"));
    }
    let again = message.encode(decoded, version, flexible).map_err(|error| error.to_string())?;
    let again = again.map_err(|error| error.to_string())?;
    first_byte_difference(&again, &bytes)
        .map_or(Ok(()), |difference| Err(format!("encoded again: {difference}")))
}

/// What of a value a version can carry: ignorable fields that it lacks are at their default. Or what it can't carry.
fn expressible(
    value: &StructValue,
    table: TableRef,
    version: i16,
    flexible: bool,
) -> Result<StructValue, EncodeErrorKind> {
    let mut carried = StructValue::default();
    // In-line fields are written first, then the tagged ones; the first that can't be is the error.
    let mut first_error = [None, None];
    for (row, (name, field)) in table.fields.iter().zip(&value.fields) {
        let default = (row.default)();
        let exists = row.spec.versions.contains(version);
        let written = exists && (row.spec.tag.is_none() || *field != default);
        let result = if written {
            within(field, &row.kind, row, version, flexible)
        } else if exists || row.spec.ignorable || *field == default {
            Ok(default)
        } else {
            Err(EncodeErrorKind::UnsupportedField)
        };
        match result {
            Ok(field) => carried.fields.push((name.clone(), field)),
            Err(kind) => {
                first_error[usize::from(written && row.spec.tag.is_some())].get_or_insert(kind);
            }
        }
    }
    if let Some(kind) = first_error.into_iter().flatten().next() {
        return Err(kind);
    }
    if flexible {
        carried.unknown_tags = value.unknown_tags.clone();
    }
    Ok(carried)
}

fn within(
    value: &Value,
    kind: &Kind,
    row: &FieldRow,
    version: i16,
    flexible: bool,
) -> Result<Value, EncodeErrorKind> {
    match (value, kind) {
        (Value::Null, _) if !row.spec.nullable.contains(version) => Err(EncodeErrorKind::NullNotAllowed),
        (Value::Null, _) => Ok(Value::Null),
        (value, Kind::Nullable(inner)) => within(value, inner, row, version, flexible),
        (Value::Array(elements), Kind::Array(kind)) => {
            let carried = elements.iter().map(|element| within(element, kind, row, version, flexible));
            carried.collect::<Result<_, _>>().map(Value::Array)
        }
        (Value::Struct(inner), Kind::Struct(table)) => {
            expressible(inner, *table, version, flexible).map(Value::Struct)
        }
        (value, _) => Ok(value.clone()),
    }
}

fn structure(table: TableRef, version: i16, flexible: bool) -> BoxedStrategy<StructValue> {
    let fields: Vec<BoxedStrategy<(String, Value)>> = table
        .fields
        .iter()
        .map(|row| field(row, version, flexible).prop_map(|value| (row.name.to_owned(), value)).boxed())
        .collect();
    (fields, unknown_tags(table, version, flexible))
        .prop_map(|(fields, unknown_tags)| StructValue { fields, unknown_tags })
        .boxed()
}

/// Now and then a null or a value that the version doesn't allow.
fn field(row: &'static FieldRow, version: i16, flexible: bool) -> BoxedStrategy<Value> {
    let default = Just((row.default)());
    let any = value(&row.kind, version, flexible);
    let null = Just(Value::Null);
    match (row.spec.versions.contains(version), row.kind) {
        (false, _) => prop_oneof![60 => default, 1 => any].boxed(),
        (true, Kind::Nullable(_)) if row.spec.nullable.contains(version) => {
            prop_oneof![3 => any, 1 => null].boxed()
        }
        (true, Kind::Nullable(_)) => prop_oneof![60 => any, 1 => null].boxed(),
        (true, _) if row.spec.tag.is_some() => prop_oneof![any, default].boxed(),
        (true, _) => any,
    }
}

fn value(kind: &'static Kind, version: i16, flexible: bool) -> BoxedStrategy<Value> {
    macro_rules! integer {
        ($kind:ident, $type:ty) => {
            prop_oneof![Just(<$type>::MIN), Just(<$type>::MAX), Just(0), any::<$type>()]
                .prop_map(Value::$kind)
                .boxed()
        };
    }
    match kind {
        Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::Int8 => integer!(Int8, i8),
        Kind::Int16 => integer!(Int16, i16),
        Kind::Uint16 => integer!(Uint16, u16),
        Kind::Int32 => integer!(Int32, i32),
        Kind::Uint32 => integer!(Uint32, u32),
        Kind::Int64 => integer!(Int64, i64),
        Kind::Float64 => any::<f64>().prop_map(Value::Float64).boxed(),
        Kind::Uuid => {
            prop_oneof![Just(Uuid::ZERO), any::<[u8; 16]>().prop_map(Uuid)].prop_map(Value::Uuid).boxed()
        }
        Kind::String => text().prop_map(Value::String).boxed(),
        Kind::Bytes => payload().prop_map(Value::Bytes).boxed(),
        Kind::Array(element) => array(value(element, version, flexible)),
        Kind::Struct(table) => structure(*table, version, flexible).prop_map(Value::Struct).boxed(),
        // Whether null is allowed is the row's business.
        Kind::Nullable(inner) => value(inner, version, flexible),
    }
}

/// 127 bytes are the first length that takes two bytes in compact form; 32,767 is the longest there is.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::collection::vec(any::<char>(), 0..6).prop_map(String::from_iter),
        1 => Just(String::new()),
        1 => prop::sample::select(&[126, 127, 128, 255, 16_383, 32_767][..]).prop_map(|len| "x".repeat(len)),
    ]
}

/// Long ones are spliced into the frame instead of copied.
fn payload() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..6).prop_map(Bytes::from),
        1 => prop::sample::select(&[0, 126, 127, 128, 2_047, 2_048, 40_000][..]).prop_map(|len| vec![7; len].into()),
    ]
}

fn array(element: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let repeated = (element.clone(), prop::sample::select(&[126, 127, 128][..]));
    prop_oneof![
        20 => prop::collection::vec(element, 0..4),
        1 => repeated.prop_map(|(element, count)| vec![element; count]),
    ]
    .prop_map(Value::Array)
    .boxed()
}

/// Tags around and between those of the table.
fn unknown_tags(table: TableRef, version: i16, flexible: bool) -> BoxedStrategy<UnknownTags> {
    if !flexible {
        return Just(UnknownTags::default()).boxed();
    }
    let known = |tag: u32| {
        table.fields.iter().any(|row| row.spec.tag == Some(tag) && row.spec.versions.contains(version))
    };
    let free: Vec<u32> =
        (0..8).chain([127, 128, 16_384, i32::MAX as u32, u32::MAX]).filter(|tag| !known(*tag)).collect();
    let tag = (prop::sample::select(free), prop::collection::vec(any::<u8>(), 0..4));
    prop_oneof![
        9 => Just(Vec::new()),
        1 => prop::collection::vec(tag, 1..4),
    ]
    .prop_map(|tags| {
        let mut unknown = UnknownTags::default();
        tags.into_iter().for_each(|(tag, content)| unknown.insert(tag, content.into()));
        unknown
    })
    .boxed()
}
