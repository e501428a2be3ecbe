//! Our side: the field tables, as the comparison takes them.

use ottla_protocol::reflect::{APIS, BLOBS, FieldRow, Kind, TableRef, Value};
use ottla_protocol::wire::{FieldSpec, VersionRange};

/// All tables.
#[derive(Debug, Clone)]
pub struct Tables {
    /// Requests and responses.
    pub apis: Vec<Api>,
    /// What travels inside them, and the headers in front.
    pub others: Vec<Other>,
}

/// An API's two tables.
#[derive(Debug, Clone)]
pub struct Api {
    /// Kafka's name, without `Request` or `Response`.
    pub name: &'static str,
    /// The key.
    pub key: i16,
    /// The versions.
    pub versions: VersionRange,
    /// Those that a client negotiates.
    pub negotiable: VersionRange,
    /// The first flexible version.
    pub flexible_from: i16,
    /// The request.
    pub request: TableRef,
    /// The response.
    pub response: TableRef,
}

/// A table without an API.
#[derive(Debug, Clone)]
pub struct Other {
    /// The table.
    pub table: TableRef,
    /// The versions.
    pub versions: VersionRange,
    /// The first flexible version.
    pub flexible_from: i16,
}

impl Tables {
    /// Those of `ottla-protocol`.
    pub fn ours() -> Self {
        let apis = APIS.iter().map(|entry| Api {
            name: entry.api.key.name().unwrap_or("?"),
            key: entry.api.key.0,
            versions: entry.api.versions,
            negotiable: entry.api.negotiable,
            flexible_from: entry.api.flexible_from,
            request: entry.request.table,
            response: entry.response.table,
        });
        let blobs = BLOBS.iter().map(|blob| Other {
            table: blob.table,
            versions: blob.versions,
            flexible_from: blob.flexible_from,
        });
        Tables { apis: apis.collect(), others: blobs.chain(headers()).collect() }
    }
}

/// The headers are ordinary code in `header.rs`, which the golden vectors prove; this is what that code says, so that a
/// change in Kafka's schemas is noticed.
fn headers() -> [Other; 2] {
    const fn row(name: &'static str, kind: Kind, min: i16, default: fn() -> Value) -> FieldRow {
        let spec = FieldSpec {
            versions: VersionRange::new(min, i16::MAX),
            nullable: VersionRange::new(min, i16::MAX),
            ignorable: false,
            tag: None,
        };
        FieldRow { name, spec, kind, default }
    }
    const INT16: fn() -> Value = || Value::Int16(0);
    const INT32: fn() -> Value = || Value::Int32(0);
    const REQUEST: &[FieldRow] = &[
        row("request_api_key", Kind::Int16, 0, INT16),
        row("request_api_version", Kind::Int16, 0, INT16),
        row("correlation_id", Kind::Int32, 0, INT32),
        row("client_id", Kind::Nullable(&Kind::String), 1, || Value::String(String::new())),
    ];
    const RESPONSE: &[FieldRow] = &[row("correlation_id", Kind::Int32, 0, INT32)];
    [
        Other {
            table: TableRef { name: "RequestHeader", fields: REQUEST },
            versions: VersionRange::new(1, 2),
            flexible_from: 2,
        },
        Other {
            table: TableRef { name: "ResponseHeader", fields: RESPONSE },
            versions: VersionRange::new(0, 1),
            flexible_from: 1,
        },
    ]
}
