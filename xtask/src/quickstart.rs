//! `cargo xtask quickstart`: a real Kafka for as long as the quick start example runs on it.

use crate::gates::{build_quickstart, run_quickstart};
use crate::kafka::{Cluster, Jit};

/// Starts one node of Kafka `version`, runs the example against it and stops Kafka.
///
/// # Errors
/// When the example does not build, Kafka does not start or the example fails.
pub fn run(version: &str, records: Option<&str>) -> Result<(), String> {
    let mut build = build_quickstart().map_err(|error| format!("cargo build: {error}"))?;
    let cluster = Cluster::builder().version(version).jit(Jit::Full).start();
    // Waited for in any case: its messages must not mix with ours.
    let built = build.wait().map_err(|error| format!("cargo build: {error}"))?;
    let cluster = cluster.map_err(|error| error.to_string())?;
    if !built.success() {
        return Err("the quick start example does not build".to_owned());
    }
    println!("Kafka {version} answers at {}", cluster.bootstrap());
    run_quickstart(&cluster.bootstrap(), records)
}
