//! The programs of the produce benchmark: building them, starting the broker, and one run of one client.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::{cargo, target};
use crate::tools::{self, Tool};
use crate::{kafka, process, repo};

const DEADLINE: Duration = Duration::from_secs(900);

/// The clients, in the order of the table: the ceilings, Ottla, the others.
pub(super) const ALL: [&str; 11] = [
    "raw",
    "encode",
    "ottla",
    "ottla-all",
    "ottla-each",
    "rdkafka",
    "rdkafka-future",
    "krafka",
    "rskafka",
    "franz-go",
    "java",
];

/// What is built.
#[derive(Debug)]
pub(super) struct Programs {
    drive: PathBuf,
    null_broker: PathBuf,
    franz_go: Option<PathBuf>,
    /// Class path.
    java: Option<String>,
}

impl Programs {
    /// Builds what these clients need.
    pub(super) fn build(peers: &[String]) -> Result<Programs, String> {
        if let Some(unknown) = peers.iter().find(|peer| !ALL.contains(&peer.as_str())) {
            return Err(format!("no peer {unknown}: there are {}", ALL.join(", ")));
        }
        cargo(&["build", "--release", "--package", "ottla-bench-clients"])?;
        let release = target().join("release");
        let wanted = |name: &str| peers.iter().any(|peer| peer == name);
        Ok(Programs {
            drive: release.join("drive"),
            null_broker: release.join("null-broker"),
            franz_go: wanted("franz-go").then(build_franz_go).transpose()?,
            java: wanted("java").then(build_java).transpose()?,
        })
    }

    /// Starts the broker that stores nothing.
    pub(super) fn start_broker(&self) -> Result<Broker, String> {
        let mut child = Command::new(&self.null_broker)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", self.null_broker.display()))?;
        let mut bootstrap = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut bootstrap)
                .map_err(|error| format!("null-broker: {error}"))?;
        }
        let bootstrap = bootstrap.trim().to_owned();
        let broker = Broker { child, bootstrap };
        if broker.bootstrap.is_empty() {
            Err("null-broker printed no address".to_owned())
        } else {
            Ok(broker)
        }
    }

    /// The command that drives one client; `drive` itself for those in Rust.
    fn command(&self, peer: &str) -> Result<Command, String> {
        match (peer, &self.franz_go, &self.java) {
            ("franz-go", Some(program), _) => Ok(Command::new(program)),
            ("java", _, Some(class_path)) => {
                let mut java = Command::new(Tool::Java.path().map_err(|error| error.to_string())?);
                java.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn").args(["-Xmx1g", "-cp", class_path]);
                java.arg("Produce");
                Ok(java)
            }
            ("franz-go" | "java", _, _) => Err(format!("{peer} wasn't built")),
            _ => Ok(self.drive()),
        }
    }

    /// Makes the topic, runs the client, and compares what it claims with what the broker counted.
    pub(super) fn run(
        &self,
        broker: &Broker,
        peer: &str,
        topic: &str,
        flags: &[(String, String)],
    ) -> Result<Value, String> {
        let on = |mut command: Command, mode: Option<&str>| {
            command.args(["--brokers", &broker.bootstrap, "--topic", topic]);
            command.args(
                flags
                    .iter()
                    .filter(|(name, _)| passes(peer, name, mode))
                    .flat_map(|(name, value)| [format!("--{name}"), value.clone()]),
            );
            if let Some(mode) = mode {
                command.args(["--mode", mode]);
            }
            finish(&mut command, peer)
        };
        on(self.drive(), Some("create-topic"))?;
        let mut command = self.command(peer)?;
        command.args(["--peer", peer]);
        let printed = on(command, None)?;
        let line = printed.lines().last().unwrap_or_default();
        let figures: Value =
            serde_json::from_str(line).map_err(|error| format!("{peer} printed {line:?}: {error}"))?;
        let counted = on(self.drive(), Some("count"))?;
        let counted: u64 =
            counted.trim().parse().map_err(|error| format!("a count of {counted:?}: {error}"))?;
        let claimed = figures["records"].as_u64().unwrap_or(u64::MAX);
        let sent = claimed.saturating_add(figures["warmup"].as_u64().unwrap_or(0));
        if counted < sent {
            return Err(format!("{peer} claims {sent} records, and the broker counted {counted}"));
        }
        if counted > sent {
            eprintln!("{peer} sent {} records twice", counted - sent);
        }
        Ok(figures)
    }

    /// Instructions that a run takes in all, by callgrind.
    pub(super) fn instructions(
        &self,
        broker: &Broker,
        peer: &str,
        topic: &str,
        flags: &[(String, String)],
    ) -> Result<u64, String> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(&self.drive);
        command.args(["--peer", peer, "--brokers", &broker.bootstrap, "--topic", topic]);
        command.args(flags.iter().flat_map(|(name, value)| [format!("--{name}"), value.clone()]));
        let finished = process::run(&mut command, DEADLINE)
            .map_err(|error| format!("valgrind can't be started, is it installed? {error}"))?
            .ok_or("callgrind took too long")?;
        let count = finished.stderr.lines().find_map(|line| line.split_once("Collected : "));
        match count.and_then(|(_, count)| count.trim().parse().ok()) {
            Some(count) if finished.status.success() => Ok(count),
            _ => Err(format!("{peer} under callgrind: {}", process::last_lines(&finished.stderr, 10))),
        }
    }

    fn drive(&self) -> Command {
        Command::new(&self.drive)
    }
}

