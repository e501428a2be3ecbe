//! The target `round_trip`: messages come back from their bytes.

use bytes::Bytes;
use ottla_protocol::reflect::{StructValue, Value};

use crate::generate::{Generator, carried};
use crate::messages::{Direction, Subject};
use crate::source::Source;

/// Takes the input for a direction, an API's key, a version, and a body, or what to make a message of.
///
/// What decodes is encoded, and decodes to the same; encoding that again gives the same bytes. A message that was made comes
/// back without what its version lacks, or is refused if that must not be left out.
pub fn round_trip(data: &[u8]) {
    let mut source = Source::new(data);
    let choice = source.u8();
    let direction = if choice & 1 == 0 { Direction::Request } else { Direction::Response };
    let subject = Subject::of(source.i16(), source.i16(), direction);
    if choice & 2 == 0 {
        if let Some(value) = subject.decode(&Bytes::copy_from_slice(source.rest())) {
            comes_back(&subject, &value, &subject.encode(value.clone()));
        }
    } else {
        made(&subject, &mut source);
    }
}

fn made(subject: &Subject, source: &mut Source<'_>) {
    let (message, version, flexible) = (subject.message(), subject.version, subject.flexible());
    let value = Generator::new(version, flexible, source).structure(message.table);
    let expected = carried(&value, message.table, version, flexible);
    let encoded = message.encode(Value::Struct(value), version, flexible).expect("it is made by the table");
    match (encoded, expected) {
        (Ok(bytes), Some(expected)) => comes_back(subject, &Value::Struct(expected), &bytes),
        (Err(_), None) => {}
        (encoded, expected) => panic!("{} v{version}: {encoded:?}, of {expected:?}", message.table.name),
    }
}

fn comes_back(subject: &Subject, value: &Value, bytes: &Bytes) {
    let name = subject.message().table.name;
    let Some(again) = subject.decode(bytes) else {
        panic!("{name} v{}: encoded, and then not decoded: {bytes:?}, of {value:?}", subject.version);
    };
    assert!(same(&again, value), "{name} v{}: {value:?} becomes {again:?}", subject.version);
    assert_eq!(subject.encode(again), bytes, "{name} v{}, encoded again", subject.version);
}

/// Whether two values are equal, where a NaN is equal to itself.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float64(a), Value::Float64(b)) => a.to_bits() == b.to_bits(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Struct(a), Value::Struct(b)) => same_struct(a, b),
        (a, b) => a == b,
    }
}

fn same_struct(a: &StructValue, b: &StructValue) -> bool {
    a.unknown_tags == b.unknown_tags
        && a.fields.len() == b.fields.len()
        && a.fields.iter().zip(&b.fields).all(|((a_name, a), (b_name, b))| a_name == b_name && same(a, b))
}
