use super::*;

fn aborted(log: &PartitionLog, from: i64) -> Vec<(i64, i64)> {
    let slice = log.read(from, usize::MAX, true, Isolation::Committed).unwrap();
    slice.aborted.unwrap().iter().map(|aborted| (aborted.producer_id, aborted.first_offset)).collect()
}

#[test]
fn readers_of_committed_records_stop_where_a_transaction_is_open() {
    let mut log = log();
    put(&mut log, &values(&["a"]));
    put(&mut log, &values(&["b"]).of(7, 0, 0).transactional());
    put(&mut log, &values(&["c"]));
    put(&mut log, &values(&["d"]).of(8, 0, 0).transactional());
    assert_eq!((log.last_stable_offset(), log.high_watermark()), (1, 4));
    assert_eq!(offsets_and_values(&log, Isolation::Committed), owned(&[(0, "a")]));
    assert_eq!(offsets_and_values(&log, Isolation::HighWatermark).len(), 4);

    assert_eq!(end(&mut log, 7, 0, true), 4);
    assert_eq!(log.last_stable_offset(), 3);
    assert_eq!(offsets_and_values(&log, Isolation::Committed), owned(&[(0, "a"), (1, "b"), (2, "c")]));
    assert_eq!(end(&mut log, 8, 0, false), 5);
    assert_eq!(log.last_stable_offset(), 6);
    assert_eq!(aborted(&log, 0), [(8, 3)]);
    assert_eq!(aborted(&log, 5), [(8, 3)]);
    assert_eq!(aborted(&log, 6), []);
    assert_eq!(offsets_and_values(&log, Isolation::Committed), owned(&[(0, "a"), (1, "b"), (2, "c")]));
}

#[test]
fn a_decision_counts_once_its_marker_is_replicated() {
    let mut log = log();
    put(&mut log, &values(&["a"]).of(7, 0, 0).transactional());
    let marker = MarkerAppend {
        producer_id: 7,
        producer_epoch: 0,
        coordinator_epoch: 0,
        commit: true,
        transaction_version: 0,
        leader_epoch: 5,
    };
    log.append_marker(NOW, &marker).unwrap();
    assert_eq!(log.last_stable_offset(), 0);
    log.set_high_watermark(1);
    assert_eq!(log.last_stable_offset(), 0);
    log.set_high_watermark(2);
    assert_eq!(log.last_stable_offset(), 2);
}

#[test]
fn a_marker_has_kafkas_bytes() {
    let mut log = log();
    put(&mut log, &values(&["a"]).of(7, 2, 0).transactional());
    let marker = MarkerAppend {
        producer_id: 7,
        producer_epoch: 2,
        coordinator_epoch: 9,
        commit: true,
        transaction_version: 0,
        leader_epoch: 5,
    };
    assert_eq!(log.append_marker(NOW, &marker), Ok(1));
    let stored = stored(&log);
    let (batch, header) = (&stored[1], *stored[1].header());
    assert_eq!((header.base_offset, header.partition_leader_epoch, header.count), (1, 5, 1));
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (7, 2, -1));
    assert_eq!((header.attributes.0, header.max_timestamp), (0x30, NOW));
    // Length, attributes, deltas; key of 4 bytes (version 0, commit); value of 6 (version 0, epoch 9); no headers.
    assert_eq!(batch.payload()[..], [32, 0, 0, 0, 8, 0, 0, 0, 1, 12, 0, 0, 0, 0, 0, 9, 0]);
    assert_eq!(batch.verify_crc(), Ok(()));
}

