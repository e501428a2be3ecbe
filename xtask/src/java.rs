//! Runs a single-file Java program (JEP 330) beside a cluster, for what only Kafka's own client can prove.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::kafka::KafkaError;
use crate::process::{self, Finished};
use crate::tools::Tool;

/// How long a program gets with [`run`].
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Compiles and runs `source` with `args` and gives back its stdout; it is killed after [`DEADLINE`].
///
/// # Errors
/// No Java, a program that does not compile or exits other than 0 (its stderr is in the error), or the deadline.
pub fn run(class_path: &str, source: &Path, args: &[&str]) -> Result<String, KafkaError> {
    run_within(DEADLINE, class_path, source, args)
}

/// [`run`] with a deadline of the caller's choice.
///
/// # Errors
/// As [`run`].
pub fn run_within(
    deadline: Duration,
    class_path: &str,
    source: &Path,
    args: &[&str],
) -> Result<String, KafkaError> {
    let mut finished = launch(deadline, class_path, source, args)?;
    if !finished.status.success() && lacks_compiler(&finished.stderr) {
        Tool::Java.install()?;
        finished = launch(deadline, class_path, source, args)?;
    }
    if finished.status.success() {
        return Ok(finished.stdout);
    }
    Err(KafkaError::ToolFailed {
        what: format!("java {}", source.display()),
        status: finished.status.to_string(),
        output: format!(
            "{}\n{}",
            process::last_lines(&finished.stdout, 20),
            process::last_lines(&finished.stderr, 40)
        ),
    })
}

fn launch(
    deadline: Duration,
    class_path: &str,
    source: &Path,
    args: &[&str],
) -> Result<Finished, KafkaError> {
    let java = Tool::Java.path()?;
    let mut command = Command::new(java);
    command
        .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xshare:auto", "-Xmx320m"])
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        .args(["-cp", class_path])
        .arg(source)
        .args(args)
        .env("MALLOC_ARENA_MAX", "2");
    process::run(&mut command, deadline)
        .map_err(|source| KafkaError::io("start java", source))?
        .ok_or_else(|| KafkaError::TookTooLong { what: format!("java {}", source.display()), deadline })
}

/// Whether a runtime complains that it has no `jdk.compiler` module, in the words of several versions.
fn lacks_compiler(stderr: &str) -> bool {
    ["not found", "not in boot Layer"]
        .iter()
        .any(|words| stderr.contains(&format!("odule jdk.compiler {words}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_without_a_compiler_is_told_from_a_program_that_fails() {
        assert!(lacks_compiler("java.lang.InternalError: Module jdk.compiler not in boot Layer"));
        assert!(lacks_compiler("java.lang.module.FindException: Module jdk.compiler not found"));
        assert!(!lacks_compiler("Nodes.java:1: error: ';' expected"));
    }
}
