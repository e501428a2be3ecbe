use super::*;
use ottla_protocol::records::{BATCH_HEADER_LEN, TimestampType};

#[test]
fn a_batch_is_kept_as_it_came_but_for_its_place() {
    let mut log = log();
    let sent = [values(&["a", "b"]), values(&["c"])];
    let first = log.append(NOW, &PLAIN, &sent[0].bytes()).unwrap();
    let second = log.append(NOW, &PLAIN, &sent[1].bytes()).unwrap();
    assert_eq!(
        first,
        Appended {
            base_offset: 0,
            last_offset: 1,
            log_append_time_ms: -1,
            log_start_offset: 0,
            duplicate: false
        }
    );
    assert_eq!((second.base_offset, second.last_offset, log.end_offset()), (2, 2, 3));
    for (batch, (sent, base)) in stored(&log).iter().zip([(sent[0].bytes(), 0i64), (sent[1].bytes(), 2)]) {
        let mut expected = sent.to_vec();
        expected[..8].copy_from_slice(&base.to_be_bytes());
        expected[12..16].copy_from_slice(&5i32.to_be_bytes());
        assert_eq!(batch.bytes()[..], expected[..]);
        assert_eq!(batch.verify_crc(), Ok(()));
    }
}

#[test]
fn a_repeated_batch_of_the_last_five_is_answered_with_its_offset_and_is_not_appended() {
    let mut log = log();
    let sent: Vec<Send> = (0..6).map(|at| values(&["x", "y"]).of(7, 0, at * 2).at(&[NOW + 1; 2])).collect();
    for (index, send) in (0..).zip(&sent) {
        assert_eq!(put(&mut log, send), index * 2);
    }
    for (index, send) in (0i64..).zip(&sent).skip(1) {
        let answer = log.append(NOW, &PLAIN, &send.bytes()).unwrap();
        let expected = Appended {
            base_offset: index * 2,
            last_offset: index * 2 + 1,
            log_append_time_ms: NOW + 1,
            log_start_offset: 0,
            duplicate: true,
        };
        assert_eq!(answer, expected);
    }
    assert_eq!(code(&mut log, &sent[0]), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, "beyond the window");
    assert_eq!(log.end_offset(), 12);
}

