//! Feeds lines to judges under a deadline, counts, prints.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use ottla_tests::vectors;
use serde_json::{Value as Json, json};

/// What became of a line.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Both ways are right.
    Passed,
    /// Why it is wrong.
    Failed(String),
    /// What Ottla doesn't have yet.
    NotYet(String),
    /// An option that Ottla doesn't offer on purpose, with the reason: not judged, and so not passed.
    NotOffered(String),
}

impl From<Result<(), String>> for Outcome {
    fn from(result: Result<(), String>) -> Self {
        result.map_or_else(Outcome::Failed, |()| Outcome::Passed)
    }
}

/// A file of vectors, or the folder `bombs`, with its judge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Suite<'a> {
    /// The file's name without its ending.
    pub(crate) file: &'a str,
    /// Judges one line.
    pub(crate) judge: fn(&Json) -> Outcome,
}

/// The longest that one line may take. Unoptimized code on a busy machine gets ten times what an optimized build gets.
const DEADLINE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });
/// What a file of vectors is named after its name.
const ENDING: &str = ".jsonl.gz";
/// How many failures of a file are printed.
const SHOWN: usize = 8;

static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

#[derive(Default)]
struct Tally {
    passed: usize,
    failures: Vec<(String, String)>,
    not_yet: BTreeMap<String, usize>,
    not_offered: BTreeMap<String, usize>,
}

struct Options {
    filters: Vec<String>,
    all: bool,
}

/// Runs the suites that the command line asks for.
pub(crate) fn run(suites: &[Suite<'_>]) -> ExitCode {
    let (flags, filters): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    if flags.iter().any(|flag| flag == "--list") {
        suites.iter().for_each(|suite| println!("{}: test", suite.file));
        return ExitCode::SUCCESS;
    }
    let options = Options { filters, all: flags.iter().any(|flag| flag == "--all") };
    let folder = match vectors::folder() {
        Ok(folder) => folder,
        Err(reason) => {
            eprintln!("{reason}");
            println!("0 passed, 1 failed");
            return ExitCode::FAILURE;
        }
    };
    std::panic::set_hook(Box::new(|info| *LAST_PANIC.lock().unwrap() = info.to_string()));
    println!(
        "{:<20} {:>8} {:>8} {:>18} {:>12}",
        "file", "passed", "failed", "not yet supported", "not offered"
    );
    let mut passed = 0;
    let mut failed = 0;
    let mut apart: (usize, usize) = (0, 0);
    let mut details = String::new();
    let unknown = unknown_files(&folder, suites);
    let not_judged = unknown
        .iter()
        .map(|file| Suite { file, judge: |_| Outcome::NotYet("no judge for this file".into()) });
    for suite in suites.iter().copied().chain(not_judged) {
        let Some(tally) = run_suite(suite, &folder, suites, &options) else { continue };
        let sum = |counted: &BTreeMap<String, usize>| counted.values().sum::<usize>();
        let (not_yet, not_offered) = (sum(&tally.not_yet), sum(&tally.not_offered));
        let (file, failures) = (suite.file, tally.failures.len());
        println!("{file:<20} {:>8} {failures:>8} {not_yet:>18} {not_offered:>12}", tally.passed);
        apart.0 += not_yet;
        apart.1 += not_offered;
        passed += tally.passed;
        failed += tally.failures.len();
        details += &describe(suite.file, &tally, &options);
    }
    print!("{details}");
    if passed + failed == 0 && options.filters.is_empty() {
        println!("\n{} holds no vectors", folder.display());
        failed = 1;
    }
    let (not_yet, not_offered) = apart;
    println!("\n{passed} passed, {failed} failed ({not_yet} not yet supported, {not_offered} not offered)");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn describe(file: &str, tally: &Tally, options: &Options) -> String {
    let mut text = String::new();
    for (title, counted) in [("not yet supported", &tally.not_yet), ("not offered", &tally.not_offered)] {
        if !counted.is_empty() {
            let what: Vec<String> = counted.iter().map(|(what, lines)| format!("{what} ({lines})")).collect();
            text += &format!("\n{file}, {title}: {}\n", what.join(", "));
        }
    }
    let shown = if options.all { usize::MAX } else { SHOWN };
    if !tally.failures.is_empty() {
        text += &format!("\n{file}, failed:\n");
    }
    for (id, reason) in tally.failures.iter().take(shown) {
        text += &format!("  {id}\n      {reason}\n");
    }
    if tally.failures.len() > shown {
        text += &format!("  and {} more (`--all` prints them)\n", tally.failures.len() - shown);
    }
    text
}

/// `None` for a file that isn't asked for, or isn't there.
fn run_suite(suite: Suite<'_>, folder: &Path, suites: &[Suite<'_>], options: &Options) -> Option<Tally> {
    let mut tally = Tally::default();
    // A filter that is a file's name chooses files; any other chooses lines by their ids.
    let (files, ids): (Vec<&String>, Vec<&String>) =
        options.filters.iter().partition(|filter| suites.iter().any(|suite| suite.file == *filter));
    if !files.is_empty() && !files.iter().any(|file| *file == suite.file) {
        return None;
    }
    let cases = match cases(suite.file, folder) {
        Ok(cases) => cases?,
        Err(reason) => {
            tally.failures.push((suite.file.to_owned(), reason));
            return Some(tally);
        }
    };
    let numbered = cases.into_iter().enumerate().map(|(i, case)| (id_of(&case, i + 1), case));
    let chosen: Vec<(String, Json)> =
        numbered.filter(|(id, _)| ids.is_empty() || ids.iter().any(|part| id.contains(*part))).collect();
    if chosen.is_empty() {
        return None;
    }
    let mut names: Vec<String> = chosen.iter().map(|(id, _)| id.clone()).collect();
    let outcomes = judge_all(suite.judge, chosen);
    names.reverse();
    while let Some(id) = names.pop() {
        match outcomes.recv_timeout(6 * DEADLINE) {
            Ok(Outcome::Passed) => tally.passed += 1,
            Ok(Outcome::Failed(reason)) => tally.failures.push((id, reason)),
            Ok(Outcome::NotYet(what)) => *tally.not_yet.entry(what).or_default() += 1,
            Ok(Outcome::NotOffered(why)) => *tally.not_offered.entry(why).or_default() += 1,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                tally.failures.push((id, format!("hangs; {} lines after it did not run", names.len())));
                break;
            }
        }
    }
    Some(tally)
}

