use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::compression::{Compression, Compressor};

/// A record's timestamp, key, value and headers, owned.
type Input = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

fn append(builder: &mut BatchBuilder, (timestamp, key, value, headers): &Input) -> Result<u32, AppendError> {
    let headers = headers.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
    builder.try_append(*timestamp, key.as_deref(), value.as_deref(), headers)
}

fn simple(value: &[u8]) -> Input {
    (5, None, Some(value.to_vec()), Vec::new())
}

fn seal(builder: BatchBuilder, codec: Compression) -> SealedBatch {
    let mut compressor = Compressor::new(codec).expect("the codec is available");
    builder.seal(&SealOptions::default(), &mut compressor).expect("small")
}

fn batch_of(inputs: &[Input], codec: Compression) -> RecordBatch {
    let mut builder = BatchBuilder::new(1 << 20);
    for input in inputs {
        append(&mut builder, input).expect("there is room");
    }
    seal(builder, codec).into_batch()
}

fn codecs() -> impl Iterator<Item = Compression> {
    Compression::ALL.into_iter().filter(|codec| codec.is_available())
}

fn to_input(record: &RecordRef<'_>) -> Input {
    let headers =
        record.headers.iter().map(|header| (header.key_str().into(), header.value.map(<[u8]>::to_vec)));
    (record.timestamp, record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec), headers.collect())
}

fn read(batch: &RecordBatch) -> Result<Vec<(i64, Input)>, RecordError> {
    let mut cursor = batch.cursor(&DecodeOptions::DEFAULT)?;
    let mut records = Vec::new();
    while let Some(record) = cursor.next_ref()? {
        records.push((record.offset, to_input(&record)));
    }
    Ok(records)
}

/// The batch with its bytes changed and its length and CRC made right again.
fn altered(batch: &RecordBatch, alter: impl FnOnce(&mut Vec<u8>)) -> RecordBatch {
    let mut bytes = batch.bytes().to_vec();
    alter(&mut bytes);
    let length = (bytes.len() - BATCH_LENGTH_OFFSET) as u32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crate::crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    Batches::new(bytes.into()).next().expect("a batch").expect("a header")
}

/// What a batch holds from an offset on, and how it ends: one record at a time.
fn one_by_one(batch: &RecordBatch, from: i64) -> (Vec<(i64, Input)>, Result<(), RecordError>) {
    let mut records = Vec::new();
    let mut cursor = match batch.cursor(&DecodeOptions::DEFAULT) {
        Ok(cursor) => cursor,
        Err(error) => return (records, Err(error)),
    };
    cursor.skip_to(from);
    loop {
        match cursor.next_ref() {
            Ok(Some(record)) => records.push((record.offset, to_input(&record))),
            Ok(None) => return (records, Ok(())),
            Err(error) => return (records, Err(error)),
        }
    }
}

/// The same: so many at a time as `steps` say, of which so many are given back.
fn many_at_a_time(
    batch: &RecordBatch,
    from: i64,
    steps: &[(usize, usize)],
) -> (Vec<(i64, Input)>, Result<(), RecordError>) {
    let mut records = Vec::new();
    let mut cursor = match batch.cursor(&DecodeOptions::DEFAULT) {
        Ok(cursor) => cursor,
        Err(error) => return (records, Err(error)),
    };
    cursor.skip_to(from);
    let mut steps = steps.iter().cycle();
    loop {
        let first = match cursor.next_located() {
            Ok(Some(first)) => first,
            Ok(None) => return (records, Ok(())),
            Err(error) => return (records, Err(error)),
        };
        let (most, back) = steps.next().copied().unwrap_or_default();
        let left = cursor.remaining();
        let mut found = vec![LocatedRecord::default(); most + 1];
        found[0] = first;
        let count = 1 + cursor.locate(&mut found[1..]);
        assert_eq!(cursor.remaining(), left + 1 - count);
        let kept = count - back.min(count - 1);
        if kept < count {
            cursor.back_to(&found[kept - 1], count - kept);
            assert_eq!(cursor.remaining(), left + 1 - kept);
        }
        let block = cursor.block();
        records.extend(found[..kept].iter().map(|at| (at.offset, to_input(&at.in_block(block)))));
    }
}

