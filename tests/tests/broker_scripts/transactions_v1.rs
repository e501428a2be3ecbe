//! Transactions as clients of before KIP-890 do them: partitions and offsets are added by requests of their own.

use crate::common::{ApiKey, Batch, Json, Session, both_in_turn, json, now_ms};

/// Who has a transactional id.
#[derive(Clone, Copy)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i64,
}

pub(crate) fn init(id: &str, timeout: i32) -> Json {
    json!({"transactional_id": id, "transaction_timeout_ms": timeout})
}

pub(crate) fn producer(answer: &Json) -> Producer {
    Producer {
        id: answer["producer_id"].as_i64().unwrap_or(-1),
        epoch: answer["producer_epoch"].as_i64().unwrap_or(-1),
    }
}

fn add(id: &str, p: Producer, topic: &str, partitions: &[i32]) -> Json {
    json!({
        "v3_and_below_transactional_id": id, "v3_and_below_producer_id": p.id, "v3_and_below_producer_epoch": p.epoch,
        "v3_and_below_topics": [{"name": topic, "partitions": partitions}],
    })
}

fn add_offsets(id: &str, p: Producer, group: &str) -> Json {
    json!({"transactional_id": id, "producer_id": p.id, "producer_epoch": p.epoch, "group_id": group})
}

pub(crate) fn end(id: &str, p: Producer, committed: bool) -> Json {
    json!({"transactional_id": id, "producer_id": p.id, "producer_epoch": p.epoch, "committed": committed})
}

pub(crate) fn produce(id: Option<&str>, topic: &str, partition: i32, batch: &Batch) -> Json {
    json!({"acks": -1, "timeout_ms": 5000, "transactional_id": id, "topic_data": [
        {"name": topic, "partition_data": [{"index": partition, "records": batch.field()}]},
    ]})
}

pub(crate) fn batch(p: Producer, sequence: i32) -> Batch {
    // Before the broker's own markers, even if both come within a millisecond.
    Batch::of(&["t"]).at(now_ms() - 5000).by(p.id, p.epoch as i16, sequence).in_transaction()
}

pub(crate) fn commit_offsets(id: &str, p: Producer, group: &str, topic: &str, offset: i64) -> Json {
    json!({
        "transactional_id": id, "group_id": group, "producer_id": p.id, "producer_epoch": p.epoch,
        "topics": [{"name": topic, "partitions": [{"partition_index": 0, "committed_offset": offset}]}],
    })
}

/// All that shows of a transaction: its coordinator's view, its partitions', and what readers get.
pub(crate) async fn look(s: &mut Session, id: &str, topic: &str) {
    s.ask(ApiKey::DESCRIBE_TRANSACTIONS, 0, json!({"transactional_ids": [id]})).await;
    s.ask(ApiKey::DESCRIBE_PRODUCERS, 0, json!({"topics": [{"name": topic, "partition_indexes": [0, 1]}]}))
        .await;
    for isolation in [0, 1] {
        let request = json!({"max_wait_ms": 0, "max_bytes": 9_999_999, "isolation_level": isolation, "topics": [
            {"topic": topic, "partitions": [
                {"partition": 0, "fetch_offset": 0, "partition_max_bytes": 9_999_999},
                {"partition": 1, "fetch_offset": 0, "partition_max_bytes": 9_999_999},
            ]},
        ]});
        s.ask(ApiKey::FETCH, 12, request).await;
        let latest = json!({"replica_id": -1, "isolation_level": isolation, "topics": [
            {"name": topic, "partitions": [{"partition_index": 0, "timestamp": -1}, {"partition_index": 1, "timestamp": -3}]},
        ]});
        s.ask(ApiKey::LIST_OFFSETS, 7, latest).await;
    }
}

/// Waits until the coordinator has nothing left to do.
pub(crate) async fn ended(s: &mut Session, id: &str) {
    s.until(ApiKey::DESCRIBE_TRANSACTIONS, 0, json!({"transactional_ids": [id]}), |answer| {
        let state = answer["transaction_states"][0]["transaction_state"].as_str().unwrap_or_default();
        !state.starts_with("Prepare") && state != "Ongoing"
    })
    .await;
}

