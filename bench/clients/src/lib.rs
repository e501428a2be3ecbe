//! The produce benchmark: the same records through Ottla and through other clients, to a broker that stores nothing.
//!
//! - [`settings`]: what is asked of every peer, as flags;
//! - [`load`]: the records; [`report`]: what a run is worth, as a JSON line;
//! - [`peers`]: the clients, each driven as its documentation advises;
//! - [`null_broker`]: the broker;
//! - [`admin`]: topics made before a run, and records counted after it.

#![allow(clippy::disallowed_methods)] // A bench reads the clock and starts threads.

pub mod admin;
pub mod load;
pub mod null_broker;
pub mod peers;
pub mod report;
pub mod settings;

/// Any failure: benches stop at the first one.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
