//! Classic groups: join, sync, heartbeat, leave.

use crate::common::{ApiKey, Json, Session, both, json};

const JOIN: ApiKey = ApiKey::JOIN_GROUP;
const SYNC: ApiKey = ApiKey::SYNC_GROUP;

fn join(version: i16, group: &str, member: &str, instance: Option<&str>) -> Json {
    let mut request = json!({
        "group_id": group, "session_timeout_ms": 10_000, "rebalance_timeout_ms": 10_000, "member_id": member,
        "protocol_type": "consumer",
        "protocols": [{"name": "range", "metadata": "r"}, {"name": "sticky", "metadata": "s"}],
    });
    if version >= 5 {
        request["group_instance_id"] = json!(instance);
    }
    request
}

/// Joins, also where the first answer is but the member's id.
async fn joined(s: &mut Session, lane: &'static str, version: i16, group: &str) -> Json {
    let first = s.ask_on(lane, JOIN, version, join(version, group, "", None)).await;
    match first["error_code"] == "MEMBER_ID_REQUIRED" {
        true => s.ask_on(lane, JOIN, version, join(version, group, text(&first["member_id"]), None)).await,
        false => first,
    }
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}

fn sync(version: i16, group: &str, generation: i32, member: &str, assignments: Json) -> Json {
    let mut request = json!({"group_id": group, "generation_id": generation, "member_id": member, "assignments": assignments});
    if version >= 5 {
        request["protocol_type"] = json!("consumer");
        request["protocol_name"] = json!("range");
    }
    request
}

fn beat(group: &str, generation: i32, member: &str) -> Json {
    json!({"group_id": group, "generation_id": generation, "member_id": member})
}

fn leave(version: i16, group: &str, members: &[(&str, Option<&str>)]) -> Json {
    match version {
        0..=2 => json!({"group_id": group, "member_id": members[0].0}),
        _ => {
            let members: Json = members
                .iter()
                .map(|(id, instance)| json!({"member_id": id, "group_instance_id": instance}))
                .collect();
            json!({"group_id": group, "members": members})
        }
    }
}

/// The versions of sync, heartbeat and leave that are about as old as this join.
fn others(join: i16) -> (i16, i16, i16) {
    match join {
        2 => (0, 0, 0),
        3 => (1, 1, 1),
        4 => (2, 2, 2),
        5 => (3, 3, 3),
        6 => (4, 4, 4),
        7 => (5, 4, 4),
        _ => (5, 4, 5),
    }
}

const VERSIONS: [i16; 8] = [2, 3, 4, 5, 6, 7, 8, 9];

