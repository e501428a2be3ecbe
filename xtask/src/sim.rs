//! `cargo xtask sim`: seeded runs of the clients on a cluster in memory; and the gate that runs their tests.

use std::process::Command;

use crate::gates::{cargo, succeed};
use crate::repo;

/// Runs so many seeds from `start` on, and prints the histories of those that fail.
///
/// # Errors
/// When the simulation does not build, or a seed fails.
pub fn run(seeds: Option<&str>, start: Option<&str>, print: bool) -> Result<(), String> {
    let mut command = seeded(&["run", "--quiet", "--profile", "sim", "--package", "ottla-sim", "--"]);
    if let Some(seeds) = seeds {
        command.args(["--seeds", seeds]);
    }
    if let Some(start) = start {
        command.args(["--start", start]);
    }
    if print {
        command.arg("--print");
    }
    succeed(&mut command)
}

/// Runs the tests of the simulation, among them thousands of seeds.
///
/// # Errors
/// When they do not build, or one fails.
pub(crate) fn gate() -> Result<(), String> {
    succeed(&mut seeded(&[
        "test",
        "--profile",
        "sim",
        "--package",
        "ottla-sim",
        "--lib",
        "--bins",
        "--tests",
    ]))
}

/// A build in which tokio takes a seed, so that a run replays exactly: what a test finds, `cargo xtask sim` shows. All
/// dependencies are built for it, beside the other builds.
fn seeded(arguments: &[&str]) -> Command {
    let mut command = cargo(arguments);
    command.env("RUSTFLAGS", "--cfg tokio_unstable").env("CARGO_TARGET_DIR", repo::target().join("sim"));
    command
}