#[test]
fn from_begin_to_end() {
    both_in_turn("v1", async |s| {
        for (iv, av, ov, ev, cv, pv) in [
            (0, 0, 0, 0, 0, 3),
            (1, 1, 1, 1, 1, 7),
            (2, 2, 2, 2, 2, 8),
            (3, 3, 3, 3, 3, 9),
            (4, 3, 3, 4, 4, 11),
            (5, 3, 4, 4, 4, 11),
        ] {
            let topic = s.name(&format!("t{iv}"));
            s.topic(&topic, 2, &[]).await;
            let (id, group) = (s.name(&format!("id{iv}")), s.name(&format!("g{iv}")));
            s.ask(ApiKey::DESCRIBE_TRANSACTIONS, 0, json!({"transactional_ids": [id]})).await;
            for timeout in [0, -1, 900_001, i32::MAX] {
                s.ask(ApiKey::INIT_PRODUCER_ID, iv, init(&id, timeout)).await;
            }
            s.ask(ApiKey::INIT_PRODUCER_ID, iv, init("", 60_000)).await;
            // Nothing is known of the id yet.
            let nobody = Producer { id: 777_777, epoch: 0 };
            s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, av, add(&id, nobody, &topic, &[0])).await;
            s.ask(ApiKey::ADD_OFFSETS_TO_TXN, ov, add_offsets(&id, nobody, &group)).await;
            s.ask(ApiKey::END_TXN, ev, end(&id, nobody, true)).await;
            s.ask(ApiKey::END_TXN, ev, end("", nobody, true)).await;
            let p = producer(&s.ask(ApiKey::INIT_PRODUCER_ID, iv, init(&id, 60_000)).await);
            look(s, &id, &topic).await;
            // Nothing to end, and nothing that was begun.
            s.ask(ApiKey::END_TXN, ev, end(&id, p, true)).await;
            s.ask(ApiKey::END_TXN, ev, end(&id, p, false)).await;
            s.ask(ApiKey::PRODUCE, pv, produce(Some(&id), &topic, 0, &batch(p, 0))).await;
            s.ask(ApiKey::PRODUCE, pv, produce(None, &topic, 0, &batch(p, 0))).await;
            s.ask(ApiKey::PRODUCE, pv, produce(Some("other"), &topic, 0, &batch(p, 0))).await;
            // Wrong ids and epochs.
            for wrong in [
                Producer { epoch: p.epoch + 1, ..p },
                Producer { epoch: p.epoch - 1, ..p },
                Producer { id: p.id + 4000, ..p },
            ] {
                s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, av, add(&id, wrong, &topic, &[0])).await;
                s.ask(ApiKey::ADD_OFFSETS_TO_TXN, ov, add_offsets(&id, wrong, &group)).await;
                s.ask(ApiKey::END_TXN, ev, end(&id, wrong, true)).await;
            }
            // Partitions that aren't there spoil the others.
            s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, av, add(&id, p, &topic, &[0, 9])).await;
            s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, av, add(&id, p, "missing", &[0])).await;
            s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, av, add(&id, p, &topic, &[])).await;
            s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, av, add("", p, &topic, &[0])).await;
            // A first transaction, committed.
            s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, av, add(&id, p, &topic, &[0])).await;
            s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, av, add(&id, p, &topic, &[0])).await;
            s.ask(ApiKey::PRODUCE, pv, produce(Some(&id), &topic, 0, &batch(p, 0))).await;
            s.ask(ApiKey::PRODUCE, pv, produce(Some(&id), &topic, 0, &batch(p, 0))).await;
            s.ask(ApiKey::PRODUCE, pv, produce(Some(&id), &topic, 0, &batch(p, 5))).await;
            s.ask(ApiKey::PRODUCE, pv, produce(Some(&id), &topic, 1, &batch(p, 0))).await;
            s.ask(ApiKey::PRODUCE, pv, produce(None, &topic, 0, &Batch::of(&["plain"]))).await;
            let plain = Batch::of(&["n"]).by(p.id, p.epoch as i16, 1);
            s.ask(ApiKey::PRODUCE, pv, produce(None, &topic, 0, &plain)).await;
            look(s, &id, &topic).await;
            s.ask(ApiKey::LIST_TRANSACTIONS, 0, json!({})).await;
            s.ask(ApiKey::END_TXN, ev, end(&id, p, true)).await;
            ended(s, &id).await;
            look(s, &id, &topic).await;
            // Ended once more: the same is fine, the contrary isn't.
            s.ask(ApiKey::END_TXN, ev, end(&id, p, true)).await;
            s.ask(ApiKey::END_TXN, ev, end(&id, p, false)).await;
            s.ask(ApiKey::PRODUCE, pv, produce(Some(&id), &topic, 0, &batch(p, 1))).await;
            // A second one, aborted, with offsets.
            s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, av, add(&id, p, &topic, &[0, 1])).await;
            s.ask(ApiKey::PRODUCE, pv, produce(Some(&id), &topic, 0, &batch(p, 2))).await;
            s.ask(ApiKey::PRODUCE, pv, produce(Some(&id), &topic, 1, &batch(p, 0))).await;
            s.ask(ApiKey::ADD_OFFSETS_TO_TXN, ov, add_offsets(&id, p, &group)).await;
            s.ask(ApiKey::ADD_OFFSETS_TO_TXN, ov, add_offsets(&id, p, &group)).await;
            s.ask(ApiKey::ADD_OFFSETS_TO_TXN, ov, add_offsets(&id, p, "")).await;
            s.ask(ApiKey::TXN_OFFSET_COMMIT, cv, commit_offsets(&id, p, &group, &topic, 3)).await;
            offsets(s, &group, &topic).await;
            look(s, &id, &topic).await;
            s.ask(ApiKey::END_TXN, ev, end(&id, p, false)).await;
            ended(s, &id).await;
            offsets(s, &group, &topic).await;
            look(s, &id, &topic).await;
            s.ask(ApiKey::END_TXN, ev, end(&id, p, true)).await;
            // A third one: offsets alone.
            s.ask(ApiKey::TXN_OFFSET_COMMIT, cv, commit_offsets(&id, p, &group, &topic, 4)).await;
            s.ask(ApiKey::ADD_OFFSETS_TO_TXN, ov, add_offsets(&id, p, &group)).await;
            s.ask(ApiKey::TXN_OFFSET_COMMIT, cv, commit_offsets(&id, p, &group, &topic, 5)).await;
            s.ask(ApiKey::TXN_OFFSET_COMMIT, cv, commit_offsets(&id, p, &group, "missing", 5)).await;
            s.ask(ApiKey::TXN_OFFSET_COMMIT, cv, commit_offsets(&id, p, "", &topic, 5)).await;
            if cv >= 3 {
                for (generation, member) in [(1, "nobody"), (-1, "nobody"), (1, ""), (0, "")] {
                    let mut as_member = commit_offsets(&id, p, &group, &topic, 6);
                    as_member["generation_id"] = json!(generation);
                    as_member["member_id"] = json!(member);
                    s.ask(ApiKey::TXN_OFFSET_COMMIT, cv, as_member).await;
                }
            }
            let mut long = commit_offsets(&id, p, &group, &topic, 5);
            long["topics"][0]["partitions"][0]["committed_metadata"] = json!("m".repeat(5000));
            s.ask(ApiKey::TXN_OFFSET_COMMIT, cv, long).await;
            let old = Producer { epoch: p.epoch - 1, ..p };
            s.ask(ApiKey::TXN_OFFSET_COMMIT, cv, commit_offsets(&id, old, &group, &topic, 9)).await;
            let delete = json!({"group_id": group, "topics": [{"name": topic, "partitions": [{"partition_index": 0}]}]});
            s.ask(ApiKey::DELETE_GROUPS, 2, json!({"groups_names": [s.name("nobody's")]})).await;
            s.ask(ApiKey::END_TXN, ev, end(&id, p, true)).await;
            ended(s, &id).await;
            offsets(s, &group, &topic).await;
            s.ask(ApiKey::OFFSET_DELETE, 0, delete).await;
            offsets(s, &group, &topic).await;
        }
    });
}

