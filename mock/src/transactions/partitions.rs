//! What a transaction consists of: partitions and groups are added by the producer, or by the brokers that it writes to.

use std::time::Instant;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use ottla_protocol::messages::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult, AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult,
};

use super::Transactions;
use super::state::{Identity, State, Target};

/// What a client writes with, which decides what it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriterKind {
    /// It adds what it writes to beforehand, and doesn't know `TRANSACTION_ABORTABLE`.
    Old,
    /// It adds what it writes to beforehand.
    Explicit,
    /// What it writes to is added by that (transaction version 2).
    Implicit,
}

impl WriterKind {
    /// Of a Produce request's version.
    pub const fn of_produce(version: i16) -> WriterKind {
        match version {
            ..=10 => WriterKind::Old,
            11 => WriterKind::Explicit,
            12.. => WriterKind::Implicit,
        }
    }

    /// Of a TxnOffsetCommit request's version.
    pub const fn of_txn_offset_commit(version: i16) -> WriterKind {
        match version {
            ..=3 => WriterKind::Old,
            4 => WriterKind::Explicit,
            5.. => WriterKind::Implicit,
        }
    }

    /// Whether its first write adds the target.
    pub const fn is_implicit(self) -> bool {
        matches!(self, WriterKind::Implicit)
    }
}

/// A write that is about to begin a transaction somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The transactional id that the request states; empty if none.
    pub transactional_id: String,
    /// The producer's id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// Where it writes.
    pub target: Target,
    /// With what.
    pub kind: WriterKind,
}

impl Transactions {
    /// Lets a write into a transaction: adds its target, or checks that the producer did. A partition's leader asks
    /// before the first batch, a group's coordinator before the first offsets.
    ///
    /// # Errors
    /// The code for the write's answer; a coordinator that is busy is told to producers that add their partitions
    /// beforehand as `NOT_ENOUGH_REPLICAS`.
    pub fn admit(&mut self, now: Instant, write: &Admission) -> Result<(), ErrorCode> {
        let owner = Identity { producer_id: write.producer_id, epoch: write.producer_epoch };
        let id = &write.transactional_id;
        let admitted = if write.kind.is_implicit() {
            self.add(now, id, owner, vec![write.target.clone()], 2)
        } else {
            self.verify(id, owner, &write.target)
        };
        admitted.map_err(|code| match (code, write.kind, &write.target) {
            (ErrorCode::PRODUCER_FENCED, ..) => ErrorCode::INVALID_PRODUCER_EPOCH,
            (ErrorCode::TRANSACTION_ABORTABLE, WriterKind::Old, _) => ErrorCode::INVALID_TXN_STATE,
            (ErrorCode::CONCURRENT_TRANSACTIONS, WriterKind::Implicit, _) => code,
            (ErrorCode::CONCURRENT_TRANSACTIONS, _, Target::Partition { .. }) => {
                ErrorCode::NOT_ENOUGH_REPLICAS
            }
            _ => code,
        })
    }

    /// Adds partitions, or checks that they are in. `check` says what keeps a partition out, such as
    /// `UNKNOWN_TOPIC_OR_PARTITION`, or `NONE`; then the request's other partitions stay out, too.
    pub fn handle_add_partitions(
        &mut self,
        now: Instant,
        version: i16,
        request: &AddPartitionsToTxnRequest,
        check: impl Fn(&str, i32) -> ErrorCode,
    ) -> AddPartitionsToTxnResponse {
        if version < 4 {
            let owner = Identity {
                producer_id: request.v3_and_below_producer_id,
                epoch: request.v3_and_below_producer_epoch,
            };
            let topics = &request.v3_and_below_topics;
            let id = &request.v3_and_below_transactional_id;
            let added = match self.add_topics(now, id, owner, topics, &check) {
                ErrorCode::PRODUCER_FENCED if version < 2 => ErrorCode::INVALID_PRODUCER_EPOCH,
                code => code,
            };
            let results = answer(topics, |topic, partition| first(check(topic, partition), added));
            return AddPartitionsToTxnResponse {
                results_by_topic_v3_and_below: results,
                ..Default::default()
            };
        }
        let mut results = Vec::with_capacity(request.transactions.len());
        for asked in &request.transactions {
            let id = &asked.transactional_id;
            let owner = Identity { producer_id: asked.producer_id, epoch: asked.producer_epoch };
            let topic_results = if asked.verify_only {
                answer(&asked.topics, |topic, partition| {
                    let refused = check(topic, partition);
                    if !refused.is_ok() {
                        return refused;
                    }
                    match self.verify(id, owner, &target(topic, partition)) {
                        Ok(()) => ErrorCode::NONE,
                        Err(code) => code,
                    }
                })
            } else {
                let added = self.add_topics(now, id, owner, &asked.topics, &check);
                answer(&asked.topics, |topic, partition| first(check(topic, partition), added))
            };
            results.push(AddPartitionsToTxnResult {
                transactional_id: id.clone(),
                topic_results,
                ..Default::default()
            });
        }
        AddPartitionsToTxnResponse { results_by_transaction: results, ..Default::default() }
    }

