//! What differs between our tables and Kafka's schemas, said so that a person knows what to do.

use std::collections::BTreeMap;
use std::fmt;

use ottla_protocol::reflect::{FieldRow, Kind, TableRef, Value};
use ottla_protocol::wire::VersionRange;

use super::exclusions::{EXCLUDED, KEYS, NOT_COMPACT, WITHOUT_SCHEMA};
use super::tables::{Api, Other, Tables};
use super::{Field, Schema, Schemas};

/// What a comparison found.
#[derive(Debug)]
pub struct Report {
    /// The version of the schemas.
    pub version: String,
    /// How many messages, headers and blobs have been compared.
    pub messages: usize,
    /// How many fields, each once.
    pub fields: usize,
    /// What differs, in the order in which it was found.
    pub differences: Vec<Difference>,
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The message, header or blob.
    pub message: String,
    /// The field in it, as `topics.partitions.offset`; empty for the message itself.
    pub field: String,
    /// What is so here, and what in Kafka.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => write!(f, "{}: {}", self.message, self.what),
            field => write!(f, "{}.{field}: {}", self.message, self.what),
        }
    }
}

impl fmt::Display for Report {
    /// The differences under their messages, and a last line that sums up.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut by_message: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
        for difference in &self.differences {
            by_message.entry(&difference.message).or_default().push(difference);
        }
        for (message, differences) in &by_message {
            writeln!(f, "{message}")?;
            for Difference { field, what, .. } in differences {
                match field.as_str() {
                    "" => writeln!(f, "    {what}")?,
                    field => writeln!(f, "    .{field}: {what}")?,
                }
            }
            writeln!(f)?;
        }
        let (messages, fields) = (self.messages, self.fields);
        write!(f, "{messages} messages with {fields} fields compared with Kafka {}: ", self.version)?;
        match self.differences.len() {
            0 => write!(f, "they are the same"),
            1 => write!(f, "1 difference"),
            count => write!(f, "{count} differences in {} messages", by_message.len()),
        }
    }
}

/// Compares every table with the schema of its name, and looks for those that only one side has.
///
/// `now` is the version that the tables should follow; versions of messages that it doesn't speak any more are taken from
/// `before`.
pub fn compare(tables: &Tables, now: &Schemas, before: Option<&Schemas>) -> Report {
    let report = Report { version: now.version.clone(), messages: 0, fields: 0, differences: Vec::new() };
    let mut comparison = Comparison { report, message: String::new() };
    comparison.only_kafkas(tables, now);
    for api in &tables.apis {
        for (table, half) in [(api.request, "Request"), (api.response, "Response")] {
            comparison.message = table.name.to_owned();
            let expected = format!("{}{half}", api.name);
            comparison.equal("", "name", &table.name, &expected.as_str());
            match now.get(&expected).filter(|schema| !schema.versions.is_empty()) {
                Some(schema) => {
                    comparison.api(api, table, schema, before.and_then(|before| before.get(&expected)))
                }
                None => comparison.differs("", "Kafka has no such message".to_owned()),
            }
        }
    }
    for other in &tables.others {
        comparison.message = other.table.name.to_owned();
        match now.get(other.table.name) {
            Some(schema) => comparison.other(other, schema),
            None if WITHOUT_SCHEMA.iter().any(|(name, _)| *name == other.table.name) => {}
            None => comparison.differs("", "Kafka has no such schema".to_owned()),
        }
    }
    comparison.report
}

struct Comparison {
    report: Report,
    message: String,
}

/// The fields of one structure in both Kafkas.
#[derive(Clone, Copy)]
struct Fields<'a> {
    now: &'a [Field],
    now_versions: VersionRange,
    before: &'a [Field],
}

impl<'a> Fields<'a> {
    fn at(self, version: i16) -> &'a [Field] {
        if self.now_versions.contains(version) { self.now } else { self.before }
    }

    /// The field of that name: Kafka's newest word on it.
    fn newest(self, name: &str) -> Option<&'a Field> {
        let mut all = self.now.iter().chain(self.before);
        all.find(|field| snake_case(&field.name) == name)
    }

    /// What the field of that name holds.
    fn inside(self, name: &str) -> Fields<'a> {
        let inside = |fields: &'a [Field]| {
            fields.iter().find(|field| snake_case(&field.name) == name).map_or(&[][..], |field| &field.fields)
        };
        Fields { now: inside(self.now), before: inside(self.before), ..self }
    }
}

