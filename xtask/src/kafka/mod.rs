//! A real Kafka on demand: KRaft clusters on free loopback ports, in a temporary folder, for the length of a value.
//!
//! ```no_run
//! # fn main() -> Result<(), xtask::kafka::KafkaError> {
//! let cluster = xtask::kafka::Cluster::builder().version("4.3.0").nodes(3).start()?;
//! println!("{}", cluster.bootstrap());
//! cluster.kill(2)?;
//! cluster.restart(2)?;
//! # Ok(())
//! # }
//! ```
//!
//! Every node is broker and controller at once. Several clusters can run at once, in one process and in several. Dropping
//! the cluster kills its nodes and removes their data; when the process dies without dropping it, a shell beside each
//! node does the same. `OTTLA_KEEP=1` in the environment leaves data and logs in place.
//!
//! Sources: KIP-500, KIP-595, KIP-631, KIP-866.

mod archive;
mod config;
mod error;
mod format;
mod jars;
mod node;
mod ports;
pub mod standing;
mod wire;

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub use config::Jit;
pub use error::KafkaError;
pub use jars::class_path;

use crate::tools::Tool;
use archive::Archive;
use config::Place;
use node::{Node, Plan};

/// The version that tests use unless they say otherwise.
pub const DEFAULT_VERSION: &str = "4.3.0";

/// The older versions that the broker suites also run against.
pub const OLDER_VERSIONS: [&str; 2] = ["3.9.1", "3.3.2"];

const CONFIG: &str = "server.properties";

/// What to start; see [`Cluster::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    version: String,
    nodes: usize,
    properties: BTreeMap<String, String>,
    jit: Jit,
    archive: Archive,
    deadline: Duration,
}

impl Builder {
    /// The Kafka version, 3.3.0 or newer; [`DEFAULT_VERSION`] by default.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// The number of nodes, with ids from 1; one by default.
    #[must_use]
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// A broker property of every node; it wins over this tool's own choice.
    #[must_use]
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// How hard the JVM compiles; [`Jit::Quick`] by default.
    #[must_use]
    pub fn jit(mut self, jit: Jit) -> Self {
        self.jit = jit;
        self
    }

