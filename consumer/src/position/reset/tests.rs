#![allow(clippy::disallowed_methods, reason = "a script needs some instant to start from")]

use std::time::Duration;

use ottla_client::{Backoff, ErrorKind};
use ottla_protocol::messages::list_offsets::ListOffsetsTopicResponse;
use ottla_protocol::uuid::Uuid;

use super::*;
use crate::fetch::plan::Route;
use crate::fetch::state::Rules;
use crate::options::{ConsumerValues, OffsetReset};
use crate::subscription::Start;

/// Partition `n` is led by broker `n % 2`; partition 9 by nobody.
struct Leaders;

impl Routes for Leaders {
    fn route(&self, partition: &TopicPartition) -> Option<Route> {
        let partition = partition.partition;
        (partition != 9).then_some(Route { leader: partition % 2, epoch: 4, topic_id: Uuid::ZERO })
    }

    fn knows(&self, _: NodeId) -> bool {
        true
    }
}

fn name(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn state(reset: OffsetReset, starts: &[(i32, Start)]) -> FetchState {
    let rules = Rules {
        isolation: IsolationLevel::ReadUncommitted,
        check_crcs: true,
        reset,
        backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(1)).with_shape(2.0, 0.0),
        replica_lease: Duration::from_secs(300),
    };
    let mut state = FetchState::new(&ConsumerValues::default(), rules);
    for (partition, start) in starts {
        state.subscription.add(name(*partition), *start, false);
    }
    state
}

fn position(state: &FetchState, partition: i32) -> Option<i64> {
    Some(state.subscription.partition(&name(partition))?.fetching()?.position.offset)
}

fn answer(rows: &[(i32, ErrorCode, i64)]) -> ListOffsetsResponse {
    let partitions = rows.iter().map(|(partition_index, error_code, offset)| ListOffsetsPartitionResponse {
        partition_index: *partition_index,
        error_code: *error_code,
        offset: *offset,
        ..Default::default()
    });
    let topic =
        ListOffsetsTopicResponse { name: "t".into(), partitions: partitions.collect(), ..Default::default() };
    ListOffsetsResponse { topics: vec![topic], ..Default::default() }
}

#[test]
fn each_leader_is_asked_once_for_all_of_its_partitions() {
    let starts = [
        (0, Start::Earliest),
        (1, Start::Latest),
        (2, Start::Timestamp(77)),
        (3, Start::Offset(1)),
        (9, Start::Latest),
    ];
    let mut state = state(OffsetReset::None, &starts);
    let now = Instant::now();
    let batches = state.begin_lookups(now, &Leaders);
    let shape: Vec<_> = batches
        .iter()
        .map(|batch| {
            let request = batch.request(IsolationLevel::ReadCommitted, 30_000, 0);
            assert_eq!((request.replica_id, request.isolation_level, request.topics.len()), (-1, 1, 1));
            let rows = request.topics[0].partitions.iter();
            (
                batch.leader,
                rows.map(|row| (row.partition_index, row.timestamp, row.current_leader_epoch)).collect(),
            )
        })
        .collect::<Vec<(i32, Vec<_>)>>();
    assert_eq!(shape, [(0, vec![(0, -2, 4), (2, 77, 4)]), (1, vec![(1, -1, 4)])]);
    assert_eq!(state.begin_lookups(now, &Leaders), [], "they are under way");

    assert!(!state.handle_offsets(
        &batches[0],
        now,
        0.5,
        &answer(&[(0, ErrorCode::NONE, 11), (2, ErrorCode::NONE, 12)])
    ));
    assert_eq!((position(&state, 0), position(&state, 1), position(&state, 2)), (Some(11), None, Some(12)));
}

#[test]
fn a_time_beyond_the_last_record_is_the_end() {
    let mut state = state(OffsetReset::None, &[(0, Start::Timestamp(77))]);
    let now = Instant::now();
    let batches = state.begin_lookups(now, &Leaders);
    state.handle_offsets(&batches[0], now, 0.5, &answer(&[(0, ErrorCode::NONE, -1)]));
    let again = state.begin_lookups(now, &Leaders);
    assert_eq!(again[0].lookups[0].to, ResetTo::Latest);
}

#[test]
fn what_may_pass_is_asked_again_later_and_what_will_not_is_reported() {
    let mut state =
        state(OffsetReset::None, &[(0, Start::Earliest), (2, Start::Earliest), (4, Start::Earliest)]);
    let now = Instant::now();
    let batches = state.begin_lookups(now, &Leaders);
    let rows = [(0, ErrorCode::NOT_LEADER_OR_FOLLOWER, -1), (2, ErrorCode::TOPIC_AUTHORIZATION_FAILED, -1)];
    assert!(state.handle_offsets(&batches[0], now, 0.5, &answer(&rows)));
    assert_eq!(state.begin_lookups(now, &Leaders), []);
    let later = now + Duration::from_millis(100);
    assert_eq!(state.next_lookup(now), Some(later));
    let due: Vec<i32> = state.begin_lookups(later, &Leaders)[0]
        .lookups
        .iter()
        .map(|lookup| lookup.partition.partition)
        .collect();
    assert_eq!(due, [0, 4], "the answer left 4 out");
    assert_eq!(state.next_report(later, 0.5).map(|error| error.kind()), Some(ErrorKind::Authorization));
}

