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
//!
//! # What hostile bytes can do
//!
//! Give a typed error that names the field and the offset, or a value; never a panic. A message that was cut off or
//! damaged takes at most twice its frame and 64 KiB of memory to decode. A frame that was made to take memory, out of
//! nothing but the smallest elements there are, takes at most 74 bytes for each of its own: so the length of frames is to
//! be bounded by whoever reads them from a socket. Decompression streams, and stops at a limit of the caller's.
//!
//! # Features
//!
//! `std` and everything below it is on by default. Without `std` the crate needs `alloc` alone.
//! - `fast-crc`: CRC-32C by the processor's instruction, else by tables;
//! - `gzip`, `snappy`, `lz4`, `zstd`: codecs of record batches, in Rust; a batch of a codec that is off is an error of its
//!   own. `zstd-simd`, off by default, makes zstd faster and the build longer;
//! - `reflect`, off by default: field tables as data.
//!
//! # What may change
//!
//! Kafka adds fields, APIs, codecs and error codes with each release. So structures are made with
//! `..Default::default()`, which every one of them has; keys and error codes are open numbers with names; and enums that
//! may grow are `#[non_exhaustive]`. Of other crates' types only [`bytes::Bytes`] is part of this one's interface.

#![cfg_attr(not(any(test, feature = "std")), no_std)]

extern crate alloc;

pub mod api;
pub mod compression;
mod crc32c;
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
