//! Transactions of KIP-890: producing adds the partition, every end begins an epoch.

use crate::common::{ApiKey, Batch, Json, Session, both_in_turn, json};
use crate::transactions_v1::{Producer, batch, commit_offsets, end, ended, init, look, producer};

/// A request for one partition in version 12, which has names and adds partitions.
fn produce(id: Option<&str>, topic: &str, partition: i32, batch: &Batch) -> Json {
    crate::transactions_v1::produce(id, topic, partition, batch)
}

fn add(id: &str, p: Producer, topic: &str, partitions: &[i32], verify: bool) -> Json {
    json!({"transactions": [{
        "transactional_id": id, "producer_id": p.id, "producer_epoch": p.epoch, "verify_only": verify,
        "topics": [{"name": topic, "partitions": partitions}],
    }]})
}

async fn offsets(s: &mut Session, group: &str) {
    for stable in [false, true] {
        let all = json!({"require_stable": stable, "groups": [{"group_id": group, "topics": null}]});
        s.ask(ApiKey::OFFSET_FETCH, 9, all).await;
    }
}

#[test]
fn from_begin_to_end() {
    both_in_turn("v2", async |s| {
        for (iv, tv) in [(5, 12), (5, 13), (4, 12)] {
            let topic = s.name(&format!("t{iv}{tv}"));
            let topic_id = s.topic(&topic, 2, &[]).await;
            let (id, group) = (s.name(&format!("id{iv}{tv}")), s.name(&format!("g{iv}{tv}")));
            let to = |p: Producer, partition: i32, sequence: i32| {
                let mut request = produce(Some(&id), &topic, partition, &batch(p, sequence));
                if tv == 13 {
                    let data = request["topic_data"][0]["partition_data"].clone();
                    request["topic_data"] = json!([{"topic_id": topic_id, "partition_data": data}]);
                }
                request
            };
            let nobody = Producer { id: 777_777, epoch: 0 };
            s.ask(ApiKey::END_TXN, 5, end(&id, nobody, true)).await;
            s.ask(ApiKey::PRODUCE, tv, to(nobody, 0, 0)).await;
            s.ask(ApiKey::TXN_OFFSET_COMMIT, 5, commit_offsets(&id, nobody, &group, &topic, 1)).await;
            let p = producer(&s.ask(ApiKey::INIT_PRODUCER_ID, iv, init(&id, 60_000)).await);
            look(s, &id, &topic).await;
            // Wrong ids and epochs.
            for wrong in [
                Producer { epoch: p.epoch + 1, ..p },
                Producer { epoch: p.epoch - 1, ..p },
                Producer { id: p.id + 4000, ..p },
            ] {
                s.ask(ApiKey::PRODUCE, tv, to(wrong, 0, 0)).await;
                s.ask(ApiKey::TXN_OFFSET_COMMIT, 5, commit_offsets(&id, wrong, &group, &topic, 1)).await;
                s.ask(ApiKey::END_TXN, 5, end(&id, wrong, true)).await;
                s.ask(ApiKey::END_TXN, 5, end(&id, wrong, false)).await;
            }
            // Ending what was never begun: committing is refused, aborting begins an epoch.
            s.ask(ApiKey::END_TXN, 5, end(&id, p, true)).await;
            let aborted = s.ask(ApiKey::END_TXN, 5, end(&id, p, false)).await;
            let p = if aborted["error_code"] == "NONE" { producer(&aborted) } else { p };
            ended(s, &id).await;
            look(s, &id, &topic).await;
            // A first transaction, committed.
            s.ask(ApiKey::PRODUCE, tv, to(p, 0, 0)).await;
            s.ask(ApiKey::PRODUCE, tv, to(p, 0, 0)).await;
            s.ask(ApiKey::PRODUCE, tv, to(p, 0, 4)).await;
            s.ask(ApiKey::PRODUCE, tv, to(p, 0, 1)).await;
            s.ask(ApiKey::PRODUCE, tv, to(p, 1, 0)).await;
            s.ask(ApiKey::PRODUCE, tv, to(p, 9, 0)).await;
            s.ask(ApiKey::PRODUCE, 12, produce(None, &topic, 0, &Batch::of(&["plain"]))).await;
            look(s, &id, &topic).await;
            let done = s.ask(ApiKey::END_TXN, 5, end(&id, p, true)).await;
            let next = producer(&done);
            ended(s, &id).await;
            look(s, &id, &topic).await;
            // The same end again is answered as it was; the contrary isn't.
            s.ask(ApiKey::END_TXN, 5, end(&id, p, true)).await;
            s.ask(ApiKey::END_TXN, 5, end(&id, p, false)).await;
            s.ask(ApiKey::END_TXN, 5, end(&id, next, true)).await;
            // The old epoch is fenced everywhere.
            s.ask(ApiKey::PRODUCE, tv, to(p, 0, 2)).await;
            s.ask(ApiKey::TXN_OFFSET_COMMIT, 5, commit_offsets(&id, p, &group, &topic, 1)).await;
            // The new one begins at 0; aborted, with offsets.
            let p = next;
            s.ask(ApiKey::PRODUCE, tv, to(p, 0, 3)).await;
            s.ask(ApiKey::PRODUCE, tv, to(p, 0, 0)).await;
            s.ask(ApiKey::TXN_OFFSET_COMMIT, 5, commit_offsets(&id, p, &group, &topic, 3)).await;
            s.ask(ApiKey::TXN_OFFSET_COMMIT, 5, commit_offsets(&id, p, &group, &topic, 4)).await;
            s.ask(ApiKey::TXN_OFFSET_COMMIT, 5, commit_offsets(&id, p, "", &topic, 4)).await;
            s.ask(ApiKey::TXN_OFFSET_COMMIT, 5, commit_offsets(&id, p, &group, "missing", 4)).await;
            for (generation, member) in [(1, "nobody"), (-1, "nobody"), (1, ""), (0, "")] {
                let mut as_member = commit_offsets(&id, p, &group, &topic, 6);
                as_member["generation_id"] = json!(generation);
                as_member["member_id"] = json!(member);
                s.ask(ApiKey::TXN_OFFSET_COMMIT, 5, as_member).await;
            }
            offsets(s, &group).await;
            look(s, &id, &topic).await;
            let done = s.ask(ApiKey::END_TXN, 5, end(&id, p, false)).await;
            ended(s, &id).await;
            offsets(s, &group).await;
            look(s, &id, &topic).await;
            s.ask(ApiKey::END_TXN, 5, end(&id, p, false)).await;
            s.ask(ApiKey::END_TXN, 5, end(&id, p, true)).await;
            // Offsets alone, committed.
            let p = producer(&done);
            s.ask(ApiKey::TXN_OFFSET_COMMIT, 5, commit_offsets(&id, p, &group, &topic, 5)).await;
            s.ask(ApiKey::DELETE_GROUPS, 2, json!({"groups_names": [group]})).await;
            let done = s.ask(ApiKey::END_TXN, 5, end(&id, p, true)).await;
            ended(s, &id).await;
            offsets(s, &group).await;
            // Aborting twice in a row, with nothing between.
            let p = producer(&done);
            let done = s.ask(ApiKey::END_TXN, 5, end(&id, p, false)).await;
            s.ask(ApiKey::END_TXN, 5, end(&id, p, false)).await;
            let p = producer(&done);
            s.ask(ApiKey::END_TXN, 5, end(&id, p, true)).await;
            ended(s, &id).await;
            s.ask(ApiKey::DESCRIBE_TRANSACTIONS, 0, json!({"transactional_ids": [id]})).await;
            // The older way with the same id.
            s.ask(ApiKey::PRODUCE, 11, produce(Some(&id), &topic, 0, &batch(p, 0))).await;
            s.ask(ApiKey::END_TXN, 4, end(&id, p, true)).await;
            s.ask(ApiKey::TXN_OFFSET_COMMIT, 4, commit_offsets(&id, p, &group, &topic, 5)).await;
        }
    });
}

