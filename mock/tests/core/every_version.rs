//! Every API in every version that a release announces: what it answers can be written, and read again.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ottla_mock::{ClusterOptions, Release, Security};
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::header::{RequestHeader, split_response};
use ottla_protocol::messages::api_versions::ApiVersionsRequest;
use ottla_protocol::reflect::{APIS, DynApi, FieldRow, Kind, StructValue, Value};
use ottla_protocol::wire::Writer;
use proptest::prelude::*;

use crate::wire::{Wire, batch};

/// A request with something in every array, or with its defaults.
fn body(api: &DynApi, version: i16, filled: bool) -> Option<Bytes> {
    let fields = if filled { fill(api.request.table.fields, version) } else { Vec::new() };
    let value = Value::Struct(StructValue { fields, ..Default::default() });
    api.request.encode(value, version, api.api.flexible(version)).unwrap().ok()
}

fn fill(rows: &[FieldRow], version: i16) -> Vec<(String, Value)> {
    let exists = |row: &&FieldRow| row.spec.versions.contains(version);
    let value = |row: &FieldRow| (row.name.to_owned(), sample(row, row.kind, version));
    rows.iter().filter(exists).map(value).collect()
}

fn sample(row: &FieldRow, kind: Kind, version: i16) -> Value {
    match kind {
        Kind::String => Value::String(if row.name.contains("mechanism") { "PLAIN" } else { "t" }.to_owned()),
        Kind::Bytes => Value::Bytes(batch(&["a"])),
        Kind::Array(element) => Value::Array(vec![element_of(row, *element, version)]),
        Kind::Struct(table) => {
            Value::Struct(StructValue { fields: fill(table.fields, version), ..Default::default() })
        }
        Kind::Nullable(inner) => sample(row, *inner, version),
        _ if row.name == "replica_id" => Value::Int32(-1),
        Kind::Int8 if row.name.contains("_type") || row.name == "operation" => Value::Int8(2),
        Kind::Int32 if row.name.ends_with("timeout_ms") => Value::Int32(10_000),
        _ => (row.default)(),
    }
}

/// An element of an array, which has no default of its own.
fn element_of(row: &FieldRow, kind: Kind, version: i16) -> Value {
    let is_broker = ["broker_ids", "replicas"].contains(&row.name);
    match kind {
        Kind::Bool => Value::Bool(true),
        Kind::Int8 => Value::Int8(1),
        Kind::Int16 => Value::Int16(0),
        Kind::Uint16 => Value::Uint16(0),
        Kind::Int32 => Value::Int32(i32::from(is_broker)),
        Kind::Uint32 => Value::Uint32(0),
        Kind::Int64 => Value::Int64(0),
        Kind::Float64 => Value::Float64(0.5),
        Kind::Uuid => Value::Uuid(Default::default()),
        _ => sample(row, kind, version),
    }
}

fn frame(api: &DynApi, version: i16, body: &Bytes) -> Bytes {
    let mut writer = Writer::new(version, false);
    let header = RequestHeader {
        request_api_key: api.api.key.0,
        request_api_version: version,
        correlation_id: 7,
        client_id: Some("script".to_owned()),
        unknown_tags: Default::default(),
    };
    header.write(&mut writer, api.api.request_header_version(version)).unwrap();
    let mut frame = BytesMut::from(&writer.finish().unwrap().to_bytes()[..]);
    frame.extend_from_slice(body);
    frame.freeze()
}

/// Asks all that a release announces, and reads the answers; which requests got none.
fn ask_everything(release: Release, refused: bool, filled: bool) -> Vec<(ApiKey, i16)> {
    let options = ClusterOptions::new().release(release).topic("t", 1, 1).security(Security::new());
    let mut wire = Wire::new(options.config("group.initial.rebalance.delay.ms", "0"));
    let rows = wire.ask(1, 0, &ApiVersionsRequest::default()).api_keys;
    if refused {
        wire.cluster.on_any().always(ErrorCode::REQUEST_TIMED_OUT);
    }
    let mut unanswered = Vec::new();
    for row in rows {
        let api = APIS.iter().find(|api| api.api.key.0 == row.api_key).unwrap();
        for version in row.min_version..=row.max_version {
            if api.api.key == ApiKey::PRODUCE && version < 3 {
                continue;
            }
            let Some(body) = body(api, version, filled) else { continue };
            let connection = wire.connect(1);
            wire.cluster.handle(wire.now, connection, frame(api, version, &body));
            wire.collect();
            if !wire.has(connection) {
                wire.pass(Duration::from_secs(61));
            }
            match wire.bytes(connection) {
                Some(bytes) => {
                    let (_, body) = split_response(&bytes.slice(4..), api.api, version).unwrap();
                    let read = api.response.decode(&body, version, api.api.flexible(version));
                    assert!(read.is_ok(), "{release}: {} v{version}: {read:?}", api.api.key);
                }
                None => unanswered.push((api.api.key, version)),
            }
        }
    }
    unanswered
}

#[test]
fn whatever_a_release_announces_is_answered_in_its_own_bytes() {
    for release in Release::ALL {
        // Nobody answers a produce that wants no acknowledgement, which is the default.
        let unanswered = ask_everything(release, false, false);
        // Nor an entry of an access control list about nothing, which is Kafka's default, too.
        let is_silent = |key: ApiKey| [ApiKey::PRODUCE, ApiKey::DESCRIBE_ACLS].contains(&key);
        assert!(unanswered.iter().all(|(key, _)| is_silent(*key)), "{release}: {unanswered:?}");
    }
}

#[test]
fn whatever_a_release_announces_is_answered_when_it_names_something() {
    for release in Release::ALL {
        let unanswered = ask_everything(release, false, true);
        assert!(unanswered.iter().all(|(key, _)| *key == ApiKey::PRODUCE), "{release}: {unanswered:?}");
    }
}

#[test]
fn every_refusal_can_be_written() {
    for release in Release::ALL {
        for filled in [false, true] {
            let unanswered = ask_everything(release, true, filled);
            assert!(unanswered.iter().all(|(key, _)| *key == ApiKey::PRODUCE), "{release}: {unanswered:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_frame_makes_the_cluster_panic(
        key in prop::sample::select(APIS.iter().map(|api| api.api.key.0).collect::<Vec<_>>()),
        version in 0i16..20,
        body in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut wire = Wire::new(ClusterOptions::new().topic("t", 1, 1));
        let connection = wire.connect(1);
        let mut frame = [key.to_be_bytes(), version.to_be_bytes()].concat();
        frame.extend_from_slice(&[0, 0, 0, 7, 0xff, 0xff]);
        frame.extend_from_slice(&body);
        wire.cluster.handle(wire.now, connection, frame.into());
        wire.pass(Duration::from_secs(1));
    }

    #[test]
    fn no_damage_to_a_request_makes_the_cluster_panic(
        which in 0..APIS.len(),
        version in any::<u16>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let api = &APIS[which];
        let version = i16::try_from(version % (api.api.versions.max as u16 + 1)).unwrap().max(api.api.versions.min);
        let Some(body) = body(api, version, true) else { return Ok(()) };
        let mut wire = Wire::new(ClusterOptions::new().topic("t", 1, 1));
        let connection = wire.connect(1);
        let mut bytes = frame(api, version, &body).to_vec();
        for (at, value) in damage {
            // The key stays, so that the request reaches its API.
            let at = 4 + at.index(bytes.len() - 4);
            bytes[at] = value;
        }
        wire.cluster.handle(wire.now, connection, bytes.into());
        wire.pass(Duration::from_secs(1));
    }
}