/// The group's offsets, also where none may be in the air.
async fn offsets(s: &mut Session, group: &str, topic: &str) {
    for stable in [false, true] {
        let request = json!({"require_stable": stable, "groups": [
            {"group_id": group, "topics": [{"name": topic, "partition_indexes": [0]}]},
        ]});
        s.ask(ApiKey::OFFSET_FETCH, 9, request).await;
        let all = json!({"require_stable": stable, "groups": [{"group_id": group, "topics": null}]});
        s.ask(ApiKey::OFFSET_FETCH, 9, all).await;
    }
}

#[test]
fn fencing() {
    both_in_turn("fence1", async |s| {
        for (iv, ev, pv) in [(1, 1, 8), (3, 3, 10), (5, 4, 11)] {
            let topic = s.name(&format!("t{iv}"));
            s.topic(&topic, 2, &[]).await;
            let id = s.name(&format!("id{iv}"));
            let old = producer(&s.ask(ApiKey::INIT_PRODUCER_ID, iv, init(&id, 60_000)).await);
            s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, 3, add(&id, old, &topic, &[0])).await;
            s.ask(ApiKey::PRODUCE, pv, produce(Some(&id), &topic, 0, &batch(old, 0))).await;
            // The next one under this id aborts what the first one began.
            let new = producer(&s.ask(ApiKey::INIT_PRODUCER_ID, iv, init(&id, 60_000)).await);
            look(s, &id, &topic).await;
            s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, 3, add(&id, old, &topic, &[0])).await;
            s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, 2, add(&id, old, &topic, &[0])).await;
            s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, 0, add(&id, old, &topic, &[0])).await;
            for version in 0..=4 {
                s.ask(ApiKey::ADD_OFFSETS_TO_TXN, version, add_offsets(&id, old, "g")).await;
                s.ask(ApiKey::END_TXN, version, end(&id, old, true)).await;
            }
            for version in [3, 7, 8, 10, 11] {
                s.ask(ApiKey::PRODUCE, version, produce(Some(&id), &topic, 0, &batch(old, 1))).await;
            }
            s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, 3, add(&id, new, &topic, &[0])).await;
            s.ask(ApiKey::PRODUCE, pv, produce(Some(&id), &topic, 0, &batch(new, 1))).await;
            s.ask(ApiKey::PRODUCE, pv, produce(Some(&id), &topic, 0, &batch(new, 0))).await;
            s.ask(ApiKey::PRODUCE, pv, produce(Some(&id), &topic, 0, &batch(old, 1))).await;
            s.ask(ApiKey::END_TXN, ev, end(&id, new, true)).await;
            ended(s, &id).await;
            look(s, &id, &topic).await;
            // A producer that asks for another epoch of its own (KIP-360).
            if iv >= 3 {
                let bump = |p: Producer| {
                    json!({
                        "transactional_id": id, "transaction_timeout_ms": 60_000,
                        "producer_id": p.id, "producer_epoch": p.epoch,
                    })
                };
                s.ask(ApiKey::INIT_PRODUCER_ID, iv, bump(Producer { id: new.id + 3000, ..new })).await;
                s.ask(ApiKey::INIT_PRODUCER_ID, iv, bump(old)).await;
                let next = producer(&s.ask(ApiKey::INIT_PRODUCER_ID, iv, bump(new)).await);
                s.ask(ApiKey::INIT_PRODUCER_ID, iv, bump(new)).await;
                s.ask(ApiKey::INIT_PRODUCER_ID, iv, bump(Producer { epoch: next.epoch + 9, ..next })).await;
                s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, 3, add(&id, next, &topic, &[1])).await;
                s.ask(ApiKey::PRODUCE, pv, produce(Some(&id), &topic, 1, &batch(next, 0))).await;
                s.ask(ApiKey::INIT_PRODUCER_ID, iv, bump(next)).await;
                look(s, &id, &topic).await;
            }
        }
    });
}

