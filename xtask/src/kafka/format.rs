//! Formats a node's data folder: Kafka's storage tool runs once per version, its result is adapted for each node.
//!
//! The tool is a JVM of its own per node otherwise, a third of a cluster's start-up time. `bootstrap.checkpoint` (the
//! feature levels) is the same for every node of a version; `meta.properties` differs in the three ids.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::config::{self, Place};
use super::{KafkaError, jars, ports};
use crate::process;
use crate::tools::Tool;

const DEADLINE: Duration = Duration::from_secs(120);

/// The folder that the storage tool formats once for all nodes of `version`.
pub(super) fn template(java: &Path, class_path: &str, version: &str) -> Result<PathBuf, KafkaError> {
    jars::cached(&jars::cache_name("formatted", version), |into| run_tool(java, class_path, into))
}

/// Fills the new folder `data` for node `id` of cluster `cluster_id`.
pub(super) fn format(template: &Path, id: i32, cluster_id: &str, data: &Path) -> Result<(), KafkaError> {
    let trouble = |source| KafkaError::io(format!("format {}", data.display()), source);
    fs::create_dir_all(data).map_err(trouble)?;
    fs::copy(template.join("bootstrap.checkpoint"), data.join("bootstrap.checkpoint")).map_err(trouble)?;
    let meta = fs::read_to_string(template.join("meta.properties")).map_err(trouble)?;
    fs::write(data.join("meta.properties"), adapted(&meta, id, cluster_id)).map_err(trouble)
}

/// A random id in Kafka's form: 16 bytes in 22 characters of URL-safe base64, the last of which holds two bits only.
pub(super) fn uuid() -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut id: String = (0..21).map(|_| char::from(ALPHABET[(ports::random() % 62) as usize])).collect();
    id.push('A');
    id
}

fn adapted(meta: &str, id: i32, cluster_id: &str) -> String {
    let mut text = String::new();
    for line in meta.lines() {
        match line.split_once('=') {
            Some(("node.id", _)) => text.push_str(&format!("node.id={id}")),
            Some(("cluster.id", _)) => text.push_str(&format!("cluster.id={cluster_id}")),
            Some(("directory.id", _)) => text.push_str(&format!("directory.id={}", uuid())),
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

fn run_tool(java: &Path, class_path: &str, into: &Path) -> Result<(), KafkaError> {
    let trouble = |source| KafkaError::io("format a data folder", source);
    let config = into.join("server.properties");
    let place = Place { id: 1, ports: &[(1, 2)], data: into };
    fs::write(&config, config::properties(&place, &Default::default())).map_err(trouble)?;
    let finished = process::run(
        Command::new(java)
            .args(config::Jit::Quick.flags())
            .args(["-XX:-UsePerfData", "-cp", class_path, "kafka.tools.StorageTool", "format"])
            .args(["--cluster-id", &uuid(), "--config"])
            .arg(&config),
        DEADLINE,
    )
    .map_err(trouble)?
    .ok_or_else(|| KafkaError::TookTooLong {
        what: "kafka.tools.StorageTool".to_owned(),
        deadline: DEADLINE,
    })?;
    if finished.status.success() && into.join("bootstrap.checkpoint").is_file() {
        return Ok(());
    }
    if finished.stderr.contains("UnsupportedClassVersionError") {
        return Err(Tool::Java.missing("the one in PATH is too old for this Kafka".to_owned()));
    }
    Err(KafkaError::ToolFailed {
        what: "kafka.tools.StorageTool format".to_owned(),
        status: finished.status.to_string(),
        output: process::last_lines(&format!("{}{}", finished.stdout, finished.stderr), 20),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ids_of_a_template_change() {
        let meta = "#\nnode.id=1\nversion=1\ncluster.id=AAAA\n";
        assert_eq!(adapted(meta, 3, "BBBB"), "#\nnode.id=3\nversion=1\ncluster.id=BBBB\n");
        let with_directory = adapted("directory.id=old\n", 1, "B");
        assert!(with_directory.starts_with("directory.id=") && !with_directory.contains("old"));
    }

    #[test]
    fn ids_have_kafkas_length_and_differ() {
        let (one, two) = (uuid(), uuid());
        assert_eq!(one.len(), 22);
        assert_ne!(one, two);
    }
}
