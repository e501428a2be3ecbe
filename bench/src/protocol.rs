//! Messages and record batches: `ottla-protocol` and `kafka-protocol`.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable};
use kafka_protocol::records as their_records;
use ottla_protocol::compression::Compressor;
use ottla_protocol::messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
use ottla_protocol::messages::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_protocol::records::{BatchBuilder, Batches, DecodeOptions, NO_HEADERS, SealOptions};
use ottla_protocol::wire;

use crate::{Contestant, Workload};

const FETCH_VERSION: i16 = 12;
const METADATA_VERSION: i16 = 12;
const PRODUCE_VERSION: i16 = 9;
const VALUE: [u8; 100] = [b'x'; 100];
const TIMESTAMP: i64 = 1_700_000_000_000;

/// Batches of 16 KiB, as many as fit in 1 MiB.
const BATCH: usize = 16 * 1024;
const BATCHES: usize = 64;
/// Records of 100 bytes that a batch of 16 KiB holds.
const RECORDS: usize = 148;

macro_rules! contestant {
    ($library:literal, $prepare:path) => {
        Contestant {
            library: $library,
            run: |rounds| {
                let mut work = $prepare();
                (0..rounds).for_each(|_| work());
            },
            prepare: || Box::new($prepare()),
        }
    };
}

/// All of them.
pub static WORKLOADS: &[Workload] = &[
    Workload {
        name: "decode Fetch of 1 MiB",
        units: BATCHES,
        unit: "batch",
        contestants: &[
            contestant!("ottla", decode_fetch),
            contestant!("kafka-protocol", decode_fetch_theirs),
        ],
    },
    Workload {
        name: "decode Fetch of 1 MiB, every record",
        units: BATCHES * RECORDS,
        unit: "record",
        contestants: &[contestant!("ottla", walk_fetch), contestant!("kafka-protocol", walk_fetch_theirs)],
    },
    Workload {
        name: "walk records, CRC unchecked",
        units: BATCHES * RECORDS,
        unit: "record",
        contestants: &[contestant!("ottla", walk_without_crc)],
    },
    Workload {
        name: "decode Metadata of 10,000 partitions",
        units: 10_000,
        unit: "partition",
        contestants: &[
            contestant!("ottla", decode_metadata),
            contestant!("kafka-protocol", decode_metadata_theirs),
        ],
    },
    Workload {
        name: "encode Produce of 64 ready batches",
        units: BATCHES,
        unit: "batch",
        contestants: &[
            contestant!("ottla", encode_produce),
            contestant!("kafka-protocol", encode_produce_theirs),
        ],
    },
    Workload {
        name: "encode records of 100 B into a batch",
        units: RECORDS,
        unit: "record",
        contestants: &[
            contestant!("ottla", encode_records),
            contestant!("kafka-protocol", encode_records_theirs),
        ],
    },
];

fn batch() -> Bytes {
    let mut builder = BatchBuilder::new(BATCH);
    let mut records = 0;
    while builder.try_append(TIMESTAMP, None, Some(&VALUE), NO_HEADERS).is_ok() {
        records += 1;
    }
    assert_eq!(records, RECORDS);
    builder.seal(&SealOptions::default(), &mut Compressor::none()).expect("it is not empty").bytes()
}

fn fetch_response() -> Bytes {
    let batch = batch();
    let partitions = (0..BATCHES as i32).map(|partition_index| PartitionData {
        partition_index,
        high_watermark: 1_000,
        records: Some(batch.clone()),
        ..Default::default()
    });
    let topic = FetchableTopicResponse {
        topic: "orders".into(),
        partitions: partitions.collect(),
        ..Default::default()
    };
    let response = FetchResponse { responses: vec![topic], ..Default::default() };
    wire::encode(&response, FETCH_VERSION, true).expect("it can be said").to_bytes()
}

fn decode_fetch() -> impl FnMut() {
    let body = fetch_response();
    move || {
        black_box(wire::decode::<FetchResponse>(black_box(&body), FETCH_VERSION, true).expect("it is whole"));
    }
}

fn decode_fetch_theirs() -> impl FnMut() {
    let body = fetch_response();
    move || {
        let mut body = black_box(&body).clone();
        black_box(theirs::FetchResponse::decode(&mut body, FETCH_VERSION).expect("it is whole"));
    }
}

fn walk(body: &Bytes, options: &DecodeOptions) -> usize {
    let response = wire::decode::<FetchResponse>(body, FETCH_VERSION, true).expect("it is whole");
    let mut bytes = 0;
    for partition in response.responses.into_iter().flat_map(|topic| topic.partitions) {
        for batch in Batches::new(partition.records.expect("records")) {
            let mut cursor = batch.expect("it is whole").cursor(options).expect("it is a batch");
            while let Some(record) = cursor.next_ref().expect("it is a record") {
                bytes += record.value.map_or(0, <[u8]>::len);
            }
        }
    }
    bytes
}

