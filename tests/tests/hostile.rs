//! Cut-off, damaged and bloated messages: an error, never a panic, and never more memory than [`memory::message_bound`]
//! for a real message that was damaged, or [`memory::densest_bound`] for one that was made to take memory.
//!
//! The bodies are those of the golden vectors, so every message is hit in every version.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use ottla_protocol::reflect::{APIS, DynApi, DynMessage, FieldRow, Kind, StructValue, TableRef, Value};
use ottla_protocol::uuid::Uuid;
use ottla_protocol::wire::{DecodeError, UnknownTags};
use ottla_tests::memory::{self, PeakAlloc};
use ottla_tests::vectors::{self, unhex};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Memory is counted for the whole process, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// A body with its decoder.
struct Body {
    message: String,
    version: i16,
    bytes: Bytes,
    flexible: bool,
    decoder: DynMessage,
}

impl Body {
    /// Decodes these bytes as the message that the body is.
    fn decode(&self, bytes: &Bytes) -> Result<(), DecodeError> {
        self.decoder.check(bytes, self.version, self.flexible)
    }
}

#[test]
fn a_message_that_is_cut_off_anywhere_is_an_error() {
    let _alone = ALONE.lock().unwrap();
    for body in bodies() {
        // All of a short body; of a long one the ends, where the interesting fields are, and every so often between.
        let stride = 1 + body.bytes.len() / 400;
        let cuts = (0..body.bytes.len())
            .filter(|cut| cut % stride == 0 || *cut < 64 || *cut + 64 > body.bytes.len());
        for cut in cuts {
            let cut_off = body.bytes.slice(..cut);
            within(memory::message_bound(cut), &body, &cut_off);
            assert!(
                body.decode(&cut_off).is_err(),
                "{} v{}: {cut} of {} bytes decode",
                body.message,
                body.version,
                body.bytes.len()
            );
        }
    }
}

#[test]
fn a_damaged_byte_neither_panics_nor_takes_memory() {
    let _alone = ALONE.lock().unwrap();
    for body in shortest_with_content(bodies()) {
        let mut damaged = body.bytes.to_vec();
        for at in 0..damaged.len() {
            let sent = damaged[at];
            for byte in [0, 1, 0x7f, 0x80, 0xff, sent ^ 0x10, sent.wrapping_add(1)] {
                damaged[at] = byte;
                let damaged = Bytes::copy_from_slice(&damaged);
                within(memory::message_bound(damaged.len()), &body, &damaged);
            }
            damaged[at] = sent;
        }
    }
}

#[test]
fn a_count_that_lies_takes_no_memory() {
    let _alone = ALONE.lock().unwrap();
    for body in shortest_with_content(bodies()) {
        // The largest count that the bytes can back, at every place where one might stand.
        for at in 0..body.bytes.len() {
            let left = body.bytes.len() - at;
            let mut damaged = body.bytes.to_vec();
            damaged.resize(damaged.len() + 64 * 1024, 0);
            let claim = (left + 60 * 1024) as u32;
            damaged[at..][..4].copy_from_slice(&claim.to_be_bytes());
            within(memory::densest_bound(damaged.len()), &body, &Bytes::from(damaged.clone()));
            damaged[at..][..3].copy_from_slice(&[
                claim as u8 | 0x80,
                (claim >> 7) as u8 | 0x80,
                (claim >> 14) as u8,
            ]);
            within(memory::densest_bound(damaged.len()), &body, &Bytes::from(damaged));
        }
    }
}

#[test]
fn a_list_of_the_shortest_elements_stays_within_the_bound() {
    let _alone = ALONE.lock().unwrap();
    for api in APIS {
        for version in api.api.versions.min..=api.api.versions.max {
            for message in [&api.request, &api.response] {
                for value in bloated(message.table, version) {
                    let bytes = encode(api, message, value, version);
                    let name = message.table.name.to_owned();
                    let flexible = api.api.flexible(version);
                    let body =
                        Body { message: name, version, bytes: bytes.clone(), flexible, decoder: *message };
                    within(memory::densest_bound(bytes.len()), &body, &bytes);
                    body.decode(&bytes).unwrap();
                }
            }
        }
    }
}

