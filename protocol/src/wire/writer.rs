//! Builds one frame.

use alloc::{vec, vec::Vec};
use core::fmt;

use bytes::Bytes;

use super::Message;
use super::error::{EncodeError, EncodeErrorKind, Step, Stopped};
use super::field::Field;
use super::reader::MAX_STRING;
use super::spec::Row;
use super::tags::UnknownTags;

/// Byte fields from this length on are spliced into the frame instead of copied; below, a copy is cheaper than one
/// more slice of a vectored write.
const SPLICE_FROM: usize = 2048;

/// An encoded frame as the chunks of a vectored write, without the length that precedes it on a connection.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Frame {
    chunks: Vec<Bytes>,
    len: usize,
}

impl Frame {
    /// The chunks in order; none is empty.
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// The chunks, to be queued by a connection.
    pub fn into_chunks(self) -> Vec<Bytes> {
        self.chunks
    }

    /// Bytes in all chunks.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the frame has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The frame in one piece: copied, unless it is in one piece already.
    pub fn to_bytes(&self) -> Bytes {
        match self.chunks.as_slice() {
            [] => Bytes::new(),
            [one] => one.clone(),
            many => many.concat().into(),
        }
    }
}

// A frame may hold passwords and records; `Debug` shows neither.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} bytes in {} chunks)", self.len, self.chunks.len())
    }
}

/// Writes Kafka's types into a frame.
///
/// There is no size pass: lengths that come before their content are patched in afterwards.
pub struct Writer {
    buf: Vec<u8>,
    /// Payloads that belong at a position of `buf`, by ascending position.
    splices: Vec<(usize, Bytes)>,
    /// Tagged fields being written around this point. Their size precedes them as a variable-length integer, so
    /// their content stays in `buf`, where it can be moved.
    tag_depth: u32,
    version: i16,
    flexible: bool,
    /// The field that is being written.
    row: &'static Row,
    /// Why writing came to its end.
    error: Option<EncodeError>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Writer({} at {} bytes)", self.row.place, self.buf.len())
    }
}

impl Writer {
    /// A writer for a message in `version`.
    pub fn new(version: i16, flexible: bool) -> Self {
        let buf = Vec::with_capacity(256);
        Writer { buf, splices: Vec::new(), tag_depth: 0, version, flexible, row: &Row::START, error: None }
    }

    /// Writes a message or structure after what is there.
    ///
    /// # Errors
    /// What the version or the format can't express. The writer is of no use after one.
    pub fn message<M: Message>(&mut self, message: &M) -> Result<(), EncodeError> {
        message.write(self).map_err(|stopped| self.reason(stopped))
    }

