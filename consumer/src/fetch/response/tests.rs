#![allow(clippy::disallowed_methods, reason = "a script needs some instant to start from")]

use std::time::Duration;

use bytes::Bytes;
use ottla_client::{Backoff, ErrorKind, Leader};
use ottla_protocol::compression::Compressor;
use ottla_protocol::messages::fetch::{FetchableTopicResponse, LeaderIdAndEpoch};
use ottla_protocol::records::{BatchBuilder, NO_HEADERS, SealOptions};
use ottla_protocol::uuid::Uuid;

use super::*;
use crate::fetch::plan::{Route, Routes};
use crate::fetch::state::Rules;
use crate::options::{ConsumerValues, OffsetReset};
use crate::subscription::{Origin, Phase, ResetTo, Start};

const ID: Uuid = Uuid([7; 16]);

struct OneLeader;

impl Routes for OneLeader {
    fn route(&self, _: &TopicPartition) -> Option<Route> {
        Some(Route { leader: 1, epoch: 1, topic_id: ID })
    }

    fn knows(&self, _: NodeId) -> bool {
        true
    }
}

fn name() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// A state that has asked broker 1 for `t-0` from offset 5.
fn asked(reset: OffsetReset) -> (FetchState, Instant) {
    let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1)).with_shape(2.0, 0.0);
    let rules = Rules {
        isolation: IsolationLevel::ReadUncommitted,
        check_crcs: true,
        reset,
        backoff,
        replica_lease: Duration::from_secs(300),
    };
    let mut state = FetchState::new(&ConsumerValues::default(), rules);
    state.subscription.add(name(), Start::Offset(5), false);
    let now = Instant::now();
    ask(&mut state, now);
    (state, now)
}

fn ask(state: &mut FetchState, now: Instant) {
    let FetchState { plan, subscription, buffer, .. } = state;
    plan.begin(1);
    plan.request(1, true, now, subscription, buffer, &OneLeader).unwrap();
}

fn answer(data: PartitionData) -> FetchResponse {
    let topic = FetchableTopicResponse { topic_id: ID, partitions: vec![data], ..Default::default() };
    FetchResponse { session_id: 9, responses: vec![topic], ..Default::default() }
}

fn error(error_code: ErrorCode) -> PartitionData {
    PartitionData { error_code, high_watermark: -1, ..Default::default() }
}

fn batch(base_offset: i64, records: usize) -> Bytes {
    let mut builder = BatchBuilder::new(1024);
    for _ in 0..records {
        builder.try_append(1, None, Some(b"v"), NO_HEADERS).unwrap();
    }
    builder
        .seal(&SealOptions::default(), &mut Compressor::none())
        .unwrap()
        .into_batch()
        .rebased(base_offset, 3)
        .bytes()
        .clone()
}

fn records(bytes: Bytes) -> PartitionData {
    PartitionData { high_watermark: 100, records: Some(bytes), ..Default::default() }
}

fn fetch_offset(state: &FetchState) -> Option<i64> {
    Some(state.subscription.partition(&name())?.fetching()?.fetch_offset)
}

#[test]
fn data_are_buffered_and_the_next_fetch_goes_on_behind_them() {
    let (mut state, now) = asked(OffsetReset::None);
    let consequences = state.handle_response(1, now, 0.5, answer(records(batch(5, 3))));
    assert_eq!(consequences, Consequences { news: true, ..Default::default() });
    assert_eq!(fetch_offset(&state), Some(8));
    let mut reading = state.next_reading().unwrap();
    assert_eq!(reading.fetch.take(10).unwrap().len(), 3);
    state.settle(&reading);
    state.buffer.finish(&reading);
    let assigned = state.subscription.partition(&name()).unwrap();
    assert_eq!(assigned.fetching().unwrap().position.offset, 8);
    assert_eq!(assigned.fetching().unwrap().position.leader_epoch, Some(3));
    assert!(state.buffer.is_empty_of(&name()));
}

#[test]
fn an_answer_to_a_question_from_before_a_seek_is_dropped() {
    let (mut state, now) = asked(OffsetReset::None);
    state.seek(&name(), Start::Offset(5));
    let consequences = state.handle_response(1, now, 0.5, answer(records(batch(5, 3))));
    assert_eq!(consequences, Consequences::default());
    assert!(state.buffer.is_empty_of(&name()));
    assert_eq!(state.outlook(now, &OneLeader).ready, [1]);
}

#[test]
fn a_partition_that_went_away_gets_nothing() {
    let (mut state, now) = asked(OffsetReset::None);
    state.remove(&name());
    state.handle_response(1, now, 0.5, answer(records(batch(5, 3))));
    assert!(state.next_reading().is_none());
}

