//! Messages made out of an input by their tables.

use bytes::Bytes;
use ottla_protocol::reflect::{FieldRow, Kind, StructValue, TableRef, Value};
use ottla_protocol::uuid::Uuid;
use ottla_protocol::wire::UnknownTags;

use crate::source::Source;

/// Lengths at which the wire format changes.
const LENGTHS: [usize; 8] = [0, 1, 126, 127, 128, 2047, 2048, 16_383];

/// The most values that one message gets, and the most bytes in texts and payloads that the input doesn't hold itself.
const MOST: usize = 40_000;

/// Makes messages in one version.
#[derive(Debug)]
pub(crate) struct Generator<'s, 'a> {
    version: i16,
    flexible: bool,
    source: &'s mut Source<'a>,
    /// What is left of [`MOST`].
    left: usize,
}

impl<'s, 'a> Generator<'s, 'a> {
    pub(crate) fn new(version: i16, flexible: bool, source: &'s mut Source<'a>) -> Self {
        Generator { version, flexible, source, left: MOST }
    }

    /// A structure. Now and then it holds what its version can't express.
    pub(crate) fn structure(&mut self, table: TableRef) -> StructValue {
        let fields = table.fields.iter().map(|row| (row.name.to_owned(), self.field(row))).collect();
        let mut unknown_tags = UnknownTags::default();
        if self.flexible {
            for _ in 0..self.source.u8().saturating_sub(250) {
                let tag = match self.source.u8() {
                    0..200 => u32::from(self.source.u8()),
                    _ => u32::from_be_bytes(self.source.array()),
                };
                let known =
                    |row: &FieldRow| row.spec.tag == Some(tag) && row.spec.versions.contains(self.version);
                if !table.fields.iter().any(known) {
                    let length = self.source.below(8);
                    unknown_tags.insert(tag, Bytes::copy_from_slice(self.source.slice(length)));
                }
            }
        }
        StructValue { fields, unknown_tags }
    }

    fn field(&mut self, row: &FieldRow) -> Value {
        let exists = row.spec.versions.contains(self.version);
        match (exists, self.source.u8()) {
            (false, 0..=250) | (true, 251..) => return (row.default)(),
            _ => {}
        }
        match row.kind {
            Kind::Nullable(inner) => match (row.spec.nullable.contains(self.version), self.source.u8()) {
                (true, 192..) | (false, 255) => Value::Null,
                _ => self.value(inner),
            },
            kind => self.value(&kind),
        }
    }

    fn value(&mut self, kind: &Kind) -> Value {
        self.left = self.left.saturating_sub(1);
        let source = &mut *self.source;
        match kind {
            Kind::Bool => Value::Bool(source.u8() & 1 == 1),
            Kind::Int8 => Value::Int8(source.u8() as i8),
            Kind::Int16 => Value::Int16(source.i16()),
            Kind::Uint16 => Value::Uint16(source.i16() as u16),
            Kind::Int32 => Value::Int32(source.i32()),
            Kind::Uint32 => Value::Uint32(source.i32() as u32),
            Kind::Int64 => Value::Int64(source.i64()),
            // No NaN, which differs from itself.
            Kind::Float64 => Value::Float64(f64::from(source.i32()) / 8.0),
            Kind::Uuid => Value::Uuid(Uuid(source.array())),
            Kind::String => Value::String(String::from_utf8_lossy(&self.bytes()).into_owned()),
            Kind::Bytes => Value::Bytes(self.bytes().into()),
            Kind::Array(element) => {
                let count = match source.u8() {
                    _ if source.is_empty() || self.left == 0 => 0,
                    255 => 128,
                    byte => usize::from(byte) % 4,
                };
                Value::Array((0..count).map(|_| self.value(element)).collect())
            }
            Kind::Struct(table) => Value::Struct(self.structure(*table)),
            Kind::Nullable(inner) => self.value(inner),
        }
    }

    /// A few bytes of the input, or many of one.
    fn bytes(&mut self) -> Vec<u8> {
        match self.source.u8() {
            length @ 0..=239 => self.source.slice(usize::from(length) % 12).to_vec(),
            length => {
                let length = LENGTHS[usize::from(length) % LENGTHS.len()].min(self.left);
                self.left -= length;
                vec![self.source.u8() & 0x7f; length]
            }
        }
    }
}

/// What of a structure its version carries, where it carries all that must not be left out: fields that it lacks are at their
/// default.
pub(crate) fn carried(
    value: &StructValue,
    table: TableRef,
    version: i16,
    flexible: bool,
) -> Option<StructValue> {
    let mut fields = Vec::with_capacity(value.fields.len());
    for (row, (name, field)) in table.fields.iter().zip(&value.fields) {
        let default = (row.default)();
        let field = if row.spec.versions.contains(version) {
            // A tagged field at its default isn't written, whatever it holds.
            let written = row.spec.tag.is_none() || *field != default;
            if written { carried_field(field, &row.kind, row, version, flexible)? } else { default }
        } else if row.spec.ignorable || *field == default {
            default
        } else {
            return None;
        };
        fields.push((name.clone(), field));
    }
    let unknown_tags = if flexible { value.unknown_tags.clone() } else { UnknownTags::default() };
    Some(StructValue { fields, unknown_tags })
}

fn carried_field(value: &Value, kind: &Kind, row: &FieldRow, version: i16, flexible: bool) -> Option<Value> {
    match (value, kind) {
        (Value::Null, _) => row.spec.nullable.contains(version).then_some(Value::Null),
        (value, Kind::Nullable(inner)) => carried_field(value, inner, row, version, flexible),
        (Value::Array(elements), Kind::Array(kind)) => {
            let carried = elements.iter().map(|element| carried_field(element, kind, row, version, flexible));
            carried.collect::<Option<_>>().map(Value::Array)
        }
        (Value::Struct(inner), Kind::Struct(table)) => {
            carried(inner, *table, version, flexible).map(Value::Struct)
        }
        (value, _) => Some(value.clone()),
    }
}
