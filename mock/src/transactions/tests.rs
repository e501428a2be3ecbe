//! Scripts: requests with their versions, answers, and the markers in between.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use ottla_protocol::messages::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use ottla_protocol::messages::end_txn::EndTxnRequest;
use ottla_protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla_protocol::messages::list_transactions::ListTransactionsRequest;

use super::*;

mod describing;
mod ending;
mod identities;
mod model;
mod partitions;
mod timeouts;

const EPOCH_MS: i64 = 1_700_000_000_000;
const TIMEOUT_MS: i32 = 60_000;

/// A coordinator and a clock.
struct Script {
    coordinator: Transactions,
    now: Instant,
}

type Identity = (i64, i16);

fn script() -> Script {
    with(TransactionOptions::default())
}

fn with(options: TransactionOptions) -> Script {
    #[allow(clippy::disallowed_methods, reason = "any instant will do, as only differences count")]
    let now = Instant::now();
    Script { coordinator: Transactions::new(options, now, EPOCH_MS), now }
}

impl Script {
    fn init_as(&mut self, version: i16, id: &str, known: Identity) -> Result<Identity, ErrorCode> {
        let request = InitProducerIdRequest {
            transactional_id: Some(id.to_owned()),
            transaction_timeout_ms: TIMEOUT_MS,
            producer_id: known.0,
            producer_epoch: known.1,
            ..Default::default()
        };
        let answer = self.coordinator.handle_init_producer_id(self.now, version, &request);
        if answer.error_code.is_ok() {
            return Ok((answer.producer_id, answer.producer_epoch));
        }
        assert_eq!((answer.producer_id, answer.producer_epoch), (-1, -1));
        Err(answer.error_code)
    }

    fn init(&mut self, id: &str) -> Result<Identity, ErrorCode> {
        self.init_as(5, id, (-1, -1))
    }

    fn add_as(&mut self, version: i16, id: &str, who: Identity, partitions: &[i32]) -> Vec<ErrorCode> {
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: id.to_owned(),
            v3_and_below_producer_id: who.0,
            v3_and_below_producer_epoch: who.1,
            v3_and_below_topics: vec![topic(partitions)],
            ..Default::default()
        };
        let answer = self.coordinator.handle_add_partitions(self.now, version, &request, exists);
        let topics = &answer.results_by_topic_v3_and_below;
        assert_eq!(topics.len(), 1);
        let results = topics[0].results_by_partition.iter();
        results.map(|result| result.partition_error_code).collect()
    }

    fn add(&mut self, id: &str, who: Identity, partitions: &[i32]) -> Vec<ErrorCode> {
        self.add_as(3, id, who, partitions)
    }

    /// A first write of transaction version 2.
    fn write(&mut self, id: &str, who: Identity, partition: i32) -> Result<(), ErrorCode> {
        self.admit(id, who, target(partition), WriterKind::Implicit)
    }

    fn admit(&mut self, id: &str, who: Identity, target: Target, kind: WriterKind) -> Result<(), ErrorCode> {
        let write = Admission {
            transactional_id: id.to_owned(),
            producer_id: who.0,
            producer_epoch: who.1,
            target,
            kind,
        };
        self.coordinator.admit(self.now, &write)
    }

    fn offsets(&mut self, id: &str, who: Identity, group: &str) -> ErrorCode {
        let request = AddOffsetsToTxnRequest {
            transactional_id: id.to_owned(),
            producer_id: who.0,
            producer_epoch: who.1,
            group_id: group.to_owned(),
            ..Default::default()
        };
        self.coordinator.handle_add_offsets(self.now, 4, &request).error_code
    }

    fn end_as(
        &mut self,
        version: i16,
        id: &str,
        who: Identity,
        committed: bool,
    ) -> Result<Identity, ErrorCode> {
        let request = EndTxnRequest {
            transactional_id: id.to_owned(),
            producer_id: who.0,
            producer_epoch: who.1,
            committed,
            ..Default::default()
        };
        let answer = self.coordinator.handle_end_txn(self.now, version, &request);
        answer.error_code.check().map(|()| (answer.producer_id, answer.producer_epoch))
    }

    /// EndTxn as transaction version 2 knows it.
    fn end(&mut self, id: &str, who: Identity, committed: bool) -> Result<Identity, ErrorCode> {
        self.end_as(5, id, who, committed)
    }

    /// EndTxn as before.
    fn end_v1(&mut self, id: &str, who: Identity, committed: bool) -> ErrorCode {
        self.end_as(4, id, who, committed).err().unwrap_or(ErrorCode::NONE)
    }

    /// Takes the next marker.
    fn marker(&mut self) -> Marker {
        self.coordinator.poll_marker().expect("a marker is due")
    }

    /// Writes a marker everywhere.
    fn wrote(&mut self, marker: &Marker) {
        for target in &marker.targets {
            self.coordinator.handle_marker_written(
                self.now,
                &marker.transactional_id,
                marker.producer_id,
                target,
            );
        }
    }

    /// Writes whatever is due.
    fn settle(&mut self) {
        while let Some(marker) = self.coordinator.poll_marker() {
            self.wrote(&marker);
        }
    }

    fn state(&self, id: &str) -> Option<State> {
        self.coordinator.state(id)
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        if self.coordinator.poll_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.coordinator.handle_deadline(self.now);
        }
    }
}

/// Partition 9 does not exist.
fn exists(_topic: &str, partition: i32) -> ErrorCode {
    if partition == 9 { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION } else { ErrorCode::NONE }
}

fn topic(partitions: &[i32]) -> AddPartitionsToTxnTopic {
    AddPartitionsToTxnTopic { name: "t".to_owned(), partitions: partitions.to_vec(), ..Default::default() }
}

fn target(partition: i32) -> Target {
    Target::Partition { topic: "t".to_owned(), partition }
}

const OK: &[ErrorCode] = &[ErrorCode::NONE];
