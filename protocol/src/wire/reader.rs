//! A cursor over one frame.

use core::{fmt, str};

use bytes::Bytes;

use super::Message;
use super::error::{DecodeError, DecodeErrorKind, Step, Stopped};
use super::field::Field;
use super::spec::Row;
use super::tags::UnknownTags;

/// The longest string, in bytes, that Kafka's string types can say.
pub(super) const MAX_STRING: usize = i16::MAX as usize;

/// Reads Kafka's types from a frame's body.
///
/// Byte fields come out as slices that share the frame. Memory bound: what decoding reserves ahead is at most as long as
/// the bytes that are left, and an array grows beyond that only with elements whose own bytes were there. So memory
/// follows from what a frame really holds, however it lies; see the crate's documentation for figures.
pub struct Reader<'a> {
    frame: &'a Bytes,
    /// What is left of the current tagged field, or of the frame.
    rest: &'a [u8],
    /// Where that ends, in bytes from the frame's start.
    end: usize,
    version: i16,
    flexible: bool,
    /// The field that is being read.
    row: &'static Row,
    /// Why reading came to its end.
    error: Option<DecodeError>,
}

// A frame may hold passwords and records; `Debug` shows neither.
impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({} at byte {} of {})", self.row.place, self.offset(), self.end)
    }
}

impl<'a> Reader<'a> {
    /// A reader over `frame` for a message in `version`.
    pub fn new(frame: &'a Bytes, version: i16, flexible: bool) -> Self {
        Reader { frame, rest: frame, end: frame.len(), version, flexible, row: &Row::START, error: None }
    }

    /// Reads a message or structure; what follows it stays to be read.
    ///
    /// # Errors
    /// Whatever is malformed.
    pub fn message<M: Message>(&mut self) -> Result<M, DecodeError> {
        let mut message = M::default();
        match message.read(self) {
            Ok(()) => Ok(message),
            Err(stopped) => Err(self.reason(stopped)),
        }
    }

