//! Records as bytes: how many they take, and how they are written.
//!
//! What most records are, with no headers and short numbers around their content, has a way of its own: it is written in
//! pieces of fixed size, and nothing is measured first.

use super::record::Header;
use crate::varint::{
    unsigned_len, unsigned_long_len, varint_len, write_unsigned, write_unsigned_long, zigzag,
};

/// The most that a record takes beyond its key, value and headers: length, attributes, two deltas and the
/// lengths' varints of Kafka's own estimate.
const MAX_RECORD_OVERHEAD: usize = 21;

/// A record without headers is written at once if its content has up to so many bytes, as its length takes one byte then,
/// or between so many, as it takes two: with anything from [`LEAST`] to [`MOST`] bytes around the content.
const SHORT: usize = 63 - MOST;
const TWO_BYTES: usize = 64 - LEAST;
const LONG: usize = 8191 - MOST;

/// Attributes, two deltas, two lengths and the number of headers, with deltas below 2^28 and lengths of up to two bytes.
const LEAST: usize = 6;
const MOST: usize = 1 + 4 + 4 + 2 + 2 + 1;

/// Room for all of a record but its content, and for whatever is written with it in one piece.
const FRONT: usize = 32;
const BEFORE_VALUE: usize = 4;

/// The length of a field that is null: -1.
const NULL: u8 = 1;

/// The most bytes that a record takes in an uncompressed batch, wherever it stands in it.
///
/// With [`BATCH_HEADER_LEN`](super::BATCH_HEADER_LEN) added it is what `max.request.size` limits.
pub fn record_size_upper_bound<'h>(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl IntoIterator<Item: Into<Header<'h>>, IntoIter: ExactSizeIterator>,
) -> usize {
    let headers = headers.into_iter();
    let count = unsigned_len(zigzag(headers.len() as i32));
    let headers: usize = headers.map(|header| header_size(&header.into())).sum();
    MAX_RECORD_OVERHEAD + field_size(key) + field_size(value) + count + headers
}

/// How far a record is from its batch's first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deltas {
    /// In milliseconds, as zigzag makes it a number without a sign.
    pub(super) timestamp: u64,
    pub(super) offset: i32,
}

/// Writes a record that has no headers to the front of `room`, if what surrounds its content is as short as usual and
/// there is room; its size.
///
/// Such a record's length takes one byte or two whatever the deltas are. So it is written behind all the rest, and
/// nothing has to be measured first.
#[inline(always)]
pub(super) fn plain(
    room: &mut [u8],
    deltas: Deltas,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Option<usize> {
    let content = key.map_or(0, <[u8]>::len).checked_add(value.map_or(0, <[u8]>::len))?;
    let start = match content {
        ..=SHORT => 1,
        TWO_BYTES..=LONG => 2,
        _ => return None,
    };
    if deltas.timestamp >= 1 << 28 || deltas.offset >= 1 << 27 {
        return None;
    }
    let out = room.get_mut(..content + FRONT)?;
    let front = out.first_chunk_mut::<FRONT>()?;
    front[start] = 0;
    let mut at = put(front, start + 1, deltas.timestamp as u32);
    at = put(front, at, (deltas.offset as u32) << 1);
    if let Some(key) = key {
        at = put(front, at, (key.len() as u32) << 1);
        out.get_mut(at..at + key.len())?.copy_from_slice(key);
        at += key.len();
    } else {
        front[at % FRONT] = NULL;
        at += 1;
    }
    let front = out.get_mut(at..)?.first_chunk_mut::<BEFORE_VALUE>()?;
    if let Some(value) = value {
        at += put(front, 0, (value.len() as u32) << 1);
        out.get_mut(at..at + value.len())?.copy_from_slice(value);
        at += value.len();
    } else {
        front[0] = NULL;
        at += 1;
    }
    // No headers.
    *out.get_mut(at)? = 0;
    at += 1;
    let length = ((at - start) as u32) << 1;
    let front = out.first_chunk_mut::<2>()?;
    if start == 1 {
        front[0] = length as u8;
    } else {
        *front = [length as u8 | 0x80, (length >> 7) as u8];
    }
    Some(at)
}

/// The bytes that a record takes behind its length.
pub(super) fn body_size<'h>(
    deltas: Deltas,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl ExactSizeIterator<Item: Into<Header<'h>>>,
) -> usize {
    let size = 1
        + unsigned_long_len(deltas.timestamp)
        + varint_len(deltas.offset)
        + field_size(key)
        + field_size(value)
        + varint_len(headers.len() as i32);
    headers.fold(size, |size, header| size.saturating_add(header_size(&header.into())))
}

