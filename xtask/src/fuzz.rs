//! Builds and runs the fuzz targets of `fuzz/`: by hand for as long as one likes, and in the gates for seconds.
//!
//! libFuzzer is built from C++ by libfuzzer-sys, and coverage comes from stable flags of rustc (`fuzz/instrument.sh`), so a C++
//! compiler is all that is needed beside the toolchain: neither nightly nor cargo-fuzz. There is no AddressSanitizer: our code
//! forbids `unsafe`, so there is nothing of ours that it could find, and building and running without it is twice as fast.
//!
//! Guarantee: a machine on which nothing can be fuzzed is told so, with the reason, and a finding names its input.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use crate::gates::{cargo, succeed};
use crate::{process, repo, tools};

/// The longest input that is tried, and the longest seed.
const MAX_LEN: usize = 64 * 1024;

/// Seeds for one target of the smoke, the shortest ones: reading them is no part of a run's seconds.
const SMOKE_SEEDS: usize = 1500;

/// Seconds for one target of the smoke.
const SMOKE_SECONDS: u64 = 10;

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Seconds for each target.
    pub seconds: u64,
    /// How many targets run at once; as many as there are processors by default.
    pub jobs: usize,
    /// Their names; none means all.
    pub targets: Vec<String>,
}

impl Default for Plan {
    fn default() -> Self {
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        Plan { seconds: 60, jobs, targets: Vec::new() }
    }
}

/// What a target reads and writes.
#[derive(Clone, Debug)]
struct Inputs {
    /// Where what it finds new is kept.
    corpus: PathBuf,
    /// Files to begin with.
    seeds: Vec<PathBuf>,
}

/// Builds the targets and runs those of the plan over their corpora.
///
/// # Errors
/// The findings with their inputs; a target that isn't there; a build that fails, or can't be on this machine.
pub fn run(plan: &Plan) -> Result<(), String> {
    if let Some(why) = obstacle() {
        return Err(why);
    }
    let targets = chosen(&plan.targets)?;
    seed_if_missing();
    let inputs = |target: &str| {
        let corpus = folder("corpus").join(target);
        let mut seeds = files(&folder("regressions").join(target))?;
        seeds.extend(files(&corpus)?);
        Ok(Inputs { corpus, seeds })
    };
    all(plan, &targets, inputs)
}

/// The gate: every target for a few seconds, from the regressions and the shortest seeds, and nothing of it is kept.
///
/// # Errors
/// As [`run`], but for a machine without C++ compiler, which is told and passes.
pub fn smoke() -> Result<(), String> {
    if let Some(why) = obstacle() {
        println!("    SKIPPED, nothing was fuzzed: {why}");
        return Ok(());
    }
    seed_if_missing();
    let fresh = fresh_folder()?;
    let inputs = |target: &str| {
        let mut shortest = files(&folder("corpus").join(target))?;
        shortest.sort_by_key(|path| fs::metadata(path).map_or(u64::MAX, |metadata| metadata.len()));
        shortest.truncate(SMOKE_SEEDS);
        let mut seeds = files(&folder("regressions").join(target))?;
        seeds.append(&mut shortest);
        Ok(Inputs { corpus: fresh.path().join(target), seeds })
    };
    all(&Plan { seconds: SMOKE_SECONDS, ..Plan::default() }, &targets()?, inputs)
}

/// Writes the seeds that the golden vectors give into `fuzz/corpus`, after a run of the targets over them on stable.
///
/// # Errors
/// A seed that is a finding, or no vectors.
pub fn seed() -> Result<(), String> {
    // The features are those of the other gates, so that nothing is built twice.
    let mut command = cargo(&["test", "--workspace", "--all-features", "--test", "fuzz_regressions"]);
    succeed(command.args(["--", "--exact", "every_seed_passes"]).env("OTTLA_FUZZ_SEEDS", folder("corpus")))
}

/// Why nothing can be fuzzed here.
fn obstacle() -> Option<String> {
    let compiler = env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let found = Path::new(&compiler).is_file() || tools::find(&compiler).is_some();
    if !found {
        return Some(format!(
            "libFuzzer is C++, and there is no compiler `{compiler}` in PATH; on Debian or Ubuntu: apt-get install g++"
        ));
    }
    (!cfg!(unix)).then(|| "the targets are built with a shell script, for Linux and macOS".to_owned())
}

