//! The target `record_batch`: batches that a broker might have sent, and batches that a producer makes.

use bytes::Bytes;
use ottla_protocol::compression::{Compression, CompressionError, Compressor, MAX_ZSTD_WINDOW};
use ottla_protocol::records::{
    AppendError, BATCH_HEADER_LEN, BatchBuilder, BatchCursor, Batches, ControlRecord, ControlValue,
    DecodeOptions, Header, LocatedRecord, ProducerState, Record, RecordBatch, RecordError, RecordErrorKind,
    RecordRef, SealOptions,
};

use crate::memory;
use crate::source::Source;

/// The most that one batch may decompress to.
const LIMIT: usize = 1 << 20;

/// The memory that reading may take beside the plain bytes: lists of the target's own, and the largest state of any codec but
/// zstd with a large window.
const BESIDE: usize = 16 << 20;

/// Takes the input for one of three things, by its first byte's last two bits:
///
/// - 0 and 1: batches as they are. The records are read borrowed, owned, from an offset on and many at a time, with CRCs and
///   without; all ways agree, offsets ascend within the batch, an error stays, and memory stays within the limit;
/// - 2: plain bytes for the records of a batch, which is sent with each codec: all of them give the same records;
/// - 3: records, which are built into a batch, sealed with one of the codecs, and come back.
pub fn record_batch(data: &[u8]) {
    let mut source = Source::new(data);
    let choice = source.u8();
    match choice & 3 {
        2 => same_in_every_codec(&mut source),
        3 => built(&mut source),
        _ => received(&Bytes::copy_from_slice(source.rest()), i64::from(choice >> 2)),
    }
}

/// What a batch gave: its records as far as they are good, and why there are no more.
#[derive(Debug, PartialEq)]
struct Read {
    records: Vec<Record>,
    error: Option<RecordError>,
}

fn received(bytes: &Bytes, skip: i64) {
    let mut batches = Batches::new(bytes.clone());
    let mut taken = 0;
    while let Some(batch) = batches.next() {
        let Ok(batch) = batch else {
            assert!(batches.next().is_none(), "a batch after an error");
            break;
        };
        taken += batch.size();
        assert_eq!(taken + batches.remaining(), bytes.len());
        check_batch(&batch, skip);
    }
    assert!(batches.next().is_none(), "a batch after the end");
}

fn check_batch(batch: &RecordBatch, skip: i64) {
    let header = *batch.header();
    assert_eq!(batch.size(), BATCH_HEADER_LEN + batch.payload().len());
    // Whatever a header says can be asked.
    let _ =
        (header.next_offset(), header.last_sequence(), header.delete_horizon_ms(), header.has_producer_id());
    let moved = batch.rebased(header.base_offset, header.partition_leader_epoch);
    assert_eq!(&moved, batch);

    let unchecked = DecodeOptions { check_crcs: false, max_decompressed_bytes: LIMIT };
    let read = memory::within(bound(batch), "a batch", || read(batch, &unchecked));
    let checked = DecodeOptions { check_crcs: true, ..unchecked };
    match batch.verify_crc() {
        Ok(()) => assert_eq!(self::read(batch, &checked), read),
        Err(error) => assert_eq!(batch.cursor(&checked).err(), Some(error)),
    }
    in_order(batch, &read);
    let offset = header.base_offset.saturating_add(skip);
    from_offset(batch, &unchecked, &read, offset);
    for most in [2, 5, 40] {
        many_at_a_time(batch, &unchecked, &read, offset, most);
    }
    for record in &read.records {
        check_control(&record.as_ref());
        check_control_value(record);
    }
    if read.error.is_none() {
        built_again(batch, &read.records);
    }
}

/// Plain bytes in pieces, the largest record twice as it grows, and the records' handles.
fn bound(batch: &RecordBatch) -> usize {
    let window = match batch.header().attributes.compression() {
        Ok(Compression::Zstd) => MAX_ZSTD_WINDOW as usize,
        _ => 0,
    };
    32 * (LIMIT + batch.size()) + BESIDE + 2 * window
}