fn kind_of(batch: &RecordBatch) -> RecordErrorKind {
    read(batch).expect_err("damaged").kind
}

fn any_input() -> impl Strategy<Value = Input> {
    let bytes = || prop::option::of(prop::collection::vec(any::<u8>(), 0..300));
    let timestamp = prop_oneof![any::<i64>(), Just(-1), 1_700_000_000_000i64..1_700_000_100_000];
    let headers = prop::collection::vec((".{0,20}", bytes()), 0..4);
    (timestamp, bytes(), bytes(), headers)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn records_come_back_from_every_codec(inputs in prop::collection::vec(any_input(), 1..80)) {
        let expected: Vec<_> = (0..).zip(inputs.clone()).collect();
        for codec in codecs() {
            let batch = batch_of(&inputs, codec);
            prop_assert_eq!(batch.header().attributes.compression(), Ok(codec));
            prop_assert_eq!(batch.header().max_timestamp, inputs.iter().map(|input| input.0).max().unwrap());
            prop_assert_eq!(&read(&batch).expect("valid"), &expected);
            let cursor = batch.cursor(&DecodeOptions::DEFAULT).expect("valid");
            let owned: Vec<_> = cursor
                .map(|record| record.expect("valid"))
                .map(|record| (record.offset(), to_input(&record.as_ref())))
                .collect();
            prop_assert_eq!(&owned, &expected);
        }
    }

    #[test]
    fn records_that_are_found_many_at_a_time_are_those_that_come_one_by_one(
        inputs in prop::collection::vec(any_input(), 1..60),
        from in 0i64..20,
        steps in prop::collection::vec((0usize..9, 0usize..4), 1..8),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        // Those that are near each other in time are of the usual kind, unless they are long.
        for near in [false, true] {
            let inputs: Vec<Input> = (0..).zip(&inputs)
                .map(|(n, (timestamp, key, value, headers))| {
                    (if near { n } else { *timestamp }, key.clone(), value.clone(), headers.clone())
                })
                .collect();
            for codec in codecs() {
                let batch = altered(&batch_of(&inputs, codec), |bytes| {
                    if let Some((at, byte)) = damage {
                        let at = 21 + at.index(bytes.len() - 21);
                        bytes[at] = byte;
                    }
                });
                prop_assert_eq!(many_at_a_time(&batch, from, &steps), one_by_one(&batch, from));
            }
        }
    }

    #[test]
    fn a_record_takes_no_more_than_its_upper_bound(inputs in prop::collection::vec(any_input(), 1..20)) {
        let mut builder = BatchBuilder::new(1 << 20);
        builder.skip_offsets(1 << 30);
        for input in &inputs {
            let before = builder.size();
            append(&mut builder, input).expect("there is room");
            let headers = input.3.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
            let bound = record_size_upper_bound(input.1.as_deref(), input.2.as_deref(), headers);
            prop_assert!(builder.size() - before <= bound);
        }
    }

    #[test]
    fn damaged_records_give_an_error_or_other_records(at: prop::sample::Index, byte: u8, count in 1usize..5) {
        let input = |n| (n as i64, Some(vec![1; n]), None, vec![("h".into(), None)]);
        let inputs: Vec<_> = (0..count).map(input).collect();
        for codec in codecs() {
            let batch = batch_of(&inputs, codec);
            let damaged = altered(&batch, |bytes| {
                let at = 21 + at.index(bytes.len() - 21);
                bytes[at] = byte;
            });
            if let Ok(records) = read(&damaged) {
                prop_assert!(records.windows(2).all(|pair| pair[0].0 < pair[1].0));
            }
        }
    }
}

