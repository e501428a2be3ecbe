//! Creating, growing and deleting topics; reassignments and elections.

use crate::common::{ApiKey, Json, both, json};

fn create(name: &str, partitions: i32, factor: i16) -> Json {
    json!({"name": name, "num_partitions": partitions, "replication_factor": factor})
}

#[test]
fn topics() {
    both("topics", async |s| {
        for version in 2..=7 {
            let name = s.name(&format!("v{version}"));
            let ask = |topics: Json, dry: bool| json!({"topics": topics, "validate_only": dry});
            s.ask(ApiKey::CREATE_TOPICS, version, ask(json!([create(&name, 2, 1)]), true)).await;
            s.ask(ApiKey::CREATE_TOPICS, version, ask(json!([create(&name, 2, 1)]), false)).await;
            s.ask(ApiKey::CREATE_TOPICS, version, ask(json!([create(&name, 2, 1)]), false)).await;
            s.ask(ApiKey::CREATE_TOPICS, version, ask(json!([create(&name, 2, 1)]), true)).await;
            for (partitions, factor) in
                [(0, 1), (-2, 1), (1, 0), (1, -2), (1, 2), (1, 3), (-1, 1), (1, -1), (-1, -1)]
            {
                let name = s.name("odd");
                s.ask(ApiKey::CREATE_TOPICS, version, ask(json!([create(&name, partitions, factor)]), true))
                    .await;
            }
            for bad in ["", ".", "..", "a b", "ä", &"x".repeat(250)] {
                s.ask(ApiKey::CREATE_TOPICS, version, ask(json!([create(bad, 1, 1)]), true)).await;
            }
            let (c, d) = (s.name("c"), s.name("d"));
            let twice = json!([create(&c, 1, 1), create(&c, 1, 1), create(&d, 1, 1)]);
            s.ask(ApiKey::CREATE_TOPICS, version, ask(twice, true)).await;
            // Names that become the same in metrics.
            let (dots, lines) = (s.name("x.y"), s.name("x_y"));
            s.ask(
                ApiKey::CREATE_TOPICS,
                version,
                ask(json!([create(&dots, 1, 1), create(&lines, 1, 1)]), true),
            )
            .await;
            for assignments in [
                json!([{"partition_index": 0, "broker_ids": [1]}]),
                json!([{"partition_index": 0, "broker_ids": [1]}, {"partition_index": 1, "broker_ids": [1]}]),
                json!([{"partition_index": 1, "broker_ids": [1]}]),
                json!([{"partition_index": 0, "broker_ids": [7]}]),
                json!([{"partition_index": 0, "broker_ids": [1, 1]}]),
                json!([{"partition_index": 0, "broker_ids": []}]),
                json!([{"partition_index": 0, "broker_ids": [1]}, {"partition_index": 0, "broker_ids": [1]}]),
                json!([{"partition_index": 0, "broker_ids": [1]}, {"partition_index": 2, "broker_ids": [1]}]),
                json!([{"partition_index": -1, "broker_ids": [1]}]),
            ] {
                let mut topic = create(&c, -1, -1);
                topic["assignments"] = assignments.clone();
                s.ask(ApiKey::CREATE_TOPICS, version, ask(json!([topic]), true)).await;
                let mut topic = create(&c, 1, 1);
                topic["assignments"] = assignments;
                s.ask(ApiKey::CREATE_TOPICS, version, ask(json!([topic]), true)).await;
            }
            for (name, value) in [
                ("cleanup.policy", json!("compact")),
                ("cleanup.policy", json!("compact,delete")),
                ("cleanup.policy", json!("nonsense")),
                ("cleanup.policy", json!("")),
                ("retention.ms", json!("-1")),
                ("retention.ms", json!("-2")),
                ("retention.ms", json!("a")),
                ("nonsense", json!("1")),
                ("retention.ms", json!(null)),
                ("max.message.bytes", json!("100")),
                ("segment.bytes", json!("10")),
                ("min.insync.replicas", json!("0")),
                ("compression.type", json!("zstd")),
                ("compression.type", json!("nonsense")),
                ("message.timestamp.type", json!("LogAppendTime")),
                ("message.timestamp.type", json!("x")),
                ("unclean.leader.election.enable", json!("maybe")),
                ("flush.messages", json!("0")),
                ("", json!("1")),
                ("remote.storage.enable", json!("true")),
            ] {
                let mut topic = create(&c, 1, 1);
                topic["configs"] = json!([{"name": name, "value": value}]);
                s.once(ApiKey::CREATE_TOPICS, version, ask(json!([topic]), true)).await;
            }
            let mut topic = create(&c, 1, 1);
            topic["configs"] = json!([
                {"name": "retention.ms", "value": "5"}, {"name": "retention.ms", "value": "6"},
            ]);
            s.ask(ApiKey::CREATE_TOPICS, version, ask(json!([topic]), true)).await;
            s.ask(ApiKey::CREATE_TOPICS, version, ask(json!([]), false)).await;
        }
        for version in 1..=5 {
            let name = s.name(&format!("v{}", version + 1));
            s.await_topic(&name, 2).await;
            let request = json!({"timeout_ms": 9000, "topic_names": [name, s.name("missing")]});
            s.ask(ApiKey::DELETE_TOPICS, version, request.clone()).await;
            s.ask(ApiKey::DELETE_TOPICS, version, request).await;
            s.ask(ApiKey::DELETE_TOPICS, version, json!({"timeout_ms": 9000, "topic_names": [name, name]}))
                .await;
            s.ask(ApiKey::DELETE_TOPICS, version, json!({"timeout_ms": 9000, "topic_names": []})).await;
            s.ask(ApiKey::DELETE_TOPICS, version, json!({"timeout_ms": 9000, "topic_names": [""]})).await;
        }
        let name = s.name("v7");
        let id = s.await_topic(&name, 2).await;
        for topics in [
            json!([{"name": name, "topic_id": id}]),
            json!([{"name": name}, {"name": name}]),
            json!([{"name": null, "topic_id": id}, {"name": name}]),
            json!([{"name": null, "topic_id": id}, {"name": null, "topic_id": id}]),
            json!([{"name": null}]),
            json!([{"name": null, "topic_id": "AAAAAAAAAAAAAAAAAAAAAQ"}]),
            json!([{"name": s.name("missing")}]),
            json!([]),
            json!([{"name": null, "topic_id": id}]),
            json!([{"name": null, "topic_id": id}]),
            json!([{"name": name}]),
        ] {
            s.ask(ApiKey::DELETE_TOPICS, 6, json!({"timeout_ms": 9000, "topics": topics})).await;
            if topics.as_array().is_some_and(|all| all.len() == 2) {
                let again = json!({"topics": [create(&name, 2, 1)]});
                s.quietly(ApiKey::CREATE_TOPICS, 7, again).await;
            }
        }
    });
}

