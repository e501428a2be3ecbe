//! Groups of the consumer protocol (KIP-848).

use crate::common::{ApiKey, Json, Session, both, json};

const BEAT: ApiKey = ApiKey::CONSUMER_GROUP_HEARTBEAT;

struct Member<'a> {
    group: &'a str,
    id: &'a str,
    instance: Option<&'a str>,
}

impl Member<'_> {
    fn join(&self, topics: &[&str]) -> Json {
        json!({
            "group_id": self.group, "member_id": self.id, "member_epoch": 0, "instance_id": self.instance,
            "rebalance_timeout_ms": 20_000, "subscribed_topic_names": topics, "topic_partitions": [],
        })
    }

    fn beat(&self, epoch: i64) -> Json {
        json!({"group_id": self.group, "member_id": self.id, "member_epoch": epoch, "instance_id": self.instance})
    }

    fn own(&self, epoch: i64, partitions: &[(&str, &[i32])]) -> Json {
        let owned: Json =
            partitions.iter().map(|(id, all)| json!({"topic_id": id, "partitions": all})).collect();
        let mut beat = self.beat(epoch);
        beat["topic_partitions"] = owned;
        beat
    }
}

fn epoch(answer: &Json) -> i64 {
    answer["member_epoch"].as_i64().unwrap_or(-99)
}

async fn described(s: &mut Session, group: &str) {
    for version in 0..=1 {
        s.ask(ApiKey::CONSUMER_GROUP_DESCRIBE, version, json!({"group_ids": [group]})).await;
    }
}

