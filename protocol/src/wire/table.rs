//! The `wire!` and `api!` macros: a message as a documented list of fields.
//!
//! ```text
//! wire! {
//!     /// What the structure is for.
//!     pub struct JoinGroupRequest {
//!         /// The group to join.
//!         group_id: String,
//!         /// A field that exists from version 1 on and may be left out silently below it.
//!         [1.., ignorable] rebalance_timeout_ms: i32 = -1,
//!         /// Null is allowed from version 5 on.
//!         [2.., nullable 5..] name: Option<String> = Some(String::new()),
//!         /// A tagged field.
//!         [12.., tag 0] cluster_id: Option<String>,
//!     }
//! }
//! ```
//!
//! The bracket is Kafka's `versions` (`[5..]`, `[..=12]`, `[3..=7]`; none: every version), then `ignorable`,
//! `nullable` (only where it is narrower than the field itself) and `tag`. The default is Kafka's; left out, it is
//! the type's: zero, empty, or null for an `Option`. Tags stand in ascending order.

/// Makes structures and their wire form from field tables; see the module.
macro_rules! wire {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $(
                $(#[$field_meta:meta])*
                $([$($spec:tt)+])? $field:ident : $type:ty $(= $default:expr)?
            ),* $(,)?
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                pub $field: $type,
            )*
            /// Tagged fields that this table doesn't name, kept as they came.
            pub unknown_tags: $crate::wire::UnknownTags,
        }

        impl Default for $name {
            fn default() -> Self {
                $name {
                    $($field: $crate::wire::default_of!($type $(, $default)?),)*
                    unknown_tags: Default::default(),
                }
            }
        }

        impl $crate::wire::Message for $name {
            const NAME: &'static str = stringify!($name);
        }

        impl $crate::wire::Field for $name {
            fn read(reader: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::DecodeError> {
                let version = reader.version();
                let mut message = Self::default();
                $(
                    if const { $crate::wire::spec!($($($spec)+)?) }.in_line(version) {
                        reader.field(&mut message.$field, $crate::wire::row!($name, $field $(, $($spec)+)?))?;
                    }
                )*
                if reader.flexible() {
                    if const { false $(|| $crate::wire::spec!($($($spec)+)?).tag.is_some())* } {
                        let mut unknown = $crate::wire::UnknownTags::default();
                        reader.tagged_fields(&mut unknown, &mut |tag, reader| {
                            $(
                                if const { $crate::wire::spec!($($($spec)+)?) }.has_tag(tag, version) {
                                    reader.field(&mut message.$field, $crate::wire::row!($name, $field $(, $($spec)+)?))?;
                                    return Ok(true);
                                }
                            )*
                            Ok(false)
                        })?;
                        message.unknown_tags = unknown;
                    } else {
                        reader.unknown_tags(&mut message.unknown_tags)?;
                    }
                }
                Ok(message)
            }

            fn write(&self, writer: &mut $crate::wire::Writer) -> Result<(), $crate::wire::EncodeError> {
                let version = writer.version();
                $(
                    if const { $crate::wire::spec!($($($spec)+)?) }.in_line(version) {
                        writer.field(&self.$field, $crate::wire::row!($name, $field $(, $($spec)+)?))?;
                    } else if const { $crate::wire::spec!($($($spec)+)?).is_strict() }
                        && !const { $crate::wire::spec!($($($spec)+)?) }.tagged(version)
                        && self.$field != $crate::wire::default_of!($type $(, $default)?)
                    {
                        return Err(writer.unsupported($crate::wire::row!($name, $field $(, $($spec)+)?)));
                    }
                )*
                if writer.flexible() {
                    let mut tags = writer.tagged_fields(&self.unknown_tags);
                    $(
                        if const { $crate::wire::spec!($($($spec)+)?).tag.is_some() }
                            && const { $crate::wire::spec!($($($spec)+)?) }.tagged(version)
                            && self.$field != $crate::wire::default_of!($type $(, $default)?)
                        {
                            tags.field(&self.$field, $crate::wire::row!($name, $field $(, $($spec)+)?))?;
                        }
                    )*
                    tags.finish();
                }
                Ok(())
            }
        }

        #[cfg(feature = "reflect")]
        impl $crate::reflect::Table for $name {
            const FIELDS: &'static [$crate::reflect::FieldRow] = &[$(
                $crate::reflect::FieldRow {
                    name: $crate::wire::field_name(stringify!($field)),
                    spec: $crate::wire::spec!($($($spec)+)?),
                    kind: <$type as $crate::reflect::Reflect>::KIND,
                    default: || $crate::reflect::Reflect::to_value(
                        &<$type as From<$type>>::from($crate::wire::default_of!($type $(, $default)?)),
                    ),
                },
            )*];

            fn field_values(&self) -> Vec<$crate::reflect::Value> {
                vec![$($crate::reflect::Reflect::to_value(&self.$field)),*]
            }

            fn set_field(&mut self, name: &str, value: $crate::reflect::Value) -> Result<(), $crate::reflect::Mismatch> {
                match name {
                    $(own if own == $crate::wire::field_name(stringify!($field)) => {
                        self.$field = $crate::reflect::Reflect::from_value(value)?;
                    })*
                    _ => return Err($crate::reflect::Mismatch::new(concat!("no such field in ", stringify!($name)))),
                }
                Ok(())
            }

            fn unknown_tags_mut(&mut self) -> &mut $crate::wire::UnknownTags {
                &mut self.unknown_tags
            }

            fn unknown_tags(&self) -> &$crate::wire::UnknownTags {
                &self.unknown_tags
            }
        }
        $crate::wire::nullable_struct!($name);
    )+};
}

