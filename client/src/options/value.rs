//! How the types of options are written as text.

use std::time::Duration;

/// A type that an option may have.
pub trait OptionValue: Clone + PartialEq + Sized {
    /// What its text looks like, for the documentation.
    fn kind() -> String;

    /// Reads a value.
    ///
    /// # Errors
    /// What was expected instead, in words that fit behind "is not".
    fn parse(text: &str) -> Result<Self, String>;

    /// Writes a value as [`OptionValue::parse`] reads it.
    fn render(&self) -> String;

    /// Whether the value lies below `bound`; types without an order have no bounds.
    fn is_below(&self, bound: &Self) -> bool {
        let _ = bound;
        false
    }

    /// The largest value that makes sense for any option of the type.
    fn limit() -> Option<Self> {
        None
    }
}

/// What a setter takes: the option's type itself, or what converts to it without loss.
pub trait OptionArgument<T> {
    /// The value to store.
    fn into_option(self) -> T;
}

impl<T: OptionValue> OptionArgument<T> for T {
    fn into_option(self) -> T {
        self
    }
}

impl<T: OptionValue> OptionArgument<Option<T>> for T {
    fn into_option(self) -> Option<T> {
        Some(self)
    }
}

impl OptionArgument<String> for &str {
    fn into_option(self) -> String {
        self.to_owned()
    }
}

impl OptionArgument<Option<String>> for &str {
    fn into_option(self) -> Option<String> {
        Some(self.to_owned())
    }
}

macro_rules! numbers {
    ($($type:ty => $kind:literal),* $(,)?) => {$(
        impl OptionValue for $type {
            fn kind() -> String {
                $kind.to_owned()
            }

            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!("a number from {} to {}", <$type>::MIN, <$type>::MAX))
            }

            fn render(&self) -> String {
                self.to_string()
            }

            fn is_below(&self, bound: &Self) -> bool {
                self < bound
            }
        }
    )*};
}
numbers!(
    u8 => "int", i16 => "int", u16 => "int", i32 => "int", u32 => "int", usize => "int",
    i64 => "long", u64 => "long", f64 => "double",
);

impl OptionValue for bool {
    fn kind() -> String {
        "boolean".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("`true` or `false`".to_owned()),
        }
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

impl OptionValue for String {
    fn kind() -> String {
        "string".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn render(&self) -> String {
        self.clone()
    }
}

/// Milliseconds, as everywhere in Kafka's options; what is finer than that is cut off in text.
impl OptionValue for Duration {
    fn kind() -> String {
        "milliseconds".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map(Duration::from_millis).map_err(|_| "a whole number of milliseconds".to_owned())
    }

    fn render(&self) -> String {
        match u64::try_from(self.as_millis()) {
            Ok(millis) => millis.to_string(),
            Err(_) => u64::MAX.to_string(),
        }
    }

    fn is_below(&self, bound: &Self) -> bool {
        self < bound
    }

    /// A century: enough to say "never", and no clock overflows.
    fn limit() -> Option<Self> {
        Some(Duration::from_secs(100 * 365 * 86_400))
    }
}

/// Empty text is `None`.
impl<T: OptionValue> OptionValue for Option<T> {
    fn kind() -> String {
        T::kind()
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::parse(text).map(Some) }
    }

    fn render(&self) -> String {
        self.as_ref().map(T::render).unwrap_or_default()
    }

    fn is_below(&self, bound: &Self) -> bool {
        matches!((self, bound), (Some(value), Some(bound)) if value.is_below(bound))
    }

    fn limit() -> Option<Self> {
        T::limit().map(Some)
    }
}

/// Items parted by commas; blanks around them and empty items are dropped.
impl<T: OptionValue> OptionValue for Vec<T> {
    fn kind() -> String {
        format!("list of {}", T::kind())
    }

    fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(T::parse).collect()
    }

    fn render(&self) -> String {
        self.iter().map(T::render).collect::<Vec<_>>().join(",")
    }
}

/// Gives an enum its names as an option: `option_names!(Acks { None = "0", All = "all" })`.
///
/// The first name of a variant is the one that is shown; further ones may follow as rows of their own.
#[macro_export]
macro_rules! option_names {
    ($type:ident { $($variant:ident = $name:literal),+ $(,)? }) => {
        impl $crate::options::OptionValue for $type {
            fn kind() -> ::std::string::String {
                [$(::std::concat!("`", $name, "`")),+].join(", ")
            }

            fn parse(text: &str) -> ::std::result::Result<Self, ::std::string::String> {
                $(if text.eq_ignore_ascii_case($name) {
                    return ::std::result::Result::Ok($type::$variant);
                })+
                ::std::result::Result::Err(::std::format!("one of {}", <Self as $crate::options::OptionValue>::kind()))
            }

            #[allow(unreachable_patterns, reason = "a variant may have several names")]
            fn render(&self) -> ::std::string::String {
                match self {
                    $($type::$variant => $name,)+
                }
                .to_owned()
            }
        }
    };
}