#[test]
fn one_member() {
    both("alone", async |s| {
        for v in VERSIONS {
            let group = s.name(&format!("v{v}"));
            let (sv, hv, lv) = others(v);
            // Nobody is there yet.
            s.ask(SYNC, sv, sync(sv, &group, 1, "nobody", json!([]))).await;
            s.ask(ApiKey::HEARTBEAT, hv, beat(&group, 1, "nobody")).await;
            s.ask(ApiKey::LEAVE_GROUP, lv, leave(lv, &group, &[("nobody", None)])).await;
            s.ask(JOIN, v, join(v, &group, "nobody", None)).await;
            s.ask(ApiKey::DESCRIBE_GROUPS, 5, json!({"groups": [group]})).await;

            let me = joined(s, "main", v, &group).await;
            let (me, generation) =
                (text(&me["member_id"]).to_owned(), me["generation_id"].as_i64().unwrap_or(-9) as i32);
            s.ask(ApiKey::DESCRIBE_GROUPS, 5, json!({"groups": [group]})).await;
            s.ask(ApiKey::HEARTBEAT, hv, beat(&group, generation, &me)).await;
            s.ask(SYNC, sv, sync(sv, &group, generation + 1, &me, json!([]))).await;
            s.ask(SYNC, sv, sync(sv, &group, generation, "nobody", json!([]))).await;
            if sv >= 5 {
                for (kind, name) in [("consumer", "sticky"), ("connect", "range")] {
                    let mut wrong = sync(sv, &group, generation, &me, json!([]));
                    wrong["protocol_type"] = json!(kind);
                    wrong["protocol_name"] = json!(name);
                    s.ask(SYNC, sv, wrong).await;
                }
            }
            let mine = json!([{"member_id": me, "assignment": "all"}]);
            s.ask(SYNC, sv, sync(sv, &group, generation, &me, mine.clone())).await;
            s.ask(ApiKey::DESCRIBE_GROUPS, 5, json!({"groups": [group]})).await;
            // Stable: the same again, and wrongly.
            s.ask(SYNC, sv, sync(sv, &group, generation, &me, json!([]))).await;
            s.ask(SYNC, sv, sync(sv, &group, generation - 1, &me, mine)).await;
            s.ask(ApiKey::HEARTBEAT, hv, beat(&group, generation, &me)).await;
            s.ask(ApiKey::HEARTBEAT, hv, beat(&group, generation + 1, &me)).await;
            s.ask(ApiKey::HEARTBEAT, hv, beat(&group, -1, &me)).await;
            s.ask(ApiKey::HEARTBEAT, hv, beat(&group, generation, "nobody")).await;
            s.ask(ApiKey::HEARTBEAT, hv, beat(&group, generation, "")).await;
            s.ask(ApiKey::HEARTBEAT, hv, beat("", generation, &me)).await;
            // A leader that joins again begins a generation; with other protocols it fails or not.
            let again = s.ask(JOIN, v, join(v, &group, &me, None)).await;
            let generation = again["generation_id"].as_i64().unwrap_or(-9) as i32;
            s.ask(ApiKey::HEARTBEAT, hv, beat(&group, generation, &me)).await;
            s.ask(SYNC, sv, sync(sv, &group, generation, &me, json!([{"member_id": me, "assignment": "b"}])))
                .await;
            let mut other = join(v, &group, &me, None);
            other["protocol_type"] = json!("connect");
            s.ask(JOIN, v, other).await;
            let mut other = join(v, &group, "", None);
            other["protocol_type"] = json!("connect");
            s.ask(JOIN, v, other).await;
            let mut other = join(v, &group, "", None);
            other["protocols"] = json!([{"name": "unheard-of", "metadata": "u"}]);
            s.ask(JOIN, v, other).await;
            s.ask(JOIN, v, join(v, &group, "nobody", None)).await;
            for (field, value) in [
                ("session_timeout_ms", json!(10)),
                ("session_timeout_ms", json!(100_000_000)),
                ("group_id", json!("")),
                ("session_timeout_ms", json!(-1)),
                ("protocols", json!([])),
                ("protocol_type", json!("")),
            ] {
                let mut odd = join(v, &s.name(&format!("odd{v}")), "", None);
                odd[field] = value;
                s.ask(JOIN, v, odd).await;
            }
            s.ask(ApiKey::DESCRIBE_GROUPS, 5, json!({"groups": [s.name(&format!("odd{v}"))]})).await;
            // Going.
            s.ask(ApiKey::LEAVE_GROUP, lv, leave(lv, &group, &[("nobody", None)])).await;
            s.ask(ApiKey::LEAVE_GROUP, lv, leave(lv, "", &[(&me, None)])).await;
            if lv >= 3 {
                s.ask(ApiKey::LEAVE_GROUP, lv, leave(lv, &group, &[])).await;
                s.ask(
                    ApiKey::LEAVE_GROUP,
                    lv,
                    leave(lv, &group, &[("nobody", None), (&me, None), (&me, None)]),
                )
                .await;
            } else {
                s.ask(ApiKey::LEAVE_GROUP, lv, leave(lv, &group, &[(&me, None)])).await;
            }
            s.ask(ApiKey::LEAVE_GROUP, lv, leave(lv, &group, &[(&me, None)])).await;
            s.ask(ApiKey::HEARTBEAT, hv, beat(&group, generation, &me)).await;
            s.ask(ApiKey::DESCRIBE_GROUPS, 5, json!({"groups": [group]})).await;
            s.ask(ApiKey::LIST_GROUPS, 5, json!({})).await;
            // The generations go on where they were.
            joined(s, "main", v, &group).await;
        }
    });
}

