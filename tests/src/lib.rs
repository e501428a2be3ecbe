//! What the suites share: golden vectors, messages as JSON, Kafka's own schemas, generated values, brokers.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod broker;
pub mod fuzz_seeds;
pub mod json;
pub mod memory;
pub mod schema;
pub mod vectors;
