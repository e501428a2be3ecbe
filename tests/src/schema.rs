//! Kafka's own schemas (`common/message/*.json`), read from a `kafka-clients` jar, and our field tables held against them.
//!
//! [`compare`] says what differs, [`exclusions`] what isn't compared and why; `cargo xtask schema` prints it and
//! `tests/schema.rs` demands that it is nothing. [`Schemas::of`] fetches a version's jar by Maven.
//!
//! Sources: the schemas' `README.md` in Kafka's sources, which defines their fields and defaults.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ottla_protocol::wire::VersionRange;
use serde_json::Value as Json;

pub use compare::{Difference, Report, compare};
pub use tables::{Api, Other, Tables};

mod compare;
pub mod exclusions;
mod tables;

/// The version whose schemas the tables follow.
pub const NEWEST: &str = "4.3.0";

/// The last Kafka that still speaks the versions which 4.0 dropped.
pub const BEFORE_4: &str = "3.9.1";

/// The environment variable that names a folder which holds `kafka-clients-<version>.jar`.
pub const JARS_VARIABLE: &str = "OTTLA_KAFKA_JARS";

/// The schemas of one Kafka version, by message name.
#[derive(Debug)]
pub struct Schemas {
    /// The version of the jar.
    pub version: String,
    schemas: BTreeMap<String, Schema>,
}

/// A message, header or blob.
#[derive(Debug, Clone)]
pub struct Schema {
    /// The API's key; blobs and headers have none.
    pub api_key: Option<i16>,
    /// Who takes such a request: `broker`, `controller`.
    pub listeners: Vec<String>,
    /// Whether Kafka may still change the newest version.
    pub newest_is_unstable: bool,
    /// The versions that this Kafka speaks.
    pub versions: VersionRange,
    /// The flexible ones among them.
    pub flexible: VersionRange,
    /// The top-level fields in order.
    pub fields: Vec<Field>,
}

/// A field of a message or structure.
#[derive(Debug, Clone)]
pub struct Field {
    /// The name, in camel case with an upper-case first letter.
    pub name: String,
    /// The type: `int32`, `[]string`, `[]JoinGroupResponseMember`, …
    pub kind: String,
    /// The versions that have the field.
    pub versions: VersionRange,
    /// The versions in which it may be null.
    pub nullable: VersionRange,
    /// The tag, and the versions in which the field is tagged.
    pub tag: Option<(u32, VersionRange)>,
    /// The default, if the schema names one.
    pub default: Option<String>,
    /// Whether a value may be left out silently in a version without the field.
    pub ignorable: bool,
    /// Whether the field is the key, or a part of it, by which the list around it is a map.
    pub map_key: bool,
    /// The flexible versions, where they are other than the message's.
    pub flexible: Option<VersionRange>,
    /// The fields of the structure that the type names.
    pub fields: Vec<Field>,
}

impl Schemas {
    /// The schemas of a version of Kafka: its jar is fetched by Maven, or is in the folder that [`JARS_VARIABLE`] names.
    ///
    /// # Errors
    /// No such version, no network on its first use, or a jar that isn't one.
    pub fn of(version: &str) -> Result<Self, String> {
        Schemas::from_jar(&clients_jar(version)?, version)
    }

    /// Reads the schemas in a jar.
    ///
    /// # Errors
    /// A jar that can't be read, or a schema that is none.
    pub fn from_jar(jar: &Path, version: &str) -> Result<Self, String> {
        let trouble = |what: &dyn std::fmt::Display| format!("{}: {what}", jar.display());
        let file = File::open(jar).map_err(|error| trouble(&error))?;
        let mut archive = zip::ZipArchive::new(file).map_err(|error| trouble(&error))?;
        let mut schemas = BTreeMap::new();
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(|error| trouble(&error))?;
            let name = entry.name().to_owned();
            let Some(message) =
                name.strip_prefix("common/message/").and_then(|name| name.strip_suffix(".json"))
            else {
                continue;
            };
            let mut text = String::new();
            entry.read_to_string(&mut text).map_err(|error| trouble(&error))?;
            let schema = parse(&text).map_err(|reason| trouble(&format!("{name}: {reason}")))?;
            schemas.insert(message.to_owned(), schema);
        }
        Ok(Schemas { version: version.to_owned(), schemas })
    }

    /// The schema of that name.
    pub fn get(&self, name: &str) -> Option<&Schema> {
        self.schemas.get(name)
    }

    /// The schemas with their names, in the order of these.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Schema)> {
        self.schemas.iter().map(|(name, schema)| (name.as_str(), schema))
    }

    /// Puts a schema in the place of the one of that name, or none.
    pub fn replace(&mut self, name: &str, schema: Option<Schema>) {
        match schema {
            Some(schema) => self.schemas.insert(name.to_owned(), schema),
            None => self.schemas.remove(name),
        };
    }
}

fn clients_jar(version: &str) -> Result<PathBuf, String> {
    let name = format!("kafka-clients-{version}.jar");
    if let Some(folder) = std::env::var_os(JARS_VARIABLE) {
        let jar = Path::new(&folder).join(&name);
        return if jar.is_file() { Ok(jar) } else { Err(format!("{JARS_VARIABLE}: no {}", jar.display())) };
    }
    let class_path = xtask::kafka::class_path(version).map_err(|error| error.to_string())?;
    let jar = class_path.split(':').map(PathBuf::from).find(|jar| jar.ends_with(&name));
    jar.ok_or_else(|| format!("no {name} in {class_path}"))
}