/// The names of all targets, which are the files of `fuzz/fuzz_targets`.
fn targets() -> Result<Vec<String>, String> {
    let files = files(&folder("fuzz_targets"))?;
    let names = files.iter().filter_map(|path| path.file_stem()?.to_str().map(str::to_owned));
    Ok(names.collect())
}

fn chosen(asked: &[String]) -> Result<Vec<String>, String> {
    let all = targets()?;
    match asked.iter().find(|name| !all.contains(name)) {
        Some(unknown) => Err(format!("there is no target `{unknown}`; there are: {}", all.join(" "))),
        None if asked.is_empty() => Ok(all),
        None => Ok(asked.to_vec()),
    }
}

fn seed_if_missing() {
    if !folder("corpus").is_dir()
        && let Err(why) = seed()
    {
        println!("    no seeds, so only the regressions to begin with: {why}");
    }
}

fn all(
    plan: &Plan,
    targets: &[String],
    inputs: impl Fn(&str) -> Result<Inputs, String>,
) -> Result<(), String> {
    let binaries = build()?;
    let mut findings = Vec::new();
    for group in targets.chunks(plan.jobs.max(1)) {
        let mut running = Vec::new();
        for target in group {
            running.push(Run::start(target, &binaries.join(target), plan.seconds, &inputs(target)?)?);
        }
        for run in running {
            findings.extend(run.finish()?);
        }
    }
    if findings.is_empty() { Ok(()) } else { Err(findings.join("\n")) }
}

/// Builds all targets and says where they are.
fn build() -> Result<PathBuf, String> {
    let target_dir = repo::target().join("fuzz");
    let mut command = cargo(&["build", "--release", "--locked", "--manifest-path"]);
    command.arg(folder("Cargo.toml")).arg("--target-dir").arg(&target_dir);
    succeed(command.env("RUSTC_WRAPPER", folder("instrument.sh")))?;
    Ok(target_dir.join("release"))
}

/// A target that runs.
struct Run {
    target: String,
    binary: PathBuf,
    child: Child,
    log: PathBuf,
}

impl Run {
    fn start(target: &str, binary: &Path, seconds: u64, inputs: &Inputs) -> Result<Run, String> {
        let artifacts = folder("artifacts").join(target);
        let logs = repo::target().join("fuzz").join("logs");
        for made in [&artifacts, &inputs.corpus, &logs] {
            fs::create_dir_all(made).map_err(|error| format!("{}: {error}", made.display()))?;
        }
        let list = logs.join(format!("{target}.seeds"));
        let names: Vec<String> = inputs.seeds.iter().map(|path| path.display().to_string()).collect();
        write(&list, &names.join(","))?;
        let log = logs.join(format!("{target}.log"));
        let output = fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let errors = output.try_clone().map_err(|error| format!("{}: {error}", log.display()))?;
        let mut command = Command::new(binary);
        command.arg(&inputs.corpus).args([
            format!("-max_total_time={seconds}"),
            format!("-max_len={MAX_LEN}"),
            format!("-artifact_prefix={}/", artifacts.display()),
            "-timeout=10".to_owned(),
            "-rss_limit_mb=2048".to_owned(),
            "-print_final_stats=1".to_owned(),
        ]);
        if !names.is_empty() {
            command.arg(format!("-seed_inputs=@{}", list.display()));
        }
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        let child = child.map_err(|error| format!("{}: {error}", binary.display()))?;
        Ok(Run { target: target.to_owned(), binary: binary.to_owned(), child, log })
    }

    /// Waits for its end; gives its finding.
    fn finish(mut self) -> Result<Option<String>, String> {
        let status = self.child.wait().map_err(|error| format!("{}: {error}", self.target))?;
        let text = fs::read(&self.log).map_err(|error| format!("{}: {error}", self.log.display()))?;
        let text = String::from_utf8_lossy(&text);
        if status.success() {
            println!("    {:<18} {}", self.target, statistics(&text));
            return Ok(None);
        }
        Ok(Some(self.finding(status, &text)))
    }

