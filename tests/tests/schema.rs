//! Every field table against Kafka's own schemas, field by field and version by version; and that the comparison notices
//! what it should, by comparing tables and schemas that were broken on purpose.
//!
//! The schemas are those inside the official `kafka-clients` jars, which `xtask` fetches by Maven: 4.3.0 for all versions
//! that it speaks, 3.9.1 for the older ones that 4.0 dropped. `OTTLA_KAFKA_JARS` may name a folder that holds
//! `kafka-clients-<version>.jar` instead.

#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;

use ottla_protocol::reflect::{FieldRow, Kind, TableRef, Value};
use ottla_protocol::wire::VersionRange;
use ottla_tests::schema::exclusions::{EXCLUDED, KEYS, NOT_COMPACT, WITHOUT_SCHEMA};
use ottla_tests::schema::{BEFORE_4, Field, NEWEST, Schemas, Tables, compare};

static BEFORE: LazyLock<Schemas> = LazyLock::new(|| Schemas::of(BEFORE_4).unwrap());

#[test]
fn every_table_agrees_with_kafkas_schemas_field_by_field() {
    let report = compare(&Tables::ours(), &newest(), Some(&BEFORE));
    assert!(report.differences.is_empty(), "{report}");
    assert!(report.messages > 140 && report.fields > 1_000, "{report}");
}

#[test]
fn every_exclusion_excludes_something() {
    let newest = newest();
    let tables = Tables::ours();
    let there = |name: &str| newest.get(name).is_some();
    let stale = EXCLUDED
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !there(name) && !there(&format!("{name}Request")));
    assert_eq!(stale.collect::<Vec<_>>(), Vec::<&str>::new());
    for (name, _) in WITHOUT_SCHEMA {
        assert!(!there(name) && tables.others.iter().any(|other| other.table.name == *name), "{name}");
    }
    // Each of these has to name a field that is compared; what it says of it, the comparison judges.
    let places = KEYS.iter().map(|(place, _)| *place).chain(NOT_COMPACT.iter().copied());
    for place in places {
        let (message, path) = place.split_once('.').unwrap();
        let mut table = all_tables(&tables).into_iter().find(|table| table.name == message);
        for name in path.split('.') {
            let row = table.and_then(|table| table.fields.iter().find(|row| row.name == name));
            table = row.map(|row| inside(&row.kind).unwrap_or(TableRef { name: "", fields: &[] }));
        }
        assert!(table.is_some(), "{place} names no field");
    }
}

#[test]
fn an_api_that_one_side_lacks_is_reported() {
    let mut tables = Tables::ours();
    tables.apis.retain(|api| api.name != "Fetch");
    let goes = "goes to broker and controller";
    assert_eq!(
        differences(&tables, &newest()),
        [
            format!("FetchRequest: no table here: API 1, versions 4-18, {goes}"),
            "FetchResponse: no table here: API 1, versions 4-18, goes to nobody".to_owned(),
        ]
    );

    let mut schemas = newest();
    schemas.replace("SyncGroupRequest", None);
    assert_eq!(differences(&Tables::ours(), &schemas), ["SyncGroupRequest: Kafka has no such message"]);

    let mut schemas = newest();
    let mut unheard_of = schemas.get("HeartbeatRequest").unwrap().clone();
    unheard_of.api_key = Some(93);
    schemas.replace("UnheardOfRequest", Some(unheard_of.clone()));
    unheard_of.api_key = None;
    schemas.replace("UnheardOfBlob", Some(unheard_of));
    assert_eq!(
        differences(&Tables::ours(), &schemas),
        [
            "UnheardOfBlob: no table here: versions 0-4",
            "UnheardOfRequest: no table here: API 93, versions 0-4, goes to broker",
        ]
    );
}

#[test]
fn a_blob_that_one_side_lacks_is_reported() {
    let mut tables = Tables::ours();
    tables.others.retain(|other| other.table.name != "EndTxnMarker" && other.table.name != "ResponseHeader");
    assert_eq!(
        differences(&tables, &newest()),
        ["EndTxnMarker: no table here: versions 0", "ResponseHeader: no table here: versions 0-1"]
    );
    let mut schemas = newest();
    schemas.replace("VotersRecord", None);
    assert_eq!(differences(&Tables::ours(), &schemas), ["VotersRecord: Kafka has no such schema"]);
}

