//! Every field table against Kafka's own schemas, field by field and version by version.
//!
//! The schemas are those inside the official `kafka-clients` jars, which `xtask` fetches by Maven: 4.3.0 for all versions
//! that it speaks, 3.9.1 for the older ones that 4.0 dropped. `OTTLA_KAFKA_JARS` may name a folder that holds
//! `kafka-clients-<version>.jar` instead.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use ottla_protocol::reflect::{APIS, BLOBS, FieldRow, Kind, TableRef, Value};
use ottla_protocol::wire::VersionRange;
use ottla_tests::schema::{Field, Schema, Schemas};

const NEWEST: &str = "4.3.0";
/// The last Kafka that still speaks the versions which 4.0 dropped.
const BEFORE_4: &str = "3.9.1";

/// What a client that produces, consumes and manages topics needs.
const REQUIRED: &[&str] = &[
    "AddOffsetsToTxn",
    "AddPartitionsToTxn",
    "AddRaftVoter",
    "AlterClientQuotas",
    "AlterConfigs",
    "AlterPartitionReassignments",
    "AlterReplicaLogDirs",
    "AlterShareGroupOffsets",
    "AlterUserScramCredentials",
    "ApiVersions",
    "ConsumerGroupDescribe",
    "ConsumerGroupHeartbeat",
    "CreateAcls",
    "CreateDelegationToken",
    "CreatePartitions",
    "CreateTopics",
    "DeleteAcls",
    "DeleteGroups",
    "DeleteRecords",
    "DeleteShareGroupOffsets",
    "DeleteTopics",
    "DescribeAcls",
    "DescribeClientQuotas",
    "DescribeCluster",
    "DescribeConfigs",
    "DescribeDelegationToken",
    "DescribeGroups",
    "DescribeLogDirs",
    "DescribeProducers",
    "DescribeQuorum",
    "DescribeShareGroupOffsets",
    "DescribeTopicPartitions",
    "DescribeTransactions",
    "DescribeUserScramCredentials",
    "ElectLeaders",
    "EndTxn",
    "ExpireDelegationToken",
    "Fetch",
    "FindCoordinator",
    "GetTelemetrySubscriptions",
    "Heartbeat",
    "IncrementalAlterConfigs",
    "InitProducerId",
    "JoinGroup",
    "LeaveGroup",
    "ListConfigResources",
    "ListGroups",
    "ListOffsets",
    "ListPartitionReassignments",
    "ListTransactions",
    "Metadata",
    "OffsetCommit",
    "OffsetDelete",
    "OffsetFetch",
    "OffsetForLeaderEpoch",
    "Produce",
    "PushTelemetry",
    "RemoveRaftVoter",
    "RenewDelegationToken",
    "SaslAuthenticate",
    "SaslHandshake",
    "ShareAcknowledge",
    "ShareFetch",
    "ShareGroupDescribe",
    "ShareGroupHeartbeat",
    "StreamsGroupDescribe",
    "StreamsGroupHeartbeat",
    "SyncGroup",
    "TxnOffsetCommit",
    "UnregisterBroker",
    "UpdateFeatures",
    "WriteTxnMarkers",
];

#[test]
fn every_required_api_has_a_table_under_its_name() {
    let missing: Vec<_> =
        REQUIRED.iter().filter(|name| !APIS.iter().any(|api| api.api.key.name() == Some(name))).collect();
    assert!(missing.is_empty(), "no table for {missing:?}");
}

