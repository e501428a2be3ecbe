#![allow(clippy::disallowed_methods, reason = "a script needs some instant to start from")]

use std::time::{Duration, Instant};

use ottla_client::Backoff;
use ottla_protocol::compression::Compressor;
use ottla_protocol::records::{BatchBuilder, NO_HEADERS, SealOptions};
use ottla_protocol::uuid::Uuid;

use super::*;
use crate::ConsumerOptions;
use crate::fetch::buffer::Reading;
use crate::fetch::completed::CompletedFetch;
use crate::fetch::state::Rules;
use crate::options::{CommitMode, IsolationLevel, OffsetReset};
use crate::record::Record;

const ROUTE: Route = Route { leader: 1, epoch: 4, topic_id: Uuid([7; 16]) };

fn name() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// Commits go by acknowledgements; `t-0` stands at its begin.
fn state() -> FetchState {
    let rules = Rules {
        isolation: IsolationLevel::ReadUncommitted,
        check_crcs: true,
        reset: OffsetReset::Earliest,
        backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(1)).with_shape(2.0, 0.0),
        replica_lease: Duration::from_secs(300),
    };
    let mut state = FetchState::new(ConsumerOptions::new().commit_mode(CommitMode::Acked).values(), rules);
    state.subscription.add(name(), Start::Offset(0), false);
    state
}

/// A batch of five records.
fn batch(base: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(1024);
    for _ in 0..5 {
        builder.try_append(1, None, Some(b"v"), NO_HEADERS).unwrap();
    }
    let sealed = builder.seal(&SealOptions::default(), &mut Compressor::none()).unwrap();
    sealed.into_batch().rebased(base, 3).bytes().to_vec()
}

/// What a broker sent for the position of now.
fn fetched(state: &mut FetchState, bytes: Vec<u8>) -> Reading {
    let assigned = state.subscription.partition(&name()).unwrap();
    let (generation, position) = (assigned.generation, assigned.fetching().unwrap().position.offset);
    let fetch = CompletedFetch::new(bytes.into(), position, IsolationLevel::ReadUncommitted, Vec::new());
    state.buffer.push(&name(), generation, fetch);
    state.next_reading().unwrap()
}

/// Hands out what can be read.
fn hand_out(state: &mut FetchState, reading: &mut Reading) -> Vec<Record> {
    let records = reading.fetch.take(100).unwrap();
    state.acks.as_mut().unwrap().hand_out(&records);
    state.settle(reading);
    records
}

fn ack(state: &mut FetchState, record: &Record) -> bool {
    let offsets = record.offset()..record.offset() + 1;
    state.acks.as_mut().unwrap().acknowledge(&name(), offsets, Some(record.generation()))
}

/// What a commit would say.
fn committable(state: &FetchState) -> Option<i64> {
    let position = state.subscription.partition(&name())?.fetching()?.position;
    Some(state.acks.as_ref()?.committable(&name(), position).offset)
}

fn outstanding(state: &FetchState) -> u64 {
    state.acks.as_ref().unwrap().outstanding()
}

#[test]
fn no_commit_passes_what_was_handed_out_before_a_batch_that_is_skipped() {
    let mut state = state();
    let mut damaged = batch(5);
    *damaged.last_mut().unwrap() ^= 1;
    let mut reading = fetched(&mut state, [batch(0), damaged, batch(10)].concat());
    let records = hand_out(&mut state, &mut reading);
    let error = reading.fetch.take(1).unwrap_err();
    state.damaged(&reading, error, Instant::now(), 0.5);
    assert_eq!(state.skip(&name()).unwrap(), 10);
    assert_eq!(committable(&state), Some(0));
    assert!(records[..4].iter().all(|record| ack(&mut state, record)));
    assert_eq!(committable(&state), Some(4));
    assert!(ack(&mut state, &records[4]));
    assert_eq!(committable(&state), Some(10));
}

#[test]
fn where_a_lookup_ends_says_what_comes_again() {
    for (to, found, held, commit) in [
        (Anew::Sought(Start::Earliest), 0, 0, 0),
        (Anew::Sought(Start::Timestamp(9)), 3, 3, 0),
        (Anew::Sought(Start::Latest), 50, 5, 0),
        (Anew::Reset(ResetTo::Latest), 2, 2, 0),
        (Anew::Kept(Position { offset: 0, leader_epoch: Some(3) }), 0, 0, 0),
    ] {
        let mut state = state();
        let mut reading = fetched(&mut state, batch(0));
        hand_out(&mut state, &mut reading);
        assert!(state.begin_anew(&name(), to));
        let generation = state.subscription.partition(&name()).unwrap().generation;
        state.found(
            &name(),
            generation,
            Position { offset: found, leader_epoch: None },
            Origin::Leader(ROUTE),
        );
        assert_eq!((outstanding(&state), committable(&state)), (held, Some(commit)), "{to:?}");
    }
}

#[test]
fn an_answer_that_a_seek_overtook_has_nothing_be_forgotten() {
    let mut state = state();
    let mut reading = fetched(&mut state, batch(0));
    hand_out(&mut state, &mut reading);
    state.seek(&name(), Start::Earliest);
    let asked = state.subscription.partition(&name()).unwrap().generation;
    state.seek(&name(), Start::Latest);
    state.found(&name(), asked, Position { offset: 0, leader_epoch: None }, Origin::Leader(ROUTE));
    assert_eq!((outstanding(&state), committable(&state)), (5, None));
}

#[test]
fn an_acknowledgement_of_a_record_that_was_truncated_away_does_not_count_for_the_one_in_its_place() {
    let mut state = state();
    let mut reading = fetched(&mut state, batch(0));
    let old = hand_out(&mut state, &mut reading);
    state.buffer.finish(&reading);
    state.begin_anew(&name(), Anew::Truncated(Position { offset: 3, leader_epoch: Some(4) }, ROUTE));
    let mut reading = fetched(&mut state, batch(3));
    let new = hand_out(&mut state, &mut reading);
    for record in &old {
        assert_eq!(ack(&mut state, record), record.offset() < 3);
    }
    assert_eq!(committable(&state), Some(3));
    assert!(ack(&mut state, &new[0]));
    assert_eq!(committable(&state), Some(4));
}

#[test]
fn nothing_of_a_topic_that_was_created_anew_is_waited_for() {
    let mut state = state();
    let mut reading = fetched(&mut state, [batch(0), batch(5)].concat());
    let first = reading.fetch.take(5).unwrap();
    state.acks.as_mut().unwrap().hand_out(&first);
    state.recreated(&name(), reading.generation);
    assert!(!state.is_current(&reading));
    // A loop over records takes notice of that only after some more of them.
    let late = hand_out(&mut state, &mut reading);
    assert_eq!((outstanding(&state), late.len()), (0, 5));
    assert!(!first.iter().chain(&late).any(|record| ack(&mut state, record)));
    let generation = state.subscription.partition(&name()).unwrap().generation;
    state.found(&name(), generation, Position { offset: 0, leader_epoch: None }, Origin::Leader(ROUTE));
    assert_eq!(committable(&state), Some(0));
}