/// Reads borrowed and owned at once.
fn read(batch: &RecordBatch, options: &DecodeOptions) -> Read {
    let (mut borrowed, mut owned) = match (batch.cursor(options), batch.cursor(options)) {
        (Ok(borrowed), Ok(owned)) => (borrowed, owned),
        (Err(error), Err(again)) if error == again => {
            return Read { records: Vec::new(), error: Some(error) };
        }
        (a, b) => panic!("two cursors differ: {a:?} {b:?}"),
    };
    let mut records = Vec::new();
    loop {
        let left = owned.remaining();
        match (borrowed.next_ref(), owned.next_record()) {
            (Ok(Some(a)), Ok(Some(b))) => {
                assert_eq!(a, b.as_ref());
                assert_eq!(owned.remaining(), left - 1);
                records.push(b);
            }
            (Ok(None), Ok(None)) => {
                assert_eq!(left, 0);
                assert_eq!(owned.next_record(), Ok(None), "a record after the end");
                return Read { records, error: None };
            }
            (Err(a), Err(b)) => {
                assert_eq!(a, b);
                assert_eq!(a.base_offset, batch.header().base_offset);
                assert_eq!(owned.next_record(), Err(b), "an error that doesn't stay");
                return Read { records, error: Some(a) };
            }
            (a, b) => panic!("borrowed {a:?}, owned {b:?}"),
        }
    }
}

fn in_order(batch: &RecordBatch, read: &Read) {
    let mut next = batch.header().base_offset;
    for record in &read.records {
        let offset = record.offset();
        assert!(offset >= next && offset <= batch.header().last_offset(), "{offset} after {next}");
        next = offset + 1;
        let headers = record.headers();
        assert_eq!(headers.iter().count(), headers.len(), "a header is lost");
    }
}

