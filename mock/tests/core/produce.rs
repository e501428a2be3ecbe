//! Produce: what is appended, what is acknowledged, what is refused.

use std::time::Duration;

use ottla_mock::ClusterOptions;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::produce::{LeaderIdAndEpoch, ProduceRequest};
use ottla_protocol::records::ProducerState;

use crate::wire::{PRODUCE, Wire, batch, only_result, produce_request, sequenced};

#[test]
fn offsets_have_no_gap_and_a_repeated_batch_keeps_its_own() {
    let mut wire = Wire::three();
    let producer = |base_sequence| ProducerState { producer_id: 5, producer_epoch: 0, base_sequence };
    let first = sequenced(producer(0), &["a", "b"]);
    assert_eq!(wire.produce(-1, first.clone()).base_offset, 0);
    assert_eq!(wire.produce(-1, sequenced(producer(2), &["c"])).base_offset, 2);
    let again = wire.produce(-1, first);
    assert_eq!((again.error_code, again.base_offset), (ErrorCode::NONE, 0));
    let gap = wire.produce(-1, sequenced(producer(9), &["d"]));
    assert_eq!((gap.error_code, gap.base_offset), (ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1));
    assert_eq!(wire.read(0), ["a", "b", "c"]);
}

#[test]
fn whoever_asks_another_broker_is_told_who_leads() {
    let mut wire = Wire::three();
    let (leader, [other, _]) = (wire.leader(), wire.followers());
    let response = wire.ask(other, PRODUCE, &produce_request(-1, batch(&["a"])));
    assert_eq!(response.node_endpoints.iter().map(|node| node.node_id).collect::<Vec<_>>(), [leader]);
    let result = only_result(response.responses);
    let current = LeaderIdAndEpoch { leader_id: leader, leader_epoch: 0, ..Default::default() };
    assert_eq!((result.error_code, result.current_leader), (ErrorCode::NOT_LEADER_OR_FOLLOWER, current));
    let old = wire.ask(other, 9, &produce_request(-1, batch(&["a"])));
    assert_eq!(only_result(old.responses).current_leader, LeaderIdAndEpoch::default());
}

#[test]
fn without_acknowledgements_success_is_silent_and_failure_costs_the_connection() {
    let mut wire = Wire::three();
    let (leader, [other, _]) = (wire.leader(), wire.followers());
    let sent = wire.send(leader, PRODUCE, &produce_request(0, batch(&["a"])));
    assert_eq!((wire.bytes(sent.connection), wire.closed.len()), (None, 0));
    assert_eq!(wire.read(0), ["a"]);
    let sent = wire.send(other, PRODUCE, &produce_request(0, batch(&["a"])));
    assert_eq!(wire.closed, [sent.connection]);
}

#[test]
fn all_replicas_are_waited_for_only_by_who_asks_for_it() {
    let mut wire = Wire::new(
        ClusterOptions::new().brokers(3).topic("t", 1, 3).replication_lag(Duration::from_millis(20)),
    );
    let leader = wire.leader();
    assert_eq!(wire.produce(1, batch(&["a"])).base_offset, 0);
    let waiting = wire.send(leader, PRODUCE, &produce_request(-1, batch(&["b"])));
    wire.pass(Duration::from_millis(19));
    assert!(wire.answer::<ProduceRequest>(waiting).is_none());
    wire.pass(Duration::from_millis(1));
    let result = only_result(wire.answer::<ProduceRequest>(waiting).unwrap().responses);
    assert_eq!((result.error_code, result.base_offset), (ErrorCode::NONE, 1));
}

#[test]
fn a_follower_that_copies_nothing_makes_the_time_run_out_though_the_records_stay() {
    let mut wire = Wire::three();
    let (leader, [follower, _]) = (wire.leader(), wire.followers());
    wire.cluster.hold_replication("t", 0, follower).unwrap();
    let waiting = wire.send(leader, PRODUCE, &produce_request(-1, batch(&["a"])));
    wire.pass(Duration::from_millis(999));
    assert!(wire.answer::<ProduceRequest>(waiting).is_none());
    wire.pass(Duration::from_millis(1));
    let result = only_result(wire.answer::<ProduceRequest>(waiting).unwrap().responses);
    assert_eq!(result.error_code, ErrorCode::REQUEST_TIMED_OUT);
    assert_eq!(wire.read(0), Vec::<String>::new());
    wire.cluster.resume_replication(wire.now, "t", 0).unwrap();
    assert_eq!(wire.read(0), ["a"]);
}

#[test]
fn too_few_replicas_in_sync_refuse_before_the_append_or_say_so_after_it() {
    let mut wire =
        Wire::new(ClusterOptions::new().brokers(3).topic("t", 1, 3).config("min.insync.replicas", "2"));
    let (leader, [one, two]) = (wire.leader(), wire.followers());
    wire.cluster.hold_replication("t", 0, one).unwrap();
    let waiting = wire.send(leader, PRODUCE, &produce_request(-1, batch(&["a"])));
    wire.cluster.set_in_sync(wire.now, "t", 0, two, false).unwrap();
    wire.cluster.set_in_sync(wire.now, "t", 0, one, false).unwrap();
    wire.pass(Duration::from_secs(1));
    let result = only_result(wire.answer::<ProduceRequest>(waiting).unwrap().responses);
    assert_eq!(result.error_code, ErrorCode::REQUEST_TIMED_OUT);
    assert_eq!(wire.produce(-1, batch(&["b"])).error_code, ErrorCode::NOT_ENOUGH_REPLICAS);
    assert_eq!(wire.produce(1, batch(&["c"])).error_code, ErrorCode::NONE);
    assert_eq!(wire.read(0), Vec::<String>::new());
}

#[test]
fn a_waiting_produce_learns_that_the_leader_moved() {
    let mut wire = Wire::three();
    let (leader, [follower, other]) = (wire.leader(), wire.followers());
    wire.cluster.hold_replication("t", 0, follower).unwrap();
    let waiting = wire.send(leader, PRODUCE, &produce_request(-1, batch(&["a"])));
    wire.cluster.move_leader(wire.now, "t", 0, other).unwrap();
    wire.collect();
    let result = only_result(wire.answer::<ProduceRequest>(waiting).unwrap().responses);
    assert_eq!(result.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(result.current_leader.leader_id, other);
}

#[test]
fn what_is_wrong_with_a_request_is_said_for_each_partition() {
    let mut wire = Wire::three();
    assert_eq!(wire.produce(2, batch(&["a"])).error_code, ErrorCode::INVALID_REQUIRED_ACKS);
    let mut unknown = produce_request(1, batch(&["a"]));
    unknown.topic_data[0].partition_data[0].index = 1;
    let response = wire.ask(1, PRODUCE, &unknown);
    assert_eq!(only_result(response.responses).error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let response = wire.ask(1, 13, &produce_request(1, batch(&["a"])));
    assert_eq!(only_result(response.responses).error_code, ErrorCode::UNKNOWN_TOPIC_ID);
    let mut damaged = batch(&["a"]).to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(wire.produce(1, damaged.into()).error_code, ErrorCode::CORRUPT_MESSAGE);
}
