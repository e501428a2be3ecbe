//! The gates behind `cargo xtask test`: run in order up to the first that fails, with a summary either way.

mod steps;

use std::ffi::OsStr;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::repo;

pub use steps::conformance;
pub(crate) use steps::{build_quickstart, run_quickstart};

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Leave out what takes minutes: fuzzing, real brokers and the build without C.
    pub fast: bool,
    /// Only the gate, or the single integration test, of this name.
    pub suite: Option<String>,
}

/// A gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    name: &'static str,
    what: &'static str,
    slow: bool,
    run: fn() -> Result<(), String>,
}

/// How a gate went.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Passed(Duration),
    Failed(Duration, String),
    NotReached,
}

/// Runs the selected gates.
///
/// # Errors
/// The first failure; the summary has been printed by then.
pub fn test(selection: &Selection) -> Result<(), String> {
    match &selection.suite {
        None => run(steps::ALL.iter().filter(|step| !(selection.fast && step.slow)).copied()),
        Some(name) => match steps::ALL.iter().find(|step| step.name == name) {
            Some(step) => run([*step].into_iter()),
            None => steps::single(name),
        },
    }
}

/// The names that [`Selection::suite`] knows, beside those of integration tests.
pub fn names() -> impl Iterator<Item = &'static str> {
    steps::ALL.iter().map(|step| step.name)
}

/// `cargo` with arguments, in the root of the checkout.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(repo::root());
    command
}

/// Runs `command` with our own stdin, stdout and stderr.
pub(crate) fn succeed(command: &mut Command) -> Result<(), String> {
    let described = describe(command);
    println!("    {described}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{described}`: {status}")),
        Err(error) => Err(format!("`{described}`: {error}")),
    }
}

fn run(steps: impl Iterator<Item = Step>) -> Result<(), String> {
    let mut outcomes: Vec<(Step, Verdict)> = Vec::new();
    let mut failure = None;
    for step in steps {
        if failure.is_some() {
            outcomes.push((step, Verdict::NotReached));
            continue;
        }
        println!("==> {}: {}", step.name, step.what);
        let started = Instant::now();
        let verdict = match (step.run)() {
            Ok(()) => Verdict::Passed(started.elapsed()),
            Err(why) => {
                failure = Some(format!("{} failed: {why}", step.name));
                Verdict::Failed(started.elapsed(), why)
            }
        };
        println!("    {}", line(step.name, &verdict));
        outcomes.push((step, verdict));
    }
    println!("==> summary");
    for (step, verdict) in &outcomes {
        println!("    {}", line(step.name, verdict));
    }
    failure.map_or(Ok(()), Err)
}

fn line(name: &str, verdict: &Verdict) -> String {
    match verdict {
        Verdict::Passed(took) => format!("{name:<12} ok      {:7.1} s", took.as_secs_f64()),
        Verdict::Failed(took, why) => format!("{name:<12} FAILED  {:7.1} s  {why}", took.as_secs_f64()),
        Verdict::NotReached => format!("{name:<12} not run"),
    }
}

fn describe(command: &Command) -> String {
    let mut words: Vec<String> = command
        .get_envs()
        .filter_map(|(name, value)| {
            Some(format!("{}={:?}", name.to_string_lossy(), value?.to_string_lossy()))
        })
        .collect();
    words.push("cargo".to_owned());
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const fn step(name: &'static str, run: fn() -> Result<(), String>) -> Step {
        Step { name, what: "", slow: false, run }
    }

    #[test]
    fn the_first_failure_is_the_result_and_ends_the_run() {
        static LATER: AtomicUsize = AtomicUsize::new(0);
        let steps = [
            step("a", || Ok(())),
            step("b", || Err("broken".to_owned())),
            step("c", || {
                LATER.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }),
        ];
        assert_eq!(run(steps.into_iter()), Err("b failed: broken".to_owned()));
        assert_eq!(LATER.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn all_passed_is_success() {
        assert_eq!(run([step("a", || Ok(()))].into_iter()), Ok(()));
    }

    #[test]
    fn names_of_gates_are_unique() {
        let mut all: Vec<&str> = names().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