#[test]
fn out_of_range_resets_by_the_policy_or_is_reported() {
    let (mut state, now) = asked(OffsetReset::Earliest);
    state.handle_response(1, now, 0.5, answer(error(ErrorCode::OFFSET_OUT_OF_RANGE)));
    assert_eq!(state.subscription.partition(&name()).unwrap().phase, Phase::AwaitingReset(ResetTo::Earliest));

    let (mut state, now) = asked(OffsetReset::None);
    state.handle_response(1, now, 0.5, answer(error(ErrorCode::OFFSET_OUT_OF_RANGE)));
    assert!(state.outlook(now, &OneLeader).ready.is_empty());
    let report = state.next_report(now, 0.5).unwrap();
    assert_eq!(report.kind(), ErrorKind::OffsetOutOfRange);
    assert!(report.to_string().contains("t-0: offset 5 is not in the log"), "{report}");
    assert!(state.next_report(now, 0.5).is_none());
    let outlook = state.outlook(now, &OneLeader);
    assert_eq!((outlook.ready, outlook.wake_at), (vec![], Some(now + Duration::from_millis(100))));
}

#[test]
fn out_of_range_behind_what_is_buffered_waits_until_that_is_read() {
    let (mut state, now) = asked(OffsetReset::Earliest);
    state.handle_response(1, now, 0.5, answer(records(batch(5, 3))));
    ask(&mut state, now);
    state.handle_response(1, now, 0.5, answer(error(ErrorCode::OFFSET_OUT_OF_RANGE)));
    assert_eq!(fetch_offset(&state), Some(8));
    assert!(state.next_reading().is_some());
}

#[test]
fn a_replica_that_lags_sends_back_to_the_leader_and_never_resets() {
    let (mut state, now) = asked(OffsetReset::Earliest);
    state.handle_response(
        1,
        now,
        0.5,
        answer(PartitionData { preferred_read_replica: 2, ..Default::default() }),
    );
    assert_eq!(state.outlook(now, &OneLeader).ready, [2]);
    let FetchState { plan, subscription, buffer, .. } = &mut state;
    plan.begin(2);
    plan.request(2, true, now, subscription, buffer, &OneLeader).unwrap();
    state.handle_response(2, now, 0.5, answer(error(ErrorCode::OFFSET_OUT_OF_RANGE)));
    assert_eq!(fetch_offset(&state), Some(5));
    assert_eq!(state.outlook(now, &OneLeader).ready, [1]);
}

