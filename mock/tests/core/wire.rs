//! A client that speaks plain frames, and a clock that moves when it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_mock::{Cluster, ClusterOptions, ConnectionId, Output};
use ottla_protocol::api::Request;
use ottla_protocol::compression::Compressor;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::header::{decode_response, encode_request, split_response};
use ottla_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, PartitionData};
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponsePartition};
use ottla_protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};
use ottla_protocol::records::{BatchBuilder, Batches, NO_HEADERS, ProducerState, SealOptions};

/// The newest version with topic names, which scripts prefer to ids.
pub(crate) const PRODUCE: i16 = 12;
pub(crate) const FETCH: i16 = 12;

pub(crate) struct Wire {
    pub(crate) cluster: Cluster,
    pub(crate) now: Instant,
    connections: BTreeMap<i32, ConnectionId>,
    received: BTreeMap<ConnectionId, VecDeque<Bytes>>,
    pub(crate) closed: Vec<ConnectionId>,
}

/// An answer that is awaited.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Awaited {
    pub(crate) connection: ConnectionId,
    version: i16,
}

impl Wire {
    pub(crate) fn new(options: ClusterOptions) -> Wire {
        let now = Instant::now();
        let cluster = Cluster::new(options, now).unwrap();
        Wire { cluster, now, connections: BTreeMap::new(), received: BTreeMap::new(), closed: Vec::new() }
    }

    /// Three brokers and the topic `t` of one partition that all of them copy.
    pub(crate) fn three() -> Wire {
        Wire::new(ClusterOptions::new().brokers(3).topic("t", 1, 3))
    }

    /// A new connection.
    pub(crate) fn connect(&mut self, broker: i32) -> ConnectionId {
        self.cluster.connect(broker, "10.0.0.7").unwrap()
    }

    /// The connection to a broker that requests use unless they say otherwise.
    pub(crate) fn connection(&mut self, broker: i32) -> ConnectionId {
        match self.connections.get(&broker) {
            Some(known) if !self.closed.contains(known) => *known,
            _ => {
                let connection = self.connect(broker);
                self.connections.insert(broker, connection);
                connection
            }
        }
    }

    /// Sends a request on the broker's connection.
    pub(crate) fn send<R: Request>(&mut self, broker: i32, version: i16, request: &R) -> Awaited {
        let connection = self.connection(broker);
        self.send_on(connection, version, request)
    }

    pub(crate) fn send_on<R: Request>(
        &mut self,
        connection: ConnectionId,
        version: i16,
        request: &R,
    ) -> Awaited {
        let frame = encode_request(request, version, 7, Some("script")).unwrap().to_bytes();
        self.cluster.handle(self.now, connection, frame);
        self.collect();
        Awaited { connection, version }
    }

    /// The answer, if it is there.
    pub(crate) fn answer<R: Request>(&mut self, awaited: Awaited) -> Option<R::Response> {
        let bytes = self.received.get_mut(&awaited.connection)?.pop_front()?;
        let (header, body) = split_response(&bytes.slice(4..), R::API, awaited.version).unwrap();
        assert_eq!(
            usize::try_from(u32::from_be_bytes(bytes[..4].try_into().unwrap())).unwrap(),
            bytes.len() - 4
        );
        assert_eq!(header.correlation_id, 7);
        Some(decode_response::<R>(&body, awaited.version).unwrap())
    }

    /// The bytes of the answer, if there are any.
    pub(crate) fn bytes(&mut self, connection: ConnectionId) -> Option<Bytes> {
        self.received.get_mut(&connection)?.pop_front()
    }

    /// Whether there is an answer.
    pub(crate) fn has(&self, connection: ConnectionId) -> bool {
        self.received.get(&connection).is_some_and(|received| !received.is_empty())
    }

