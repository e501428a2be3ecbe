//! Decoding a record from its body: all of it is checked here, once.
//!
//! Guarantee: what [`decode_small`] takes, [`decode_any`] takes just the same.

use super::{Header, Layout, RecordRef, Span};
use crate::records::error::RecordFault;
use crate::varint;

/// A decoded record.
#[derive(Clone, Copy)]
pub(in crate::records) struct Decoded<'a> {
    pub(in crate::records) body: &'a [u8],
    pub(in crate::records) timestamp_delta: i64,
    pub(in crate::records) offset_delta: i32,
    pub(in crate::records) layout: Layout,
}

impl<'a> Decoded<'a> {
    #[inline]
    pub(in crate::records) fn record(self, offset: i64, timestamp: i64) -> RecordRef<'a> {
        let Decoded { body, layout, .. } = self;
        let (key, value) = (layout.key.of(body), layout.value.of(body));
        RecordRef { offset, timestamp, key, value, headers: layout.headers(body) }
    }
}

/// Decodes a record from its body, which is at most `i32::MAX` bytes long, and checks all of it.
#[inline(always)]
pub(in crate::records) fn decode(body: &[u8]) -> Result<Decoded<'_>, RecordFault> {
    match decode_small(body) {
        Some(decoded) => Ok(decoded),
        None => decode_any(body),
    }
}

/// The record at the start of `bytes` and behind its length, and how many bytes that takes, if [`decode_small`] takes it and
/// its length is as small.
#[inline(always)]
pub(in crate::records) fn decode_framed(bytes: &[u8]) -> Option<(usize, Decoded<'_>)> {
    let mut near = Near { word: u16::from_le_bytes(*bytes.first_chunk()?).into(), at: 0 };
    // One below nothing is more than there is.
    let length = near.varint()? as usize;
    Some((near.at, decode_small(bytes.get(near.at..)?.get(..length)?)?))
}

/// A good record whose numbers take at most two bytes each; all else is for [`decode_any`], which also says what is wrong.
#[inline(always)]
fn decode_small(body: &[u8]) -> Option<Decoded<'_>> {
    // The first byte is for attributes, of which there are none; three numbers fit into the other seven.
    let mut near = Near { word: u64::from_le_bytes(*body.first_chunk()?) >> 8, at: 1 };
    let timestamp_delta = near.varint()?;
    let offset_delta = near.varint()?;
    let key = near.field()?;
    let word = u16::from_le_bytes(*body.get(key.end()..)?.first_chunk()?);
    let value = Near { word: word.into(), at: key.end() }.field()?;
    let (headers_at, header_count) = match body.get(value.end()..)? {
        [0] => (body.len() as u32, 0),
        rest => some_headers(body.len(), rest)?,
    };
    let layout = Layout { key, value, headers_at, header_count };
    Some(Decoded { body, timestamp_delta: timestamp_delta.into(), offset_delta, layout })
}

/// Where the headers at the end of a body of `len` bytes begin, behind their count, and how many they are; `None` if they are
/// none or damaged.
#[inline(never)]
fn some_headers(len: usize, bytes: &[u8]) -> Option<(u32, u32)> {
    let (count, rest) = varint(bytes).filter(|(count, _)| *count > 0)?;
    check_headers(rest, count).ok()?;
    Some(((len - rest.len()) as u32, count as u32))
}

/// The next bytes of a body in one word, which spares comparing each with the body's end.
struct Near {
    word: u64,
    /// Where `word` begins in the body.
    at: usize,
}

impl Near {
    /// A number of at most two bytes.
    #[inline(always)]
    fn varint(&mut self) -> Option<i32> {
        let word = self.word as u32;
        if word & 0x80 == 0 {
            self.word >>= 8;
            self.at += 1;
            return Some(varint::unzigzag(word & 0x7f));
        }
        if word & 0x8000 == 0 {
            self.word >>= 16;
            self.at += 2;
            return Some(varint::unzigzag(word & 0x7f | word >> 1 & 0x3f80));
        }
        None
    }

    /// Where a field is, which may end beyond the body.
    #[inline(always)]
    fn field(mut self) -> Option<Span> {
        let len = self.varint()?;
        (len >= -1).then_some(Span { start: self.at as u32, len })
    }
}

#[inline(never)]
fn decode_any(body: &[u8]) -> Result<Decoded<'_>, RecordFault> {
    let rest = body.get(1..).unwrap_or_default();
    let (timestamp_delta, rest) = varlong(rest).ok_or_else(|| varint_fault(rest, "timestamp"))?;
    let (offset_delta, rest) = varint(rest).ok_or_else(|| varint_fault(rest, "offset delta"))?;
    let (key, rest) = field(rest, "key")?;
    let key_end = body.len() - rest.len();
    let (value, rest) = field(rest, "value")?;
    let value_end = body.len() - rest.len();
    let (count, rest) = varint(rest).ok_or_else(|| varint_fault(rest, "header count"))?;
    if count != 0 {
        check_headers(rest, count)?;
    } else if !rest.is_empty() {
        return Err(RecordFault::TrailingBytes);
    }
    let layout = Layout {
        key: Span::ending(key, key_end),
        value: Span::ending(value, value_end),
        headers_at: (body.len() - rest.len()) as u32,
        header_count: count as u32,
    };
    Ok(Decoded { body, timestamp_delta, offset_delta, layout })
}

/// A varint and the bytes after it.
#[inline(always)]
fn varint(bytes: &[u8]) -> Option<(i32, &[u8])> {
    match *bytes {
        [a, ref rest @ ..] if a < 0x80 => Some((varint::unzigzag(u32::from(a)), rest)),
        [a, b, ref rest @ ..] if b < 0x80 => {
            Some((varint::unzigzag(u32::from(a & 0x7f) | u32::from(b) << 7), rest))
        }
        _ => long_varint(bytes),
    }
}

