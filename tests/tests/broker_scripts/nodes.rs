//! Asking the wrong node: leaders, followers, coordinators, and moving from one to the other.

use crate::common::{ApiKey, Batch, Json, Session, both_of_three, json};

/// A topic of one partition on nodes 1 and 2, which node 1 leads.
async fn placed(s: &mut Session, name: &str) -> (String, String) {
    let name = s.name(name);
    let topic = json!({
        "name": name, "num_partitions": -1, "replication_factor": -1,
        "assignments": [{"partition_index": 0, "broker_ids": [1, 2]}],
    });
    s.ask(ApiKey::CREATE_TOPICS, 5, json!({"topics": [topic]})).await;
    let id = s.await_topic(&name, 1).await;
    // Every node has heard of it when this one answers for it.
    for lane in ["leader", "follower", "stranger"] {
        let metadata = json!({"topics": [{"name": name}], "allow_auto_topic_creation": false});
        s.until_on(lane, ApiKey::METADATA, 12, metadata, |answer| {
            answer["topics"][0]["partitions"][0]["isr_nodes"].as_array().map_or(0, Vec::len) == 2
        })
        .await;
    }
    (name, id)
}

fn produce(version: i16, topic: &(String, String), acks: i16) -> Json {
    let data = json!([{"index": 0, "records": Batch::of(&["a", "b"]).field()}]);
    let topic = match version {
        13.. => json!({"topic_id": topic.1, "partition_data": data}),
        _ => json!({"name": topic.0, "partition_data": data}),
    };
    json!({"acks": acks, "timeout_ms": 5000, "topic_data": [topic]})
}

fn fetch(version: i16, topic: &(String, String), offset: i64) -> Json {
    let partitions = json!([{"partition": 0, "fetch_offset": offset, "partition_max_bytes": 1_000_000}]);
    let topic = match version {
        13.. => json!({"topic_id": topic.1, "partitions": partitions}),
        _ => json!({"topic": topic.0, "partitions": partitions}),
    };
    json!({"max_wait_ms": 0, "min_bytes": 0, "max_bytes": 1_000_000, "topics": [topic]})
}

fn lookup(topic: &str, timestamp: i64) -> Json {
    json!({"replica_id": -1, "topics": [
        {"name": topic, "partitions": [{"partition_index": 0, "timestamp": timestamp}]},
    ]})
}

#[test]
fn leaders_and_followers() {
    both_of_three("wrong", async |s| {
        s.place("leader", 1);
        s.place("follower", 2);
        s.place("stranger", 3);
        let a = placed(s, "a").await;
        for lane in ["leader", "follower", "stranger"] {
            for v in [3, 8, 9, 10, 12, 13] {
                s.ask_on(lane, ApiKey::PRODUCE, v, produce(v, &a, -1)).await;
                s.ask_on(lane, ApiKey::PRODUCE, v, produce(v, &a, 1)).await;
            }
        }
        let full = |answer: &Json| {
            let partition = &answer["responses"][0]["partitions"][0];
            partition["error_code"] != "NONE" || partition["high_watermark"] == 24
        };
        for lane in ["leader", "follower", "stranger"] {
            for v in [4, 9, 10, 11, 12, 13, 16, 18] {
                s.until_on(lane, ApiKey::FETCH, v, fetch(v, &a, 20), full).await;
                s.until_on(lane, ApiKey::FETCH, v, fetch(v, &a, 24), full).await;
                s.until_on(lane, ApiKey::FETCH, v, fetch(v, &a, 99), |_| true).await;
                for epoch in [0, 5] {
                    if v >= 9 {
                        let mut request = fetch(v, &a, 20);
                        request["topics"][0]["partitions"][0]["current_leader_epoch"] = json!(epoch);
                        s.until_on(lane, ApiKey::FETCH, v, request, full).await;
                    }
                }
            }
            for v in [1, 4, 7, 10, 11] {
                for timestamp in [-1, -2, 0] {
                    s.ask_on(lane, ApiKey::LIST_OFFSETS, v, lookup(&a.0, timestamp)).await;
                }
            }
            for v in 2..=4 {
                let mut request =
                    json!({"topics": [{"topic": a.0, "partitions": [{"partition": 0, "leader_epoch": 0}]}]});
                if v >= 3 {
                    request["replica_id"] = json!(-1);
                }
                s.ask_on(lane, ApiKey::OFFSET_FOR_LEADER_EPOCH, v, request).await;
            }
            for v in 0..=2 {
                let request = json!({"timeout_ms": 5000, "topics": [
                    {"name": a.0, "partitions": [{"partition_index": 0, "offset": 1}]},
                ]});
                s.ask_on(lane, ApiKey::DELETE_RECORDS, v, request).await;
            }
            let producers = json!({"topics": [{"name": a.0, "partition_indexes": [0]}]});
            s.ask_on(lane, ApiKey::DESCRIBE_PRODUCERS, 0, producers).await;
            for v in [1, 7, 12] {
                s.ask_on(lane, ApiKey::METADATA, v, json!({"topics": [{"name": a.0}]})).await;
            }
            s.ask_on(lane, ApiKey::DESCRIBE_CLUSTER, 2, json!({})).await;
        }
    });
}

