use bytes::Bytes;

use super::*;
use crate::messages::api_versions::{ApiVersion, ApiVersionsResponse, decode_with_fallback};

wire! {
    /// Every kind of row.
    pub struct Sample {
        /// Plain.
        id: i32,
        /// Exists late, must not be dropped.
        [2..] strict: i64 = -1,
        /// Exists late, may be dropped.
        [2.., ignorable] loose: i64 = -1,
        /// Nullable late.
        [0.., nullable 2..] names: Option<Vec<String>> = Some(Vec::new()),
        /// Tagged.
        [3.., tag 1] note: Option<String>,
        /// Tagged struct.
        [3.., tag 4] inner: Inner,
        /// Payload.
        payload: Option<Bytes>,
        /// Nullable structure.
        [3..] maybe: Option<Inner>,
    }

    /// Nested.
    pub struct Inner {
        /// A number.
        [3..] n: u16 = 7,
    }
}

fn encode(sample: &Sample, version: i16) -> Result<Frame, EncodeError> {
    super::encode(sample, version, version >= 3)
}

fn round_trip(sample: &Sample, version: i16) -> Sample {
    let bytes = encode(sample, version).unwrap().to_bytes();
    for cut in 0..bytes.len() {
        decode::<Sample>(&bytes.slice(..cut), version, version >= 3).unwrap_err();
    }
    decode(&bytes, version, version >= 3).unwrap()
}

#[test]
fn a_message_reads_back_in_each_version_as_far_as_the_version_has_its_fields() {
    let mut sample = Sample {
        id: 1,
        strict: 2,
        loose: 3,
        names: None,
        note: Some("n".into()),
        inner: Inner { n: 9, ..Default::default() },
        payload: Some(Bytes::from_static(b"abc")),
        maybe: Some(Inner::default()),
        unknown_tags: Default::default(),
    };
    sample.unknown_tags.insert(0, Bytes::from_static(b"zero"));
    sample.unknown_tags.insert(2, Bytes::from_static(b""));
    sample.unknown_tags.insert(900, Bytes::from_static(b"last"));
    assert_eq!(round_trip(&sample, 3), sample);
    let old = Sample { id: 1, loose: 3, payload: None, ..Default::default() };
    assert_eq!(round_trip(&old, 0), Sample { loose: -1, ..old });
}

#[test]
fn bytes_are_kafkas() {
    let sample =
        Sample { id: 1, names: Some(vec!["a".into()]), note: Some("x".into()), ..Default::default() };
    let bytes = encode(&sample, 3).unwrap().to_bytes();
    let strict_and_loose = [0xff; 16];
    let mut expected = vec![0, 0, 0, 1];
    expected.extend(strict_and_loose);
    expected.extend([2, 2, b'a', 0, 0xff, 1, 1, 2, 2, b'x']);
    assert_eq!(bytes, expected);
    let plain = encode(&Sample { id: 1, ..Default::default() }, 0).unwrap().to_bytes();
    assert_eq!(&plain[..], [0, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
}

#[test]
fn a_value_that_a_version_cannot_say_is_an_error_unless_ignorable() {
    let error = encode(&Sample { strict: 0, ..Default::default() }, 1).unwrap_err();
    let place = Place { message: "Sample", field: "strict" };
    assert_eq!(error, EncodeError { place, version: 1, kind: EncodeErrorKind::UnsupportedField });
    encode(&Sample { loose: 0, ..Default::default() }, 1).unwrap();
    let error = encode(&Sample { names: None, ..Default::default() }, 1).unwrap_err();
    assert_eq!(error.kind, EncodeErrorKind::NullNotAllowed);
    let error = encode(&Sample { note: Some("x".repeat(40_000)), ..Default::default() }, 3).unwrap_err();
    assert_eq!(error.kind, EncodeErrorKind::TooLong(40_000));
    assert_eq!(
        error.to_string(),
        "cannot encode Sample.note in version 3: a length of 40000 is more than the format can express"
    );
}

#[test]
fn large_payloads_are_spliced_in_and_not_copied() {
    let payload = Bytes::from(vec![5; 10_000]);
    let frame = encode(&Sample { payload: Some(payload.clone()), ..Default::default() }, 3).unwrap();
    assert_eq!(frame.chunks().len(), 3);
    assert_eq!(frame.chunks()[1].as_ptr(), payload.as_ptr());
    assert_eq!(frame.len(), frame.to_bytes().len());
    let read: Sample = decode(&frame.to_bytes(), 3, true).unwrap();
    assert_eq!(read.payload, Some(payload));
}

#[test]
fn lies_in_a_frame_are_named_with_place_and_offset() {
    let read =
        |bytes: &'static [u8], version| decode::<Sample>(&Bytes::from_static(bytes), version, version >= 3);
    let error = read(&[0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff, 0], 0).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::Truncated { needed: 0x7fff_ffff, remaining: 1 });
    assert_eq!((error.place.field, error.offset), ("names", 8));
    let error = read(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff], 0).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::UnexpectedNull);
    let error = read(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe], 0).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::InvalidLength(-2));
    let error = read(&[0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0xff, 0, 0, 0, 0], 0).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::InvalidUtf8);
    let error = read(&[0, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1], 0).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::TrailingBytes(1));
}

#[test]
fn tags_out_of_order_or_of_the_wrong_size_are_refused() {
    let start: Vec<u8> = [&[0, 0, 0, 1][..], &[0xff; 16], &[1, 0, 0xff]].concat();
    let read = |tags: &[u8]| decode::<Sample>(&Bytes::from([&start[..], tags].concat()), 3, true);
    read(&[2, 0, 0, 9, 1, 1]).unwrap();
    assert_eq!(read(&[2, 9, 0, 9, 0]).unwrap_err().kind, DecodeErrorKind::TagOrder(9));
    assert_eq!(read(&[2, 9, 0, 8, 0]).unwrap_err().kind, DecodeErrorKind::TagOrder(8));
    assert_eq!(
        read(&[1, 1, 3, 2, b'x', 0]).unwrap_err().kind,
        DecodeErrorKind::TagSize { tag: 1, remaining: 1 }
    );
    assert!(matches!(
        read(&[1, 1, 1, 3, b'x', b'y']).unwrap_err().kind,
        DecodeErrorKind::Truncated { needed: 2, .. }
    ));
    assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x1f]).unwrap_err().kind, DecodeErrorKind::InvalidVarint);
}

#[test]
fn api_versions_falls_back_to_version_0_of_an_old_broker() {
    let v0 = Bytes::from_static(&[0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 3]);
    let expected = ApiVersionsResponse {
        error_code: crate::error_code::ErrorCode::UNSUPPORTED_VERSION,
        api_keys: vec![ApiVersion { api_key: 18, min_version: 0, max_version: 3, ..Default::default() }],
        ..Default::default()
    };
    assert_eq!(decode_with_fallback(&v0, 4), Ok(expected.clone()));
    assert_eq!(decode_with_fallback(&v0, 0), Ok(expected));
    let garbage = Bytes::from_static(&[0, 35, 9]);
    assert!(decode_with_fallback(&garbage, 4).is_err());
}