#[test]
fn adding_and_verifying() {
    both_in_turn("verify", async |s| {
        let topic = s.name("t");
        s.topic(&topic, 3, &[]).await;
        for version in [4, 5] {
            let id = s.name(&format!("id{version}"));
            let p = producer(&s.ask(ApiKey::INIT_PRODUCER_ID, 5, init(&id, 60_000)).await);
            for verify in [true, false] {
                for who in [p, Producer { epoch: p.epoch + 1, ..p }, Producer { id: p.id + 4000, ..p }] {
                    s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, version, add(&id, who, &topic, &[0, 1], verify))
                        .await;
                    s.ask(
                        ApiKey::ADD_PARTITIONS_TO_TXN,
                        version,
                        add(&s.name("missing"), who, &topic, &[0], verify),
                    )
                    .await;
                    s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, version, add("", who, &topic, &[0], verify)).await;
                }
                s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, version, add(&id, p, "missing", &[0], verify)).await;
                s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, version, add(&id, p, &topic, &[9], verify)).await;
                s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, version, add(&id, p, &topic, &[2], verify)).await;
                s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, version, add(&id, p, &topic, &[0, 2], true)).await;
            }
            let two = json!({"transactions": [
                {"transactional_id": id, "producer_id": p.id, "producer_epoch": p.epoch, "verify_only": false,
                 "topics": [{"name": topic, "partitions": [1]}]},
                {"transactional_id": s.name("missing"), "producer_id": p.id, "producer_epoch": p.epoch, "verify_only": true,
                 "topics": [{"name": topic, "partitions": [1]}]},
            ]});
            s.ask(ApiKey::ADD_PARTITIONS_TO_TXN, version, two).await;
            s.ask(ApiKey::DESCRIBE_TRANSACTIONS, 0, json!({"transactional_ids": [id]})).await;
            s.ask(ApiKey::END_TXN, 5, end(&id, p, false)).await;
            ended(s, &id).await;
            look(s, &id, &topic).await;
        }
    });
}