#[test]
fn coordinators() {
    both_of_three("elsewhere", async |s| {
        for (lane, node) in [("one", 1), ("two", 2), ("three", 3)] {
            s.place(lane, node);
        }
        let group = s.name("g");
        let id = s.name("id");
        for (key, kind) in [(&group, 0), (&id, 1)] {
            let found = s
                .quietly(ApiKey::FIND_COORDINATOR, 4, json!({"key_type": kind, "coordinator_keys": [key]}))
                .await;
            let node = found["coordinators"][0]["node_id"].as_i64().unwrap_or(1);
            s.place("right", node);
            s.place("wrong", node % 3 + 1);
            // The right one knows that it is.
            let ready = |answer: &Json| !answer.to_string().contains("COORDINATOR");
            if kind == 1 {
                let init = json!({"transactional_id": key, "transaction_timeout_ms": 60_000});
                s.until_on("right", ApiKey::INIT_PRODUCER_ID, 4, init.clone(), ready).await;
                for v in 0..=5 {
                    s.until_on("wrong", ApiKey::INIT_PRODUCER_ID, v, init.clone(), |_| true).await;
                }
                let end = json!({"transactional_id": key, "producer_id": 5, "producer_epoch": 0, "committed": true});
                for v in 0..=5 {
                    s.until_on("wrong", ApiKey::END_TXN, v, end.clone(), |_| true).await;
                }
                let add =
                    json!({"transactional_id": key, "producer_id": 5, "producer_epoch": 0, "group_id": "g"});
                for v in 0..=4 {
                    s.until_on("wrong", ApiKey::ADD_OFFSETS_TO_TXN, v, add.clone(), |_| true).await;
                }
                let describe = json!({"transactional_ids": [key]});
                s.until_on("wrong", ApiKey::DESCRIBE_TRANSACTIONS, 0, describe, |_| true).await;
                continue;
            }
            let describe = json!({"groups": [key]});
            s.until_on("right", ApiKey::DESCRIBE_GROUPS, 6, describe.clone(), ready).await;
            for v in 0..=6 {
                s.until_on("wrong", ApiKey::DESCRIBE_GROUPS, v, describe.clone(), |_| true).await;
            }
            let join = json!({
                "group_id": key, "session_timeout_ms": 10_000, "rebalance_timeout_ms": 10_000, "member_id": "",
                "protocol_type": "consumer", "protocols": [{"name": "range", "metadata": "r"}],
            });
            for v in 2..=9 {
                s.until_on("wrong", ApiKey::JOIN_GROUP, v, join.clone(), |_| true).await;
            }
            for v in 0..=5 {
                let sync = json!({"group_id": key, "generation_id": 1, "member_id": "m"});
                s.until_on("wrong", ApiKey::SYNC_GROUP, v, sync, |_| true).await;
            }
            for v in 0..=4 {
                let beat = json!({"group_id": key, "generation_id": 1, "member_id": "m"});
                s.until_on("wrong", ApiKey::HEARTBEAT, v, beat, |_| true).await;
            }
            for v in 3..=5 {
                let leave = json!({"group_id": key, "members": [{"member_id": "m"}]});
                s.until_on("wrong", ApiKey::LEAVE_GROUP, v, leave, |_| true).await;
            }
            for v in 2..=9 {
                let commit = json!({"group_id": key, "topics": [
                    {"name": "t", "partitions": [{"partition_index": 0, "committed_offset": 1}]},
                ]});
                s.until_on("wrong", ApiKey::OFFSET_COMMIT, v, commit, |_| true).await;
            }
            for v in 1..=9 {
                let topics = json!([{"name": "t", "partition_indexes": [0]}]);
                let fetch = match v {
                    8.. => json!({"groups": [{"group_id": key, "topics": topics}]}),
                    _ => json!({"group_id": key, "topics": topics}),
                };
                s.until_on("wrong", ApiKey::OFFSET_FETCH, v, fetch, |_| true).await;
            }
            for v in 0..=2 {
                s.until_on("wrong", ApiKey::DELETE_GROUPS, v, json!({"groups_names": [key]}), |_| true).await;
            }
            let delete =
                json!({"group_id": key, "topics": [{"name": "t", "partitions": [{"partition_index": 0}]}]});
            s.until_on("wrong", ApiKey::OFFSET_DELETE, 0, delete, |_| true).await;
            for v in 0..=1 {
                let beat = json!({
                    "group_id": key, "member_id": "BBBBBBBBBBBBBBBBBBBBBA", "member_epoch": 0,
                    "rebalance_timeout_ms": 20_000, "subscribed_topic_names": ["t"], "topic_partitions": [],
                });
                s.until_on("wrong", ApiKey::CONSUMER_GROUP_HEARTBEAT, v, beat, |_| true).await;
                let describe = json!({"group_ids": [key]});
                s.until_on("wrong", ApiKey::CONSUMER_GROUP_DESCRIBE, v, describe, |_| true).await;
            }
        }
    });
}

