//! Serializers of texts, bytes and numbers.

use std::fmt::Display;
use std::io::Write;

use super::{SerializeError, Serializer};

/// Texts, as UTF-8: `str`, `String`, `Cow<str>`, `Arc<str>` and whatever else lends a `str`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Text;

impl<T: AsRef<str> + ?Sized> Serializer<T> for Text {
    fn serialize(&self, _topic: &str, data: &T, out: &mut Vec<u8>) -> Result<(), SerializeError> {
        out.extend_from_slice(data.as_ref().as_bytes());
        Ok(())
    }
}

/// Bytes, as they are: `[u8]`, `Vec<u8>`, `Bytes` and whatever else lends bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Raw;

impl<T: AsRef<[u8]> + ?Sized> Serializer<T> for Raw {
    fn serialize(&self, _topic: &str, data: &T, out: &mut Vec<u8>) -> Result<(), SerializeError> {
        out.extend_from_slice(data.as_ref());
        Ok(())
    }
}

/// Numbers, the most significant byte first, as Java's serializers of `Short`, `Integer`, `Long`, `Float` and `Double`
/// do; booleans as one byte, 1 or 0.
///
/// ```
/// use ottla_client::serialize::{BigEndian, Serializer};
///
/// let mut out = Vec::new();
/// BigEndian.serialize("t", &258i32, &mut out)?;
/// assert_eq!(out, [0, 0, 1, 2]);
/// # Ok::<(), ottla_client::serialize::SerializeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BigEndian;

macro_rules! big_endian {
    ($($number:ty),*) => {$(
        impl Serializer<$number> for BigEndian {
            fn serialize(&self, _topic: &str, data: &$number, out: &mut Vec<u8>) -> Result<(), SerializeError> {
                out.extend_from_slice(&data.to_be_bytes());
                Ok(())
            }
        }
    )*};
}
big_endian!(i8, u8, i16, u16, i32, u32, i64, u64, i128, u128, f32, f64);

impl Serializer<bool> for BigEndian {
    fn serialize(&self, _topic: &str, data: &bool, out: &mut Vec<u8>) -> Result<(), SerializeError> {
        out.push(u8::from(*data));
        Ok(())
    }
}

/// Whatever can be displayed, as that text. UUIDs come out as Java's serializer writes them:
/// `01234567-89ab-cdef-0123-456789abcdef`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Printed;

impl<T: Display + ?Sized> Serializer<T> for Printed {
    fn serialize(&self, _topic: &str, data: &T, out: &mut Vec<u8>) -> Result<(), SerializeError> {
        write!(out, "{data}").map_err(SerializeError::caused_by)
    }
}

/// No key, or no value: `()` is null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nothing;

impl Serializer<()> for Nothing {
    fn serialize(&self, _topic: &str, (): &(), _out: &mut Vec<u8>) -> Result<(), SerializeError> {
        Ok(())
    }

    fn is_null(&self, (): &()) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;

    fn written<T: ?Sized>(serializer: &impl Serializer<T>, data: &T) -> Vec<u8> {
        let mut out = Vec::new();
        serializer.serialize("t", data, &mut out).expect("it has bytes");
        assert!(!serializer.is_null(data));
        out
    }

    #[test]
    fn whatever_lends_a_text_is_written_as_utf_8() {
        let texts = [
            written(&Text, "ä"),
            written(&Text, &String::from("ä")),
            written(&Text, &Cow::Borrowed("ä")),
            written(&Text, &Arc::<str>::from("ä")),
        ];
        assert_eq!(texts, [[0xc3, 0xa4]; 4]);
    }

    #[test]
    fn bytes_stay_as_they_are() {
        let bytes = [
            written(&Raw, &[0xff_u8, 0][..]),
            written(&Raw, &vec![0xff, 0]),
            written(&Raw, &Bytes::from_static(&[0xff, 0])),
            written(&Raw, &[0xff, 0]),
        ];
        assert_eq!(bytes, [[0xff, 0]; 4]);
    }

    #[test]
    fn numbers_begin_with_the_most_significant_byte() {
        assert_eq!(written(&BigEndian, &-2_i16), [0xff, 0xfe]);
        assert_eq!(written(&BigEndian, &1_i32), [0, 0, 0, 1]);
        assert_eq!(written(&BigEndian, &(1_i64 << 40)), [0, 0, 1, 0, 0, 0, 0, 0]);
        assert_eq!(written(&BigEndian, &1.5_f32), [0x3f, 0xc0, 0, 0]);
        assert_eq!(written(&BigEndian, &-2.0_f64), [0xc0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!([true, false].map(|flag| written(&BigEndian, &flag)), [[1], [0]]);
    }

    #[test]
    fn what_can_be_displayed_is_written_as_that_text() {
        assert_eq!(written(&Printed, &std::net::Ipv4Addr::LOCALHOST), b"127.0.0.1");
    }

    #[test]
    fn nothing_is_null() {
        assert!(Nothing.is_null(&()));
    }
}
