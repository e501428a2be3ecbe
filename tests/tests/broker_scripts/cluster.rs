//! What a cluster says of itself: versions, brokers, coordinators, topics; and what it refuses without an authorizer.

use crate::common::{ApiKey, both, json};

#[test]
fn api_versions() {
    both("versions", async |s| {
        let named = |name: &str, version: &str| json!({"client_software_name": name, "client_software_version": version});
        for version in 0..=4 {
            s.ask(ApiKey::API_VERSIONS, version, named("ottla", "1.0")).await;
        }
        for version in [3, 4] {
            for (name, number) in
                [("", "1"), ("a b", "1"), ("ok", ""), ("ok", "1/2"), ("-a", "1"), ("a-", "1")]
            {
                s.ask(ApiKey::API_VERSIONS, version, named(name, number)).await;
            }
        }
    });
}

#[test]
fn metadata() {
    both("metadata", async |s| {
        let (a, b) = (s.name("a"), s.name("b"));
        let id = s.topic(&a, 1, &[]).await;
        s.topic(&b, 3, &[]).await;
        let unknown = "AAAAAAAAAAAAAAAAAAAAAQ";
        for version in [0, 1, 4, 5, 7, 8, 9, 10, 11, 12, 13] {
            let name = |name: &str| json!({"name": name});
            let quiet = |topics| match version {
                0..=3 => json!({"topics": topics}),
                _ => json!({"topics": topics, "allow_auto_topic_creation": false}),
            };
            s.ask(ApiKey::METADATA, version, quiet(json!([name(&a)]))).await;
            s.ask(ApiKey::METADATA, version, quiet(json!([name(&a), name(&b)]))).await;
            s.ask(ApiKey::METADATA, version, quiet(json!([name(&a), name(&a)]))).await;
            if version >= 1 {
                s.ask(ApiKey::METADATA, version, quiet(json!([]))).await;
                s.ask(ApiKey::METADATA, version, quiet(json!(null))).await;
            }
            if version >= 4 {
                s.ask(ApiKey::METADATA, version, quiet(json!([name(&s.name("missing")), name(&b)]))).await;
                for bad in ["", ".", "..", "a b", "ä", &"x".repeat(250)] {
                    s.ask(ApiKey::METADATA, version, quiet(json!([name(bad)]))).await;
                }
            }
            if version >= 8 {
                let mut request = quiet(json!([name(&a)]));
                request["include_topic_authorized_operations"] = json!(true);
                if version <= 10 {
                    request["include_cluster_authorized_operations"] = json!(true);
                }
                s.ask(ApiKey::METADATA, version, request).await;
            }
            if version >= 10 {
                let by = |id: &str| json!({"topic_id": id, "name": null});
                s.ask(ApiKey::METADATA, version, quiet(json!([by(&id)]))).await;
                s.ask(ApiKey::METADATA, version, quiet(json!([by(&id), by(unknown)]))).await;
                let both = json!([{"topic_id": id, "name": a}]);
                s.ask(ApiKey::METADATA, version, quiet(both)).await;
                if version < 12 {
                    s.ask(ApiKey::METADATA, version, quiet(json!([{"name": null}]))).await;
                }
            }
        }
        // Created by being asked for; the first answer says so.
        let made = s.name("made");
        s.once(ApiKey::METADATA, 12, json!({"topics": [{"name": made}]})).await;
        s.await_topic(&made, 1).await;
        s.ask(ApiKey::METADATA, 13, json!({"topics": [{"name": made}]})).await;
        s.once(ApiKey::METADATA, 13, json!({"topics": [{"name": "no good"}]})).await;
        let one = s.name("made.too");
        s.once(ApiKey::METADATA, 4, json!({"topics": [{"name": one}, {"name": a}]})).await;
    });
}