    fn finding(&self, status: ExitStatus, text: &str) -> String {
        let why = reason(text);
        let input = artifact(text).unwrap_or("none");
        format!(
            "{}: {status}; the input: {input}\n{why}\n    make it small: {} -minimize_crash=1 -max_total_time=60 {input}\n\
             \x20   then keep it in fuzz/regressions/{}/",
            self.target,
            self.binary.display(),
            self.target,
        )
    }
}

/// What libFuzzer says at the end, in a line.
fn statistics(text: &str) -> String {
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name));
        line.map_or("?", |rest| rest.trim_start_matches([':', ' ']).trim())
    };
    let covered = text.lines().rev().find_map(|line| line.split_once(" cov: ")?.1.split_whitespace().next());
    format!(
        "{} runs, {} a second, {} edges, {} new inputs, {} MB",
        number("number_of_executed_units"),
        number("average_exec_per_sec"),
        covered.unwrap_or("?"),
        number("new_units_added"),
        number("peak_rss_mb"),
    )
}

/// What a panic says, or else what libFuzzer says last.
fn reason(text: &str) -> String {
    let from_panic = text.lines().skip_while(|line| !line.contains("panicked at"));
    let said: Vec<&str> = from_panic
        .take_while(|line| {
            !line.starts_with("stack backtrace") && !line.starts_with("note:") && !line.starts_with("==")
        })
        .take(12)
        .collect();
    if said.is_empty() { process::last_lines(text, 12) } else { said.join("\n") }
}

/// The input that libFuzzer has written for a finding.
fn artifact(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, path)| path.trim())
}

/// A folder or file of `fuzz/`.
fn folder(name: &str) -> PathBuf {
    repo::root().join("fuzz").join(name)
}

/// The files in a folder in the order of their names; none where there is no folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let trouble = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(trouble)? {
        let path = entry.map_err(trouble)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn fresh_folder() -> Result<tempfile::TempDir, String> {
    let parent = repo::target().join("fuzz");
    fs::create_dir_all(&parent)
        .and_then(|()| tempfile::Builder::new().prefix("smoke-").tempdir_in(&parent))
        .map_err(|error| format!("a folder for what the smoke finds: {error}"))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
#4033\tINITED cov: 1200 ft: 5000 corp: 900/30Kb exec/s: 0 rss: 60Mb
#9000\tDONE   cov: 1234 ft: 5678 corp: 999/40Kb lim: 4096 exec/s: 900 rss: 70Mb
Done 9000 runs in 10 second(s)
stat::number_of_executed_units: 9000
stat::average_exec_per_sec:     900
stat::new_units_added:          12
stat::slowest_unit_time_sec:    0
stat::peak_rss_mb:              70
";

    #[test]
    fn a_run_is_told_in_a_line() {
        assert_eq!(statistics(LOG), "9000 runs, 900 a second, 1234 edges, 12 new inputs, 70 MB");
    }

    #[test]
    fn a_finding_names_its_input() {
        let text = "panicked\nartifact_prefix='a/'; Test unit written to a/crash-1\nBase64: AA==\n";
        assert_eq!((artifact(text), artifact(LOG)), (Some("a/crash-1"), None));
    }

    #[test]
    fn a_finding_is_told_in_the_words_of_its_panic() {
        let text =
            "INFO: x\nthread '<unnamed>' panicked at a.rs:1:2:\nleft\nright\nstack backtrace:\n 0: f\nDone\n";
        assert_eq!(reason(text), "thread '<unnamed>' panicked at a.rs:1:2:\nleft\nright");
        assert_eq!(
            reason("ALARM: working on the last Unit\n"),
            process::last_lines("ALARM: working on the last Unit\n", 12)
        );
    }

    #[test]
    fn an_unknown_target_is_refused_and_none_means_all() {
        let all = targets().unwrap();
        assert!(all.contains(&"differential".to_owned()) && all.len() >= 8, "{all:?}");
        assert_eq!(chosen(&[]), Ok(all.clone()));
        assert_eq!(chosen(&all[1..2]), Ok(all[1..2].to_vec()));
        assert!(
            chosen(&["nothing".to_owned()])
                .unwrap_err()
                .starts_with("there is no target `nothing`; there are: ")
        );
    }

    #[test]
    fn every_target_is_a_binary_of_the_manifest() {
        let manifest = fs::read_to_string(folder("Cargo.toml")).unwrap();
        for target in targets().unwrap() {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
        }
    }
}
