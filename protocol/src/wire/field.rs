//! The bytes of each Rust type that may stand in a field table.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem::size_of;

use bytes::Bytes;

use super::Message;
use super::error::{DecodeErrorKind, Step};
use super::reader::Reader;
use super::writer::Writer;
use crate::error_code::ErrorCode;
use crate::uuid::Uuid;

/// A type with a form on the wire, which depends on the version at most through "flexible or not".
///
/// Values are read in place and errors stay with the reader or writer: a field that is returned by value, beside an
/// error of fifty bytes, would be copied at every level on its way to where it belongs.
///
/// Sealed: the tables of this crate are its only users.
pub trait Field: Sized + Default {
    /// Reads a value over this one, which is the type's default or an earlier value.
    fn read(&mut self, reader: &mut Reader<'_>) -> Step;

    /// Writes the value.
    fn write(&self, writer: &mut Writer) -> Step;

    /// Whether this is the type's default: zero, empty, null.
    fn is_default(&self) -> bool;

    /// Reads the elements of an array.
    #[inline]
    fn read_list(list: &mut Vec<Self>, count: usize, reader: &mut Reader<'_>) -> Step {
        list.clear();
        // Reserve what the bytes at hand can back; a lying count grows the list no further than real elements do.
        let affordable = reader.remaining() / size_of::<Self>().max(1) + 1;
        list.reserve_exact(count.min(affordable));
        for _ in 0..count {
            if list.len() == list.capacity() {
                list.reserve_exact((count - list.len()).min(list.len() + 1));
            }
            list.push(Self::default());
            if let Some(element) = list.last_mut() {
                element.read(reader)?;
            }
        }
        Ok(())
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Field for $type {
            #[inline]
            fn read(&mut self, reader: &mut Reader<'_>) -> Step {
                *self = <$type>::from_be_bytes(reader.fixed()?);
                Ok(())
            }

            #[inline]
            fn write(&self, writer: &mut Writer) -> Step {
                writer.raw(&self.to_be_bytes());
                Ok(())
            }

            #[inline]
            fn is_default(&self) -> bool {
                *self == <$type>::default()
            }

            #[inline]
            fn read_list(list: &mut Vec<Self>, count: usize, reader: &mut Reader<'_>) -> Step {
                let (elements, _) = reader.take(count.saturating_mul(size_of::<$type>()))?.as_chunks();
                list.clear();
                list.extend(elements.iter().map(|bytes| <$type>::from_be_bytes(*bytes)));
                Ok(())
            }
        }
    )*};
}
integers!(i8, i16, u16, i32, u32, i64, f64);

impl Field for bool {
    fn read(&mut self, reader: &mut Reader<'_>) -> Step {
        let [byte] = reader.fixed()?;
        *self = byte != 0;
        Ok(())
    }

    fn write(&self, writer: &mut Writer) -> Step {
        writer.raw(&[u8::from(*self)]);
        Ok(())
    }

    fn is_default(&self) -> bool {
        !*self
    }
}

impl Field for ErrorCode {
    #[inline]
    fn read(&mut self, reader: &mut Reader<'_>) -> Step {
        self.0.read(reader)
    }

    fn write(&self, writer: &mut Writer) -> Step {
        self.0.write(writer)
    }

    fn is_default(&self) -> bool {
        self.0 == 0
    }
}

impl Field for Uuid {
    fn read(&mut self, reader: &mut Reader<'_>) -> Step {
        self.0 = reader.fixed()?;
        Ok(())
    }

    fn write(&self, writer: &mut Writer) -> Step {
        writer.raw(&self.0);
        Ok(())
    }

    fn is_default(&self) -> bool {
        *self == Uuid::ZERO
    }
}

impl Field for String {
    fn read(&mut self, reader: &mut Reader<'_>) -> Step {
        match reader.string()? {
            Some(text) => *self = text.to_owned(),
            None => return Err(reader.fail(DecodeErrorKind::UnexpectedNull)),
        }
        Ok(())
    }

