//! [`Deserializer`]: how bytes become keys and values.
//!
//! The twin of [`serialize`](crate::serialize), with the same types for the same formats: [`Text`], [`Raw`], [`BigEndian`],
//! [`Printed`], [`Nothing`], [`Nullable`] and, with the feature `json`, `Json` read what they have written, or what the
//! Java client's serializers of the same types have.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

#[cfg(feature = "json")]
pub use crate::serialize::Json;
pub use crate::serialize::{BigEndian, Nothing, Nullable, Printed, Raw, Text};

#[cfg(feature = "json")]
mod json;
mod plain;

/// Turns bytes into keys or values of type `T`.
///
/// ```
/// use ottla_client::deserialize::{BigEndian, DeserializeError, Deserializer};
///
/// struct Celsius;
///
/// impl Deserializer<f32> for Celsius {
///     fn deserialize(&self, topic: &str, data: &[u8]) -> Result<f32, DeserializeError> {
///         let celsius: f32 = BigEndian.deserialize(topic, data)?;
///         if celsius < -273.15 {
///             return Err(DeserializeError::new(format!("{celsius} °C is below absolute zero")));
///         }
///         Ok(celsius)
///     }
/// }
///
/// assert_eq!(Celsius.deserialize("weather", &21.5f32.to_be_bytes())?, 21.5);
/// assert!(Celsius.deserialize("weather", &(-300.0f32).to_be_bytes()).is_err());
/// # Ok::<(), DeserializeError>(())
/// ```
pub trait Deserializer<T>: Send + Sync {
    /// What `data`, which came from `topic`, stands for.
    ///
    /// # Errors
    /// When it stands for nothing.
    fn deserialize(&self, topic: &str, data: &[u8]) -> Result<T, DeserializeError>;

    /// What no key or value at all (null; a tombstone in a compacted topic) stands for.
    ///
    /// # Errors
    /// When there has to be one, which is so unless a deserializer says otherwise; see [`Nullable`].
    fn absent(&self, topic: &str) -> Result<T, DeserializeError> {
        let _ = topic;
        Err(DeserializeError::new("it is null"))
    }
}

/// Why bytes are no key or value.
#[derive(Clone, Debug)]
pub struct DeserializeError(Reason);

#[derive(Clone, Debug)]
enum Reason {
    Told(Arc<str>),
    Caused(Arc<dyn StdError + Send + Sync>),
}

impl DeserializeError {
    /// An error with this message: one line without a full stop.
    pub fn new(message: impl Into<Arc<str>>) -> DeserializeError {
        DeserializeError(Reason::Told(message.into()))
    }

    /// An error of the library that does the work; it reads as that one.
    pub fn caused_by(error: impl StdError + Send + Sync + 'static) -> DeserializeError {
        DeserializeError(Reason::Caused(Arc::new(error)))
    }
}

impl fmt::Display for DeserializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::Told(message) => f.write_str(message),
            Reason::Caused(error) => error.fmt(f),
        }
    }
}

impl StdError for DeserializeError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0 {
            Reason::Told(_) => None,
            Reason::Caused(error) => error.source(),
        }
    }
}

impl<T, D: Deserializer<T>> Deserializer<Option<T>> for Nullable<D> {
    fn deserialize(&self, topic: &str, data: &[u8]) -> Result<Option<T>, DeserializeError> {
        self.0.deserialize(topic, data).map(Some)
    }

    fn absent(&self, _topic: &str) -> Result<Option<T>, DeserializeError> {
        Ok(None)
    }
}

/// A deserializer made of a function; see [`deserialize_with`].
#[derive(Clone, Copy)]
pub struct DeserializeWith<F>(F);

impl<F> fmt::Debug for DeserializeWith<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeserializeWith(..)")
    }
}

/// Makes a deserializer of a function.
///
/// ```
/// use ottla_client::deserialize::{Deserializer, deserialize_with};
///
/// let flags = deserialize_with(|_topic: &str, data: &[u8]| {
///     Ok(data.iter().map(|flag| *flag != 0).collect::<Vec<bool>>())
/// });
/// assert_eq!(flags.deserialize("switches", &[1, 0])?, [true, false]);
/// # Ok::<(), ottla_client::deserialize::DeserializeError>(())
/// ```
pub fn deserialize_with<T, F>(function: F) -> DeserializeWith<F>
where
    F: Fn(&str, &[u8]) -> Result<T, DeserializeError> + Send + Sync,
{
    DeserializeWith(function)
}

impl<T, F> Deserializer<T> for DeserializeWith<F>
where
    F: Fn(&str, &[u8]) -> Result<T, DeserializeError> + Send + Sync,
{
    fn deserialize(&self, topic: &str, data: &[u8]) -> Result<T, DeserializeError> {
        (self.0)(topic, data)
    }
}

impl<T, D: Deserializer<T> + ?Sized> Deserializer<T> for Arc<D> {
    fn deserialize(&self, topic: &str, data: &[u8]) -> Result<T, DeserializeError> {
        (**self).deserialize(topic, data)
    }

    fn absent(&self, topic: &str) -> Result<T, DeserializeError> {
        (**self).absent(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_its_message_or_its_cause() {
        assert_eq!(DeserializeError::new("too cold").to_string(), "too cold");
        let wrong = "x".parse::<i32>().expect_err("not a number");
        assert_eq!(DeserializeError::caused_by(wrong.clone()).to_string(), wrong.to_string());
    }

    #[test]
    fn null_is_an_error_unless_it_is_allowed() {
        let text: Arc<dyn Deserializer<String>> = Arc::new(Text);
        assert_eq!(text.absent("t").expect_err("there is no text").to_string(), "it is null");
        let text: Arc<dyn Deserializer<Option<String>>> = Arc::new(Nullable(Text));
        assert_eq!(text.absent("t").expect("null is allowed"), None);
        assert_eq!(text.deserialize("t", b"").expect("a text"), Some(String::new()));
    }
}
