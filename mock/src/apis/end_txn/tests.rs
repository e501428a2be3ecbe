//! Transactions from end to end, frame by frame: what a client is answered, and what readers see.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_protocol::api::Request;
use ottla_protocol::compression::Compressor;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::header::{decode_response, encode_request, split_response};
use ottla_protocol::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use ottla_protocol::messages::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use ottla_protocol::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use ottla_protocol::messages::describe_transactions::{DescribeTransactionsRequest, TransactionState};
use ottla_protocol::messages::end_txn::{EndTxnRequest, EndTxnResponse};
use ottla_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, PartitionData};
use ottla_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use ottla_protocol::messages::list_transactions::ListTransactionsRequest;
use ottla_protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_protocol::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use ottla_protocol::records::{BatchBuilder, Batches, DecodeOptions, NO_HEADERS, ProducerState, SealOptions};

use crate::cluster::{Cluster, ClusterOptions, ConnectionId, Output};

type Identity = (i64, i16);

/// A cluster, and a connection to each of its brokers.
struct Script {
    cluster: Cluster,
    connections: Vec<ConnectionId>,
    now: Instant,
}

fn script(brokers: i32) -> Script {
    #[allow(clippy::disallowed_methods, reason = "any instant will do, as only differences count")]
    let now = Instant::now();
    let options =
        ClusterOptions::new().brokers(brokers).epoch_ms(1_700_000_000_000).topic("t", 1, 1).topic("u", 1, 1);
    let mut cluster = Cluster::new(options, now).unwrap();
    let connections = (1..=brokers).map(|broker| cluster.connect(broker, "10.0.0.1").unwrap()).collect();
    Script { cluster, connections, now }
}

impl Script {
    /// Asks a broker, and takes its answer.
    fn ask_at<R: Request>(&mut self, broker: i32, version: i16, request: &R) -> R::Response {
        let connection = self.connections[broker as usize - 1];
        let frame = encode_request(request, version, 1, Some("script")).unwrap().to_bytes();
        self.cluster.handle(self.now, connection, frame);
        loop {
            match self.cluster.poll_output().expect("an answer") {
                Output::Send { connection: to, chunks } if to == connection => {
                    let frame = Bytes::from(chunks.concat()).slice(4..);
                    let (_, body) = split_response(&frame, R::API, version).unwrap();
                    return decode_response::<R>(&body, version).unwrap();
                }
                _ => {}
            }
        }
    }

    fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.ask_at(1, version, request)
    }

    fn init(&mut self, id: &str) -> InitProducerIdResponse {
        let request = InitProducerIdRequest {
            transactional_id: Some(id.to_owned()),
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        self.ask(5, &request)
    }

    fn identity(&mut self, id: &str) -> Identity {
        let answer = self.init(id);
        assert_eq!(answer.error_code, ErrorCode::NONE);
        (answer.producer_id, answer.producer_epoch)
    }

    fn produce(&mut self, version: i16, who: Identity, sequence: i32, topic: &str, value: &str) -> ErrorCode {
        let leader = self.cluster.leader(topic, 0).unwrap();
        let request = ProduceRequest {
            transactional_id: Some("a".to_owned()),
            acks: -1,
            timeout_ms: 1000,
            topic_data: vec![TopicProduceData {
                name: topic.to_owned(),
                partition_data: vec![PartitionProduceData {
                    index: 0,
                    records: Some(batch(who, sequence, value)),
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        self.ask_at(leader, version, &request).responses[0].partition_responses[0].error_code
    }

    fn add(&mut self, broker: i32, who: Identity, topics: &[&str]) -> Vec<ErrorCode> {
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: "a".to_owned(),
            v3_and_below_producer_id: who.0,
            v3_and_below_producer_epoch: who.1,
            v3_and_below_topics: topics.iter().map(|name| added(name)).collect(),
            ..Default::default()
        };
        let topics = self.ask_at(broker, 3, &request).results_by_topic_v3_and_below;
        topics.iter().map(|topic| topic.results_by_partition[0].partition_error_code).collect()
    }

    fn end(&mut self, version: i16, who: Identity, committed: bool) -> EndTxnResponse {
        let request = EndTxnRequest {
            transactional_id: "a".to_owned(),
            producer_id: who.0,
            producer_epoch: who.1,
            committed,
            ..Default::default()
        };
        self.ask(version, &request)
    }

    fn describe(&mut self) -> TransactionState {
        let request =
            DescribeTransactionsRequest { transactional_ids: vec!["a".to_owned()], ..Default::default() };
        self.ask(0, &request).transaction_states.remove(0)
    }

    fn fetch(&mut self, topic: &str) -> PartitionData {
        let leader = self.cluster.leader(topic, 0).unwrap();
        let request = FetchRequest {
            max_wait_ms: 0,
            max_bytes: 1 << 20,
            isolation_level: 1,
            session_epoch: -1,
            topics: vec![FetchTopic {
                topic: topic.to_owned(),
                partitions: vec![FetchPartition {
                    partition_max_bytes: 1 << 20,
                    current_leader_epoch: -1,
                    last_fetched_epoch: -1,
                    log_start_offset: -1,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        self.ask_at(leader, 12, &request).responses.remove(0).partitions.remove(0)
    }

    /// The aborted transactions, the last stable offset, and the values before it.
    fn committed(&mut self, topic: &str) -> (Vec<(i64, i64)>, i64, Vec<String>) {
        let fetched = self.fetch(topic);
        assert_eq!(fetched.error_code, ErrorCode::NONE);
        let aborted = fetched.aborted_transactions.unwrap_or_default();
        let mut values = Vec::new();
        for batch in Batches::new(fetched.records.unwrap_or_default()) {
            let batch = batch.unwrap();
            let mut cursor = batch.cursor(&DecodeOptions::DEFAULT).unwrap();
            while let Some(record) = cursor.next_ref().unwrap().filter(|_| !batch.is_control()) {
                values.push(String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned());
            }
        }
        let aborted = aborted.iter().map(|aborted| (aborted.producer_id, aborted.first_offset)).collect();
        (aborted, fetched.last_stable_offset, values)
    }
}

fn batch(who: Identity, base_sequence: i32, value: &str) -> Bytes {
    let mut builder = BatchBuilder::new(1000);
    builder.try_append(1_700_000_000_000, None, Some(value.as_bytes()), NO_HEADERS).unwrap();
    let producer = ProducerState { producer_id: who.0, producer_epoch: who.1, base_sequence };
    let options = SealOptions { producer, transactional: true, ..SealOptions::default() };
    builder.seal(&options, &mut Compressor::none()).unwrap().bytes()
}

fn added(name: &str) -> AddPartitionsToTxnTopic {
    AddPartitionsToTxnTopic { name: name.to_owned(), partitions: vec![0], ..Default::default() }
}

#[test]
fn a_transaction_of_version_2_is_seen_once_it_is_committed() {
    let mut script = script(1);
    let who = script.identity("a");
    assert_eq!(script.produce(12, who, 0, "t", "x"), ErrorCode::NONE);
    assert_eq!(script.produce(12, who, 1, "t", "y"), ErrorCode::NONE);
    assert_eq!(script.produce(12, who, 0, "u", "z"), ErrorCode::NONE);
    assert_eq!(script.committed("t"), (vec![], 0, vec![]));
    let described = script.describe();
    assert_eq!(described.transaction_state, "Ongoing");
    assert_eq!(described.topics.iter().map(|data| data.topic.as_str()).collect::<Vec<_>>(), ["t", "u"]);

    let ended = script.end(5, who, true);
    assert_eq!(
        (ended.error_code, ended.producer_id, ended.producer_epoch),
        (ErrorCode::NONE, who.0, who.1 + 1)
    );
    assert_eq!(script.committed("t"), (vec![], 3, vec!["x".to_owned(), "y".to_owned()]));
    assert_eq!(script.committed("u"), (vec![], 2, vec!["z".to_owned()]));
    assert_eq!(script.describe().transaction_state, "CompleteCommit");
    assert_eq!(script.produce(12, who, 2, "t", "late"), ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(script.produce(12, (who.0, who.1 + 1), 0, "t", "next"), ErrorCode::NONE);
}

#[test]
fn a_transaction_of_version_1_announces_its_partitions_and_its_abort_is_listed() {
    let mut script = script(1);
    let who = script.identity("a");
    assert_eq!(script.produce(10, who, 0, "t", "x"), ErrorCode::INVALID_TXN_STATE);
    assert_eq!(script.produce(11, who, 0, "t", "x"), ErrorCode::TRANSACTION_ABORTABLE);
    let (left_out, unknown) = (ErrorCode::OPERATION_NOT_ATTEMPTED, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(script.add(1, who, &["t", "missing"]), [left_out, unknown]);
    assert_eq!(script.add(1, who, &["__transaction_state"]), [ErrorCode::TOPIC_AUTHORIZATION_FAILED]);
    assert_eq!(script.add(1, who, &["t"]), [ErrorCode::NONE]);
    assert_eq!(script.produce(10, who, 0, "t", "x"), ErrorCode::NONE);
    assert_eq!(script.produce(10, who, 0, "t", "x"), ErrorCode::NONE, "a repeated batch");
    let ended = script.end(4, who, false);
    assert_eq!(ended.error_code, ErrorCode::NONE);
    assert_eq!(script.committed("t"), (vec![(who.0, 0)], 2, vec!["x".to_owned()]));

    assert_eq!(script.add(1, who, &["t"]), [ErrorCode::NONE]);
    assert_eq!(script.produce(10, who, 1, "t", "y"), ErrorCode::NONE);
    assert_eq!(script.end(4, who, true).error_code, ErrorCode::NONE);
    assert_eq!(script.committed("t").1, 4);
}

#[test]
fn groups_offsets_are_part_of_a_description() {
    let mut script = script(1);
    let who = script.identity("a");
    let request = AddOffsetsToTxnRequest {
        transactional_id: "a".to_owned(),
        producer_id: who.0,
        producer_epoch: who.1,
        group_id: "g".to_owned(),
        ..Default::default()
    };
    assert_eq!(script.ask(3, &request).error_code, ErrorCode::NONE);
    let described = script.describe();
    let topics: Vec<(&str, &[i32])> =
        described.topics.iter().map(|data| (data.topic.as_str(), &data.partitions[..])).collect();
    // "g".hashCode() is 103.
    assert_eq!(topics, [("__consumer_offsets", &[3][..])]);
    assert_eq!(script.end(4, who, true).error_code, ErrorCode::NONE);
    assert_eq!(script.describe().transaction_state, "CompleteCommit");
}

#[test]
fn only_the_coordinator_answers_for_an_id() {
    let mut script = script(3);
    let request = InitProducerIdRequest {
        transactional_id: Some("a".to_owned()),
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    let answers: Vec<ErrorCode> =
        (1..=3).map(|broker| script.ask_at(broker, 5, &request).error_code).collect();
    assert_eq!(answers.iter().filter(|code| **code == ErrorCode::NONE).count(), 1);
    assert_eq!(answers.iter().filter(|code| **code == ErrorCode::NOT_COORDINATOR).count(), 2);
    let coordinator = 1 + answers.iter().position(|code| code.is_ok()).unwrap() as i32;
    let other = coordinator % 3 + 1;
    assert_eq!(script.add(other, (0, 0), &["t"]), [ErrorCode::NOT_COORDINATOR]);
    assert_eq!(script.add(coordinator, (0, 0), &["t"]), [ErrorCode::NONE]);
    let list = ListTransactionsRequest::default();
    assert_eq!(script.ask_at(coordinator, 2, &list).transaction_states.len(), 1);
    assert_eq!(script.ask_at(other, 2, &list).transaction_states.len(), 0);
    let describe =
        DescribeTransactionsRequest { transactional_ids: vec!["a".to_owned()], ..Default::default() };
    let described = script.ask_at(other, 0, &describe).transaction_states;
    assert_eq!(described[0].error_code, ErrorCode::NOT_COORDINATOR);

    let transactions = vec![AddPartitionsToTxnTransaction {
        transactional_id: "a".to_owned(),
        verify_only: true,
        topics: vec![added("t"), added("u")],
        ..Default::default()
    }];
    let verify = AddPartitionsToTxnRequest { transactions, ..Default::default() };
    let mut codes = |broker| -> Vec<ErrorCode> {
        let results = script.ask_at(broker, 5, &verify).results_by_transaction;
        let topics = results[0].topic_results.iter();
        topics.map(|topic| topic.results_by_partition[0].partition_error_code).collect()
    };
    assert_eq!(codes(coordinator), [ErrorCode::NONE, ErrorCode::TRANSACTION_ABORTABLE]);
    assert_eq!(codes(other), [ErrorCode::NOT_COORDINATOR; 2]);
}

#[test]
fn lists_are_filtered_by_a_pattern_for_the_whole_id() {
    let mut script = script(1);
    for id in ["a", "ab", "b"] {
        script.identity(id);
    }
    let mut listed = |pattern: &str| {
        let transactional_id_pattern = Some(pattern.to_owned());
        let answer =
            script.ask(2, &ListTransactionsRequest { transactional_id_pattern, ..Default::default() });
        answer.error_code.check()?;
        Ok(answer.transaction_states.into_iter().map(|state| state.transactional_id).collect::<Vec<_>>())
    };
    assert_eq!(listed("a"), Ok(vec!["a".to_owned()]));
    assert_eq!(listed("a.*|b"), Ok(vec!["a".to_owned(), "ab".to_owned(), "b".to_owned()]));
    assert_eq!(listed("").map(|ids| ids.len()), Ok(3));
    assert_eq!(listed("a)|(b"), Err(ErrorCode::INVALID_REGULAR_EXPRESSION));
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_by_the_coordinator() {
    let mut script = script(1);
    let who = script.identity("a");
    assert_eq!(script.produce(12, who, 0, "t", "x"), ErrorCode::NONE);
    script.now += Duration::from_secs(60);
    script.cluster.handle_deadline(script.now);
    assert_eq!(script.committed("t"), (vec![(who.0, 0)], 2, vec!["x".to_owned()]));
    // Its epoch is the one before, as after an end of its own that it heard nothing of: only an abort fits.
    assert_eq!(script.end(5, who, true).error_code, ErrorCode::INVALID_TXN_STATE);
    assert_eq!(script.end(5, who, false).producer_epoch, who.1 + 1);
    assert_eq!(script.produce(12, who, 1, "t", "y"), ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(script.identity("a"), (who.0, who.1 + 2));
}

#[test]
fn a_successor_waits_for_its_predecessors_abort() {
    let mut script = script(1);
    let who = script.identity("a");
    assert_eq!(script.produce(12, who, 0, "t", "x"), ErrorCode::NONE);
    assert_eq!(script.init("a").error_code, ErrorCode::CONCURRENT_TRANSACTIONS);
    assert_eq!(script.identity("a"), (who.0, who.1 + 2));
    assert_eq!(script.committed("t").0, [(who.0, 0)]);
}

#[test]
fn a_hanging_transaction_is_found_and_ended_by_hand() {
    let mut script = script(1);
    let who = script.identity("a");
    assert_eq!(script.produce(12, who, 0, "t", "x"), ErrorCode::NONE);
    let topics = vec![
        TopicRequest { name: "t".to_owned(), partition_indexes: vec![0, 7], ..Default::default() },
        TopicRequest { name: "no such topic".to_owned(), partition_indexes: vec![0], ..Default::default() },
    ];
    let request = DescribeProducersRequest { topics, ..Default::default() };
    let answer = script.ask(0, &request);
    let found = &answer.topics[0].partitions[0].active_producers;
    assert_eq!((found[0].producer_id, found[0].current_txn_start_offset), (who.0, 0));
    assert_eq!(answer.topics[0].partitions[1].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(answer.topics[1].partitions[0].error_code, ErrorCode::INVALID_TOPIC_EXCEPTION);

    let marker = |producer_epoch| WriteTxnMarkersRequest {
        markers: vec![WritableTxnMarker {
            producer_id: who.0,
            producer_epoch,
            transaction_result: false,
            topics: vec![WritableTxnMarkerTopic {
                name: "t".to_owned(),
                partition_indexes: vec![0, 7],
                ..Default::default()
            }],
            coordinator_epoch: 0,
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut write = |producer_epoch| -> Vec<ErrorCode> {
        let answer = script.ask(1, &marker(producer_epoch));
        answer.markers[0].topics[0].partitions.iter().map(|partition| partition.error_code).collect()
    };
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(write(who.1 - 1), [ErrorCode::INVALID_PRODUCER_EPOCH, unknown]);
    assert_eq!(write(who.1), [ErrorCode::NONE, unknown]);
    assert_eq!(script.committed("t"), (vec![(who.0, 0)], 2, vec!["x".to_owned()]));
}

#[test]
fn a_transaction_is_complete_once_every_partition_has_its_marker() {
    let mut script = script(3);
    let coordinator = (1..=3).find(|broker| {
        let request = InitProducerIdRequest {
            transactional_id: Some("a".to_owned()),
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        script.ask_at(*broker, 5, &request).error_code.is_ok()
    });
    let coordinator = coordinator.unwrap();
    let lost = ["t", "u"].into_iter().find(|topic| script.cluster.leader(topic, 0) != Some(coordinator)).unwrap();
    let leader = script.cluster.leader(lost, 0).unwrap();
    assert_eq!(script.produce(12, (0, 0), 0, lost, "x"), ErrorCode::NONE);
    script.cluster.stop_broker(script.now, leader).unwrap();
    let end = EndTxnRequest { transactional_id: "a".to_owned(), committed: true, ..Default::default() };
    assert_eq!(script.ask_at(coordinator, 5, &end).producer_epoch, 1);
    assert_eq!(script.ask_at(coordinator, 5, &end).error_code, ErrorCode::CONCURRENT_TRANSACTIONS);
    script.cluster.move_transaction_coordinator(script.now, "a", coordinator).unwrap();
    assert_eq!(script.ask_at(coordinator, 5, &end).error_code, ErrorCode::CONCURRENT_TRANSACTIONS);
    script.cluster.restart_broker(script.now, leader).unwrap();
    script.connections[leader as usize - 1] = script.cluster.connect(leader, "10.0.0.1").unwrap();
    assert_eq!(script.ask_at(coordinator, 5, &end).producer_epoch, 1);
    assert_eq!(script.committed(lost), (vec![], 2, vec!["x".to_owned()]));
}