#[test]
fn two_members() {
    both("pair", async |s| {
        for v in VERSIONS {
            let group = s.name(&format!("v{v}"));
            let (sv, hv, lv) = others(v);
            let first = joined(s, "a", v, &group).await;
            let a = text(&first["member_id"]).to_owned();
            let generation = first["generation_id"].as_i64().unwrap_or(-9) as i32;
            let mine = json!([{"member_id": a, "assignment": "all"}]);
            s.ask_on("a", SYNC, sv, sync(sv, &group, generation, &a, mine)).await;
            // The second one's join waits for the first one's.
            let b = match v {
                4.. => {
                    let asked = s.ask_on("b", JOIN, v, join(v, &group, "", None)).await;
                    s.ask_on("a", ApiKey::HEARTBEAT, hv, beat(&group, generation, &a)).await;
                    s.ask(ApiKey::DESCRIBE_GROUPS, 5, json!({"groups": [group]})).await;
                    text(&asked["member_id"]).to_owned()
                }
                _ => String::new(),
            };
            s.send("b", JOIN, v, join(v, &group, &b, None)).await;
            let rebalancing = |answer: &Json| answer["error_code"] == "REBALANCE_IN_PROGRESS";
            s.until(ApiKey::HEARTBEAT, hv, beat(&group, generation, &a), rebalancing).await;
            s.ask_on("a", SYNC, sv, sync(sv, &group, generation, &a, json!([]))).await;
            let commit = json!({
                "group_id": group, "generation_id_or_member_epoch": generation, "member_id": a, "topics": [],
            });
            s.ask(ApiKey::OFFSET_COMMIT, 8, commit).await;
            let first = s.ask_on("a", JOIN, v, join(v, &group, &a, None)).await;
            let second = s.receive("b").await;
            let b = text(&second["member_id"]).to_owned();
            let generation = first["generation_id"].as_i64().unwrap_or(-9) as i32;
            // A follower's sync waits for the leader's.
            s.send("b", SYNC, sv, sync(sv, &group, generation, &b, json!([]))).await;
            s.ask(ApiKey::HEARTBEAT, hv, beat(&group, generation, &b)).await;
            s.ask(ApiKey::HEARTBEAT, hv, beat(&group, generation - 1, &b)).await;
            let split =
                json!([{"member_id": a, "assignment": "left"}, {"member_id": b, "assignment": "right"}]);
            s.ask_on("a", SYNC, sv, sync(sv, &group, generation, &a, split)).await;
            s.receive("b").await;
            s.ask(ApiKey::DESCRIBE_GROUPS, 5, json!({"groups": [group]})).await;
            s.ask_on("b", ApiKey::HEARTBEAT, hv, beat(&group, generation, &b)).await;
            // A follower that joins again with the same protocols changes nothing.
            s.ask_on("b", JOIN, v, join(v, &group, &b, None)).await;
            s.ask_on("b", SYNC, sv, sync(sv, &group, generation, &b, json!([]))).await;
            // With other metadata it does: the leader's join is awaited.
            let mut changed = join(v, &group, &b, None);
            changed["protocols"] = json!([{"name": "sticky", "metadata": "other"}]);
            s.send("b", JOIN, v, changed).await;
            s.until(ApiKey::HEARTBEAT, hv, beat(&group, generation, &a), rebalancing).await;
            let first = s.ask_on("a", JOIN, v, join(v, &group, &a, None)).await;
            s.receive("b").await;
            let generation = first["generation_id"].as_i64().unwrap_or(-9) as i32;
            // The leader leaves before it has assigned anything: the waiting sync is told so.
            let mut mine = sync(sv, &group, generation, &b, json!([]));
            if sv >= 5 {
                mine["protocol_name"] = json!("sticky");
            }
            s.send("b", SYNC, sv, mine).await;
            s.ask_on("a", ApiKey::LEAVE_GROUP, lv, leave(lv, &group, &[(&a, None)])).await;
            s.receive("b").await;
            let mut changed = join(v, &group, &b, None);
            changed["protocols"] = json!([{"name": "sticky", "metadata": "other"}]);
            s.ask_on("b", JOIN, v, changed).await;
            s.ask(ApiKey::DESCRIBE_GROUPS, 5, json!({"groups": [group]})).await;
        }
    });
}