#[test]
fn one_member() {
    both("lone", async |s| {
        let (a, b) = (s.name("a"), s.name("b"));
        let (a_id, b_id) = (s.topic(&a, 3, &[]).await, s.topic(&b, 2, &[]).await);
        for v in [0, 1] {
            let group = s.name(&format!("v{v}"));
            let me = Member { group: &group, id: "BBBBBBBBBBBBBBBBBBBBBA", instance: None };
            // Before there is a group.
            s.ask(BEAT, v, me.beat(1)).await;
            s.ask(BEAT, v, me.beat(-1)).await;
            described(s, &group).await;
            // What can't be.
            for (field, value) in [
                ("group_id", json!("")),
                ("member_id", json!("")),
                ("subscribed_topic_names", json!(null)),
                ("rebalance_timeout_ms", json!(-1)),
                ("topic_partitions", json!(null)),
                ("instance_id", json!("")),
                ("rack_id", json!("")),
                ("server_assignor", json!("nonsense")),
                ("member_epoch", json!(-3)),
                ("server_assignor", json!("")),
                ("member_epoch", json!(-2)),
                ("subscribed_topic_names", json!([])),
                ("topic_partitions", json!([{"topic_id": a_id, "partitions": [0]}])),
                ("member_id", json!("short")),
            ] {
                let other = s.name(&format!("odd{v}{field}{value}").chars().take(30).collect::<String>());
                let mut odd = Member { group: &other, ..me }.join(&[&a]);
                odd[field] = value;
                s.ask(BEAT, v, odd).await;
            }
            let first = s.ask(BEAT, v, me.join(&[&a])).await;
            let e = epoch(&first);
            described(s, &group).await;
            s.ask(BEAT, v, me.own(e, &[(&a_id, &[0, 1, 2])])).await;
            s.ask(BEAT, v, me.beat(e)).await;
            described(s, &group).await;
            // The same full request again, and epochs that are wrong.
            s.ask(BEAT, v, me.beat(e + 1)).await;
            s.ask(BEAT, v, me.beat(e - 1)).await;
            s.ask(BEAT, v, me.own(e - 1, &[(&a_id, &[0, 1, 2])])).await;
            s.ask(BEAT, v, me.own(e - 1, &[])).await;
            s.ask(BEAT, v, Member { id: "CCCCCCCCCCCCCCCCCCCCCA", ..me }.beat(e)).await;
            s.ask(BEAT, v, Member { instance: Some("one"), ..me }.beat(e)).await;
            // A changed subscription: a topic more, which is assigned at once; a topic that isn't there.
            let mut more = me.beat(e);
            more["subscribed_topic_names"] = json!([a, b]);
            let e = epoch(&s.ask(BEAT, v, more).await);
            s.ask(BEAT, v, me.own(e, &[(&a_id, &[0, 1, 2]), (&b_id, &[0, 1])])).await;
            described(s, &group).await;
            let mut missing = me.beat(e);
            missing["subscribed_topic_names"] = json!([a, b, "missing"]);
            let e = epoch(&s.ask(BEAT, v, missing).await);
            s.ask(BEAT, v, me.beat(e)).await;
            let mut less = me.beat(e);
            less["subscribed_topic_names"] = json!([b]);
            let e = epoch(&s.ask(BEAT, v, less).await);
            s.ask(BEAT, v, me.own(e, &[(&a_id, &[0, 1, 2]), (&b_id, &[0, 1])])).await;
            described(s, &group).await;
            let e = epoch(&s.ask(BEAT, v, me.own(e, &[(&b_id, &[0, 1])])).await);
            s.ask(BEAT, v, me.own(e, &[(&b_id, &[0, 1])])).await;
            described(s, &group).await;
            for (assignor, expected) in [("range", true), ("uniform", true), ("nonsense", false)] {
                let mut other = me.beat(e);
                other["server_assignor"] = json!(assignor);
                let answer = s.ask(BEAT, v, other).await;
                if expected {
                    s.ask(BEAT, v, me.beat(epoch(&answer))).await;
                }
            }
            let e = 99;
            s.ask(BEAT, v, me.beat(e)).await;
            // Offsets, with right and wrong epochs.
            let now = s.quietly(ApiKey::CONSUMER_GROUP_DESCRIBE, 0, json!({"group_ids": [group]})).await;
            let e = now["groups"][0]["members"][0]["member_epoch"].as_i64().unwrap_or(-99);
            for cv in [8, 9, 10] {
                for (member, epoch) in [
                    (me.id, e),
                    (me.id, e - 1),
                    (me.id, e + 1),
                    ("nobody", e),
                    ("", -1),
                    (me.id, -1),
                    ("", 0),
                ] {
                    let partitions = json!([{"partition_index": 0, "committed_offset": 3}]);
                    let topic = match cv {
                        10 => json!({"topic_id": b_id, "partitions": partitions}),
                        _ => json!({"name": b, "partitions": partitions}),
                    };
                    let commit = json!({
                        "group_id": group, "generation_id_or_member_epoch": epoch, "member_id": member, "topics": [topic],
                    });
                    s.ask(ApiKey::OFFSET_COMMIT, cv, commit).await;
                    if cv < 10 {
                        let fetch = json!({"groups": [{
                            "group_id": group, "member_id": member, "member_epoch": epoch,
                            "topics": [{"name": b, "partition_indexes": [0, 1]}],
                        }]});
                        s.ask(ApiKey::OFFSET_FETCH, 9, fetch).await;
                    }
                }
            }
            let delete =
                json!({"group_id": group, "topics": [{"name": b, "partitions": [{"partition_index": 0}]}]});
            s.ask(ApiKey::OFFSET_DELETE, 0, delete).await;
            s.ask(ApiKey::DELETE_GROUPS, 2, json!({"groups_names": [group]})).await;
            // Other protocols' requests for this group.
            s.ask(ApiKey::DESCRIBE_GROUPS, 6, json!({"groups": [group]})).await;
            s.ask(ApiKey::DESCRIBE_GROUPS, 5, json!({"groups": [group]})).await;
            s.ask(ApiKey::HEARTBEAT, 4, json!({"group_id": group, "generation_id": e, "member_id": me.id}))
                .await;
            s.ask(ApiKey::SYNC_GROUP, 5, json!({"group_id": group, "generation_id": e, "member_id": me.id}))
                .await;
            s.ask(ApiKey::LEAVE_GROUP, 5, json!({"group_id": group, "members": [{"member_id": "nobody"}]}))
                .await;
            // Leaving, twice.
            s.ask(BEAT, v, me.beat(-1)).await;
            s.ask(BEAT, v, me.beat(-1)).await;
            described(s, &group).await;
            s.ask(ApiKey::LIST_GROUPS, 5, json!({"types_filter": ["consumer"]})).await;
            let e = epoch(&s.ask(BEAT, v, me.join(&[&a])).await);
            s.ask(BEAT, v, me.beat(e)).await;
            s.ask(BEAT, v, me.beat(-1)).await;
            s.ask(ApiKey::DELETE_GROUPS, 2, json!({"groups_names": [group]})).await;
            s.ask(ApiKey::DELETE_GROUPS, 2, json!({"groups_names": [group]})).await;
        }
    });
}

#[test]
fn two_members() {
    both("duo", async |s| {
        let a = s.name("a");
        let id = s.topic(&a, 4, &[]).await;
        for (v, assignor) in [(0, "range"), (0, "uniform"), (1, "range"), (1, "uniform")] {
            let group = s.name(&format!("v{v}{assignor}"));
            let one = Member { group: &group, id: "BBBBBBBBBBBBBBBBBBBBBA", instance: None };
            let two = Member { group: &group, id: "CCCCCCCCCCCCCCCCCCCCCA", instance: None };
            let with = |mut request: Json| {
                request["server_assignor"] = json!(assignor);
                request
            };
            let e = epoch(&s.ask(BEAT, v, with(one.join(&[&a]))).await);
            s.ask(BEAT, v, one.own(e, &[(&id, &[0, 1, 2, 3])])).await;
            // The second one gets nothing until the first has given up its part.
            let f = epoch(&s.ask(BEAT, v, with(two.join(&[&a]))).await);
            described(s, &group).await;
            s.ask(BEAT, v, two.beat(f)).await;
            let told = s.ask(BEAT, v, one.beat(e)).await;
            s.ask(BEAT, v, one.beat(e)).await;
            s.ask(BEAT, v, two.own(f, &[])).await;
            described(s, &group).await;
            let kept: Vec<i32> = told["assignment"]["topic_partitions"][0]["partitions"]
                .as_array()
                .map(|all| all.iter().filter_map(|one| one.as_i64().map(|at| at as i32)).collect())
                .unwrap_or_default();
            let e = epoch(&s.ask(BEAT, v, one.own(e, &[(&id, &kept)])).await);
            described(s, &group).await;
            let given = s.ask(BEAT, v, two.beat(f)).await;
            let f = epoch(&given);
            s.ask(BEAT, v, two.beat(f)).await;
            s.ask(BEAT, v, one.beat(e)).await;
            described(s, &group).await;
            // The previous epoch is taken with what was owned then, once.
            s.ask(BEAT, v, one.own(e - 1, &[(&id, &kept)])).await;
            s.ask(BEAT, v, two.beat(f - 1)).await;
            s.ask(BEAT, v, two.beat(0)).await;
            // The first leaves; the second gets all.
            s.ask(BEAT, v, one.beat(-1)).await;
            let f = epoch(&s.ask(BEAT, v, two.beat(f)).await);
            s.ask(BEAT, v, two.own(f, &[(&id, &[0, 1, 2, 3])])).await;
            described(s, &group).await;
            s.ask(BEAT, v, one.beat(e)).await;
        }
    });
}

