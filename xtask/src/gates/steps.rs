//! What each gate runs.
//!
//! Integration tests are sorted by name: `conformance`, `sim` and what starts with `broker` (and this crate's own `kafka`)
//! have gates of their own, all others run with the unit tests.

use std::thread;

use serde_json::Value;

use super::{Step, cargo, succeed};
use crate::{bans, fuzz, repo, sim};

pub(super) const ALL: &[Step] = &[
    Step { name: "fmt", what: "formatting", slow: false, run: fmt },
    Step { name: "clippy", what: "lints, as errors", slow: false, run: clippy },
    Step { name: "doc", what: "documentation, warnings as errors", slow: false, run: doc },
    Step { name: "bans", what: "dependencies, licences, sources", slow: false, run: bans::check },
    Step { name: "unit", what: "unit and property tests", slow: false, run: unit },
    Step { name: "sim", what: "seeded runs on a cluster in memory", slow: false, run: sim::gate },
    Step { name: "doctest", what: "examples in the documentation", slow: false, run: doctest },
    Step { name: "features", what: "every feature on its own", slow: false, run: features },
    Step { name: "conformance", what: "Kafka's schemas and bytes", slow: false, run: conformance_gate },
    Step { name: "fuzz", what: "fuzz targets, seconds each", slow: true, run: fuzz::smoke },
    Step { name: "brokers", what: "real Kafka, and its Java client on the mock", slow: true, run: brokers },
    Step { name: "no-c", what: "a build from nothing without a C compiler", slow: true, run: no_c },
];

/// Runs the conformance suite, with `arguments` passed on to it.
///
/// # Errors
/// When it fails.
pub fn conformance(arguments: &[String]) -> Result<(), String> {
    let mut command = cargo(&["test", "--workspace", "--all-features", "--test", "conformance"]);
    if !arguments.is_empty() {
        command.arg("--").args(arguments);
    }
    succeed(&mut command)
}

/// Runs one integration test of any crate.
pub(super) fn single(name: &str) -> Result<(), String> {
    let known = integration_tests()?;
    if known.iter().any(|test| test == name) {
        return tests(&["--test".to_owned(), name.to_owned()]);
    }
    let gates: Vec<&str> = super::names().collect();
    Err(format!("no suite `{name}`; gates: {}; tests: {}", gates.join(", "), known.join(", ")))
}

fn fmt() -> Result<(), String> {
    succeed(&mut cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> Result<(), String> {
    succeed(&mut cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"]))
}

fn doc() -> Result<(), String> {
    succeed(cargo(&["doc", "--workspace", "--no-deps", "--all-features"]).env("RUSTDOCFLAGS", "-D warnings"))
}

fn unit() -> Result<(), String> {
    let mut selection = vec!["--lib".to_owned(), "--bins".to_owned()];
    let is_unit = |test: &String| !needs_a_broker(test) && !["conformance", "sim"].contains(&test.as_str());
    for test in integration_tests()?.into_iter().filter(is_unit) {
        selection.extend(["--test".to_owned(), test]);
    }
    tests(&selection)
}

fn doctest() -> Result<(), String> {
    tests(&["--doc".to_owned()])
}

fn features() -> Result<(), String> {
    // Nothing of `std` is at hand there, so this compiles only if nothing of it is named.
    succeed(&mut cargo(&["check", "--package", "ottla-protocol", "--no-default-features"]))?;
    // The mock's core, without its drivers.
    succeed(&mut cargo(&["check", "--package", "ottla-mock", "--no-default-features"]))?;
    let check = ["check", "--package", "ottla", "--no-default-features"];
    succeed(&mut cargo(&check))?;
    for feature in ["gzip", "snappy", "lz4", "zstd", "zstd-simd", "json", "metrics", "mock", "signal"] {
        succeed(cargo(&check).args(["--features", feature]))?;
    }
    Ok(())
}

fn conformance_gate() -> Result<(), String> {
    conformance(&[])
}

fn brokers() -> Result<(), String> {
    let mut selection = Vec::new();
    for test in integration_tests()?.into_iter().filter(|test| needs_a_broker(test)) {
        selection.extend(["--test".to_owned(), test]);
    }
    tests(&selection)
}

fn no_c() -> Result<(), String> {
    let parent = repo::target().join("xtask");
    let fresh = std::fs::create_dir_all(&parent)
        .and_then(|()| tempfile::Builder::new().prefix("no-c-").tempdir_in(&parent))
        .map_err(|error| format!("an empty target directory: {error}"))?;
    succeed(
        cargo(&["build", "--workspace", "--all-features", "--target-dir"])
            .arg(fresh.path())
            .env("CC", "/bin/false")
            .env("CXX", "/bin/false"),
    )
}

/// Every test gate uses the same features of the whole workspace, so that nothing is built twice.
fn tests(selection: &[String]) -> Result<(), String> {
    // Each broker test may run three JVMs: more than four tests at once is memory, not speed.
    let threads = thread::available_parallelism().map_or(2, usize::from).clamp(2, 4);
    let mut command = cargo(&["test", "--workspace", "--all-features"]);
    command.args(selection);
    if selection.iter().any(|name| needs_a_broker(name)) {
        command.env("RUST_TEST_THREADS", threads.to_string());
    }
    succeed(&mut command)
}

fn needs_a_broker(test: &str) -> bool {
    test.starts_with("broker") || test == "kafka"
}

fn integration_tests() -> Result<Vec<String>, String> {
    let output = cargo(&["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let metadata =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    Ok(test_targets(&metadata))
}

fn test_targets(metadata: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut names: Vec<String> = list(&metadata["packages"])
        .iter()
        .flat_map(|package| list(&package["targets"]))
        .filter(|target| list(&target["kind"]).contains(&Value::from("test")))
        .filter_map(|target| target["name"].as_str().map(str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Builds and runs the quick start against `bootstrap`, in release mode.
pub(crate) fn run_quickstart(bootstrap: &str, records: Option<&str>) -> Result<(), String> {
    let mut command =
        cargo(&["run", "--quiet", "--release", "--package", "ottla", "--example", "quickstart"]);
    command.args(["--", "--bootstrap", bootstrap]);
    if let Some(records) = records {
        command.args(["--records", records]);
    }
    succeed(&mut command)
}

/// Starts building the quick start, so that Kafka can start meanwhile.
pub(crate) fn build_quickstart() -> std::io::Result<std::process::Child> {
    cargo(&["build", "--release", "--package", "ottla", "--example", "quickstart"]).spawn()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn test_targets_of_all_packages_are_found_once() {
        let metadata = json!({"packages": [
            {"targets": [{"name": "ottla", "kind": ["lib"]}, {"name": "broker_group", "kind": ["test"]}]},
            {"targets": [{"name": "kafka", "kind": ["test"]}, {"name": "broker_group", "kind": ["test"]}]},
        ]});
        assert_eq!(test_targets(&metadata), ["broker_group", "kafka"]);
    }

    #[test]
    fn only_brokers_and_this_crates_own_suite_need_a_broker() {
        let needing: Vec<&str> = ["broker", "broker_faults", "conformance", "kafka", "vectors"]
            .into_iter()
            .filter(|name| needs_a_broker(name))
            .collect();
        assert_eq!(needing, ["broker", "broker_faults", "kafka"]);
    }
}
