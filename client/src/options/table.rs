//! The `options!` macro.

/// Makes a struct of options from a table; see [`mod@crate::options`].
///
/// ```
/// use std::time::Duration;
/// ottla_client::options! {
///     /// Options of a kettle.
///     pub struct KettleOptions, KettleValues {
///         /// How long the water boils.
///         "boil.ms" => boil: Duration = Duration::from_secs(3), min Duration::from_millis(1), max Duration::from_secs(60);
///         /// Who may use it.
///         "owner.password" => owner_password: Option<String> = None, secret = true;
///     }
/// }
/// let options = KettleOptions::new().boil(Duration::from_secs(5)).owner_password("hunter2");
/// assert_eq!(options.values().boil, Duration::from_secs(5));
/// assert!(!format!("{options:?}").contains("hunter2"));
/// let error = KettleOptions::from_pairs([("boil.sm", "5")]).unwrap_err();
/// assert_eq!(error.to_string(), "unknown option `boil.sm`: did you mean `boil.ms`?");
/// ```
///
/// A row is: documentation, `"kafka.name" => method: Type = default`, then any of `min value`, `max value`,
/// `check function` (`fn(&Type) -> Result<(), String>`), `secret = true`, `alias = none` (where
/// Kafka's name is the method's name, as with `acks`), in this order. `rule function` behind the second
/// name (`fn(&Values) -> Result<(), Error>`) checks what concerns several options.
///
/// Made are: the struct of options with a setter for each row, `new`, `Default`, `set`, `from_pairs`, `knows`,
/// `validate`, `values` and `ROWS`; and the struct of values with a public field for each row.
#[macro_export]
macro_rules! options {
    (
        $(#[$meta:meta])*
        pub struct $options:ident, $values:ident $(, rule $rule:path)? {
            $(
                $(#[doc = $doc:literal])+
                $name:literal => $field:ident : $type:ty = $default:expr
                    $(, min $min:expr)? $(, max $max:expr)? $(, check $check:path)? $(, secret = $secret:tt)? $(, alias = $alias:tt)? ;
            )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Default)]
        pub struct $options {
            values: $values,
        }

        #[doc = ::std::concat!("The values of [`", ::std::stringify!($options), "`].")]
        #[derive(Clone, PartialEq)]
        #[non_exhaustive]
        pub struct $values {
            $(
                $(#[doc = $doc])+
                pub $field: $type,
            )+
        }

        impl ::std::default::Default for $values {
            fn default() -> Self {
                $values { $($field: $default,)+ }
            }
        }

        impl ::std::fmt::Debug for $values {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_map()
                    $(.entry(&$name, &$crate::options!(@shown self.$field $(, $secret)?)))+
                    .finish()
            }
        }

        impl ::std::fmt::Debug for $options {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Debug::fmt(&self.values, f)
            }
        }

        impl $options {
            /// The table of all options, for documentation and for tools.
            pub const ROWS: &'static [$crate::options::OptionRow] = &[$(
                $crate::options::OptionRow {
                    name: $name,
                    kind: <$type as $crate::options::OptionValue>::kind,
                    default: || {
                        let default: $type = $default;
                        $crate::options::OptionValue::render(&default)
                    },
                    bounds: || (
                        $crate::options!(@bound $type $(, $min)?),
                        $crate::options!(@bound $type $(, $max)?),
                    ),
                    doc: ::std::concat!($($doc),+),
                    secret: $crate::options!(@secret $($secret)?),
                },
            )+];

            /// All options at their defaults.
            pub fn new() -> Self {
                Self::default()
            }

            /// Options from names and texts, such as those of a properties file.
            ///
            /// # Errors
            /// Kind `Config`: an unknown name, a text that is no such value, or a value out of bounds.
            pub fn from_pairs<N: ::std::convert::AsRef<str>, T: ::std::convert::AsRef<str>>(
                pairs: impl ::std::iter::IntoIterator<Item = (N, T)>,
            ) -> ::std::result::Result<Self, $crate::Error> {
                let mut options = Self::default();
                for (name, text) in pairs {
                    options.set(name.as_ref(), text.as_ref())?;
                }
                ::std::result::Result::Ok(options)
            }

            /// Whether there is an option of this name.
            pub fn knows(name: &str) -> bool {
                Self::ROWS.iter().any(|row| row.name == name)
            }

            /// Sets an option by Kafka's name for it.
            ///
            /// # Errors
            /// Kind `Config`: an unknown name, a text that is no such value, or a value out of bounds.
            pub fn set(&mut self, name: &str, text: &str) -> ::std::result::Result<(), $crate::Error> {
                match name {
                    $($name => {
                        self.values.$field = $crate::options::parsed::<$type>(
                            $name, text, $crate::options!(@secret $($secret)?),
                        )?;
                    })+
                    unknown => return ::std::result::Result::Err($crate::options::unknown(unknown, Self::ROWS)),
                }
                self.check_bounds(::std::option::Option::Some(name))
            }

            /// Checks all bounds, and what concerns several options.
            ///
            /// # Errors
            /// Kind `Config`, naming the first option at fault.
            pub fn validate(&self) -> ::std::result::Result<(), $crate::Error> {
                self.check_bounds(::std::option::Option::None)?;
                $($rule(&self.values)?;)?
                ::std::result::Result::Ok(())
            }

            /// The values.
            pub fn values(&self) -> &$values {
                &self.values
            }

            $($crate::options! { @setter [$(alias = $alias)?] $(#[doc = $doc])+ $name => $field: $type = $default })+

            fn check_bounds(&self, only: ::std::option::Option<&str>) -> ::std::result::Result<(), $crate::Error> {
                $(
                    if only.is_none_or(|only| only == $name) {
                        let value: &$type = &self.values.$field;
                        $($crate::options::at_least($name, value, &{ let min: $type = $min; min })?;)?
                        $($crate::options::at_most($name, value, &{ let max: $type = $max; max })?;)?
                        if let ::std::option::Option::Some(limit) = <$type as $crate::options::OptionValue>::limit() {
                            $crate::options::at_most($name, value, &limit)?;
                        }
                        $($crate::options::checked($name, $check(value))?;)?
                    }
                )+
                ::std::result::Result::Ok(())
            }
        }
    };

    (@setter [] $(#[doc = $doc:literal])+ $name:literal => $field:ident : $type:ty = $default:expr) => {
        $crate::options! {
            @setter [alias = none] #[doc(alias = $name)] $(#[doc = $doc])+ $name => $field: $type = $default
        }
    };
    (@setter [alias = none] $(#[$meta:meta])+ $name:literal => $field:ident : $type:ty = $default:expr) => {
        $(#[$meta])+
        #[doc = ::std::concat!("\n\nKafka's name: `", $name, "`. Default: `", ::std::stringify!($default), "`.")]
        #[must_use]
        pub fn $field(mut self, value: impl $crate::options::OptionArgument<$type>) -> Self {
            self.values.$field = $crate::options::OptionArgument::into_option(value);
            self
        }
    };
    (@shown $value:expr) => { $crate::options::Shown(&$value) };
    (@shown $value:expr, true) => { $crate::options::Hidden };
    (@secret) => { false };
    (@secret true) => { true };
    (@bound $type:ty) => { ::std::string::String::new() };
    (@bound $type:ty, $bound:expr) => {{
        let bound: $type = $bound;
        $crate::options::OptionValue::render(&bound)
    }};
}
