//! What can be wrong with a batch: small, `Copy`, and it names the batch's base offset.

use crate::compression::CompressionError;

/// A batch that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record batch at offset {base_offset}: {kind}")]
pub struct RecordError {
    /// The base offset that the batch states.
    pub base_offset: i64,
    /// What is wrong with it.
    pub kind: RecordErrorKind,
}

/// What is wrong with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordErrorKind {
    /// A message set of format v0 or v1, from before Kafka 0.11.
    #[error(
        "message format v{magic} is not supported: let the broker rewrite the topic in format v2 \
         (a Kafka older than 4.0 with message.format.version 0.11 or later, or copy the topic)"
    )]
    UnsupportedMagic {
        /// The format: 0 or 1.
        magic: i8,
    },
    /// A format that does not exist.
    #[error("unknown message format {magic}")]
    UnknownMagic {
        /// The byte that should be 2.
        magic: i8,
    },
    /// The stated length cannot hold a batch's header.
    #[error("its length of {length} bytes is less than a batch's header needs")]
    BatchLength {
        /// The length field.
        length: i32,
    },
    /// The bytes are not those that were written.
    #[error("CRC-32C is {computed:#010x}, the batch says {stored:#010x}: its bytes were damaged")]
    Crc {
        /// What the batch says.
        stored: u32,
        /// What its bytes amount to.
        computed: u32,
    },
    /// The base offset is negative.
    #[error("the offset is negative")]
    BaseOffset,
    /// The last offset is before the first or beyond what an offset can be.
    #[error("its last offset delta of {delta} is impossible")]
    LastOffsetDelta {
        /// The delta that the header states.
        delta: i32,
    },
    /// The number of records is negative, or more than the bytes could hold.
    #[error("it cannot hold the {count} records that its header states")]
    Count {
        /// The number that the header states.
        count: i32,
    },
    /// A codec that is not known.
    #[error("unknown compression codec {id}")]
    UnknownCodec {
        /// The codec's id in the attributes.
        id: u8,
    },
    /// The records cannot be decompressed.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// A record is damaged.
    #[error("record {index} of the batch: {fault}")]
    Record {
        /// The record's place in the batch, from 0.
        index: i32,
        /// What is wrong with it.
        fault: RecordFault,
    },
    /// The records end before the stated number of them.
    #[error("it ends after {found} of {count} records")]
    MissingRecords {
        /// The number that the header states.
        count: i32,
        /// How many there are.
        found: i32,
    },
    /// There are bytes after the last record.
    #[error("there are bytes after the last of its {count} records")]
    TrailingBytes {
        /// The number that the header states.
        count: i32,
    },
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordFault {
    /// A variable-length integer is cut off or too long.
    #[error("invalid variable-length integer")]
    Varint,
    /// The length is negative.
    #[error("its length is {length}")]
    Length {
        /// The length that it states.
        length: i32,
    },
    /// It reaches beyond the batch.
    #[error("it reaches beyond the batch")]
    CutOff,
    /// A field reaches beyond the record.
    #[error("its {field} reaches beyond the record")]
    Overrun {
        /// The field.
        field: &'static str,
    },
    /// A length is negative that must not be, or not -1.
    #[error("the length of its {field} is {length}")]
    FieldLength {
        /// The field.
        field: &'static str,
        /// The length that it states.
        length: i32,
    },
    /// The number of headers is negative or more than the record could hold.
    #[error("it cannot hold {count} headers")]
    HeaderCount {
        /// The number that it states.
        count: i32,
    },
    /// There are bytes after the last header.
    #[error("there are bytes after its last header")]
    TrailingBytes,
    /// Its offset does not follow that of the record before, or is beyond the batch's last.
    #[error("its offset delta of {delta} is out of order")]
    OffsetDelta {
        /// The delta that it states.
        delta: i32,
    },
    /// A control record's key or value is not one.
    #[error("it is no control record")]
    Control,
}