#[test]
fn records_of_every_length_take_what_their_parts_take_and_read_back() {
    let lengths = (0..140).chain(8_050..8_300);
    let bytes = vec![7; 8_300];
    let part = |length: usize| Some(bytes[..length].to_vec());
    let varint_len = |value: i64| {
        let zigzag = ((value << 1) ^ (value >> 63)) as u64;
        (64 - (zigzag | 1).leading_zeros() as usize).div_ceil(7)
    };
    let field_len = |field: &Option<Vec<u8>>| match field {
        Some(bytes) => varint_len(bytes.len() as i64) + bytes.len(),
        None => 1,
    };
    for length in lengths {
        let fields =
            [(None, part(length)), (part(length), None), (part(length / 3), part(length - length / 3))];
        for (number, (key, value)) in fields.into_iter().enumerate() {
            let later = [0, 63, 64, 1 << 13, 1 << 20, (1 << 27) - 1, 1 << 27, -1][(length + number) % 8];
            let inputs: [Input; 2] =
                [(5, key.clone(), value.clone(), vec![]), (5 + later, key.clone(), value.clone(), vec![])];
            let mut builder = BatchBuilder::new(1 << 20);
            let mut expected = builder.size();
            for (at, input) in inputs.iter().enumerate() {
                append(&mut builder, input).expect("there is room");
                let body = 1
                    + varint_len(if at == 0 { 0 } else { later })
                    + varint_len(at as i64)
                    + field_len(&key)
                    + field_len(&value)
                    + 1;
                expected += varint_len(body as i64) + body;
                assert_eq!(builder.size(), expected, "record {at} with {length} bytes, {number}");
            }
            let found = read(&seal(builder, Compression::None).into_batch()).expect("sound");
            assert_eq!(found, [(0, inputs[0].clone()), (1, inputs[1].clone())]);
        }
    }
}

#[test]
fn indexes_count_from_zero_and_a_full_batch_stays_as_it_was() {
    let mut builder = BatchBuilder::new(100);
    assert_eq!(append(&mut builder, &simple(b"0123456789")), Ok(0));
    assert_eq!(append(&mut builder, &simple(b"0123456789")), Ok(1));
    let size = builder.size();
    assert_eq!(append(&mut builder, &simple(b"0123456789")), Err(AppendError::Full));
    assert_eq!((builder.size(), builder.len()), (size, 2));
    assert_eq!(read(&seal(builder, Compression::None).into_batch()).expect("valid").len(), 2);
}

#[test]
fn the_first_record_may_be_longer_than_the_limit() {
    let mut builder = BatchBuilder::new(0);
    let input = simple(&[7; 1000]);
    assert_eq!(append(&mut builder, &input), Ok(0));
    assert_eq!(append(&mut builder, &simple(b"")), Err(AppendError::Full));
    assert_eq!(read(&seal(builder, Compression::None).into_batch()), Ok(vec![(0, input)]));
}

#[test]
fn the_buffer_comes_back_once_nothing_else_holds_it() {
    let mut builder = BatchBuilder::new(4096);
    append(&mut builder, &simple(b"one")).expect("there is room");
    let batch = seal(builder, Compression::None);
    let sent = batch.bytes();
    let address = sent.as_ptr();
    assert_eq!(batch.clone().into_buffer(), None);
    drop(sent);
    let buffer = batch.into_buffer().expect("nobody else holds it");
    assert_eq!((buffer.as_ptr(), buffer.len()), (address, 4096));
    let builder = BatchBuilder::with_buffer(buffer, 4096);
    assert_eq!((builder.is_empty(), builder.size()), (true, 61));
    let buffer = builder.into_buffer();
    assert_eq!(buffer.as_ptr(), address);
}

#[test]
fn a_new_producer_state_changes_the_header_and_the_crc_but_no_bytes_in_flight() {
    let mut builder = BatchBuilder::new(4096);
    append(&mut builder, &simple(b"one")).expect("there is room");
    let mut batch = seal(builder, Compression::None);
    assert_eq!(batch.producer(), ProducerState::NONE);
    let in_flight = batch.bytes();
    let before = in_flight.to_vec();
    let producer = ProducerState { producer_id: 9, producer_epoch: 2, base_sequence: 77 };
    batch.set_producer(producer);
    assert_eq!(in_flight, before);
    let address = batch.bytes().as_ptr();
    batch.set_producer(ProducerState { producer_epoch: 3, base_sequence: 0, ..producer });
    assert_eq!(batch.bytes().as_ptr(), address, "nobody else held the bytes");
    let read_back = Batches::new(batch.bytes()).next().expect("a batch").expect("valid");
    assert_eq!(read_back.header(), batch.header());
    assert_eq!(read_back.verify_crc(), Ok(()));
    assert_eq!(batch.producer(), ProducerState { producer_id: 9, producer_epoch: 3, base_sequence: 0 });
    assert_eq!(read(&read_back), Ok(vec![(0, simple(b"one"))]));
}