    /// Adds the offsets of a group.
    pub fn handle_add_offsets(
        &mut self,
        now: Instant,
        version: i16,
        request: &AddOffsetsToTxnRequest,
    ) -> AddOffsetsToTxnResponse {
        let owner = Identity { producer_id: request.producer_id, epoch: request.producer_epoch };
        let group = Target::Group(request.group_id.clone());
        let error_code = match self.add(now, &request.transactional_id, owner, vec![group], 0) {
            Ok(()) => ErrorCode::NONE,
            Err(ErrorCode::PRODUCER_FENCED) if version < 2 => ErrorCode::INVALID_PRODUCER_EPOCH,
            Err(code) => code,
        };
        AddOffsetsToTxnResponse { error_code, ..Default::default() }
    }

    /// Adds all of a request's partitions, or none, and gives the code for those that `check` finds nothing wrong with.
    fn add_topics(
        &mut self,
        now: Instant,
        id: &str,
        owner: Identity,
        topics: &[AddPartitionsToTxnTopic],
        check: impl Fn(&str, i32) -> ErrorCode,
    ) -> ErrorCode {
        let partitions =
            || topics.iter().flat_map(|t| t.partitions.iter().map(move |p| (t.name.as_str(), *p)));
        if partitions().any(|(topic, partition)| !check(topic, partition).is_ok()) {
            return ErrorCode::OPERATION_NOT_ATTEMPTED;
        }
        let targets = partitions().map(|(topic, partition)| target(topic, partition)).collect();
        self.add(now, id, owner, targets, 0).err().unwrap_or(ErrorCode::NONE)
    }

    fn add(
        &mut self,
        now: Instant,
        id: &str,
        owner: Identity,
        targets: Vec<Target>,
        version: i8,
    ) -> Result<(), ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let now_ms = self.now_ms(now);
        let known = self.transactions.get_mut(id).ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        known.check_owner(owner)?;
        let is_known =
            known.state == State::Ongoing && targets.iter().all(|target| known.targets.contains(target));
        if !is_known {
            known.add(now, now_ms, targets, version);
        }
        Ok(())
    }

    fn verify(&self, id: &str, owner: Identity, target: &Target) -> Result<(), ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let known = self.transactions.get(id).ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        known.check_owner(owner)?;
        if known.targets.contains(target) { Ok(()) } else { Err(ErrorCode::TRANSACTION_ABORTABLE) }
    }
}

fn target(topic: &str, partition: i32) -> Target {
    Target::Partition { topic: topic.to_owned(), partition }
}

/// The first code that is an error, if one is.
fn first(one: ErrorCode, other: ErrorCode) -> ErrorCode {
    if one.is_ok() { other } else { one }
}

/// The answer for topics, partition by partition.
fn answer(
    topics: &[AddPartitionsToTxnTopic],
    code: impl Fn(&str, i32) -> ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let result = |topic: &AddPartitionsToTxnTopic| AddPartitionsToTxnTopicResult {
        name: topic.name.clone(),
        results_by_partition: topic
            .partitions
            .iter()
            .map(|&partition| AddPartitionsToTxnPartitionResult {
                partition_index: partition,
                partition_error_code: code(&topic.name, partition),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    topics.iter().map(result).collect()
}
