//! Fetch: long polls, sessions, epochs, replicas nearby, offsets by time.

use std::time::Duration;

use ottla_mock::ClusterOptions;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::fetch::{EpochEndOffset, FetchRequest};
use ottla_protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use ottla_protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};

use crate::wire::{FETCH, Wire, batch, fetch_request, values};

fn waiting_for(min_bytes: i32) -> FetchRequest {
    FetchRequest { max_wait_ms: 500, min_bytes, ..fetch_request(0) }
}

#[test]
fn a_fetch_waits_for_records_or_for_its_time() {
    let mut wire = Wire::three();
    let leader = wire.leader();
    let waiting = wire.send(leader, FETCH, &waiting_for(1));
    wire.pass(Duration::from_millis(499));
    assert!(wire.answer::<FetchRequest>(waiting).is_none());
    wire.pass(Duration::from_millis(1));
    let empty = wire.answer::<FetchRequest>(waiting).unwrap().responses.remove(0).partitions.remove(0);
    assert_eq!((empty.error_code, empty.records.unwrap().len()), (ErrorCode::NONE, 0));

    let waiting = wire.send(leader, FETCH, &waiting_for(1));
    let producer = wire.connect(leader);
    wire.send_on(producer, 12, &crate::wire::produce_request(1, batch(&["a"])));
    let data = wire.answer::<FetchRequest>(waiting).unwrap().responses.remove(0).partitions.remove(0);
    assert_eq!((values(data.records.unwrap()), data.high_watermark), (vec!["a".to_owned()], 1));
}

#[test]
fn a_fetch_waits_until_there_are_as_many_bytes_as_it_wants() {
    let mut wire = Wire::three();
    let leader = wire.leader();
    let size = i32::try_from(batch(&["a"]).len()).unwrap();
    let reader = wire.connect(leader);
    let waiting = wire.send_on(reader, FETCH, &waiting_for(size + 1));
    wire.produce(1, batch(&["a"]));
    assert!(wire.answer::<FetchRequest>(waiting).is_none());
    wire.produce(1, batch(&["b"]));
    let data = wire.answer::<FetchRequest>(waiting).unwrap().responses.remove(0).partitions.remove(0);
    assert_eq!(values(data.records.unwrap()), ["a", "b"]);
}

#[test]
fn a_waiting_fetch_is_told_at_once_that_the_leader_moved() {
    let mut wire = Wire::three();
    let (leader, [other, _]) = (wire.leader(), wire.followers());
    let mut request = waiting_for(1);
    request.topics[0].partitions[0].current_leader_epoch = 0;
    let waiting = wire.send(leader, FETCH, &request);
    wire.cluster.move_leader(wire.now, "t", 0, other).unwrap();
    wire.collect();
    let data = wire.answer::<FetchRequest>(waiting).unwrap().responses.remove(0).partitions.remove(0);
    assert_eq!(data.error_code, ErrorCode::FENCED_LEADER_EPOCH);
}

#[test]
fn epochs_are_compared_and_divergence_is_told() {
    let mut wire = Wire::three();
    wire.produce(-1, batch(&["a"]));
    wire.produce(-1, batch(&["b"]));
    let [other, _] = wire.followers();
    wire.cluster.move_leader(wire.now, "t", 0, other).unwrap();
    let mut request = fetch_request(2);
    let mut code_for = |epoch| {
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        wire.fetch(other, &request).error_code
    };
    assert_eq!(code_for(0), ErrorCode::FENCED_LEADER_EPOCH);
    assert_eq!(code_for(1), ErrorCode::NONE);
    assert_eq!(code_for(2), ErrorCode::UNKNOWN_LEADER_EPOCH);
    assert_eq!(wire.produce(-1, batch(&["c"])).base_offset, 2);
    let mut beyond = fetch_request(3);
    beyond.topics[0].partitions[0].last_fetched_epoch = 0;
    let diverging = EpochEndOffset { epoch: 0, end_offset: 2, ..Default::default() };
    assert_eq!(wire.fetch(other, &beyond).diverging_epoch, diverging);
}

