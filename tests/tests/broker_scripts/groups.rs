//! Describing, listing and deleting groups of either kind.

use crate::common::{ApiKey, Session, both, json};

async fn classic(s: &mut Session, group: &str, kind: &str) -> String {
    let join = json!({
        "group_id": group, "session_timeout_ms": 60_000, "rebalance_timeout_ms": 10_000, "member_id": "",
        "protocol_type": kind, "protocols": [{"name": "p", "metadata": "m"}],
    });
    s.ask(ApiKey::JOIN_GROUP, 3, join).await["member_id"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn of_every_kind_and_state() {
    both("groups", async |s| {
        let topic = s.name("a");
        s.topic(&topic, 1, &[]).await;
        let [empty, waiting, stable, other, simple, modern, left] =
            ["empty", "waiting", "stable", "other", "simple", "modern", "left"].map(|name| s.name(name));
        let me = classic(s, &empty, "consumer").await;
        s.ask(ApiKey::LEAVE_GROUP, 4, json!({"group_id": empty, "members": [{"member_id": me}]})).await;
        classic(s, &waiting, "consumer").await;
        for (group, kind) in [(&stable, "consumer"), (&other, "connect")] {
            let me = classic(s, group, kind).await;
            let sync = json!({
                "group_id": group, "generation_id": 1, "member_id": me,
                "assignments": [{"member_id": me, "assignment": "x"}],
            });
            s.ask(ApiKey::SYNC_GROUP, 3, sync).await;
        }
        let commit = json!({"group_id": simple, "topics": [
            {"name": topic, "partitions": [{"partition_index": 0, "committed_offset": 1}]},
        ]});
        s.ask(ApiKey::OFFSET_COMMIT, 8, commit).await;
        for group in [&modern, &left] {
            let beat = json!({
                "group_id": group, "member_id": "BBBBBBBBBBBBBBBBBBBBBA", "member_epoch": 0,
                "rebalance_timeout_ms": 20_000, "subscribed_topic_names": [topic], "topic_partitions": [],
            });
            s.ask(ApiKey::CONSUMER_GROUP_HEARTBEAT, 1, beat).await;
        }
        let gone = json!({"group_id": left, "member_id": "BBBBBBBBBBBBBBBBBBBBBA", "member_epoch": -1});
        s.ask(ApiKey::CONSUMER_GROUP_HEARTBEAT, 1, gone).await;
        let missing = s.name("missing");
        let all = [&empty, &waiting, &stable, &other, &simple, &modern, &left, &missing];
        for version in 0..=6 {
            for group in all {
                s.ask(ApiKey::DESCRIBE_GROUPS, version, json!({"groups": [group]})).await;
            }
            s.ask(ApiKey::DESCRIBE_GROUPS, version, json!({"groups": []})).await;
            s.ask(ApiKey::DESCRIBE_GROUPS, version, json!({"groups": [""]})).await;
            s.ask(ApiKey::DESCRIBE_GROUPS, version, json!({"groups": all})).await;
            if version >= 3 {
                let request = json!({"groups": [stable], "include_authorized_operations": true});
                s.ask(ApiKey::DESCRIBE_GROUPS, version, request).await;
            }
        }
        for version in 0..=1 {
            for group in all {
                s.ask(ApiKey::CONSUMER_GROUP_DESCRIBE, version, json!({"group_ids": [group]})).await;
            }
            s.ask(ApiKey::CONSUMER_GROUP_DESCRIBE, version, json!({"group_ids": [""]})).await;
            s.ask(ApiKey::CONSUMER_GROUP_DESCRIBE, version, json!({"group_ids": []})).await;
            let request = json!({"group_ids": all, "include_authorized_operations": true});
            s.ask(ApiKey::CONSUMER_GROUP_DESCRIBE, version, request).await;
        }
        for version in 0..=5 {
            s.ask(ApiKey::LIST_GROUPS, version, json!({})).await;
            if version >= 4 {
                for states in [
                    json!(["Stable"]),
                    json!(["stable"]),
                    json!(["Empty", "Stable"]),
                    json!(["nonsense"]),
                    json!(["Dead"]),
                    json!(["CompletingRebalance"]),
                    json!(["PreparingRebalance"]),
                    json!(["Assigning"]),
                    json!(["Reconciling"]),
                    json!([""]),
                ] {
                    s.ask(ApiKey::LIST_GROUPS, version, json!({"states_filter": states})).await;
                }
            }
            if version >= 5 {
                for types in [
                    json!(["classic"]),
                    json!(["consumer"]),
                    json!(["Consumer"]),
                    json!(["CLASSIC"]),
                    json!(["share"]),
                    json!(["nonsense"]),
                    json!(["classic", "consumer"]),
                    json!([""]),
                    json!(["streams"]),
                ] {
                    s.ask(ApiKey::LIST_GROUPS, version, json!({"types_filter": types.clone()})).await;
                    let request = json!({"types_filter": types, "states_filter": ["Stable"]});
                    s.ask(ApiKey::LIST_GROUPS, version, request).await;
                }
            }
        }
        // A classic member of an empty consumer group, and the reverse.
        let beat = |group: &str| {
            json!({
                "group_id": group, "member_id": "CCCCCCCCCCCCCCCCCCCCCA", "member_epoch": 0,
                "rebalance_timeout_ms": 20_000, "subscribed_topic_names": [topic], "topic_partitions": [],
            })
        };
        for group in [&empty, &waiting, &other, &simple] {
            s.ask(ApiKey::CONSUMER_GROUP_HEARTBEAT, 1, beat(group)).await;
            s.ask(ApiKey::DESCRIBE_GROUPS, 6, json!({"groups": [group]})).await;
            s.ask(ApiKey::CONSUMER_GROUP_DESCRIBE, 1, json!({"group_ids": [group]})).await;
        }
        for group in [&left, &modern] {
            classic(s, group, "consumer").await;
            s.ask(ApiKey::DESCRIBE_GROUPS, 6, json!({"groups": [group]})).await;
        }
        for version in 0..=2 {
            s.ask(ApiKey::DELETE_GROUPS, version, json!({"groups_names": all})).await;
            s.ask(ApiKey::DELETE_GROUPS, version, json!({"groups_names": [""]})).await;
            s.ask(ApiKey::DELETE_GROUPS, version, json!({"groups_names": []})).await;
            s.ask(ApiKey::DELETE_GROUPS, version, json!({"groups_names": [missing, missing]})).await;
        }
        s.ask(ApiKey::LIST_GROUPS, 5, json!({})).await;
    });
}