/// Writes any record, whose size is that of `out`.
pub(super) fn any<'h>(
    out: &mut [u8],
    body: usize,
    deltas: Deltas,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl ExactSizeIterator<Item: Into<Header<'h>>>,
) {
    let mut out = Writer { out };
    out.unsigned(zigzag(body as i32));
    out.bytes(&[0]);
    out.unsigned_long(deltas.timestamp);
    out.unsigned(zigzag(deltas.offset));
    out.field(key);
    out.field(value);
    out.unsigned(zigzag(headers.len() as i32));
    for header in headers {
        let Header { key, value } = header.into();
        out.field(Some(key));
        out.field(value);
    }
}

/// The part of the buffer that a record takes, written from front to back. It has exactly the record's size.
struct Writer<'a> {
    out: &'a mut [u8],
}

impl Writer<'_> {
    #[inline]
    fn advance(&mut self, len: usize) {
        self.out = &mut core::mem::take(&mut self.out)[len..];
    }

    #[inline]
    fn unsigned(&mut self, value: u32) {
        let len = write_unsigned(self.out, value);
        self.advance(len);
    }

    #[inline]
    fn unsigned_long(&mut self, value: u64) {
        let len = write_unsigned_long(self.out, value);
        self.advance(len);
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.out[..bytes.len()].copy_from_slice(bytes);
        self.advance(bytes.len());
    }

    #[inline]
    fn field(&mut self, field: Option<&[u8]>) {
        match field {
            Some(bytes) => {
                self.unsigned(zigzag(bytes.len() as i32));
                self.bytes(bytes);
            }
            None => self.unsigned(zigzag(-1)),
        }
    }
}

/// Writes a varint of up to four bytes where there is room for it; where it ends. A number that is not negative is
/// doubled for it: that is all that zigzag makes of it.
#[inline(always)]
fn put<const N: usize>(out: &mut [u8; N], at: usize, value: u32) -> usize {
    if value < 0x80 {
        out[at % N] = value as u8;
        at + 1
    } else if value < 0x4000 {
        out[at % N] = value as u8 | 0x80;
        out[(at + 1) % N] = (value >> 7) as u8;
        at + 2
    } else {
        put_more(out, at, value)
    }
}

#[cold]
fn put_more<const N: usize>(out: &mut [u8; N], at: usize, value: u32) -> usize {
    out[at % N] = value as u8 | 0x80;
    out[(at + 1) % N] = (value >> 7) as u8 | 0x80;
    let mut last = at + 2;
    if value >= 0x20_0000 {
        out[last % N] = (value >> 14) as u8 | 0x80;
        last += 1;
        out[last % N] = (value >> 21) as u8;
    } else {
        out[last % N] = (value >> 14) as u8;
    }
    last + 1
}

#[inline]
fn field_size(field: Option<&[u8]>) -> usize {
    match field {
        Some(bytes) => unsigned_len(zigzag(bytes.len() as i32)).saturating_add(bytes.len()),
        None => 1,
    }
}

#[inline]
fn header_size(header: &Header<'_>) -> usize {
    field_size(Some(header.key)).saturating_add(field_size(header.value))
}
