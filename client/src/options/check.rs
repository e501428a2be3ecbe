//! What the code made by `options!` calls.

use std::fmt;

use super::{OptionRow, OptionValue, nearest};
use crate::error::{Error, ErrorKind};

/// A value shown as its text.
pub struct Shown<'a, T>(pub &'a T);

impl<T: OptionValue> fmt::Debug for Shown<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.render(), f)
    }
}

/// A value not shown.
pub struct Hidden;

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Reads the value of an option.
///
/// # Errors
/// Kind `Config`; the text of a secret is not repeated.
pub fn parsed<T: OptionValue>(name: &str, text: &str, secret: bool) -> Result<T, Error> {
    T::parse(text.trim()).map_err(|expected| {
        let text = if secret { "the value".to_owned() } else { format!("`{text}`") };
        config(format!("option `{name}`: {text} is not {expected}"))
    })
}

/// The error for a name that no option has.
pub fn unknown(name: &str, rows: &[OptionRow]) -> Error {
    let hint = match nearest(name, rows.iter().map(|row| row.name)) {
        Some(near) => format!(": did you mean `{near}`?"),
        None => String::new(),
    };
    config(format!("unknown option `{name}`{hint}"))
}

/// Checks a lower bound.
///
/// # Errors
/// Kind `Config`.
pub fn at_least<T: OptionValue>(name: &str, value: &T, min: &T) -> Result<(), Error> {
    if value.is_below(min) {
        return Err(config(format!("option `{name}`: {} is below {}", value.render(), min.render())));
    }
    Ok(())
}

/// Checks an upper bound.
///
/// # Errors
/// Kind `Config`.
pub fn at_most<T: OptionValue>(name: &str, value: &T, max: &T) -> Result<(), Error> {
    if max.is_below(value) {
        return Err(config(format!("option `{name}`: {} is above {}", value.render(), max.render())));
    }
    Ok(())
}

/// Names the option that a check of its own refused.
///
/// # Errors
/// Kind `Config`.
pub fn checked(name: &str, result: Result<(), String>) -> Result<(), Error> {
    result.map_err(|reason| config(format!("option `{name}`: {reason}")))
}

fn config(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}
