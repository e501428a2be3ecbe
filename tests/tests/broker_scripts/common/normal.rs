//! Making two clusters' answers comparable. What may differ, and why:
//!
//! - ids that a cluster invents (topics, producers, members, fetch sessions, the cluster itself) become symbols in the order
//!   in which they appear, so that *which* id stands where is compared all the same;
//! - APIs and features that the mock doesn't have ([`NOT_SERVED`], [`NO_FEATURES`]) in answers to ApiVersions; no script
//!   asks for them;
//! - ports, and times of the wall clock;
//! - the wording of messages: they are for people. Whether there is one is compared;
//! - the order of lists: brokers answer out of hash maps. Records and old-style offsets keep theirs. For the same reason a
//!   fetch's answer may name a topic twice, each time with some of its partitions;
//! - in lists of groups, transactions and topics, those that other scripts made at the same time, and Kafka's own topics,
//!   which it creates when it first needs them;
//! - sizes and places on disk;
//! - which broker is named as controller: with KRaft any will do.

use std::collections::BTreeMap;

use ottla_protocol::api::ApiKey;
use serde_json::Value as Json;

/// What the mock neither serves nor announces: telemetry needs a receiver, which this Kafka lacks, too; the others are about
/// share groups, streams groups, places on disk, and the quorum's members.
const NOT_SERVED: [i64; 21] =
    [34, 57, 64, 71, 72, 76, 77, 78, 79, 80, 81, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92];
/// Features of those, and one that says how a quorum came to be.
const NO_FEATURES: [&str; 3] = ["kraft.version", "share.version", "streams.version"];

/// A number from here on is a wall clock's time in milliseconds.
const EPOCH: i64 = 1_000_000_000_000;

/// What a session has seen of ids.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    known: BTreeMap<(&'static str, String), String>,
    /// What the names of the script's own groups, transactions and topics begin with.
    own: String,
}

impl Symbols {
    /// Nothing is known yet.
    pub(crate) fn of(script: &str) -> Symbols {
        Symbols { own: format!("{script}--"), ..Symbols::default() }
    }

    /// The comparable form of an answer.
    pub(crate) fn normal(&mut self, api: ApiKey, mut answer: Json) -> Json {
        self.drop_strangers(api, &mut answer);
        if api == ApiKey::FETCH {
            merge_topics(&mut answer);
        }
        self.walk("", &mut answer);
        answer
    }

    fn drop_strangers(&self, api: ApiKey, answer: &mut Json) {
        if api == ApiKey::API_VERSIONS {
            for (list, name) in
                [("api_keys", "api_key"), ("supported_features", "name"), ("finalized_features", "name")]
            {
                let is_missing = |entry: &Json| {
                    entry[name].as_i64().is_some_and(|key| NOT_SERVED.contains(&key))
                        || entry[name].as_str().is_some_and(|name| NO_FEATURES.contains(&name))
                };
                if let Some(Json::Array(entries)) = answer.get_mut(list) {
                    entries.retain(|entry| !is_missing(entry));
                }
            }
        }
        let (list, name) = match api {
            ApiKey::LIST_GROUPS => ("groups", "group_id"),
            ApiKey::LIST_TRANSACTIONS => ("transaction_states", "transactional_id"),
            ApiKey::METADATA => ("topics", "name"),
            ApiKey::LIST_CONFIG_RESOURCES => ("config_resources", "resource_name"),
            ApiKey::DESCRIBE_TOPIC_PARTITIONS => ("topics", "name"),
            _ => return,
        };
        if let Some(Json::Array(entries)) = answer.get_mut(list) {
            // What has no name, or a short one, isn't of another script.
            entries.retain(|entry| {
                let name = entry[name].as_str().unwrap_or_default();
                !name.starts_with("__") && (!name.contains("--") || name.starts_with(&self.own))
            });
        }
    }

