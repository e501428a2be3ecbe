//! Producing: what brokers take, refuse, and recognise.

use ottla_protocol::compression::Compression;

use crate::common::{ApiKey, Batch, Json, Session, base64, both, json, now_ms};

/// A request for one partition, by the topic's name or its id.
fn to(version: i16, topic: &(String, String), partition: i32, records: impl Into<Json>) -> Json {
    with(version, topic, partition, records, -1, None)
}

fn with(
    version: i16,
    topic: &(String, String),
    partition: i32,
    records: impl Into<Json>,
    acks: i16,
    transactional_id: Option<&str>,
) -> Json {
    let data = json!([{"index": partition, "records": records.into()}]);
    let topic = match version {
        13.. => json!({"topic_id": topic.1, "partition_data": data}),
        _ => json!({"name": topic.0, "partition_data": data}),
    };
    json!({"acks": acks, "timeout_ms": 5000, "transactional_id": transactional_id, "topic_data": [topic]})
}

async fn topic(s: &mut Session, name: &str, configs: &[(&str, &str)]) -> (String, String) {
    let name = s.name(name);
    let id = s.topic(&name, 2, configs).await;
    (name, id)
}

const VERSIONS: [i16; 11] = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13];

#[test]
fn plain_batches() {
    both("plain", async |s| {
        let a = topic(s, "a", &[]).await;
        let strange = (s.name("missing"), "AAAAAAAAAAAAAAAAAAAAAQ".to_owned());
        for v in VERSIONS {
            let good = Batch::of(&["one", "two"]);
            s.ask(ApiKey::PRODUCE, v, to(v, &a, 0, good.field())).await;
            s.ask(ApiKey::PRODUCE, v, with(v, &a, 1, good.field(), 1, None)).await;
            s.ask(ApiKey::PRODUCE, v, to(v, &a, 9, good.field())).await;
            s.ask(ApiKey::PRODUCE, v, to(v, &a, -1, good.field())).await;
            s.ask(ApiKey::PRODUCE, v, to(v, &strange, 0, good.field())).await;
            s.ask(ApiKey::PRODUCE, v, with(v, &a, 0, good.field(), 2, None)).await;
            s.ask(ApiKey::PRODUCE, v, with(v, &a, 0, good.field(), -2, None)).await;
            s.ask(ApiKey::PRODUCE, v, to(v, &a, 0, good.harmed(|bytes| bytes[70] ^= 1))).await;
            s.ask(ApiKey::PRODUCE, v, to(v, &a, 0, good.harmed(|bytes| bytes[17] ^= 1))).await;
            for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
                s.ask(ApiKey::PRODUCE, v, to(v, &a, 0, good.clone().codec(codec).field())).await;
            }
            let two = [good.bytes(), good.bytes()].concat();
            s.ask(ApiKey::PRODUCE, v, to(v, &a, 0, base64(&two))).await;
            s.ask(ApiKey::PRODUCE, v, json!({"acks": -1, "timeout_ms": 5000, "topic_data": []})).await;
            // The same partition, and the same topic, twice.
            let record = json!({"index": 0, "records": good.field()});
            let name = if v >= 13 { json!({"topic_id": a.1}) } else { json!({"name": a.0}) };
            let mut twice = name.clone();
            twice["partition_data"] =
                json!([record, {"index": 1, "records": good.field()}, {"index": 5, "records": good.field()}]);
            s.ask(ApiKey::PRODUCE, v, json!({"acks": -1, "timeout_ms": 5000, "topic_data": [twice]})).await;
            let mut none = name;
            none["partition_data"] = json!([]);
            s.ask(ApiKey::PRODUCE, v, json!({"acks": -1, "timeout_ms": 5000, "topic_data": [none]})).await;
        }
        // What can't be read, or only in part, ends the connection or is refused.
        for v in [3, 7, 9, 12, 13] {
            let good = Batch::of(&["one", "two"]);
            for (_, records) in [
                ("magic 0", good.harmed(|bytes| bytes[16] = 0)),
                ("magic 1", good.harmed(|bytes| bytes[16] = 1)),
                ("magic 3", good.harmed(|bytes| bytes[16] = 3)),
                ("magic -1", good.harmed(|bytes| bytes[16] = 0xff)),
                ("short", good.harmed(|bytes| bytes.truncate(40))),
                ("cut", good.harmed(|bytes| bytes.truncate(70))),
                ("length 0", good.harmed(|bytes| bytes[8..12].copy_from_slice(&0u32.to_be_bytes()))),
                ("length -1", good.harmed(|bytes| bytes[8..12].copy_from_slice(&u32::MAX.to_be_bytes()))),
                ("empty", base64(&[])),
                ("base offset", good.harmed(|bytes| bytes[7] = 5)),
                ("leader epoch", good.harmed(|bytes| bytes[15] = 5)),
                ("count 0", recounted(&good, 0)),
                ("count 1", recounted(&good, 1)),
                ("count 3", recounted(&good, 3)),
                ("count -1", recounted(&good, -1)),
                ("control", good.clone().control().field()),
                ("transactional", good.clone().in_transaction().field()),
                ("id without sequence", good.clone().by(5, 0, -1).field()),
                ("sequence without id", good.clone().by(-1, -1, 4).field()),
                ("epoch without id", good.clone().by(-1, 2, -1).field()),
                ("negative epoch", good.clone().by(3, -1, 0).field()),
            ] {
                s.ask(ApiKey::PRODUCE, v, to(v, &a, 0, records)).await;
            }
        }
        // What was written, as it is read.
        for partition in [0, 1] {
            s.ask(
                ApiKey::FETCH,
                12,
                json!({"max_wait_ms": 0, "max_bytes": 9999999, "topics": [{"topic": a.0, "partitions": [
                    {"partition": partition, "fetch_offset": 0, "partition_max_bytes": 9999999},
                ]}]}),
            )
            .await;
        }
    });
}

