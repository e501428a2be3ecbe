//! A transactional producer: as small as it can be, and honest.
//!
//! It has one batch under way at a time and sends it again with the same numbers until its fate is known. Where that cannot
//! be known in time, or somebody newer has taken over, it is of no further use.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use ottla_client::{Client, CoordinatorKey, Error, GroupMetadata, Purpose};
use ottla_mock::history::{Place, RecordId};
use ottla_protocol::compression::Compressor;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use ottla_protocol::messages::add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnTopic};
use ottla_protocol::messages::end_txn::EndTxnRequest;
use ottla_protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla_protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_protocol::records::{BatchBuilder, NO_HEADERS, ProducerState, SealOptions};

use super::ask::{PATIENCE, ask, is_cut_short, now, passes};
use crate::plan::PipelinePlan;

/// The last versions that know nothing of transactions of the second kind.
const PRODUCE: i16 = 11;
const TXN_OFFSET_COMMIT: i16 = 4;
const END_TXN: i16 = 4;

/// Why a step failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The transaction has to be aborted, or was; the next one can be begun after that.
    Aborted,
    /// The producer is of no further use.
    Over,
}

/// A producer's id and epoch: of two with one transactional id, the later one has the higher.
pub(super) type Identity = (i64, i16);

/// A producer with a transactional id.
#[derive(Debug)]
pub(super) struct TransactionalProducer {
    client: Client,
    id: String,
    key: CoordinatorKey,
    second_kind: bool,
    producer_id: i64,
    epoch: i16,
    /// The next number of each partition.
    sequences: BTreeMap<Place, i32>,
    /// What the open transaction writes to.
    added: BTreeSet<Place>,
    has_offsets: bool,
    _topic: ottla_client::TopicsInUse,
}

impl TransactionalProducer {
    /// Takes the transactional id over: fences whoever had it, and has their open transaction aborted.
    pub(super) async fn begin(client: Client, plan: &PipelinePlan) -> Result<TransactionalProducer, Error> {
        let key = CoordinatorKey::Transaction(plan.id.as_str().into());
        let request = InitProducerIdRequest {
            transactional_id: Some(plan.id.clone()),
            transaction_timeout_ms: i32::try_from(plan.timeout.as_millis()).unwrap_or(i32::MAX),
            ..Default::default()
        };
        let (code, answer) = ask(&client, &key, &request, i16::MAX, |answer| answer.error_code).await?;
        if !code.is_ok() {
            return Err(Error::from_code(code, "no producer id"));
        }
        let topics = client.topics_in_use();
        topics.add(crate::plan::OUTPUT);
        Ok(TransactionalProducer {
            client,
            id: plan.id.clone(),
            key,
            second_kind: plan.second_kind,
            producer_id: answer.producer_id,
            epoch: answer.producer_epoch,
            sequences: BTreeMap::new(),
            added: BTreeSet::new(),
            has_offsets: false,
            _topic: topics,
        })
    }

    /// Who it is now.
    pub(super) fn identity(&self) -> Identity {
        (self.producer_id, self.epoch)
    }

