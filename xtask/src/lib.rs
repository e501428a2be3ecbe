//! What the README's commands and CI call, as a library and a binary.
//!
//! [`kafka`] starts real Kafka clusters for tests and people, [`java`] runs single-file Java programs beside them, [`gates`]
//! is the list of checks behind `cargo xtask test`, [`fuzz`] and [`schema`] are two of them for longer looks, [`mod@bench`]
//! runs the benches, [`interop`] puts other people's clients on the mock, [`bans`] judges the dependency tree and [`purity`]
//! keeps clocks, tasks and chance out of the pure machines. All of it is blocking code on the standard library.
//!
//! Guarantee: whatever is started here ends with the process that started it, even when that process is killed.

#![allow(clippy::disallowed_methods)] // A tool that waits for processes reads the clock; it holds no protocol logic.

pub mod bans;
pub mod bench;
pub mod fuzz;
pub mod gates;
pub mod interop;
pub mod java;
pub mod kafka;
pub mod process;
pub mod purity;
pub mod quickstart;
pub mod repo;
pub mod schema;
pub mod sim;
pub mod tools;
