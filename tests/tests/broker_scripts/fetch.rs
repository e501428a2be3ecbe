//! Fetching: offsets, limits, sessions, isolation.

use crate::common::{ApiKey, Batch, Json, Session, both, json};

struct Topic {
    name: String,
    id: String,
}

async fn filled(s: &mut Session, name: &str, batches: usize) -> Topic {
    let name = s.name(name);
    let id = s.topic(&name, 3, &[]).await;
    for partition in [0, 1] {
        for _ in 0..batches {
            let data = json!([{"index": partition, "records": Batch::of(&["a", "b", "c"]).field()}]);
            let request = json!({"acks": -1, "timeout_ms": 5000, "topic_data": [{"name": name, "partition_data": data}]});
            s.quietly(ApiKey::PRODUCE, 12, request).await;
        }
    }
    Topic { name, id }
}

fn partition(index: i32, offset: i64) -> Json {
    json!({"partition": index, "fetch_offset": offset, "partition_max_bytes": 1_000_000})
}

fn topics(version: i16, of: &[(&Topic, Json)]) -> Json {
    of.iter()
        .map(|(topic, partitions)| match version {
            13.. => json!({"topic_id": topic.id, "partitions": partitions}),
            _ => json!({"topic": topic.name, "partitions": partitions}),
        })
        .collect()
}

fn request(version: i16, of: &[(&Topic, Json)]) -> Json {
    json!({"max_wait_ms": 0, "min_bytes": 0, "max_bytes": 10_000_000, "topics": topics(version, of)})
}

const VERSIONS: [i16; 13] = [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 18];

#[test]
fn offsets_and_limits() {
    both("fetch", async |s| {
        let a = filled(s, "a", 3).await;
        let strange = Topic { name: s.name("missing"), id: "AAAAAAAAAAAAAAAAAAAAAQ".to_owned() };
        for v in VERSIONS {
            for offset in [0, 1, 3, 8, 9, 10, 100, -1, -2] {
                s.ask(ApiKey::FETCH, v, request(v, &[(&a, json!([partition(0, offset)]))])).await;
            }
            s.ask(ApiKey::FETCH, v, request(v, &[(&a, json!([partition(9, 0)]))])).await;
            s.ask(ApiKey::FETCH, v, request(v, &[(&a, json!([partition(-1, 0)]))])).await;
            s.ask(ApiKey::FETCH, v, request(v, &[(&strange, json!([partition(0, 0)]))])).await;
            s.ask(
                ApiKey::FETCH,
                v,
                request(v, &[(&strange, json!([partition(0, 0)])), (&a, json!([partition(0, 0)]))]),
            )
            .await;
            s.ask(
                ApiKey::FETCH,
                v,
                request(v, &[(&a, json!([partition(0, 0), partition(1, 3), partition(2, 0)]))]),
            )
            .await;
            s.ask(ApiKey::FETCH, v, request(v, &[])).await;
            for max in [0, 1, 90, 200, 10_000] {
                let mut small = request(v, &[(&a, json!([partition(0, 0), partition(1, 0)]))]);
                small["max_bytes"] = json!(max);
                s.ask(ApiKey::FETCH, v, small).await;
                let mut part = partition(0, 0);
                part["partition_max_bytes"] = json!(max);
                s.ask(ApiKey::FETCH, v, request(v, &[(&a, json!([part, partition(1, 0)]))])).await;
            }
            for epoch in [0, 1, 7, -1] {
                if v >= 9 {
                    let mut part = partition(0, 0);
                    part["current_leader_epoch"] = json!(epoch);
                    s.ask(ApiKey::FETCH, v, request(v, &[(&a, json!([part]))])).await;
                }
                if v >= 12 {
                    let mut part = partition(0, 3);
                    part["last_fetched_epoch"] = json!(epoch);
                    s.ask(ApiKey::FETCH, v, request(v, &[(&a, json!([part]))])).await;
                }
            }
            for isolation in [0, 1] {
                let mut read = request(v, &[(&a, json!([partition(0, 0)]))]);
                read["isolation_level"] = json!(isolation);
                s.ask(ApiKey::FETCH, v, read).await;
            }
            if v <= 14 {
                let mut follower = request(v, &[(&a, json!([partition(0, 0)]))]);
                follower["replica_id"] = json!(9);
                s.ask(ApiKey::FETCH, v, follower).await;
            }
        }
    });
}

