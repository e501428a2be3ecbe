//! Committing, fetching and deleting offsets.

use crate::common::{ApiKey, Json, Session, both, json};

fn commit(
    version: i16,
    group: &str,
    generation: i32,
    member: &str,
    topic: (&str, &str),
    partitions: Json,
) -> Json {
    let topic = match version {
        10.. => json!({"topic_id": topic.1, "partitions": partitions}),
        _ => json!({"name": topic.0, "partitions": partitions}),
    };
    json!({
        "group_id": group, "generation_id_or_member_epoch": generation, "member_id": member, "topics": [topic],
    })
}

fn fetch(version: i16, group: &str, topic: Option<(&str, &str)>, partitions: &[i32]) -> Json {
    let topics = match (version, topic) {
        (_, None) => json!(null),
        (10.., Some(topic)) => json!([{"topic_id": topic.1, "partition_indexes": partitions}]),
        (_, Some(topic)) => json!([{"name": topic.0, "partition_indexes": partitions}]),
    };
    match version {
        8.. => json!({"groups": [{"group_id": group, "topics": topics}]}),
        _ => json!({"group_id": group, "topics": topics}),
    }
}

#[test]
fn without_members() {
    both("loose", async |s| {
        let name = s.name("a");
        let id = s.topic(&name, 3, &[]).await;
        let topic = (name.as_str(), id.as_str());
        let strange = ("missing", "AAAAAAAAAAAAAAAAAAAAAQ");
        for v in 2..=10 {
            let group = s.name(&format!("v{v}"));
            let one = |offset: i64| json!([{"partition_index": 0, "committed_offset": offset}]);
            s.ask(ApiKey::OFFSET_FETCH, 7, fetch(7, &group, Some(topic), &[0])).await;
            s.ask(ApiKey::OFFSET_FETCH, 10, fetch(10, &group, None, &[])).await;
            // As a member of a group that isn't there.
            s.ask(ApiKey::OFFSET_COMMIT, v, commit(v, &group, 1, "", topic, one(1))).await;
            s.ask(ApiKey::OFFSET_COMMIT, v, commit(v, &group, 0, "", topic, one(1))).await;
            s.ask(ApiKey::OFFSET_COMMIT, v, commit(v, &group, 1, "nobody", topic, one(1))).await;
            s.ask(ApiKey::OFFSET_COMMIT, v, commit(v, &group, -1, "", topic, one(5))).await;
            s.ask(ApiKey::OFFSET_COMMIT, v, commit(v, &group, -1, "nobody", topic, one(6))).await;
            s.ask(ApiKey::OFFSET_COMMIT, v, commit(v, &group, -1, "", topic, one(-1))).await;
            s.ask(ApiKey::OFFSET_COMMIT, v, commit(v, &group, -1, "", topic, one(-5))).await;
            s.ask(ApiKey::OFFSET_COMMIT, v, commit(v, "", -1, "", topic, one(5))).await;
            s.ask(ApiKey::OFFSET_COMMIT, v, commit(v, &group, -1, "", strange, one(5))).await;
            s.ask(ApiKey::OFFSET_COMMIT, v, commit(v, &group, -1, "", topic, json!([]))).await;
            let mut none = commit(v, &group, -1, "", topic, json!([]));
            none["topics"] = json!([]);
            s.ask(ApiKey::OFFSET_COMMIT, v, none).await;
            let many = json!([
                {"partition_index": 1, "committed_offset": 7, "committed_metadata": "note"},
                {"partition_index": 2, "committed_offset": 8, "committed_metadata": null},
                {"partition_index": 9, "committed_offset": 9, "committed_metadata": "beyond"},
                {"partition_index": -1, "committed_offset": 9, "committed_metadata": "before"},
            ]);
            s.ask(ApiKey::OFFSET_COMMIT, v, commit(v, &group, -1, "", topic, many)).await;
            for size in [4095, 4096, 4097] {
                let long = json!([{"partition_index": 2, "committed_offset": 8, "committed_metadata": "m".repeat(size)}]);
                s.ask(ApiKey::OFFSET_COMMIT, v, commit(v, &group, -1, "", topic, long)).await;
            }
            let short = json!([{"partition_index": 2, "committed_offset": 8, "committed_metadata": "m"}]);
            s.ask(ApiKey::OFFSET_COMMIT, v, commit(v, &group, -1, "", topic, short)).await;
            if v >= 6 {
                let epoch =
                    json!([{"partition_index": 0, "committed_offset": 8, "committed_leader_epoch": 3}]);
                s.ask(ApiKey::OFFSET_COMMIT, v, commit(v, &group, -1, "", topic, epoch)).await;
            }
            for fv in 1..=10 {
                s.ask(ApiKey::OFFSET_FETCH, fv, fetch(fv, &group, Some(topic), &[0, 1, 2, 7])).await;
                if fv >= 2 {
                    s.ask(ApiKey::OFFSET_FETCH, fv, fetch(fv, &group, None, &[])).await;
                }
                s.ask(ApiKey::OFFSET_FETCH, fv, fetch(fv, &group, Some(strange), &[0])).await;
                s.ask(ApiKey::OFFSET_FETCH, fv, fetch(fv, "", Some(topic), &[0])).await;
                s.ask(ApiKey::OFFSET_FETCH, fv, fetch(fv, &s.name("nobody's"), Some(topic), &[0])).await;
                if fv >= 7 {
                    let mut stable = fetch(fv, &group, Some(topic), &[0]);
                    stable["require_stable"] = json!(true);
                    s.ask(ApiKey::OFFSET_FETCH, fv, stable).await;
                }
                if fv >= 8 {
                    let twice = json!({"groups": [
                        {"group_id": group, "topics": null}, {"group_id": s.name("nobody's"), "topics": null},
                    ]});
                    s.ask(ApiKey::OFFSET_FETCH, fv, twice).await;
                    s.ask(ApiKey::OFFSET_FETCH, fv, json!({"groups": []})).await;
                }
                if fv >= 9 {
                    for (member, epoch) in [("nobody", 1), ("nobody", -1), ("", 0), ("", 5)] {
                        let mut as_member = fetch(fv, &group, Some(topic), &[0]);
                        as_member["groups"][0]["member_id"] = json!(member);
                        as_member["groups"][0]["member_epoch"] = json!(epoch);
                        s.ask(ApiKey::OFFSET_FETCH, fv, as_member).await;
                    }
                }
            }
            s.ask(ApiKey::DESCRIBE_GROUPS, 6, json!({"groups": [group]})).await;
        }
        s.ask(ApiKey::LIST_GROUPS, 5, json!({})).await;
    });
}