#[test]
fn an_answer_that_a_seek_overtook_changes_nothing() {
    let mut state = state(OffsetReset::None, &[(0, Start::Earliest)]);
    let now = Instant::now();
    let batches = state.begin_lookups(now, &Leaders);
    state.seek(&name(0), Start::Offset(50));
    state.handle_offsets(&batches[0], now, 0.5, &answer(&[(0, ErrorCode::NONE, 11)]));
    assert_eq!(position(&state, 0), Some(50));
}

#[test]
fn nothing_committed_means_the_policy_and_an_error_never_does() {
    let now = Instant::now();
    let mut resetting = state(OffsetReset::Latest, &[(0, Start::Committed), (1, Start::Committed)]);
    assert_eq!(resetting.begin_committed(now, |topic| topic != "t"), [], "its name alone may be another's");
    let asked = resetting.begin_committed(now, |_| true);
    assert_eq!(asked.len(), 2);
    let committed = (Position { offset: 7, leader_epoch: None }, Origin::Unknown);
    let found = HashMap::from([(name(0), Ok(Some(committed))), (name(1), Ok(None))]);
    resetting.handle_committed(&asked, now, 0.5, found);
    assert_eq!(position(&resetting, 0), Some(7));
    assert_eq!(resetting.begin_lookups(now, &Leaders)[0].lookups[0].to, ResetTo::Latest);

    let mut strict = state(OffsetReset::None, &[(0, Start::Committed)]);
    let asked = strict.begin_committed(now, |_| true);
    strict.handle_committed(&asked, now, 0.5, HashMap::from([(name(0), Ok(None))]));
    assert_eq!(strict.next_report(now, 0.5).map(|error| error.kind()), Some(ErrorKind::OffsetOutOfRange));

    let mut failing = state(OffsetReset::Latest, &[(0, Start::Committed)]);
    let asked = failing.begin_committed(now, |_| true);
    let error = Error::new(ErrorKind::Timeout, "no coordinator");
    failing.handle_lookup_failure(asked.iter().map(|(name, at)| (name, *at)), now, 0.5, &error);
    assert_eq!(failing.begin_committed(now, |_| true), []);
    assert_eq!(failing.begin_committed(now + Duration::from_millis(100), |_| true).len(), 1);
}

#[test]
fn a_partition_whose_committed_offset_is_not_known_holds_up_no_other() {
    let starts = [(0, Start::Committed), (1, Start::Committed), (2, Start::Committed), (3, Start::Committed)];
    let mut state = state(OffsetReset::Earliest, &starts);
    let now = Instant::now();
    let asked = state.begin_committed(now, |_| true);
    let error = |code| Err(Error::from_code(code, "cannot fetch the committed offset"));
    let answer = HashMap::from([
        (name(0), Ok(Some((Position { offset: 7, leader_epoch: None }, Origin::Unknown)))),
        (name(1), error(ErrorCode::UNSTABLE_OFFSET_COMMIT)),
        (name(2), error(ErrorCode::TOPIC_AUTHORIZATION_FAILED)),
    ]);
    state.handle_committed(&asked, now, 0.5, answer);
    assert_eq!(position(&state, 0), Some(7));
    assert_eq!(state.begin_committed(now, |_| true), []);
    let again: Vec<i32> = state
        .begin_committed(now + Duration::from_millis(100), |_| true)
        .iter()
        .map(|(name, _)| name.partition)
        .collect();
    assert_eq!(again, [1, 3]);
    assert_eq!(state.next_report(now, 0.5).map(|error| error.kind()), Some(ErrorKind::Authorization));
    assert!(state.next_report(now, 0.5).is_none());
}

#[test]
fn a_reset_by_duration_asks_for_a_time_that_long_before_the_question_and_else_for_the_end() {
    let mut state = state(OffsetReset::ByDuration(Duration::from_secs(60)), &[(0, Start::Committed)]);
    let now = Instant::now();
    let asked = state.begin_committed(now, |_| true);
    state.handle_committed(&asked, now, 0.5, HashMap::from([(name(0), Ok(None))]));
    let batches = state.begin_lookups(now, &Leaders);
    let time = |clock_ms| {
        let request = batches[0].request(IsolationLevel::ReadUncommitted, 0, clock_ms);
        request.topics[0].partitions[0].timestamp
    };
    assert_eq!((time(100_000), time(160_000), time(5)), (40_000, 100_000, 0));
    state.handle_offsets(&batches[0], now, 0.5, &answer(&[(0, ErrorCode::NONE, -1)]));
    assert_eq!(state.begin_lookups(now, &Leaders)[0].lookups[0].to, ResetTo::Latest);
}