impl Comparison {
    fn differs(&mut self, field: &str, what: String) {
        let difference = Difference { message: self.message.clone(), field: field.to_owned(), what };
        self.report.differences.push(difference);
    }

    fn equal<T: PartialEq + fmt::Display>(&mut self, field: &str, what: &str, ours: &T, kafkas: &T) {
        if ours != kafkas {
            self.differs(field, format!("{what} {ours} here, {kafkas} in Kafka"));
        }
    }

    /// APIs and other schemas that we have no table for, unless they are excluded.
    fn only_kafkas(&mut self, tables: &Tables, now: &Schemas) {
        for (name, schema) in now.iter().filter(|(_, schema)| !schema.versions.is_empty()) {
            let api = match schema.api_key {
                Some(_) => {
                    name.strip_suffix("Request").or_else(|| name.strip_suffix("Response")).unwrap_or(name)
                }
                None => name,
            };
            let excluded = EXCLUDED.iter().any(|(excluded, _)| *excluded == api);
            let ours = tables.apis.iter().any(|ours| schema.api_key.is_some() && ours.name == api)
                || tables.others.iter().any(|ours| ours.table.name == name);
            self.message = name.to_owned();
            match (ours, excluded, schema.api_key) {
                (true, true, _) => self.differs("", "is excluded, and has a table".to_owned()),
                (false, false, Some(key)) => {
                    let to = if schema.listeners.is_empty() {
                        "nobody".to_owned()
                    } else {
                        schema.listeners.join(" and ")
                    };
                    let what =
                        format!("no table here: API {key}, versions {}, goes to {to}", schema.versions);
                    self.differs("", what);
                }
                (false, false, None) => {
                    self.differs("", format!("no table here: versions {}", schema.versions))
                }
                _ => {}
            }
        }
    }

    fn api(&mut self, api: &Api, table: TableRef, now: &Schema, before: Option<&Schema>) {
        let key = now.api_key.unwrap_or(-1);
        self.equal("", "API key", &api.key, &key);
        let first = before.map_or(now.versions.min, |before| before.versions.min.min(now.versions.min));
        let kafkas = VersionRange::new(first, now.versions.max);
        self.equal("", "versions", &api.versions, &kafkas);
        let unstable = now.newest_is_unstable.then_some(now.versions.max);
        if let Some(unstable) = unstable.filter(|unstable| api.negotiable.contains(*unstable)) {
            self.differs("", format!("version {unstable} is negotiated, and Kafka may still change it"));
        }
        self.flexible(api.flexible_from, now, kafkas);
        let older = before.map_or(&[][..], |before| &before.fields);
        self.message_fields(table, now, older, api.versions, kafkas);
    }

    fn other(&mut self, other: &Other, schema: &Schema) {
        self.equal("", "versions", &other.versions, &schema.versions);
        self.flexible(other.flexible_from, schema, schema.versions);
        self.message_fields(other.table, schema, &[], other.versions, schema.versions);
    }

    fn flexible(&mut self, ours: i16, schema: &Schema, versions: VersionRange) {
        let ours = VersionRange::new(ours, i16::MAX).intersect(versions);
        let kafkas = schema.flexible.intersect(versions);
        if (ours.is_empty(), kafkas.is_empty()) != (true, true) {
            self.equal("", "flexible versions", &ours, &kafkas);
        }
    }

    fn message_fields(
        &mut self,
        table: TableRef,
        now: &Schema,
        before: &[Field],
        ours: VersionRange,
        kafkas: VersionRange,
    ) {
        self.report.messages += 1;
        let fields = Fields { now: &now.fields, now_versions: now.versions, before };
        self.structure(table, fields, ours, kafkas, "");
    }

    /// One structure in the versions that each side has.
    fn structure(
        &mut self,
        table: TableRef,
        fields: Fields<'_>,
        ours: VersionRange,
        kafkas: VersionRange,
        path: &str,
    ) {
        let common = ours.intersect(kafkas);
        self.order(table, fields, common, path);
        self.only_kafkas_fields(table, fields, kafkas, path);
        for row in table.fields {
            let path = join(path, row.name);
            let Some(field) = fields.newest(row.name) else {
                if !row.spec.versions.intersect(common).is_empty() {
                    self.differs(
                        &path,
                        format!("Kafka has no such field (here in versions {})", row.spec.versions),
                    );
                }
                continue;
            };
            self.report.fields += 1;
            self.by_version(row, fields, common, &path);
            self.constants(row, field, ours, common, &path);
            if let Some(inner) = structure_of(&row.kind) {
                let within = row.spec.versions;
                self.structure(
                    inner,
                    fields.inside(row.name),
                    ours.intersect(within),
                    kafkas.intersect(field.versions),
                    &path,
                );
            }
        }
    }