#[test]
fn static_members() {
    both("static", async |s| {
        for v in [5, 6, 7, 8, 9] {
            let group = s.name(&format!("v{v}"));
            let (sv, hv, lv) = others(v);
            let asked = |mut request: Json, instance: &str| {
                request["group_instance_id"] = json!(instance);
                request
            };
            let first = s.ask_on("a", JOIN, v, join(v, &group, "", Some("one"))).await;
            let a = text(&first["member_id"]).to_owned();
            let generation = first["generation_id"].as_i64().unwrap_or(-9) as i32;
            let mine = json!([{"member_id": a, "assignment": "all"}]);
            s.ask_on("a", SYNC, sv, asked(sync(sv, &group, generation, &a, mine), "one")).await;
            s.ask(ApiKey::DESCRIBE_GROUPS, 5, json!({"groups": [group]})).await;
            s.ask(ApiKey::HEARTBEAT, hv, asked(beat(&group, generation, &a), "one")).await;
            s.ask(ApiKey::HEARTBEAT, hv, asked(beat(&group, generation, &a), "two")).await;
            s.ask(ApiKey::HEARTBEAT, hv, asked(beat(&group, generation, "other"), "one")).await;
            s.ask(SYNC, sv, asked(sync(sv, &group, generation, "other", json!([])), "one")).await;
            s.ask(JOIN, v, join(v, &group, "other", Some("one"))).await;
            s.ask(JOIN, v, join(v, &group, "other", Some("two"))).await;
            s.ask(JOIN, v, join(v, &group, &a, Some("two"))).await;
            // Back under the same name: no rebalance, a new member id, and the old one is fenced.
            let back = s.ask_on("b", JOIN, v, join(v, &group, "", Some("one"))).await;
            let b = text(&back["member_id"]).to_owned();
            let generation = back["generation_id"].as_i64().unwrap_or(-9) as i32;
            s.ask(ApiKey::HEARTBEAT, hv, asked(beat(&group, generation, &a), "one")).await;
            s.ask(SYNC, sv, asked(sync(sv, &group, generation, &a, json!([])), "one")).await;
            s.ask(SYNC, sv, asked(sync(sv, &group, generation, &b, json!([])), "one")).await;
            s.ask(ApiKey::HEARTBEAT, hv, asked(beat(&group, generation, &b), "one")).await;
            s.ask(ApiKey::HEARTBEAT, hv, beat(&group, generation, &b)).await;
            s.ask(JOIN, v, join(v, &group, &b, None)).await;
            s.ask(ApiKey::DESCRIBE_GROUPS, 5, json!({"groups": [group]})).await;
            let commit = |member: &str, instance: &str, generation: i32| {
                json!({
                    "group_id": group, "generation_id_or_member_epoch": generation, "member_id": member,
                    "group_instance_id": instance,
                    "topics": [{"name": "any", "partitions": [{"partition_index": 0, "committed_offset": 1}]}],
                })
            };
            for (member, instance) in [(a.as_str(), "one"), (&b, "one"), (&b, "two"), ("other", "one")] {
                s.ask(ApiKey::OFFSET_COMMIT, 8, commit(member, instance, generation)).await;
            }
            // Leaving by name, by id, and wrongly.
            for members in [
                &[("", Some("two"))][..],
                &[("other", Some("one"))],
                &[(a.as_str(), Some("one"))],
                &[("", None)],
                &[("", Some("one"))],
                &[("", Some("one"))],
                &[(b.as_str(), None)],
            ] {
                s.ask(ApiKey::LEAVE_GROUP, lv, leave(lv, &group, members)).await;
            }
            s.ask(ApiKey::DESCRIBE_GROUPS, 5, json!({"groups": [group]})).await;
        }
    });
}

#[test]
fn sessions_that_end() {
    both("ending", async |s| {
        for v in [2, 5, 9] {
            let group = s.name(&format!("v{v}"));
            let (sv, hv, _) = others(v);
            let mut short = join(v, &group, "", None);
            short["session_timeout_ms"] = json!(1000);
            let first = s.ask(JOIN, v, short.clone()).await;
            short["member_id"] = first["member_id"].clone();
            let me = s.ask(JOIN, v, short).await;
            let generation = me["generation_id"].as_i64().unwrap_or(-9) as i32;
            let id = text(&me["member_id"]).to_owned();
            s.ask(SYNC, sv, sync(sv, &group, generation, &id, json!([{"member_id": id, "assignment": "x"}])))
                .await;
            s.until(ApiKey::DESCRIBE_GROUPS, 5, json!({"groups": [group]}), |answer| {
                answer["groups"][0]["group_state"] == "Empty"
            })
            .await;
            s.ask(ApiKey::HEARTBEAT, hv, beat(&group, generation, &id)).await;
            s.ask(SYNC, sv, sync(sv, &group, generation, &id, json!([]))).await;
            s.ask(JOIN, v, join(v, &group, &id, None)).await;
        }
    });
}
