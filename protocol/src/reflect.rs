//! Field tables as data: what conformance tests, generic printers and generators walk.
//!
//! Behind the feature `reflect`, so that a plain client doesn't pay for it.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::api::{Api, Request, Response};
use crate::error_code::ErrorCode;
use crate::uuid::Uuid;
use crate::wire::{DecodeError, EncodeError, FieldSpec, Message, Reader, UnknownTags, VersionRange, Writer};

/// The type of a field, as Kafka's schemas name it.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `bool`
    Bool,
    /// `int8`
    Int8,
    /// `int16`
    Int16,
    /// `uint16`
    Uint16,
    /// `int32`
    Int32,
    /// `uint32`
    Uint32,
    /// `int64`
    Int64,
    /// `float64`
    Float64,
    /// `uuid`
    Uuid,
    /// `string`
    String,
    /// `bytes` or `records`
    Bytes,
    /// `[]T`
    Array(&'static Kind),
    /// A structure.
    Struct(TableRef),
    /// Any of the above that may be null.
    Nullable(&'static Kind),
}

/// A structure's name and rows.
#[derive(Debug, Clone, Copy)]
pub struct TableRef {
    /// The structure's name.
    pub name: &'static str,
    /// Its fields.
    pub fields: &'static [FieldRow],
}

/// One row of a field table.
#[derive(Clone, Copy)]
pub struct FieldRow {
    /// The field's name in snake case.
    pub name: &'static str,
    /// The bracket.
    pub spec: FieldSpec,
    /// The type.
    pub kind: Kind,
    /// The default.
    pub default: fn() -> Value,
}

impl fmt::Debug for FieldRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FieldRow").field("name", &self.name).field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// A value of any field.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "one variant for each Kind")]
pub enum Value {
    Null,
    Bool(bool),
    Int8(i8),
    Int16(i16),
    Uint16(u16),
    Int32(i32),
    Uint32(u32),
    Int64(i64),
    Float64(f64),
    Uuid(Uuid),
    String(String),
    Bytes(Bytes),
    Array(Vec<Value>),
    Struct(StructValue),
}

/// The fields of a structure by name, and the tags that its table doesn't know.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StructValue {
    /// Names and values in table order. A structure made from this has its default where a field is missing.
    pub fields: Vec<(String, Value)>,
    /// Unknown tags.
    pub unknown_tags: UnknownTags,
}

/// A [`Value`] that doesn't fit the type asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value doesn't fit the field: {0}")]
pub struct Mismatch(String);

impl Mismatch {
    /// With a reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Mismatch(reason.into())
    }
}

/// A type that can be seen as a [`Value`].
pub trait Reflect: Sized {
    /// The type.
    const KIND: Kind;

    /// The value.
    fn to_value(&self) -> Value;

    /// The reverse.
    ///
    /// # Errors
    /// A value of another type.
    fn from_value(value: Value) -> Result<Self, Mismatch>;
}

/// A structure made with `wire!`.
pub trait Table: Message {
    /// Its rows.
    const FIELDS: &'static [FieldRow];

    /// The values in table order.
    fn field_values(&self) -> Vec<Value>;

    /// Sets one field.
    ///
    /// # Errors
    /// An unknown name or a value of another type.
    fn set_field(&mut self, name: &str, value: Value) -> Result<(), Mismatch>;

    /// The unknown tags.
    fn unknown_tags(&self) -> &UnknownTags;

    /// The unknown tags, to be changed.
    fn unknown_tags_mut(&mut self) -> &mut UnknownTags;
}

impl<T: Table> Reflect for T {
    const KIND: Kind = Kind::Struct(TableRef { name: T::NAME, fields: T::FIELDS });

    fn to_value(&self) -> Value {
        let fields = T::FIELDS.iter().map(|row| row.name.to_owned()).zip(self.field_values()).collect();
        Value::Struct(StructValue { fields, unknown_tags: self.unknown_tags().clone() })
    }

    fn from_value(value: Value) -> Result<Self, Mismatch> {
        let Value::Struct(value) = value else { return Err(Mismatch::new(T::NAME)) };
        let mut made = T::default();
        for (name, value) in value.fields {
            made.set_field(&name, value)?;
        }
        *made.unknown_tags_mut() = value.unknown_tags;
        Ok(made)
    }
}

impl<T: Table> Reflect for Option<T> {
    const KIND: Kind = Kind::Nullable(&T::KIND);

    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_value)
    }

    fn from_value(value: Value) -> Result<Self, Mismatch> {
        if value == Value::Null { Ok(None) } else { T::from_value(value).map(Some) }
    }
}

macro_rules! scalars {
    ($($type:ty => $kind:ident, $nullable:tt;)*) => {$(
        impl Reflect for $type {
            const KIND: Kind = Kind::$kind;

            fn to_value(&self) -> Value {
                Value::$kind(self.clone())
            }

            fn from_value(value: Value) -> Result<Self, Mismatch> {
                match value {
                    Value::$kind(value) => Ok(value),
                    other => Err(Mismatch::new(format!("{} expected, not {other:?}", stringify!($kind)))),
                }
            }
        }
        scalars!(@ $nullable $type, $kind);
    )*};
    (@ no $type:ty, $kind:ident) => {};
    (@ nullable $type:ty, $kind:ident) => {
        impl Reflect for Option<$type> {
            const KIND: Kind = Kind::Nullable(&Kind::$kind);

            fn to_value(&self) -> Value {
                self.as_ref().map_or(Value::Null, Reflect::to_value)
            }

            fn from_value(value: Value) -> Result<Self, Mismatch> {
                if value == Value::Null { Ok(None) } else { <$type>::from_value(value).map(Some) }
            }
        }
    };
}

