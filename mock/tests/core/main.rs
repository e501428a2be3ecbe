//! The pure cluster, as scripts with an invented clock.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests panic where they fail, and begin now"
)]

mod admin;
mod brokers;
mod connections;
mod every_version;
mod fetch;
mod markers;
mod produce;
mod replication;
mod security;
mod wire;