#[test]
fn a_batch_that_was_summed_early_and_numbered_anew_has_the_bytes_of_one_that_was_not() {
    let first = ProducerState { producer_id: 9, producer_epoch: 2, base_sequence: 77 };
    let second = ProducerState { producer_epoch: 3, base_sequence: 0, ..first };
    let sealed = |builder: BatchBuilder, codec, producer| {
        let mut compressor = Compressor::new(codec).expect("the codec is available");
        builder
            .seal(&SealOptions { producer, ..SealOptions::default() }, &mut compressor)
            .expect("it takes everything")
    };
    // Around the size from which on records are summed, and one that is longer than the buffer.
    let sizes: [&[usize]; 6] =
        [&[0], &[1, 2, 3], &[600], &[1, 600, 2], &[500, 505, 506, 507, 508, 512, 513, 3], &[9_000]];
    for (sizes, codec) in sizes.iter().flat_map(|sizes| codecs().map(move |codec| (sizes, codec))) {
        let of = |mut builder: BatchBuilder| {
            for (at, size) in sizes.iter().enumerate() {
                let value = (0..*size).map(|byte| (byte * 7 + byte / 9 + at) as u8).collect();
                append(&mut builder, &(at as i64, None, Some(value), Vec::new())).expect("there is room");
            }
            builder
        };
        let late = || of(BatchBuilder::new(8_000));
        let early = || of(BatchBuilder::new(8_000).sum_early());
        let mut batch = sealed(early(), codec, first);
        assert_eq!(batch.bytes(), sealed(late(), codec, first).bytes(), "{sizes:?} with {codec:?}");
        batch.set_producer(second);
        assert_eq!(batch.bytes(), sealed(late(), codec, second).bytes(), "{sizes:?} with {codec:?}, anew");
        assert_eq!(batch.into_batch().verify_crc(), Ok(()));
    }
}

#[test]
fn a_batch_that_is_too_large_is_split_by_appending_its_records_again() {
    for codec in codecs() {
        let inputs: Vec<_> =
            (0..100).map(|n| (n, Some(vec![n as u8]), Some(vec![0; 50]), Vec::new())).collect();
        let mut builder = BatchBuilder::new(1 << 20);
        for input in &inputs {
            append(&mut builder, input).expect("there is room");
        }
        let large = seal(builder, codec);
        let mut halves = vec![BatchBuilder::new(large.uncompressed_size() / 2 + 64)];
        let mut cursor = large.cursor().expect("our own batch");
        while let Some(record) = cursor.next_ref().expect("our own batch") {
            let RecordRef { timestamp, key, value, headers, .. } = record;
            let last = halves.last_mut().expect("never empty");
            if last.try_append(timestamp, key, value, headers) == Err(AppendError::Full) {
                let mut next = BatchBuilder::new(last.limit());
                next.try_append(timestamp, key, value, headers).expect("it is empty");
                halves.push(next);
            }
        }
        assert_eq!(halves.len(), 2);
        let records: Vec<_> = halves
            .into_iter()
            .flat_map(|half| read(&seal(half, codec).into_batch()).expect("valid"))
            .map(|(_, input)| input)
            .collect();
        assert_eq!(records, inputs);
    }
}

#[test]
fn a_broker_moves_a_batch_without_touching_its_crc() {
    let batch = batch_of(&[simple(b"a"), simple(b"b")], Compression::None).rebased(1000, 7);
    assert_eq!(batch.verify_crc(), Ok(()));
    assert_eq!((batch.header().last_offset(), batch.header().partition_leader_epoch), (1001, 7));
    assert_eq!(read(&batch), Ok(vec![(1000, simple(b"a")), (1001, simple(b"b"))]));
}

