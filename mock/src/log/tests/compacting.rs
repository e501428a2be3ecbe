use super::*;

fn compacted(mut config: LogConfig) -> PartitionLog {
    (config.compact, config.delete) = (true, false);
    PartitionLog::new(config)
}

fn content(log: &PartitionLog) -> Vec<(i64, String, Option<String>)> {
    let records = consume(log, usize::MAX, Isolation::Committed);
    records.into_iter().map(|(offset, key, value)| (offset, key.unwrap_or_default(), value)).collect()
}

fn pair(offset: i64, key: &str, value: &str) -> (i64, String, Option<String>) {
    (offset, key.to_owned(), Some(value.to_owned()))
}

#[test]
fn of_each_key_the_last_record_stays_at_its_offset() {
    for codec in Compression::ALL {
        let mut log = compacted(LogConfig::default());
        let long = "v".repeat(40);
        let send = |pairs_: &[(Field<'_>, Field<'_>)]| Send { codec, ..pairs(pairs_) };
        put(&mut log, &send(&[(Some("a"), Some("1")), (Some("b"), Some("1")), (Some("a"), Some(&long))]));
        put(&mut log, &send(&[(Some("b"), Some("2"))]));
        put(&mut log, &send(&[(Some("c"), Some(&long)), (Some("d"), Some(&long)), (Some("c"), Some("2"))]));
        log.compact(NOW);
        let expected = [pair(2, "a", &long), pair(3, "b", "2"), pair(5, "d", &long), pair(6, "c", "2")];
        assert_eq!(content(&log), expected);
        let first = *stored(&log)[0].header();
        assert_eq!((first.base_offset, first.last_offset(), first.count), (0, 2, 1));
        assert!(stored(&log).iter().all(|batch| batch.verify_crc().is_ok()));
        log.compact(NOW);
        assert_eq!(content(&log), expected, "once is enough");
        assert_eq!(put(&mut log, &send(&[(Some("a"), Some("3"))])), 7);
        log.compact(NOW);
        assert_eq!(content(&log).first(), Some(&pair(3, "b", "2")));
    }
}

#[test]
fn readers_pass_over_holes() {
    let mut log = compacted(LogConfig::default());
    for value in ["1", "2", "3"] {
        put(&mut log, &pairs(&[(Some("k"), Some(value))]));
    }
    log.compact(NOW);
    assert_eq!(log.start_offset(), 0);
    let slice = log.read(0, 1, true, Isolation::Committed).unwrap();
    assert_eq!(Batches::new(slice.records).next().unwrap().unwrap().header().base_offset, 2);
    assert_eq!(log.list_offset(NOW, Isolation::Committed, 5).unwrap().offset, 2);
}

#[test]
fn a_tombstone_stays_until_its_horizon_has_passed() {
    let mut log = compacted(LogConfig { delete_retention_ms: 1000, ..LogConfig::default() });
    put(&mut log, &pairs(&[(Some("k"), Some("1")), (Some("j"), Some("1"))]));
    put(&mut log, &pairs(&[(Some("k"), None)]));
    log.compact(NOW);
    assert_eq!(content(&log), [pair(1, "j", "1"), (2, "k".to_owned(), None)]);
    let horizon =
        |log: &PartitionLog| stored(log).iter().map(|b| b.header().delete_horizon_ms()).collect::<Vec<_>>();
    assert_eq!(horizon(&log), [None, Some(NOW + 1000)]);
    let mut cursor = stored(&log)[1].cursor(&DecodeOptions::DEFAULT).unwrap();
    assert_eq!(cursor.next_ref().unwrap().unwrap().timestamp, NOW, "timestamps count from the horizon");
    log.compact(NOW + 1000);
    assert_eq!(content(&log).len(), 2);
    assert_eq!(horizon(&log), [None, Some(NOW + 1000)]);
    log.compact(NOW + 1001);
    assert_eq!(content(&log), [pair(1, "j", "1")]);
}