#[test]
fn every_table_agrees_with_kafkas_schemas_field_by_field() {
    let newest = schemas(NEWEST);
    let old = schemas(BEFORE_4);
    let mut compared = Comparison::default();
    for api in APIS {
        for (table, kind) in [(api.request.table, "Request"), (api.response.table, "Response")] {
            let expected = format!("{}{kind}", api.api.key.name().unwrap_or("?"));
            compared.equal(table.name, "name", &table.name, &expected.as_str());
            let Some(now) = newest.get(table.name) else {
                compared.wrong(table.name, format!("no such schema in {NEWEST}"));
                continue;
            };
            let before = old.get(table.name);
            compared.equal(table.name, "API key", &Some(api.api.key.0), &now.api_key);
            let first = before.map_or(now.versions.min, |before| before.versions.min.min(now.versions.min));
            let versions = VersionRange::new(first, now.versions.max);
            compared.equal(table.name, "versions", &api.api.versions, &versions);
            let flexible_from = if now.flexible.is_empty() { i16::MAX } else { now.flexible.min };
            compared.equal(table.name, "first flexible version", &api.api.flexible_from, &flexible_from);
            compared.table(table, versions, now, before);
        }
    }
    for blob in BLOBS {
        let Some(now) = newest.get(blob.table.name) else {
            compared.wrong(blob.table.name, format!("no such schema in {NEWEST}"));
            continue;
        };
        compared.equal(blob.table.name, "flexible", &now.flexible, &VersionRange::NONE);
        compared.table(blob.table, now.versions, now, None);
    }
    let Comparison { fields, differences } = compared;
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    assert!(fields > 300, "only {fields} fields were compared");
}

#[derive(Default)]
struct Comparison {
    fields: usize,
    differences: Vec<String>,
}

impl Comparison {
    fn wrong(&mut self, place: &str, what: impl std::fmt::Display) {
        let line = format!("{place}: {what}");
        // One line says it for all the versions in which it is so.
        if !self.differences.contains(&line) {
            self.differences.push(line);
        }
    }

    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, place: &str, what: &str, ours: &T, kafkas: &T) {
        if ours != kafkas {
            self.wrong(place, format!("{what} {ours:?}, Kafka's is {kafkas:?}"));
        }
    }

    fn table(&mut self, table: TableRef, versions: VersionRange, now: &Schema, before: Option<&Schema>) {
        for version in versions.min..=versions.max {
            let schema = match before {
                Some(before) if !now.versions.contains(version) => before,
                _ => now,
            };
            self.structure(table, &schema.fields, version, table.name);
        }
        let of_all_versions = before.map(|before| before.fields.as_slice());
        self.constants(table, versions, &now.fields, of_all_versions.unwrap_or_default(), table.name);
    }

    /// Names, order, types, tags and nulls in one version.
    fn structure(&mut self, table: TableRef, fields: &[Field], version: i16, path: &str) {
        let rows: Vec<&FieldRow> =
            table.fields.iter().filter(|row| row.spec.versions.contains(version)).collect();
        let fields: Vec<&Field> = fields.iter().filter(|field| field.versions.contains(version)).collect();
        let tagged = |field: &Field| field.tag.is_some_and(|(_, versions)| versions.contains(version));
        let ours: Vec<String> =
            rows.iter().filter(|row| row.spec.tag.is_none()).map(|row| row.name.to_owned()).collect();
        let kafkas: Vec<String> =
            fields.iter().filter(|field| !tagged(field)).map(|field| snake_case(&field.name)).collect();
        if ours != kafkas {
            self.wrong(path, format!("version {version} has {ours:?}, Kafka's has {kafkas:?}"));
        }
        for field in fields {
            let path = format!("{path}.{}", snake_case(&field.name));
            let Some(row) = rows.iter().find(|row| row.name == snake_case(&field.name)) else {
                self.wrong(&path, format!("version {version} lacks it"));
                continue;
            };
            self.fields += 1;
            let tag = field.tag.filter(|_| tagged(field)).map(|(tag, _)| tag);
            self.equal(&path, "tag", &row.spec.tag, &tag);
            let (nullable, kind) = match row.kind {
                Kind::Nullable(kind) => (row.spec.nullable.contains(version), *kind),
                kind => (false, kind),
            };
            if nullable != field.nullable.contains(version) {
                self.wrong(
                    &path,
                    format!("version {version} allows null: {nullable}, Kafka's: {}", !nullable),
                );
            }
            self.equal(&path, "type", &type_name(&kind), &field.kind.replace("records", "bytes"));
            if let Some(inner) = structure_of(&kind) {
                self.structure(inner, &field.fields, version, &path);
            }
        }
    }

    /// Defaults and `ignorable`, which are the same in all versions; Kafka's newest word counts.
    fn constants(
        &mut self,
        table: TableRef,
        versions: VersionRange,
        now: &[Field],
        before: &[Field],
        path: &str,
    ) {
        for row in table.fields {
            let find =
                |fields: &'_ [Field]| fields.iter().position(|field| snake_case(&field.name) == row.name);
            let path = format!("{path}.{}", row.name);
            let (recent, older) = (find(now).map(|at| &now[at]), find(before).map(|at| &before[at]));
            let Some(field) = recent.or(older) else {
                self.wrong(&path, "Kafka has no such field");
                continue;
            };
            let existing = row.spec.versions.intersect(versions);
            if existing.is_empty() {
                self.wrong(&path, format!("exists in no version of {versions}"));
            }
            // Where every version has the field, there is nothing to leave out.
            if existing != versions {
                self.equal(&path, "ignorable", &row.spec.ignorable, &field.ignorable);
            }
            let default = (row.default)();
            if let Err(reason) = same_default(&default, field) {
                self.wrong(&path, reason);
            }
            let kind = if let Kind::Nullable(kind) = row.kind { *kind } else { row.kind };
            if let Some(inner) = structure_of(&kind) {
                let older = older.map_or(&[][..], |older| &older.fields);
                self.constants(inner, existing, recent.map_or(older, |recent| &recent.fields), older, &path);
            }
        }
    }
}

