//! Transactions by plain requests: as much of a producer as a reader's tests need.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read the clock and panic where they fail"
)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_client::{Client, CoordinatorKey, Purpose, Target};
use ottla_protocol::api::Request;
use ottla_protocol::compression::Compressor;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::end_txn::EndTxnRequest;
use ottla_protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla_protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
};
use ottla_protocol::records::{BatchBuilder, NO_HEADERS, ProducerState, SealOptions};

/// How long a coordinator that is not ready is left alone.
const REST: Duration = Duration::from_millis(20);

/// A transaction of the second kind (KIP-890): writing to a partition makes it part of it.
pub(crate) struct Transaction {
    client: Client,
    id: String,
    producer_id: i64,
    epoch: i16,
    sequence: i32,
}

impl Transaction {
    pub(crate) async fn begin(client: &Client, id: &str) -> Transaction {
        let mut this =
            Transaction { client: client.clone(), id: id.into(), producer_id: -1, epoch: -1, sequence: 0 };
        let request = InitProducerIdRequest {
            transactional_id: Some(id.into()),
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        let key = CoordinatorKey::Transaction(id.into());
        let answer = this.coordinate(key, &request, |answer| answer.error_code).await;
        (this.producer_id, this.epoch) = (answer.producer_id, answer.producer_epoch);
        this
    }

    /// Writes a batch of so many records to partition 0.
    pub(crate) async fn write(&mut self, topic: &str, count: i32) {
        let in_use = self.client.topics_in_use();
        in_use.add(topic);
        let known = self.client.topic(topic, deadline()).await.unwrap();
        let leader = self.client.cluster().leader(topic, 0).unwrap().node;
        let data = PartitionProduceData { index: 0, records: Some(self.batch(count)), ..Default::default() };
        let topic_data = TopicProduceData {
            name: topic.into(),
            topic_id: known.id,
            partition_data: vec![data],
            ..Default::default()
        };
        let request = ProduceRequest {
            transactional_id: Some(self.id.clone()),
            acks: -1,
            timeout_ms: 5_000,
            topic_data: vec![topic_data],
            ..Default::default()
        };
        let target = Target::Node(leader, Purpose::Produce);
        loop {
            let answer = self.client.call(target, &request, deadline()).await.unwrap();
            match answer.responses[0].partition_responses[0].error_code {
                // The markers of the last transaction are still being written.
                ErrorCode::CONCURRENT_TRANSACTIONS => tokio::time::sleep(REST).await,
                code => break code.check().unwrap(),
            }
        }
        self.sequence += count;
    }

    /// Makes a group's offset of partition 0 part of the transaction: it is not stable until that ends.
    pub(crate) async fn commit_offset(&mut self, group: &str, topic: &str, offset: i64) {
        let row = TxnOffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
        let topic =
            TxnOffsetCommitRequestTopic { name: topic.into(), partitions: vec![row], ..Default::default() };
        let request = TxnOffsetCommitRequest {
            transactional_id: self.id.clone(),
            group_id: group.into(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            generation_id: -1,
            topics: vec![topic],
            ..Default::default()
        };
        let code = |answer: &TxnOffsetCommitResponse| answer.topics[0].partitions[0].error_code;
        self.coordinate(CoordinatorKey::Group(group.into()), &request, code).await;
    }

    pub(crate) async fn end(&mut self, committed: bool) {
        let request = EndTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            committed,
            ..Default::default()
        };
        let key = CoordinatorKey::Transaction(self.id.as_str().into());
        let answer = self.coordinate(key, &request, |answer| answer.error_code).await;
        if answer.producer_epoch >= 0 {
            (self.producer_id, self.epoch, self.sequence) = (answer.producer_id, answer.producer_epoch, 0);
        }
    }

    /// Asks a coordinator until it is one, and is done with the transaction before.
    async fn coordinate<R: Request>(
        &self,
        key: CoordinatorKey,
        request: &R,
        code: impl Fn(&R::Response) -> ErrorCode,
    ) -> R::Response {
        loop {
            let node = self.client.coordinator(&key, deadline()).await.unwrap();
            let target = Target::Node(node, Purpose::General);
            let answer = self.client.call(target, request, deadline()).await.unwrap();
            match code(&answer) {
                ErrorCode::NONE => return answer,
                code if code.is_retriable() || code == ErrorCode::CONCURRENT_TRANSACTIONS => {
                    self.client.forget_coordinator(&key, node);
                    tokio::time::sleep(REST).await;
                }
                code => panic!("{code}"),
            }
        }
    }

    fn batch(&self, count: i32) -> Bytes {
        let mut builder = BatchBuilder::new(1 << 16);
        for _ in 0..count {
            builder.try_append(1, None, Some(b"of a transaction"), NO_HEADERS).unwrap();
        }
        let producer = ProducerState {
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            base_sequence: self.sequence,
        };
        let options = SealOptions { producer, transactional: true, ..Default::default() };
        builder.seal(&options, &mut Compressor::none()).unwrap().bytes()
    }
}

fn deadline() -> Instant {
    tokio::time::Instant::now().into_std() + Duration::from_secs(30)
}