    /// The order of the fields that both sides have in line.
    fn order(&mut self, table: TableRef, fields: Fields<'_>, common: VersionRange, path: &str) {
        let mut wrong: Vec<(i16, [String; 2])> = Vec::new();
        for version in common.min..=common.max {
            let ours: Vec<&str> = table
                .fields
                .iter()
                .filter(|row| row.spec.versions.contains(version) && row.spec.tag.is_none())
                .map(|row| row.name)
                .collect();
            let kafkas: Vec<String> = fields
                .at(version)
                .iter()
                .filter(|field| field.versions.contains(version) && tag_at(field, version).is_none())
                .map(|field| snake_case(&field.name))
                .collect();
            let here: Vec<&str> =
                ours.iter().copied().filter(|name| kafkas.iter().any(|kafkas| kafkas == name)).collect();
            let there: Vec<&str> =
                kafkas.iter().map(String::as_str).filter(|name| ours.contains(name)).collect();
            if here != there {
                wrong.push((version, [here.join(", "), there.join(", ")]));
            }
        }
        self.grouped(path, "order", wrong);
    }

    fn only_kafkas_fields(&mut self, table: TableRef, fields: Fields<'_>, kafkas: VersionRange, path: &str) {
        let mut told: Vec<&str> = Vec::new();
        for field in fields.now.iter().chain(fields.before) {
            let name = snake_case(&field.name);
            let known = table.fields.iter().any(|row| row.name == name);
            if known || told.contains(&field.name.as_str()) || field.versions.intersect(kafkas).is_empty() {
                continue;
            }
            told.push(&field.name);
            self.differs(&join(path, &name), format!("missing here: {}", describe(field)));
        }
    }

    /// Existence, type, nulls and tag, version by version.
    fn by_version(&mut self, row: &FieldRow, fields: Fields<'_>, common: VersionRange, path: &str) {
        let mut existence = Vec::new();
        let mut kinds = Vec::new();
        let mut nulls = Vec::new();
        let mut tags = Vec::new();
        let mut compact = Vec::new();
        for version in common.min..=common.max {
            let here = row.spec.versions.contains(version);
            let kafkas = fields.at(version).iter().find(|field| snake_case(&field.name) == row.name);
            let kafkas = kafkas.filter(|field| field.versions.contains(version));
            let Some(field) = kafkas.filter(|_| here) else {
                if here != kafkas.is_some() {
                    existence.push((version, [exists(here), exists(kafkas.is_some())]));
                }
                continue;
            };
            let (nullable, kind) = match row.kind {
                Kind::Nullable(kind) => (row.spec.nullable.contains(version), *kind),
                kind => (false, kind),
            };
            // Records are bytes to a table.
            kinds.push((version, [type_name(&kind), field.kind.replace("records", "bytes")]));
            nulls.push((version, [allowed(nullable), allowed(field.nullable.contains(version))]));
            tags.push((version, [tag_name(row.spec.tag), tag_name(tag_at(field, version))]));
            let ours = NOT_COMPACT.contains(&format!("{}.{path}", self.message).as_str());
            compact.push((version, [own_form(ours), own_form(field.flexible.is_some())]));
        }
        for (what, values) in
            [("", existence), ("type", kinds), ("null is", nulls), ("tag", tags), ("form", compact)]
        {
            self.grouped(path, what, values);
        }
    }

    /// One line for all versions in a row that differ in the same way.
    fn grouped(&mut self, path: &str, what: &str, values: Vec<(i16, [String; 2])>) {
        let mut groups: Vec<(VersionRange, [String; 2])> = Vec::new();
        for (version, values) in values.into_iter().filter(|(_, [ours, kafkas])| ours != kafkas) {
            match groups.last_mut() {
                Some((range, last)) if *last == values && range.max == version - 1 => range.max = version,
                _ => groups.push((VersionRange::new(version, version), values)),
            }
        }
        for (range, [ours, kafkas]) in groups {
            let what = if what.is_empty() { String::new() } else { format!("{what} ") };
            self.differs(path, format!("{what}{ours} here, {kafkas} in Kafka (version {range})"));
        }
    }