#[test]
fn as_a_member() {
    both("member", async |s| {
        let name = s.name("a");
        let id = s.topic(&name, 3, &[]).await;
        let topic = (name.as_str(), id.as_str());
        for v in 2..=10 {
            let group = s.name(&format!("v{v}"));
            let join = json!({
                "group_id": group, "session_timeout_ms": 30_000, "rebalance_timeout_ms": 10_000, "member_id": "",
                "protocol_type": "consumer", "protocols": [{"name": "range", "metadata": subscription(&name)}],
            });
            let joined = s.ask(ApiKey::JOIN_GROUP, 3, join).await;
            let me = joined["member_id"].as_str().unwrap_or_default().to_owned();
            let one = |offset: i64| json!([{"partition_index": 0, "committed_offset": offset}]);
            // Between join and sync a commit of the generation is refused in one way and taken in another.
            s.ask(ApiKey::OFFSET_COMMIT, v, commit(v, &group, 1, &me, topic, one(1))).await;
            s.ask(ApiKey::OFFSET_COMMIT, v, commit(v, &group, -1, "", topic, one(1))).await;
            let sync = json!({"group_id": group, "generation_id": 1, "member_id": me, "assignments": []});
            s.ask(ApiKey::SYNC_GROUP, 3, sync).await;
            for (generation, member) in [
                (1, me.as_str()),
                (2, &me),
                (0, &me),
                (-1, &me),
                (-1, ""),
                (1, "nobody"),
                (1, ""),
                (-1, "nobody"),
            ] {
                s.ask(ApiKey::OFFSET_COMMIT, v, commit(v, &group, generation, member, topic, one(3))).await;
            }
            if v >= 7 {
                let mut named = commit(v, &group, 1, &me, topic, one(4));
                named["group_instance_id"] = json!("unheard-of");
                s.ask(ApiKey::OFFSET_COMMIT, v, named).await;
            }
            s.ask(ApiKey::OFFSET_FETCH, 8, fetch(8, &group, None, &[])).await;
            for (member, epoch) in [(me.as_str(), 1), ("nobody", 1), (&me, 7)] {
                let mut as_member = fetch(9, &group, Some(topic), &[0]);
                as_member["groups"][0]["member_id"] = json!(member);
                as_member["groups"][0]["member_epoch"] = json!(epoch);
                s.ask(ApiKey::OFFSET_FETCH, 9, as_member).await;
            }
            // Deleting: not what the group subscribes to; anything once nobody does.
            let delete = |group: &str, topic: &str, partitions: &[i32]| {
                let partitions: Json = partitions.iter().map(|at| json!({"partition_index": at})).collect();
                json!({"group_id": group, "topics": [{"name": topic, "partitions": partitions}]})
            };
            s.ask(ApiKey::OFFSET_DELETE, 0, delete(&group, &name, &[0, 1])).await;
            s.ask(ApiKey::OFFSET_DELETE, 0, delete(&group, "missing", &[0])).await;
            s.ask(ApiKey::DELETE_GROUPS, 2, json!({"groups_names": [group]})).await;
            let leave = json!({"group_id": group, "members": [{"member_id": me}]});
            s.ask(ApiKey::LEAVE_GROUP, 4, leave).await;
            s.ask(ApiKey::OFFSET_COMMIT, v, commit(v, &group, 1, &me, topic, one(9))).await;
            s.ask(ApiKey::OFFSET_COMMIT, v, commit(v, &group, -1, "", topic, one(9))).await;
            s.ask(ApiKey::OFFSET_DELETE, 0, delete(&group, &name, &[0, 1, 8])).await;
            s.ask(ApiKey::OFFSET_DELETE, 0, delete(&group, &name, &[0])).await;
            s.ask(ApiKey::OFFSET_DELETE, 0, delete(&group, "missing", &[0])).await;
            s.ask(ApiKey::OFFSET_DELETE, 0, delete(&s.name("nobody's"), &name, &[0])).await;
            s.ask(ApiKey::OFFSET_DELETE, 0, delete("", &name, &[0])).await;
            s.ask(ApiKey::OFFSET_DELETE, 0, json!({"group_id": group, "topics": []})).await;
            s.ask(ApiKey::OFFSET_FETCH, 8, fetch(8, &group, None, &[])).await;
            s.ask(ApiKey::DESCRIBE_GROUPS, 6, json!({"groups": [group]})).await;
        }
    });
}