#[test]
fn timeouts() {
    both_in_turn("late1", async |s| {
        let topic = s.name("t");
        s.topic(&topic, 2, &[]).await;
        let id = s.name("id");
        let p = producer(&s.ask(ApiKey::INIT_PRODUCER_ID, 4, init(&id, 600)).await);
        s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, 3, add(&id, p, &topic, &[0])).await;
        s.ask(ApiKey::PRODUCE, 11, produce(Some(&id), &topic, 0, &batch(p, 0))).await;
        s.until(ApiKey::DESCRIBE_TRANSACTIONS, 0, json!({"transactional_ids": [id]}), |answer| {
            answer["transaction_states"][0]["transaction_state"] == "CompleteAbort"
        })
        .await;
        look(s, &id, &topic).await;
        s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, 3, add(&id, p, &topic, &[0])).await;
        s.ask(ApiKey::PRODUCE, 11, produce(Some(&id), &topic, 0, &batch(p, 1))).await;
        for version in 0..=4 {
            s.ask(ApiKey::END_TXN, version, end(&id, p, true)).await;
            s.ask(ApiKey::END_TXN, version, end(&id, p, false)).await;
        }
        let bump = json!({
            "transactional_id": id, "transaction_timeout_ms": 600, "producer_id": p.id, "producer_epoch": p.epoch,
        });
        s.ask(ApiKey::INIT_PRODUCER_ID, 4, bump.clone()).await;
        s.ask(ApiKey::INIT_PRODUCER_ID, 4, bump).await;
        look(s, &id, &topic).await;
        s.ask(ApiKey::INIT_PRODUCER_ID, 4, init(&id, 600)).await;
        look(s, &id, &topic).await;
    });
}

