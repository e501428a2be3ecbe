//! Bytes that must not reach a log.

use core::fmt;

use bytes::Bytes;

use super::error::Step;
use super::field::Field;
use super::reader::Reader;
use super::writer::Writer;

/// A byte field with a credential in it: on the wire like `bytes`, but `Debug` doesn't show what it holds.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(pub Bytes);

impl From<Bytes> for Secret {
    fn from(bytes: Bytes) -> Self {
        Secret(bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Field for Secret {
    fn read(&mut self, reader: &mut Reader<'_>) -> Step {
        self.0.read(reader)
    }

    fn write(&self, writer: &mut Writer) -> Step {
        self.0.write(writer)
    }

    fn is_default(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(feature = "reflect")]
impl crate::reflect::Reflect for Secret {
    const KIND: crate::reflect::Kind = crate::reflect::Kind::Bytes;

    fn to_value(&self) -> crate::reflect::Value {
        crate::reflect::Value::Bytes(self.0.clone())
    }

    fn from_value(value: crate::reflect::Value) -> Result<Self, crate::reflect::Mismatch> {
        Bytes::from_value(value).map(Secret)
    }
}
