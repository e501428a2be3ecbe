//! Java and Maven: found in `PATH`, installed by apt when we are root, else asked for by name.
//!
//! Guarantee: a machine without them gets one clear error with the command to run, never a failure further down.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use crate::kafka::KafkaError;
use crate::process;
use crate::repo;

/// A program that Kafka on demand needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// The Java launcher, 17 or newer.
    Java,
    /// Maven, which fetches the jars.
    Maven,
}

impl Tool {
    const fn program(self) -> &'static str {
        match self {
            Tool::Java => "java",
            Tool::Maven => "mvn",
        }
    }

    const fn package(self) -> &'static str {
        match self {
            Tool::Java => "default-jdk-headless",
            Tool::Maven => "maven",
        }
    }

    /// The path of the program, installed first when it is missing and we may.
    ///
    /// # Errors
    /// [`KafkaError::ToolMissing`] when it is neither there nor installable.
    pub fn path(self) -> Result<PathBuf, KafkaError> {
        if let Some(path) = find(self.program()) {
            return Ok(path);
        }
        self.install()?;
        find(self.program())
            .ok_or_else(|| self.missing("apt-get installed it, and it still is not in PATH".to_owned()))
    }

    /// Installs the package by apt; `java` without its compiler also leads here.
    ///
    /// # Errors
    /// [`KafkaError::ToolMissing`] when this user may not install packages or apt fails.
    pub fn install(self) -> Result<(), KafkaError> {
        // One apt at a time: a second one would fail on dpkg's lock.
        static APT: Mutex<()> = Mutex::new(());
        let _one = APT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if repo::user_id() != 0 {
            return Err(self.missing("only root may install it".to_owned()));
        }
        let Some(apt) = find("apt-get") else {
            return Err(self.missing("apt-get is not in PATH either".to_owned()));
        };
        eprintln!("xtask: installing {} with apt-get", self.package());
        for arguments in [&["update"][..], &["install", "-y", "--no-install-recommends", self.package()][..]]
        {
            let finished = process::run(
                Command::new(&apt)
                    .args(["-q", "-o", "DPkg::Lock::Timeout=300"])
                    .args(arguments)
                    .env("DEBIAN_FRONTEND", "noninteractive"),
                Duration::from_secs(900),
            );
            match finished {
                Ok(Some(finished)) if finished.status.success() => {}
                Ok(Some(finished)) => {
                    let why = process::last_lines(&finished.stderr, 5);
                    return Err(self.missing(format!("apt-get {}: {}: {why}", arguments[0], finished.status)));
                }
                Ok(None) => {
                    return Err(self.missing(format!("apt-get {} took over 15 minutes", arguments[0])));
                }
                Err(error) => return Err(self.missing(format!("apt-get {}: {error}", arguments[0]))),
            }
        }
        Ok(())
    }

    /// The error that names the command to run.
    pub(crate) fn missing(self, why: String) -> KafkaError {
        let sudo = if repo::user_id() == 0 { "" } else { "sudo " };
        KafkaError::ToolMissing {
            tool: self.program(),
            why,
            command: format!("{sudo}apt-get update && {sudo}apt-get install -y {}", self.package()),
        }
    }
}

/// The first executable called `program` in `PATH`.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = env::var_os("PATH")?;
    env::split_paths(&path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(program)).find(|file| {
        file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    })
}