fn structure_of(kind: &Kind) -> Option<TableRef> {
    match kind {
        Kind::Array(element) => structure_of(element),
        Kind::Struct(table) => Some(*table),
        _ => None,
    }
}

/// The type as the schemas write it. Records are bytes to a table.
fn type_name(kind: &Kind) -> String {
    match kind {
        Kind::Array(element) => format!("[]{}", type_name(element)),
        Kind::Struct(table) => table.name.to_owned(),
        Kind::Nullable(inner) => format!("nullable {}", type_name(inner)),
        scalar => format!("{scalar:?}").to_lowercase(),
    }
}

/// Compares with the default that Kafka's generator takes from a schema.
fn same_default(ours: &Value, field: &Field) -> Result<(), String> {
    // The generator makes records null, whatever the schema says.
    let text = if field.kind == "records" { Some("null") } else { field.default.as_deref() };
    let same = match ours {
        Value::Null => text == Some("null"),
        Value::Bool(value) => *value == text.is_some_and(|text| text == "true"),
        Value::Int8(value) => Some(i64::from(*value)) == integer(text),
        Value::Int16(value) => Some(i64::from(*value)) == integer(text),
        Value::Uint16(value) => Some(i64::from(*value)) == integer(text),
        Value::Int32(value) => Some(i64::from(*value)) == integer(text),
        Value::Uint32(value) => Some(i64::from(*value)) == integer(text),
        Value::Int64(value) => Some(*value) == integer(text),
        Value::Float64(value) => Ok(*value) == text.unwrap_or("0").parse(),
        Value::Uuid(value) => value.is_zero() && text.is_none(),
        Value::String(value) => value == text.unwrap_or("") && text != Some("null"),
        Value::Bytes(value) => value.is_empty() && text.is_none(),
        Value::Array(elements) => elements.is_empty() && text.is_none(),
        Value::Struct(_) => text.is_none(),
    };
    if same { Ok(()) } else { Err(format!("default {ours:?}, Kafka's is {text:?}")) }
}

fn integer(text: Option<&str>) -> Option<i64> {
    match text {
        None | Some("") => Some(0),
        Some(text) => match text.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        },
    }
}

/// `SessionTimeoutMs` is `session_timeout_ms`, `Enable2Pc` is `enable2_pc`.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for (at, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn schemas(version: &str) -> Schemas {
    Schemas::from_jar(&clients_jar(version), version).unwrap()
}

fn clients_jar(version: &str) -> PathBuf {
    let name = format!("kafka-clients-{version}.jar");
    if let Some(folder) = std::env::var_os("OTTLA_KAFKA_JARS") {
        return Path::new(&folder).join(name);
    }
    let class_path = xtask::kafka::class_path(version).unwrap_or_else(|error| panic!("{error}"));
    let jar = class_path.split(':').map(PathBuf::from).find(|jar| jar.ends_with(&name));
    jar.unwrap_or_else(|| panic!("no {name} in {class_path}"))
}
