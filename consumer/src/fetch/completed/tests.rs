use ottla_protocol::compression::{Compression, Compressor};
use ottla_protocol::records::{BatchBuilder, NO_HEADERS, ProducerState, SealOptions};
use proptest::prelude::*;

use super::*;
use crate::fetch::frames::Frames;

/// A batch of records that say their offset.
fn batch(base: i64, count: i64, codec: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(1 << 20);
    for offset in base..base + count {
        builder.try_append(1, Some(b"k"), Some(offset.to_string().as_bytes()), NO_HEADERS).unwrap();
    }
    let mut compressor = Compressor::new(codec.default_level()).unwrap();
    let sealed = builder.seal(&SealOptions::default(), &mut compressor).unwrap();
    sealed.into_batch().rebased(base, 3).bytes().to_vec()
}

fn fetch(bytes: Vec<u8>, from: i64) -> CompletedFetch {
    CompletedFetch::new(bytes.into(), from, IsolationLevel::ReadUncommitted, Vec::new())
        .of(&TopicPartition::new("t", 7))
}

fn offsets(batch: &mut RecordBatch) -> Vec<i64> {
    let mut offsets = Vec::new();
    while let Some(record) = batch.next_record().unwrap() {
        assert_eq!(record.value, Some(record.offset.to_string().as_bytes()));
        offsets.push(record.offset);
    }
    offsets
}

#[test]
fn batches_are_taken_whole_but_for_what_is_before_the_position_or_was_read() {
    let bytes =
        [batch(0, 5, Compression::None), batch(5, 5, Compression::Lz4), batch(10, 2, Compression::None)];
    let mut fetch = fetch(bytes.concat(), 2);
    let mut first = fetch.next_batch().unwrap().unwrap();
    assert_eq!((first.base_offset(), first.next_offset(), fetch.next_offset()), (2, 5, 5));
    assert_eq!((first.topic(), first.partition(), first.leader_epoch()), ("t", 7, Some(3)));
    assert_eq!(offsets(&mut first), [2, 3, 4]);
    assert_eq!(fetch.next_record().unwrap().unwrap().offset(), 5);
    let mut second = fetch.next_batch().unwrap().unwrap();
    assert_eq!((second.base_offset(), second.next_offset(), second.remaining()), (6, 10, 4));
    assert_eq!(offsets(&mut second), [6, 7, 8, 9]);
    assert_eq!(fetch.next_record().unwrap().unwrap().offset(), 10);
    assert_eq!(fetch.next_record().unwrap().unwrap().offset(), 11);
    assert!(fetch.next_batch().unwrap().is_none());
    assert_eq!(fetch.next_offset(), 12);
}