    fn write(&self, writer: &mut Writer) -> Step {
        writer.string_length(Some(self.len()))?;
        writer.raw(self.as_bytes());
        Ok(())
    }

    fn is_default(&self) -> bool {
        self.is_empty()
    }
}

impl Field for Option<String> {
    fn read(&mut self, reader: &mut Reader<'_>) -> Step {
        *self = reader.string()?.map(str::to_owned);
        reader.null_allowed(self.is_none())
    }

    fn write(&self, writer: &mut Writer) -> Step {
        match self {
            Some(text) => text.write(writer),
            None => {
                writer.null_allowed()?;
                writer.string_length(None)
            }
        }
    }

    fn is_default(&self) -> bool {
        self.is_none()
    }
}

impl Field for Bytes {
    fn read(&mut self, reader: &mut Reader<'_>) -> Step {
        match reader.length()? {
            Some(len) => *self = reader.share(len)?,
            None => return Err(reader.fail(DecodeErrorKind::UnexpectedNull)),
        }
        Ok(())
    }

    fn write(&self, writer: &mut Writer) -> Step {
        writer.length(Some(self.len()))?;
        writer.payload(self);
        Ok(())
    }

    fn is_default(&self) -> bool {
        self.is_empty()
    }
}

impl Field for Option<Bytes> {
    fn read(&mut self, reader: &mut Reader<'_>) -> Step {
        *self = match reader.length()? {
            Some(len) => Some(reader.share(len)?),
            None => None,
        };
        reader.null_allowed(self.is_none())
    }

    fn write(&self, writer: &mut Writer) -> Step {
        match self {
            Some(bytes) => bytes.write(writer),
            None => {
                writer.null_allowed()?;
                writer.length(None)
            }
        }
    }

    fn is_default(&self) -> bool {
        self.is_none()
    }
}

impl<T: Field> Field for Vec<T> {
    #[inline]
    fn read(&mut self, reader: &mut Reader<'_>) -> Step {
        match reader.length()? {
            Some(count) => T::read_list(self, count, reader),
            None => Err(reader.fail(DecodeErrorKind::UnexpectedNull)),
        }
    }

    #[inline]
    fn write(&self, writer: &mut Writer) -> Step {
        writer.length(Some(self.len()))?;
        for element in self {
            element.write(writer)?;
        }
        Ok(())
    }

    #[inline]
    fn is_default(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Field> Field for Option<Vec<T>> {
    #[inline]
    fn read(&mut self, reader: &mut Reader<'_>) -> Step {
        match reader.length()? {
            Some(count) => T::read_list(self.insert(Vec::new()), count, reader),
            None => {
                *self = None;
                reader.null_allowed(true)
            }
        }
    }

    #[inline]
    fn write(&self, writer: &mut Writer) -> Step {
        match self {
            Some(elements) => elements.write(writer),
            None => {
                writer.null_allowed()?;
                writer.length(None)
            }
        }
    }

    #[inline]
    fn is_default(&self) -> bool {
        self.is_none()
    }
}

/// A structure may be null where a table says `Option`: one byte, -1 or 1, precedes it.
impl<T: Message> Field for Option<T> {
    #[inline]
    fn read(&mut self, reader: &mut Reader<'_>) -> Step {
        let [marker] = reader.fixed()?;
        if (marker as i8) < 0 {
            *self = None;
            return reader.null_allowed(true);
        }
        self.insert(T::default()).read(reader)
    }

    #[inline]
    fn write(&self, writer: &mut Writer) -> Step {
        match self {
            Some(value) => {
                writer.raw(&[1]);
                value.write(writer)
            }
            None => {
                writer.null_allowed()?;
                writer.raw(&[0xff]);
                Ok(())
            }
        }
    }

    #[inline]
    fn is_default(&self) -> bool {
        self.is_none()
    }
}
