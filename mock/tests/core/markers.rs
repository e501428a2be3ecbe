//! Markers of transactions: late, held, of a coordinator that moved, and of its epoch.

use std::time::Duration;

use ottla_mock::ClusterOptions;
use ottla_protocol::compression::Compressor;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use ottla_protocol::messages::end_txn::EndTxnRequest;
use ottla_protocol::messages::find_coordinator::FindCoordinatorRequest;
use ottla_protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla_protocol::messages::produce::ProduceRequest;
use ottla_protocol::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use ottla_protocol::records::{BatchBuilder, NO_HEADERS, ProducerState, SealOptions};

use crate::wire::{PRODUCE, Wire, fetch_request, only_result, produce_request, values};

type Identity = (i64, i16);

fn options() -> ClusterOptions {
    ClusterOptions::new().brokers(3).topic("t", 1, 3)
}

impl Wire {
    fn coordinator(&mut self) -> i32 {
        let keys = vec!["id".to_owned()];
        let request = FindCoordinatorRequest { key_type: 1, coordinator_keys: keys, ..Default::default() };
        self.ask(1, 6, &request).coordinators.remove(0).node_id
    }

    fn init(&mut self) -> Result<Identity, ErrorCode> {
        let request = InitProducerIdRequest {
            transactional_id: Some("id".to_owned()),
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        let coordinator = self.coordinator();
        let response = self.ask(coordinator, 5, &request);
        match response.error_code {
            ErrorCode::NONE => Ok((response.producer_id, response.producer_epoch)),
            code => Err(code),
        }
    }

    fn write(&mut self, (producer_id, producer_epoch): Identity, value: &str) -> ErrorCode {
        let mut builder = BatchBuilder::new(1 << 20);
        builder.try_append(1_700_000_000_000, None, Some(value.as_bytes()), NO_HEADERS).unwrap();
        let producer = ProducerState { producer_id, producer_epoch, base_sequence: 0 };
        let options = SealOptions { producer, transactional: true, ..Default::default() };
        let records = builder.seal(&options, &mut Compressor::none()).unwrap().bytes();
        let transactional_id = Some("id".to_owned());
        let request = ProduceRequest { transactional_id, ..produce_request(-1, records) };
        let leader = self.leader();
        only_result(self.ask(leader, PRODUCE, &request).responses).error_code
    }

    fn commit(&mut self, (producer_id, producer_epoch): Identity) -> Result<Identity, ErrorCode> {
        let transactional_id = "id".to_owned();
        let request = EndTxnRequest {
            transactional_id,
            producer_id,
            producer_epoch,
            committed: true,
            ..Default::default()
        };
        let coordinator = self.coordinator();
        let response = self.ask(coordinator, 5, &request);
        match response.error_code {
            ErrorCode::NONE => Ok((response.producer_id, response.producer_epoch)),
            code => Err(code),
        }
    }

    /// What a reader of committed records finds.
    fn committed(&mut self) -> Vec<String> {
        let mut request = fetch_request(0);
        request.isolation_level = 1;
        let data = self.fetch(self.leader(), &request);
        let mut found = values(data.records.unwrap());
        // Markers are records of their own.
        found.retain(|value| value.starts_with("v"));
        found
    }

    fn coordinator_epoch(&mut self) -> i32 {
        let topic = TopicRequest { name: "t".to_owned(), partition_indexes: vec![0], ..Default::default() };
        let request = DescribeProducersRequest { topics: vec![topic], ..Default::default() };
        let leader = self.leader();
        let mut response = self.ask(leader, 0, &request);
        response.topics.remove(0).partitions.remove(0).active_producers.remove(0).coordinator_epoch
    }
}

#[test]
fn until_its_markers_are_written_a_transaction_is_neither_over_nor_seen() {
    let mut wire = Wire::new(options().marker_delay(Duration::from_millis(100)));
    let who = wire.init().unwrap();
    assert_eq!(wire.write(who, "v"), ErrorCode::NONE);
    let next = wire.commit(who).unwrap();
    assert_eq!(wire.init(), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    assert_eq!(wire.write(next, "w"), ErrorCode::CONCURRENT_TRANSACTIONS);
    assert_eq!(wire.committed(), Vec::<String>::new());
    wire.pass(Duration::from_millis(99));
    assert_eq!(wire.committed(), Vec::<String>::new());
    wire.pass(Duration::from_millis(1));
    assert_eq!(wire.committed(), ["v"]);
    assert_eq!(wire.write(next, "w"), ErrorCode::NONE);
}

#[test]
fn held_markers_are_written_once_they_are_released() {
    let mut wire = Wire::new(options());
    let who = wire.init().unwrap();
    wire.write(who, "v");
    wire.cluster.hold_markers();
    wire.commit(who).unwrap();
    wire.pass(Duration::from_secs(3600));
    assert_eq!((wire.init(), wire.committed()), (Err(ErrorCode::CONCURRENT_TRANSACTIONS), Vec::new()));
    wire.cluster.release_markers(wire.now);
    wire.collect();
    assert_eq!(wire.committed(), ["v"]);
    assert!(wire.init().is_ok());
}

#[test]
fn a_new_coordinator_sends_the_markers_in_its_own_epoch_and_older_ones_are_refused() {
    let mut wire = Wire::new(options());
    let who = wire.init().unwrap();
    wire.write(who, "v");
    wire.cluster.hold_markers();
    wire.commit(who).unwrap();
    for _ in 0..2 {
        let to = wire.coordinator() % 3 + 1;
        wire.cluster.move_transaction_coordinator(wire.now, "id", to).unwrap();
    }
    wire.cluster.release_markers(wire.now);
    wire.collect();
    assert_eq!((wire.committed(), wire.coordinator_epoch()), (vec!["v".to_owned()], 2));
    let stale = WritableTxnMarker {
        producer_id: who.0,
        producer_epoch: who.1 + 2,
        coordinator_epoch: 1,
        topics: vec![WritableTxnMarkerTopic {
            name: "t".to_owned(),
            partition_indexes: vec![0],
            ..Default::default()
        }],
        ..Default::default()
    };
    let leader = wire.leader();
    let response =
        wire.ask(leader, 1, &WriteTxnMarkersRequest { markers: vec![stale], ..Default::default() });
    let code = response.markers[0].topics[0].partitions[0].error_code;
    assert_eq!(code, ErrorCode::TRANSACTION_COORDINATOR_FENCED);
}

#[test]
fn a_coordinator_that_is_paused_writes_no_markers_and_its_successor_does() {
    let mut wire = Wire::new(options().marker_delay(Duration::from_millis(10)));
    let coordinator = wire.coordinator();
    if wire.leader() == coordinator {
        wire.cluster.move_leader(wire.now, "t", 0, coordinator % 3 + 1).unwrap();
    }
    let who = wire.init().unwrap();
    wire.write(who, "v");
    wire.commit(who).unwrap();
    wire.cluster.pause_broker(wire.now, coordinator).unwrap();
    wire.pass(Duration::from_millis(8999));
    assert_eq!(wire.committed(), Vec::<String>::new());
    wire.pass(Duration::from_millis(20));
    assert_eq!((wire.committed(), wire.coordinator_epoch()), (vec!["v".to_owned()], 1));
}

#[test]
fn a_transaction_is_over_only_when_its_markers_are_copied_and_a_lost_one_is_written_again() {
    let mut wire = Wire::new(options());
    // Of the id's coordinator nothing may move.
    if wire.coordinator() == wire.leader() {
        let other = wire.followers()[0];
        wire.cluster.move_leader(wire.now, "t", 0, other).unwrap();
    }
    let who = wire.init().unwrap();
    assert_eq!(wire.write(who, "v"), ErrorCode::NONE);
    let followers = wire.followers();
    for follower in followers {
        wire.cluster.hold_replication("t", 0, follower).unwrap();
    }
    let end = |wire: &Wire| wire.cluster.log("t", 0).unwrap().end_offset();
    wire.commit(who).unwrap();
    assert_eq!((end(&wire), wire.init()), (2, Err(ErrorCode::CONCURRENT_TRANSACTIONS)));
    wire.cluster.move_leader(wire.now, "t", 0, followers[0]).unwrap();
    wire.collect();
    assert_eq!((end(&wire), wire.init()), (2, Err(ErrorCode::CONCURRENT_TRANSACTIONS)));
    assert_eq!(wire.committed(), Vec::<String>::new());
    wire.cluster.resume_replication(wire.now, "t", 0).unwrap();
    wire.collect();
    assert_eq!((wire.committed(), wire.init().is_ok()), (vec!["v".to_owned()], true));
}

#[test]
fn a_marker_waits_until_enough_replicas_are_in_sync() {
    let mut wire = Wire::new(options().config("min.insync.replicas", "2"));
    let who = wire.init().unwrap();
    assert_eq!(wire.write(who, "v"), ErrorCode::NONE);
    wire.cluster.hold_markers();
    wire.commit(who).unwrap();
    let followers = wire.followers();
    for follower in followers {
        wire.cluster.stop_broker(wire.now, follower).unwrap();
    }
    wire.cluster.release_markers(wire.now);
    wire.collect();
    assert_eq!(wire.committed(), Vec::<String>::new());
    assert_eq!(wire.init(), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    wire.cluster.restart_broker(wire.now, followers[0]).unwrap();
    wire.collect();
    assert_eq!((wire.committed(), wire.init().is_ok()), (vec!["v".to_owned()], true));
}
