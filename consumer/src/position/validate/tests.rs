#![allow(clippy::disallowed_methods, reason = "a script needs some instant to start from")]

use std::time::Duration;

use bytes::Bytes;
use ottla_client::Backoff;
use ottla_protocol::messages::offset_for_leader_epoch::OffsetForLeaderTopicResult;
use ottla_protocol::uuid::Uuid;

use super::*;
use crate::fetch::completed::CompletedFetch;
use crate::fetch::state::Rules;
use crate::options::{ConsumerValues, IsolationLevel, OffsetReset};
use crate::subscription::{Fetching, Phase, Start};

/// Of the topic that is read.
const ID: Uuid = Uuid([7; 16]);

const SOON: Duration = Duration::from_millis(100);

/// Partition `n` is led by broker `n % 2 + 1` in this epoch; all are of one topic of this id.
#[derive(Clone, Copy)]
struct Leaders {
    epoch: i32,
    id: Uuid,
}

impl Routes for Leaders {
    fn route(&self, partition: &TopicPartition) -> Option<Route> {
        Some(Route { leader: partition.partition % 2 + 1, epoch: self.epoch, topic_id: self.id })
    }

    fn knows(&self, _: NodeId) -> bool {
        true
    }
}

const fn leaders(epoch: i32) -> Leaders {
    Leaders { epoch, id: ID }
}

