use super::*;

#[test]
fn partitions_are_added_all_or_none() {
    let mut script = script();
    let who = script.init("a").unwrap();
    let answer = script.add("a", who, &[1, 9, 2]);
    let (left_out, unknown) = (ErrorCode::OPERATION_NOT_ATTEMPTED, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(answer, [left_out, unknown, left_out]);
    assert_eq!(script.state("a"), Some(State::Empty));
    assert_eq!(script.add("a", who, &[1, 2]), [ErrorCode::NONE; 2]);
    assert_eq!(script.add("a", who, &[2]), OK);
    assert_eq!(script.coordinator.targets("a").cloned().collect::<Vec<_>>(), [target(1), target(2)]);
}

#[test]
fn who_is_not_the_owner_adds_nothing() {
    let mut script = script();
    let who = script.init("a").unwrap();
    assert_eq!(script.add("b", who, &[1]), [ErrorCode::INVALID_PRODUCER_ID_MAPPING]);
    assert_eq!(script.add("a", (5, 0), &[1]), [ErrorCode::INVALID_PRODUCER_ID_MAPPING]);
    assert_eq!(script.add("a", (0, 1), &[1]), [ErrorCode::PRODUCER_FENCED]);
    assert_eq!(script.add("", who, &[1]), [ErrorCode::INVALID_REQUEST]);
    assert_eq!(script.offsets("a", (0, 1), "g"), ErrorCode::PRODUCER_FENCED);
    assert_eq!(script.state("a"), Some(State::Empty));
}

#[test]
fn groups_are_targets_like_partitions() {
    let mut script = script();
    let who = script.init("a").unwrap();
    assert_eq!(script.offsets("a", who, "g"), ErrorCode::NONE);
    assert_eq!(script.add("a", who, &[1]), OK);
    assert_eq!(script.end_v1("a", who, true), ErrorCode::NONE);
    assert_eq!(script.marker().targets, [target(1), Target::Group("g".to_owned())]);
}

#[test]
fn nothing_is_added_while_markers_are_being_written() {
    let mut script = script();
    let who = script.init("a").unwrap();
    script.add("a", who, &[1, 2]);
    assert_eq!(script.end_v1("a", who, true), ErrorCode::NONE);
    assert_eq!(script.add("a", who, &[1]), [ErrorCode::CONCURRENT_TRANSACTIONS]);
    assert_eq!(script.offsets("a", who, "g"), ErrorCode::CONCURRENT_TRANSACTIONS);
    let marker = script.marker();
    script.coordinator.handle_marker_written(script.now, "a", 0, &target(1));
    assert_eq!(script.add("a", who, &[1]), [ErrorCode::CONCURRENT_TRANSACTIONS], "one is still missing");
    script.wrote(&marker);
    assert_eq!(script.state("a"), Some(State::CompleteCommit));
    assert_eq!(script.add("a", who, &[3]), OK);
    assert_eq!(script.coordinator.targets("a").cloned().collect::<Vec<_>>(), [target(3)]);
}

#[test]
fn a_write_that_was_not_announced_is_turned_away_in_words_its_client_knows() {
    let mut script = script();
    let who = script.init("a").unwrap();
    let (old, explicit) = (WriterKind::of_produce(10), WriterKind::of_produce(11));
    assert_eq!(script.admit("a", who, target(1), old), Err(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(script.admit("a", who, target(1), explicit), Err(ErrorCode::TRANSACTION_ABORTABLE));
    script.add("a", who, &[1]);
    assert_eq!(script.admit("a", who, target(1), old), Ok(()));
    assert_eq!(script.admit("a", who, target(2), old), Err(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(script.admit("a", (0, 7), target(1), old), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert_eq!(script.admit("a", (1, 0), target(1), old), Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
    script.end_v1("a", who, false);
    assert_eq!(script.admit("a", who, target(1), old), Err(ErrorCode::NOT_ENOUGH_REPLICAS));
    let group = Target::Group("g".to_owned());
    let commit = WriterKind::of_txn_offset_commit(4);
    assert_eq!(script.admit("a", who, group, commit), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    script.settle();
    assert_eq!(script.admit("a", who, target(1), explicit), Err(ErrorCode::TRANSACTION_ABORTABLE));
}

#[test]
fn in_transaction_version_2_the_first_write_adds_its_target() {
    let mut script = script();
    let who = script.init("a").unwrap();
    assert_eq!(WriterKind::of_produce(12), WriterKind::of_txn_offset_commit(5));
    assert_eq!(script.write("a", who, 1), Ok(()));
    let group = Target::Group("g".to_owned());
    assert_eq!(script.admit("a", who, group.clone(), WriterKind::Implicit), Ok(()));
    assert_eq!(script.state("a"), Some(State::Ongoing));
    let next = script.end("a", who, true).unwrap();
    assert_eq!(script.write("a", next, 2), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    assert_eq!(script.write("a", who, 2), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert_eq!(script.marker().targets, [target(1), group]);
}

#[test]
fn brokers_ask_for_several_transactions_at_once_and_may_only_check() {
    let mut script = script();
    let (a, b) = (script.init("a").unwrap(), script.init("b").unwrap());
    script.add("a", a, &[1]);
    let transaction =
        |id: &str, who: Identity, verify_only, partitions: &[i32]| AddPartitionsToTxnTransaction {
            transactional_id: id.to_owned(),
            producer_id: who.0,
            producer_epoch: who.1,
            verify_only,
            topics: vec![topic(partitions)],
            ..Default::default()
        };
    let request = AddPartitionsToTxnRequest {
        transactions: vec![transaction("a", a, true, &[1, 2, 9]), transaction("b", b, false, &[3])],
        ..Default::default()
    };
    for version in [4, 5] {
        let answer = script.coordinator.handle_add_partitions(script.now, version, &request, exists);
        let codes: Vec<(String, Vec<ErrorCode>)> = answer
            .results_by_transaction
            .into_iter()
            .map(|result| {
                let partitions = &result.topic_results[0].results_by_partition;
                (result.transactional_id, partitions.iter().map(|p| p.partition_error_code).collect())
            })
            .collect();
        let (missing, unknown) = (ErrorCode::TRANSACTION_ABORTABLE, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let expected =
            [("a".to_owned(), vec![ErrorCode::NONE, missing, unknown]), ("b".to_owned(), OK.to_vec())];
        assert_eq!(codes, expected);
    }
    assert_eq!(script.coordinator.targets("a").count(), 1);
    assert_eq!(script.state("b"), Some(State::Ongoing));
}
