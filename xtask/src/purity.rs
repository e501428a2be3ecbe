//! Keeps tasks, clocks and chance out of the pure machines: a walk over the sources of the library's crates.
//!
//! Clippy's `disallowed_methods` knows paths of functions; this knows files, and so also notices a `use tokio::…`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::repo;

/// Folders whose files are judged.
pub const ROOMS: &[&str] = &["protocol/src", "client/src", "producer/src", "consumer/src", "mock/src"];

/// File names that are drivers wherever they stand; so is every file in a folder of such a name.
pub const DRIVERS: &[&str] = &["driver.rs", "task.rs", "transport.rs", "driver", "bin"];

/// What only drivers may name.
pub const IMPURE: &[&str] = &["tokio::", "Instant::now", "SystemTime::now", "fastrand", "thread_rng"];

/// What anybody may name although it holds an impure word: a generator that follows from a seed.
const SEEDED: &[&str] = &["fastrand::Rng::with_seed", "fastrand::Rng"];

/// Further files that may, each with the reason.
pub const FACADES: &[(&str, &str)] = &[
    ("client/src/net/connection.rs", "the handle of a connection's task: the channels between the two"),
    ("client/src/net/dial.rs", "the dial trait, in terms of asynchronous streams"),
    ("client/src/net/line.rs", "a connection's stream, polled by whoever writes and by its task"),
    ("client/src/net/tcp.rs", "TCP for the dial trait"),
    (
        "client/src/net/wire.rs",
        "what a connection's handles and its task share: the stream and the task's timer",
    ),
    ("client/src/runtime.rs", "where drivers get clock, chance and tasks from"),
    (
        "consumer/src/commit/mod.rs",
        "the handle of commits: the turn they wait for, and the membership they watch",
    ),
    ("consumer/src/consumer/run.rs", "the loop that a shutdown ends: waits for the record in work"),
    ("consumer/src/consumer/streams.rs", "the facade of partition streams: starts a task for each"),
    ("consumer/src/shutdown.rs", "the handle of a shutdown: whoever waits for it, and the system's signals"),
    (
        "consumer/src/fetch/jobs.rs",
        "the jobs of the fetch task: keeps them, and hears when one ends or panics",
    ),
    ("consumer/src/streams/stream.rs", "a partition's stream: gives way to other tasks of its thread"),
    (
        "consumer/src/streams/slot.rs",
        "what a stream's holder and its consumer share: the notice that it is released",
    ),
    ("consumer/src/group/handle.rs", "the handle of a group's task: the channels between the two"),
    ("producer/src/producer.rs", "the facade: waits for metadata and room"),
    ("producer/src/producer/life.rs", "the facade's questions to the producer's task"),
    ("producer/src/producer/start.rs", "where the producer's task is started"),
    ("producer/src/runtime.rs", "where the driver and the facade get clock, chance and tasks from"),
];

/// An impure word in a file that should be pure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, relative to the root of the checkout.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The word.
    pub word: &'static str,
}

/// Every finding in the rooms, allow-listed files included.
///
/// # Errors
/// When a source file cannot be read.
pub fn findings() -> io::Result<Vec<Finding>> {
    let mut found = Vec::new();
    for room in ROOMS {
        for path in sources(&repo::root().join(room))? {
            let file = path.strip_prefix(repo::root()).unwrap_or(&path).display().to_string();
            let text = fs::read_to_string(&path)?;
            found.extend(impure_words(&text).map(|(line, word)| Finding { file: file.clone(), line, word }));
        }
    }
    Ok(found)
}

/// Files under `folder` that are neither drivers nor tests, in order.
fn sources(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if name != "tests" && !DRIVERS.contains(&name) {
                found.extend(sources(&path)?);
            }
        } else if name.ends_with(".rs") && name != "tests.rs" && !DRIVERS.contains(&name) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Impure words with their line numbers, outside of comments and of the test module at the end of a file.
fn impure_words(text: &str) -> impl Iterator<Item = (usize, &'static str)> {
    let lines: Vec<&str> = text.lines().map(code).collect();
    let end = lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{'))
        .unwrap_or(lines.len());
    let mut words = Vec::new();
    for (number, line) in (1..).zip(&lines[..end]) {
        let mut line = (*line).to_owned();
        if !line.contains("Rng::new") {
            SEEDED.iter().for_each(|seeded| line = line.replace(seeded, ""));
        }
        words.extend(IMPURE.iter().filter(|word| line.contains(**word)).map(|word| (number, *word)));
    }
    words.into_iter()
}

/// A line without its comment.
fn code(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code).trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_drivers_and_facades_touch_tasks_clocks_and_chance() {
        let offences: Vec<Finding> = findings()
            .unwrap()
            .into_iter()
            .filter(|finding| !FACADES.iter().any(|(file, _)| *file == finding.file))
            .collect();
        assert_eq!(offences, [], "move it to a driver, or name the file in FACADES with a reason");
    }

    #[test]
    fn every_facade_on_the_list_needs_to_be_there() {
        let found = findings().unwrap();
        let idle: Vec<&str> = FACADES
            .iter()
            .map(|(file, _)| *file)
            .filter(|file| !found.iter().any(|finding| finding.file == *file))
            .collect();
        assert_eq!(idle, Vec::<&str>::new());
    }

    #[test]
    fn comments_and_the_test_module_are_not_judged() {
        let text = "use tokio::sync;\n// Instant::now\nlet a = 1; // fastrand\n#[cfg(test)]\nmod scripted;\n\
                    let b = Instant::now();\n#[cfg(test)]\nmod tests {\n    use tokio::time;\n}\n";
        let found: Vec<(usize, &str)> = impure_words(text).collect();
        assert_eq!(found, [(1, "tokio::"), (6, "Instant::now")]);
    }

    #[test]
    fn a_seeded_generator_is_pure_and_an_unseeded_one_is_not() {
        let text =
            "a: fastrand::Rng,\nfastrand::Rng::with_seed(1)\nfastrand::Rng::new()\nfastrand::u64(..)\n";
        let found: Vec<(usize, &str)> = impure_words(text).collect();
        assert_eq!(found, [(3, "fastrand"), (4, "fastrand")]);
    }
}