    /// How long nodes get to answer after a start, and to end after SIGTERM; 90 seconds by default.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Starts the cluster and waits until every node answers and lists all others as alive.
    ///
    /// # Errors
    /// No Java or Maven, jars that cannot be fetched, or nodes that are not ready at the deadline; the error then
    /// shows the end of the node's log. Nothing is left running.
    pub fn start(self) -> Result<Cluster, KafkaError> {
        if !(1..=9).contains(&self.nodes) {
            return Err(KafkaError::Invalid(format!("a cluster has 1 to 9 nodes, not {}", self.nodes)));
        }
        let java = Tool::Java.path()?;
        let class_path = class_path(&self.version)?;
        let template = format::template(&java, &class_path, &self.version)?;
        let archive_flag = self.archive_flag()?;
        let claims = (0..self.nodes)
            .map(|_| Ok((ports::claim()?, ports::claim()?)))
            .collect::<Result<Vec<_>, KafkaError>>()?;
        let numbers: Vec<(u16, u16)> = claims.iter().map(|(a, b)| (a.number, b.number)).collect();
        let folder = tempfile::Builder::new()
            .prefix("ottla-kafka-")
            .tempdir()
            .map_err(|source| KafkaError::io("make the cluster's folder", source))?;
        let root = folder.path().to_owned();
        let mut cluster = Cluster {
            nodes: Vec::with_capacity(self.nodes),
            folder: Some(folder),
            version: self.version.clone(),
            class_path,
            deadline: self.deadline,
        };
        // The shells come before the files, so that the files are cleaned up whenever we are killed.
        for (id, (listener, controller)) in (1..).zip(claims) {
            let folder = root.join(format!("node-{id}"));
            let command = self.command(&java, archive_flag.as_deref(), &cluster.class_path, &folder);
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, listener.number));
            let log = folder.join("node.log");
            cluster.nodes.push(Node::new(Plan {
                id,
                address,
                log,
                folder,
                command,
                _ports: [listener, controller],
            })?);
        }
        let cluster_id = format::uuid();
        for node in &cluster.nodes {
            let data = node.plan.folder.join("data");
            format::format(&template, node.plan.id, &cluster_id, &data)?;
            let place = Place { id: node.plan.id, ports: &numbers, data: &data };
            fs::create_dir(node.plan.folder.join("tmp"))
                .and_then(|()| {
                    fs::write(node.plan.folder.join(CONFIG), config::properties(&place, &self.properties))
                })
                .map_err(|source| KafkaError::io(format!("fill {}", node.plan.folder.display()), source))?;
            node.start()?;
        }
        let end = Instant::now() + self.deadline;
        let everyone = cluster.nodes();
        for node in &cluster.nodes {
            node.await_brokers(&everyone, end)?;
        }
        Ok(cluster)
    }

    /// The JVM flag that writes, or else reads, this version's archive of loaded classes.
    fn archive_flag(&self) -> Result<Option<String>, KafkaError> {
        match &self.archive {
            Archive::Write(file) => Ok(Some(format!("-XX:ArchiveClassesAtExit={}", file.display()))),
            Archive::Use if self.jit == Jit::Quick && archive::worthwhile(&self.version) => {
                Ok(archive::file(&self.version)?
                    .map(|file| format!("-XX:SharedArchiveFile={}", file.display())))
            }
            Archive::Use => Ok(None),
        }
    }

    fn command(&self, java: &Path, archive: Option<&str>, class_path: &str, folder: &Path) -> Vec<OsString> {
        let mut command = vec![java.into()];
        command.extend(archive.map(OsString::from));
        command.extend(self.jit.flags().iter().map(OsString::from));
        command.extend(
            [
                "-Xshare:auto",
                "-XX:-UsePerfData",
                "-XX:+ExitOnOutOfMemoryError",
                "-Djava.awt.headless=true",
                "-Dorg.slf4j.simpleLogger.showDateTime=true",
                "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
                // Hundreds of lines of configuration per start, of which server.properties tells the interesting ones.
                "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaConfig=warn",
                "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",
                "-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper=warn",
            ]
            .map(OsString::from),
        );
        // Native codecs are unpacked here; a killed JVM doesn't remove them.
        let mut java_tmp = OsString::from("-Djava.io.tmpdir=");
        java_tmp.push(folder.join("tmp"));
        command.extend([
            java_tmp,
            "-cp".into(),
            class_path.into(),
            "kafka.Kafka".into(),
            folder.join(CONFIG).into(),
        ]);
        command
    }
}

/// A running cluster; dropping it ends it.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    folder: Option<TempDir>,
    version: String,
    class_path: String,
    deadline: Duration,
}