#[test]
fn log_append_time_replaces_every_timestamp() {
    let mut builder = BatchBuilder::new(1000);
    for timestamp in [1, 2] {
        append(&mut builder, &(timestamp, None, None, Vec::new())).expect("there is room");
    }
    let options = SealOptions { log_append_time: Some(99), ..SealOptions::default() };
    let batch = builder.seal(&options, &mut Compressor::none()).expect("no codec").into_batch();
    assert_eq!(batch.header().attributes.timestamp_type(), TimestampType::LogAppendTime);
    let timestamps: Vec<_> = read(&batch).expect("valid").iter().map(|(_, input)| input.0).collect();
    assert_eq!(timestamps, [99, 99]);
}

#[test]
fn holes_left_by_compaction_keep_the_offsets() {
    let mut builder = BatchBuilder::new(1000);
    builder.skip_offsets(2);
    append(&mut builder, &simple(b"a")).expect("there is room");
    builder.skip_offsets(3);
    append(&mut builder, &simple(b"b")).expect("there is room");
    builder.skip_offsets(4);
    let options = SealOptions { base_offset: 100, ..SealOptions::default() };
    let batch = builder.seal(&options, &mut Compressor::none()).expect("no codec").into_batch();
    assert_eq!(read(&batch), Ok(vec![(102, simple(b"a")), (106, simple(b"b"))]));
    assert_eq!(batch.header().next_offset(), 111);

    let mut empty = BatchBuilder::new(1000);
    empty.skip_offsets(5);
    let empty = seal(empty, codecs().last().expect("none at least")).into_batch();
    assert_eq!((read(&empty), empty.header().next_offset(), empty.size()), (Ok(vec![]), 5, BATCH_HEADER_LEN));
}

#[test]
fn a_cursor_skips_to_an_offset_and_is_kept_between_polls() {
    for codec in codecs() {
        let inputs: Vec<_> = (0..10).map(|n| simple(&[n])).collect();
        let mut cursor = batch_of(&inputs, codec).cursor(&DecodeOptions::DEFAULT).expect("valid");
        cursor.skip_to(4);
        assert_eq!(cursor.next_ref().expect("valid").map(|record| record.offset), Some(4));
        assert_eq!(cursor.remaining(), 5);
        let mut later = cursor;
        later.skip_to(2);
        assert_eq!(later.next_record().expect("valid").map(|record| record.offset()), Some(5));
        later.skip_to(9);
        assert_eq!(later.next_ref().expect("valid").map(|record| record.offset), Some(9));
        assert_eq!(later.next_ref(), Ok(None));
        assert_eq!(later.next_ref(), Ok(None));
        assert_eq!(later.next_offset(), 10);
    }
}

#[test]
fn records_are_decoded_in_pieces_and_may_be_longer_than_one() {
    for codec in codecs() {
        // Records of all sizes up to several pieces, at odd places.
        let sizes = [0, 700_000, 1, 400_001, 3_000_000, 17, 1_048_576, 5];
        let inputs: Vec<_> =
            sizes.map(|size| simple(&(0..size).map(|n| (n / 7) as u8).collect::<Vec<_>>())).into();
        let mut builder = BatchBuilder::new(16 << 20);
        for input in &inputs {
            append(&mut builder, input).expect("there is room");
        }
        let batch = seal(builder, codec).into_batch();
        let records: Vec<_> = read(&batch).expect("valid").into_iter().map(|(_, input)| input).collect();
        assert!(records == inputs, "{codec}");
        let kept: Vec<_> =
            batch.cursor(&DecodeOptions::DEFAULT).expect("valid").map(|r| r.expect("valid")).collect();
        assert!(
            kept.iter().zip(&inputs).all(|(record, input)| record.value() == input.2.as_deref()),
            "{codec}"
        );
    }
}

#[cfg(feature = "gzip")]
#[test]
fn a_batch_beyond_the_limit_gives_its_first_records_and_then_the_error_for_good() {
    let inputs: Vec<_> = (0..400).map(|_| simple(&[0; 100_000])).collect();
    let mut builder = BatchBuilder::new(64 << 20);
    for input in &inputs {
        append(&mut builder, input).expect("there is room");
    }
    let batch = seal(builder, Compression::Gzip).into_batch();
    let limit = 20 << 20;
    let options = DecodeOptions { max_decompressed_bytes: limit, ..DecodeOptions::DEFAULT };
    let mut cursor = batch.cursor(&options).expect("starts well");
    let mut good = 0;
    let error = loop {
        match cursor.next_ref() {
            Ok(record) => assert!(record.is_some()),
            Err(error) => break error,
        }
        good += 1;
    };
    assert!((190..=209).contains(&good), "{good}");
    let kind = RecordErrorKind::Compression(crate::compression::CompressionError::Limit {
        codec: Compression::Gzip,
        limit,
    });
    assert_eq!(error, RecordError { base_offset: 0, kind });
    assert_eq!(cursor.next_ref(), Err(error));
    assert!(cursor.next().is_none());
}