/// Reads one schema.
///
/// # Errors
/// What doesn't belong in a schema.
pub fn parse(text: &str) -> Result<Schema, String> {
    let json: Json = serde_json::from_str(&without_comments(text)).map_err(|error| error.to_string())?;
    let mut structures = BTreeMap::new();
    for common in json["commonStructs"].as_array().into_iter().flatten() {
        structures.insert(text_of(common, "name")?, &common["fields"]);
    }
    let listeners = json["listeners"].as_array().into_iter().flatten();
    Ok(Schema {
        api_key: json["apiKey"].as_i64().map(|key| key as i16),
        listeners: listeners.filter_map(|listener| listener.as_str().map(str::to_owned)).collect(),
        newest_is_unstable: json["latestVersionUnstable"] == true,
        versions: versions(&text_of(&json, "validVersions")?)?,
        flexible: json["flexibleVersions"].as_str().map_or(Ok(VersionRange::NONE), versions)?,
        fields: fields(&json["fields"], &structures)?,
    })
}

fn fields(list: &Json, structures: &BTreeMap<String, &Json>) -> Result<Vec<Field>, String> {
    list.as_array().into_iter().flatten().map(|json| field(json, structures)).collect()
}

fn field(json: &Json, structures: &BTreeMap<String, &Json>) -> Result<Field, String> {
    let name = text_of(json, "name")?;
    let kind = text_of(json, "type")?;
    let inner = match structures.get(kind.trim_start_matches("[]")) {
        Some(common) => common,
        None => &json["fields"],
    };
    let range = |key: &str| json[key].as_str().map_or(Ok(VersionRange::NONE), versions);
    let tag = match json["tag"].as_u64() {
        Some(tag) => Some((tag as u32, range("taggedVersions")?)),
        None => None,
    };
    Ok(Field {
        versions: match (json["versions"].as_str(), tag) {
            (Some(text), _) => versions(text)?,
            (None, Some((_, tagged))) => tagged,
            (None, None) => return Err(format!("{name} has no versions")),
        },
        nullable: range("nullableVersions")?,
        tag,
        default: match &json["default"] {
            Json::Null => None,
            Json::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        },
        ignorable: json["ignorable"] == true,
        map_key: json["mapKey"] == true,
        flexible: json["flexibleVersions"].as_str().map(versions).transpose()?,
        fields: fields(inner, structures)?,
        name,
        kind,
    })
}

fn text_of(json: &Json, key: &str) -> Result<String, String> {
    json[key].as_str().map(str::to_owned).ok_or_else(|| format!("no `{key}` in {json}"))
}

/// `0+`, `2-7`, `4` or `none`.
fn versions(text: &str) -> Result<VersionRange, String> {
    let number = |text: &str| text.trim().parse::<i16>().map_err(|_| format!("`{text}` is no version"));
    if text == "none" {
        Ok(VersionRange::NONE)
    } else if let Some(from) = text.strip_suffix('+') {
        Ok(VersionRange::new(number(from)?, i16::MAX))
    } else if let Some((from, to)) = text.split_once('-') {
        Ok(VersionRange::new(number(from)?, number(to)?))
    } else {
        Ok(VersionRange::new(number(text)?, number(text)?))
    }
}

/// The schemas have `//` comments, which JSON has not. What looks like one inside a string is none.
fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        let mut quoted = false;
        let mut escaped = false;
        let mut end = line.len();
        for (at, letter) in line.char_indices() {
            match letter {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                '/' if !quoted && line[at..].starts_with("//") => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        kept += &line[..end];
        kept.push('\n');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_strings_that_look_like_them_stay() {
        let text = "{ // one\n\"a\": \"http://x\\\"//y\", // two \"\n\"b\": 1 }";
        assert_eq!(without_comments(text), "{ \n\"a\": \"http://x\\\"//y\", \n\"b\": 1 }\n");
    }

    #[test]
    fn version_ranges_have_four_forms() {
        assert_eq!(versions("none"), Ok(VersionRange::NONE));
        assert_eq!(versions("3+"), Ok(VersionRange::new(3, i16::MAX)));
        assert_eq!(versions("0-11"), Ok(VersionRange::new(0, 11)));
        assert_eq!(versions("4"), Ok(VersionRange::new(4, 4)));
        assert!(versions("x").is_err());
    }

    #[test]
    fn a_common_structure_lends_its_fields_to_every_field_of_its_type() {
        let schema = parse(
            r#"{ "apiKey": 9, "validVersions": "0-1", "flexibleVersions": "1+",
                 "fields": [{ "name": "Inner", "type": "[]Shared", "versions": "1+", "tag": 2, "taggedVersions": "1+" }],
                 "commonStructs": [{ "name": "Shared", "versions": "0+",
                     "fields": [{ "name": "A", "type": "int8", "versions": "0+", "default": -1, "mapKey": true }] }] }"#,
        );
        let schema = schema.unwrap();
        assert_eq!((schema.api_key, schema.flexible), (Some(9), VersionRange::new(1, i16::MAX)));
        assert_eq!(schema.fields[0].tag, Some((2, VersionRange::new(1, i16::MAX))));
        let inner = &schema.fields[0].fields[0];
        assert_eq!((inner.default.as_deref(), inner.map_key, inner.flexible), (Some("-1"), true, None));
    }
}