impl Cluster {
    /// One node of [`DEFAULT_VERSION`] until told otherwise.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            version: DEFAULT_VERSION.to_owned(),
            nodes: 1,
            properties: BTreeMap::new(),
            jit: Jit::default(),
            archive: Archive::Use,
            deadline: Duration::from_secs(90),
        }
    }

    /// The addresses of all nodes, comma separated, as `bootstrap.servers` wants them.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(|node| node.plan.address.to_string()).collect();
        addresses.join(",")
    }

    /// The ids of all nodes, running or not: 1 to their number.
    #[must_use]
    pub fn nodes(&self) -> Vec<i32> {
        self.nodes.iter().map(|node| node.plan.id).collect()
    }

    /// `host:port` of a node's listener.
    ///
    /// # Errors
    /// [`KafkaError::UnknownNode`].
    pub fn node_address(&self, id: i32) -> Result<String, KafkaError> {
        Ok(self.node(id)?.plan.address.to_string())
    }

    /// The Kafka version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The class path of this version's jars, for [`crate::java::run`].
    #[must_use]
    pub fn class_path(&self) -> &str {
        &self.class_path
    }

    /// The folder that holds a subfolder per node.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.as_ref().map_or(Path::new(""), TempDir::path)
    }

    /// The file a node logs to, appended to over restarts.
    ///
    /// # Errors
    /// [`KafkaError::UnknownNode`].
    pub fn log_file(&self, id: i32) -> Result<PathBuf, KafkaError> {
        Ok(self.node(id)?.plan.log.clone())
    }

    /// The process id of a node's JVM, `None` while it does not run.
    ///
    /// # Errors
    /// [`KafkaError::UnknownNode`].
    pub fn pid(&self, id: i32) -> Result<Option<u32>, KafkaError> {
        Ok(self.node(id)?.pid())
    }

    /// Kills a node (SIGKILL) and returns when its process is gone.
    ///
    /// # Errors
    /// [`KafkaError::UnknownNode`], [`KafkaError::NotRunning`].
    pub fn kill(&self, id: i32) -> Result<(), KafkaError> {
        self.node(id)?.kill()
    }

    /// Stops a node in an orderly way (SIGTERM: it hands its leaders over) and returns when its process is gone.
    ///
    /// # Errors
    /// [`KafkaError::UnknownNode`], [`KafkaError::NotRunning`]; [`KafkaError::NotReady`] when it had to be killed at the
    /// deadline.
    pub fn stop(&self, id: i32) -> Result<(), KafkaError> {
        self.node(id)?.stop(self.deadline)
    }

    /// Freezes a node (SIGSTOP): its sockets stay open and nothing answers.
    ///
    /// # Errors
    /// [`KafkaError::UnknownNode`], [`KafkaError::NotRunning`].
    pub fn pause(&self, id: i32) -> Result<(), KafkaError> {
        self.node(id)?.pause()
    }

    /// Lets a frozen node go on (SIGCONT).
    ///
    /// # Errors
    /// [`KafkaError::UnknownNode`], [`KafkaError::NotRunning`].
    pub fn resume(&self, id: i32) -> Result<(), KafkaError> {
        self.node(id)?.resume()
    }

    /// Starts a node on its old ports and data, stopping it first if it runs, and waits until it answers and every
    /// other running node lists it as alive.
    ///
    /// # Errors
    /// [`KafkaError::UnknownNode`]; [`KafkaError::NotReady`] when it does not stop or is not back at the deadline.
    pub fn restart(&self, id: i32) -> Result<(), KafkaError> {
        let node = self.node(id)?;
        if node.pid().is_some() {
            node.stop(self.deadline)?;
        }
        self.start_node(id)
    }

    /// Starts a stopped or killed node on its old ports and data and waits as [`Self::restart`] does.
    ///
    /// # Errors
    /// [`KafkaError::UnknownNode`]; [`KafkaError::Invalid`] when it runs; [`KafkaError::NotReady`] when it is not back at
    /// the deadline.
    pub fn start_node(&self, id: i32) -> Result<(), KafkaError> {
        let node = self.node(id)?;
        if node.pid().is_some() {
            return Err(KafkaError::Invalid(format!("node {id} runs already")));
        }
        node.start()?;
        let end = Instant::now() + self.deadline;
        node.await_brokers(&[id], end)?;
        for peer in self.nodes.iter().filter(|peer| peer.answers()) {
            peer.await_brokers(&[id], end)?;
        }
        Ok(())
    }

    /// Waits until every running node lists exactly the running nodes, and perhaps more, as alive and unfenced.
    ///
    /// # Errors
    /// [`KafkaError::NotReady`] at the deadline.
    pub fn await_brokers(&self) -> Result<(), KafkaError> {
        let end = Instant::now() + self.deadline;
        let running = || self.nodes.iter().filter(|node| node.answers());
        let expected: Vec<i32> = running().map(|node| node.plan.id).collect();
        running().try_for_each(|node| node.await_brokers(&expected, end))
    }

    fn node(&self, id: i32) -> Result<&Node, KafkaError> {
        self.nodes
            .iter()
            .find(|node| node.plan.id == id)
            .ok_or(KafkaError::UnknownNode { node: id, nodes: self.nodes.len() })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.nodes.iter().for_each(Node::dismiss);
        self.nodes.iter().for_each(Node::wait_until_gone);
        if env::var_os("OTTLA_KEEP").is_some_and(|keep| !keep.is_empty())
            && let Some(folder) = self.folder.take()
        {
            eprintln!("xtask: kept {}", folder.keep().display());
        }
    }
}
