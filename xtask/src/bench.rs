//! `cargo xtask bench`: Ottla next to other clients, in the package `bench/` that is no member of the workspace.

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

/// Builds the benches and runs them.
///
/// # Errors
/// When they don't build or one fails.
pub fn run(figure: Figure) -> Result<(), String> {
    let mut cargo = Command::new(env!("CARGO"));
    match figure {
        Figure::Time => cargo.args(["bench", "--bench", "protocol"]),
        Figure::Instructions => cargo.args(["run", "--release", "--bin", "count"]),
    };
    let root = repo::root();
    cargo.arg("--locked").arg("--manifest-path").arg(root.join("bench/Cargo.toml"));
    // Beside the workspace's own builds, which know other lockfiles.
    cargo.arg("--target-dir").arg(root.join("target/bench"));
    match cargo.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the benches ended with {status}")),
        Err(error) => Err(format!("cargo can't be started: {error}")),
    }
}
