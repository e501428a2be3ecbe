//! What Ottla's fuzz targets do with their input: one function a target, called by libFuzzer (`fuzz/`) and, on stable, by the
//! replay of the regression corpus.
//!
//! Guarantee: every function takes any bytes, and panics when, and only when, one of the invariants it states is broken:
//! a panic is a finding. Each also watches its memory where the binary declares [`memory::PeakAlloc`] as its allocator.
//!
//! The first bytes of an input choose what the rest is taken for; every choice is a valid one, so that no input is wasted, and
//! what the golden vectors hold can be written as an input without loss.

#![allow(clippy::missing_panics_doc, reason = "panics are what a target is for")]

mod consumer_protocol;
mod frames;
mod generate;
pub mod memory;
mod messages;
mod record_batch;
pub mod replay;
mod round_trip;
mod sasl;
mod source;

pub use consumer_protocol::consumer_protocol;
pub use frames::headers_frames;
pub use messages::{Direction, Subject, decode_request, decode_response};
pub use record_batch::record_batch;
pub use round_trip::round_trip;
pub use sasl::sasl;
pub use source::Source;

/// A fuzz target: takes any bytes and panics on a finding.
pub type Target = fn(&[u8]);

/// Every target by name, but for `differential`, which needs what the workspace doesn't depend on.
pub const TARGETS: &[(&str, Target)] = &[
    ("consumer_protocol", consumer_protocol),
    ("decode_request", decode_request),
    ("decode_response", decode_response),
    ("headers_frames", headers_frames),
    ("record_batch", record_batch),
    ("round_trip", round_trip),
    ("sasl", sasl),
];