    /// Writes a batch, and says where it begins, if the broker does.
    pub(super) async fn send(
        &mut self,
        place: &Place,
        records: &[RecordId],
        now_ms: i64,
    ) -> Result<Option<i64>, Failure> {
        if !self.second_kind && !self.added.contains(place) {
            self.add_partition(place).await?;
        }
        // Even a batch that fails may have become part of it.
        self.added.insert(place.clone());
        let sequence = self.sequences.entry(place.clone()).or_default();
        let producer = ProducerState {
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            base_sequence: *sequence,
        };
        let batch = batch(records, producer, now_ms).ok_or(Failure::Over)?;
        *sequence += i32::try_from(records.len()).unwrap_or(0);
        let deadline = now() + PATIENCE;
        loop {
            match self.try_send(place, &batch).await {
                Ok((code, base)) if code.is_ok() => return Ok((base >= 0).then_some(base)),
                Ok((ErrorCode::DUPLICATE_SEQUENCE_NUMBER, _)) => return Ok(None),
                Ok((code, _)) if !passes(code) => return Err(Failure::Over),
                Err(error) if !error.is_retriable() && !is_cut_short(&error) => return Err(Failure::Over),
                _ => {}
            }
            if now() >= deadline {
                return Err(Failure::Over);
            }
            self.client.refresh_metadata();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn try_send(&self, place: &Place, batch: &Bytes) -> Result<(ErrorCode, i64), Error> {
        let deadline = now() + Duration::from_secs(2);
        let topic = self.client.topic(&place.topic, deadline).await?;
        let Some(leader) = self.client.cluster().leader(&place.topic, place.partition) else {
            return Ok((ErrorCode::LEADER_NOT_AVAILABLE, -1));
        };
        let connection = self.client.connection(leader.node, Purpose::Produce, deadline).await?;
        let newest = match self.second_kind {
            false => PRODUCE,
            true if topic.id.is_zero() => PRODUCE + 1,
            true => i16::MAX,
        };
        let version = connection.version_at_most::<ProduceRequest>(newest)?;
        let partition = PartitionProduceData {
            index: place.partition,
            records: Some(batch.clone()),
            ..Default::default()
        };
        let request = ProduceRequest {
            transactional_id: Some(self.id.clone()),
            acks: -1,
            timeout_ms: 2_000,
            topic_data: vec![TopicProduceData {
                name: place.topic.to_string(),
                topic_id: topic.id,
                partition_data: vec![partition],
                ..Default::default()
            }],
            ..Default::default()
        };
        let answer = connection.submit(&request, version, deadline)?.await?;
        let said = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        Ok(said.map_or((ErrorCode::UNKNOWN_SERVER_ERROR, -1), |said| (said.error_code, said.base_offset)))
    }

    async fn add_partition(&mut self, place: &Place) -> Result<(), Failure> {
        let topic = AddPartitionsToTxnTopic {
            name: place.topic.to_string(),
            partitions: vec![place.partition],
            ..Default::default()
        };
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.id.clone(),
            v3_and_below_producer_id: self.producer_id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: vec![topic],
            ..Default::default()
        };
        let asked = ask(&self.client, &self.key, &request, 3, |answer| {
            let topics = answer.results_by_topic_v3_and_below.iter();
            let mut codes = topics.flat_map(|topic| &topic.results_by_partition);
            codes.next().map_or(ErrorCode::UNKNOWN_SERVER_ERROR, |result| result.partition_error_code)
        });
        match asked.await {
            Ok((code, _)) if code.is_ok() => Ok(()),
            _ => Err(Failure::Over),
        }
    }

    /// Makes the group's offsets part of the transaction.
    pub(super) async fn commit_offsets(
        &mut self,
        group: &str,
        member: Option<&GroupMetadata>,
        offsets: &BTreeMap<Place, i64>,
    ) -> Result<(), Failure> {
        if !self.second_kind && !self.has_offsets {
            let request = AddOffsetsToTxnRequest {
                transactional_id: self.id.clone(),
                producer_id: self.producer_id,
                producer_epoch: self.epoch,
                group_id: group.to_owned(),
                ..Default::default()
            };
            match ask(&self.client, &self.key, &request, i16::MAX, |answer| answer.error_code).await {
                Ok((code, _)) if code.is_ok() => {}
                _ => return Err(Failure::Over),
            }
        }
        self.has_offsets = true;
        let mut topics: BTreeMap<&str, Vec<TxnOffsetCommitRequestPartition>> = BTreeMap::new();
        for (place, offset) in offsets {
            topics.entry(&place.topic).or_default().push(TxnOffsetCommitRequestPartition {
                partition_index: place.partition,
                committed_offset: *offset,
                ..Default::default()
            });
        }
        let topics = topics.into_iter().map(|(name, partitions)| TxnOffsetCommitRequestTopic {
            name: name.to_owned(),
            partitions,
            ..Default::default()
        });
        let request = TxnOffsetCommitRequest {
            transactional_id: self.id.clone(),
            group_id: group.to_owned(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            generation_id: member.map_or(-1, |member| member.generation_id),
            member_id: member.map_or_else(String::new, |member| member.member_id.clone()),
            group_instance_id: member.and_then(|member| member.group_instance_id.clone()),
            topics: topics.collect(),
            ..Default::default()
        };
        let key = CoordinatorKey::Group(group.into());
        let newest = if self.second_kind { i16::MAX } else { TXN_OFFSET_COMMIT };
        let asked = ask(&self.client, &key, &request, newest, |answer| {
            let codes = answer.topics.iter().flat_map(|topic| &topic.partitions);
            codes.map(|partition| partition.error_code).find(|code| !code.is_ok()).unwrap_or(ErrorCode::NONE)
        });
        match asked.await {
            Ok((ErrorCode::NONE, _)) => Ok(()),
            Ok((
                ErrorCode::ILLEGAL_GENERATION
                | ErrorCode::UNKNOWN_MEMBER_ID
                | ErrorCode::FENCED_INSTANCE_ID
                | ErrorCode::REBALANCE_IN_PROGRESS
                | ErrorCode::TRANSACTION_ABORTABLE,
                _,
            )) => Err(Failure::Aborted),
            _ => Err(Failure::Over),
        }
    }

    /// Ends the transaction. Only an outcome that is known is a success.
    pub(super) async fn end(&mut self, commit: bool) -> Result<(), Failure> {
        let request = EndTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            committed: commit,
            ..Default::default()
        };
        let newest = if self.second_kind { i16::MAX } else { END_TXN };
        let asked = ask(&self.client, &self.key, &request, newest, |answer| answer.error_code).await;
        let Ok((ErrorCode::NONE, answer)) = asked else { return Err(Failure::Over) };
        self.added.clear();
        self.has_offsets = false;
        if self.second_kind {
            self.producer_id = answer.producer_id;
            self.epoch = answer.producer_epoch;
            self.sequences.clear();
        }
        Ok(())
    }
}

fn batch(records: &[RecordId], producer: ProducerState, now_ms: i64) -> Option<Bytes> {
    let mut builder = BatchBuilder::new(1 << 20);
    for record in records {
        builder.try_append(now_ms, None, Some(&record.value(0)), NO_HEADERS).ok()?;
    }
    let options = SealOptions { producer, transactional: true, ..Default::default() };
    Some(builder.seal(&options, &mut Compressor::none()).ok()?.bytes())
}