#[inline(never)]
fn long_varint(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (value, len) = varint::varint(bytes).ok()?;
    Some((value, &bytes[len..]))
}

/// A varlong and the bytes after it.
#[inline(always)]
fn varlong(bytes: &[u8]) -> Option<(i64, &[u8])> {
    match *bytes {
        [a, ref rest @ ..] if a < 0x80 => Some((varint::unzigzag(u32::from(a)).into(), rest)),
        [a, b, ref rest @ ..] if b < 0x80 => {
            Some((varint::unzigzag(u32::from(a & 0x7f) | u32::from(b) << 7).into(), rest))
        }
        _ => long_varlong(bytes),
    }
}

#[inline(never)]
fn long_varlong(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (value, len) = varint::varlong(bytes).ok()?;
    Some((value, &bytes[len..]))
}

/// A field of a length that may be -1, and the bytes after it.
#[inline(always)]
fn field<'a>(bytes: &'a [u8], field: &'static str) -> Result<(Option<&'a [u8]>, &'a [u8]), RecordFault> {
    let (length, rest) = varint(bytes).ok_or_else(|| varint_fault(bytes, field))?;
    if length < 0 {
        return if length == -1 { Ok((None, rest)) } else { Err(RecordFault::FieldLength { field, length }) };
    }
    let (content, rest) = rest.split_at_checked(length as usize).ok_or(RecordFault::Overrun { field })?;
    Ok((Some(content), rest))
}

/// All of `bytes` has to be this many headers.
fn check_headers(mut bytes: &[u8], count: i32) -> Result<(), RecordFault> {
    // A header takes two bytes at least.
    if count < 0 || count as usize > bytes.len() / 2 {
        return Err(RecordFault::HeaderCount { count });
    }
    for _ in 0..count {
        (_, bytes) = header(bytes)?;
    }
    if bytes.is_empty() { Ok(()) } else { Err(RecordFault::TrailingBytes) }
}

/// A header and the bytes after it.
pub(super) fn header(bytes: &[u8]) -> Result<(Header<'_>, &[u8]), RecordFault> {
    let (key, rest) = field(bytes, "header key")?;
    let key = key.ok_or(RecordFault::FieldLength { field: "header key", length: -1 })?;
    let (value, rest) = field(rest, "header value")?;
    Ok((Header { key, value }, rest))
}

#[cold]
fn varint_fault(bytes: &[u8], field: &'static str) -> RecordFault {
    match varint::varlong(bytes) {
        Err(varint::VarintError::Truncated) if bytes.len() < varint::MAX_VARINT_LEN => {
            RecordFault::Overrun { field }
        }
        _ => RecordFault::Varint,
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// A body of these numbers, field contents and headers.
    fn body(
        timestamp: i64,
        offset: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[u8],
    ) -> Vec<u8> {
        let mut body = Vec::from([0]);
        varint::put_varlong(&mut body, timestamp);
        varint::put_varint(&mut body, offset);
        for field in [key, value] {
            varint::put_varint(&mut body, field.map_or(-1, |field| field.len() as i32));
            body.extend_from_slice(field.unwrap_or_default());
        }
        body.extend_from_slice(headers);
        body
    }

    fn parts(decoded: Decoded<'_>) -> (i64, i32, Layout, RecordRef<'_>) {
        (decoded.timestamp_delta, decoded.offset_delta, decoded.layout, decoded.record(0, 0))
    }

    /// Whether the short way takes it, after making sure that both ways agree where it does.
    fn is_small(body: &[u8]) -> bool {
        let small = decode_small(body).map(parts);
        if let Some(small) = small {
            assert_eq!(decode_any(body).map(parts), Ok(small), "{body:?}");
        }
        small.is_some()
    }

    #[test]
    fn the_short_way_takes_what_is_usual_and_reads_it_alike() {
        let long = [7; 8_191];
        let fields: [Option<&[u8]>; 5] = [None, Some(b""), Some(b"k"), Some(&long[..64]), Some(&long)];
        // None; one with a value; one with a null.
        for headers in [&[0][..], &[2, 2, b'h', 2, b'v'], &[2, 2, b'h', 1]] {
            for key in fields {
                for value in fields {
                    for (timestamp, offset) in [(0, 0), (-1, 63), (64, 64), (8_191, 8_191), (-8_192, 1)] {
                        let body = body(timestamp, offset, key, value, headers);
                        assert_eq!(is_small(&body), body.len() >= 8, "{body:?}");
                    }
                }
            }
        }
        assert!(!is_small(&body(8_192, 0, None, Some(b"value"), &[0])));
        assert!(!is_small(&body(0, 8_192, None, Some(b"value"), &[0])));
        assert!(!is_small(&body(0, 0, None, Some(&[7; 8_192]), &[0])));
    }

    #[test]
    fn the_short_way_takes_no_damage() {
        let good = body(5, 3, Some(b"key"), Some(b"value"), &[2, 2, b'h', 2, b'v']);
        for at in 0..good.len() {
            assert!(!is_small(&good[..at]), "cut at {at}");
            for byte in 0..=255 {
                let mut damaged = good.clone();
                damaged[at] = byte;
                is_small(&damaged);
            }
        }
        assert!(!is_small(&[&good[..], &[0]].concat()));
    }

    proptest::proptest! {
        #[test]
        fn both_ways_agree_on_any_bytes(
            body in proptest::collection::vec(proptest::prop_oneof![0u8..8, 0u8..=255], 0..24),
        ) {
            is_small(&body);
        }
    }
}