#[test]
fn batches_end_before_one_that_is_cut_off() {
    let one = batch_of(&[simple(b"a")], Compression::None);
    let two = batch_of(&[simple(b"b")], Compression::None).rebased(1, 0);
    let all = [&one.bytes()[..], two.bytes()].concat();
    for len in 0..=all.len() {
        let mut batches = Batches::new(Bytes::copy_from_slice(&all[..len]));
        let complete: Vec<_> = batches.by_ref().map(|batch| batch.expect("valid")).collect();
        let expected = [&one, &two].into_iter().filter(|batch| {
            let end = if batch.header().base_offset == 0 { one.size() } else { all.len() };
            end <= len
        });
        assert!(complete.iter().eq(expected), "{len}");
        assert_eq!(batches.remaining(), len - complete.iter().map(RecordBatch::size).sum::<usize>());
    }
}

#[test]
fn old_and_unknown_formats_are_named_with_their_offset() {
    let mut bytes = batch_of(&[simple(b"a")], Compression::None).rebased(42, 0).bytes().to_vec();
    for (magic, text) in [
        (0, "record batch at offset 42: message format v0 is not supported"),
        (1, "record batch at offset 42: message format v1 is not supported"),
        (3, "record batch at offset 42: unknown message format 3"),
        (255, "record batch at offset 42: unknown message format -1"),
    ] {
        bytes[16] = magic;
        let mut batches = Batches::new(bytes.clone().into());
        let error = batches.next().expect("an item").expect_err("not format v2");
        assert!(error.to_string().starts_with(text), "{error}");
        assert!(batches.next().is_none());
    }
}

#[test]
fn the_crc_is_compared_unless_told_otherwise() {
    let batch = batch_of(&[simple(b"value")], Compression::None);
    let mut bytes = batch.bytes().to_vec();
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    let damaged = Batches::new(bytes.into()).next().expect("a batch").expect("a header");
    assert!(matches!(kind_of(&damaged), RecordErrorKind::Crc { stored, computed } if stored != computed));
    let options = DecodeOptions { check_crcs: false, ..DecodeOptions::DEFAULT };
    let mut cursor = damaged.cursor(&options).expect("not compared");
    assert_eq!(cursor.next_ref().expect("valid").and_then(|record| record.value), Some(&b"valud"[..]));
}