/// A null broker that ends with this value.
#[derive(Debug)]
pub(super) struct Broker {
    child: Child,
    bootstrap: String,
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It ends with its standard input; only its exit is waited for.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Whether a client knows a flag; `mode` is what replaces the flag of that name.
fn passes(peer: &str, flag: &str, mode: Option<&str>) -> bool {
    match flag {
        "mode" => mode.is_none(),
        // Of tokio's runtime.
        "workers" => mode.is_some() || !matches!(peer, "franz-go" | "java"),
        _ => true,
    }
}

fn finish(command: &mut Command, peer: &str) -> Result<String, String> {
    let finished = process::run(command, DEADLINE)
        .map_err(|error| format!("{peer} can't be started: {error}"))?
        .ok_or_else(|| format!("{peer} took over {} minutes", DEADLINE.as_secs() / 60))?;
    if finished.status.success() {
        return Ok(finished.stdout);
    }
    Err(format!("{peer} ended with {}: {}", finished.status, process::last_lines(&finished.stderr, 10)))
}

fn build_franz_go() -> Result<PathBuf, String> {
    let go = tools::find("go").ok_or("franz-go needs `go` in PATH; or name other peers with --peers")?;
    let program = target().join("franz-go");
    let mut command = Command::new(go);
    command.current_dir(repo::root().join("bench/franz-go")).args(["build", "-o"]).arg(&program).arg(".");
    finish(&mut command, "go build")?;
    Ok(program)
}

fn build_java() -> Result<String, String> {
    let jars = kafka::class_path(kafka::DEFAULT_VERSION).map_err(|error| error.to_string())?;
    let classes = target().join("java");
    fs::create_dir_all(&classes).map_err(|error| format!("{}: {error}", classes.display()))?;
    let compiler = match tools::find("javac") {
        Some(compiler) => compiler,
        None => {
            Tool::Java.install().map_err(|error| error.to_string())?;
            tools::find("javac").ok_or("java needs `javac` in PATH; or name other peers with --peers")?
        }
    };
    let source: &Path = &repo::root().join("bench/java/Produce.java");
    let mut command = Command::new(compiler);
    command.args(["-cp", &jars, "-d"]).arg(&classes).arg(source);
    finish(&mut command, "javac")?;
    Ok(format!("{}:{jars}", classes.display()))
}
