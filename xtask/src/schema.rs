//! `cargo xtask schema`: our field tables against the schemas in a Kafka version's `kafka-clients` jar.
//!
//! The comparison itself is the suites' (`tests/src/schema.rs`), which need the tables; this builds and runs it.

use crate::gates::cargo;

/// Prints what differs from Kafka `version`; none is the one that the tables follow.
///
/// # Errors
/// When something differs, or nothing could be compared.
pub fn run(version: Option<&str>) -> Result<(), String> {
    let mut command = cargo(&["run", "--quiet", "--package", "ottla-tests", "--bin", "schema", "--"]);
    let status = command.args(version).status().map_err(|error| format!("cargo run: {error}"))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(1) => Err("the tables and Kafka's schemas differ".to_owned()),
        _ => Err(format!("the schemas could not be compared: {status}")),
    }
}