#[test]
fn headers_that_lie_are_refused() {
    let batch = batch_of(&[simple(b"a"), simple(b"b")], Compression::None);
    let field = |at: usize, bytes: &'static [u8]| {
        altered(&batch, |all| all[at..at + bytes.len()].copy_from_slice(bytes))
    };
    assert_eq!(kind_of(&field(22, &[7])), RecordErrorKind::UnknownCodec { id: 7 });
    assert_eq!(kind_of(&field(0, &[0xff; 8])), RecordErrorKind::BaseOffset);
    assert_eq!(
        kind_of(&field(0, &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        RecordErrorKind::LastOffsetDelta { delta: 1 }
    );
    assert_eq!(kind_of(&field(23, &[0xff; 4])), RecordErrorKind::LastOffsetDelta { delta: -1 });
    assert_eq!(kind_of(&field(23, &[0; 4])), RecordErrorKind::Count { count: 2 });
    assert_eq!(kind_of(&field(57, &[0xff; 4])), RecordErrorKind::Count { count: -1 });
    assert_eq!(kind_of(&field(57, &[0, 0, 0, 1])), RecordErrorKind::TrailingBytes { count: 1 });
    assert_eq!(kind_of(&field(57, &[0, 0, 0, 0])), RecordErrorKind::TrailingBytes { count: 0 });
    let three = altered(&batch, |all| {
        all[26] = 2;
        all[60] = 3;
    });
    assert_eq!(kind_of(&three), RecordErrorKind::Count { count: 3 });
    // Longer values leave room for the lie, which then shows at the end.
    let batch = batch_of(&[simple(b"a longer value"), simple(b"b")], Compression::None);
    let three = altered(&batch, |all| {
        all[26] = 2;
        all[60] = 3;
    });
    assert_eq!(kind_of(&three), RecordErrorKind::MissingRecords { count: 3, found: 2 });
}

#[test]
fn records_that_lie_are_refused_with_their_index() {
    let batch = batch_of(
        &[simple(b"a"), (5, Some(vec![1]), Some(vec![2]), vec![("k".into(), None)])],
        Compression::None,
    );
    // The records: [8 | 0 0 0 -1 1 'a' 0] and [12 | 0 0 1 1 1 1 2 1 1 'k' -1], with zigzag varints.
    assert_eq!(batch.payload()[..], [14, 0, 0, 0, 1, 2, b'a', 0, 22, 0, 0, 2, 2, 1, 2, 2, 2, 2, b'k', 1]);
    let fault = |at: usize, byte: u8| match kind_of(&altered(&batch, |all| all[61 + at] = byte)) {
        RecordErrorKind::Record { index, fault } => (index, fault),
        kind => panic!("{kind}"),
    };
    assert_eq!(fault(0, 1), (0, RecordFault::Length { length: -1 }));
    assert_eq!(fault(0, 10), (0, RecordFault::Length { length: 5 }));
    assert_eq!(fault(8, 24), (1, RecordFault::CutOff));
    assert_eq!(fault(11, 0), (1, RecordFault::OffsetDelta { delta: 0 }));
    assert_eq!(fault(11, 1), (1, RecordFault::OffsetDelta { delta: -1 }));
    assert_eq!(fault(11, 4), (1, RecordFault::OffsetDelta { delta: 2 }));
    assert_eq!(fault(12, 3), (1, RecordFault::FieldLength { field: "key", length: -2 }));
    assert_eq!(fault(12, 20), (1, RecordFault::Overrun { field: "key" }));
    assert_eq!(fault(14, 126), (1, RecordFault::Overrun { field: "value" }));
    assert_eq!(fault(16, 4), (1, RecordFault::HeaderCount { count: 2 }));
    assert_eq!(fault(16, 1), (1, RecordFault::HeaderCount { count: -1 }));
    assert_eq!(fault(16, 0), (1, RecordFault::TrailingBytes));
    assert_eq!(fault(17, 1), (1, RecordFault::FieldLength { field: "header key", length: -1 }));
    assert_eq!(fault(19, 0x80), (1, RecordFault::Overrun { field: "header value" }));
    assert_eq!(fault(19, 3), (1, RecordFault::FieldLength { field: "header value", length: -2 }));
}

#[test]
fn offsets_that_lie_are_refused_also_where_many_records_are_found_at_a_time() {
    let batch = batch_of(&[simple(b"first"), simple(b"other"), simple(b"third")], Compression::None);
    let size = (batch.bytes().len() - BATCH_HEADER_LEN) / 3;
    for delta in 0..8 {
        let lying = altered(&batch, |bytes| bytes[BATCH_HEADER_LEN + size + 3] = delta * 2);
        let (records, end) = one_by_one(&lying, 0);
        let good = match delta {
            1 => 3,
            // It is the third that has no place any more.
            2 => 2,
            _ => 1,
        };
        assert_eq!((records.len(), end.is_ok()), (good, good == 3));
        assert_eq!(many_at_a_time(&lying, 0, &[(5, 0)]), (records, end));
    }
}

#[test]
fn records_that_are_to_be_skipped_are_not_found() {
    let batch = batch_of(&[simple(b"first"), simple(b"other"), simple(b"third")], Compression::None);
    let mut cursor = batch.cursor(&DecodeOptions::DEFAULT).expect("valid");
    cursor.skip_to(1);
    let mut found = [LocatedRecord::default(); 3];
    assert_eq!(cursor.locate(&mut found), 0);
    assert_eq!(cursor.next_located().expect("valid").map(|record| record.offset), Some(1));
    assert_eq!((cursor.locate(&mut found), found[0].offset), (1, 2));
}

#[test]
fn headers_keep_order_repetitions_and_null_apart_from_empty() {
    let input = [("a", Some(&b"1"[..])), ("b", None), ("a", Some(&b""[..]))];
    let mut builder = BatchBuilder::new(1000);
    builder.try_append(0, None, None, &input).expect("there is room");
    let odd = Header { key: b"\xff", value: Some(b"x") };
    builder.try_append(0, None, None, [odd]).expect("there is room");
    let batch = seal(builder, Compression::None).into_batch();
    let records: Vec<_> =
        batch.cursor(&DecodeOptions::DEFAULT).expect("valid").map(|r| r.expect("valid")).collect();
    let headers = records[0].headers();
    assert_eq!(headers.iter().map(|header| header.value).collect::<Vec<_>>(), input.map(|(_, value)| value));
    assert_eq!(headers.last("a").and_then(|header| header.value), Some(&b""[..]));
    assert_eq!((headers.last("c"), headers.len(), headers.iter().len()), (None, 3, 3));
    assert_eq!(records[0].slice_ref(headers.iter().next().and_then(|h| h.value).expect("1")), &b"1"[..]);
    assert_eq!(records[1].headers().iter().collect::<Vec<_>>(), [odd]);
    assert_eq!(odd.key_str(), "\u{fffd}");
}

#[test]
fn sequences_are_those_of_the_offsets_and_wrap() {
    let mut builder = BatchBuilder::new(1000);
    for _ in 0..3 {
        append(&mut builder, &simple(b"")).expect("there is room");
    }
    let producer = ProducerState { producer_id: 1, producer_epoch: 0, base_sequence: i32::MAX };
    let options = SealOptions { producer, base_offset: 10, ..SealOptions::default() };
    let batch = builder.seal(&options, &mut Compressor::none()).expect("no codec");
    let header = batch.header();
    assert_eq!([10, 11, 12].map(|offset| header.sequence_of(offset)), [i32::MAX, 0, 1]);
    assert_eq!((header.last_sequence(), header.has_producer_id()), (1, true));
    assert_eq!(header.sequence_of(9), -1);
}

#[test]
fn types_that_cross_threads_can() {
    fn sendable<T: Send + 'static>() {}
    sendable::<BatchBuilder>();
    sendable::<SealedBatch>();
    sendable::<BatchCursor>();
    sendable::<Record>();
    sendable::<Compressor>();
    fn shareable<T: Sync>() {}
    shareable::<Record>();
    shareable::<SealedBatch>();
}

#[test]
fn a_located_record_is_the_borrowed_one_and_stays_good_for_as_long_as_its_block_is_kept() {
    // More than one piece of decompressed records.
    let inputs: Vec<Input> = (0..5000)
        .map(|n| {
            let headers = if n % 3 == 0 { vec![("h".to_owned(), Some(vec![n as u8]))] } else { Vec::new() };
            let key = (n % 2 == 0).then(|| n.to_string().into_bytes());
            (n, key, (n % 7 != 0).then(|| vec![n as u8; 1500]), headers)
        })
        .collect();
    for codec in codecs() {
        let mut builder = BatchBuilder::new(8 << 20);
        for input in &inputs {
            append(&mut builder, input).expect("there is room");
        }
        let batch = seal(builder, codec).into_batch();
        let mut cursor = batch.cursor(&DecodeOptions::DEFAULT).unwrap();
        let mut blocks: Vec<(u32, Bytes)> = Vec::new();
        let mut located = Vec::new();
        while let Some(record) = cursor.next_located().unwrap() {
            if blocks.last().is_none_or(|(number, _)| *number != cursor.block_number()) {
                blocks.push((cursor.block_number(), cursor.block().clone()));
            }
            located.push((blocks.len() - 1, record));
        }
        assert_eq!(blocks.len() > 1, codec != Compression::None, "{codec:?}");
        let seen: Vec<_> = located
            .iter()
            .map(|(block, record)| (record.offset, to_input(&record.in_block(&blocks[*block].1))))
            .collect();
        assert_eq!(seen, (0..).zip(inputs.iter().cloned()).collect::<Vec<_>>(), "{codec:?}");
    }
}
