use super::*;

/// A segment for each batch.
fn segmented(mut config: LogConfig) -> PartitionLog {
    config.segment_bytes = values(&["a"]).bytes().len() as i32;
    PartitionLog::new(config)
}

#[test]
fn old_segments_go_by_age_as_far_as_they_are_replicated() {
    let mut log = segmented(LogConfig { retention_ms: 100, ..LogConfig::default() });
    for (at, value) in [(0, "a"), (50, "b"), (10, "c"), (200, "d")] {
        put(&mut log, &values(&[value]).at(&[NOW + at]));
    }
    assert!(!log.retain(NOW + 100));
    assert!(log.retain(NOW + 101));
    assert_eq!(log.start_offset(), 1, "the third waits for the second");
    assert!(log.retain(NOW + 151));
    assert_eq!(offsets_and_values(&log, Isolation::LogEnd), owned(&[(3, "d")]));
    log.append(NOW, &PLAIN, &values(&["e"]).bytes()).unwrap();
    assert!(log.retain(NOW + 1000));
    assert_eq!((log.start_offset(), log.end_offset()), (4, 5), "the last record is not replicated");
    log.set_high_watermark(5);
    assert!(log.retain(NOW + 1000));
    assert_eq!((log.start_offset(), log.size_bytes()), (5, 0));
    assert!(!log.retain(NOW + 1000));
    assert_eq!(put(&mut log, &values(&["f"])), 5);
}

#[test]
fn old_segments_go_by_size_and_never_more_than_needed() {
    let size = values(&["a"]).bytes().len() as i64;
    let mut log =
        segmented(LogConfig { retention_bytes: 2 * size + 1, retention_ms: -1, ..LogConfig::default() });
    for value in ["a", "b", "c", "d"] {
        put(&mut log, &values(&[value]));
    }
    log.retain(NOW);
    assert_eq!((log.start_offset(), log.size_bytes()), (1, 3 * size as u64));
    log.set_config(LogConfig { retention_bytes: 0, ..log.config().clone() });
    log.retain(NOW);
    assert_eq!((log.start_offset(), log.size_bytes()), (4, 0));
}

#[test]
fn a_topic_that_is_only_compacted_keeps_its_old_segments() {
    let config = LogConfig { retention_ms: 1, delete: false, compact: true, ..LogConfig::default() };
    let mut log = PartitionLog::new(config);
    put(&mut log, &pairs(&[(Some("k"), Some("v"))]));
    assert!(!log.retain(NOW * 2));
    assert_eq!(log.delete_records(1), Err(ErrorCode::POLICY_VIOLATION));
}

#[test]
fn records_are_deleted_up_to_an_offset_that_is_replicated() {
    let mut log = log();
    put(&mut log, &values(&["a", "b", "c"]).of(7, 0, 0));
    log.append(NOW, &PLAIN, &values(&["d"]).bytes()).unwrap();
    assert_eq!(log.delete_records(4), Err(ErrorCode::OFFSET_OUT_OF_RANGE));
    assert_eq!(log.delete_records(-2), Err(ErrorCode::OFFSET_OUT_OF_RANGE));
    assert_eq!(log.delete_records(2), Ok(2));
    assert_eq!(log.delete_records(1), Ok(2), "the start never goes back");
    let slice = log.read(2, usize::MAX, true, Isolation::HighWatermark).unwrap();
    assert_eq!(Batches::new(slice.records).next().unwrap().unwrap().header().base_offset, 0);
    assert_eq!(log.delete_records(-1), Ok(3));
    assert_eq!(log.list_offset(-2, Isolation::HighWatermark, 5).unwrap().leader_epoch, 5);
    let again = log.append(NOW, &PLAIN, &values(&["a", "b", "c"]).of(7, 0, 0).bytes()).unwrap();
    assert_eq!(
        (again.base_offset, again.duplicate, again.log_start_offset),
        (0, true, 3),
        "producers are remembered"
    );
}