#[test]
fn static_members() {
    both("fixed", async |s| {
        let a = s.name("a");
        let id = s.topic(&a, 2, &[]).await;
        for v in [0, 1] {
            let group = s.name(&format!("v{v}"));
            let old = Member { group: &group, id: "BBBBBBBBBBBBBBBBBBBBBA", instance: Some("one") };
            let new = Member { id: "CCCCCCCCCCCCCCCCCCCCCA", ..old };
            let e = epoch(&s.ask(BEAT, v, old.join(&[&a])).await);
            s.ask(BEAT, v, old.own(e, &[(&id, &[0, 1])])).await;
            // While it is there nobody else takes its name.
            s.ask(BEAT, v, new.join(&[&a])).await;
            s.ask(BEAT, v, new.beat(e)).await;
            s.ask(BEAT, v, Member { instance: Some("two"), ..old }.beat(e)).await;
            s.ask(BEAT, v, Member { instance: None, ..old }.beat(e)).await;
            // It goes for a while, and comes back as another: no rebalance.
            s.ask(BEAT, v, old.beat(-2)).await;
            described(s, &group).await;
            s.ask(BEAT, v, old.beat(e)).await;
            let e = epoch(&s.ask(BEAT, v, new.join(&[&a])).await);
            s.ask(BEAT, v, new.own(e, &[(&id, &[0, 1])])).await;
            described(s, &group).await;
            s.ask(BEAT, v, old.beat(e)).await;
            s.ask(BEAT, v, old.beat(-2)).await;
            s.ask(BEAT, v, old.beat(-1)).await;
            s.ask(BEAT, v, new.beat(-2)).await;
            s.ask(BEAT, v, new.beat(-1)).await;
            described(s, &group).await;
            s.ask(BEAT, v, new.beat(-1)).await;
            s.ask(BEAT, v, Member { instance: None, ..new }.beat(-2)).await;
        }
    });
}

#[test]
fn subscriptions_by_pattern() {
    both("pattern", async |s| {
        let (x, y) = (s.name("x1"), s.name("y1"));
        s.topic(&x, 1, &[]).await;
        s.topic(&y, 1, &[]).await;
        let group = s.name("g");
        let me = Member { group: &group, id: "BBBBBBBBBBBBBBBBBBBBBA", instance: None };
        let by = |regex: &str, epoch: i64| {
            let mut request = if epoch == 0 { me.join(&[]) } else { me.beat(epoch) };
            if epoch == 0 {
                request["subscribed_topic_names"] = json!(null);
            }
            request["subscribed_topic_regex"] = json!(regex);
            request
        };
        s.ask(BEAT, 1, by("(", 0)).await;
        s.ask(BEAT, 1, by("", 0)).await;
        s.ask(BEAT, 0, me.join(&[])).await;
        s.ask(BEAT, 0, me.beat(-1)).await;
        s.quietly(BEAT, 1, by("pattern--x.*", 0)).await;
        let told = |answer: &Json| {
            answer["groups"][0]["members"][0]["target_assignment"]["topic_partitions"][0]["partitions"]
                == json!([0])
        };
        let describe = json!({"group_ids": [group]});
        for _ in 0..200 {
            let now = s.quietly(ApiKey::CONSUMER_GROUP_DESCRIBE, 0, describe.clone()).await;
            if told(&now) {
                break;
            }
            let e = now["groups"][0]["members"][0]["member_epoch"].as_i64().unwrap_or(0);
            s.quietly(BEAT, 1, me.beat(e)).await;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let now = s.ask(ApiKey::CONSUMER_GROUP_DESCRIBE, 1, describe.clone()).await;
        let e = now["groups"][0]["members"][0]["member_epoch"].as_i64().unwrap_or(0);
        s.ask(BEAT, 1, me.beat(e)).await;
        s.ask(BEAT, 1, by("[", e)).await;
        s.ask(BEAT, 1, me.beat(-1)).await;
    });
}