#[test]
fn however_often_an_answer_tells_of_a_move_it_is_heard_once_and_at_no_cost_of_its_own() {
    const OFTEN: i32 = 50_000;
    let (mut state, now) = asked(OffsetReset::None);
    let rows = (1..=OFTEN).map(|leader_epoch| {
        let current_leader = LeaderIdAndEpoch { leader_id: 4, leader_epoch, ..Default::default() };
        PartitionData { current_leader, ..error(ErrorCode::NOT_LEADER_OR_FOLLOWER) }
    });
    let node = |node_id| NodeEndpoint { node_id, host: "h".into(), port: 9, ..Default::default() };
    let mut response = answer(error(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    response.responses[0].partitions = rows.collect();
    // If each row had them looked through, this would take minutes.
    response.node_endpoints = (5..OFTEN).chain([4]).map(node).collect();
    let hints = state.handle_response(1, now, 0.5, response).hints;
    assert_eq!(hints.iter().map(|hint| hint.leader.epoch).collect::<Vec<_>>(), [1]);
    assert_eq!(hints[0].endpoint.as_ref().map(|node| node.id), Some(4));
}

#[test]
fn a_moved_partition_backs_off_unless_the_answer_says_where_it_is() {
    let (mut state, now) = asked(OffsetReset::None);
    let consequences = state.handle_response(1, now, 0.5, answer(error(ErrorCode::NOT_LEADER_OR_FOLLOWER)));
    assert_eq!(consequences, Consequences { stale_metadata: true, ..Default::default() });
    assert_eq!(state.outlook(now, &OneLeader).wake_at, Some(now + Duration::from_millis(100)));

    let (mut state, now) = asked(OffsetReset::None);
    let current_leader = LeaderIdAndEpoch { leader_id: 4, leader_epoch: 2, ..Default::default() };
    let told = PartitionData { current_leader, ..error(ErrorCode::NOT_LEADER_OR_FOLLOWER) };
    let endpoint = NodeEndpoint { node_id: 4, host: "h".into(), port: 9, ..Default::default() };
    let response = FetchResponse { node_endpoints: vec![endpoint], ..answer(told.clone()) };
    let consequences = state.handle_response(1, now, 0.5, response);
    let endpoint = Node { id: 4, host: "h".into(), port: 9, rack: None };
    let leader = Leader { node: 4, epoch: 2 };
    let hint = LeaderHint { partition: name(), topic_id: ID, leader, endpoint: Some(endpoint) };
    assert_eq!(consequences, Consequences { stale_metadata: true, hints: vec![hint], news: false });
    assert_eq!(state.outlook(now, &OneLeader).ready, [1]);

    ask(&mut state, now);
    state.handle_response(1, now, 0.5, answer(told));
    assert!(state.outlook(now, &OneLeader).ready.is_empty());
}

#[test]
fn what_will_not_pass_is_reported() {
    let (mut state, now) = asked(OffsetReset::None);
    let consequences =
        state.handle_response(1, now, 0.5, answer(error(ErrorCode::TOPIC_AUTHORIZATION_FAILED)));
    assert!(consequences.news);
    assert_eq!(state.next_report(now, 0.5).unwrap().kind(), ErrorKind::Authorization);
}

#[test]
fn a_cut_off_batch_alone_is_asked_for_again_after_a_while() {
    let (mut state, now) = asked(OffsetReset::None);
    state.handle_response(1, now, 0.5, answer(records(batch(5, 3).slice(..30))));
    let outlook = state.outlook(now, &OneLeader);
    assert_eq!((outlook.ready, outlook.wake_at), (vec![], Some(now + Duration::from_millis(100))));
}

#[test]
fn damage_gives_the_records_before_it_then_its_error_then_another_try() {
    let (mut state, now) = asked(OffsetReset::None);
    let mut bytes = [batch(5, 3), batch(8, 2)].concat();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    state.handle_response(1, now, 0.5, answer(records(bytes.into())));
    let mut reading = state.next_reading().unwrap();
    assert_eq!(reading.fetch.take(10).unwrap().len(), 3);
    let damage = reading.fetch.take(10).unwrap_err();
    let error = state.damaged(&reading, damage, now, 0.5);
    assert_eq!(error.kind(), ErrorKind::CorruptRecord);
    assert!(error.to_string().starts_with("cannot read t-0 at offset 8"), "{error}");
    assert_eq!((fetch_offset(&state), state.buffer.bytes_of(&name())), (Some(8), 0));
    assert_eq!(state.outlook(now, &OneLeader).wake_at, Some(now + Duration::from_millis(100)));
}

#[test]
fn a_refused_session_is_opened_anew_at_once() {
    let (mut state, now) = asked(OffsetReset::None);
    state.handle_response(1, now, 0.5, answer(PartitionData { high_watermark: 5, ..Default::default() }));
    ask(&mut state, now);
    let refused = FetchResponse { error_code: ErrorCode::FETCH_SESSION_ID_NOT_FOUND, ..Default::default() };
    state.handle_response(1, now, 0.5, refused);
    assert_eq!(state.outlook(now, &OneLeader).ready, [1]);
    let FetchState { plan, subscription, buffer, .. } = &mut state;
    let planned = plan.request(1, true, now, subscription, buffer, &OneLeader).unwrap();
    assert_eq!((planned.session.session_id, planned.session.session_epoch), (0, 0));
    assert_eq!(planned.session.topics.len(), 1);
}

#[test]
fn an_error_that_a_reset_overtakes_keeps_the_partition_from_nothing() {
    let (mut state, now) = asked(OffsetReset::Earliest);
    state.seek(&name(), Start::Committed);
    let generation = state.subscription.partition(&name()).unwrap().generation;
    state.report(&name(), generation, Error::new(ErrorKind::UnknownTopic, "there is no partition t-0"));
    state.without_offset(&name(), generation, "no offset is committed");
    assert!(state.next_report(now, 0.5).is_none());
    let assigned = state.subscription.partition(&name()).unwrap();
    assert!(assigned.may_ask(now));
    assert_eq!(assigned.phase, Phase::AwaitingReset(ResetTo::Earliest));
}

#[test]
fn out_of_range_from_anybody_but_the_leader_never_resets() {
    for preferred in [false, true] {
        let (mut state, now) = asked(OffsetReset::Earliest);
        let generation = state.subscription.partition(&name()).unwrap().generation;
        let follower = Route { leader: if preferred { 1 } else { 2 }, epoch: 1, topic_id: ID };
        let assigned = state.subscription.current_mut(&name(), generation).unwrap();
        assigned.origin = Origin::Leader(follower);
        if preferred {
            let until = now + Duration::from_secs(9);
            assigned.fetching_mut().unwrap().preferred = Some(PreferredReplica { node: 1, until });
        }
        let consequences = state.handle_response(1, now, 0.5, answer(error(ErrorCode::OFFSET_OUT_OF_RANGE)));
        assert_eq!(consequences, Consequences::default());
        assert_eq!(fetch_offset(&state), Some(5));
        let assigned = state.subscription.partition(&name()).unwrap();
        assert_eq!(assigned.fetching().unwrap().preferred, None, "the leader is asked next");
        assert_eq!(assigned.may_ask(now), preferred, "at once, or, if nobody sent us there, a backoff later");
    }
}

#[test]
fn out_of_range_resets_only_what_is_still_the_position() {
    let (mut state, now) = asked(OffsetReset::Earliest);
    state.handle_response(1, now, 0.5, answer(records(batch(5, 3))));
    ask(&mut state, now);
    state.handle_response(1, now, 0.5, answer(error(ErrorCode::OFFSET_OUT_OF_RANGE)));
    assert_eq!(fetch_offset(&state), Some(8), "what is buffered comes first");
    let mut reading = state.next_reading().unwrap();
    assert_eq!(reading.fetch.take(10).unwrap().len(), 3);
    state.settle(&reading);
    state.buffer.finish(&reading);
    let later = now + Duration::from_secs(1);
    ask(&mut state, later);
    state.handle_response(1, later, 0.5, answer(error(ErrorCode::OFFSET_OUT_OF_RANGE)));
    assert_eq!(state.subscription.partition(&name()).unwrap().phase, Phase::AwaitingReset(ResetTo::Earliest));
}

#[test]
fn the_epoch_of_what_was_fetched_is_kept_and_a_divergence_that_an_answer_names_is_followed() {
    let (mut state, now) = asked(OffsetReset::Latest);
    state.note_leaders(1, &OneLeader);
    state.handle_response(1, now, 0.5, answer(records(batch(5, 3))));
    let fetching = *state.subscription.partition(&name()).unwrap().fetching().unwrap();
    assert_eq!((fetching.fetch_epoch, fetching.position.leader_epoch), (Some(3), None));
    let mut reading = state.next_reading().unwrap();
    assert_eq!(reading.fetch.take(10).unwrap().len(), 3);
    state.settle(&reading);
    state.buffer.finish(&reading);
    ask(&mut state, now);
    let diverging_epoch =
        ottla_protocol::messages::fetch::EpochEndOffset { epoch: 2, end_offset: 6, ..Default::default() };
    let data = PartitionData { high_watermark: 9, diverging_epoch, ..Default::default() };
    assert!(state.handle_response(1, now, 0.5, answer(data)).news);
    let fetching = *state.subscription.partition(&name()).unwrap().fetching().unwrap();
    assert_eq!((fetching.position.offset, fetching.position.leader_epoch), (6, Some(2)));
    assert_eq!(fetching.fetch_offset, 6);
}

#[test]
fn a_seek_to_where_a_quiet_partition_stands_keeps_its_end_known() {
    for to in [5, 3] {
        let (mut state, now) = asked(OffsetReset::None);
        state.handle_response(1, now, 0.5, answer(PartitionData { high_watermark: 5, ..Default::default() }));
        ask(&mut state, now);
        state.seek(&name(), Start::Offset(to));
        // The broker says nothing of what stands where it did.
        state.handle_response(1, now, 0.5, FetchResponse { session_id: 9, ..Default::default() });
        assert_eq!(state.subscription.partition(&name()).unwrap().fetching().unwrap().end_offset, None);
        ask(&mut state, now);
        assert_eq!(state.subscription.partition(&name()).unwrap().fetching().unwrap().end_offset, Some(5));
    }
}

#[test]
fn a_partition_that_went_and_came_back_knows_its_end() {
    let (mut state, now) = asked(OffsetReset::None);
    state.handle_response(1, now, 0.5, answer(PartitionData { high_watermark: 5, ..Default::default() }));
    state.remove(&name());
    assert!(state.outlook(now, &OneLeader).ready.is_empty());
    state.subscription.add(name(), Start::Offset(5), false);
    ask(&mut state, now);
    assert_eq!(state.subscription.partition(&name()).unwrap().fetching().unwrap().end_offset, Some(5));
}

#[test]
fn what_an_answer_brought_counts_until_all_of_it_is_read() {
    let (mut state, now) = asked(OffsetReset::None);
    let bytes = batch(5, 3);
    let size = bytes.len();
    state.handle_response(1, now, 0.5, answer(records(bytes)));
    assert_eq!((state.buffer.frames.total(), state.buffer.frames.of(1)), (size, size));
    let reading = state.next_reading().unwrap();
    state.buffer.finish(&reading);
    assert_eq!(state.buffer.frames.total(), size, "it is still being read");
    drop(reading);
    assert_eq!(state.buffer.frames.total(), 0);
}