#[test]
fn a_marker_that_comes_too_late_is_refused() {
    let mut log = log();
    put(&mut log, &values(&["a"]).of(7, 2, 0).transactional());
    let marker = |producer_epoch, coordinator_epoch, transaction_version| MarkerAppend {
        producer_id: 7,
        producer_epoch,
        coordinator_epoch,
        commit: false,
        transaction_version,
        leader_epoch: 5,
    };
    assert_eq!(log.append_marker(NOW, &marker(1, 0, 0)), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert_eq!(log.append_marker(NOW, &marker(2, 0, 2)), Err(ErrorCode::INVALID_PRODUCER_EPOCH), "KIP-1228");
    assert_eq!(log.append_marker(NOW, &marker(3, 4, 2)), Ok(1));
    assert_eq!(log.append_marker(NOW, &marker(3, 4, 2)), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert_eq!(log.append_marker(NOW, &marker(3, 3, 0)), Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED));
    assert_eq!(
        code(&mut log, &values(&["b"]).of(7, 2, 1).transactional()),
        ErrorCode::INVALID_PRODUCER_EPOCH
    );
    let known = log.producers();
    assert_eq!((known[0].producer_epoch, known[0].coordinator_epoch, known[0].last_sequence), (3, 4, -1));
}

#[test]
fn a_transactions_first_batch_needs_the_coordinators_word_and_later_ones_do_not() {
    let mut log = log();
    let first = values(&["a"]).of(7, 0, 0).transactional().bytes();
    assert_eq!(log.begin_verification(NOW, &first, false), Some((7, 0)));
    let refused = log.append(NOW, &PLAIN, &first).unwrap_err();
    assert_eq!((refused.code, refused.message), (ErrorCode::INVALID_TXN_STATE, None));
    log.append(NOW, &VERIFIED, &first).unwrap();
    assert!(log.has_ongoing_transaction(7, 0) && !log.has_ongoing_transaction(7, 1));

    let second = values(&["b"]).of(7, 0, 1).transactional().bytes();
    assert_eq!(log.begin_verification(NOW, &second, false), None);
    log.append(NOW, &PLAIN, &second).unwrap();
    end(&mut log, 7, 0, true);
    let third = values(&["c"]).of(7, 0, 2).transactional().bytes();
    assert_eq!(log.begin_verification(NOW, &third, false), Some((7, 0)));
    assert_eq!(log.begin_verification(NOW, &values(&["x"]).bytes(), false), None);
    assert_eq!(log.begin_verification(NOW, &Bytes::from_static(b"x"), false), None);
}

#[test]
fn a_later_batch_does_not_overtake_one_that_is_being_verified() {
    let mut log = log();
    let (first, second) =
        (values(&["a"]).of(7, 0, 0).transactional(), values(&["b"]).of(7, 0, 1).transactional());
    log.begin_verification(NOW, &first.bytes(), false);
    log.begin_verification(NOW, &second.bytes(), false);
    assert_eq!(code(&mut log, &second), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    put(&mut log, &first);
    put(&mut log, &second);
    assert_eq!(log.end_offset(), 2);
}

#[test]
fn a_producer_that_adds_partitions_by_writing_begins_at_sequence_0() {
    let mut log = log();
    let late = values(&["b"]).of(7, 0, 1).transactional();
    log.begin_verification(NOW, &late.bytes(), true);
    assert_eq!(code(&mut log, &late), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    let first = values(&["a"]).of(7, 0, 0).transactional();
    log.begin_verification(NOW, &first.bytes(), true);
    assert_eq!(put(&mut log, &first), 0);
}

#[test]
fn a_plain_batch_has_no_place_in_a_transaction() {
    let mut log = log();
    put(&mut log, &values(&["a"]).of(7, 0, 0).transactional());
    assert_eq!(code(&mut log, &values(&["b"]).of(7, 0, 1)), ErrorCode::INVALID_TXN_STATE);
    assert_eq!(put(&mut log, &values(&["b"])), 1);
}

#[test]
fn the_same_producer_may_abort_and_commit_in_turn() {
    let mut log = log();
    put(&mut log, &values(&["a"]).of(7, 0, 0).transactional());
    end(&mut log, 7, 0, false);
    put(&mut log, &values(&["b"]).of(7, 0, 1).transactional());
    end(&mut log, 7, 0, true);
    put(&mut log, &values(&["c"]).of(7, 1, 0).transactional());
    end(&mut log, 7, 1, false);
    for max_bytes in [1, 100, usize::MAX] {
        let records = consume(&log, max_bytes, Isolation::Committed);
        assert_eq!(records, [(2, None, Some("b".to_owned()))]);
    }
    assert_eq!(aborted(&log, 0), [(7, 0), (7, 4)]);
    assert_eq!(aborted(&log, 2), [(7, 4)]);
}

#[test]
fn an_empty_transactions_marker_aborts_nothing() {
    let mut log = log();
    put(&mut log, &values(&["a"]));
    end(&mut log, 7, 0, false);
    assert_eq!((aborted(&log, 0), log.last_stable_offset()), (vec![], 2));
}