/// How to go on reading.
#[derive(Clone, Copy, Debug)]
enum Step {
    Next,
    Take(usize),
    Batch,
    /// Nothing is read, but what is unread is copied.
    Copy,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![Just(Step::Next), (1usize..150).prop_map(Step::Take), Just(Step::Batch), Just(Step::Copy)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_record_comes_once_and_in_order_by_whatever_turns_it_is_taken(
        counts in prop::collection::vec(1i64..200, 1..4),
        from in 0i64..150,
        steps in prop::collection::vec(any_step(), 1..12),
        codec in prop::sample::select(vec![Compression::None, Compression::Lz4]),
    ) {
        let (mut bytes, mut end) = (Vec::new(), 0);
        for count in counts {
            bytes.extend(batch(end, count, codec));
            end += count;
        }
        let frame = Frames::default().hold(1, bytes.len());
        let mut fetch = fetch(bytes, from).within(frame);
        let mut seen = Vec::new();
        for step in steps.iter().cycle().take(2_000) {
            match *step {
                Step::Next => {
                    let at_hand = fetch.next_at_hand();
                    let record = at_hand.map_or_else(|| fetch.next_record(), |record| Ok(Some(record)));
                    seen.extend(record.unwrap().map(|record| record.offset()));
                }
                Step::Take(max) => seen.extend(fetch.take(max).unwrap().iter().map(Record::offset)),
                Step::Batch => {
                    if let Some(mut batch) = fetch.next_batch().unwrap() {
                        let expected = seen.last().map_or(from, |last| last + 1);
                        prop_assert_eq!(batch.base_offset(), expected);
                        seen.extend(offsets(&mut batch));
                    }
                }
                Step::Copy => fetch.copy_apart(),
            }
            if let Some(last) = seen.last() {
                prop_assert_eq!(fetch.next_offset(), last + 1);
            }
        }
        let all = steps.iter().any(|step| !matches!(step, Step::Copy));
        prop_assert_eq!(seen, if all { (from..end).collect::<Vec<_>>() } else { Vec::new() });
    }
}

#[test]
fn records_of_a_batch_share_one_reference_and_outlive_the_fetch() {
    let mut fetch = fetch(batch(0, 3, Compression::Zstd), 0);
    let records = fetch.take(10).unwrap();
    drop(fetch);
    let seen: Vec<_> =
        records.iter().map(|record| (record.offset(), record.key(), record.value_bytes())).collect();
    let expected =
        [0, 1, 2].map(|offset: i64| (offset, Some(&b"k"[..]), Some(Bytes::from(offset.to_string()))));
    assert_eq!(seen, expected);
    assert!(size_of::<Record>() <= 56, "{} bytes", size_of::<Record>());
}

#[test]
fn damage_says_where_reading_can_go_on() {
    let mut damaged = batch(5, 5, Compression::None);
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let mut at_the_end = fetch([batch(0, 5, Compression::None), damaged.clone()].concat(), 0);
    assert_eq!(at_the_end.behind_damage(None), None);
    assert_eq!(at_the_end.take(9).unwrap().len(), 5);
    assert!(at_the_end.next_batch().is_err());
    assert_eq!((at_the_end.next_offset(), at_the_end.behind_damage(Some(10))), (5, Some(10)));

    // The header says more offsets than there are.
    damaged[24] = 0xff;
    let mut before_another = fetch([damaged, batch(10, 1, Compression::None)].concat(), 5);
    assert!(before_another.next_record().is_err());
    assert_eq!(before_another.behind_damage(None), Some(10));
}

#[test]
fn a_damaged_header_without_a_batch_behind_it_is_not_believed_beyond_what_it_says_twice_or_the_log_holds() {
    let damage = |at: usize, byte: u8| {
        let mut bytes = batch(5, 5, Compression::None);
        bytes[at] ^= byte;
        let mut fetch = fetch(bytes, 5);
        assert!(fetch.next_record().is_err());
        fetch
    };
    // A byte of the last record; both counts are whole.
    let payload = damage(70, 1);
    assert_eq!((payload.behind_damage(None), payload.behind_damage(Some(10))), (Some(10), Some(10)));
    assert_eq!(payload.behind_damage(Some(9)), None, "the log is not that long");
    // A high bit of the last offset's delta, and one of the count.
    for at in [24, 59] {
        assert_eq!(damage(at, 0x10).behind_damage(None), None, "a leap of a million offsets");
    }
}

#[test]
fn a_message_of_an_old_format_is_refused_and_can_be_passed_over() {
    for magic in [0, 1] {
        let mut old = 41_i64.to_be_bytes().to_vec();
        old.extend(22_i32.to_be_bytes());
        old.extend([0, 0, 0, 0, magic, 0]);
        old.extend([0; 16]);
        let mut fetch = fetch([old, batch(42, 1, Compression::None)].concat(), 41);
        let error = fetch.next_record().unwrap_err();
        assert_eq!(error.kind, RecordErrorKind::UnsupportedMagic { magic: magic as i8 });
        assert_eq!((fetch.next_offset(), fetch.behind_damage(None)), (41, Some(42)));
    }
}

#[test]
fn damage_that_hides_the_next_batch_leaves_nothing_to_go_on_at() {
    let mut bytes = batch(5, 5, Compression::None);
    bytes[8..12].copy_from_slice(&(-1_i32).to_be_bytes());
    let mut fetch = fetch(bytes, 5);
    assert!(fetch.next_record().is_err());
    assert_eq!(fetch.behind_damage(None), None);
}

/// Everything that is left, with what is unread copied apart at every `every`-th record.
fn read(mut fetch: CompletedFetch, every: usize) -> (Vec<i64>, i64) {
    let mut seen = Vec::new();
    while let Some(record) = fetch.next_record().unwrap() {
        assert_eq!(record.value(), Some(record.offset().to_string().as_bytes()));
        seen.push(record.offset());
        if every > 0 && seen.len() % every == 0 {
            fetch.copy_apart();
        }
    }
    (seen, fetch.next_offset())
}

#[test]
fn what_is_copied_out_of_its_answer_is_read_on_as_if_it_had_stayed() {
    let bytes = || {
        let cut = batch(30, 5, Compression::None);
        let batches = [
            batch(0, 7, Compression::None),
            batch(10, 5, Compression::Lz4),
            batch(20, 1, Compression::None),
            cut[..40].to_vec(),
        ];
        batches.concat()
    };
    for from in [0, 3, 11] {
        let expected = read(fetch(bytes(), from), 0);
        assert_eq!(expected.1, 21);
        for every in 1..6 {
            let frame = Frames::default().hold(1, 1_000_000);
            assert_eq!(read(fetch(bytes(), from).within(frame), every), expected);
        }
    }
}

#[test]
fn a_copy_holds_what_is_unread_and_lets_go_of_the_answer() {
    let mut frames = Frames::default();
    let bytes = [batch(0, 2, Compression::None), batch(2, 2, Compression::None)].concat();
    let (size, half) = (bytes.len(), bytes.len() / 2);
    let mut fetch = fetch(bytes, 0).within(frames.hold(1, 10 * size));
    assert_eq!((fetch.unread(), frames.total()), (size, 10 * size));
    for _ in 0..2 {
        fetch.next_record().unwrap();
    }
    assert_eq!(fetch.unread(), size, "the batch is not behind it");
    fetch.next_record().unwrap();
    fetch.copy_apart();
    assert_eq!((fetch.unread(), frames.total(), fetch.extent().size), (half, half, size));
    assert_eq!(fetch.next_record().unwrap().map(|record| record.offset()), Some(3));
    assert!(fetch.next_record().unwrap().is_none());
}

#[test]
fn what_is_read_apart_is_copied_by_whoever_reads_if_it_keeps_much_more() {
    let mut frames = Frames::default();
    let bytes = batch(0, 2, Compression::None);
    let size = bytes.len();
    let mut wasteful = fetch(bytes.clone(), 0).within(frames.hold(1, 10 * size));
    wasteful.read_apart();
    assert_eq!(frames.total(), 10 * size);
    wasteful.next_record().unwrap();
    assert_eq!(frames.total(), size);
    let mut alone = fetch(bytes, 0).within(frames.hold(1, size + 5));
    alone.read_apart();
    alone.next_record().unwrap();
    assert_eq!(frames.total(), size + size + 5);
}

/// A transactional batch of producer 7: records that say their offset, or the marker of an abort.
fn transactional(base: i64, records: Option<i64>) -> Vec<u8> {
    let mut builder = BatchBuilder::new(4096);
    match records {
        Some(count) => {
            for offset in base..base + count {
                builder.try_append(1, Some(b"k"), Some(offset.to_string().as_bytes()), NO_HEADERS).unwrap();
            }
        }
        None => {
            let marker = ControlRecord::Abort { coordinator_epoch: 0 };
            let value = marker.value();
            builder
                .try_append(1, Some(&marker.key()), value.as_ref().map(|bytes| &bytes[..]), NO_HEADERS)
                .unwrap();
        }
    }
    let producer = ProducerState { producer_id: 7, producer_epoch: 0, base_sequence: 0 };
    let options =
        SealOptions { producer, transactional: true, control: records.is_none(), ..SealOptions::default() };
    let sealed = builder.seal(&options, &mut Compressor::none()).unwrap();
    sealed.into_batch().rebased(base, 3).bytes().to_vec()
}

#[test]
fn what_was_aborted_stays_out_however_often_the_rest_is_copied() {
    let batches = [
        transactional(0, Some(2)),
        batch(2, 3, Compression::None),
        transactional(5, Some(2)),
        transactional(7, None),
        transactional(8, Some(3)),
        batch(11, 2, Compression::None),
    ];
    let aborted = AbortedTransaction { producer_id: 7, first_offset: 5, ..Default::default() };
    for every in 0..4 {
        let (bytes, listed) = (batches.concat().into(), vec![aborted.clone()]);
        let fetch = CompletedFetch::new(bytes, 0, IsolationLevel::ReadCommitted, listed);
        let frame = Frames::default().hold(1, 1_000_000);
        assert_eq!(read(fetch.within(frame), every), (vec![0, 1, 2, 3, 4, 8, 9, 10, 11, 12], 13));
    }
}
