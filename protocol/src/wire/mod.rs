//! The wire layer: how Kafka's primitive types, strings, arrays and tagged fields stand in a frame.
//!
//! [`Reader`] and [`Writer`] carry the message's version and whether that version is *flexible* (KIP-482: compact
//! lengths and tagged fields); the Rust type of a field alone decides its bytes. The messages themselves are field
//! tables made with the crate's `wire!` macro.
//!
//! Guarantees:
//! - decoding never panics, never reads past the frame, rejects what is left over, and reserves memory only in
//!   proportion to the bytes that are really there (see [`Reader`]);
//! - payloads decode as slices of the frame and large payloads are spliced into the encoded [`Frame`] uncopied;
//! - tagged fields that this crate doesn't know survive a decode and an encode.
//!
//! Sources: the protocol guide's type list, KIP-482 (flexible versions), KIP-516 (UUIDs).

mod broker_ids;
mod error;
mod field;
mod reader;
mod secret;
mod spec;
mod table;
mod tags;
mod writer;

pub use broker_ids::BrokerIds;
pub(crate) use error::Step;
pub use error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind, Place};
pub(crate) use field::Field;
pub use reader::Reader;
pub use secret::Secret;
pub(crate) use spec::Row;
pub use spec::{FieldSpec, VersionRange};
pub(crate) use table::{api, default_of, field_name, if_tagged, spec, step, wire, write_field};
pub use tags::UnknownTags;
pub use writer::{Frame, Writer};

/// A Kafka message or a structure inside one: a field table.
///
/// Sealed: every one of them is made by this crate's tables.
pub trait Message: Field + Default + Clone + PartialEq + core::fmt::Debug + Send + Sync + 'static {
    /// The name in Kafka's schemas, such as `JoinGroupRequest`.
    const NAME: &'static str;
}

/// Decodes one message that must fill `body` exactly.
///
/// # Errors
/// Whatever is malformed, and [`DecodeErrorKind::TrailingBytes`] where bytes are left over.
pub fn decode<M: Message>(body: &bytes::Bytes, version: i16, flexible: bool) -> Result<M, DecodeError> {
    let mut reader = Reader::new(body, version, flexible);
    let message = reader.message()?;
    reader.finish()?;
    Ok(message)
}

/// Encodes one message, without a header.
///
/// # Errors
/// What the version or the format can't express.
pub fn encode<M: Message>(message: &M, version: i16, flexible: bool) -> Result<Frame, EncodeError> {
    let mut writer = Writer::new(version, flexible);
    writer.message(message)?;
    writer.finish()
}

#[cfg(test)]
#[allow(unreachable_pub, reason = "tables make public structures")]
mod tests;