/// Judges the lines in order on a thread of its own, so that one that hangs is found out.
fn judge_all(judge: fn(&Json) -> Outcome, cases: Vec<(String, Json)>) -> Receiver<Outcome> {
    let (sender, receiver) = sync_channel(64);
    std::thread::spawn(move || {
        for (_, case) in cases {
            let begun = Instant::now();
            let outcome = catch_unwind(AssertUnwindSafe(|| judge(&case))).unwrap_or_else(panicked);
            let took = begun.elapsed();
            let outcome = match outcome {
                Outcome::Passed if took > DEADLINE => Outcome::Failed(format!("took {took:?}")),
                outcome => outcome,
            };
            if sender.send(outcome).is_err() {
                return;
            }
        }
    });
    receiver
}

fn panicked(_payload: Box<dyn Any + Send>) -> Outcome {
    Outcome::Failed(format!("panics: {}", LAST_PANIC.lock().unwrap()))
}

/// The lines of a file, or the files of a folder; `None` if there is neither.
fn cases(file: &str, folder: &Path) -> Result<Option<Vec<Json>>, String> {
    let place = folder.join(file);
    let packed = folder.join(format!("{file}{ENDING}"));
    if packed.is_file() {
        return vectors::lines(&packed).map(Some);
    }
    if !place.is_dir() {
        println!("{file:<20} {:>8}", "absent");
        return Ok(None);
    }
    let entries = std::fs::read_dir(&place).map_err(|error| format!("{}: {error}", place.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let case = |path: &PathBuf| json!({ "id": path.file_stem().unwrap().to_string_lossy(), "path": path });
    Ok(Some(paths.iter().map(case).collect()))
}

/// Files of vectors that no suite judges.
fn unknown_files(folder: &Path, suites: &[Suite<'_>]) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let names =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(ENDING)?.to_owned()));
    names.filter(|name| !suites.iter().any(|suite| suite.file == name)).collect()
}

/// The id of a line, or what else tells it apart.
fn id_of(case: &Json, line: usize) -> String {
    let text = |key: &str| case.get(key).and_then(Json::as_str);
    match (text("id"), text("kind")) {
        (Some(id), _) => id.to_owned(),
        (None, Some(kind)) => format!("{kind}, line {line}"),
        (None, None) => format!("line {line}"),
    }
}
