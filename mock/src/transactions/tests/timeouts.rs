use super::*;

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() {
    let mut script = script();
    let who = script.init("a").unwrap();
    script.pass(50_000);
    script.write("a", who, 1).unwrap();
    script.pass(30_000);
    script.write("a", who, 2).unwrap();
    script.pass(29_999);
    assert_eq!(script.state("a"), Some(State::Ongoing), "it counts from the first write");
    script.pass(1);
    assert_eq!(script.state("a"), Some(State::PrepareAbort));
    let marker = script.marker();
    assert_eq!((marker.producer_epoch, marker.commit), (1, false));
    assert_eq!(marker.targets, [target(1), target(2)]);
    assert_eq!(script.write("a", who, 1), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    script.wrote(&marker);
    // Its epoch is the one before, from which it may go on; what it wanted to commit is gone.
    assert_eq!(script.end("a", who, true), Err(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(script.init_as(5, "a", who), Ok((0, 1)));
    assert_eq!(script.init("a"), Ok((0, 2)));
}

#[test]
fn the_last_epoch_suffices_for_an_abort_by_timeout() {
    let mut script = script();
    let mut who = script.init("a").unwrap();
    for _ in 0..i16::MAX - 1 {
        who = script.end("a", who, false).unwrap();
    }
    script.write("a", who, 1).unwrap();
    script.pass(60_000);
    let marker = script.marker();
    assert_eq!((marker.producer_id, marker.producer_epoch), (0, i16::MAX));
    script.wrote(&marker);
    assert_eq!(script.init("a"), Ok((1, 0)));
}

#[test]
fn an_id_that_is_not_used_is_forgotten() {
    let mut script = with(TransactionOptions { id_expiration_ms: 100_000, ..TransactionOptions::default() });
    let who = script.init("a").unwrap();
    script.pass(99_999);
    assert_eq!(script.state("a"), Some(State::Empty));
    script.pass(1);
    assert_eq!(script.state("a"), None);
    assert_eq!(script.write("a", who, 1), Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
    assert_eq!(script.coordinator.poll_deadline(), None);
    assert_eq!(script.init("a"), Ok((1, 0)));
}

#[test]
fn markers_that_are_pending_have_no_deadline() {
    let mut script = script();
    let who = script.init("a").unwrap();
    script.write("a", who, 1).unwrap();
    script.end("a", who, true).unwrap();
    assert_eq!(script.coordinator.poll_deadline(), None);
    script.settle();
    assert_eq!(script.coordinator.poll_deadline(), Some(script.now + Duration::from_secs(7 * 24 * 60 * 60)));
}
