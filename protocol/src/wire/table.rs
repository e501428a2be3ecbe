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

        impl $name {
            /// What reading and writing need to know of each field, in the table's order.
            const ROWS: &'static [$crate::wire::Row; [$(stringify!($field)),*].len()] = &[$(
                $crate::wire::Row::new(
                    stringify!($name),
                    $crate::wire::field_name(stringify!($field)),
                    $crate::wire::spec!($($($spec)+)?),
                ),
            )*];
        }

        // Inline, so that a crate which uses a handful of messages compiles that handful and no other.
        #[allow(clippy::question_mark, reason = "see `step!`")]
        impl $crate::wire::Field for $name {
            #[inline]
            fn read(&mut self, reader: &mut $crate::wire::Reader<'_>) -> $crate::wire::Step {
                let [$($field),*] = Self::ROWS;
                $($crate::wire::step!(reader.field(&mut self.$field, $field));)*
                if reader.flexible() {
                    return reader.tagged_fields(&mut self.unknown_tags, &mut |_tag, _reader| {
                        $($crate::wire::if_tagged!([$($($spec)+)?] {
                            match _reader.tagged_field(_tag, &mut self.$field, $field) {
                                Ok(false) => {}
                                read_or_failed => return read_or_failed,
                            }
                        });)*
                        Ok(false)
                    });
                }
                Ok(())
            }

            #[inline]
            fn write(&self, writer: &mut $crate::wire::Writer) -> $crate::wire::Step {
                let [$($field),*] = Self::ROWS;
                $($crate::wire::write_field!(writer, &self.$field, $field, [$($($spec)+)?] $(, $default)?);)*
                if writer.flexible() {
                    #[allow(unused_mut, reason = "most tables have no tagged field")]
                    let mut tags = writer.tagged_fields(&self.unknown_tags);
                    $($crate::wire::if_tagged!([$($($spec)+)?] {
                        let is_default = self.$field == $crate::wire::default_of!($type $(, $default)?);
                        $crate::wire::step!(tags.field(is_default, &self.$field, $field));
                    });)*
                    tags.finish();
                }
                Ok(())
            }

            #[inline]
            fn is_default(&self) -> bool {
                *self == Self::default()
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
    )+};
}

/// `?` without the conversion of errors: two thousand fields make this worth its line.
macro_rules! step {
    ($step:expr) => {
        if let Err(stopped) = $step {
            return Err(stopped);
        }
    };
}

/// Writes one field. Only one with a default of its own that some version lacks needs a comparison here.
macro_rules! write_field {
    ($writer:ident, $value:expr, $row:ident, [$($spec:tt)+], $default:expr) => {
        let can_be_left_out = $row.holds_or_ignores($writer.version()) || *$value == $default;
        $crate::wire::step!($writer.field_unless(can_be_left_out, $value, $row));
    };
    ($writer:ident, $value:expr, $row:ident, [$($spec:tt)*] $(, $default:expr)?) => {
        $crate::wire::step!($writer.field($value, $row));
    };
}

/// The code, for a bracket with `tag` in it.
macro_rules! if_tagged {
    ([] $code:block) => {};
    ([tag $($rest:tt)*] $code:block) => { $code };
    ([$first:tt $($rest:tt)*] $code:block) => { $crate::wire::if_tagged!([$($rest)*] $code) };
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

pub(crate) use {api, default_of, if_tagged, spec, step, wire, write_field};
