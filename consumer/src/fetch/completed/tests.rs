use ottla_protocol::compression::{Compression, Compressor};
use ottla_protocol::records::{BatchBuilder, NO_HEADERS, SealOptions};

use super::*;

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