/// A structure may be null where a table says `Option`: one byte, -1 or 1, precedes it.
macro_rules! nullable_struct {
    ($name:ident) => {
        impl $crate::wire::Field for Option<$name> {
            fn read(reader: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::DecodeError> {
                match <i8 as $crate::wire::Field>::read(reader)? {
                    marker if marker < 0 => Ok(None),
                    _ => <$name as $crate::wire::Field>::read(reader).map(Some),
                }
            }

            fn write(&self, writer: &mut $crate::wire::Writer) -> Result<(), $crate::wire::EncodeError> {
                match self {
                    None => $crate::wire::Field::write(&-1i8, writer),
                    Some(value) => {
                        $crate::wire::Field::write(&1i8, writer)?;
                        $crate::wire::Field::write(value, writer)
                    }
                }
            }

            fn is_null(&self) -> bool {
                self.is_none()
            }
        }
    };
}

/// A field's name as Kafka spells it: Rust's source says `r#match` for `match`.
pub(crate) const fn field_name(source: &'static str) -> &'static str {
    match source.as_bytes() {
        [b'r', b'#', ..] => source.split_at(2).1,
        _ => source,
    }
}

/// The constant behind a field's bracket.
macro_rules! spec {
    () => { $crate::wire::FieldSpec::PLAIN };
    ($min:literal .. $(, $($rest:tt)*)?) => {
        $crate::wire::spec!(@ $crate::wire::FieldSpec::PLAIN.versions($min, i16::MAX); $($($rest)*)?)
    };
    (..= $max:literal $(, $($rest:tt)*)?) => {
        $crate::wire::spec!(@ $crate::wire::FieldSpec::PLAIN.versions(0, $max); $($($rest)*)?)
    };
    ($min:literal ..= $max:literal $(, $($rest:tt)*)?) => {
        $crate::wire::spec!(@ $crate::wire::FieldSpec::PLAIN.versions($min, $max); $($($rest)*)?)
    };
    ($first:ident $($rest:tt)*) => { $crate::wire::spec!(@ $crate::wire::FieldSpec::PLAIN; $first $($rest)*) };
    (@ $spec:expr;) => { $spec };
    (@ $spec:expr; ignorable $(, $($rest:tt)*)?) => { $crate::wire::spec!(@ $spec.ignorable(); $($($rest)*)?) };
    (@ $spec:expr; nullable $min:literal .. $(, $($rest:tt)*)?) => {
        $crate::wire::spec!(@ $spec.nullable($min, i16::MAX); $($($rest)*)?)
    };
    (@ $spec:expr; nullable $min:literal ..= $max:literal $(, $($rest:tt)*)?) => {
        $crate::wire::spec!(@ $spec.nullable($min, $max); $($($rest)*)?)
    };
    (@ $spec:expr; tag $tag:literal $(, $($rest:tt)*)?) => { $crate::wire::spec!(@ $spec.tag($tag); $($($rest)*)?) };
}

/// A field's name, for errors, and its bracket, as one static.
macro_rules! row {
    ($name:ident, $field:ident $(, $($spec:tt)+)?) => {
        &const {
            $crate::wire::Row {
                place: $crate::wire::Place { message: stringify!($name), field: $crate::wire::field_name(stringify!($field)) },
                spec: $crate::wire::spec!($($($spec)+)?),
            }
        }
    };
}

macro_rules! default_of {
    ($type:ty) => {
        <$type as Default>::default()
    };
    ($type:ty, $default:expr) => {
        $default
    };
}

/// Ties a request to its key, its versions and its response.
///
/// Not every version with bytes is negotiated: those from `unstable` on Kafka may still change; `negotiable` names the
/// ones that a client may send where others are for brokers alone or were only tried out.
macro_rules! api {
    ($key:ident: $request:ident => $response:ident, versions $min:literal ..= $max:literal, flexible none) => {
        // No version is as new as this.
        $crate::wire::api!($key: $request => $response, versions $min..=$max, flexible 32767..);
    };
    (
        $key:ident: $request:ident => $response:ident,
        versions $min:literal ..= $max:literal,
        flexible $flexible:literal .. $(,
        unstable $unstable:literal ..)? $(,
        negotiable $first:literal ..= $last:literal)?
    ) => {
        impl $crate::api::Request for $request {
            const API: $crate::api::Api = $crate::api::Api::new(
                $crate::api::ApiKey::$key,
                $crate::wire::VersionRange::new($min, $max),
                $flexible,
            )$(.unstable_from($unstable))?$(.negotiating($first, $last))?;
            type Response = $response;
        }

        impl $crate::api::Response for $response {
            type Request = $request;
        }
    };
}

pub(crate) use {api, default_of, nullable_struct, row, spec, wire};
