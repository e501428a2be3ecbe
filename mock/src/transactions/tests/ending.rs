use super::*;

#[test]
fn in_version_1_the_epoch_stays_and_a_repeated_end_is_told_by_its_outcome() {
    let mut script = script();
    let who = script.init("a").unwrap();
    assert_eq!(script.end_v1("a", who, true), ErrorCode::INVALID_TXN_STATE, "nothing to commit");
    assert_eq!(script.end_v1("a", who, false), ErrorCode::INVALID_TXN_STATE, "nor to abort");
    script.add("a", who, &[1]);
    assert_eq!(script.end_v1("a", who, true), ErrorCode::NONE);
    assert_eq!(script.end_v1("a", who, true), ErrorCode::CONCURRENT_TRANSACTIONS);
    assert_eq!(script.end_v1("a", who, false), ErrorCode::INVALID_TXN_STATE);
    let marker = script.marker();
    let expected = Marker {
        transactional_id: "a".to_owned(),
        producer_id: 0,
        producer_epoch: 0,
        commit: true,
        transaction_version: 0,
        targets: vec![target(1)],
    };
    assert_eq!(marker, expected);
    script.wrote(&marker);
    assert_eq!(script.end_v1("a", who, true), ErrorCode::NONE);
    assert_eq!(script.end_v1("a", who, false), ErrorCode::INVALID_TXN_STATE);
    script.add("a", who, &[1]);
    assert_eq!(script.end_v1("a", who, false), ErrorCode::NONE);
    script.settle();
    assert_eq!(script.end_v1("a", who, false), ErrorCode::NONE);
    assert_eq!(script.end_v1("a", who, true), ErrorCode::INVALID_TXN_STATE);
}

#[test]
fn who_is_not_the_owner_ends_nothing() {
    let mut script = script();
    let who = script.init("a").unwrap();
    script.add("a", who, &[1]);
    for version in [4, 5] {
        assert_eq!(script.end_as(version, "", who, true), Err(ErrorCode::INVALID_REQUEST));
        assert_eq!(script.end_as(version, "b", who, true), Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
        assert_eq!(script.end_as(version, "a", (3, 0), true), Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
        assert_eq!(script.end_as(version, "a", (0, 1), true), Err(ErrorCode::PRODUCER_FENCED));
    }
    assert_eq!(script.end_as(1, "a", (0, 1), true), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert_eq!(script.state("a"), Some(State::Ongoing));
}

#[test]
fn in_version_2_each_end_gives_a_new_epoch_and_a_repeated_one_gets_the_same() {
    let mut script = script();
    let who = script.init("a").unwrap();
    script.write("a", who, 1).unwrap();
    assert_eq!(script.end("a", who, true), Ok((0, 1)));
    assert_eq!(script.end("a", who, true), Err(ErrorCode::CONCURRENT_TRANSACTIONS), "the marker is pending");
    assert_eq!(script.end("a", who, false), Err(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(script.end("a", (0, 1), true), Err(ErrorCode::PRODUCER_FENCED));
    let marker = script.marker();
    assert_eq!((marker.producer_epoch, marker.commit, marker.transaction_version), (1, true, 2));
    script.wrote(&marker);
    assert_eq!(script.end("a", who, true), Ok((0, 1)));
    assert_eq!(script.end("a", who, false), Err(ErrorCode::INVALID_TXN_STATE));
    script.write("a", (0, 1), 1).unwrap();
    assert_eq!(script.end("a", who, true), Err(ErrorCode::PRODUCER_FENCED), "the next one began");
    assert_eq!(script.end("a", (0, 1), false), Ok((0, 2)));
    script.settle();
    assert_eq!(script.end("a", (0, 1), false), Ok((0, 2)));
    assert_eq!(script.end("a", (0, 1), true), Err(ErrorCode::INVALID_TXN_STATE));
}

#[test]
fn in_version_2_there_may_be_nothing_to_abort() {
    let mut script = script();
    let who = script.init("a").unwrap();
    assert_eq!(script.end("a", who, true), Err(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(script.end("a", who, false), Ok((0, 1)));
    assert_eq!(script.state("a"), Some(State::CompleteAbort));
    assert_eq!(script.coordinator.poll_marker(), None);
    assert_eq!(script.end("a", who, false), Ok((0, 1)), "a lost answer");
    assert_eq!(script.end("a", (0, 1), false), Ok((0, 2)), "the next abort of nothing");
    script.write("a", (0, 2), 1).unwrap();
    script.end("a", (0, 2), true).unwrap();
    script.settle();
    assert_eq!(script.end("a", (0, 3), true), Err(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(script.end("a", (0, 3), false), Ok((0, 4)));
}

#[test]
fn in_version_2_used_up_epochs_give_a_new_id_with_the_end() {
    let mut script = script();
    let mut who = script.init("a").unwrap();
    for _ in 0..i16::MAX - 1 {
        who = script.end("a", who, false).unwrap();
    }
    assert_eq!(who, (0, i16::MAX - 1));
    script.write("a", who, 1).unwrap();
    assert_eq!(script.end("a", who, true), Ok((1, 0)));
    assert_eq!(script.write("a", (1, 0), 1), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    let marker = script.marker();
    assert_eq!((marker.producer_id, marker.producer_epoch), (0, i16::MAX));
    script.wrote(&marker);
    assert_eq!(script.end("a", who, true), Ok((1, 0)), "a lost answer");
    assert_eq!(script.write("a", (1, 0), 1), Ok(()));
    assert_eq!(script.end("a", (1, 0), true), Ok((1, 1)));
}

#[test]
fn a_marker_for_another_producer_or_target_completes_nothing() {
    let mut script = script();
    let who = script.init("a").unwrap();
    script.write("a", who, 1).unwrap();
    script.coordinator.handle_marker_written(script.now, "a", 0, &target(1));
    assert_eq!(script.state("a"), Some(State::Ongoing));
    script.end("a", who, true).unwrap();
    for (id, producer_id, partition) in [("b", 0, 1), ("a", 5, 1), ("a", 0, 2)] {
        script.coordinator.handle_marker_written(script.now, id, producer_id, &target(partition));
    }
    assert_eq!(script.state("a"), Some(State::PrepareCommit));
}

#[test]
fn a_new_coordinator_writes_the_markers_that_are_missing() {
    let mut script = script();
    let (a, b) = (script.init("a").unwrap(), script.init("b").unwrap());
    script.add("a", a, &[1, 2]);
    script.add("b", b, &[1]);
    script.end_v1("a", a, true);
    script.end_v1("b", b, true);
    let first = script.marker();
    assert_eq!(first.targets, [target(1), target(2)]);
    script.coordinator.handle_marker_written(script.now, "a", 0, &target(1));
    script.coordinator.handle_coordinator_moved(|id| id == "a");
    let markers: Vec<Marker> = std::iter::from_fn(|| script.coordinator.poll_marker()).collect();
    let short: Vec<(&str, &[Target])> =
        markers.iter().map(|marker| (marker.transactional_id.as_str(), &marker.targets[..])).collect();
    assert_eq!(short, [("b", &[target(1)][..]), ("a", &[target(2)][..])]);
}
