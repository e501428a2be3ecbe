use bytes::Bytes;

use super::*;

fn wanted(partition: i32, fetch_offset: i64) -> Wanted {
    Wanted {
        named: Named { topic: "t".to_owned(), topic_id: Uuid::ZERO, partition },
        current_leader_epoch: -1,
        fetch_offset,
        last_fetched_epoch: -1,
        max_bytes: 100,
    }
}

fn data(partition_index: i32, high_watermark: i64, records: &'static [u8]) -> PartitionData {
    let records = Some(Bytes::from_static(records));
    PartitionData { partition_index, high_watermark, log_start_offset: 0, records, ..Default::default() }
}

fn said(answers: &[(Wanted, PartitionData)]) -> Vec<i32> {
    answers.iter().map(|(wanted, _)| wanted.named.partition).collect()
}

/// A session of partitions 0 and 1, both at high watermark 5.
fn opened(now: Instant) -> FetchSessions {
    let mut sessions = FetchSessions::default();
    let (context, all) = sessions.open(now, 0, 0, false, vec![wanted(0, 0), wanted(1, 0)], &[]).unwrap();
    assert_eq!(context, Context::Full);
    let mut answers = all.into_iter().map(|w| (w.clone(), data(w.named.partition, 5, b""))).collect();
    assert_eq!(sessions.close(now, context, 2, || 77, &mut answers), Ok(77));
    assert_eq!(said(&answers), [0, 1]);
    sessions
}

#[test]
fn a_session_remembers_partitions_and_says_only_what_is_new() {
    let now = Instant::now();
    let mut sessions = opened(now);
    let (context, all) = sessions.open(now, 77, 1, false, vec![wanted(1, 3)], &[]).unwrap();
    assert_eq!(context, Context::Incremental { session_id: 77, next_epoch: 2 });
    assert_eq!(all, [wanted(0, 0), wanted(1, 3)]);
    let mut answers = vec![(wanted(0, 0), data(0, 5, b"")), (wanted(1, 3), data(1, 6, b""))];
    assert_eq!(sessions.close(now, context, 2, || 0, &mut answers), Ok(77));
    assert_eq!(said(&answers), [1]);
}

#[test]
fn a_partition_that_gave_records_goes_to_the_end_of_the_line() {
    let now = Instant::now();
    let mut sessions = opened(now);
    let (context, _) = sessions.open(now, 77, 1, false, Vec::new(), &[]).unwrap();
    let mut answers = vec![(wanted(0, 0), data(0, 5, b"abc")), (wanted(1, 0), data(1, 5, b""))];
    sessions.close(now, context, 2, || 0, &mut answers).unwrap();
    assert_eq!(said(&answers), [0]);
    let (_, all) = sessions.open(now, 77, 2, false, Vec::new(), &[]).unwrap();
    assert_eq!(all.iter().map(|w| w.named.partition).collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn an_error_is_said_again_and_again_and_what_follows_it_is_news() {
    let now = Instant::now();
    let mut sessions = opened(now);
    let broken = PartitionData { error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER, ..data(0, -1, b"") };
    for (epoch, answer, expected) in
        [(1, broken.clone(), true), (2, broken, true), (3, data(0, 5, b""), true)]
    {
        let (context, _) = sessions.open(now, 77, epoch, false, Vec::new(), &[]).unwrap();
        let mut answers = vec![(wanted(0, 0), answer)];
        sessions.close(now, context, 2, || 0, &mut answers).unwrap();
        assert_eq!(!answers.is_empty(), expected, "epoch {epoch}");
    }
}

#[test]
fn a_wrong_id_epoch_or_kind_of_name_is_refused() {
    let now = Instant::now();
    let mut sessions = opened(now);
    let mut open = |id, epoch, by_id| sessions.open(now, id, epoch, by_id, Vec::new(), &[]).unwrap_err();
    assert_eq!(open(78, 1, false), ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    assert_eq!(open(77, 2, false), ErrorCode::INVALID_FETCH_SESSION_EPOCH);
    assert_eq!(open(77, 1, true), ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
}

#[test]
fn forgetting_all_partitions_ends_the_session() {
    let now = Instant::now();
    let mut sessions = opened(now);
    let forgotten = [wanted(0, 0).named, wanted(1, 0).named];
    let opened = sessions.open(now, 77, 1, false, Vec::new(), &forgotten);
    assert_eq!(opened, Ok((Context::Sessionless, Vec::new())));
    assert_eq!(sessions.partitions(77).count(), 0);
}

#[test]
fn without_a_free_place_only_a_larger_session_or_an_idle_one_s_successor_gets_in() {
    let now = Instant::now();
    let mut sessions = opened(now);
    let mut one = vec![(wanted(0, 0), data(0, 5, b""))];
    assert_eq!(sessions.close(now, Context::Full, 1, || 78, &mut one), Ok(0));
    let later = now + EVICT_AFTER + Duration::from_millis(1);
    assert_eq!(sessions.close(later, Context::Full, 1, || 78, &mut one), Ok(78));
    let mut two = vec![(wanted(0, 0), data(0, 5, b"")), (wanted(1, 0), data(1, 5, b""))];
    assert_eq!(sessions.close(later, Context::Full, 1, || 79, &mut two), Ok(79));
}
