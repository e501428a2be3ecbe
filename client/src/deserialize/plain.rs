//! Deserializers of texts, bytes and numbers.

use std::error::Error as StdError;
use std::str::FromStr;

use super::{BigEndian, DeserializeError, Deserializer, Nothing, Printed, Raw, Text};

/// Into `String`, `Box<str>`, `Arc<str>` and whatever else is made of a `str`.
impl<T: for<'a> From<&'a str>> Deserializer<T> for Text {
    fn deserialize(&self, _topic: &str, data: &[u8]) -> Result<T, DeserializeError> {
        text(data).map(T::from)
    }
}

/// Into `Vec<u8>`, `Bytes`, `Arc<[u8]>` and whatever else is made of bytes.
impl<T: From<Vec<u8>>> Deserializer<T> for Raw {
    fn deserialize(&self, _topic: &str, data: &[u8]) -> Result<T, DeserializeError> {
        Ok(T::from(data.to_vec()))
    }
}

macro_rules! big_endian {
    ($($number:ty),*) => {$(
        impl Deserializer<$number> for BigEndian {
            fn deserialize(&self, _topic: &str, data: &[u8]) -> Result<$number, DeserializeError> {
                let bytes = data.try_into().map_err(|_| wrong_size(size_of::<$number>(), data))?;
                Ok(<$number>::from_be_bytes(bytes))
            }
        }
    )*};
}
big_endian!(i8, u8, i16, u16, i32, u32, i64, u64, i128, u128, f32, f64);

impl Deserializer<bool> for BigEndian {
    fn deserialize(&self, _topic: &str, data: &[u8]) -> Result<bool, DeserializeError> {
        match data {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(DeserializeError::new(format!("a boolean is 0 or 1, not {other}"))),
            _ => Err(wrong_size(1, data)),
        }
    }
}

/// Into whatever can be parsed.
impl<T> Deserializer<T> for Printed
where
    T: FromStr,
    T::Err: StdError + Send + Sync + 'static,
{
    fn deserialize(&self, _topic: &str, data: &[u8]) -> Result<T, DeserializeError> {
        text(data)?.parse().map_err(DeserializeError::caused_by)
    }
}

/// Null, and only that, is `()`.
impl Deserializer<()> for Nothing {
    fn deserialize(&self, _topic: &str, data: &[u8]) -> Result<(), DeserializeError> {
        Err(DeserializeError::new(format!("there are {} bytes where nothing should be", data.len())))
    }

    fn absent(&self, _topic: &str) -> Result<(), DeserializeError> {
        Ok(())
    }
}

fn text(data: &[u8]) -> Result<&str, DeserializeError> {
    std::str::from_utf8(data).map_err(DeserializeError::caused_by)
}

fn wrong_size(expected: usize, data: &[u8]) -> DeserializeError {
    DeserializeError::new(format!("{} bytes instead of {expected}", data.len()))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::serialize::Serializer;

    fn read<T>(deserializer: &impl Deserializer<T>, data: &[u8]) -> Result<T, String> {
        deserializer.deserialize("t", data).map_err(|error| error.to_string())
    }

    #[test]
    fn texts_are_utf_8() {
        assert_eq!(read::<String>(&Text, "ä".as_bytes()).as_deref(), Ok("ä"));
        assert_eq!(read::<Arc<str>>(&Text, b"").as_deref(), Ok(""));
        let error = read::<String>(&Text, &[b'a', 0xff]).expect_err("no UTF-8");
        assert!(error.contains("invalid utf-8"), "{error}");
    }

    #[test]
    fn bytes_stay_as_they_are() {
        assert_eq!(read::<Vec<u8>>(&Raw, &[0xff, 0]), Ok(vec![0xff, 0]));
        assert_eq!(read::<Bytes>(&Raw, &[0xff, 0]), Ok(Bytes::from_static(&[0xff, 0])));
    }

    #[test]
    fn numbers_come_back_and_have_their_size() {
        let mut out = Vec::new();
        BigEndian.serialize("t", &-12_345_i32, &mut out).expect("a number");
        assert_eq!(read::<i32>(&BigEndian, &out), Ok(-12_345));
        assert_eq!(read::<i64>(&BigEndian, &out), Err("4 bytes instead of 8".to_owned()));
        assert_eq!(read::<f64>(&BigEndian, &1.5_f64.to_be_bytes()), Ok(1.5));
        assert_eq!([[0], [1]].map(|data| read::<bool>(&BigEndian, &data)), [Ok(false), Ok(true)]);
        assert_eq!(read::<bool>(&BigEndian, &[2]), Err("a boolean is 0 or 1, not 2".to_owned()));
        assert_eq!(read::<bool>(&BigEndian, &[]), Err("0 bytes instead of 1".to_owned()));
    }

    #[test]
    fn what_was_printed_is_parsed() {
        assert_eq!(read::<Ipv4Addr>(&Printed, b"127.0.0.1"), Ok(Ipv4Addr::LOCALHOST));
        assert_eq!(read::<i32>(&Printed, b"x"), Err("invalid digit found in string".to_owned()));
    }

    #[test]
    fn nothing_is_null_and_only_that() {
        assert!(Nothing.absent("t").is_ok());
        assert_eq!(read(&Nothing, b"ab"), Err("there are 2 bytes where nothing should be".to_owned()));
    }
}