fn name(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

/// Partitions at offset 10, read up to there under epoch 3, and compared with its leaders.
fn read(reset: OffsetReset, partitions: i32) -> (FetchState, Instant) {
    let rules = Rules {
        isolation: IsolationLevel::ReadUncommitted,
        check_crcs: true,
        reset,
        backoff: Backoff::new(SOON, Duration::from_secs(1)).with_shape(2.0, 0.0),
        replica_lease: Duration::from_secs(300),
    };
    let mut state = FetchState::new(&ConsumerValues::default(), rules);
    for partition in 0..partitions {
        state.subscription.add(name(partition), Start::Offset(5), false);
    }
    state.note_leaders(1, &leaders(3));
    for partition in 0..partitions {
        let generation = state.subscription.partition(&name(partition)).unwrap().generation;
        state.subscription.advance(&name(partition), generation, 10, 3);
    }
    (state, Instant::now())
}

fn assigned(state: &FetchState, partition: i32) -> &Assigned {
    state.subscription.partition(&name(partition)).unwrap()
}

fn position(state: &FetchState, partition: i32) -> Option<(i64, Option<i32>)> {
    let Fetching { position, .. } = assigned(state, partition).fetching()?;
    Some((position.offset, position.leader_epoch))
}

fn row(partition: i32, error_code: ErrorCode, leader_epoch: i32, end_offset: i64) -> EpochEndOffset {
    EpochEndOffset { error_code, partition, leader_epoch, end_offset, ..Default::default() }
}

fn answer(rows: Vec<EpochEndOffset>) -> OffsetForLeaderEpochResponse {
    let topic = OffsetForLeaderTopicResult { topic: "t".into(), partitions: rows, ..Default::default() };
    OffsetForLeaderEpochResponse { topics: vec![topic], ..Default::default() }
}

/// Puts 7 bytes of partition 0 into the buffer that reach up to `end`, in epoch 3.
fn buffer(state: &mut FetchState, end: i64) {
    let generation = assigned(state, 0).generation;
    let fetch =
        CompletedFetch::new(Bytes::from_static(&[0; 7]), end, IsolationLevel::ReadUncommitted, vec![]);
    state.buffer.push(&name(0), generation, fetch);
    let fetching = state.subscription.current_mut(&name(0), generation).unwrap().fetching_mut().unwrap();
    (fetching.fetch_offset, fetching.fetch_epoch) = (end, Some(3));
}

/// The application reads what is buffered of partition 0.
fn drain(state: &mut FetchState) {
    let reading = state.next_reading().unwrap();
    state.subscription.advance(&name(0), reading.generation, reading.fetch.next_offset(), 3);
    state.buffer.finish(&reading);
}

#[test]
fn each_newer_leader_is_asked_once_for_all_of_its_partitions_before_anything_is_fetched_from_it() {
    let (mut state, now) = read(OffsetReset::Earliest, 3);
    assert_eq!(state.begin_checks(now, &leaders(3)), [], "the leaders are those under which it was read");
    assert!((0..3).all(|partition| assigned(&state, partition).may_ask(now)));

    state.note_leaders(2, &leaders(4));
    assert!((0..3).all(|partition| !assigned(&state, partition).may_ask(now)));
    let batches = state.begin_checks(now, &leaders(4));
    let shape: Vec<_> = batches.iter().map(|batch| (batch.leader, batch.request())).collect();
    let lookup = |partition| OffsetForLeaderPartition {
        partition,
        current_leader_epoch: 4,
        leader_epoch: 3,
        ..Default::default()
    };
    let request = |partitions: Vec<i32>| OffsetForLeaderEpochRequest {
        replica_id: -1,
        topics: vec![OffsetForLeaderTopic {
            topic: "t".into(),
            partitions: partitions.into_iter().map(lookup).collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    assert_eq!(shape, [(1, request(vec![0, 2])), (2, request(vec![1]))]);
    assert_eq!(state.begin_checks(now, &leaders(4)), [], "they are under way");

    let rows = vec![row(0, ErrorCode::NONE, 3, 10), row(2, ErrorCode::NONE, 3, 15)];
    assert!(!state.handle_epoch_ends(&batches[0], now, 0.5, &answer(rows)));
    let fetchable: Vec<bool> = (0..3).map(|partition| assigned(&state, partition).may_ask(now)).collect();
    assert_eq!(fetchable, [true, false, true]);
    state.note_leaders(3, &leaders(4));
    assert_eq!(state.begin_checks(now, &leaders(4)), [], "once for each epoch");
}

#[test]
fn a_truncated_log_is_read_on_from_where_it_diverges() {
    let (mut state, now) = read(OffsetReset::Latest, 1);
    state.note_leaders(2, &leaders(4));
    let before = assigned(&state, 0).generation;
    let batches = state.begin_checks(now, &leaders(4));
    state.handle_epoch_ends(&batches[0], now, 0.5, &answer(vec![row(0, ErrorCode::NONE, 2, 8)]));
    assert_eq!(position(&state, 0), Some((8, Some(2))));
    assert!(assigned(&state, 0).may_ask(now));
    assert!(assigned(&state, 0).generation > before, "what was asked for before is of no use");
    state.note_leaders(3, &leaders(4));
    assert_eq!(state.begin_checks(now, &leaders(4)), []);
}

#[test]
fn without_a_policy_a_truncated_log_is_an_error_as_long_as_nobody_seeks() {
    let (mut state, mut now) = read(OffsetReset::None, 1);
    state.note_leaders(2, &leaders(4));
    for _ in 0..2 {
        let batches = state.begin_checks(now, &leaders(4));
        state.handle_epoch_ends(&batches[0], now, 0.5, &answer(vec![row(0, ErrorCode::NONE, 2, 8)]));
        let report = state.next_report(now, 0.5).unwrap();
        assert_eq!(report.kind(), ErrorKind::LogTruncated);
        let text = report.to_string();
        assert!(text.contains("t-0") && text.contains("position 10 of epoch 3"), "{text}");
        assert!(text.contains("diverges at offset 8"), "{text}");
        assert!(!assigned(&state, 0).may_ask(now) && position(&state, 0) == Some((10, Some(3))));
        assert_eq!(state.begin_checks(now, &leaders(4)), [], "not at once");
        now += Duration::from_secs(2);
    }
    state.seek(&name(0), Start::Offset(8));
    state.note_leaders(2, &leaders(4));
    assert!(assigned(&state, 0).may_ask(now));
}

#[test]
fn an_epoch_that_the_leader_never_heard_of_means_the_policy() {
    let (mut state, now) = read(OffsetReset::Earliest, 1);
    state.note_leaders(2, &leaders(4));
    let batches = state.begin_checks(now, &leaders(4));
    state.handle_epoch_ends(&batches[0], now, 0.5, &answer(vec![row(0, ErrorCode::NONE, -1, -1)]));
    assert_eq!(assigned(&state, 0).phase, Phase::AwaitingReset(ResetTo::Earliest));

    let (mut state, now) = read(OffsetReset::None, 1);
    state.note_leaders(2, &leaders(4));
    let batches = state.begin_checks(now, &leaders(4));
    state.handle_epoch_ends(&batches[0], now, 0.5, &answer(vec![row(0, ErrorCode::NONE, -1, -1)]));
    let report = state.next_report(now, 0.5).unwrap();
    assert_eq!(report.kind(), ErrorKind::LogTruncated);
    assert!(report.to_string().contains("its leader knows nothing of that epoch"), "{report}");
}

#[test]
fn what_is_buffered_is_read_before_the_verdict_and_the_verdict_is_on_what_was_read() {
    let (mut state, now) = read(OffsetReset::Earliest, 1);
    buffer(&mut state, 20);
    state.note_leaders(2, &leaders(4));
    let batches = state.begin_checks(now, &leaders(4));
    assert_eq!((batches[0].checks[0].offset, batches[0].checks[0].epoch), (20, 3));
    state.handle_epoch_ends(&batches[0], now, 0.5, &answer(vec![row(0, ErrorCode::NONE, 3, 15)]));
    assert_eq!(position(&state, 0), Some((10, Some(3))));
    assert!(!assigned(&state, 0).may_ask(now), "nothing is fetched behind it");
    assert_eq!(state.begin_checks(now, &leaders(4)), []);
    drain(&mut state);
    let batches = state.begin_checks(now, &leaders(4));
    assert_eq!(batches[0].checks[0].offset, 20);
    state.handle_epoch_ends(&batches[0], now, 0.5, &answer(vec![row(0, ErrorCode::NONE, 3, 15)]));
    assert_eq!(position(&state, 0), Some((15, Some(3))));
}

#[test]
fn data_that_come_while_the_leader_is_asked_are_asked_about_as_well() {
    let (mut state, now) = read(OffsetReset::Earliest, 1);
    state.note_leaders(2, &leaders(4));
    let batches = state.begin_checks(now, &leaders(4));
    buffer(&mut state, 20);
    state.handle_epoch_ends(&batches[0], now, 0.5, &answer(vec![row(0, ErrorCode::NONE, 3, 15)]));
    assert!(!assigned(&state, 0).may_ask(now));
    assert_eq!(state.begin_checks(now, &leaders(4))[0].checks[0].offset, 20);
}

#[test]
fn an_answer_of_a_leader_that_was_overtaken_counts_for_nothing() {
    let (mut state, now) = read(OffsetReset::Earliest, 1);
    state.note_leaders(2, &leaders(4));
    let old = state.begin_checks(now, &leaders(4));
    state.note_leaders(3, &leaders(5));
    let new = state.begin_checks(now, &leaders(5));
    assert_eq!(new[0].checks[0].route.epoch, 5);
    state.handle_epoch_ends(&old[0], now, 0.5, &answer(vec![row(0, ErrorCode::NONE, 3, 2)]));
    assert_eq!(position(&state, 0), Some((10, Some(3))));
    state.handle_epoch_ends(&new[0], now, 0.5, &answer(vec![row(0, ErrorCode::NONE, 3, 10)]));
    assert!(assigned(&state, 0).may_ask(now));
}

#[test]
fn refusals_are_asked_again_and_what_will_not_pass_is_reported() {
    let (mut state, now) = read(OffsetReset::Earliest, 5);
    state.note_leaders(2, &leaders(4));
    let batches = state.begin_checks(now, &leaders(4));
    let rows = vec![
        row(0, ErrorCode::FENCED_LEADER_EPOCH, -1, -1),
        row(2, ErrorCode::TOPIC_AUTHORIZATION_FAILED, -1, -1),
    ];
    assert!(state.handle_epoch_ends(&batches[0], now, 0.5, &answer(rows)));
    state.handle_check_failure(&batches[1], now, 0.5, &Error::new(ErrorKind::Disconnected, "gone"));
    assert_eq!(state.begin_checks(now, &leaders(4)), []);
    assert_eq!(state.next_lookup(now), Some(now + SOON));
    let again = state.begin_checks(now + SOON, &leaders(4));
    let asked: Vec<_> =
        again.iter().flat_map(|batch| &batch.checks).map(|check| check.partition.partition).collect();
    assert_eq!(asked, [0, 4, 1, 3], "the answer left 4 out");
    assert_eq!(state.next_report(now, 0.5).map(|error| error.kind()), Some(ErrorKind::Authorization));
}

#[test]
fn an_offset_without_an_epoch_is_not_asked_about_and_one_with_an_epoch_is_before_the_first_fetch() {
    let (mut state, now) = read(OffsetReset::Earliest, 1);
    state.seek(&name(0), Start::Offset(50));
    state.note_leaders(1, &leaders(3));
    state.note_leaders(2, &leaders(4));
    assert!(assigned(&state, 0).may_ask(now));
    assert_eq!(state.begin_checks(now, &leaders(4)), []);

    state.subscription.seek_to(&name(0), Position { offset: 50, leader_epoch: Some(2) });
    assert!(!assigned(&state, 0).may_ask(now));
    assert_eq!(state.begin_checks(now, &leaders(4))[0].checks[0].epoch, 2);

    let (mut state, now) = read(OffsetReset::Earliest, 1);
    state.seek(&name(0), Start::Committed);
    let asked = state.begin_committed(now, |_| true);
    let committed = (Position { offset: 9, leader_epoch: Some(3) }, Origin::Unknown);
    state.handle_committed(&asked, now, 0.5, [(name(0), Ok(Some(committed)))].into());
    assert!(!assigned(&state, 0).may_ask(now));
    assert_eq!(state.begin_checks(now, &leaders(3))[0].checks[0].offset, 9);
}

#[test]
fn brokers_without_epochs_or_without_the_question_are_believed() {
    let (mut state, now) = read(OffsetReset::Earliest, 1);
    state.seek(&name(0), Start::Offset(5));
    state.note_leaders(2, &leaders(-1));
    assert!(assigned(&state, 0).may_ask(now));
    assert_eq!(state.begin_checks(now, &leaders(-1)), []);

    let (mut state, now) = read(OffsetReset::Earliest, 1);
    state.note_leaders(2, &leaders(4));
    let batches = state.begin_checks(now, &leaders(4));
    state.handle_unchecked(&batches[0]);
    assert!(assigned(&state, 0).may_ask(now));
}

#[test]
fn a_topic_that_was_created_anew_is_reset_by_the_policy_and_older_metadata_are_no_new_topic() {
    let anew = Leaders { epoch: 0, id: Uuid([8; 16]) };
    let (mut state, now) = read(OffsetReset::Earliest, 1);
    buffer(&mut state, 20);
    state.note_leaders(3, &anew);
    assert!(!assigned(&state, 0).may_ask(now));
    assert_eq!(state.begin_checks(now, &anew), []);
    assert_eq!(assigned(&state, 0).phase, Phase::AwaitingReset(ResetTo::Earliest));
    assert!(state.buffer.is_empty_of(&name(0)));
    let generation = assigned(&state, 0).generation;
    let origin = Origin::Leader(anew.route(&name(0)).unwrap());
    state.subscription.found(&name(0), generation, Position { offset: 0, leader_epoch: None }, origin);
    state.note_leaders(2, &leaders(3));
    assert_eq!(state.begin_checks(now, &anew), []);
    assert!(assigned(&state, 0).may_ask(now));

    let (mut state, now) = read(OffsetReset::None, 1);
    state.note_leaders(2, &anew);
    state.begin_checks(now, &anew);
    let report = state.next_report(now, 0.5).unwrap();
    assert_eq!(report.kind(), ErrorKind::OffsetOutOfRange);
    assert!(report.to_string().contains("created anew"), "{report}");
    assert!(!assigned(&state, 0).may_ask(now + SOON), "nothing of the new topic at the old offset");
}

#[test]
fn an_offset_looked_up_in_a_topic_that_was_replaced_meanwhile_is_not_kept() {
    let (mut state, now) = read(OffsetReset::Earliest, 1);
    state.seek(&name(0), Start::Latest);
    let generation = assigned(&state, 0).generation;
    let anew = Leaders { epoch: 0, id: Uuid([8; 16]) };
    state.note_leaders(2, &anew);
    let found = Position { offset: 30, leader_epoch: Some(3) };
    let origin = Origin::Leader(leaders(3).route(&name(0)).unwrap());
    state.subscription.found(&name(0), generation, found, origin);
    state.note_leaders(2, &anew);
    state.begin_checks(now, &anew);
    assert_eq!(assigned(&state, 0).phase, Phase::AwaitingReset(ResetTo::Earliest));
}

#[test]
fn where_a_stream_was_let_go_or_damage_ends_is_no_place_in_the_topic_that_has_the_name_now() {
    let anew = Leaders { epoch: 0, id: Uuid([8; 16]) };
    for leader_epoch in [Some(3), None] {
        let moved = || {
            let (mut state, now) = read(OffsetReset::Earliest, 1);
            let handed_of = state.subscription.handed_of(&name(0));
            state.begin_anew(&name(0), Anew::Moved(Position { offset: 8, leader_epoch }));
            assert_eq!((state.subscription.handed_of(&name(0)), handed_of), (Some(ID), Some(ID)));
            (state, now)
        };
        let (mut state, now) = moved();
        state.note_leaders(2, &leaders(3));
        assert_eq!(position(&state, 0), Some((8, leader_epoch)));
        assert_eq!(state.begin_checks(now, &leaders(3)).len(), usize::from(leader_epoch.is_some()));

        let (mut state, now) = moved();
        state.note_leaders(2, &anew);
        assert!(!assigned(&state, 0).may_ask(now));
        assert_eq!(state.begin_checks(now, &anew), []);
        assert_eq!(assigned(&state, 0).phase, Phase::AwaitingReset(ResetTo::Earliest));
    }
}

#[test]
fn an_offset_that_was_committed_for_a_former_topic_is_not_one_of_the_topic_that_has_its_name_now() {
    let anew = Leaders { epoch: 0, id: Uuid([8; 16]) };
    for leader_epoch in [Some(0), None] {
        let committed = Position { offset: 4, leader_epoch };
        let positioned = |id: Option<Uuid>| {
            let (mut state, now) = read(OffsetReset::Earliest, 1);
            state.seek(&name(0), Start::Committed);
            let asked = state.begin_committed(now, |_| true);
            let origin = Origin::of(id);
            state.handle_committed(&asked, now, 0.5, [(name(0), Ok(Some((committed, origin))))].into());
            (state, now)
        };
        let (mut former, now) = positioned(Some(ID));
        assert_eq!(former.subscription.origin(&name(0)).topic_id(), Some(ID), "before a leader was compared");
        former.note_leaders(2, &anew);
        assert!(!assigned(&former, 0).may_ask(now));
        assert_eq!(former.begin_checks(now, &anew), []);
        assert_eq!(assigned(&former, 0).phase, Phase::AwaitingReset(ResetTo::Earliest));
        // Where topics go by name, nobody can tell.
        for id in [Some(anew.id), None] {
            let (mut state, now) = positioned(id);
            state.note_leaders(2, &anew);
            assert_eq!(state.begin_checks(now, &anew).len(), usize::from(leader_epoch.is_some()));
            assert_eq!(position(&state, 0), Some((4, leader_epoch)));
        }
    }
}

#[test]
fn a_fetch_that_says_where_the_logs_diverge_is_believed() {
    let (mut state, now) = read(OffsetReset::Latest, 1);
    let generation = assigned(&state, 0).generation;
    assert!(state.handle_divergence(&name(0), generation, 8, 2));
    assert_eq!(position(&state, 0), Some((8, Some(2))));
    let generation = assigned(&state, 0).generation;
    assert!(!state.handle_divergence(&name(0), generation, 9, 1));
    assert_eq!(position(&state, 0), Some((8, Some(1))), "the offset is there, with another history");

    buffer(&mut state, 20);
    let generation = assigned(&state, 0).generation;
    assert!(!state.handle_divergence(&name(0), generation, 3, 1));
    assert!(!assigned(&state, 0).may_ask(now), "what is buffered comes first");
    drain(&mut state);
    assert_eq!(state.begin_checks(now, &leaders(3)).len(), 1);
}