#[test]
fn topic_partitions() {
    both("pages", async |s| {
        let (a, b) = (s.name("a"), s.name("b"));
        s.topic(&a, 5, &[]).await;
        s.topic(&b, 2, &[]).await;
        let all = json!([{"name": a}, {"name": b}]);
        for limit in [1, 2, 5, 6, 7, 100, 2000, 5000] {
            let request = json!({"topics": all, "response_partition_limit": limit});
            s.ask(ApiKey::DESCRIBE_TOPIC_PARTITIONS, 0, request).await;
        }
        for (topic, partition) in
            [(&a, 0), (&a, 3), (&a, 5), (&a, 9), (&b, 1), (&s.name("aa"), 0), (&s.name("z"), 0)]
        {
            let request = json!({
                "topics": all, "cursor": {"topic_name": topic, "partition_index": partition},
            });
            s.ask(ApiKey::DESCRIBE_TOPIC_PARTITIONS, 0, request).await;
        }
        for topic in ["missing", "not good"] {
            s.ask(ApiKey::DESCRIBE_TOPIC_PARTITIONS, 0, json!({"topics": [{"name": topic}, {"name": b}]}))
                .await;
        }
        let negative = json!({"topics": all, "cursor": {"topic_name": a, "partition_index": -1}});
        s.ask(ApiKey::DESCRIBE_TOPIC_PARTITIONS, 0, negative).await;
        s.ask(ApiKey::DESCRIBE_TOPIC_PARTITIONS, 0, json!({"topics": all, "response_partition_limit": 0}))
            .await;
    });
}

#[test]
fn brokers_and_coordinators() {
    both("brokers", async |s| {
        for version in 0..=2 {
            for operations in [false, true] {
                for endpoint in [1, 2, 3] {
                    let mut request = json!({"include_cluster_authorized_operations": operations});
                    if version == 0 && endpoint != 1 {
                        continue;
                    }
                    request["endpoint_type"] = json!(endpoint);
                    s.ask(ApiKey::DESCRIBE_CLUSTER, version, request).await;
                }
            }
        }
        s.ask(ApiKey::DESCRIBE_CLUSTER, 2, json!({"include_fenced_brokers": true})).await;
        for version in 0..=3 {
            for key_type in [0, 1, 2, 3] {
                if version == 0 && key_type != 0 {
                    continue;
                }
                for key in ["a", ""] {
                    let request = json!({"key": key, "key_type": key_type});
                    s.ask(ApiKey::FIND_COORDINATOR, version, request).await;
                }
            }
        }
        for version in 4..=6 {
            for key_type in [0, 1, 3] {
                for keys in [json!(["a"]), json!(["a", "b"]), json!([]), json!([""]), json!(["a", "a"])] {
                    let request = json!({"coordinator_keys": keys, "key_type": key_type});
                    s.ask(ApiKey::FIND_COORDINATOR, version, request).await;
                }
            }
        }
        for version in 1..=5 {
            s.ask(ApiKey::DESCRIBE_LOG_DIRS, version, json!({"topics": []})).await;
        }
    });
}

#[test]
fn rights_without_an_authorizer() {
    both("rights", async |s| {
        for version in 1..=3 {
            for kind in [1, 2, 3, 4] {
                let filter = json!({
                    "resource_type_filter": kind, "resource_name_filter": null, "pattern_type_filter": 1,
                    "principal_filter": null, "host_filter": null, "operation": 1, "permission_type": 1,
                });
                s.ask(ApiKey::DESCRIBE_ACLS, version, filter.clone()).await;
                s.ask(ApiKey::DELETE_ACLS, version, json!({"filters": [filter.clone(), filter]})).await;
                let creation = json!({
                    "resource_type": kind, "resource_name": "a", "principal": "User:a", "host": "*",
                    "operation": 3, "permission_type": 3,
                });
                s.ask(ApiKey::CREATE_ACLS, version, json!({"creations": [creation.clone(), creation]})).await;
            }
        }
        let odd = json!({
            "resource_type_filter": 99, "resource_name_filter": null, "pattern_type_filter": 1,
            "principal_filter": null, "host_filter": null, "operation": 1, "permission_type": 1,
        });
        s.ask(ApiKey::DESCRIBE_ACLS, 3, odd).await;
        s.ask(ApiKey::CREATE_ACLS, 3, json!({"creations": []})).await;
        s.ask(ApiKey::DELETE_ACLS, 3, json!({"filters": []})).await;
        s.ask(ApiKey::SASL_HANDSHAKE, 1, json!({"mechanism": "PLAIN"})).await;
        s.hang_up("main");
        s.ask(ApiKey::SASL_HANDSHAKE, 1, json!({"mechanism": "NONE-SUCH"})).await;
        s.hang_up("main");
        s.ask(ApiKey::SASL_AUTHENTICATE, 2, json!({"auth_bytes": "a"})).await;
    });
}