#[test]
fn lists() {
    both_in_turn("list", async |s| {
        let topic = s.name("t");
        s.topic(&topic, 1, &[]).await;
        let mut ids = Vec::new();
        for (name, what) in [("idle", 0), ("open", 1), ("done", 2), ("undone", 3)] {
            let id = s.name(name);
            let p = producer(&s.ask(ApiKey::INIT_PRODUCER_ID, 4, init(&id, 600_000)).await);
            if what > 0 {
                s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, 3, add(&id, p, &topic, &[0])).await;
            }
            if what > 1 {
                s.ask(ApiKey::END_TXN, 3, end(&id, p, what == 2)).await;
                ended(s, &id).await;
            }
            ids.push(p);
        }
        for version in 0..=2 {
            s.ask(ApiKey::LIST_TRANSACTIONS, version, json!({})).await;
            for states in [
                json!(["Ongoing"]),
                json!(["ongoing"]),
                json!(["Empty", "CompleteCommit"]),
                json!(["nonsense"]),
                json!(["nonsense", "Ongoing"]),
                json!(["CompleteAbort"]),
                json!(["PrepareCommit"]),
                json!(["Dead"]),
                json!([""]),
                json!(["PrepareEpochFence"]),
            ] {
                s.ask(ApiKey::LIST_TRANSACTIONS, version, json!({"state_filters": states})).await;
            }
            for producers in [json!([ids[1].id]), json!([ids[0].id, ids[2].id]), json!([-5])] {
                s.ask(ApiKey::LIST_TRANSACTIONS, version, json!({"producer_id_filters": producers})).await;
            }
            let both = json!({"producer_id_filters": [ids[1].id, ids[2].id], "state_filters": ["Ongoing"]});
            s.ask(ApiKey::LIST_TRANSACTIONS, version, both).await;
            if version >= 1 {
                for duration in [-1, 0, 1, 999_999_999] {
                    s.ask(ApiKey::LIST_TRANSACTIONS, version, json!({"duration_filter": duration})).await;
                }
            }
            if version >= 2 {
                for pattern in [
                    json!(null),
                    json!(""),
                    json!("list--.*"),
                    json!("list--o"),
                    json!("list--open"),
                    json!("("),
                    json!(".*done"),
                ] {
                    s.ask(ApiKey::LIST_TRANSACTIONS, version, json!({"transactional_id_pattern": pattern}))
                        .await;
                }
            }
        }
        for all in [
            json!([s.name("idle"), s.name("open"), s.name("missing")]),
            json!([]),
            json!([""]),
            json!([s.name("done")]),
        ] {
            s.ask(ApiKey::DESCRIBE_TRANSACTIONS, 0, json!({"transactional_ids": all})).await;
        }
    });
}