/// The batch with another number of records, and the CRC for that.
fn recounted(batch: &Batch, count: i32) -> String {
    batch.harmed(|bytes| {
        bytes[57..61].copy_from_slice(&count.to_be_bytes());
        bytes[23..27].copy_from_slice(&(count.max(1) - 1).to_be_bytes());
        let crc = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    })
}

#[test]
fn sequences() {
    both("sequences", async |s| {
        for v in [3, 5, 8, 11, 12, 13] {
            let a = topic(s, &format!("v{v}"), &[]).await;
            let request = json!({"transactional_id": null, "transaction_timeout_ms": 1000});
            let id =
                s.ask(ApiKey::INIT_PRODUCER_ID, 5, request.clone()).await["producer_id"].as_i64().unwrap();
            let other = s.ask(ApiKey::INIT_PRODUCER_ID, 4, request).await["producer_id"].as_i64().unwrap();
            let batch =
                |id, epoch, sequence| Batch::of(&["a", "b"]).by(id, epoch, sequence).at(now_ms()).field();
            for (id, epoch, sequence, partition) in [
                (id, 0, 0, 0),
                (id, 0, 0, 0),
                (id, 0, 2, 0),
                (id, 0, 2, 0),
                (id, 0, 0, 0),
                (id, 0, 1, 0),
                (id, 0, 3, 0),
                (id, 0, 6, 0),
                (id, 0, 4, 0),
                (id, 0, 6, 0),
                (id, 0, 8, 0),
                (id, 0, 10, 0),
                (id, 0, 12, 0),
                // The first two are no longer among the five that are remembered.
                (id, 0, 0, 0),
                (id, 0, 2, 0),
                (id, 0, 4, 0),
                (id, 0, 12, 0),
                (id, 0, 20, 0),
                // A new epoch begins at 0.
                (id, 1, 5, 0),
                (id, 1, 14, 0),
                (id, 1, 0, 0),
                (id, 0, 14, 0),
                (id, 1, 2, 0),
                (id, 1, 2, 0),
                (id, 3, 0, 0),
                (id, 2, 0, 0),
                // An id of which this partition knows nothing.
                (id, 0, 0, 1),
                (other, 0, 7, 0),
                (other, 0, 9, 0),
                (other, 0, 3, 0),
                (other, 4, 3, 1),
                (other, 4, 5, 1),
                (999_999, 0, 0, 0),
                (999_999, 0, 2, 0),
                (999_999, 0, 9, 0),
                (888_888, 7, 2_147_483_647, 1),
                (888_888, 7, 1, 1),
                (888_888, 7, 2, 1),
            ] {
                s.ask(ApiKey::PRODUCE, v, to(v, &a, partition, batch(id, epoch, sequence))).await;
            }
            let two = [Batch::of(&["a"]).by(other, 9, 0).bytes(), Batch::of(&["b"]).by(other, 9, 1).bytes()];
            s.ask(ApiKey::PRODUCE, v, to(v, &a, 0, base64(&two.concat()))).await;
            let mixed = [Batch::of(&["a"]).bytes(), Batch::of(&["b"]).by(other, 10, 0).bytes()].concat();
            s.ask(ApiKey::PRODUCE, v, to(v, &a, 0, base64(&mixed))).await;
            s.ask(
                ApiKey::DESCRIBE_PRODUCERS,
                0,
                json!({"topics": [{"name": a.0, "partition_indexes": [0, 1, 7]}]}),
            )
            .await;
        }
        s.ask(
            ApiKey::DESCRIBE_PRODUCERS,
            0,
            json!({"topics": [{"name": "missing", "partition_indexes": [0]}]}),
        )
        .await;
        s.ask(
            ApiKey::DESCRIBE_PRODUCERS,
            0,
            json!({"topics": [{"name": "not good", "partition_indexes": [0]}]}),
        )
        .await;
        s.ask(ApiKey::DESCRIBE_PRODUCERS, 0, json!({"topics": []})).await;
        for v in 0..=5 {
            s.ask(
                ApiKey::INIT_PRODUCER_ID,
                v,
                json!({"transactional_id": null, "transaction_timeout_ms": 0}),
            )
            .await;
            s.ask(
                ApiKey::INIT_PRODUCER_ID,
                v,
                json!({"transactional_id": "", "transaction_timeout_ms": 1000}),
            )
            .await;
            if v >= 3 {
                for (id, epoch) in [(4, 0), (-1, 0), (4, -1), (4, 32766), (4, 32767)] {
                    let request = json!({
                        "transactional_id": null, "transaction_timeout_ms": 1000,
                        "producer_id": id, "producer_epoch": epoch,
                    });
                    s.ask(ApiKey::INIT_PRODUCER_ID, v, request).await;
                }
            }
        }
    });
}