#[test]
fn moving_leaders() {
    both_of_three("moving", async |s| {
        s.place("leader", 1);
        s.place("follower", 2);
        s.place("stranger", 3);
        let a = placed(s, "a").await;
        s.ask(ApiKey::PRODUCE, 12, produce(12, &a, -1)).await;
        // Node 2 becomes the preferred one, then the leader.
        let reassign = |replicas: Json| json!({"topics": [{"name": a.0, "partitions": [{"partition_index": 0, "replicas": replicas}]}]});
        s.ask(ApiKey::ALTER_PARTITION_REASSIGNMENTS, 1, reassign(json!([2, 1]))).await;
        let metadata = json!({"topics": [{"name": a.0}]});
        s.until(ApiKey::METADATA, 12, metadata.clone(), |answer| {
            answer["topics"][0]["partitions"][0]["replica_nodes"] == json!([2, 1])
        })
        .await;
        let elect = json!({"election_type": 0, "topic_partitions": [{"topic": a.0, "partitions": [0]}], "timeout_ms": 9000});
        s.ask(ApiKey::ELECT_LEADERS, 2, elect.clone()).await;
        s.ask(ApiKey::ELECT_LEADERS, 2, elect).await;
        for lane in ["leader", "follower", "stranger"] {
            s.until_on(lane, ApiKey::METADATA, 12, metadata.clone(), |answer| {
                answer["topics"][0]["partitions"][0]["leader_id"] == 2
            })
            .await;
        }
        let moved = |answer: &Json| answer["responses"][0]["partition_responses"][0]["error_code"] == "NONE";
        s.until_on("follower", ApiKey::PRODUCE, 12, produce(12, &a, -1), moved).await;
        let refused = |answer: &Json| !moved(answer);
        for v in [9, 10, 12, 13] {
            s.until_on("leader", ApiKey::PRODUCE, v, produce(v, &a, -1), refused).await;
        }
        for v in [9, 12, 13, 16, 18] {
            for epoch in [0, 1, 2] {
                for lane in ["leader", "follower"] {
                    let mut request = fetch(v, &a, 0);
                    request["topics"][0]["partitions"][0]["current_leader_epoch"] = json!(epoch);
                    s.until_on(lane, ApiKey::FETCH, v, request, |answer| {
                        let partition = &answer["responses"][0]["partitions"][0];
                        partition["error_code"] != "NONE" || partition["high_watermark"] == 4
                    })
                    .await;
                }
            }
        }
        for epoch in [-1, 0, 1, 2] {
            let request = json!({"replica_id": -1, "topics": [
                {"topic": a.0, "partitions": [{"partition": 0, "leader_epoch": epoch, "current_leader_epoch": -1}]},
            ]});
            s.ask_on("follower", ApiKey::OFFSET_FOR_LEADER_EPOCH, 4, request).await;
            let mut diverging = fetch(12, &a, 4);
            diverging["topics"][0]["partitions"][0]["last_fetched_epoch"] = json!(epoch);
            s.ask_on("follower", ApiKey::FETCH, 12, diverging).await;
        }
        // A third replica comes, the first one goes.
        s.ask(ApiKey::ALTER_PARTITION_REASSIGNMENTS, 1, reassign(json!([2, 3]))).await;
        s.until(ApiKey::METADATA, 12, metadata.clone(), |answer| {
            let partition = &answer["topics"][0]["partitions"][0];
            partition["replica_nodes"] == json!([2, 3])
                && partition["isr_nodes"].as_array().map_or(0, Vec::len) == 2
        })
        .await;
        s.ask(ApiKey::LIST_PARTITION_REASSIGNMENTS, 0, json!({"topics": null})).await;
        let mut fixed = reassign(json!([2]));
        fixed["allow_replication_factor_change"] = json!(false);
        s.ask(ApiKey::ALTER_PARTITION_REASSIGNMENTS, 1, fixed).await;
        s.ask(ApiKey::ALTER_PARTITION_REASSIGNMENTS, 1, reassign(json!([2]))).await;
        s.until(ApiKey::METADATA, 12, metadata, |answer| {
            answer["topics"][0]["partitions"][0]["replica_nodes"] == json!([2])
        })
        .await;
    });
}
