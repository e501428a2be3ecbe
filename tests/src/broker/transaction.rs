//! [`Transactions`]: a transactional producer, as small as it can be.
//!
//! Speaks the protocol of Kafka 4: Produce makes a partition part of the transaction, and each end of one raises the epoch.
//!
//! Sources: KIP-98, KIP-890.

use std::time::{Duration, Instant};

use ottla::protocol::api::Request;
use ottla::protocol::compression::Compressor;
use ottla::protocol::error_code::ErrorCode;
use ottla::protocol::messages::end_txn::EndTxnRequest;
use ottla::protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla::protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla::protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
};
use ottla::protocol::records::{BatchBuilder, NO_HEADERS, ProducerState, SealOptions};
use ottla::{Kafka, TopicPartition};
use ottla_client::{CoordinatorKey, Purpose, Target, TopicsInUse};

use super::run::{DEADLINE, now_ms, unique};

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(20);

/// Writes to one partition in transactions.
#[derive(Debug)]
pub struct Transactions {
    kafka: Kafka,
    id: String,
    partition: TopicPartition,
    producer: ProducerState,
    /// Keeps the partition's leader known.
    _in_use: TopicsInUse,
}

impl Transactions {
    /// With a transactional id of its own.
    pub async fn begin(kafka: &Kafka, partition: &TopicPartition) -> Transactions {
        let id = unique("transactions");
        let in_use = kafka.client().topics_in_use();
        in_use.add(&partition.topic);
        let request = InitProducerIdRequest {
            transactional_id: Some(id.clone()),
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        let mut transactions = Transactions {
            kafka: kafka.clone(),
            id,
            partition: partition.clone(),
            producer: ProducerState { producer_id: -1, producer_epoch: -1, base_sequence: 0 },
            _in_use: in_use,
        };
        let answer = transactions.ask(&transactions.key(), &request, |answer| answer.error_code).await;
        transactions.producer.producer_id = answer.producer_id;
        transactions.producer.producer_epoch = answer.producer_epoch;
        transactions
    }

    /// Writes a batch of records with these values; gives back the first one's offset.
    pub async fn send(&mut self, values: &[Vec<u8>]) -> i64 {
        let mut builder = BatchBuilder::new(1 << 20);
        for value in values {
            builder.try_append(now_ms(), None, Some(value), NO_HEADERS).expect("room for all");
        }
        let options = SealOptions { producer: self.producer, transactional: true, ..Default::default() };
        let batch = builder.seal(&options, &mut Compressor::none()).expect("few bytes");
        self.producer.base_sequence += i32::try_from(values.len()).expect("few records");

        let (deadline, name) = (Instant::now() + DEADLINE, &self.partition.topic);
        let client = self.kafka.client();
        let topic = client.topic(name, deadline).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let partition = PartitionProduceData {
            index: self.partition.partition,
            records: Some(batch.bytes()),
            ..Default::default()
        };
        let request = ProduceRequest {
            transactional_id: Some(self.id.clone()),
            acks: -1,
            timeout_ms: 10_000,
            topic_data: vec![TopicProduceData {
                name: name.to_string(),
                topic_id: topic.id,
                partition_data: vec![partition],
                ..Default::default()
            }],
            ..Default::default()
        };
        loop {
            let Some(leader) =
                client.cluster().leader(name, self.partition.partition).map(|leader| leader.node)
            else {
                client.refresh_metadata();
                wait(&self.id, ErrorCode::LEADER_NOT_AVAILABLE, deadline).await;
                continue;
            };
            let answer = client.call(Target::Node(leader, Purpose::Produce), &request, deadline).await;
            let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", self.id));
            let told = &answer.responses[0].partition_responses[0];
            match told.error_code {
                ErrorCode::NONE => return told.base_offset,
                code => {
                    client.refresh_metadata();
                    wait(&self.id, code, deadline).await;
                }
            }
        }
    }

    /// Makes a group's offset of the partition part of the transaction: it is not stable until that ends.
    pub async fn commit_offset(&self, group: &str, offset: i64) {
        let row = TxnOffsetCommitRequestPartition {
            partition_index: self.partition.partition,
            committed_offset: offset,
            ..Default::default()
        };
        let topic = TxnOffsetCommitRequestTopic {
            name: self.partition.topic.to_string(),
            partitions: vec![row],
            ..Default::default()
        };
        let request = TxnOffsetCommitRequest {
            transactional_id: self.id.clone(),
            group_id: group.to_string(),
            producer_id: self.producer.producer_id,
            producer_epoch: self.producer.producer_epoch,
            generation_id: -1,
            topics: vec![topic],
            ..Default::default()
        };
        let code = |answer: &TxnOffsetCommitResponse| answer.topics[0].partitions[0].error_code;
        self.ask(&CoordinatorKey::Group(group.into()), &request, code).await;
    }

    /// Ends the transaction: its records count, or they don't.
    pub async fn end(&mut self, committed: bool) {
        let request = EndTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer.producer_id,
            producer_epoch: self.producer.producer_epoch,
            committed,
            ..Default::default()
        };
        let answer = self.ask(&self.key(), &request, |answer| answer.error_code).await;
        self.producer = ProducerState {
            producer_id: answer.producer_id,
            producer_epoch: answer.producer_epoch,
            base_sequence: 0,
        };
    }

    fn key(&self) -> CoordinatorKey {
        CoordinatorKey::Transaction(self.id.as_str().into())
    }

    /// Asks a coordinator until it is one, and is done with the transaction before.
    async fn ask<R: Request>(
        &self,
        key: &CoordinatorKey,
        request: &R,
        code: impl Fn(&R::Response) -> ErrorCode,
    ) -> R::Response {
        let deadline = Instant::now() + DEADLINE;
        let client = self.kafka.client();
        loop {
            let node = client.coordinator(key, deadline).await;
            let node = node.unwrap_or_else(|error| panic!("{key}: {error}"));
            let answer = client.call(Target::Node(node, Purpose::General), request, deadline).await;
            let answer = answer.unwrap_or_else(|error| panic!("{key}: {error}"));
            match code(&answer) {
                ErrorCode::NONE => return answer,
                code => {
                    client.forget_coordinator(key, node);
                    wait(&self.id, code, deadline).await;
                }
            }
        }
    }
}

async fn wait(id: &str, code: ErrorCode, deadline: Instant) {
    assert!(code.is_retriable() && Instant::now() < deadline, "{id}: {code}");
    tokio::time::sleep(PAUSE).await;
}