fn walk_fetch() -> impl FnMut() {
    let body = fetch_response();
    move || assert_eq!(walk(black_box(&body), &DecodeOptions::DEFAULT), BATCHES * RECORDS * VALUE.len())
}

fn walk_without_crc() -> impl FnMut() {
    let body = fetch_response();
    let options = DecodeOptions { check_crcs: false, ..DecodeOptions::DEFAULT };
    move || assert_eq!(walk(black_box(&body), &options), BATCHES * RECORDS * VALUE.len())
}

fn walk_fetch_theirs() -> impl FnMut() {
    let body = fetch_response();
    move || {
        let mut body = black_box(&body).clone();
        let response = theirs::FetchResponse::decode(&mut body, FETCH_VERSION).expect("it is whole");
        let mut bytes = 0;
        for partition in response.responses.into_iter().flat_map(|topic| topic.partitions) {
            let mut records = partition.records.expect("records");
            let sets = their_records::RecordBatchDecoder::decode_all(&mut records).expect("it is a batch");
            for record in sets.iter().flat_map(|set| &set.records) {
                bytes += record.value.as_ref().map_or(0, Bytes::len);
            }
        }
        assert_eq!(bytes, BATCHES * RECORDS * VALUE.len());
    }
}

fn metadata_response() -> Bytes {
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: 1,
        leader_epoch: 3,
        replica_nodes: [1, 2, 3].into(),
        isr_nodes: [1, 2, 3].into(),
        ..Default::default()
    };
    let topic = |topic| MetadataResponseTopic {
        name: Some(format!("topic-{topic}")),
        partitions: (0..100).map(partition).collect(),
        ..Default::default()
    };
    let broker =
        |node_id| MetadataResponseBroker { node_id, host: "broker".into(), port: 9092, ..Default::default() };
    let response = MetadataResponse {
        brokers: (1..4).map(broker).collect(),
        topics: (0..100).map(topic).collect(),
        ..Default::default()
    };
    wire::encode(&response, METADATA_VERSION, true).expect("it can be said").to_bytes()
}

fn decode_metadata() -> impl FnMut() {
    let body = metadata_response();
    move || {
        black_box(
            wire::decode::<MetadataResponse>(black_box(&body), METADATA_VERSION, true).expect("it is whole"),
        );
    }
}

fn decode_metadata_theirs() -> impl FnMut() {
    let body = metadata_response();
    move || {
        let mut body = black_box(&body).clone();
        black_box(theirs::MetadataResponse::decode(&mut body, METADATA_VERSION).expect("it is whole"));
    }
}

fn produce_request() -> ProduceRequest {
    let batch = batch();
    let partitions = (0..BATCHES as i32).map(|index| PartitionProduceData {
        index,
        records: Some(batch.clone()),
        ..Default::default()
    });
    let topic = TopicProduceData {
        name: "orders".into(),
        partition_data: partitions.collect(),
        ..Default::default()
    };
    ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() }
}

fn encode_produce() -> impl FnMut() {
    let request = produce_request();
    move || {
        black_box(wire::encode(black_box(&request), PRODUCE_VERSION, true).expect("it can be said"));
    }
}

fn encode_produce_theirs() -> impl FnMut() {
    let mut body =
        wire::encode(&produce_request(), PRODUCE_VERSION, true).expect("it can be said").to_bytes();
    let request = theirs::ProduceRequest::decode(&mut body, PRODUCE_VERSION).expect("it is whole");
    move || {
        let mut out = BytesMut::new();
        black_box(&request).encode(&mut out, PRODUCE_VERSION).expect("it can be said");
        black_box(out);
    }
}

fn encode_records() -> impl FnMut() {
    let mut buffer = Vec::new();
    let mut plain = Compressor::none();
    move || {
        let mut builder = BatchBuilder::with_buffer(std::mem::take(&mut buffer), BATCH);
        for _ in 0..RECORDS {
            builder.try_append(TIMESTAMP, None, Some(black_box(&VALUE)), NO_HEADERS).expect("there is room");
        }
        let sealed = builder.seal(&SealOptions::default(), &mut plain).expect("it is not empty");
        buffer = black_box(sealed).into_buffer().expect("nobody else has it");
    }
}

fn encode_records_theirs() -> impl FnMut() {
    let value = Bytes::from_static(&VALUE);
    let record = |offset: i64| their_records::Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: their_records::TimestampType::Creation,
        offset,
        sequence: offset as i32,
        timestamp: TIMESTAMP,
        key: None,
        value: Some(value.clone()),
        headers: Default::default(),
    };
    let records: Vec<_> = (0..RECORDS as i64).map(record).collect();
    let options =
        their_records::RecordEncodeOptions { version: 2, compression: their_records::Compression::None };
    let mut out = BytesMut::with_capacity(BATCH);
    move || {
        out.clear();
        their_records::RecordBatchEncoder::encode(&mut out, black_box(&records), &options)
            .expect("it can be said");
        black_box(&out);
    }
}