#[test]
fn versions_key_and_flexibility_are_compared() {
    let broken = |change: &dyn Fn(&mut ottla_tests::schema::Schema)| {
        let mut schemas = newest();
        let mut schema = schemas.get("HeartbeatRequest").unwrap().clone();
        change(&mut schema);
        schemas.replace("HeartbeatRequest", Some(schema));
        differences(&Tables::ours(), &schemas)
    };
    assert_eq!(
        broken(&|schema| schema.versions.max = 5),
        ["HeartbeatRequest: versions 0-4 here, 0-5 in Kafka"]
    );
    assert_eq!(
        broken(&|schema| schema.versions.max = 3),
        ["HeartbeatRequest: versions 0-4 here, 0-3 in Kafka"]
    );
    assert_eq!(
        broken(&|schema| schema.api_key = Some(99)),
        ["HeartbeatRequest: API key 12 here, 99 in Kafka"]
    );
    assert_eq!(
        broken(&|schema| schema.flexible.min = 3),
        ["HeartbeatRequest: flexible versions 4 here, 3-4 in Kafka"]
    );
    assert_eq!(
        broken(&|schema| schema.newest_is_unstable = true),
        ["HeartbeatRequest: version 4 is negotiated, and Kafka may still change it"]
    );
}

/// The schema of OffsetCommitRequest with a change to one field.
fn with_field(path: &[&str], change: impl Fn(&mut Field)) -> Vec<String> {
    with_fields(|mut fields| {
        let (last, way) = path.split_last().unwrap();
        for name in way {
            let at = fields.iter().position(|field| field.name == *name).unwrap();
            fields = &mut fields[at].fields;
        }
        change(fields.iter_mut().find(|field| field.name == *last).unwrap());
    })
}

fn with_fields(change: impl Fn(&mut Vec<Field>)) -> Vec<String> {
    let mut schemas = newest();
    let mut schema = schemas.get("OffsetCommitRequest").unwrap().clone();
    change(&mut schema.fields);
    schemas.replace("OffsetCommitRequest", Some(schema));
    differences(&Tables::ours(), &schemas)
}

#[test]
fn every_property_of_a_field_is_compared() {
    let offset = ["Topics", "Partitions", "CommittedOffset"];
    let told = "OffsetCommitRequest.topics.partitions.committed_offset";
    assert_eq!(with_field(&offset, |_| {}), Vec::<String>::new());
    assert_eq!(
        with_field(&offset, |field| field.kind = "int32".into()),
        [format!("{told}: type int64 here, int32 in Kafka (version 2-10)")]
    );
    assert_eq!(
        with_field(&offset, |field| field.versions = VersionRange::new(4, 8)),
        [
            format!("{told}: exists here, does not exist in Kafka (version 2-3)"),
            format!("{told}: exists here, does not exist in Kafka (version 9-10)"),
        ]
    );
    assert_eq!(
        with_field(&offset, |field| field.tag = Some((7, VersionRange::new(9, i16::MAX)))),
        [format!("{told}: tag none here, 7 in Kafka (version 9-10)")]
    );
    assert_eq!(
        with_field(&offset, |field| field.nullable = VersionRange::new(5, i16::MAX)),
        [format!("{told}: null is not allowed here, allowed in Kafka (version 5-10)")]
    );
    assert_eq!(
        with_field(&offset, |field| field.default = Some("-7".into())),
        [format!("{told}: default Int64(0) here, -7 in Kafka")]
    );
    assert_eq!(
        with_field(&offset, |field| field.flexible = Some(VersionRange::NONE)),
        [format!("{told}: form compact in flexible versions here, never compact in Kafka (version 2-10)")]
    );
    assert_eq!(
        with_field(&["Topics", "Partitions", "CommittedLeaderEpoch"], |field| field.ignorable = false),
        ["OffsetCommitRequest.topics.partitions.committed_leader_epoch: ignorable true here, false in Kafka"]
    );
    assert_eq!(
        with_field(&["Topics", "Name"], |field| field.map_key = true),
        ["OffsetCommitRequest.topics: elements are unique by nothing here, name in Kafka"]
    );
}

