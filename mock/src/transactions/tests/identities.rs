use super::*;

#[test]
fn a_producer_without_a_transactional_id_gets_a_new_id_each_time() {
    let mut script = with(TransactionOptions { first_producer_id: 40, ..TransactionOptions::default() });
    let request =
        InitProducerIdRequest { transactional_id: None, transaction_timeout_ms: -1, ..Default::default() };
    for expected in [40, 41, 42] {
        let answer = script.coordinator.handle_init_producer_id(script.now, 4, &request);
        assert_eq!(
            (answer.error_code, answer.producer_id, answer.producer_epoch),
            (ErrorCode::NONE, expected, 0)
        );
    }
    let half = InitProducerIdRequest { producer_id: 40, ..request };
    let answer = script.coordinator.handle_init_producer_id(script.now, 4, &half);
    assert_eq!((answer.error_code, answer.producer_id), (ErrorCode::INVALID_REQUEST, -1));
}

#[test]
fn each_producer_with_a_transactional_id_fences_the_one_before() {
    let mut script = script();
    assert_eq!(script.init("a"), Ok((0, 0)));
    assert_eq!(script.init("b"), Ok((1, 0)));
    assert_eq!(script.init("a"), Ok((0, 1)));
    assert_eq!(script.add("a", (0, 0), &[1]), [ErrorCode::PRODUCER_FENCED]);
    assert_eq!(script.add_as(1, "a", (0, 0), &[1]), [ErrorCode::INVALID_PRODUCER_EPOCH]);
    assert_eq!(script.add("a", (0, 1), &[1]), OK);
}

#[test]
fn ids_and_timeouts_have_to_be_sensible() {
    let mut script = script();
    assert_eq!(script.init(""), Err(ErrorCode::INVALID_REQUEST));
    for timeout_ms in [0, -1, 900_001] {
        let request = InitProducerIdRequest {
            transactional_id: Some("a".to_owned()),
            transaction_timeout_ms: timeout_ms,
            ..Default::default()
        };
        let answer = script.coordinator.handle_init_producer_id(script.now, 4, &request);
        assert_eq!(answer.error_code, ErrorCode::INVALID_TRANSACTION_TIMEOUT, "{timeout_ms}");
    }
    assert_eq!(script.state("a"), None);
}

#[test]
fn a_producer_goes_on_after_an_error_and_hears_a_lost_answer_again() {
    let mut script = script();
    let first = script.init("a").unwrap();
    assert_eq!(script.init_as(3, "a", first), Ok((0, 1)));
    assert_eq!(script.init_as(3, "a", first), Ok((0, 1)), "the same request again");
    assert_eq!(script.init_as(3, "a", (0, 1)), Ok((0, 2)));
    assert_eq!(script.init_as(4, "a", first), Err(ErrorCode::PRODUCER_FENCED));
    assert_eq!(script.init_as(3, "a", first), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert_eq!(script.init_as(4, "a", (77, 2)), Err(ErrorCode::PRODUCER_FENCED), "another's id");
}

#[test]
fn once_another_producer_took_over_nobody_goes_on() {
    let mut script = script();
    let first = script.init("a").unwrap();
    assert_eq!(script.init("a"), Ok((0, 1)));
    assert_eq!(script.init_as(4, "a", first), Err(ErrorCode::PRODUCER_FENCED));
}

#[test]
fn a_predecessors_transaction_is_aborted_first() {
    let mut script = script();
    let first = script.init("a").unwrap();
    script.write("a", first, 1).unwrap();
    assert_eq!(script.init("a"), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    assert_eq!(script.init("a"), Err(ErrorCode::CONCURRENT_TRANSACTIONS), "while the marker is not written");
    let marker = script.marker();
    assert_eq!((marker.producer_id, marker.producer_epoch, marker.commit), (0, 1, false));
    assert_eq!((marker.transaction_version, &marker.targets), (2, &vec![target(1)]));
    assert_eq!(script.end("a", first, true), Err(ErrorCode::INVALID_TXN_STATE));
    script.wrote(&marker);
    assert_eq!(script.state("a"), Some(State::CompleteAbort));
    assert_eq!(script.init("a"), Ok((0, 2)));
    assert_eq!(script.end("a", first, true), Err(ErrorCode::PRODUCER_FENCED));
    assert_eq!(script.init_as(5, "a", first), Err(ErrorCode::PRODUCER_FENCED));
}

#[test]
fn below_transaction_version_2_an_abort_by_fence_counts_the_epoch_once() {
    let mut script = with(TransactionOptions { transaction_version: 0, ..TransactionOptions::default() });
    let first = script.init("a").unwrap();
    assert_eq!(script.add("a", first, &[1]), OK);
    assert_eq!(script.init_as(4, "a", first), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    let marker = script.marker();
    assert_eq!((marker.producer_epoch, marker.commit, marker.transaction_version), (1, false, 0));
    script.wrote(&marker);
    assert_eq!(script.init("a"), Ok((0, 2)));
}

#[test]
fn used_up_epochs_lead_to_a_new_id() {
    let mut script = script();
    let (mut known, mut inits) = (script.init("a").unwrap(), 0);
    while known.0 == 0 {
        known = script.init_as(4, "a", known).unwrap();
        inits += 1;
        assert!(known.0 != 0 || known.1 < i16::MAX, "the last epoch is the coordinator's");
    }
    assert_eq!((known, inits), ((1, 0), i32::from(i16::MAX)));
    assert_eq!(script.init_as(4, "a", (0, i16::MAX - 1)), Ok((1, 0)), "a lost answer");
    assert_eq!(script.init_as(4, "a", (1, 0)), Ok((1, 1)));
}

#[test]
fn a_producer_can_be_fenced_from_outside() {
    let mut script = script();
    let now = script.now;
    assert!(!script.coordinator.fence(now, "a"));
    let idle = script.init("a").unwrap();
    assert!(script.coordinator.fence(now, "a"));
    assert_eq!(script.write("a", idle, 1), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    let busy = script.init("a").unwrap();
    script.write("a", busy, 1).unwrap();
    assert!(script.coordinator.fence(now, "a"));
    assert_eq!(script.state("a"), Some(State::PrepareAbort));
    script.settle();
    assert_eq!(script.end("a", busy, true), Err(ErrorCode::PRODUCER_FENCED));
    assert_eq!(script.end_as(1, "a", busy, true), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
}

#[test]
fn two_phase_commit_is_not_enabled() {
    let mut script = script();
    let base = InitProducerIdRequest {
        transactional_id: Some("a".to_owned()),
        transaction_timeout_ms: TIMEOUT_MS,
        ..Default::default()
    };
    let two_phases = InitProducerIdRequest { enable2_pc: true, ..base.clone() };
    let kept = InitProducerIdRequest { keep_prepared_txn: true, ..base };
    for (request, code) in [
        (two_phases, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
        (kept, ErrorCode::UNSUPPORTED_VERSION),
    ] {
        assert_eq!(script.coordinator.handle_init_producer_id(script.now, 6, &request).error_code, code);
    }
}