/// Skipping gives the same records without those before the offset, and the same error.
fn from_offset(batch: &RecordBatch, options: &DecodeOptions, read: &Read, offset: i64) {
    let Ok(mut cursor) = batch.cursor(options) else { return };
    cursor.skip_to(offset);
    let mut records = read.records.iter().filter(|record| record.offset() >= offset);
    let error = loop {
        match cursor.next_ref() {
            Ok(Some(record)) => assert_eq!(Some(record), records.next().map(Record::as_ref), "from {offset}"),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    assert_eq!(error, read.error, "from {offset}");
    assert_eq!(records.next(), None, "from {offset}");
}

/// So does finding up to `most` records at once, also when some of them are given back and found again.
fn many_at_a_time(batch: &RecordBatch, options: &DecodeOptions, read: &Read, offset: i64, most: usize) {
    let Ok(mut cursor) = batch.cursor(options) else { return };
    cursor.skip_to(offset);
    let mut records = read.records.iter().filter(|record| record.offset() >= offset);
    let mut found = vec![LocatedRecord::default(); most];
    let error = loop {
        match cursor.next_located() {
            Ok(Some(first)) => found[0] = first,
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
        let left = cursor.remaining();
        let count = 1 + cursor.locate(&mut found[1..]);
        assert_eq!(cursor.remaining() + count, left + 1);
        let kept = count - count / 3;
        if kept < count {
            cursor.back_to(&found[kept - 1], count - kept);
        }
        for at in &found[..kept] {
            assert_eq!(Some(at.in_block(cursor.block())), records.next().map(Record::as_ref));
        }
    };
    assert_eq!(error, read.error, "{most} at a time from {offset}");
    assert_eq!(records.next(), None, "{most} at a time from {offset}");
}

fn check_control(record: &RecordRef<'_>) {
    let Ok(control) = ControlRecord::of(record) else { return };
    let (key, value) = (control.key(), control.value());
    let again = RecordRef { key: Some(&key), value: value.as_ref().map(|value| &value[..]), ..*record };
    assert_eq!(ControlRecord::of(&again), Ok(control));
}

fn check_control_value(record: &Record) {
    let (Some(key), Some(value)) = (record.key(), record.value_bytes()) else { return };
    let bound = memory::densest_bound(value.len());
    let Ok(control) = memory::within(bound, "a control record", || ControlValue::decode(key, &value)) else {
        return;
    };
    let encoded = control.encode().expect("what was decoded can be encoded");
    assert!(encoded.len() <= value.len(), "{} bytes become {}", value.len(), encoded.len());
    assert_eq!(ControlValue::decode(&control.key(), &encoded), Ok(control));
}

/// The records of a batch are taken by a builder, and come back with their offsets from zero.
fn built_again(batch: &RecordBatch, records: &[Record]) {
    let codec = batch.header().attributes.compression().unwrap_or_default();
    let mut builder = BatchBuilder::new(batch.size());
    for record in records {
        let headers: Vec<Header<'_>> = record.headers().iter().collect();
        match builder.try_append(record.timestamp(), record.key(), record.value(), &headers) {
            Ok(index) => assert_eq!(index as usize + 1, builder.len()),
            // As much as a batch of this size takes uncompressed.
            Err(error) => {
                assert_eq!(error, AppendError::Full);
                assert!(builder.size() <= builder.limit() || builder.len() == 1);
                break;
            }
        }
    }
    let expected = &records[..builder.len()];
    let sealed = seal(builder, codec, &SealOptions::default());
    let again =
        read(&sealed, &DecodeOptions { max_decompressed_bytes: 64 * LIMIT, ..DecodeOptions::DEFAULT });
    assert_eq!(again.error, None);
    assert_eq!(again.records.len(), expected.len());
    for (at, (again, record)) in again.records.iter().zip(expected).enumerate() {
        assert_eq!(again.as_ref(), RecordRef { offset: at as i64, ..record.as_ref() });
    }
}

fn seal(builder: BatchBuilder, codec: Compression, options: &SealOptions) -> RecordBatch {
    let mut compressor = Compressor::new(codec).expect("every codec is built in");
    builder.seal(options, &mut compressor).expect("it is short").into_batch()
}

fn same_in_every_codec(source: &mut Source<'_>) {
    let attributes = source.i16() & !7;
    let last_offset_delta = i32::from(source.i16());
    let count = i32::from(source.i16());
    let plain = source.rest();
    let reads = Compression::ALL.map(|codec| {
        let mut compressor = Compressor::new(codec).expect("every codec is built in");
        let payload = compressor.compress(plain).expect("it is short").unwrap_or(plain);
        let bytes = raw_batch(attributes | i16::from(codec.id()), last_offset_delta, count, payload);
        let mut batches = Batches::new(bytes);
        let batch = batches.next().expect("it is whole").expect("its length is right");
        read(&batch, &DecodeOptions { max_decompressed_bytes: LIMIT, ..DecodeOptions::DEFAULT })
    });
    let [none, compressed @ ..] = &reads;
    for read in compressed {
        // A count that plain bytes can't hold shows before the first record; what is compressed has to be read for it.
        if none.records.is_empty() && none.error.is_some() {
            assert!(read.error.is_some(), "refused plain only: {none:?}");
        } else if let Some(RecordErrorKind::Compression(CompressionError::Limit { .. })) =
            read.error.map(|error| error.kind)
        {
            // A record that claims to be longer than all that may be decompressed is refused for it; plain, it is cut off.
            assert_eq!(read.records, none.records);
            assert!(none.error.is_some(), "refused compressed only: {read:?}");
        } else {
            assert_eq!(read, none);
        }
    }
}

/// A batch of these records, with a right CRC.
fn raw_batch(attributes: i16, last_offset_delta: i32, count: i32, payload: &[u8]) -> Bytes {
    let mut covered = Vec::with_capacity(BATCH_HEADER_LEN + payload.len());
    covered.extend(attributes.to_be_bytes());
    covered.extend(last_offset_delta.to_be_bytes());
    // Base and largest timestamp; no producer id, epoch and sequence.
    covered.extend(1_700_000_000_000i64.to_be_bytes());
    covered.extend(1_700_000_000_500i64.to_be_bytes());
    covered.extend([0xff; 8 + 2 + 4]);
    covered.extend(count.to_be_bytes());
    covered.extend(payload);
    let mut batch = 1000i64.to_be_bytes().to_vec();
    // Leader epoch, format and CRC come before what is covered.
    batch.extend((4 + 1 + 4 + covered.len() as i32).to_be_bytes());
    batch.extend([0, 0, 0, 7, 2]);
    batch.extend(crc32c::crc32c(&covered).to_be_bytes());
    batch.extend(covered);
    batch.into()
}

/// What was appended, as a record is read.
#[derive(Debug)]
struct Appended {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

fn built(source: &mut Source<'_>) {
    let codec = Compression::ALL[source.below(Compression::ALL.len())];
    let options = seal_options(source);
    let mut builder = BatchBuilder::new(BATCH_HEADER_LEN + usize::from(source.i16() as u16));
    let mut appended = Vec::new();
    let mut delta = 0;
    while !source.is_empty() {
        let skipped = i32::from(source.u8().saturating_sub(250));
        builder.skip_offsets(skipped);
        delta += i64::from(skipped);
        let record = record(source, options.base_offset + delta);
        let headers: Vec<Header<'_>> =
            record.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
        let size = builder.size();
        match builder.try_append(record.timestamp, record.key.as_deref(), record.value.as_deref(), &headers) {
            Ok(index) => {
                assert_eq!(index as usize, appended.len());
                assert!(builder.size() <= builder.limit() || index == 0);
                delta += 1;
                appended.push(record);
            }
            Err(error) => {
                assert_eq!((error, builder.size()), (AppendError::Full, size));
                break;
            }
        }
    }
    let uncompressed = builder.size();
    let batch = seal(builder, codec, &options);
    assert_eq!(batch.verify_crc(), Ok(()));
    assert_eq!(batch.header().producer_id, options.producer.producer_id);
    assert_eq!((batch.is_control(), batch.header().count as usize), (options.control, appended.len()));
    let mut batches = Batches::new(batch.bytes().clone());
    assert_eq!(batches.next(), Some(Ok(batch.clone())));
    assert_eq!((batches.next(), batches.remaining()), (None, 0));
    let limits = DecodeOptions { max_decompressed_bytes: uncompressed, ..DecodeOptions::DEFAULT };
    let mut cursor = batch.cursor(&limits).expect("a batch of our own");
    for record in &appended {
        comes_back(&mut cursor, record, options.log_append_time);
    }
    assert_eq!(cursor.next_ref(), Ok(None));
    assert_eq!(cursor.next_offset(), options.base_offset + delta.max(1));
}

fn comes_back(cursor: &mut BatchCursor, appended: &Appended, log_append_time: Option<i64>) {
    let record = cursor.next_ref().expect("a record of our own").expect("one for each that was appended");
    let headers: Vec<_> =
        record.headers.iter().map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec))).collect();
    assert_eq!(
        (record.offset, record.key, record.value, &headers),
        (appended.offset, appended.key.as_deref(), appended.value.as_deref(), &appended.headers)
    );
    assert_eq!(record.timestamp, log_append_time.unwrap_or(appended.timestamp));
}

fn seal_options(source: &mut Source<'_>) -> SealOptions {
    let flags = source.u8();
    SealOptions {
        producer: ProducerState {
            producer_id: i64::from(source.i32()),
            producer_epoch: source.i16(),
            base_sequence: source.i32(),
        },
        transactional: flags & 1 == 1,
        control: flags & 2 == 2,
        base_offset: i64::from(source.i32().unsigned_abs()),
        partition_leader_epoch: i32::from(flags),
        log_append_time: (flags & 4 == 4).then(|| source.i64()),
    }
}

fn record(source: &mut Source<'_>, offset: i64) -> Appended {
    let timestamp = match source.u8() {
        byte @ 0..=249 => 1_700_000_000_000 + i64::from(byte),
        _ => source.i64(),
    };
    let (key, value) = (field(source), field(source));
    let count = source.u8().saturating_sub(248);
    let headers = (0..count).map(|_| (field(source).unwrap_or_default(), field(source))).collect();
    Appended { offset, timestamp, key, value, headers }
}

fn field(source: &mut Source<'_>) -> Option<Vec<u8>> {
    match source.u8() {
        255 => None,
        length @ 0..=199 => Some(source.slice(usize::from(length) % 70).to_vec()),
        length => Some(vec![source.u8(); usize::from(length) * 64]),
    }
}