#[test]
fn epochs_end_where_the_next_leader_began() {
    let mut wire = Wire::three();
    wire.produce(-1, batch(&["a"]));
    let [other, _] = wire.followers();
    wire.cluster.move_leader(wire.now, "t", 0, other).unwrap();
    wire.produce(-1, batch(&["b", "c"]));
    let mut end_of = |leader_epoch| {
        let partition = OffsetForLeaderPartition { leader_epoch, ..Default::default() };
        let topic =
            OffsetForLeaderTopic { topic: "t".to_owned(), partitions: vec![partition], ..Default::default() };
        let request =
            OffsetForLeaderEpochRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
        let end = wire.ask(other, 4, &request).topics.remove(0).partitions.remove(0);
        (end.error_code, end.leader_epoch, end.end_offset)
    };
    assert_eq!(end_of(0), (ErrorCode::NONE, 0, 1));
    assert_eq!(end_of(1), (ErrorCode::NONE, 1, 3));
    assert_eq!(end_of(9), (ErrorCode::NONE, -1, -1));
}

#[test]
fn a_session_says_what_changed_and_nothing_else() {
    let mut wire = Wire::new(ClusterOptions::new().topic("t", 2, 1));
    let mut open = fetch_request(0);
    open.session_epoch = 0;
    let mut second = open.topics[0].partitions[0].clone();
    second.partition = 1;
    open.topics[0].partitions.push(second);
    let opened = wire.ask(1, FETCH, &open);
    assert!(opened.session_id > 0);
    assert_eq!(opened.responses[0].partitions.len(), 2);
    let next = |session_epoch| FetchRequest {
        session_id: opened.session_id,
        session_epoch,
        topics: Vec::new(),
        ..fetch_request(0)
    };
    assert_eq!(wire.ask(1, FETCH, &next(1)).responses, []);
    wire.produce(1, batch(&["a"]));
    let news = wire.ask(1, FETCH, &next(2));
    let partitions = &news.responses[0].partitions;
    assert_eq!(partitions.iter().map(|data| data.partition_index).collect::<Vec<_>>(), [0]);
    assert_eq!(wire.ask(1, FETCH, &next(2)).error_code, ErrorCode::INVALID_FETCH_SESSION_EPOCH);
    wire.cluster.restart_broker(wire.now, 1).unwrap();
    wire.collect();
    assert_eq!(wire.ask(1, FETCH, &next(3)).error_code, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
}

#[test]
fn a_consumer_is_sent_to_a_replica_in_its_rack() {
    let selector = "org.apache.kafka.common.replica.RackAwareReplicaSelector";
    let options = ClusterOptions::new().brokers(3).racks(["a", "b", "c"]).topic("t", 1, 3);
    let mut wire = Wire::new(options.config("replica.selector.class", selector));
    wire.produce(-1, batch(&["a"]));
    let (leader, [near, _]) = (wire.leader(), wire.followers());
    let rack = ["a", "b", "c"][usize::try_from(near).unwrap() - 1];
    let request = FetchRequest { rack_id: rack.to_owned(), ..fetch_request(0) };
    let sent_on = wire.fetch(leader, &request);
    assert_eq!((sent_on.preferred_read_replica, sent_on.records.unwrap().len()), (near, 0));
    let read = wire.fetch(near, &request);
    assert_eq!((read.preferred_read_replica, values(read.records.unwrap())), (-1, vec!["a".to_owned()]));
}

#[test]
fn offsets_are_found_by_time_and_by_name() {
    let mut wire = Wire::three();
    wire.produce(-1, batch(&["a", "b"]));
    let leader = wire.leader();
    let mut offset_at = |timestamp, version| {
        let partition = ListOffsetsPartition { timestamp, ..Default::default() };
        let topic =
            ListOffsetsTopic { name: "t".to_owned(), partitions: vec![partition], ..Default::default() };
        let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
        let found = wire.ask(leader, version, &request).topics.remove(0).partitions.remove(0);
        (found.error_code, found.offset, found.timestamp)
    };
    assert_eq!(offset_at(-1, 7), (ErrorCode::NONE, 2, -1));
    assert_eq!(offset_at(-2, 7), (ErrorCode::NONE, 0, -1));
    assert_eq!(offset_at(-3, 7), (ErrorCode::NONE, 0, 1_700_000_000_000));
    assert_eq!(offset_at(-3, 6), (ErrorCode::UNSUPPORTED_VERSION, -1, -1));
    assert_eq!(offset_at(1_600_000_000_000, 7), (ErrorCode::NONE, 0, 1_700_000_000_000));
    assert_eq!(offset_at(1_800_000_000_000, 7), (ErrorCode::NONE, -1, -1));
}
