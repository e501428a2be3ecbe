//! An archive of Kafka's classes, loaded and verified once per version: nodes start in half the time and need a quarter
//! less memory (class data sharing, JEP 350).
//!
//! The JVM checks that an archive fits it and the class path, and starts without when it does not.

use std::path::{Path, PathBuf};

use super::{Cluster, DEFAULT_VERSION, KafkaError, jars};

/// What a builder does about the archive.
#[derive(Clone, Debug)]
pub(super) enum Archive {
    /// Starts from it.
    Use,
    /// Writes it to this file when the node ends in an orderly way.
    Write(PathBuf),
}

/// Writing it takes some seconds, which only the version that most suites start earns back on a clean machine.
pub(super) fn worthwhile(version: &str) -> bool {
    version == DEFAULT_VERSION
}

/// The archive's file, made by a node of its own on the first call; `None` when this JVM made none.
pub(super) fn file(version: &str) -> Result<Option<PathBuf>, KafkaError> {
    let folder = jars::cached(&jars::cache_name("classes", version), |into| write(version, into))?;
    Ok(Some(inside(&folder)).filter(|file| file.is_file()))
}

fn write(version: &str, into: &Path) -> Result<(), KafkaError> {
    eprintln!("xtask: archiving the classes of Kafka {version} for faster starts");
    let mut builder = Cluster::builder().version(version);
    builder.archive = Archive::Write(inside(into));
    let cluster = builder.start()?;
    cluster.stop(1)
}

fn inside(folder: &Path) -> PathBuf {
    folder.join("classes.jsa")
}