#[test]
fn quotas() {
    both("quotas", async |s| {
        let user = s.name("user");
        for version in 0..=1 {
            let alter =
                |kind: &str, name: serde_json::Value, key: &str, value: f64, remove: bool, dry: bool| {
                    json!({"validate_only": dry, "entries": [{
                        "entity": [{"entity_type": kind, "entity_name": name}],
                        "ops": [{"key": key, "value": value, "remove": remove}],
                    }]})
                };
            let describe = |components: serde_json::Value, strict: bool| json!({"components": components, "strict": strict});
            let mine = json!([{"entity_type": "user", "match_type": 0, "match": user}]);
            for (kind, name, key, value, remove, dry) in [
                ("user", json!(user), "producer_byte_rate", 1e6, false, true),
                ("user", json!(user), "producer_byte_rate", 1e6, false, false),
                ("user", json!(user), "consumer_byte_rate", 2e6, false, false),
                ("user", json!(user), "request_percentage", 50.0, false, false),
                ("user", json!(user), "controller_mutation_rate", 5.0, false, false),
                ("user", json!(user), "connection_creation_rate", 5.0, false, false),
                ("user", json!(user), "nonsense", 5.0, false, false),
                ("user", json!(user), "producer_byte_rate", 0.0, false, false),
                ("user", json!(user), "producer_byte_rate", -1.0, false, false),
                ("user", json!(user), "producer_byte_rate", 1.5, false, false),
                ("user", json!(user), "consumer_byte_rate", 0.0, true, false),
                ("user", json!(user), "consumer_byte_rate", 0.0, true, false),
                ("user", json!(""), "producer_byte_rate", 1.0, false, false),
                ("nonsense", json!("a"), "producer_byte_rate", 1.0, false, false),
                ("ip", json!("127.0.0.9"), "connection_creation_rate", 50.0, false, true),
                ("ip", json!("127.0.0.9"), "producer_byte_rate", 50.0, false, true),
                ("ip", json!("not an address"), "connection_creation_rate", 50.0, false, true),
                ("client-id", json!("c"), "producer_byte_rate", 9e9, false, true),
                ("client-id", json!(null), "producer_byte_rate", 9e9, false, true),
            ] {
                s.ask(ApiKey::ALTER_CLIENT_QUOTAS, version, alter(kind, name, key, value, remove, dry)).await;
            }
            s.until(ApiKey::DESCRIBE_CLIENT_QUOTAS, version, describe(mine.clone(), true), |answer| {
                let values = &answer["entries"][0]["values"];
                values.as_array().map_or(0, Vec::len) == 3
            })
            .await;
            s.ask(ApiKey::DESCRIBE_CLIENT_QUOTAS, version, describe(mine, false)).await;
            for components in [
                json!([{"entity_type": "user", "match_type": 1, "match": null}]),
                json!([{"entity_type": "user", "match_type": 2, "match": null}]),
                json!([{"entity_type": "client-id", "match_type": 2, "match": null}]),
                json!([{"entity_type": "nonsense", "match_type": 0, "match": "a"}]),
                json!([{"entity_type": "", "match_type": 0, "match": "a"}]),
                json!([{"entity_type": "user", "match_type": 9, "match": null}]),
                json!([
                    {"entity_type": "user", "match_type": 0, "match": "a"},
                    {"entity_type": "user", "match_type": 0, "match": "b"},
                ]),
                json!([
                    {"entity_type": "user", "match_type": 0, "match": "a"},
                    {"entity_type": "ip", "match_type": 0, "match": "b"},
                ]),
                json!([{"entity_type": "user", "match_type": 0, "match": null}]),
                json!([]),
            ] {
                for strict in [false, true] {
                    let request = describe(components.clone(), strict);
                    s.ask(ApiKey::DESCRIBE_CLIENT_QUOTAS, version, request).await;
                }
            }
            let twice = json!({"entries": [
                {"entity": [{"entity_type": "user", "entity_name": user}, {"entity_type": "client-id", "entity_name": "c"}],
                 "ops": [{"key": "producer_byte_rate", "value": 7e7, "remove": false}]},
                {"entity": [{"entity_type": "user", "entity_name": user}, {"entity_type": "ip", "entity_name": "c"}],
                 "ops": [{"key": "producer_byte_rate", "value": 7e7, "remove": false}]},
                {"entity": [], "ops": [{"key": "producer_byte_rate", "value": 7e7, "remove": false}]},
            ]});
            s.ask(ApiKey::ALTER_CLIENT_QUOTAS, version, twice).await;
            for key in ["producer_byte_rate", "request_percentage", "controller_mutation_rate"] {
                s.ask(
                    ApiKey::ALTER_CLIENT_QUOTAS,
                    version,
                    alter("user", json!(user), key, 0.0, true, false),
                )
                .await;
            }
            let pair = json!({"entries": [
                {"entity": [{"entity_type": "user", "entity_name": user}, {"entity_type": "client-id", "entity_name": "c"}],
                 "ops": [{"key": "producer_byte_rate", "value": 0.0, "remove": true}]},
            ]});
            s.ask(ApiKey::ALTER_CLIENT_QUOTAS, version, pair).await;
        }
    });
}

