//! Describing and altering configurations.

use crate::common::{ApiKey, Json, both, json};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const LOGGER: i8 = 8;
const METRICS: i8 = 16;
const GROUP: i8 = 32;

#[test]
fn describing() {
    both("describe", async |s| {
        let name = s.name("a");
        s.topic(&name, 1, &[("retention.ms", "12345"), ("cleanup.policy", "compact")]).await;
        for version in 1..=4 {
            let ask = |kind: i8, name: &str, keys: Json, synonyms: bool| {
                json!({"include_synonyms": synonyms, "resources": [{
                    "resource_type": kind, "resource_name": name, "configuration_keys": keys,
                }]})
            };
            for synonyms in [false, true] {
                s.ask(ApiKey::DESCRIBE_CONFIGS, version, ask(TOPIC, &name, json!(null), synonyms)).await;
                for keys in [
                    json!(["retention.ms"]),
                    json!(["retention.ms", "cleanup.policy"]),
                    json!(["nonsense"]),
                    json!([]),
                    json!(["max.message.bytes", "min.insync.replicas", "segment.bytes"]),
                ] {
                    s.ask(ApiKey::DESCRIBE_CONFIGS, version, ask(TOPIC, &name, keys, synonyms)).await;
                }
                for keys in [
                    json!(["auto.create.topics.enable"]),
                    json!(["message.max.bytes", "log.retention.ms"]),
                    json!(["group.initial.rebalance.delay.ms", "offsets.topic.num.partitions"]),
                    json!(["nonsense"]),
                    json!(["min.insync.replicas", "default.replication.factor"]),
                    json!(["transaction.max.timeout.ms", "offsets.retention.minutes", "log.cleanup.policy"]),
                    json!(["replica.lag.time.max.ms", "group.consumer.session.timeout.ms", "num.partitions"]),
                ] {
                    s.ask(ApiKey::DESCRIBE_CONFIGS, version, ask(BROKER, "1", keys, synonyms)).await;
                }
            }
            for (kind, name) in [
                (TOPIC, "missing"),
                (TOPIC, "not good"),
                (TOPIC, ""),
                (BROKER, "7"),
                (BROKER, "x"),
                (BROKER, ""),
                (0, "a"),
                (99, "a"),
                (METRICS, ""),
                (GROUP, ""),
                (LOGGER, "x"),
            ] {
                let keys = match kind {
                    BROKER => json!(["num.partitions"]),
                    _ => json!(null),
                };
                s.ask(ApiKey::DESCRIBE_CONFIGS, version, ask(kind, name, keys, false)).await;
            }
            s.ask(ApiKey::DESCRIBE_CONFIGS, version, json!({"resources": []})).await;
            let two = json!({"resources": [
                {"resource_type": TOPIC, "resource_name": name, "configuration_keys": ["retention.ms"]},
                {"resource_type": TOPIC, "resource_name": "missing", "configuration_keys": ["retention.ms"]},
            ]});
            s.ask(ApiKey::DESCRIBE_CONFIGS, version, two).await;
        }
    });
}