scalars! {
    bool => Bool, no;
    i8 => Int8, no;
    i16 => Int16, no;
    u16 => Uint16, no;
    i32 => Int32, no;
    u32 => Uint32, no;
    i64 => Int64, no;
    f64 => Float64, no;
    Uuid => Uuid, no;
    String => String, nullable;
    Bytes => Bytes, nullable;
}

impl Reflect for ErrorCode {
    const KIND: Kind = Kind::Int16;

    fn to_value(&self) -> Value {
        Value::Int16(self.0)
    }

    fn from_value(value: Value) -> Result<Self, Mismatch> {
        i16::from_value(value).map(ErrorCode)
    }
}

impl<T: Reflect> Reflect for Vec<T> {
    const KIND: Kind = Kind::Array(&T::KIND);

    fn to_value(&self) -> Value {
        Value::Array(self.iter().map(T::to_value).collect())
    }

    fn from_value(value: Value) -> Result<Self, Mismatch> {
        match value {
            Value::Array(values) => values.into_iter().map(T::from_value).collect(),
            other => Err(Mismatch::new(format!("an array expected, not {other:?}"))),
        }
    }
}

impl<T: Reflect> Reflect for Option<Vec<T>> {
    const KIND: Kind = Kind::Nullable(&Kind::Array(&T::KIND));

    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Reflect::to_value)
    }

    fn from_value(value: Value) -> Result<Self, Mismatch> {
        if value == Value::Null { Ok(None) } else { Vec::from_value(value).map(Some) }
    }
}

/// A message with its type forgotten: its table, and its codec over [`Value`]s.
#[derive(Debug, Clone, Copy)]
pub struct DynMessage {
    /// Name and rows.
    pub table: TableRef,
    /// The versions whose bytes the table knows.
    pub versions: VersionRange,
    /// The first flexible version; [`i16::MAX`] where none is.
    pub flexible_from: i16,
    /// The message's size in memory in bytes, without what it points to.
    pub size: usize,
    decode: fn(&mut Reader<'_>) -> Result<Value, DecodeError>,
    check: fn(&mut Reader<'_>) -> Result<(), DecodeError>,
    encode: EncodeValue,
}

type EncodeValue = fn(Value, &mut Writer) -> Result<Result<(), EncodeError>, Mismatch>;

impl DynMessage {
    /// The handle of `T`, which has these versions.
    pub const fn of<T: Table>(versions: VersionRange, flexible_from: i16) -> Self {
        DynMessage {
            table: TableRef { name: T::NAME, fields: T::FIELDS },
            versions,
            flexible_from,
            size: size_of::<T>(),
            decode: |reader| reader.message::<T>().map(|message| message.to_value()),
            check: |reader| reader.message::<T>().map(drop),
            encode: |value, writer| T::from_value(value).map(|message| writer.message(&message)),
        }
    }

    /// Whether `version` is flexible.
    pub const fn flexible(&self, version: i16) -> bool {
        version >= self.flexible_from
    }

    /// Decodes a body, which must be used up.
    ///
    /// # Errors
    /// Whatever is malformed.
    pub fn decode(&self, body: &Bytes, version: i16, flexible: bool) -> Result<Value, DecodeError> {
        let mut reader = Reader::new(body, version, flexible);
        let value = (self.decode)(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }

    /// Decodes a body, which must be used up, as its own type, and drops it: what a client does and what it costs.
    ///
    /// # Errors
    /// Whatever is malformed.
    pub fn check(&self, body: &Bytes, version: i16, flexible: bool) -> Result<(), DecodeError> {
        let mut reader = Reader::new(body, version, flexible);
        (self.check)(&mut reader)?;
        reader.finish()
    }

    /// Encodes a body.
    ///
    /// # Errors
    /// The outer one for a value that isn't this message's, the inner one for what the version can't express.
    pub fn encode(
        &self,
        value: Value,
        version: i16,
        flexible: bool,
    ) -> Result<Result<Bytes, EncodeError>, Mismatch> {
        let mut writer = Writer::new(version, flexible);
        let written = (self.encode)(value, &mut writer)?;
        Ok(written.and_then(|()| writer.finish()).map(|frame| frame.to_bytes()))
    }
}

/// An API with the types of its messages forgotten.
#[derive(Debug, Clone, Copy)]
pub struct DynApi {
    /// Key and versions.
    pub api: Api,
    /// The request.
    pub request: DynMessage,
    /// The response.
    pub response: DynMessage,
}

impl DynApi {
    pub(crate) const fn of<R>() -> Self
    where
        R: Request + Table,
        R::Response: Response + Table,
    {
        let Api { versions, flexible_from, .. } = R::API;
        DynApi {
            api: R::API,
            request: DynMessage::of::<R>(versions, flexible_from),
            response: DynMessage::of::<R::Response>(versions, flexible_from),
        }
    }
}

pub use crate::messages::{APIS, BLOBS};