#[test]
fn credentials() {
    both("credentials", async |s| {
        let (a, b) = (s.name("a"), s.name("b"));
        let upsert = |name: &str, mechanism: i32, iterations: i32| {
            json!({"upsertions": [{
                "name": name, "mechanism": mechanism, "iterations": iterations,
                "salt": "salt", "salted_password": "password",
            }]})
        };
        let delete =
            |name: &str, mechanism: i32| json!({"deletions": [{"name": name, "mechanism": mechanism}]});
        let (alter, describe) =
            (ApiKey::ALTER_USER_SCRAM_CREDENTIALS, ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS);
        for (name, mechanism, iterations) in [
            (a.as_str(), 1, 4096),
            (&a, 2, 8192),
            (&b, 1, 4095),
            (&b, 1, 16385),
            (&b, 1, 16384),
            (&b, 0, 4096),
            (&b, 3, 4096),
            ("", 1, 4096),
            (&a, 1, 5000),
            (&b, 2, 0),
            (&b, 2, -1),
        ] {
            s.ask(alter, 0, upsert(name, mechanism, iterations)).await;
        }
        let users = |names: &[&str]| json!({"users": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
        s.until(describe, 0, users(&[&b]), |answer| answer["results"][0]["error_code"] == "NONE").await;
        for names in [&[a.as_str()][..], &[&a, &b], &[&a, &a], &["missing"], &[""], &[&a, "missing", &b]] {
            s.ask(describe, 0, users(names)).await;
        }
        s.ask(describe, 0, json!({"users": []})).await;
        s.ask(describe, 0, json!({"users": null})).await;
        let both = json!({
            "deletions": [{"name": a, "mechanism": 1}],
            "upsertions": [{"name": a, "mechanism": 1, "iterations": 4096, "salt": "s", "salted_password": "p"}],
        });
        s.ask(alter, 0, both).await;
        let twice = json!({"deletions": [{"name": a, "mechanism": 1}, {"name": a, "mechanism": 1}]});
        s.ask(alter, 0, twice).await;
        for (name, mechanism) in
            [(a.as_str(), 1), (&a, 1), (&b, 2), (&b, 9), ("", 1), ("missing", 1), (&a, 2), (&b, 1)]
        {
            s.ask(alter, 0, delete(name, mechanism)).await;
        }
        s.until(describe, 0, users(&[&b]), |answer| answer["results"][0]["error_code"] != "NONE").await;
        s.ask(describe, 0, users(&[&a, &b])).await;
        s.ask(alter, 0, json!({})).await;
    });
}

#[test]
fn quorum() {
    both("quorum", async |s| {
        for version in 0..=2 {
            for (topic, partition) in [("__cluster_metadata", 0), ("__cluster_metadata", 1), ("other", 0)] {
                let request = json!({"topics": [{
                    "topic_name": topic, "partitions": [{"partition_index": partition}],
                }]});
                s.ask(ApiKey::DESCRIBE_QUORUM, version, request).await;
            }
            s.ask(ApiKey::DESCRIBE_QUORUM, version, json!({"topics": []})).await;
        }
    });
}

#[test]
fn delegation_tokens_that_are_off() {
    both("tokens", async |s| {
        for version in 1..=3 {
            s.ask(ApiKey::CREATE_DELEGATION_TOKEN, version, json!({"max_lifetime_ms": 1000})).await;
            s.ask(ApiKey::DESCRIBE_DELEGATION_TOKEN, version, json!({"owners": null})).await;
        }
        for version in 1..=2 {
            s.ask(ApiKey::RENEW_DELEGATION_TOKEN, version, json!({"hmac": "a", "renew_period_ms": 10})).await;
            s.ask(
                ApiKey::EXPIRE_DELEGATION_TOKEN,
                version,
                json!({"hmac": "a", "expiry_time_period_ms": 10}),
            )
            .await;
        }
    });
}
