//! `cargo xtask bench`: Ottla next to other clients, in the packages of `bench/` that are no members of the workspace.
//!
//! Messages and batches are timed by divan or counted by callgrind; [`produce`] runs whole producers,
//! [`consume`] whole consumers.

pub mod consume;
pub mod produce;

mod clients;
mod table;

use std::path::PathBuf;
use std::process::Command;

use crate::repo;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Times, by divan: noise unless the machine does nothing else.
    Time,
    /// Instructions, by callgrind.
    Instructions,
}

/// Builds the benches of messages and batches and runs them.
///
/// # Errors
/// When they don't build or one fails.
pub fn run(figure: Figure) -> Result<(), String> {
    match figure {
        Figure::Time => cargo(&["bench", "--bench", "protocol"]),
        Figure::Instructions => cargo(&["run", "--release", "--package", "ottla-bench", "--bin", "count"]),
    }
}

/// Cargo on `bench/`, beside the workspace's own builds, which know other lockfiles.
fn cargo(arguments: &[&str]) -> Result<(), String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(arguments).arg("--locked").arg("--manifest-path").arg(repo::root().join("bench/Cargo.toml"));
    cargo.arg("--target-dir").arg(target());
    match cargo.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("cargo {} ended with {status}", arguments.join(" "))),
        Err(error) => Err(format!("cargo can't be started: {error}")),
    }
}

/// Where benches are built.
fn target() -> PathBuf {
    repo::root().join("target/bench")
}