/// A consumer's subscription of version 0 to one topic.
fn subscription(topic: &str) -> String {
    let mut bytes = vec![0, 0, 0, 0, 0, 1];
    bytes.extend((topic.len() as u16).to_be_bytes());
    bytes.extend(topic.bytes());
    bytes.extend([0xff; 4]);
    crate::common::base64(&bytes)
}

/// Offsets of a topic go with it.
#[test]
fn of_deleted_topics() {
    both("gone", async |s| {
        let name = s.name("a");
        let id = s.topic(&name, 1, &[]).await;
        let group = s.name("g");
        let one = json!([{"partition_index": 0, "committed_offset": 4}]);
        s.ask(ApiKey::OFFSET_COMMIT, 9, commit(9, &group, -1, "", (&name, &id), one)).await;
        s.ask(ApiKey::OFFSET_FETCH, 9, fetch(9, &group, None, &[])).await;
        s.ask(ApiKey::DELETE_TOPICS, 5, json!({"topic_names": [name], "timeout_ms": 5000})).await;
        gone(s, &group).await;
        s.ask(ApiKey::OFFSET_FETCH, 9, fetch(9, &group, Some((&name, &id)), &[0])).await;
    });
}

async fn gone(s: &mut Session, group: &str) {
    s.until(ApiKey::OFFSET_FETCH, 9, fetch(9, group, None, &[]), |answer| {
        answer["groups"][0]["topics"].as_array().is_some_and(Vec::is_empty)
    })
    .await;
}
