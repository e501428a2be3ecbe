//! The bytes of each Rust type that may stand in a field table.

use bytes::Bytes;

use super::error::{DecodeError, DecodeErrorKind, EncodeError};
use super::reader::Reader;
use super::writer::Writer;
use crate::error_code::ErrorCode;
use crate::uuid::Uuid;

/// A type with a form on the wire, which depends on the version at most through "flexible or not".
pub trait Field: Sized + PartialEq {
    /// Reads a value.
    ///
    /// # Errors
    /// Whatever is malformed, with the place and offset.
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Writes the value.
    ///
    /// # Errors
    /// A value that the version or the format can't express.
    fn write(&self, writer: &mut Writer) -> Result<(), EncodeError>;

    /// Whether this is a null, which some versions forbid.
    #[inline]
    fn is_null(&self) -> bool {
        false
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Field for $type {
            #[inline]
            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                reader.fixed().map(<$type>::from_be_bytes)
            }

            #[inline]
            fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
                writer.raw(&self.to_be_bytes());
                Ok(())
            }
        }
    )*};
}
integers!(i8, i16, u16, i32, u32, i64, f64);

impl Field for bool {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.fixed().map(|[byte]| byte != 0)
    }

    fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.raw(&[u8::from(*self)]);
        Ok(())
    }
}

impl Field for ErrorCode {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        i16::read(reader).map(ErrorCode)
    }

    fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        self.0.write(writer)
    }
}

impl Field for Uuid {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.fixed().map(Uuid)
    }

    fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.raw(&self.0);
        Ok(())
    }
}

impl Field for Option<String> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let Some(len) = reader.string_length()? else { return Ok(None) };
        let bytes = reader.take(len)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(reader.error(DecodeErrorKind::InvalidUtf8)),
        }
    }

    fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Some(text) => text.write(writer),
            None => writer.string_length(None),
        }
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }
}

impl Field for String {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Option::read(reader)?.ok_or_else(|| reader.error(DecodeErrorKind::UnexpectedNull))
    }

    fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.string_length(Some(self.len()))?;
        writer.raw(self.as_bytes());
        Ok(())
    }
}

impl Field for Option<Bytes> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.length()?.map(|len| reader.share(len)).transpose()
    }

    fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Some(bytes) => bytes.write(writer),
            None => writer.length(None),
        }
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }
}

impl Field for Bytes {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Option::read(reader)?.ok_or_else(|| reader.error(DecodeErrorKind::UnexpectedNull))
    }

    fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.length(Some(self.len()))?;
        writer.payload(self);
        Ok(())
    }
}

impl<T: Field> Field for Option<Vec<T>> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let Some(count) = reader.length()? else { return Ok(None) };
        // Reserve what the bytes at hand can back; a lying count grows the vector no further than real elements do.
        let affordable = reader.remaining() / size_of::<T>().max(1) + 1;
        let mut elements = Vec::with_capacity(count.min(affordable));
        for _ in 0..count {
            elements.push(T::read(reader)?);
        }
        Ok(Some(elements))
    }

    fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Some(elements) => elements.write(writer),
            None => writer.length(None),
        }
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }
}

impl<T: Field> Field for Vec<T> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Option::read(reader)?.ok_or_else(|| reader.error(DecodeErrorKind::UnexpectedNull))
    }

    fn write(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.length(Some(self.len()))?;
        self.iter().try_for_each(|element| element.write(writer))
    }
}
