//! `cargo xtask sim`: seeded runs of the clients on a cluster in memory, in release mode.

use crate::gates::{cargo, succeed};
use crate::repo;

/// Runs so many seeds from `start` on, and prints the histories of those that fail.
///
/// # Errors
/// When the simulation does not build, or a seed fails.
pub fn run(seeds: Option<&str>, start: Option<&str>, print: bool) -> Result<(), String> {
    let mut command = cargo(&["run", "--quiet", "--release", "--package", "ottla-sim", "--"]);
    // Lets tokio take a seed, so that a run replays exactly. All dependencies are built for it, beside the other builds.
    command.env("RUSTFLAGS", "--cfg tokio_unstable").env("CARGO_TARGET_DIR", repo::target().join("sim"));
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
