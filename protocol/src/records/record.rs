//! A record: as slices that borrow ([`RecordRef`]) or as one reference-counted slice of its buffer
//! ([`Record`]).

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use bytes::Bytes;

use decode::header;
pub(super) use decode::{Decoded, decode, decode_framed};

mod decode;

/// A record of a batch, borrowed from the cursor that read it: no copy, no allocation, no reference count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Its offset in the partition.
    pub offset: i64,
    /// Milliseconds since 1970 by the clock that the batch's timestamp type names, or -1.
    pub timestamp: i64,
    /// The key; `None` and empty are different things.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: Headers<'a>,
}

/// A record that owns a share of its buffer: the response frame, or a piece of decompressed records.
///
/// Taking one costs a reference count. It keeps the whole buffer alive, so copy what is kept for long.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    offset: i64,
    timestamp: i64,
    body: Bytes,
    layout: Layout,
}

impl Record {
    pub(super) fn new(offset: i64, timestamp: i64, body: Bytes, layout: Layout) -> Record {
        Record { offset, timestamp, body, layout }
    }

    /// Its offset in the partition.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// Milliseconds since 1970 by the clock that the batch's timestamp type names, or -1.
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// The key; `None` and empty are different things.
    pub fn key(&self) -> Option<&[u8]> {
        self.layout.key.of(&self.body)
    }

    /// The value; `None` is a tombstone.
    pub fn value(&self) -> Option<&[u8]> {
        self.layout.value.of(&self.body)
    }

    /// The key as a share of the buffer.
    pub fn key_bytes(&self) -> Option<Bytes> {
        self.key().map(|key| self.body.slice_ref(key))
    }

    /// The value as a share of the buffer.
    pub fn value_bytes(&self) -> Option<Bytes> {
        self.value().map(|value| self.body.slice_ref(value))
    }

    /// The headers.
    pub fn headers(&self) -> Headers<'_> {
        self.layout.headers(&self.body)
    }

    /// A share of the buffer for bytes that were borrowed from this record, a header's value for instance.
    ///
    /// # Panics
    /// When `part` is not part of this record.
    pub fn slice_ref(&self, part: &[u8]) -> Bytes {
        self.body.slice_ref(part)
    }

    /// This record, borrowed.
    pub fn as_ref(&self) -> RecordRef<'_> {
        RecordRef {
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key(),
            value: self.value(),
            headers: self.headers(),
        }
    }

    /// Bytes that the record takes in its batch, without its length.
    pub fn size(&self) -> usize {
        self.body.len()
    }
}

/// Where a record lies in the block that its cursor was reading ([`BatchCursor::block`](super::BatchCursor::block)): no share
/// of it, so that a reader who holds one share for the whole block pays none per record.
///
/// Whatever is asked of it needs that block; with another one the answers are meaningless, or a panic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocatedRecord {
    /// Its offset in the partition.
    pub offset: i64,
    /// Milliseconds since 1970 by the clock that the batch's timestamp type names, or -1.
    pub timestamp: i64,
    start: u32,
    len: u32,
    layout: Layout,
}

impl LocatedRecord {
    /// Of a record whose body begins at `start` of a block, which is shorter than 4 GiB.
    #[inline]
    pub(super) fn new(offset: i64, timestamp: i64, start: usize, decoded: &Decoded<'_>) -> LocatedRecord {
        let len = decoded.body.len() as u32;
        LocatedRecord { offset, timestamp, start: start as u32, len, layout: decoded.layout }
    }