#[test]
fn a_lost_tail_takes_its_producers_state_with_it() {
    for segment_bytes in [1 << 30, values(&["a"]).bytes().len() as i32] {
        let mut log = PartitionLog::new(LogConfig { segment_bytes, ..LogConfig::default() });
        put(&mut log, &values(&["a"]).of(7, 0, 0));
        put(&mut log, &values(&["b"]).of(7, 0, 1));
        log.append(NOW, &AppendContext { leader_epoch: 6, ..PLAIN }, &values(&["c"]).of(7, 0, 2).bytes())
            .unwrap();
        log.append(NOW, &AppendContext { leader_epoch: 6, ..PLAIN }, &values(&["x"]).of(8, 0, 0).bytes())
            .unwrap();

        assert!(log.truncate(2));
        assert_eq!((log.end_offset(), log.high_watermark()), (2, 2));
        assert_eq!(log.latest_epoch(), Some(5));
        assert_eq!(
            log.producers().iter().map(|known| (known.producer_id, known.last_sequence)).collect::<Vec<_>>(),
            [(7, 1)]
        );
        assert_eq!(code(&mut log, &values(&["d"]).of(7, 0, 3)), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        assert!(log.append(NOW, &PLAIN, &values(&["a"]).of(7, 0, 0).bytes()).unwrap().duplicate);
        assert_eq!(put(&mut log, &values(&["c"]).of(7, 0, 2)), 2);
        assert!(!log.truncate(3));
    }
}

#[test]
fn a_transaction_whose_marker_is_lost_is_open_again() {
    for segment_bytes in [1 << 30, 1000, 100] {
        let mut log = PartitionLog::new(LogConfig { segment_bytes, ..LogConfig::default() });
        put(&mut log, &values(&["a"]).of(7, 0, 0).transactional());
        put(&mut log, &values(&["b"]));
        end(&mut log, 7, 0, false);
        assert_eq!(log.last_stable_offset(), 3);
        assert!(log.truncate(2));
        assert_eq!(log.last_stable_offset(), 0);
        assert!(log.has_ongoing_transaction(7, 0));
        end(&mut log, 7, 0, true);
        assert_eq!(offsets_and_values(&log, Isolation::Committed), owned(&[(0, "a"), (1, "b")]));
    }
}

#[test]
fn a_cut_within_a_batch_takes_the_whole_batch() {
    let mut log = log();
    put(&mut log, &values(&["a", "b"]));
    put(&mut log, &values(&["c", "d", "e"]));
    assert!(log.truncate(3));
    assert_eq!((log.end_offset(), log.high_watermark()), (2, 2));
    assert!(log.truncate(0));
    assert_eq!((log.end_offset(), log.size_bytes(), log.producers()), (0, 0, vec![]));
}

#[test]
fn a_cut_before_the_start_begins_the_log_anew() {
    let mut log = segmented(LogConfig::default());
    for value in ["a", "b", "c"] {
        put(&mut log, &values(&[value]));
    }
    log.delete_records(2).unwrap();
    assert!(log.truncate(1));
    assert_eq!((log.start_offset(), log.end_offset(), log.high_watermark()), (1, 1, 1));
    assert_eq!(put(&mut log, &values(&["d"])), 1);
}

#[test]
fn producers_whose_batches_are_deleted_are_known_also_after_a_loss() {
    let mut log = segmented(LogConfig::default());
    put(&mut log, &values(&["a"]).of(7, 0, 0));
    put(&mut log, &values(&["b"]));
    log.delete_records(1).unwrap();
    assert_eq!(log.size_bytes(), stored(&log)[0].size() as u64);
    log.append(NOW, &PLAIN, &values(&["c"]).of(7, 0, 1).bytes()).unwrap();
    assert!(log.truncate(2));
    let again = log.append(NOW, &PLAIN, &values(&["a"]).of(7, 0, 0).bytes()).unwrap();
    assert_eq!((again.base_offset, again.duplicate), (0, true));
    assert_eq!(put(&mut log, &values(&["c"]).of(7, 0, 1)), 2);
}
