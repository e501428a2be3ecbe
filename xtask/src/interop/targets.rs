//! What the clients run on: the cluster in memory as a process of its own, or a real Kafka. Three brokers each, which can be
//! killed, stopped and started again.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::gates::{cargo, succeed};
use crate::kafka::{Cluster, KafkaError};
use crate::{process, repo};

/// The kind of cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Against {
    /// `ottla-mock`.
    #[default]
    Mock,
    /// A real Kafka.
    Kafka,
}

impl std::str::FromStr for Against {
    type Err = String;

    fn from_str(text: &str) -> Result<Against, String> {
        match text {
            "mock" => Ok(Against::Mock),
            "kafka" => Ok(Against::Kafka),
            _ => Err(format!("cannot run against `{text}`; there are mock and kafka")),
        }
    }
}

const BROKERS: usize = 3;

/// Where defaults would make scenarios slow: groups wait for members, members rarely say a word, and it takes a while until a
/// broker counts as dead.
const PROPERTIES: [(&str, &str); 6] = [
    ("broker.session.timeout.ms", "2000"),
    ("auto.create.topics.enable", "false"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "1000"),
    ("group.consumer.heartbeat.interval.ms", "500"),
    ("group.consumer.min.heartbeat.interval.ms", "500"),
];

/// A running cluster.
#[derive(Debug)]
pub(super) enum Target {
    Mock(Mock),
    Kafka(Box<Cluster>),
}

/// `ottla-mock`, which ends when its stdin does, and so with us.
#[derive(Debug)]
pub(super) struct Mock {
    release: String,
    bootstrap: String,
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Target {
    /// Starts a cluster of that release; with a user, everybody has to log in.
    pub(super) fn start(
        against: Against,
        release: &str,
        user: Option<(&str, &str)>,
    ) -> Result<Target, String> {
        match against {
            Against::Mock => Mock::start(release, user).map(Target::Mock),
            Against::Kafka => {
                let mut builder = Cluster::builder().version(release).nodes(BROKERS);
                let is_known = |name: &str| !name.starts_with("group.consumer.") || release.starts_with('4');
                for (name, value) in PROPERTIES.into_iter().filter(|(name, _)| is_known(name)) {
                    builder = builder.property(name, value);
                }
                Ok(Target::Kafka(Box::new(builder.start().map_err(|error| error.to_string())?)))
            }
        }
    }

    pub(super) fn bootstrap(&self) -> String {
        match self {
            Target::Mock(mock) => mock.bootstrap.clone(),
            Target::Kafka(cluster) => cluster.bootstrap(),
        }
    }

    /// Does what `kill N`, `stop N` or `restart N` says to broker N.
    pub(super) fn harm(&mut self, what: &str) -> Result<(), String> {
        match self {
            Target::Mock(mock) => mock.harm(what),
            Target::Kafka(cluster) => harm(cluster, what),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Mock(mock) => write!(f, "mock {}", mock.release),
            Target::Kafka(cluster) => write!(f, "Kafka {}", cluster.version()),
        }
    }
}

/// Builds `ottla-mock`.
pub(super) fn build_mock() -> Result<(), String> {
    succeed(&mut cargo(&["build", "--quiet", "--package", "ottla-mock", "--features", "cli"]))
}

impl Mock {
    fn start(release: &str, user: Option<(&str, &str)>) -> Result<Mock, String> {
        let mut command = Command::new(repo::target().join("debug").join("ottla-mock"));
        command.args(["--control", "--listen", "127.0.0.1:0", "--as", release]);
        command.args(["--brokers", &BROKERS.to_string(), "--topic", "logins:1:3"]);
        for (name, value) in PROPERTIES {
            command.args(["--config", &format!("{name}={value}")]);
        }
        if let Some((user, password)) = user {
            let both = format!("{user}:{password}");
            command.args(["--plain", &both, "--scram", &both]);
        }
        let trouble = |error| format!("ottla-mock cannot be started: {error}");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(trouble)?;
        let commands = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("stdout was asked to be a pipe"));
        let bootstrap = String::new();
        let mut mock = Mock { release: release.to_owned(), bootstrap, child, commands, answers };
        mock.bootstrap = mock.line()?;
        Ok(mock)
    }

    fn harm(&mut self, what: &str) -> Result<(), String> {
        if let Some(pipe) = &mut self.commands {
            writeln!(pipe, "{what}").map_err(|error| format!("ottla-mock does not listen: {error}"))?;
        }
        match self.line()?.as_str() {
            "done" => Ok(()),
            other => Err(format!("`{what}`: ottla-mock says: {other}")),
        }
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(0) => Err("ottla-mock has ended".to_owned()),
            Ok(_) => Ok(line.trim_end().to_owned()),
            Err(error) => Err(format!("ottla-mock: {error}")),
        }
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        drop(self.commands.take());
        let end = Instant::now() + Duration::from_secs(5);
        if !matches!(process::wait_until(&mut self.child, end), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn harm(cluster: &Cluster, what: &str) -> Result<(), String> {
    let unknown = || KafkaError::Invalid(format!("no such harm: {what}"));
    let (verb, node) = what.split_once(' ').unwrap_or_default();
    let done = match (verb, node.parse()) {
        ("kill", Ok(node)) => cluster.kill(node),
        ("stop", Ok(node)) => cluster.stop(node),
        ("restart", Ok(node)) => cluster.restart(node),
        _ => Err(unknown()),
    };
    done.map_err(|error| format!("`{what}`: {error}"))
}