    fn walk(&mut self, name: &str, value: &mut Json) {
        match value {
            Json::Object(fields) => fields.iter_mut().for_each(|(name, value)| self.walk(name, value)),
            Json::Array(elements) => {
                if !matches!(name, "records_in_order" | "records" | "old_style_offsets") {
                    elements.sort_by_cached_key(|element| {
                        let mut masked = element.clone();
                        self.mask(name, &mut masked);
                        masked.to_string()
                    });
                }
                elements.iter_mut().for_each(|element| self.walk(name, element));
            }
            scalar => self.scalar(name, scalar, true),
        }
    }

    /// The value with symbols for what is known, and the same one for all that isn't.
    fn mask(&mut self, name: &str, value: &mut Json) {
        match value {
            Json::Object(fields) => fields.iter_mut().for_each(|(name, value)| self.mask(name, value)),
            Json::Array(elements) => {
                elements.iter_mut().for_each(|element| self.mask(name, element));
                elements.sort_by_cached_key(Json::to_string);
            }
            scalar => self.scalar(name, scalar, false),
        }
    }

    fn scalar(&mut self, name: &str, value: &mut Json, learn: bool) {
        let invented = match name {
            "topic_id" | "replica_directory_id" => Some("uuid"),
            "producer_id" => Some("producer"),
            "member_id" | "leader" => Some("member"),
            "session_id" => Some("session"),
            "cluster_id" => Some("cluster"),
            _ => None,
        };
        if let Some(kind) = invented {
            return self.symbol(kind, value, learn);
        }
        match name {
            "port" if value.as_i64() > Some(0) => *value = "a port".into(),
            "error_message" | "batch_index_error_message" | "documentation"
                if value.as_str().is_some_and(|text| !text.is_empty()) =>
            {
                *value = "a text".into();
            }
            // How much is in the log of metadata.
            "log_end_offset" | "high_watermark" if self.own == "quorum--" && value.as_i64() > Some(0) => {
                *value = "a size".into();
            }
            "log_dir" => *value = "a folder".into(),
            "total_bytes" | "usable_bytes" | "partition_size" if value.as_i64() > Some(0) => {
                *value = "a size".into();
            }
            "finalized_features_epoch" if value.as_i64() > Some(0) => *value = "an epoch".into(),
            "controller_id" if value.as_i64() > Some(0) => *value = "a node".into(),
            _ if value.as_i64().is_some_and(|number| number > EPOCH && number < 10 * EPOCH) => {
                *value = "a time".into();
            }
            _ => {}
        }
    }

    fn symbol(&mut self, kind: &'static str, value: &mut Json, learn: bool) {
        let none = match &*value {
            Json::String(text) => text.is_empty() || text.bytes().all(|byte| byte == b'A'),
            // Zero is a default; no script has the cluster's first producer id.
            Json::Number(number) => number.as_i64() <= Some(0),
            _ => true,
        };
        if none {
            return;
        }
        let key = (kind, value.to_string());
        let count = self.known.keys().filter(|(of, _)| *of == kind).count();
        *value = match self.known.get(&key) {
            Some(symbol) => symbol.clone(),
            None if !learn => "?".to_owned(),
            None => self.known.entry(key).or_insert(format!("{kind} {}", count + 1)).clone(),
        }
        .into();
    }
}

/// Puts the partitions of a topic together.
fn merge_topics(answer: &mut Json) {
    let Some(Json::Array(topics)) = answer.get_mut("responses") else { return };
    let mut merged: Vec<Json> = Vec::new();
    for topic in topics.drain(..) {
        let same =
            |known: &&mut Json| known["topic"] == topic["topic"] && known["topic_id"] == topic["topic_id"];
        match (merged.iter_mut().find(same), topic["partitions"].as_array()) {
            (Some(Json::Object(known)), Some(more)) => {
                if let Some(Json::Array(partitions)) = known.get_mut("partitions") {
                    partitions.extend(more.iter().cloned());
                }
            }
            _ => merged.push(topic),
        }
    }
    *topics = merged;
}
