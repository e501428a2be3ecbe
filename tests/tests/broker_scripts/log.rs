//! Looking offsets up, leader epochs, deleting records.

use crate::common::{ApiKey, Batch, Json, Session, both, json};

async fn write(s: &mut Session, topic: &str, batch: Batch) {
    let data = json!([{"index": 0, "records": batch.field()}]);
    let request =
        json!({"acks": -1, "timeout_ms": 5000, "topic_data": [{"name": topic, "partition_data": data}]});
    let answer = s.quietly(ApiKey::PRODUCE, 12, request).await;
    assert_eq!(answer["responses"][0]["partition_responses"][0]["error_code"], "NONE", "{answer}");
}

fn lookup(version: i16, topic: &str, partition: i32, timestamp: i64, epoch: i32, isolation: i8) -> Json {
    let mut one = json!({"partition_index": partition, "timestamp": timestamp});
    if version >= 4 {
        one["current_leader_epoch"] = json!(epoch);
    }
    let mut all = json!({"replica_id": -1, "topics": [{"name": topic, "partitions": [one]}]});
    if version >= 2 {
        all["isolation_level"] = json!(isolation);
    }
    if version >= 10 {
        all["timeout_ms"] = json!(5000);
    }
    all
}

#[test]
fn list_offsets() {
    both("lookup", async |s| {
        let (a, empty) = (s.name("a"), s.name("empty"));
        s.topic(&a, 2, &[]).await;
        s.topic(&empty, 1, &[]).await;
        for (values, at) in
            [(&["a", "b"][..], 1000), (&["c"], 3000), (&["d", "e"], 2000), (&["f"], 5000), (&["g"], 5000)]
        {
            write(s, &a, Batch::of(values).at(at)).await;
        }
        for version in 1..=11 {
            for special in [-1, -2, -3, -4, -5, -6, -7, 0, 1, 1000, 1001, 2000, 2500, 3000, 3001, 5000, 5001]
            {
                s.ask(ApiKey::LIST_OFFSETS, version, lookup(version, &a, 0, special, -1, 0)).await;
                if special < 1 {
                    s.ask(ApiKey::LIST_OFFSETS, version, lookup(version, &empty, 0, special, -1, 0)).await;
                }
            }
            s.ask(ApiKey::LIST_OFFSETS, version, lookup(version, &a, 0, -1, -1, 1)).await;
            for epoch in [0, 1, 5] {
                s.ask(ApiKey::LIST_OFFSETS, version, lookup(version, &a, 0, -1, epoch, 0)).await;
            }
            s.ask(ApiKey::LIST_OFFSETS, version, lookup(version, &a, 7, -1, -1, 0)).await;
            s.ask(ApiKey::LIST_OFFSETS, version, lookup(version, "missing", 0, -1, -1, 0)).await;
            s.ask(ApiKey::LIST_OFFSETS, version, lookup(version, "not good", 0, -1, -1, 0)).await;
            let twice = json!({"replica_id": -1, "topics": [{"name": a, "partitions": [
                {"partition_index": 0, "timestamp": -1}, {"partition_index": 0, "timestamp": -2},
                {"partition_index": 1, "timestamp": -2},
            ]}]});
            s.ask(ApiKey::LIST_OFFSETS, version, twice).await;
            s.ask(ApiKey::LIST_OFFSETS, version, json!({"replica_id": -1, "topics": []})).await;
            for replica in [-2, 9] {
                let mut other = lookup(version, &a, 0, -1, -1, 0);
                other["replica_id"] = json!(replica);
                s.ask(ApiKey::LIST_OFFSETS, version, other).await;
            }
        }
    });
}

#[test]
fn leader_epochs() {
    both("epochs", async |s| {
        let (a, empty) = (s.name("a"), s.name("empty"));
        s.topic(&a, 2, &[]).await;
        s.topic(&empty, 1, &[]).await;
        write(s, &a, Batch::of(&["a", "b"])).await;
        for version in 2..=4 {
            for (topic, partition) in
                [(a.as_str(), 0), (&a, 1), (&a, 7), (&empty, 0), ("missing", 0), ("not good", 0)]
            {
                for (current, epoch) in
                    [(-1, 0), (0, 0), (1, 0), (-1, 1), (-1, 5), (-1, -1), (0, -2), (-1, 2147483647)]
                {
                    let mut request = json!({"topics": [{"topic": topic, "partitions": [
                        {"partition": partition, "current_leader_epoch": current, "leader_epoch": epoch},
                    ]}]});
                    if version >= 3 {
                        request["replica_id"] = json!(-1);
                    }
                    s.ask(ApiKey::OFFSET_FOR_LEADER_EPOCH, version, request).await;
                }
            }
            s.ask(ApiKey::OFFSET_FOR_LEADER_EPOCH, version, json!({"topics": []})).await;
        }
    });
}

#[test]
fn delete_records() {
    both("deleting", async |s| {
        for version in 0..=2 {
            let a = s.name(&format!("v{version}"));
            s.topic(&a, 2, &[]).await;
            for _ in 0..4 {
                write(s, &a, Batch::of(&["a", "b", "c"]).at(1000)).await;
            }
            for offset in [0, 2, 2, 1, 3, 4, 99, -2, 7, -1, 12, 13] {
                let request = json!({"timeout_ms": 5000, "topics": [{"name": a, "partitions": [
                    {"partition_index": 0, "offset": offset},
                ]}]});
                s.ask(ApiKey::DELETE_RECORDS, version, request).await;
                for special in [-2, -1, -4, 1000] {
                    s.ask(ApiKey::LIST_OFFSETS, 8, lookup(8, &a, 0, special, -1, 0)).await;
                }
                for from in [0, 2, 5] {
                    s.ask(
                        ApiKey::FETCH,
                        12,
                        json!({"max_wait_ms": 0, "max_bytes": 99999, "topics": [{"topic": a, "partitions": [
                            {"partition": 0, "fetch_offset": from, "partition_max_bytes": 99999},
                        ]}]}),
                    )
                    .await;
                }
            }
            for (topic, partition) in
                [(a.as_str(), 7), ("missing", 0), ("not good", 0), (&a, 1), ("__cluster_metadata", 0)]
            {
                let request = json!({"timeout_ms": 5000, "topics": [{"name": topic, "partitions": [
                    {"partition_index": partition, "offset": 0},
                ]}]});
                s.ask(ApiKey::DELETE_RECORDS, version, request).await;
            }
            write(s, &a, Batch::of(&["z"])).await;
            s.ask(ApiKey::LIST_OFFSETS, 8, lookup(8, &a, 0, -1, -1, 0)).await;
            s.ask(ApiKey::DELETE_RECORDS, version, json!({"timeout_ms": 5000, "topics": []})).await;
            let compacted = s.name(&format!("compacted{version}"));
            s.topic(&compacted, 1, &[("cleanup.policy", "compact")]).await;
            let request = json!({"timeout_ms": 5000, "topics": [{"name": compacted, "partitions": [
                {"partition_index": 0, "offset": 0},
            ]}]});
            s.ask(ApiKey::DELETE_RECORDS, version, request).await;
        }
    });
}