    /// Goes on with another structure of the same frame, such as the body after its header.
    pub(crate) fn switch(&mut self, version: i16, flexible: bool) {
        self.version = version;
        self.flexible = flexible;
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

    /// The finished frame.
    ///
    /// # Errors
    /// [`EncodeErrorKind::FrameTooLong`].
    pub fn finish(self) -> Result<Frame, EncodeError> {
        let len = self.buf.len() + self.splices.iter().map(|(_, payload)| payload.len()).sum::<usize>();
        if len > i32::MAX as usize {
            return Err(EncodeError {
                place: self.row.place,
                version: self.version,
                kind: EncodeErrorKind::FrameTooLong,
            });
        }
        let written = Bytes::from(self.buf);
        if self.splices.is_empty() {
            return Ok(Frame { chunks: if len == 0 { Vec::new() } else { vec![written] }, len });
        }
        let mut chunks = Vec::with_capacity(2 * self.splices.len() + 1);
        let mut from = 0;
        for (at, payload) in self.splices {
            if at > from {
                chunks.push(written.slice(from..at));
            }
            from = at;
            chunks.push(payload);
        }
        if written.len() > from {
            chunks.push(written.slice(from..));
        }
        Ok(Frame { chunks, len })
    }

    /// Notes which field comes next, for errors.
    #[inline]
    pub(crate) fn at(&mut self, row: &'static Row) {
        self.row = row;
    }

    /// Notes why writing ends here.
    #[cold]
    pub(crate) fn fail(&mut self, kind: EncodeErrorKind) -> Stopped {
        self.error = Some(EncodeError { place: self.row.place, version: self.version, kind });
        Stopped::NOTED
    }

    /// The error that was noted when writing stopped.
    pub(crate) fn reason(&self, _: Stopped) -> EncodeError {
        self.error.expect("`fail` alone makes a `Stopped`, and notes why")
    }

    #[inline]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    #[inline]
    pub(crate) fn unsigned_varint(&mut self, mut value: u32) {
        while value > 0x7f {
            self.raw(&[value as u8 | 0x80]);
            value >>= 7;
        }
        self.raw(&[value as u8]);
    }

    /// The length of a string, `None` for null.
    pub(crate) fn string_length(&mut self, len: Option<usize>) -> Step {
        match len {
            Some(len) if len > MAX_STRING => Err(self.fail(EncodeErrorKind::TooLong(len))),
            _ if self.flexible => {
                self.unsigned_varint(len.map_or(0, |len| len as u32 + 1));
                Ok(())
            }
            _ => {
                self.raw(&len.map_or(-1, |len| len as i16).to_be_bytes());
                Ok(())
            }
        }
    }

    /// The length of a byte field or array, `None` for null.
    pub(crate) fn length(&mut self, len: Option<usize>) -> Step {
        match len {
            Some(len) if len >= i32::MAX as usize => Err(self.fail(EncodeErrorKind::TooLong(len))),
            _ if self.flexible => {
                self.unsigned_varint(len.map_or(0, |len| len as u32 + 1));
                Ok(())
            }
            _ => {
                self.raw(&len.map_or(-1, |len| len as i32).to_be_bytes());
                Ok(())
            }
        }
    }

    /// The content of a byte field, spliced in uncopied when it is large.
    pub(crate) fn payload(&mut self, payload: &Bytes) {
        if payload.len() < SPLICE_FROM || self.tag_depth > 0 {
            self.raw(payload);
        } else {
            self.splices.push((self.buf.len(), payload.clone()));
        }
    }

    /// Refuses a null that the version doesn't allow the current field.
    #[inline]
    pub(crate) fn null_allowed(&mut self) -> Step {
        if self.row.spec.nullable.contains(self.version) {
            Ok(())
        } else {
            Err(self.fail(EncodeErrorKind::NullNotAllowed))
        }
    }

    /// Writes the field of a row whose default is its type's, where it stands in line in this version.
    ///
    /// Out of line for the reason that `Reader::field` is.
    #[inline(never)]
    pub(crate) fn field<T: Field>(&mut self, field: &T, row: &'static Row) -> Step {
        let can_be_left_out = row.holds_or_ignores(self.version) || field.is_default();
        self.field_unless(can_be_left_out, field, row)
    }

    /// Writes the field of a row where it stands in line in this version; where the version lacks it, whether it can be
    /// left out is for the caller to say.
    #[inline(never)]
    pub(crate) fn field_unless<T: Field>(
        &mut self,
        can_be_left_out: bool,
        field: &T,
        row: &'static Row,
    ) -> Step {
        self.row = row;
        if row.in_line.contains(self.version) {
            field.write(self)
        } else if can_be_left_out {
            Ok(())
        } else {
            Err(self.fail(EncodeErrorKind::UnsupportedField))
        }
    }

    /// Puts the size of what was written from `start` on in front of it, which moves by the bytes that the size takes.
    fn prefix(&mut self, start: usize) -> Step {
        let size = self.buf.len() - start;
        let Ok(size_on_wire) = u32::try_from(size) else {
            return Err(self.fail(EncodeErrorKind::TooLong(size)));
        };
        self.unsigned_varint(size_on_wire);
        self.buf[start..].rotate_left(size);
        Ok(())
    }

    /// Begins the tagged fields that end a structure.
    pub(crate) fn tagged_fields<'w>(&'w mut self, unknown: &'w UnknownTags) -> TaggedFields<'w> {
        self.tag_depth += 1;
        TaggedFields {
            start: self.buf.len(),
            count: unknown.len() as u32,
            writer: self,
            unknown: unknown.as_slice(),
        }
    }

    /// All tagged fields of a structure that has no others than these.
    #[inline]
    pub(crate) fn unknown_tags(&mut self, unknown: &UnknownTags) {
        if unknown.is_empty() {
            self.raw(&[0]);
        } else {
            self.tagged_fields(unknown).finish();
        }
    }
}

/// The tagged fields of a structure as they are written: known ones in the order of their tags, unknown ones between.
pub(crate) struct TaggedFields<'w> {
    writer: &'w mut Writer,
    /// Where the first of them begins.
    start: usize,
    count: u32,
    /// Those that are not written yet.
    unknown: &'w [(u32, Bytes)],
}

impl TaggedFields<'_> {
    /// Writes a field that its table names, unless it is at its default: tag, size, content.
    #[inline(never)]
    pub(crate) fn field<T: Field>(&mut self, is_default: bool, field: &T, row: &'static Row) -> Step {
        let Some(tag) = row.spec.tag else { return Ok(()) };
        if is_default || !row.spec.versions.contains(self.writer.version) {
            return Ok(());
        }
        self.unknown_below(tag);
        self.writer.unsigned_varint(tag);
        let start = self.writer.buf.len();
        self.writer.row = row;
        field.write(self.writer)?;
        self.count += 1;
        self.writer.prefix(start)
    }

    /// Writes what is left of the unknown ones, and how many there are in all.
    pub(crate) fn finish(mut self) {
        while let [next, rest @ ..] = self.unknown {
            self.write_unknown(next);
            self.unknown = rest;
        }
        let len = self.writer.buf.len() - self.start;
        self.writer.unsigned_varint(self.count);
        // The count goes in front.
        self.writer.buf[self.start..].rotate_left(len);
        self.writer.tag_depth -= 1;
    }

    fn unknown_below(&mut self, tag: u32) {
        while let [next, rest @ ..] = self.unknown
            && next.0 < tag
        {
            self.write_unknown(next);
            self.unknown = rest;
        }
    }

    fn write_unknown(&mut self, (tag, content): &(u32, Bytes)) {
        self.writer.unsigned_varint(*tag);
        self.writer.unsigned_varint(content.len() as u32);
        self.writer.raw(content);
    }
}