#[test]
fn fencing_and_timeouts() {
    both_in_turn("fence2", async |s| {
        let topic = s.name("t");
        s.topic(&topic, 2, &[]).await;
        let id = s.name("id");
        let to = |p: Producer, sequence: i32| produce(Some(&id), &topic, 0, &batch(p, sequence));
        let old = producer(&s.ask(ApiKey::INIT_PRODUCER_ID, 5, init(&id, 60_000)).await);
        s.ask(ApiKey::PRODUCE, 12, to(old, 0)).await;
        let new = producer(&s.ask(ApiKey::INIT_PRODUCER_ID, 5, init(&id, 60_000)).await);
        look(s, &id, &topic).await;
        for committed in [true, false] {
            s.ask(ApiKey::END_TXN, 5, end(&id, old, committed)).await;
        }
        s.ask(ApiKey::PRODUCE, 12, to(old, 1)).await;
        s.ask(ApiKey::TXN_OFFSET_COMMIT, 5, commit_offsets(&id, old, "g", &topic, 3)).await;
        s.ask(ApiKey::PRODUCE, 12, to(new, 0)).await;
        let bump = |p: Producer| {
            json!({
                "transactional_id": id, "transaction_timeout_ms": 600, "producer_id": p.id, "producer_epoch": p.epoch,
            })
        };
        s.ask(ApiKey::INIT_PRODUCER_ID, 5, bump(old)).await;
        s.ask(ApiKey::INIT_PRODUCER_ID, 5, bump(new)).await;
        s.ask(ApiKey::INIT_PRODUCER_ID, 5, bump(new)).await;
        look(s, &id, &topic).await;
        // What takes too long is aborted, and its producer fenced until it asks for an epoch.
        let again = producer(
            &s.ask(
                ApiKey::INIT_PRODUCER_ID,
                5,
                json!({
                    "transactional_id": id, "transaction_timeout_ms": 600,
                }),
            )
            .await,
        );
        s.ask(ApiKey::PRODUCE, 12, to(again, 0)).await;
        s.until(ApiKey::DESCRIBE_TRANSACTIONS, 0, json!({"transactional_ids": [id]}), |answer| {
            answer["transaction_states"][0]["transaction_state"] == "CompleteAbort"
        })
        .await;
        look(s, &id, &topic).await;
        s.ask(ApiKey::PRODUCE, 12, to(again, 1)).await;
        for committed in [true, false] {
            s.ask(ApiKey::END_TXN, 5, end(&id, again, committed)).await;
        }
        s.ask(ApiKey::TXN_OFFSET_COMMIT, 5, commit_offsets(&id, again, "g", &topic, 3)).await;
        s.ask(ApiKey::INIT_PRODUCER_ID, 5, bump(again)).await;
        s.ask(ApiKey::INIT_PRODUCER_ID, 5, init(&id, 60_000)).await;
        look(s, &id, &topic).await;
        for version in 0..=2 {
            let markers = |epoch: i64, coordinator: i32| {
                json!({"markers": [{
                    "producer_id": again.id, "producer_epoch": epoch, "transaction_result": false,
                    "coordinator_epoch": coordinator, "topics": [{"name": topic, "partition_indexes": [0, 9]}],
                }]})
            };
            if version > 0 {
                s.ask(ApiKey::WRITE_TXN_MARKERS, version, markers(again.epoch + 30, 0)).await;
                s.ask(ApiKey::WRITE_TXN_MARKERS, version, markers(again.epoch, 0)).await;
                s.ask(ApiKey::WRITE_TXN_MARKERS, version, markers(again.epoch + 30, 5)).await;
                s.ask(ApiKey::WRITE_TXN_MARKERS, version, markers(again.epoch + 30, 2)).await;
                s.ask(ApiKey::WRITE_TXN_MARKERS, version, json!({"markers": []})).await;
            }
        }
        look(s, &id, &topic).await;
    });
}