#[test]
fn altering() {
    both("alter", async |s| {
        let name = s.name("a");
        s.topic(&name, 1, &[("retention.ms", "12345")]).await;
        let shown = json!({"include_synonyms": true, "resources": [{
            "resource_type": TOPIC, "resource_name": name,
            "configuration_keys": ["retention.ms", "cleanup.policy", "max.message.bytes", "min.insync.replicas"],
        }]});
        for version in 0..=1 {
            for dry in [true, false] {
                for (kind, target, op, key, value) in [
                    (TOPIC, name.as_str(), 0, "retention.ms", json!("777")),
                    (TOPIC, &name, 0, "retention.ms", json!("-5")),
                    (TOPIC, &name, 0, "retention.ms", json!("many")),
                    (TOPIC, &name, 0, "retention.ms", json!(null)),
                    (TOPIC, &name, 0, "nonsense", json!("1")),
                    (TOPIC, &name, 1, "retention.ms", json!(null)),
                    (TOPIC, &name, 1, "retention.ms", json!("9")),
                    (TOPIC, &name, 1, "nonsense", json!(null)),
                    (TOPIC, &name, 2, "cleanup.policy", json!("compact")),
                    (TOPIC, &name, 2, "cleanup.policy", json!("compact")),
                    (TOPIC, &name, 3, "cleanup.policy", json!("delete")),
                    (TOPIC, &name, 3, "cleanup.policy", json!("absent")),
                    (TOPIC, &name, 2, "retention.ms", json!("9")),
                    (TOPIC, &name, 3, "retention.ms", json!("9")),
                    (TOPIC, &name, 0, "min.insync.replicas", json!("2")),
                    (TOPIC, &name, 0, "max.message.bytes", json!("2000")),
                    (TOPIC, &name, 1, "min.insync.replicas", json!(null)),
                    (TOPIC, &name, 0, "", json!("9")),
                    (TOPIC, "missing", 0, "retention.ms", json!("9")),
                    (TOPIC, "not good", 0, "retention.ms", json!("9")),
                    (TOPIC, "", 0, "retention.ms", json!("9")),
                    (BROKER, "7", 0, "log.retention.ms", json!("900000")),
                    (BROKER, "x", 0, "log.retention.ms", json!("900000")),
                    (BROKER, "1", 0, "num.partitions", json!("9")),
                    (BROKER, "1", 0, "nonsense", json!("9")),
                    (0, "1", 0, "nonsense", json!("9")),
                    (99, "1", 0, "nonsense", json!("9")),
                ] {
                    let request = json!({"validate_only": dry, "resources": [{
                        "resource_type": kind, "resource_name": target,
                        "configs": [{"name": key, "config_operation": op, "value": value}],
                    }]});
                    s.ask(ApiKey::INCREMENTAL_ALTER_CONFIGS, version, request).await;
                    if !dry && target == name {
                        settle(s).await;
                        s.ask(ApiKey::DESCRIBE_CONFIGS, 4, shown.clone()).await;
                    }
                }
            }
            let twice = json!({"resources": [{"resource_type": TOPIC, "resource_name": name, "configs": [
                {"name": "retention.ms", "config_operation": 0, "value": "1"},
                {"name": "retention.ms", "config_operation": 0, "value": "2"},
            ]}]});
            s.ask(ApiKey::INCREMENTAL_ALTER_CONFIGS, version, twice).await;
            let same = json!({"resources": [
                {"resource_type": TOPIC, "resource_name": name, "configs": []},
                {"resource_type": TOPIC, "resource_name": name, "configs": []},
            ]});
            s.ask(ApiKey::INCREMENTAL_ALTER_CONFIGS, version, same).await;
            s.ask(ApiKey::INCREMENTAL_ALTER_CONFIGS, version, json!({"resources": []})).await;
        }
        for version in 0..=2 {
            for dry in [true, false] {
                for (target, key, value) in [
                    (name.as_str(), "retention.ms", json!("888")),
                    (&name, "retention.ms", json!("x")),
                    (&name, "nonsense", json!("x")),
                    (&name, "cleanup.policy", json!("compact")),
                    (&name, "retention.ms", json!(null)),
                    ("missing", "retention.ms", json!("5")),
                ] {
                    let request = json!({"validate_only": dry, "resources": [{
                        "resource_type": TOPIC, "resource_name": target,
                        "configs": [{"name": key, "value": value}],
                    }]});
                    s.ask(ApiKey::ALTER_CONFIGS, version, request).await;
                    if !dry {
                        settle(s).await;
                        s.ask(ApiKey::DESCRIBE_CONFIGS, 4, shown.clone()).await;
                    }
                }
            }
        }
    });
}

/// Lets the broker hear of a change that the controller made.
async fn settle(s: &mut crate::common::Session) {
    // A later change of the same log of metadata: when its topic can be used, everything before it is known.
    let name = s.fresh();
    s.topic(&name, 1, &[]).await;
}

#[test]
fn resources() {
    both("resources", async |s| {
        let name = s.name("a");
        s.topic(&name, 1, &[]).await;
        s.ask(ApiKey::LIST_CONFIG_RESOURCES, 0, json!({})).await;
        for types in [
            json!([]),
            json!([TOPIC]),
            json!([BROKER]),
            json!([LOGGER]),
            json!([METRICS]),
            json!([GROUP]),
            json!([0]),
            json!([99]),
            json!([TOPIC, BROKER]),
            json!([TOPIC, 99]),
            json!([TOPIC, TOPIC]),
        ] {
            s.ask(ApiKey::LIST_CONFIG_RESOURCES, 1, json!({"resource_types": types})).await;
        }
    });
}
