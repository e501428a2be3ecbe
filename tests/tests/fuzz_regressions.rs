//! The fuzz targets without libFuzzer: over the inputs that are kept (`fuzz/regressions`), and over the seeds that the golden
//! vectors give.
//!
//! With `OTTLA_FUZZ_SEEDS` the seeds are written to the folder that it names: `cargo xtask fuzz seed`.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ottla_fuzzing::memory::PeakAlloc;
use ottla_fuzzing::{TARGETS, Target, replay};
use ottla_tests::fuzz_seeds;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Memory is counted for the whole process, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// The target that needs what the workspace doesn't depend on; libFuzzer alone runs over what is kept for it.
const ONLY_IN_FUZZ: &str = "differential";

/// More than any input takes in a slow build on a busy machine; a blow-up takes longer.
const SLOW: Duration = Duration::from_secs(20);

#[test]
fn every_regression_passes() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, target) in TARGETS {
        let inputs = replay::inputs(&regressions().join(name)).unwrap();
        assert!(!inputs.is_empty(), "nothing is kept for {name}");
        let found =
            findings(*target, inputs.iter().map(|(path, input)| (path.display().to_string(), &input[..])));
        assert_eq!(found, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn every_seed_passes() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = std::env::var_os("OTTLA_FUZZ_SEEDS").map(PathBuf::from);
    for (name, target) in TARGETS.iter().chain(&[(ONLY_IN_FUZZ, (|_| {}) as Target)]) {
        let seeds = fuzz_seeds::of(name).unwrap_or_else(|reason| panic!("{reason}"));
        assert!(!seeds.is_empty(), "no seeds for {name}");
        let named =
            seeds.iter().enumerate().map(|(at, seed)| (format!("{name}, seed {at}: {seed:02x?}"), &seed[..]));
        let found = findings(*target, named);
        assert_eq!(found, Vec::<String>::new(), "{name}");
        if let Some(folder) = &folder {
            let folder = folder.join(name);
            fs::create_dir_all(&folder).unwrap();
            seeds
                .iter()
                .enumerate()
                .for_each(|(at, seed)| fs::write(folder.join(format!("seed-{at:05}")), seed).unwrap());
        }
    }
}

#[test]
fn a_target_that_asserts_what_is_false_fails_the_replay() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lying: Target = |data| assert!(data.len() < 3, "{} bytes", data.len());
    let inputs =
        [("short", &[1][..]), ("long", &[1, 2, 3, 4][..])].map(|(name, input)| (name.to_owned(), input));
    assert_eq!(findings(lying, inputs), ["long: 4 bytes"]);
}

#[test]
fn every_folder_of_regressions_has_a_target() {
    let folders =
        fs::read_dir(regressions()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let unknown: Vec<String> = folders
        .filter(|folder| folder != ONLY_IN_FUZZ && !TARGETS.iter().any(|(name, _)| name == folder))
        .collect();
    assert_eq!(unknown, Vec::<String>::new());
}

#[test]
fn the_targets_are_those_that_libfuzzer_runs() {
    let folder = repository().join("fuzz/fuzz_targets");
    let mut files: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    let mut names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).chain([ONLY_IN_FUZZ]).collect();
    names.sort_unstable();
    assert_eq!(files, names);
}

/// What the target finds in these inputs, and which of them are slow.
fn findings<'a>(target: Target, inputs: impl IntoIterator<Item = (String, &'a [u8])>) -> Vec<String> {
    // A finding is reported by this function; the usual message of a panic would be one more.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let mut found = Vec::new();
    for (name, input) in inputs {
        let started = Instant::now();
        found.extend(replay::finding(target, input).map(|reason| format!("{name}: {reason}")));
        if started.elapsed() > SLOW {
            found.push(format!("{name}: takes {:?}", started.elapsed()));
        }
    }
    panic::set_hook(hook);
    found
}

fn regressions() -> PathBuf {
    repository().join("fuzz/regressions")
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
