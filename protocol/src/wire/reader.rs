//! A cursor over one frame.

use std::fmt;

use bytes::Bytes;

use super::error::{DecodeError, DecodeErrorKind, Place};
use super::spec::Row;
use super::tags::UnknownTags;
use super::types::Field;

/// The longest string, in bytes, that Kafka's string types can say.
pub(super) const MAX_STRING: usize = i16::MAX as usize;

/// Reads Kafka's types from a frame's body.
///
/// Byte fields come out as slices that share the frame. Memory bound: decoding takes at most 124 bytes of memory for
/// each byte of the frame, however it lies. (A count beyond the bytes that are left is refused at once, an array reserves
/// no more than those bytes can back, and an element is stored only once its own bytes were read; the worst elements are
/// structures that take 3 bytes on the wire and 120 in memory, held up to three times while their vector grows.)
pub struct Reader<'a> {
    frame: &'a Bytes,
    at: usize,
    /// Where the current tagged field, or the frame, ends.
    end: usize,
    version: i16,
    flexible: bool,
    place: &'static Place,
}

// A frame may hold passwords and records; `Debug` shows neither.
impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({} at byte {} of {})", self.place, self.at, self.end)
    }
}

impl<'a> Reader<'a> {
    /// A reader over `frame` for a message in `version`.
    pub fn new(frame: &'a Bytes, version: i16, flexible: bool) -> Self {
        Reader { frame, at: 0, end: frame.len(), version, flexible, place: &Place::START }
    }

    /// The message's version.
    #[inline]
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Whether the version is flexible (KIP-482).
    #[inline]
    pub fn flexible(&self) -> bool {
        self.flexible
    }

    /// Bytes read so far.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Bytes not yet read.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.end - self.at
    }

    /// Notes which field comes next, for errors.
    #[inline]
    pub(crate) fn place(&mut self, place: &'static Place) {
        self.place = place;
    }

    /// The error `kind` at this point.
    #[cold]
    pub(crate) fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { place: *self.place, offset: self.at, kind }
    }

    /// Reads with compact lengths or without, whatever the version says.
    pub(crate) fn in_form<T>(
        &mut self,
        flexible: bool,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let outer = std::mem::replace(&mut self.flexible, flexible);
        let result = read(self);
        self.flexible = outer;
        result
    }

    /// Checks that everything was read.
    ///
    /// # Errors
    /// [`DecodeErrorKind::TrailingBytes`].
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            left => {
                self.place(&Place::END);
                Err(self.error(DecodeErrorKind::TrailingBytes(left)))
            }
        }
    }

    #[inline]
    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.frame.get(self.at..self.end).and_then(|rest| rest.first_chunk::<N>()) {
            Some(chunk) => {
                self.at += N;
                Ok(*chunk)
            }
            None => Err(self.truncated(N)),
        }
    }

    #[cold]
    fn truncated(&self, needed: usize) -> DecodeError {
        self.error(DecodeErrorKind::Truncated { needed, remaining: self.remaining() })
    }

    /// The next `len` bytes, borrowed.
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        if len > self.remaining() {
            return Err(self.truncated(len));
        }
        let slice = &self.frame[self.at..self.at + len];
        self.at += len;
        Ok(slice)
    }

    /// The next `len` bytes as a slice that shares the frame.
    pub(crate) fn share(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        if len > self.remaining() {
            return Err(self.truncated(len));
        }
        let slice = self.frame.slice(self.at..self.at + len);
        self.at += len;
        Ok(slice)
    }

    /// An unsigned variable-length integer of at most 32 bits.
    #[inline]
    pub(crate) fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed::<1>()?;
            // The fifth byte has room for the four top bits alone.
            if shift == 28 && byte > 0x0f {
                return Err(self.error(DecodeErrorKind::InvalidVarint));
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.error(DecodeErrorKind::InvalidVarint))
    }

    /// The length of a string: `int16`, or compact. `None` is null.
    pub(crate) fn string_length(&mut self) -> Result<Option<usize>, DecodeError> {
        let length = if self.flexible {
            i64::from(self.unsigned_varint()?) - 1
        } else {
            i64::from(i16::from_be_bytes(self.fixed()?))
        };
        match length {
            -1 => Ok(None),
            length if length < 0 || length > MAX_STRING as i64 => {
                Err(self.error(DecodeErrorKind::InvalidLength(length)))
            }
            length => Ok(Some(length as usize)),
        }
    }

    /// The length of a byte field or array: `int32`, or compact. `None` is null.
    ///
    /// Neither has elements of no bytes, so a length beyond the frame's end is refused before anything is reserved.
    pub(crate) fn length(&mut self) -> Result<Option<usize>, DecodeError> {
        let length = if self.flexible {
            i64::from(self.unsigned_varint()?) - 1
        } else {
            i64::from(i32::from_be_bytes(self.fixed()?))
        };
        match usize::try_from(length) {
            Ok(length) if length <= self.remaining() => Ok(Some(length)),
            Ok(length) => Err(self.truncated(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(self.error(DecodeErrorKind::InvalidLength(length))),
        }
    }

    /// Reads the field of a row in place.
    ///
    /// Out of line, once for each type: inlined into every table, this is most of what the crate compiles to.
    #[inline(never)]
    pub(crate) fn field<T: Field>(&mut self, field: &mut T, row: &'static Row) -> Result<(), DecodeError> {
        self.place = &row.place;
        *field = T::read(self)?;
        if field.is_null() && !row.spec.nullable.contains(self.version) {
            return Err(self.error(DecodeErrorKind::UnexpectedNull));
        }
        Ok(())
    }

    /// Reads the tagged fields that end a structure whose table names none.
    pub(crate) fn unknown_tags(&mut self, unknown: &mut UnknownTags) -> Result<(), DecodeError> {
        self.tagged_fields(unknown, &mut |_, _| Ok(false))
    }

    /// Reads the tagged fields that end a structure. `known` reads the tags its table names and says whether it did.
    pub(crate) fn tagged_fields(
        &mut self,
        unknown: &mut UnknownTags,
        known: &mut dyn FnMut(u32, &mut Self) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        let count = self.unsigned_varint()?;
        let mut last: Option<u32> = None;
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            if last.is_some_and(|last| tag <= last) {
                return Err(self.error(DecodeErrorKind::TagOrder(tag)));
            }
            last = Some(tag);
            let size = self.unsigned_varint()? as usize;
            if size > self.remaining() {
                return Err(self.truncated(size));
            }
            let outer_end = std::mem::replace(&mut self.end, self.at + size);
            if known(tag, self)? {
                if self.remaining() > 0 {
                    let remaining = self.remaining();
                    return Err(self.error(DecodeErrorKind::TagSize { tag, remaining }));
                }
            } else {
                let content = self.share(size)?;
                unknown.push(tag, content);
            }
            self.end = outer_end;
        }
        Ok(())
    }
}