#[test]
fn no_element_takes_more_memory_for_a_byte_than_the_bound_reckons_with() {
    let mut ratios = vec![(size_of::<(u32, Bytes)>() as f64 / 2.0, "an unknown tag".to_owned())];
    for api in APIS {
        // The reckoning of sizes from the tables is right where the compiler tells them.
        assert_eq!(size_of_table(&api.request.table), (api.request.size, 8), "{:?}", api.api.key);
        assert_eq!(size_of_table(&api.response.table), (api.response.size, 8), "{:?}", api.api.key);
        for version in api.api.versions.min..=api.api.versions.max {
            let flexible = api.api.flexible(version);
            for table in [api.request.table, api.response.table] {
                element_ratios(&Kind::Struct(table), version, flexible, &mut ratios);
            }
        }
    }
    ratios.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (worst, what) = &ratios[0];
    assert!(*worst <= memory::LARGEST_RATIO as f64, "{worst} bytes of memory for each on the wire: {what}");
}

fn within(bound: usize, body: &Body, bytes: &Bytes) {
    let (_, peak) = memory::peak(|| body.decode(bytes));
    assert!(
        peak <= bound,
        "{} v{} takes {peak} bytes of memory for {} on the wire, more than {bound}: {}",
        body.message,
        body.version,
        bytes.len(),
        vectors::hex(&bytes[..bytes.len().min(200)]),
    );
}

fn bodies() -> Vec<Body> {
    let folder = vectors::folder().unwrap_or_else(|reason| panic!("{reason}"));
    let mut bodies = Vec::new();
    for file in ["messages", "messages_pre40"] {
        for case in vectors::lines(&folder.join(format!("{file}.jsonl.gz"))).unwrap() {
            let Some(api) = APIS.iter().find(|api| case["key"] == api.api.key.0) else { continue };
            let decoder = if case["kind"] == "request" { api.request } else { api.response };
            let version = case["version"].as_i64().unwrap() as i16;
            bodies.push(Body {
                message: decoder.table.name.to_owned(),
                version,
                bytes: unhex(case["body_hex"].as_str().unwrap()).unwrap(),
                flexible: api.api.flexible(version),
                decoder,
            });
        }
    }
    assert!(!bodies.is_empty(), "no message of {} has a table", folder.display());
    bodies
}

/// One body of each message in each version: the shortest that isn't just defaults.
fn shortest_with_content(bodies: Vec<Body>) -> Vec<Body> {
    let mut chosen: BTreeMap<(String, i16), Body> = BTreeMap::new();
    for body in bodies {
        let key = (body.message.clone(), body.version);
        let content = |body: &Body| (body.bytes.len() < 60, body.bytes.len().abs_diff(60));
        if chosen.get(&key).is_none_or(|present| content(&body) < content(present)) {
            chosen.insert(key, body);
        }
    }
    chosen.into_values().collect()
}

fn encode(api: &DynApi, message: &DynMessage, value: Value, version: i16) -> Bytes {
    message.encode(value, version, api.api.flexible(version)).unwrap().unwrap()
}

/// For each list of a message, at any depth: the message with many of the shortest elements in it, and little else.
fn bloated(table: TableRef, version: i16) -> Vec<Value> {
    let mut made = Vec::new();
    for (at, row) in table.fields.iter().enumerate().filter(|(_, row)| row.spec.versions.contains(version)) {
        for value in bloated_field(&row.kind, version) {
            let mut fields = shortest_fields(table, version);
            fields[at].1 = value;
            made.push(Value::Struct(StructValue { fields, unknown_tags: UnknownTags::default() }));
        }
    }
    made
}

fn bloated_field(kind: &Kind, version: i16) -> Vec<Value> {
    match kind {
        Kind::Nullable(inner) => bloated_field(inner, version),
        Kind::Struct(table) => bloated(*table, version),
        Kind::Array(element) => {
            let many = Value::Array(vec![shortest(element, version); 3000]);
            let inside = bloated_field(element, version).into_iter().map(|value| Value::Array(vec![value]));
            std::iter::once(many).chain(inside).collect()
        }
        _ => Vec::new(),
    }
}

fn shortest_fields(table: TableRef, version: i16) -> Vec<(String, Value)> {
    let value = |row: &FieldRow| match row.kind {
        _ if !row.spec.versions.contains(version) || row.spec.tag.is_some() => (row.default)(),
        Kind::Nullable(Kind::Struct(_)) if row.spec.nullable.contains(version) => Value::Null,
        kind => shortest(&kind, version),
    };
    table.fields.iter().map(|row| (row.name.to_owned(), value(row))).collect()
}

