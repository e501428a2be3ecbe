//! The benchmarks of whole clients: the same records through Ottla and through others, to and from a broker that costs
//! nothing, or both ways through a real one.
//!
//! - [`settings`]: what is asked of every peer, as flags;
//! - [`load`]: the records; [`report`]: what a run is worth, as a JSON line;
//! - [`peers`]: the clients as producers, [`readers`] as consumers, [`echo`] as both; each driven as its documentation
//!   advises;
//! - [`null_broker`]: the broker;
//! - [`admin`]: topics made before a run, and records counted after it.

#![allow(clippy::disallowed_methods)] // A bench reads the clock and starts threads.

pub mod admin;
pub mod echo;
pub mod load;
pub mod null_broker;
pub mod peers;
pub mod readers;
pub mod report;
pub mod settings;

/// Any failure: benches stop at the first one.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
