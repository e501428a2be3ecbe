//! [`Serializer`]: how keys and values become bytes.
//!
//! It stands here, below producer and consumer, so that one type can speak both ways of a format. Serializers append to a
//! buffer that is reused from record to record; the ones here allocate nothing. [`Text`], [`Raw`], [`BigEndian`],
//! [`Printed`], [`Nothing`], [`Nullable`] and, with the feature `json`, `Json` write the bytes that the Java client's
//! serializers of the same types write.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

#[cfg(feature = "json")]
pub use json::Json;
pub use plain::{BigEndian, Nothing, Printed, Raw, Text};

#[cfg(feature = "json")]
mod json;
mod plain;

/// Turns keys or values of type `T` into bytes.
///
/// ```
/// use ottla_client::serialize::{SerializeError, Serializer};
///
/// struct Celsius;
///
/// impl Serializer<f32> for Celsius {
///     fn serialize(&self, _topic: &str, data: &f32, out: &mut Vec<u8>) -> Result<(), SerializeError> {
///         if *data < -273.15 {
///             return Err(SerializeError::new(format!("{data} °C is below absolute zero")));
///         }
///         out.extend_from_slice(&data.to_be_bytes());
///         Ok(())
///     }
/// }
///
/// let mut out = Vec::new();
/// Celsius.serialize("weather", &21.5, &mut out)?;
/// assert_eq!(out, 21.5f32.to_be_bytes());
/// assert!(Celsius.serialize("weather", &-300.0, &mut out).is_err());
/// # Ok::<(), SerializeError>(())
/// ```
pub trait Serializer<T: ?Sized>: Send + Sync {
    /// Appends the bytes of `data`, which goes to `topic`, to `out`. What `out` held before must stay; what was appended
    /// before an error is dropped.
    ///
    /// # Errors
    /// When there are no bytes for this value. The record is not sent then.
    fn serialize(&self, topic: &str, data: &T, out: &mut Vec<u8>) -> Result<(), SerializeError>;

    /// Whether `data` stands for no key or value at all (null; a tombstone in a compacted topic). Then
    /// [`Serializer::serialize`] is not called.
    fn is_null(&self, data: &T) -> bool {
        let _ = data;
        false
    }
}

/// Why a key or value has no bytes.
#[derive(Clone, Debug)]
pub struct SerializeError(Reason);

#[derive(Clone, Debug)]
enum Reason {
    Told(Arc<str>),
    Caused(Arc<dyn StdError + Send + Sync>),
}

impl SerializeError {
    /// An error with this message: one line without a full stop.
    pub fn new(message: impl Into<Arc<str>>) -> SerializeError {
        SerializeError(Reason::Told(message.into()))
    }

    /// An error of the library that does the work; it reads as that one.
    pub fn caused_by(error: impl StdError + Send + Sync + 'static) -> SerializeError {
        SerializeError(Reason::Caused(Arc::new(error)))
    }
}

impl fmt::Display for SerializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::Told(message) => f.write_str(message),
            Reason::Caused(error) => error.fmt(f),
        }
    }
}

impl StdError for SerializeError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0 {
            Reason::Told(_) => None,
            Reason::Caused(error) => error.source(),
        }
    }
}

/// Makes a serializer of `T` one of `Option<T>`, whose `None` is null.
///
/// ```
/// use ottla_client::serialize::{Nullable, Serializer, Text};
///
/// assert!(Nullable(Text).is_null(&None::<String>));
/// assert!(!Nullable(Text).is_null(&Some("")));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nullable<S>(pub S);

impl<T, S: Serializer<T>> Serializer<Option<T>> for Nullable<S> {
    fn serialize(&self, topic: &str, data: &Option<T>, out: &mut Vec<u8>) -> Result<(), SerializeError> {
        match data {
            Some(data) => self.0.serialize(topic, data, out),
            None => Ok(()),
        }
    }

    fn is_null(&self, data: &Option<T>) -> bool {
        data.as_ref().is_none_or(|data| self.0.is_null(data))
    }
}

/// A serializer made of a function; see [`serialize_with`].
#[derive(Clone, Copy)]
pub struct SerializeWith<F>(F);

impl<F> fmt::Debug for SerializeWith<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SerializeWith(..)")
    }
}

/// Makes a serializer of a function.
///
/// ```
/// use ottla_client::serialize::{Serializer, serialize_with};
///
/// let flags = serialize_with(|_topic: &str, flags: &[bool], out: &mut Vec<u8>| {
///     out.extend(flags.iter().map(|flag| u8::from(*flag)));
///     Ok(())
/// });
/// let mut out = Vec::new();
/// flags.serialize("switches", &[true, false], &mut out)?;
/// assert_eq!(out, [1, 0]);
/// # Ok::<(), ottla_client::serialize::SerializeError>(())
/// ```
pub fn serialize_with<T, F>(function: F) -> SerializeWith<F>
where
    T: ?Sized,
    F: Fn(&str, &T, &mut Vec<u8>) -> Result<(), SerializeError> + Send + Sync,
{
    SerializeWith(function)
}

impl<T, F> Serializer<T> for SerializeWith<F>
where
    T: ?Sized,
    F: Fn(&str, &T, &mut Vec<u8>) -> Result<(), SerializeError> + Send + Sync,
{
    fn serialize(&self, topic: &str, data: &T, out: &mut Vec<u8>) -> Result<(), SerializeError> {
        (self.0)(topic, data, out)
    }
}

impl<T: ?Sized, S: Serializer<T> + ?Sized> Serializer<T> for Arc<S> {
    fn serialize(&self, topic: &str, data: &T, out: &mut Vec<u8>) -> Result<(), SerializeError> {
        (**self).serialize(topic, data, out)
    }

    fn is_null(&self, data: &T) -> bool {
        (**self).is_null(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_its_message_or_its_cause() {
        assert_eq!(SerializeError::new("too cold").to_string(), "too cold");
        let wrong = "x".parse::<i32>().expect_err("not a number");
        assert_eq!(
            SerializeError::caused_by(wrong.clone()).to_string(),
            wrong.to_string(),
            "it is not wrapped in words"
        );
    }

    #[test]
    fn null_is_not_the_same_as_empty() {
        let text: Arc<dyn Serializer<Option<String>>> = Arc::new(Nullable(Text));
        assert_eq!([None, Some(String::new())].map(|data| text.is_null(&data)), [true, false]);
        assert!(Nullable(Nullable(Text)).is_null(&Some(None::<&str>)));
        let mut out = b"before".to_vec();
        text.serialize("t", &Some("é".to_owned()), &mut out).expect("text");
        assert_eq!(out, b"before\xc3\xa9");
    }
}