fn shortest(kind: &Kind, version: i16) -> Value {
    match kind {
        Kind::Bool => Value::Bool(false),
        Kind::Int8 => Value::Int8(0),
        Kind::Int16 => Value::Int16(0),
        Kind::Uint16 => Value::Uint16(0),
        Kind::Int32 => Value::Int32(0),
        Kind::Uint32 => Value::Uint32(0),
        Kind::Int64 => Value::Int64(0),
        Kind::Float64 => Value::Float64(0.0),
        Kind::Uuid => Value::Uuid(Uuid::ZERO),
        Kind::String => Value::String(String::new()),
        Kind::Bytes => Value::Bytes(Bytes::new()),
        Kind::Array(_) => Value::Array(Vec::new()),
        Kind::Struct(table) => {
            let fields = shortest_fields(*table, version);
            Value::Struct(StructValue { fields, unknown_tags: UnknownTags::default() })
        }
        Kind::Nullable(inner) => shortest(inner, version),
    }
}

/// The memory of each list's element for each byte of its shortest form.
fn element_ratios(kind: &Kind, version: i16, flexible: bool, ratios: &mut Vec<(f64, String)>) {
    match kind {
        Kind::Nullable(inner) => element_ratios(inner, version, flexible, ratios),
        Kind::Struct(table) => {
            for row in table.fields.iter().filter(|row| row.spec.versions.contains(version)) {
                element_ratios(&row.kind, version, flexible, ratios);
            }
        }
        Kind::Array(element) => {
            let (size, _) = size_in_memory(element);
            let on_wire = shortest_on_wire(element, version, flexible);
            let what = if let Kind::Struct(table) = element { table.name } else { "a plain value" };
            ratios.push((
                size as f64 / on_wire as f64,
                format!("{what}, {size} for {on_wire} in version {version}"),
            ));
            element_ratios(element, version, flexible, ratios);
        }
        _ => {}
    }
}

fn size_of_table(table: &TableRef) -> (usize, usize) {
    let fields = table.fields.iter().map(|row| size_in_memory(&row.kind));
    let own = (size_of::<UnknownTags>(), align_of::<UnknownTags>());
    let (size, align) = fields.fold(own, |sum, field| (sum.0 + field.0, sum.1.max(field.1)));
    (size.next_multiple_of(align), align)
}

/// Size and alignment. The compiler orders fields without gaps, and null takes no room of its own.
fn size_in_memory(kind: &Kind) -> (usize, usize) {
    match kind {
        Kind::Bool | Kind::Int8 => (1, 1),
        Kind::Int16 | Kind::Uint16 => (2, 2),
        Kind::Int32 | Kind::Uint32 => (4, 4),
        Kind::Int64 | Kind::Float64 => (8, 8),
        Kind::Uuid => (16, 1),
        Kind::String => (size_of::<String>(), align_of::<String>()),
        Kind::Bytes => (size_of::<Bytes>(), align_of::<Bytes>()),
        Kind::Array(_) => (size_of::<Vec<u8>>(), align_of::<Vec<u8>>()),
        Kind::Struct(table) => size_of_table(table),
        Kind::Nullable(inner) => size_in_memory(inner),
    }
}

fn shortest_on_wire(kind: &Kind, version: i16, flexible: bool) -> usize {
    match kind {
        Kind::Bool | Kind::Int8 => 1,
        Kind::Int16 | Kind::Uint16 => 2,
        Kind::Int32 | Kind::Uint32 => 4,
        Kind::Int64 | Kind::Float64 => 8,
        Kind::Uuid => 16,
        Kind::String => {
            if flexible {
                1
            } else {
                2
            }
        }
        Kind::Bytes | Kind::Array(_) => {
            if flexible {
                1
            } else {
                4
            }
        }
        Kind::Struct(table) => {
            let in_line = |row: &&FieldRow| row.spec.tag.is_none() && row.spec.versions.contains(version);
            let fields = table.fields.iter().filter(in_line);
            let tag_count = usize::from(flexible);
            fields.map(|row| shortest_on_wire(&row.kind, version, flexible)).sum::<usize>() + tag_count
        }
        Kind::Nullable(Kind::Struct(_)) => 1,
        Kind::Nullable(inner) => shortest_on_wire(inner, version, flexible),
    }
}
