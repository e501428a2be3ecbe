//! The programs of the benchmarks of whole clients: building them, starting the broker, and one run of one client.

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

/// The same for those that read.
pub(super) const READERS: [&str; 10] = [
    "raw",
    "ottla",
    "ottla-next",
    "ottla-batches",
    "rdkafka",
    "rdkafka-tuned",
    "krafka",
    "rskafka",
    "franz-go",
    "java",
];

/// The same for those that write and read. Not krafka, which takes half a second for each record.
pub(super) const ECHOES: [&str; 4] = ["ottla", "rdkafka", "franz-go", "java"];

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
        let is_known = |peer: &&String| ALL.contains(&peer.as_str()) || READERS.contains(&peer.as_str());
        if let Some(unknown) = peers.iter().find(|peer| !is_known(peer)) {
            return Err(format!(
                "no peer {unknown}: there are {} and {}",
                ALL.join(", "),
                READERS.join(", ")
            ));
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

    /// Starts the broker that stores nothing; `flags` say what it holds nevertheless, and has held from the start.
    pub(super) fn start_broker(&self, flags: &[(String, String)]) -> Result<Broker, String> {
        let mut child = Command::new(&self.null_broker)
            .args(flags.iter().flat_map(|(name, value)| [format!("--{name}"), value.clone()]))
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
        let broker = Broker { child: Some(child), bootstrap };
        if broker.bootstrap.is_empty() {
            Err("null-broker printed no address".to_owned())
        } else {
            Ok(broker)
        }
    }

    /// The command that drives one client; `drive` itself for those in Rust.
    fn command(&self, peer: &str, class: &str) -> Result<Command, String> {
        match (peer, &self.franz_go, &self.java) {
            ("franz-go", Some(program), _) => Ok(Command::new(program)),
            ("java", _, Some(class_path)) => {
                let mut java = Command::new(Tool::Java.path().map_err(|error| error.to_string())?);
                java.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn").args(["-Xmx1g", "-cp", class_path]);
                java.arg(class);
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
        let (figures, counted) = self.run_and_count(broker, peer, topic, flags, "Produce", "count")?;
        let sent = moved(&figures);
        if counted < sent {
            return Err(format!("{peer} claims {sent} records, and the broker counted {counted}"));
        }
        if counted > sent {
            eprintln!("{peer} sent {} records twice", counted - sent);
        }
        Ok(figures)
    }

    /// Runs a client that reads a topic, and adds what the broker sent for each record that was read.
    pub(super) fn read(
        &self,
        broker: &Broker,
        peer: &str,
        topic: &str,
        flags: &[(String, String)],
    ) -> Result<Value, String> {
        let (mut figures, sent) = self.run_and_count(broker, peer, topic, flags, "Consume", "count-sent")?;
        let read = moved(&figures);
        if sent < read {
            return Err(format!("{peer} claims {read} records, and the broker sent {sent}"));
        }
        figures["sent_per_read"] = (sent as f64 / read as f64).into();
        Ok(figures)
    }

    /// Makes the topic and runs a client that sends records to itself.
    pub(super) fn echo(
        &self,
        broker: &Broker,
        peer: &str,
        topic: &str,
        flags: &[(String, String)],
    ) -> Result<Value, String> {
        self.run_and_count(broker, peer, topic, flags, "Consume", "count").map(|(figures, _)| figures)
    }

    /// Makes the topic, runs the client, and asks the broker how many records it was sent or has sent.
    fn run_and_count(
        &self,
        broker: &Broker,
        peer: &str,
        topic: &str,
        flags: &[(String, String)],
        class: &str,
        count: &str,
    ) -> Result<(Value, u64), String> {
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
        let mut command = self.command(peer, class)?;
        command.args(["--peer", peer]);
        let printed = on(command, None)?;
        let line = printed.lines().last().unwrap_or_default();
        let figures: Value =
            serde_json::from_str(line).map_err(|error| format!("{peer} printed {line:?}: {error}"))?;
        let counted = on(self.drive(), Some(count))?;
        let counted: u64 =
            counted.trim().parse().map_err(|error| format!("a count of {counted:?}: {error}"))?;
        Ok((figures, counted))
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

/// A broker; a null broker ends with this value.
#[derive(Debug)]
pub(super) struct Broker {
    child: Option<Child>,
    bootstrap: String,
}

impl Broker {
    /// One that somebody else runs.
    pub(super) fn at(bootstrap: &str) -> Broker {
        Broker { child: None, bootstrap: bootstrap.to_owned() }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It ends with its standard input; only its exit is waited for.
        if let Some(child) = &mut self.child {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

/// Records that a client claims, those before the measurement included.
fn moved(figures: &Value) -> u64 {
    let claimed = figures["records"].as_u64().unwrap_or(u64::MAX);
    claimed.saturating_add(figures["warmup"].as_u64().unwrap_or(0))
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
    let sources: &Path = &repo::root().join("bench/java");
    let mut command = Command::new(compiler);
    command.args(["-cp", &jars, "-d"]).arg(&classes);
    command.args(["Produce.java", "Consume.java"].map(|name| sources.join(name)));
    finish(&mut command, "javac")?;
    Ok(format!("{}:{jars}", classes.display()))
}