    /// Default, `ignorable` and map keys, which are the same in all versions.
    fn constants(
        &mut self,
        row: &FieldRow,
        field: &Field,
        ours: VersionRange,
        common: VersionRange,
        path: &str,
    ) {
        let existing = row.spec.versions.intersect(ours);
        if existing.is_empty() {
            self.differs(path, format!("exists in no version of {ours} here"));
        }
        // Where every version has the field, there is nothing to leave out.
        if existing != ours && !common.is_empty() {
            self.equal(path, "ignorable", &row.spec.ignorable, &field.ignorable);
        }
        if let Err(what) = same_default(&(row.default)(), field) {
            self.differs(path, what);
        }
        if self.message.ends_with("Response") || !field.kind.starts_with("[]") {
            return;
        }
        let place = format!("{}.{path}", self.message);
        let ours = KEYS.iter().find(|(list, _)| *list == place).map_or("nothing", |(_, key)| *key);
        let kafkas: Vec<String> =
            field.fields.iter().filter(|field| field.map_key).map(|field| snake_case(&field.name)).collect();
        let kafkas = if kafkas.is_empty() { "nothing".to_owned() } else { kafkas.join(", ") };
        self.equal(path, "elements are unique by", &ours.to_owned(), &kafkas);
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn exists(is: bool) -> String {
    if is { "exists" } else { "does not exist" }.to_owned()
}

fn allowed(is: bool) -> String {
    if is { "allowed" } else { "not allowed" }.to_owned()
}

fn own_form(is: bool) -> String {
    if is { "never compact" } else { "compact in flexible versions" }.to_owned()
}

fn tag_name(tag: Option<u32>) -> String {
    tag.map_or("none".to_owned(), |tag| tag.to_string())
}

fn tag_at(field: &Field, version: i16) -> Option<u32> {
    field.tag.filter(|(_, versions)| versions.contains(version)).map(|(tag, _)| tag)
}

/// A field that has to be added, as far as a table's row needs it.
fn describe(field: &Field) -> String {
    let mut text = format!("{}, versions {}", field.kind, field.versions);
    if !field.nullable.is_empty() {
        text += &format!(", null in {}", field.nullable);
    }
    if let Some((tag, versions)) = field.tag {
        text += &format!(", tag {tag} in {versions}");
    }
    if let Some(default) = &field.default {
        text += &format!(", default {default}");
    }
    if field.ignorable {
        text += ", ignorable";
    }
    text
}

fn structure_of(kind: &Kind) -> Option<TableRef> {
    match kind {
        Kind::Array(inner) | Kind::Nullable(inner) => structure_of(inner),
        Kind::Struct(table) => Some(*table),
        _ => None,
    }
}

/// The type as the schemas write it.
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
    let kafkas = text.unwrap_or("the type's own");
    if same { Ok(()) } else { Err(format!("default {ours:?} here, {kafkas} in Kafka")) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_snake_case_letter_by_letter() {
        for (kafkas, ours) in [
            ("SessionTimeoutMs", "session_timeout_ms"),
            ("Enable2Pc", "enable2_pc"),
            ("KRaftVersion", "k_raft_version"),
        ] {
            assert_eq!(snake_case(kafkas), ours);
        }
    }

    #[test]
    fn a_report_groups_by_message_and_sums_up() {
        let difference = |message: &str, field: &str, what: &str| Difference {
            message: message.to_owned(),
            field: field.to_owned(),
            what: what.to_owned(),
        };
        let differences =
            vec![difference("B", "x.y", "one"), difference("A", "", "two"), difference("B", "", "three")];
        let mut report = Report { version: "9.9.9".to_owned(), messages: 3, fields: 7, differences };
        let expected = "A\n    two\n\nB\n    .x.y: one\n    three\n\n\
                        3 messages with 7 fields compared with Kafka 9.9.9: 3 differences in 2 messages";
        assert_eq!(report.to_string(), expected);
        report.differences.clear();
        assert_eq!(
            report.to_string(),
            "3 messages with 7 fields compared with Kafka 9.9.9: they are the same"
        );
    }
}