    /// The key; `None` and empty are different things.
    #[inline]
    pub fn key<'a>(&self, block: &'a [u8]) -> Option<&'a [u8]> {
        self.layout.key.of(self.body(block))
    }

    /// The value; `None` is a tombstone.
    #[inline]
    pub fn value<'a>(&self, block: &'a [u8]) -> Option<&'a [u8]> {
        self.layout.value.of(self.body(block))
    }

    /// The headers.
    pub fn headers<'a>(&self, block: &'a [u8]) -> Headers<'a> {
        self.layout.headers(self.body(block))
    }

    /// The record, borrowed from its block.
    pub fn in_block<'a>(&self, block: &'a [u8]) -> RecordRef<'a> {
        RecordRef {
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key(block),
            value: self.value(block),
            headers: self.headers(block),
        }
    }

    /// Bytes that the record takes in its batch, without its length.
    pub fn size(&self) -> usize {
        self.len as usize
    }

    /// Where it ends in its block.
    pub(super) fn end(&self) -> usize {
        self.start as usize + self.len as usize
    }

    #[inline]
    fn body<'a>(&self, block: &'a [u8]) -> &'a [u8] {
        &block[self.start as usize..][..self.len as usize]
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// A record's headers, decoded as they are iterated. Names may repeat and need not be UTF-8.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    count: u32,
}

impl<'a> Headers<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The headers in their order.
    pub fn iter(&self) -> HeaderIter<'a> {
        HeaderIter { bytes: self.bytes, left: self.count }
    }

    /// The last header of this name.
    pub fn last(&self, key: &str) -> Option<Header<'a>> {
        self.iter().filter(|header| header.key == key.as_bytes()).last()
    }
}

impl<'a> IntoIterator for Headers<'a> {
    type Item = Header<'a>;
    type IntoIter = HeaderIter<'a>;

    fn into_iter(self) -> HeaderIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A header: a name and a value that may be null, which is not the same as empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name, UTF-8 unless another client wrote something else.
    pub key: &'a [u8],
    /// The value.
    pub value: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// The name as text; what is not UTF-8 becomes U+FFFD, as in the Java client.
    pub fn key_str(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.key)
    }
}

impl<'a> From<(&'a str, Option<&'a [u8]>)> for Header<'a> {
    fn from((key, value): (&'a str, Option<&'a [u8]>)) -> Self {
        Header { key: key.as_bytes(), value }
    }
}

impl<'a> From<&(&'a str, Option<&'a [u8]>)> for Header<'a> {
    fn from(&(key, value): &(&'a str, Option<&'a [u8]>)) -> Self {
        Header { key: key.as_bytes(), value }
    }
}

impl<'a> From<&Header<'a>> for Header<'a> {
    fn from(header: &Header<'a>) -> Self {
        *header
    }
}

/// The iterator of [`Headers`].
#[derive(Clone, Debug)]
pub struct HeaderIter<'a> {
    bytes: &'a [u8],
    left: u32,
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.left = self.left.checked_sub(1)?;
        // The record was checked as a whole when it was decoded, so that nothing is left to report here.
        let (header, rest) = header(self.bytes).ok()?;
        self.bytes = rest;
        Some(header)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for HeaderIter<'_> {}

/// Where a record's key, value and headers are in its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    key: Span,
    value: Span,
    headers_at: u32,
    header_count: u32,
}

impl Layout {
    #[inline]
    fn headers(self, body: &[u8]) -> Headers<'_> {
        Headers { bytes: &body[self.headers_at as usize..], count: self.header_count }
    }
}

/// Where a field is in a record's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    start: u32,
    /// -1 for null.
    len: i32,
}

impl Span {
    #[inline]
    fn ending(field: Option<&[u8]>, end: usize) -> Span {
        match field {
            Some(field) => Span { start: (end - field.len()) as u32, len: field.len() as i32 },
            None => Span { start: end as u32, len: -1 },
        }
    }

    #[inline]
    fn of(self, body: &[u8]) -> Option<&[u8]> {
        let len = usize::try_from(self.len).ok()?;
        let start = self.start as usize;
        Some(&body[start..start + len])
    }

    #[inline(always)]
    fn end(self) -> usize {
        self.start as usize + self.len.max(0) as usize
    }
}