#[test]
fn aborted_records_go_and_do_not_hide_committed_ones() {
    let mut log = compacted(LogConfig { delete_retention_ms: 1000, ..LogConfig::default() });
    put(&mut log, &pairs(&[(Some("k"), Some("1"))]));
    put(&mut log, &pairs(&[(Some("k"), Some("no"))]).of(7, 0, 0).transactional());
    end(&mut log, 7, 0, false);
    put(&mut log, &pairs(&[(Some("j"), Some("1"))]).of(7, 0, 1).transactional());
    end(&mut log, 7, 0, true);
    put(&mut log, &pairs(&[(Some("x"), Some("no"))]).of(8, 0, 0).transactional());
    end(&mut log, 8, 0, false);
    let expected = [pair(0, "k", "1"), pair(3, "j", "1")];
    assert_eq!(content(&log), expected);

    let offsets = |log: &PartitionLog| {
        stored(log).iter().map(|b| (b.header().base_offset, b.header().count)).collect::<Vec<_>>()
    };
    log.compact(NOW);
    assert_eq!(content(&log), expected);
    assert_eq!(
        offsets(&log),
        [(0, 1), (2, 1), (3, 1), (4, 1), (5, 0), (6, 1)],
        "8's last batch stays without records"
    );
    log.compact(NOW + 1);
    assert_eq!(
        offsets(&log),
        [(0, 1), (2, 1), (3, 1), (4, 1), (5, 0), (6, 1)],
        "the marker has a horizon now"
    );
    log.compact(NOW + 1002);
    assert_eq!(offsets(&log), [(0, 1), (3, 1), (4, 1), (5, 0), (6, 1)]);
    assert_eq!(content(&log), expected);
}

#[test]
fn what_is_not_decided_or_not_replicated_is_left_alone() {
    let mut log = compacted(LogConfig::default());
    put(&mut log, &pairs(&[(Some("k"), Some("1"))]));
    put(&mut log, &pairs(&[(Some("k"), Some("2"))]).of(7, 0, 0).transactional());
    put(&mut log, &pairs(&[(Some("k"), Some("3"))]));
    log.compact(NOW);
    assert_eq!(content(&log), [pair(0, "k", "1")]);
    end(&mut log, 7, 0, true);
    log.compact(NOW);
    assert_eq!(content(&log), [pair(2, "k", "3")]);

    let mut young = compacted(LogConfig { min_compaction_lag_ms: 100, ..LogConfig::default() });
    put(&mut young, &pairs(&[(Some("k"), Some("1")), (Some("k"), Some("2"))]));
    young.compact(NOW + 99);
    assert_eq!(content(&young).len(), 2);
    young.compact(NOW + 101);
    assert_eq!(content(&young).len(), 1);
}

#[test]
fn a_producers_last_batch_keeps_its_sequences_known() {
    let mut log = compacted(LogConfig::default());
    put(&mut log, &pairs(&[(Some("k"), Some("1"))]).of(7, 0, 0));
    put(&mut log, &pairs(&[(Some("k"), Some("2"))]).of(7, 0, 1));
    put(&mut log, &pairs(&[(Some("k"), Some("3"))]));
    log.compact(NOW);
    let headers: Vec<(i64, i32, i32)> = stored(&log)
        .iter()
        .map(|b| (b.header().base_offset, b.header().count, b.header().base_sequence))
        .collect();
    assert_eq!(headers, [(1, 0, 1), (2, 1, -1)]);
    log.truncate(2);
    assert_eq!(
        code(&mut log, &pairs(&[(Some("k"), Some("5"))]).of(7, 0, 3)),
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
    );
    assert_eq!(put(&mut log, &pairs(&[(Some("k"), Some("4"))]).of(7, 0, 2)), 2);
}

#[test]
fn a_topic_that_is_not_compacted_stays_as_it_is() {
    let mut log = log();
    put(&mut log, &pairs(&[(Some("k"), Some("1")), (Some("k"), Some("2"))]));
    log.compact(NOW);
    assert_eq!(offsets_and_values(&log, Isolation::LogEnd).len(), 2);
}
