//! Kafka's wire protocol, written by hand: messages, record batches, compression, murmur2.
//!
//! No IO, no clock, no task: bytes in, values out, and back. Usable on its own for proxies, tools and mocks.
//!
//! - [`wire`]: primitive types, the reader and the writer, errors;
//! - [`messages`]: requests and responses, a file for each API;
//! - [`header`]: frames, and the ApiVersions exception;
//! - [`records`]: record batches; [`compression`]: their codecs; [`murmur2`]: the hash behind the partitioner;
//! - [`error_code`]: Kafka's error codes as an open table;
//! - [`sasl`]: the payloads of SaslAuthenticate; [`telemetry`]: those of PushTelemetry; [`topic_name`]: what a topic may be
//!   called.
//!
//! ```
//! use ottla_protocol::header::{decode_response, encode_request};
//! use ottla_protocol::messages::api_versions::ApiVersionsRequest;
//!
//! let request = ApiVersionsRequest { client_software_name: "ottla".into(), ..Default::default() };
//! let frame = encode_request(&request, 3, 1, Some("me"))?;
//! assert_eq!(&frame.to_bytes()[..4], [0, 18, 0, 3]);
//! let answer = decode_response::<ApiVersionsRequest>(&bytes::Bytes::from_static(&[0, 0, 0, 0, 0, 0]), 0)?;
//! assert!(answer.api_keys.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod api;
pub mod compression;
pub mod error_code;
pub mod header;
pub mod messages;
pub mod murmur2;
pub mod records;
#[cfg(feature = "reflect")]
pub mod reflect;
pub mod sasl;
pub mod telemetry;
pub mod topic_name;
pub mod uuid;
pub mod varint;
pub mod wire;