    /// Checks that everything was read.
    ///
    /// # Errors
    /// [`DecodeErrorKind::TrailingBytes`].
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            left => {
                self.at(&Row::END);
                let stopped = self.fail(DecodeErrorKind::TrailingBytes(left));
                Err(self.reason(stopped))
            }
        }
    }

    /// Reads the version that precedes a blob and goes on in it, or in `newest` where it is newer.
    ///
    /// # Errors
    /// A negative version.
    pub(crate) fn version_prefix(&mut self, row: &'static Row, newest: i16) -> Result<i16, DecodeError> {
        let mut version = 0i16;
        self.row = row;
        let read = match version.read(self) {
            Ok(()) if version < 0 => Err(self.fail(DecodeErrorKind::UnknownVersion(version))),
            read => read,
        };
        read.map_err(|stopped| self.reason(stopped))?;
        self.version = version.min(newest);
        Ok(version)
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
    #[inline]
    pub fn offset(&self) -> usize {
        self.end - self.rest.len()
    }

    /// Bytes not yet read.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Notes which field comes next, for errors.
    #[inline]
    pub(crate) fn at(&mut self, row: &'static Row) {
        self.row = row;
    }

    /// Notes why reading ends here.
    #[cold]
    pub(crate) fn fail(&mut self, kind: DecodeErrorKind) -> Stopped {
        self.error = Some(DecodeError { place: self.row.place, offset: self.offset(), kind });
        Stopped::NOTED
    }

    /// The error that was noted when reading stopped.
    pub(crate) fn reason(&self, _: Stopped) -> DecodeError {
        self.error.expect("`fail` alone makes a `Stopped`, and notes why")
    }

    /// Reads with compact lengths or without, whatever the version says.
    pub(crate) fn in_form(&mut self, flexible: bool, read: impl FnOnce(&mut Self) -> Step) -> Step {
        let outer = core::mem::replace(&mut self.flexible, flexible);
        let result = read(self);
        self.flexible = outer;
        result
    }

    #[inline]
    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Stopped> {
        match self.rest.split_first_chunk::<N>() {
            Some((chunk, rest)) => {
                self.rest = rest;
                Ok(*chunk)
            }
            None => Err(self.truncated(N)),
        }
    }

    #[cold]
    fn truncated(&mut self, needed: usize) -> Stopped {
        self.fail(DecodeErrorKind::Truncated { needed, remaining: self.remaining() })
    }

    /// The next `len` bytes, borrowed.
    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Stopped> {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(self.truncated(len)),
        }
    }

    /// The next `len` bytes as a slice that shares the frame.
    pub(crate) fn share(&mut self, len: usize) -> Result<Bytes, Stopped> {
        let start = self.offset();
        self.take(len)?;
        Ok(self.frame.slice(start..start + len))
    }

    /// An unsigned variable-length integer of at most 32 bits.
    #[inline]
    pub(crate) fn unsigned_varint(&mut self) -> Result<u32, Stopped> {
        match self.rest {
            [byte @ 0..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u32::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u32, Stopped> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed::<1>()?;
            // The fifth byte has room for the four top bits alone.
            if shift == 28 && byte > 0x0f {
                return Err(self.fail(DecodeErrorKind::InvalidVarint));
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.fail(DecodeErrorKind::InvalidVarint))
    }

    /// A string, borrowed: its length as an `int16`, or compact. `None` is null.
    pub(crate) fn string(&mut self) -> Result<Option<&'a str>, Stopped> {
        let length = if self.flexible {
            i64::from(self.unsigned_varint()?) - 1
        } else {
            i64::from(i16::from_be_bytes(self.fixed()?))
        };
        match usize::try_from(length) {
            Ok(length) if length <= MAX_STRING => match str::from_utf8(self.take(length)?) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(self.fail(DecodeErrorKind::InvalidUtf8)),
            },
            Err(_) if length == -1 => Ok(None),
            _ => Err(self.fail(DecodeErrorKind::InvalidLength(length))),
        }
    }

    /// The length of a byte field or array: `int32`, or compact. `None` is null.
    ///
    /// Neither has elements of no bytes, so a length beyond the frame's end is refused before anything is reserved.
    #[inline]
    pub(crate) fn length(&mut self) -> Result<Option<usize>, Stopped> {
        let length = if self.flexible {
            i64::from(self.unsigned_varint()?) - 1
        } else {
            i64::from(i32::from_be_bytes(self.fixed()?))
        };
        match usize::try_from(length) {
            Ok(length) if length <= self.remaining() => Ok(Some(length)),
            Ok(length) => Err(self.truncated(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(self.fail(DecodeErrorKind::InvalidLength(length))),
        }
    }

    /// Refuses a null that the version doesn't allow the current field.
    #[inline]
    pub(crate) fn null_allowed(&mut self, is_null: bool) -> Step {
        if is_null && !self.row.spec.nullable.contains(self.version) {
            return Err(self.fail(DecodeErrorKind::UnexpectedNull));
        }
        Ok(())
    }

    /// Reads the field of a row in place, if it stands in line in this version.
    ///
    /// Out of line, once for each type: inlined into every table, this is most of what the crate compiles to.
    #[inline(never)]
    pub(crate) fn field<T: Field>(&mut self, field: &mut T, row: &'static Row) -> Step {
        if !row.in_line.contains(self.version) {
            return Ok(());
        }
        self.row = row;
        field.read(self)
    }

    /// Reads the field of a row in place if it is the one with this tag in this version, and says whether it was.
    pub(crate) fn tagged_field<T: Field>(
        &mut self,
        tag: u32,
        field: &mut T,
        row: &'static Row,
    ) -> Result<bool, Stopped> {
        if row.spec.tag != Some(tag) || !row.spec.versions.contains(self.version) {
            return Ok(false);
        }
        self.row = row;
        field.read(self).map(|()| true)
    }

    /// Reads the tagged fields that end a structure whose table names none.
    #[inline]
    pub(crate) fn unknown_tags(&mut self, unknown: &mut UnknownTags) -> Step {
        self.tagged_fields(unknown, &mut |_, _| Ok(false))
    }

    /// Reads the tagged fields that end a structure. `known` reads the tags its table names and says whether it did.
    #[inline]
    pub(crate) fn tagged_fields(&mut self, unknown: &mut UnknownTags, known: Known<'_, 'a>) -> Step {
        if let [0, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(());
        }
        self.some_tagged_fields(unknown, known)
    }

    #[inline(never)]
    fn some_tagged_fields(&mut self, unknown: &mut UnknownTags, known: Known<'_, 'a>) -> Step {
        let count = self.unsigned_varint()?;
        let mut last: Option<u32> = None;
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            if last.is_some_and(|last| tag <= last) {
                return Err(self.fail(DecodeErrorKind::TagOrder(tag)));
            }
            last = Some(tag);
            let size = self.unsigned_varint()? as usize;
            let Some((content, after)) = self.rest.split_at_checked(size) else {
                return Err(self.truncated(size));
            };
            let outer_end = self.end;
            self.rest = content;
            self.end -= after.len();
            if !known(tag, self)? {
                unknown.push(tag, self.share(size)?);
            }
            if self.remaining() > 0 {
                let remaining = self.remaining();
                return Err(self.fail(DecodeErrorKind::TagSize { tag, remaining }));
            }
            self.rest = after;
            self.end = outer_end;
        }
        Ok(())
    }
}

/// Reads a tag that a table names and says whether it does.
type Known<'k, 'a> = &'k mut dyn FnMut(u32, &mut Reader<'a>) -> Result<bool, Stopped>;
