use super::*;

fn five() -> PartitionLog {
    let mut log = log();
    for value in ["a", "b", "c", "d", "e"] {
        put(&mut log, &values(&[value, value]));
    }
    log
}

#[test]
fn a_read_begins_with_the_batch_of_its_offset_and_is_cut_at_its_limit() {
    let log = five();
    let size = stored(&log)[0].size();
    let all: Vec<u8> = stored(&log).iter().flat_map(|batch| batch.bytes().to_vec()).collect();
    let read = |from, max_bytes, min_one| {
        let slice = log.read(from, max_bytes, min_one, Isolation::HighWatermark).unwrap();
        assert_eq!(slice.aborted, None);
        let readable = log.readable(from, max_bytes, min_one, Isolation::HighWatermark);
        assert_eq!(readable, Ok(slice.records.len()));
        (slice.records.to_vec(), slice.next_offset)
    };
    assert_eq!(read(0, usize::MAX, false), (all.clone(), 10));
    assert_eq!(read(1, 2 * size, false), (all[..2 * size].to_vec(), 4));
    assert_eq!(read(3, 2 * size + 5, false), (all[size..3 * size + 5].to_vec(), 6));
    assert_eq!(read(8, size - 1, false), (vec![], 8));
    assert_eq!(read(8, 0, true), (all[4 * size..].to_vec(), 10));
    assert_eq!(read(10, usize::MAX, true), (vec![], 10));
}

#[test]
fn a_read_before_the_start_or_after_the_end_is_out_of_range() {
    let mut log = five();
    log.delete_records(3).unwrap();
    let read = |from| log.read(from, 100, true, Isolation::LogEnd).map(|slice| slice.log_start_offset);
    assert_eq!(read(-1), Err(ErrorCode::OFFSET_OUT_OF_RANGE));
    assert_eq!(read(2), Err(ErrorCode::OFFSET_OUT_OF_RANGE));
    assert_eq!(read(3), Ok(3));
    assert_eq!(read(10), Ok(3));
    assert_eq!(read(11), Err(ErrorCode::OFFSET_OUT_OF_RANGE));
}

#[test]
fn consumers_see_what_is_replicated_and_replicas_see_all() {
    let mut log = log();
    put(&mut log, &values(&["a"]));
    log.append(NOW, &PLAIN, &values(&["b"]).bytes()).unwrap();
    let size = stored(&log)[0].size();
    let read = |isolation| {
        let slice = log.read(0, usize::MAX, true, isolation).unwrap();
        assert_eq!((slice.high_watermark, slice.last_stable_offset), (1, 1));
        (slice.records.len(), slice.next_offset)
    };
    assert_eq!(read(Isolation::HighWatermark), (size, 1));
    assert_eq!(read(Isolation::Committed), (size, 1));
    assert_eq!(read(Isolation::LogEnd), (2 * size, 2));
    assert_eq!(log.read(2, 100, true, Isolation::HighWatermark).unwrap().records.len(), 0);
}

#[test]
fn a_read_ends_with_its_segment() {
    let size = values(&["a", "a"]).bytes().len();
    let config = LogConfig { segment_bytes: 2 * size as i32, ..LogConfig::default() };
    let mut log = PartitionLog::new(config);
    for value in ["a", "b", "c"] {
        put(&mut log, &values(&[value, value]));
    }
    assert_eq!(log.read(0, usize::MAX, true, Isolation::LogEnd).unwrap().next_offset, 4);
    assert_eq!(log.read(4, usize::MAX, true, Isolation::LogEnd).unwrap().next_offset, 6);
    assert_eq!(offsets_and_values(&log, Isolation::LogEnd).len(), 6);
    assert_eq!(log.size_bytes(), 3 * size as u64);
}

#[test]
fn a_time_is_found_in_the_first_record_that_has_it_or_a_later_one() {
    let mut log = log();
    put(&mut log, &values(&["a", "b"]).at(&[NOW, NOW + 30]));
    put(&mut log, &values(&["c", "d"]).at(&[NOW + 10, NOW + 40]));
    put(&mut log, &values(&["e"]).at(&[NOW + 40]));
    let found = |timestamp| {
        log.list_offset(timestamp, Isolation::HighWatermark, 9)
            .map(|at| (at.offset, at.timestamp, at.leader_epoch))
    };
    assert_eq!(found(0), Some((0, NOW, 5)));
    assert_eq!(found(NOW + 1), Some((1, NOW + 30, 5)));
    assert_eq!(found(NOW + 31), Some((3, NOW + 40, 5)));
    assert_eq!(found(NOW + 41), None);
    assert_eq!(found(-1), Some((5, -1, 9)));
    assert_eq!(found(-2), Some((0, -1, 5)));
    assert_eq!(found(-3), Some((3, NOW + 40, 5)));
    assert_eq!(found(-4), Some((0, -1, 5)));
    assert_eq!(found(-5), None);
}

#[test]
fn lookups_keep_to_what_the_reader_may_see() {
    let mut log = log();
    put(&mut log, &values(&["a"]));
    put(&mut log, &values(&["b"]).at(&[NOW + 10]).of(7, 0, 0).transactional());
    let found = |timestamp, isolation| log.list_offset(timestamp, isolation, 5).map(|at| at.offset);
    assert_eq!(found(-1, Isolation::Committed), Some(1));
    assert_eq!(found(-1, Isolation::HighWatermark), Some(2));
    assert_eq!(found(NOW + 1, Isolation::Committed), None);
    assert_eq!(found(NOW + 1, Isolation::HighWatermark), Some(1));
    assert_eq!(found(-3, Isolation::Committed), None);
    let empty = PartitionLog::new(LogConfig::default());
    assert_eq!(empty.list_offset(-3, Isolation::LogEnd, 0), None);
    assert_eq!(
        empty.list_offset(-2, Isolation::LogEnd, 0),
        Some(OffsetAt { offset: 0, timestamp: -1, leader_epoch: -1 })
    );
}

#[test]
fn the_epochs_of_leaders_are_known_from_what_they_wrote() {
    let mut log = log();
    for (leader_epoch, value) in [(1, "a"), (1, "b"), (4, "c")] {
        let context = AppendContext { leader_epoch, ..PLAIN };
        log.append(NOW, &context, &values(&[value, value]).bytes()).unwrap();
    }
    log.start_epoch(6);
    let end = |epoch| log.end_offset_for_epoch(epoch).map(|end| (end.leader_epoch, end.end_offset));
    assert_eq!(end(0), Some((0, 0)));
    assert_eq!(end(1), Some((1, 4)));
    assert_eq!(end(3), Some((1, 4)));
    assert_eq!(end(4), Some((4, 6)));
    assert_eq!(end(6), Some((6, 6)));
    assert_eq!(end(7), None);
    assert_eq!(log.latest_epoch(), Some(6));
}