#[test]
fn partitions() {
    both("partitions", async |s| {
        for version in 0..=3 {
            let name = s.name(&format!("v{version}"));
            s.topic(&name, 2, &[]).await;
            let ask = |name: &str, count: i32, assignments: Json, dry: bool| {
                json!({"validate_only": dry, "timeout_ms": 5000, "topics": [{
                    "name": name, "count": count, "assignments": assignments,
                }]})
            };
            for count in [0, -1, 1, 2, 3, 4] {
                s.ask(ApiKey::CREATE_PARTITIONS, version, ask(&name, count, json!(null), true)).await;
            }
            for assignments in [
                json!([]),
                json!([{"broker_ids": [1]}]),
                json!([{"broker_ids": [1]}, {"broker_ids": [1]}]),
                json!([{"broker_ids": [9]}]),
                json!([{"broker_ids": [1, 1]}]),
                json!([{"broker_ids": []}]),
            ] {
                s.ask(ApiKey::CREATE_PARTITIONS, version, ask(&name, 3, assignments, true)).await;
            }
            s.ask(ApiKey::CREATE_PARTITIONS, version, ask(&name, 3, json!(null), false)).await;
            s.await_topic(&name, 3).await;
            s.ask(ApiKey::CREATE_PARTITIONS, version, ask(&name, 3, json!(null), false)).await;
            s.ask(ApiKey::CREATE_PARTITIONS, version, ask("missing", 3, json!(null), false)).await;
            s.ask(ApiKey::CREATE_PARTITIONS, version, ask("not good", 3, json!(null), false)).await;
            s.ask(ApiKey::METADATA, 12, json!({"topics": [{"name": name}]})).await;
            let twice = json!({"timeout_ms": 5000, "topics": [
                {"name": name, "count": 4, "assignments": null}, {"name": name, "count": 5, "assignments": null},
            ]});
            s.ask(ApiKey::CREATE_PARTITIONS, version, twice).await;
            s.ask(ApiKey::CREATE_PARTITIONS, version, json!({"topics": [], "timeout_ms": 5000})).await;
        }
    });
}

#[test]
fn reassignments_and_elections() {
    both("moves", async |s| {
        let name = s.name("a");
        s.topic(&name, 2, &[]).await;
        for version in 0..=1 {
            for (topic, partition, replicas) in [
                (name.as_str(), 0, json!([1])),
                (&name, 0, json!(null)),
                (&name, 0, json!([7])),
                (&name, 0, json!([])),
                (&name, 0, json!([1, 1])),
                (&name, 5, json!([1])),
                ("missing", 0, json!([1])),
                (&name, 0, json!([-1])),
            ] {
                let request = json!({"topics": [{
                    "name": topic, "partitions": [{"partition_index": partition, "replicas": replicas}],
                }]});
                s.ask(ApiKey::ALTER_PARTITION_REASSIGNMENTS, version, request).await;
            }
        }
        for topics in [
            json!(null),
            json!([]),
            json!([{"name": name, "partition_indexes": [0, 1]}]),
            json!([{"name": "missing", "partition_indexes": [0]}]),
            json!([{"name": name, "partition_indexes": [9]}]),
        ] {
            s.ask(ApiKey::LIST_PARTITION_REASSIGNMENTS, 0, json!({"topics": topics})).await;
        }
        for version in 0..=2 {
            for kind in [0, 1, 2] {
                if version == 0 && kind != 0 {
                    continue;
                }
                for topics in [
                    json!([{"topic": name, "partitions": [0, 1]}]),
                    json!([{"topic": name, "partitions": [7]}]),
                    json!([{"topic": "missing", "partitions": [0]}]),
                    json!([]),
                ] {
                    let request =
                        json!({"election_type": kind, "topic_partitions": topics, "timeout_ms": 5000});
                    s.ask(ApiKey::ELECT_LEADERS, version, request).await;
                }
            }
        }
    });
}