    /// Sends a request that is answered at once.
    pub(crate) fn ask<R: Request>(&mut self, broker: i32, version: i16, request: &R) -> R::Response {
        let awaited = self.send(broker, version, request);
        self.answer::<R>(awaited).expect("an answer at once")
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.cluster.poll_deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.cluster.handle_deadline(self.now);
        }
        self.now = end;
        self.cluster.handle_deadline(self.now);
        self.collect();
    }

    pub(crate) fn collect(&mut self) {
        while let Some(output) = self.cluster.poll_output() {
            match output {
                Output::Send { connection, chunks } => {
                    self.received.entry(connection).or_default().push_back(chunks.concat().into());
                }
                Output::Close { connection } => self.closed.push(connection),
                Output::Ready { .. } | Output::Listen { .. } => {}
            }
        }
    }

    pub(crate) fn leader(&self) -> i32 {
        self.cluster.leader("t", 0).unwrap()
    }

    /// Brokers other than the leader of `t`.
    pub(crate) fn followers(&self) -> [i32; 2] {
        let others: Vec<i32> = (1..=3).filter(|id| *id != self.leader()).collect();
        others.try_into().unwrap()
    }

    /// `t`'s partition as metadata shows it.
    pub(crate) fn metadata(&mut self, broker: i32) -> MetadataResponsePartition {
        let topics = vec![MetadataRequestTopic { name: Some("t".to_owned()), ..Default::default() }];
        let request = MetadataRequest { topics: Some(topics), ..Default::default() };
        let mut response = self.ask(broker, 12, &request);
        response.topics.remove(0).partitions.remove(0)
    }

    /// Produces to the leader of `t`, which answers at once.
    pub(crate) fn produce(&mut self, acks: i16, records: Bytes) -> PartitionProduceResponse {
        let response = self.ask(self.leader(), PRODUCE, &produce_request(acks, records));
        only_result(response.responses)
    }

    /// The values that a fetch from the leader of `t` finds from an offset on.
    pub(crate) fn read(&mut self, offset: i64) -> Vec<String> {
        let data = self.fetch(self.leader(), &fetch_request(offset));
        assert_eq!(data.error_code, ErrorCode::NONE);
        values(data.records.unwrap())
    }

    /// Where `t` ends for consumers.
    pub(crate) fn read_end(&mut self) -> i64 {
        self.fetch(self.leader(), &fetch_request(0)).high_watermark
    }

    pub(crate) fn fetch(&mut self, broker: i32, request: &FetchRequest) -> PartitionData {
        let mut response = self.ask(broker, FETCH, request);
        response.responses.remove(0).partitions.remove(0)
    }
}

pub(crate) fn only_result(
    mut responses: Vec<ottla_protocol::messages::produce::TopicProduceResponse>,
) -> PartitionProduceResponse {
    responses.remove(0).partition_responses.remove(0)
}

pub(crate) fn produce_request(acks: i16, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData { index: 0, records: Some(records), ..Default::default() };
    let topic = TopicProduceData { name: "t".to_owned(), partition_data: vec![data], ..Default::default() };
    ProduceRequest { acks, timeout_ms: 1000, topic_data: vec![topic], ..Default::default() }
}

/// A fetch of `t` that doesn't wait and has no session.
pub(crate) fn fetch_request(fetch_offset: i64) -> FetchRequest {
    let partition = FetchPartition { fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() };
    FetchRequest {
        min_bytes: 1,
        topics: vec![FetchTopic { topic: "t".to_owned(), partitions: vec![partition], ..Default::default() }],
        ..Default::default()
    }
}

/// A batch of one record for each value.
pub(crate) fn batch(values: &[&str]) -> Bytes {
    sequenced(ProducerState::default(), values)
}

/// A batch of an idempotent producer.
pub(crate) fn sequenced(producer: ProducerState, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(1 << 20);
    for value in values {
        builder.try_append(1_700_000_000_000, None, Some(value.as_bytes()), NO_HEADERS).unwrap();
    }
    let options = SealOptions { producer, ..Default::default() };
    builder.seal(&options, &mut Compressor::none()).unwrap().bytes()
}

pub(crate) fn values(records: Bytes) -> Vec<String> {
    let mut values = Vec::new();
    for batch in Batches::new(records) {
        let mut cursor = batch.unwrap().cursor(&Default::default()).unwrap();
        while let Some(record) = cursor.next_ref().unwrap() {
            values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
        }
    }
    values
}