#[test]
fn sessions() {
    both("fetching", async |s| {
        let a = filled(s, "a", 1).await;
        let b = filled(s, "b", 1).await;
        for v in [7, 9, 11, 12, 13, 16, 18] {
            let mut full = request(
                v,
                &[(&a, json!([partition(0, 0), partition(2, 0)])), (&b, json!([partition(0, 3)]))],
            );
            full["session_epoch"] = json!(0);
            let session = s.ask(ApiKey::FETCH, v, full.clone()).await["session_id"].clone();
            let next = |epoch: i32, of: &[(&Topic, Json)]| {
                let mut request = request(v, of);
                request["session_id"] = session.clone();
                request["session_epoch"] = json!(epoch);
                request
            };
            // Nothing new but what is still unread.
            s.ask(ApiKey::FETCH, v, next(1, &[])).await;
            s.ask(ApiKey::FETCH, v, next(2, &[(&a, json!([partition(0, 3)]))])).await;
            s.ask(ApiKey::FETCH, v, next(3, &[])).await;
            let more = json!([{"index": 2, "records": Batch::of(&["d"]).field()}]);
            let write = json!({"acks": -1, "timeout_ms": 5000, "topic_data": [{"name": a.name, "partition_data": more}]});
            s.ask(ApiKey::PRODUCE, 12, write).await;
            s.ask(ApiKey::FETCH, v, next(4, &[])).await;
            // A partition is added, one is forgotten.
            s.ask(ApiKey::FETCH, v, next(5, &[(&b, json!([partition(1, 0)]))])).await;
            let mut forget = next(6, &[]);
            forget["forgotten_topics_data"] = match v {
                13.. => json!([{"topic_id": b.id, "partitions": [1]}, {"topic_id": a.id, "partitions": [2]}]),
                _ => json!([{"topic": b.name, "partitions": [1]}, {"topic": a.name, "partitions": [2]}]),
            };
            s.ask(ApiKey::FETCH, v, forget).await;
            s.ask(ApiKey::FETCH, v, next(7, &[])).await;
            // Out of range, then moved back.
            s.ask(ApiKey::FETCH, v, next(8, &[(&a, json!([partition(0, 99)]))])).await;
            s.ask(ApiKey::FETCH, v, next(9, &[])).await;
            s.ask(ApiKey::FETCH, v, next(10, &[(&a, json!([partition(0, 1)]))])).await;
            // A partition that isn't there.
            s.ask(ApiKey::FETCH, v, next(11, &[(&a, json!([partition(8, 0)]))])).await;
            s.ask(ApiKey::FETCH, v, next(12, &[])).await;
            let strange = Topic { name: s.name("missing"), id: "AAAAAAAAAAAAAAAAAAAAAQ".to_owned() };
            s.ask(ApiKey::FETCH, v, next(13, &[(&strange, json!([partition(0, 0)]))])).await;
            s.ask(ApiKey::FETCH, v, next(14, &[])).await;
            // Wrong epochs, and ids that aren't known.
            for (id, epoch) in [
                (session.clone(), 3),
                (session.clone(), 99),
                (json!(1), 1),
                (json!(1), 0),
                (json!(0), 5),
                (json!(77), -1),
            ] {
                let mut wrong = next(epoch, &[(&a, json!([partition(0, 0)]))]);
                wrong["session_id"] = id;
                s.ask(ApiKey::FETCH, v, wrong).await;
            }
            // Still there after a wrong epoch; then closed, and gone.
            s.ask(ApiKey::FETCH, v, next(15, &[])).await;
            s.ask(ApiKey::FETCH, v, next(-1, &[(&a, json!([partition(0, 0)]))])).await;
            s.ask(ApiKey::FETCH, v, next(16, &[])).await;
            // Replaced by another one.
            let session = s.ask(ApiKey::FETCH, v, full.clone()).await["session_id"].clone();
            full["session_id"] = session;
            s.ask(ApiKey::FETCH, v, full).await;
            let wrong = json!({"max_wait_ms": 0, "session_id": 5, "session_epoch": 3, "topics": []});
            s.ask(ApiKey::FETCH, v, wrong).await;
        }
    });
}

#[test]
fn waiting() {
    both("waiting", async |s| {
        let a = filled(s, "a", 1).await;
        for v in [4, 11, 12, 13, 18] {
            let mut long = request(v, &[(&a, json!([partition(2, 0)]))]);
            let end = s
                .quietly(
                    ApiKey::LIST_OFFSETS,
                    7,
                    json!({"replica_id": -1, "topics": [{
                        "name": a.name, "partitions": [{"partition_index": 2, "timestamp": -1}],
                    }]}),
                )
                .await["topics"][0]["partitions"][0]["offset"]
                .clone();
            long["topics"][0]["partitions"][0]["fetch_offset"] = end;
            long["max_wait_ms"] = json!(15_000);
            long["min_bytes"] = json!(1);
            s.send("long", ApiKey::FETCH, v, long.clone()).await;
            let more = json!([{"index": 2, "records": Batch::of(&["d"]).field()}]);
            let write = json!({"acks": -1, "timeout_ms": 5000, "topic_data": [{"name": a.name, "partition_data": more}]});
            s.ask(ApiKey::PRODUCE, 12, write).await;
            s.receive("long").await;
            // Time that runs out, and an error that is told at once.
            long["topics"][0]["partitions"][0]["fetch_offset"] = json!(500);
            s.ask(ApiKey::FETCH, v, long.clone()).await;
            long["topics"][0]["partitions"][0]["fetch_offset"] = json!(1);
            long["min_bytes"] = json!(10_000_000);
            long["max_wait_ms"] = json!(100);
            s.ask(ApiKey::FETCH, v, long).await;
        }
    });
}