#[test]
fn limits() {
    both("limits", async |s| {
        let small = topic(s, "small", &[("max.message.bytes", "1000")]).await;
        let plain = topic(s, "plain", &[]).await;
        let compacted = topic(s, "compacted", &[("cleanup.policy", "compact")]).await;
        let mixed = topic(s, "mixed", &[("cleanup.policy", "compact,delete")]).await;
        let stamped = topic(s, "stamped", &[("message.timestamp.type", "LogAppendTime")]).await;
        let (past, future) = ("message.timestamp.before.max.ms", "message.timestamp.after.max.ms");
        let timed = topic(s, "timed", &[(past, "60000"), (future, "60000")]).await;
        let short = topic(s, "short", &[("segment.bytes", "1048576"), ("retention.bytes", "1")]).await;
        let strict = topic(s, "strict", &[("min.insync.replicas", "2")]).await;
        let zipped = topic(s, "zipped", &[("compression.type", "gzip")]).await;
        let unzipped = topic(s, "unzipped", &[("compression.type", "uncompressed")]).await;
        for v in [3, 5, 7, 8, 10, 11, 12, 13] {
            for size in [100, 920, 940, 2000, 1_048_500, 1_048_588] {
                s.ask(ApiKey::PRODUCE, v, to(v, &small, 0, Batch::large(size).field())).await;
                if size > 1000 {
                    s.ask(ApiKey::PRODUCE, v, to(v, &plain, 0, Batch::large(size).field())).await;
                }
            }
            for to_topic in [&compacted, &mixed] {
                s.ask(ApiKey::PRODUCE, v, to(v, to_topic, 0, Batch::of(&["a"]).key("k").field())).await;
                s.ask(ApiKey::PRODUCE, v, to(v, to_topic, 0, Batch::of(&["a", "b"]).field())).await;
                let gzip = Batch::of(&["a", "b"]).codec(Compression::Gzip).field();
                s.ask(ApiKey::PRODUCE, v, to(v, to_topic, 0, gzip)).await;
            }
            s.ask(ApiKey::PRODUCE, v, to(v, &stamped, 0, Batch::of(&["a"]).at(5).field())).await;
            s.ask(
                ApiKey::PRODUCE,
                v,
                to(v, &stamped, 0, Batch::of(&["a"]).at(now_ms() + 99_999_999).field()),
            )
            .await;
            for shift in [0, -30_000, -120_000, 30_000, 120_000] {
                s.ask(
                    ApiKey::PRODUCE,
                    v,
                    to(v, &timed, 0, Batch::of(&["a", "b"]).at(now_ms() + shift).field()),
                )
                .await;
            }
            for at in [-1, -2, 0, 5] {
                s.ask(ApiKey::PRODUCE, v, to(v, &timed, 0, Batch::of(&["a", "b"]).at(at).field())).await;
                s.ask(ApiKey::PRODUCE, v, to(v, &plain, 0, Batch::of(&["a", "b"]).at(at).field())).await;
            }
            s.ask(ApiKey::PRODUCE, v, to(v, &plain, 0, Batch::of(&["a"]).at(now_ms() + 7_200_000).field()))
                .await;
            s.ask(ApiKey::PRODUCE, v, to(v, &short, 0, Batch::of(&["a"]).at(now_ms()).field())).await;
            s.ask(ApiKey::PRODUCE, v, to(v, &strict, 0, Batch::of(&["a"]).field())).await;
            s.ask(ApiKey::PRODUCE, v, with(v, &strict, 0, Batch::of(&["a"]).field(), 1, None)).await;
            for to_topic in [&zipped, &unzipped] {
                for codec in [Compression::None, Compression::Gzip, Compression::Zstd] {
                    s.ask(
                        ApiKey::PRODUCE,
                        v,
                        to(v, to_topic, 0, Batch::of(&["a", "b"]).codec(codec).field()),
                    )
                    .await;
                }
            }
        }
        for read in [&compacted, &mixed, &stamped, &timed, &strict, &zipped, &unzipped] {
            s.ask(
                ApiKey::FETCH,
                12,
                json!({"max_wait_ms": 0, "max_bytes": 9999999, "topics": [{"topic": read.0, "partitions": [
                    {"partition": 0, "fetch_offset": 0, "partition_max_bytes": 9999999},
                ]}]}),
            )
            .await;
        }
    });
}
