//! What can be wrong with bytes, or with a message on its way to bytes. `Copy`, no strings of the peer's.

use core::fmt;

/// The field that was being read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The structure's name in Kafka's schemas.
    pub message: &'static str,
    /// The field's name in snake case.
    pub field: &'static str,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.message, self.field)
    }
}

/// A frame that isn't what its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot decode {place} at byte {offset}: {kind}")]
pub struct DecodeError {
    /// The field at which decoding stopped.
    pub place: Place,
    /// Bytes from the start of the body to where decoding stopped.
    pub offset: usize,
    /// What is wrong there.
    pub kind: DecodeErrorKind,
}

/// Why a field could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The frame ends inside the field.
    #[error("{needed} bytes needed, {remaining} left")]
    Truncated {
        /// Bytes the field needs.
        needed: usize,
        /// Bytes the frame still has.
        remaining: usize,
    },
    /// A length or count that no valid frame has.
    #[error("the length {0} is not possible here")]
    InvalidLength(i64),
    /// A null where the field, or this version of it, allows none.
    #[error("null is not allowed here")]
    UnexpectedNull,
    /// Text that is not UTF-8.
    #[error("the text is not UTF-8")]
    InvalidUtf8,
    /// A variable-length integer of more bytes than its type can have.
    #[error("the variable-length integer is too long")]
    InvalidVarint,
    /// Tagged fields out of ascending order, or one of them twice.
    #[error("tagged field {0} is out of order or repeated")]
    TagOrder(u32),
    /// A tagged field whose content does not fill its announced size.
    #[error("tagged field {tag} leaves {remaining} bytes of its announced size unread")]
    TagSize {
        /// The tag.
        tag: u32,
        /// Bytes left over.
        remaining: usize,
    },
    /// A version that precedes a structure and that no one can have written.
    #[error("version {0} does not exist")]
    UnknownVersion(i16),
    /// Bytes after the end of the message.
    #[error("{0} bytes are left over after the end of the message")]
    TrailingBytes(usize),
}

/// A message that can't be expressed in the version asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot encode {place} in version {version}: {kind}")]
pub struct EncodeError {
    /// The field that can't be written.
    pub place: Place,
    /// The version that was asked for.
    pub version: i16,
    /// What is wrong with it.
    pub kind: EncodeErrorKind,
}

/// Why a field could not be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    /// The field holds a value, the version has no such field, and the field is not one to leave out silently.
    #[error("this version has no such field, and it is not at its default")]
    UnsupportedField,
    /// The field is null, which this version does not allow.
    #[error("null is not allowed in this version")]
    NullNotAllowed,
    /// A string, byte field or array longer than the format can express.
    #[error("a length of {0} is more than the format can express")]
    TooLong(usize),
    /// The whole frame is longer than an `int32` can say.
    #[error("the frame is longer than 2 GiB")]
    FrameTooLong,
}

/// What reading or writing a field gives: whether to go on. The error itself stays with the reader or the writer.
pub(crate) type Step = Result<(), Stopped>;

/// Reading or writing came to its end; the reader or the writer knows why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped(());

impl Stopped {
    /// For the one that has noted the reason.
    pub(super) const NOTED: Stopped = Stopped(());
}