#[test]
fn a_field_that_one_side_lacks_or_has_elsewhere_is_reported() {
    assert_eq!(
        with_fields(|fields| fields.retain(|field| field.name != "GroupInstanceId")),
        ["OffsetCommitRequest.group_instance_id: exists here, does not exist in Kafka (version 7-10)"]
    );
    assert_eq!(
        with_fields(|fields| {
            let mut added = fields[0].clone();
            added.name = "NewerThing".into();
            added.versions = VersionRange::new(10, i16::MAX);
            added.nullable = added.versions;
            added.default = Some("null".into());
            added.ignorable = true;
            fields.push(added);
        }),
        [
            "OffsetCommitRequest.newer_thing: missing here: string, versions 10+, null in 10+, default null, ignorable"
        ]
    );
    let swapped = with_fields(|fields| fields.swap(0, 2));
    let order = "group_id, generation_id_or_member_epoch, member_id";
    assert!(swapped[0].starts_with(&format!("OffsetCommitRequest: order {order}, ")), "{swapped:?}");
}

#[test]
fn a_broken_table_is_reported_as_a_broken_schema_is() {
    let told = "HeartbeatResponse";
    assert_eq!(
        with_rows(&|rows| *rows = rows.split_off(1)),
        [format!("{told}.throttle_time_ms: missing here: int32, versions 1+, ignorable")]
    );
    assert_eq!(
        with_rows(&|rows| rows[0].name = "throttled"),
        [
            format!("{told}.throttle_time_ms: missing here: int32, versions 1+, ignorable"),
            format!("{told}.throttled: Kafka has no such field (here in versions 1+)"),
        ]
    );
    assert_eq!(
        with_rows(&|rows| rows.swap(0, 1)),
        [format!(
            "{told}: order error_code, throttle_time_ms here, throttle_time_ms, error_code in Kafka (version 1-4)"
        )]
    );
    assert_eq!(
        with_rows(&|rows| rows[0].spec.versions.min = 2),
        [format!("{told}.throttle_time_ms: does not exist here, exists in Kafka (version 1)")]
    );
    assert_eq!(
        with_rows(&|rows| rows[0].spec.ignorable = false),
        [format!("{told}.throttle_time_ms: ignorable false here, true in Kafka")]
    );
    assert_eq!(
        with_rows(&|rows| rows[1].kind = Kind::Int32),
        [format!("{told}.error_code: type int32 here, int16 in Kafka (version 0-4)")]
    );
    assert_eq!(
        with_rows(&|rows| rows[1].default = || Value::Int16(1)),
        [format!("{told}.error_code: default Int16(1) here, the type's own in Kafka")]
    );
    assert_eq!(
        with_rows(&|rows| rows[0].spec.versions = VersionRange::new(7, 8)),
        [
            format!("{told}.throttle_time_ms: does not exist here, exists in Kafka (version 1-4)"),
            format!("{told}.throttle_time_ms: exists in no version of 0-4 here"),
        ]
    );
}

/// HeartbeatResponse's table with a change to its rows.
fn with_rows(change: &dyn Fn(&mut Vec<FieldRow>)) -> Vec<String> {
    let mut tables = Tables::ours();
    let api = tables.apis.iter_mut().find(|api| api.name == "Heartbeat").unwrap();
    let mut rows = api.response.fields.to_vec();
    change(&mut rows);
    api.response.fields = Vec::leak(rows);
    differences(&tables, &newest())
}

fn newest() -> Schemas {
    Schemas::of(NEWEST).unwrap()
}

fn differences(tables: &Tables, now: &Schemas) -> Vec<String> {
    compare(tables, now, Some(&BEFORE)).differences.iter().map(ToString::to_string).collect()
}

fn all_tables(tables: &Tables) -> Vec<TableRef> {
    let apis = tables.apis.iter().flat_map(|api| [api.request, api.response]);
    apis.chain(tables.others.iter().map(|other| other.table)).collect()
}

fn inside(kind: &Kind) -> Option<TableRef> {
    match kind {
        Kind::Array(inner) | Kind::Nullable(inner) => inside(inner),
        Kind::Struct(table) => Some(*table),
        _ => None,
    }
}
