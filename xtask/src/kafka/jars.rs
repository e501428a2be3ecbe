//! Kafka's jars, fetched once per version by Maven into the cache.
//!
//! Guarantee: a version's folder is either complete or absent, whatever processes fetch it at once and whichever dies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::KafkaError;
use crate::process;
use crate::repo;
use crate::tools::Tool;

const POM: &str = include_str!("../../pom.xml");
const DEADLINE: Duration = Duration::from_secs(900);

/// The class path with everything of Kafka `version`: broker, storage tool and Java client.
///
/// # Errors
/// No Java or Maven, no such version, or no network on the first call for a version.
pub fn class_path(version: &str) -> Result<String, KafkaError> {
    let folder = folder(version)?;
    let listing = fs::read_dir(&folder).map_err(|source| KafkaError::io("list the jars", source))?;
    let mut jars: Vec<String> = listing
        .filter_map(|entry| entry.ok()?.path().into_os_string().into_string().ok())
        .filter(|path| path.ends_with(".jar"))
        .collect();
    jars.sort();
    Ok(jars.join(":"))
}

/// Runs `make` on a fresh folder and moves that into place, unless `name` is in the cache already.
pub(super) fn cached(
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), KafkaError>,
) -> Result<PathBuf, KafkaError> {
    let cache = repo::cache();
    let place = cache.join(name);
    if place.is_dir() {
        return Ok(place);
    }
    let trouble = |source| KafkaError::io(format!("fill the cache {}", cache.display()), source);
    fs::create_dir_all(&cache).map_err(trouble)?;
    let lock = repo::lock_file(&cache.join(format!("{name}.lock"))).map_err(trouble)?;
    lock.lock().map_err(trouble)?;
    if place.is_dir() {
        return Ok(place);
    }
    // Dropped (and so removed) on every way out but the rename.
    let partial = tempfile::Builder::new().prefix(".partial-").tempdir_in(&cache).map_err(trouble)?;
    let made = partial.path().join("made");
    fs::create_dir(&made).map_err(trouble)?;
    make(&made)?;
    fs::rename(&made, &place).map_err(trouble)?;
    Ok(place)
}

/// The cache's name for what belongs to a version under the present `pom.xml`.
pub(super) fn cache_name(kind: &str, version: &str) -> String {
    format!("{kind}-{version}-{:08x}", fnv1a(POM))
}

fn folder(version: &str) -> Result<PathBuf, KafkaError> {
    let plausible = version.split('.').count() == 3
        && version.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
    if !plausible {
        return Err(KafkaError::Invalid(format!("`{version}` is no Kafka version: expected one like 4.3.0")));
    }
    cached(&cache_name("kafka", version), |into| fetch(version, into))
}

fn fetch(version: &str, into: &Path) -> Result<(), KafkaError> {
    Tool::Java.path()?;
    let maven = Tool::Maven.path()?;
    // Maven's own repository is not made for several writers.
    let one = repo::locks()
        .and_then(|locks| repo::lock_file(&locks.join("maven")))
        .map_err(|source| KafkaError::io("open Maven's lock", source))?;
    one.lock().map_err(|source| KafkaError::io("lock Maven's repository", source))?;
    eprintln!("xtask: fetching the jars of Kafka {version} with Maven");
    let what = format!("mvn dependency:copy-dependencies for Kafka {version}");
    let finished = process::run(
        Command::new(maven)
            .args(["--quiet", "--batch-mode", "--file"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("pom.xml"))
            .arg(format!("-Dkafka.version={version}"))
            .arg(format!("-DoutputDirectory={}", into.display()))
            .arg("dependency:copy-dependencies"),
        DEADLINE,
    )
    .map_err(|source| KafkaError::io("start mvn", source))?
    .ok_or_else(|| KafkaError::TookTooLong { what: what.clone(), deadline: DEADLINE })?;
    if finished.status.success() {
        return Ok(());
    }
    // Maven reports on stdout; its first errors name the artifact, the rest is advice on switches.
    let errors: Vec<&str> = finished.stdout.lines().filter(|line| line.contains("ERROR")).take(3).collect();
    Err(KafkaError::ToolFailed {
        what,
        status: finished.status.to_string(),
        output: format!("{}\n{}", errors.join("\n"), process::last_lines(&finished.stderr, 5)),
    })
}

fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_version_is_refused_before_anything_is_fetched() {
        for version in ["", "4.3", "latest", "4.3.0; rm", "../4.3.0"] {
            let error = class_path(version).unwrap_err();
            assert!(matches!(error, KafkaError::Invalid(_)), "{version}: {error}");
        }
    }
}