#[test]
fn sequences_have_to_follow_each_other() {
    let mut log = log();
    put(&mut log, &values(&["a"]).of(7, 0, 0));
    assert_eq!(code(&mut log, &values(&["c"]).of(7, 0, 2)), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(code(&mut log, &values(&["a", "b"]).of(7, 0, 0)), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    put(&mut log, &values(&["b"]).of(7, 0, 1));
    assert_eq!(offsets_and_values(&log, Isolation::LogEnd), owned(&[(0, "a"), (1, "b")]));
}

#[test]
fn a_sequence_wraps_to_zero_also_within_a_batch() {
    let mut log = log();
    put(&mut log, &values(&["a"]).of(7, 0, i32::MAX - 1));
    put(&mut log, &values(&["b", "c"]).of(7, 0, i32::MAX));
    assert_eq!(code(&mut log, &values(&["d"]).of(7, 0, 0)), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(put(&mut log, &values(&["d"]).of(7, 0, 1)), 3);
    assert!(log.append(NOW, &PLAIN, &values(&["b", "c"]).of(7, 0, i32::MAX).bytes()).unwrap().duplicate);
    assert_eq!(log.end_offset(), 4);
}

#[test]
fn an_unknown_producer_may_begin_anywhere_and_a_new_epoch_only_at_zero() {
    let mut log = log();
    put(&mut log, &values(&["a"]).of(7, 3, 40));
    assert_eq!(code(&mut log, &values(&["b"]).of(7, 4, 41)), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    put(&mut log, &values(&["b"]).of(7, 4, 0));
    assert_eq!(code(&mut log, &values(&["c"]).of(7, 3, 41)), ErrorCode::INVALID_PRODUCER_EPOCH);
    let known = log.producers();
    assert_eq!(known.len(), 1);
    assert_eq!((known[0].producer_id, known[0].producer_epoch, known[0].last_sequence), (7, 4, 0));
    assert_eq!((known[0].last_timestamp, known[0].coordinator_epoch), (NOW, -1));
    assert_eq!(known[0].current_txn_start_offset, -1);
}

#[test]
fn silent_producers_are_forgotten_unless_a_transaction_is_open() {
    let mut log = log();
    put(&mut log, &values(&["a"]).of(7, 0, 0));
    put(&mut log, &values(&["b"]).of(8, 0, 0).transactional());
    log.expire_producers(NOW + 86_399_999);
    assert_eq!(log.producers().len(), 2);
    log.expire_producers(NOW + 86_400_000);
    assert_eq!(log.producers().iter().map(|known| known.producer_id).collect::<Vec<_>>(), [8]);
    put(&mut log, &values(&["c"]).of(7, 0, 9));
}

#[test]
fn what_is_no_single_batch_of_a_client_is_refused_with_kafkas_code() {
    let good = values(&["a", "b"]).bytes();
    let patched = |at: usize, bytes: &[u8]| {
        let mut batch = good.to_vec();
        batch[at..at + bytes.len()].copy_from_slice(bytes);
        let crc = crc32c::crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        Bytes::from(batch)
    };
    let twice = Bytes::from([&good[..], &good[..]].concat());
    let mut damaged = good.to_vec();
    damaged[BATCH_HEADER_LEN] ^= 1;
    let mut foreign = good.to_vec();
    foreign[16] = 9;
    let mut old = good.to_vec();
    old[16] = 1;
    let cases = [
        ("nothing", Bytes::new(), ErrorCode::INVALID_RECORD, -1),
        ("cut off", good.slice(..good.len() - 1), ErrorCode::INVALID_RECORD, -1),
        ("two batches", twice, ErrorCode::INVALID_RECORD, -1),
        ("format 9", foreign.into(), ErrorCode::CORRUPT_MESSAGE, -1),
        ("format 1", old.into(), ErrorCode::INVALID_RECORD, -1),
        (
            "length 3",
            Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 2]),
            ErrorCode::CORRUPT_MESSAGE,
            -1,
        ),
        ("damaged", damaged.into(), ErrorCode::CORRUPT_MESSAGE, -1),
        ("an offset", patched(7, &[1]), ErrorCode::INVALID_RECORD, 0),
        ("control", patched(22, &[0x20]), ErrorCode::INVALID_RECORD, 0),
        ("too few records", patched(60, &[1]), ErrorCode::INVALID_RECORD, 0),
        ("no record", patched(57, &[0; 4]), ErrorCode::INVALID_RECORD, 0),
        ("holes", patched(26, &[5]), ErrorCode::INVALID_RECORD, 0),
        ("no sequence", patched(43, &[0; 10]), ErrorCode::INVALID_RECORD, 0),
        ("a broker's timestamps", patched(22, &[8]), ErrorCode::NONE, 0),
        ("a codec of the future", patched(22, &[7]), ErrorCode::INVALID_RECORD, 0),
        ("no gzip at all", patched(22, &[1]), ErrorCode::UNKNOWN_SERVER_ERROR, 0),
    ];
    for (name, bytes, expected, log_start) in cases {
        let mut log = log();
        let answer = log.append(NOW, &PLAIN, &bytes);
        match answer {
            Ok(_) => assert_eq!((ErrorCode::NONE, 2), (expected, log.end_offset()), "{name}"),
            Err(error) => {
                assert_eq!((error.code, error.log_start_offset), (expected, log_start), "{name}");
                assert_eq!(log.end_offset(), 0, "{name}");
            }
        }
    }
}

#[test]
fn zstd_needs_produce_version_7() {
    let sent =
        Send { codec: Compression::Zstd, ..values(&["zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"]) }
            .bytes();
    let refused = log().append(NOW, &AppendContext { version: 6, ..PLAIN }, &sent).unwrap_err();
    assert_eq!(refused.code, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
    assert!(log().append(NOW, &AppendContext { version: 7, ..PLAIN }, &sent).is_ok());
}

#[test]
fn a_batch_may_be_as_long_as_max_message_bytes_and_no_longer() {
    let sent = values(&["0123456789"]).bytes();
    for (limit, expected) in [(sent.len(), None), (sent.len() - 1, Some(ErrorCode::MESSAGE_TOO_LARGE))] {
        let mut log =
            PartitionLog::new(LogConfig { max_message_bytes: limit as i32, ..LogConfig::default() });
        assert_eq!(log.append(NOW, &PLAIN, &sent).err().map(|error| error.code), expected);
    }
    let mut log = PartitionLog::new(LogConfig { segment_bytes: 20, ..LogConfig::default() });
    assert_eq!(log.append(NOW, &PLAIN, &sent).unwrap_err().code, ErrorCode::RECORD_LIST_TOO_LARGE);
}

#[test]
fn timestamps_out_of_range_name_their_records() {
    let config =
        LogConfig { timestamp_before_max_ms: 10, timestamp_after_max_ms: 20, ..LogConfig::default() };
    let mut log = PartitionLog::new(config);
    put(&mut log, &values(&["a", "b", "c"]).at(&[NOW - 10, NOW + 20, -1]));
    let refused = log
        .append(NOW, &PLAIN, &values(&["a", "b", "c"]).at(&[NOW - 11, NOW, NOW + 21]).bytes())
        .unwrap_err();
    assert_eq!((refused.code, refused.log_start_offset), (ErrorCode::INVALID_TIMESTAMP, 0));
    assert_eq!(refused.record_errors.iter().map(|error| error.index).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(
        refused.record_errors[0].message,
        format!("the timestamp {} is not between {} and {}", NOW - 11, NOW - 10, NOW + 20)
    );
    assert!(refused.message.is_some());
    assert_eq!(log.end_offset(), 3);
}

#[test]
fn a_compacted_topic_names_the_records_without_a_key() {
    let mut log = PartitionLog::new(LogConfig { compact: true, delete: false, ..LogConfig::default() });
    let sent = pairs(&[(Some("k"), Some("v")), (None, Some("v")), (Some(""), None)]);
    let refused = log.append(NOW, &PLAIN, &sent.bytes()).unwrap_err();
    assert_eq!(refused.code, ErrorCode::INVALID_RECORD);
    assert_eq!(refused.record_errors.iter().map(|error| error.index).collect::<Vec<_>>(), [1]);
}

#[test]
fn under_log_append_time_every_record_has_the_brokers_time() {
    let config = LogConfig { timestamp_type: TimestampType::LogAppendTime, ..LogConfig::default() };
    for codec in [Compression::None, Compression::Lz4] {
        let mut log = PartitionLog::new(config.clone());
        let sent =
            Send { codec, ..values(&["aaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaa"]) }.at(&[5, 6]);
        assert_eq!(log.append(NOW, &PLAIN, &sent.bytes()).unwrap().log_append_time_ms, NOW);
        let batch = &stored(&log)[0];
        let mut cursor = batch.cursor(&DecodeOptions::DEFAULT).unwrap();
        assert_eq!(cursor.next_ref().unwrap().unwrap().timestamp, NOW);
        assert_eq!(cursor.next_ref().unwrap().unwrap().timestamp, NOW);
        assert_eq!(batch.header().max_timestamp, NOW);
    }
}

#[test]
fn the_topics_codec_replaces_the_producers() {
    for target in Compression::ALL {
        let mut log = PartitionLog::new(LogConfig { compression: Some(target), ..LogConfig::default() });
        for codec in Compression::ALL {
            put(
                &mut log,
                &Send { codec, ..values(&["aaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbb"]) },
            );
        }
        for batch in stored(&log) {
            assert_eq!(batch.header().attributes.compression(), Ok(target));
            assert_eq!(batch.verify_crc(), Ok(()));
        }
        assert_eq!(offsets_and_values(&log, Isolation::LogEnd).len(), 10);
        assert_eq!(offsets_and_values(&log, Isolation::LogEnd)[9], (9, "b".repeat(24)));
    }
}

#[test]
fn a_wrong_max_timestamp_is_put_right() {
    let mut sent = values(&["a", "b"]).at(&[NOW, NOW + 5]).bytes().to_vec();
    sent[35..43].copy_from_slice(&(NOW + 50).to_be_bytes());
    let crc = crc32c::crc32c(&sent[21..]);
    sent[17..21].copy_from_slice(&crc.to_be_bytes());
    let mut log = log();
    log.append(NOW, &PLAIN, &sent.into()).unwrap();
    assert_eq!(stored(&log)[0].header().max_timestamp, NOW + 5);
    assert_eq!(stored(&log)[0].verify_crc(), Ok(()));
}
