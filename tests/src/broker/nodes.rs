//! [`Nodes`]: a cluster as a test sees it, whatever it consists of.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::BytesMut;
use ottla::protocol::records::{Batches, RecordBatch};
use ottla::{ClientOptions, Dial, DialFuture, Error, ErrorKind, Kafka, NodeId, TcpDialer};
use ottla_mock::Mock;
use ottla_mock::log::Isolation;
use xtask::kafka::{Cluster, DEFAULT_VERSION};

/// How long a TCP connection may take to be there.
const SETUP: Duration = Duration::from_secs(5);

/// The nodes of a cluster.
#[derive(Clone, Debug)]
pub enum Nodes {
    /// JVMs, shared by the tests of a binary.
    Real(&'static Cluster),
    /// In memory and the test's own; its clients use TCP.
    MockByTcp(Mock),
    /// In memory and the test's own; its clients use pipes. A node that is down has given its port back, and another test's
    /// connection may be using it when it returns; pipes have no such trouble.
    MockByPipes(Mock),
}

impl Nodes {
    /// The client's options for this cluster, the others at their defaults.
    pub fn options(&self) -> ClientOptions {
        ClientOptions::default().bootstrap_servers(self.bootstrap())
    }

    /// A handle of its own.
    pub fn kafka(&self) -> Kafka {
        self.kafka_with(self.options())
    }

    /// A handle of its own with other options.
    pub fn kafka_with(&self, options: ClientOptions) -> Kafka {
        match self {
            Nodes::Real(_) | Nodes::MockByTcp(_) => Kafka::with_options(options),
            Nodes::MockByPipes(_) => Kafka::with_dialer(options, self.dialer()),
        }
        .expect("valid options")
    }

    /// What opens connections to the nodes.
    pub fn dialer(&self) -> Arc<dyn Dial> {
        match self {
            Nodes::Real(_) | Nodes::MockByTcp(_) => Arc::new(TcpDialer::new(SETUP)),
            Nodes::MockByPipes(mock) => Arc::new(Pipes(mock.clone())),
        }
    }

    /// The addresses of all nodes, comma separated.
    pub fn bootstrap(&self) -> String {
        match self {
            Nodes::Real(cluster) => cluster.bootstrap(),
            Nodes::MockByTcp(mock) | Nodes::MockByPipes(mock) => mock.bootstrap_servers(),
        }
    }

    /// The ids of all nodes, whether they run or not.
    pub fn ids(&self) -> Vec<NodeId> {
        match self {
            Nodes::Real(cluster) => cluster.nodes(),
            Nodes::MockByTcp(mock) | Nodes::MockByPipes(mock) => {
                let cluster = mock.cluster();
                (1..).take_while(|id| cluster.broker_state(*id).is_some()).collect()
            }
        }
    }

    /// The batches of a partition's log as they are kept: on the first node's disk, or in memory.
    pub fn batches(&self, topic: &str, partition: i32) -> Vec<RecordBatch> {
        let (place, bytes) = match self {
            Nodes::Real(cluster) => {
                let folder = cluster.folder().join(format!("node-1/data/{topic}-{partition}"));
                let segment = folder.join("00000000000000000000.log");
                let bytes = std::fs::read(&segment);
                let place = segment.display().to_string();
                (place.clone(), bytes.unwrap_or_else(|error| panic!("{place}: {error}")).into())
            }
            Nodes::MockByTcp(mock) | Nodes::MockByPipes(mock) => {
                let (cluster, mut bytes) = (mock.cluster(), BytesMut::new());
                let log = cluster.log(topic, partition).expect("a partition of the mock");
                let mut from = log.start_offset();
                while from < log.end_offset() {
                    let slice = log.read(from, usize::MAX, true, Isolation::LogEnd).expect("within the log");
                    bytes.extend_from_slice(&slice.records);
                    from = slice.next_offset;
                }
                (format!("{topic}-{partition} in memory"), bytes.freeze())
            }
        };
        let batches: Result<_, _> = Batches::new(bytes).collect();
        batches.unwrap_or_else(|error| panic!("{place}: {error}"))
    }
}

/// Runs `tests/java/<program>.java` with Kafka's own client, on a thread of its own; gives back the lines of its stdout.
///
/// The program gets the cluster's bootstrap list as its first argument. Its own deadline is
/// [`xtask::java::DEADLINE`]. A mock that is used by pipes has no addresses that Java could use.
pub async fn java(nodes: &Nodes, program: &str, args: &[&str]) -> Vec<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("java").join(program).with_extension("java");
    let args: Vec<String> =
        std::iter::once(nodes.bootstrap()).chain(args.iter().map(|arg| (*arg).to_owned())).collect();
    let (done, finished) = tokio::sync::oneshot::channel();
    thread::spawn(move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = xtask::kafka::class_path(DEFAULT_VERSION)
            .and_then(|class_path| xtask::java::run(&class_path, &source, &args));
        let _ = done.send(output);
    });
    let output = finished.await.expect("the thread tells how Java ended");
    let output = output.unwrap_or_else(|error| panic!("{program}.java: {error}"));
    output.lines().map(str::to_owned).collect()
}

/// Dials by pipes.
struct Pipes(Mock);

impl fmt::Debug for Pipes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pipes")
    }
}

impl Dial for Pipes {
    fn dial<'a>(&'a self, _node: Option<NodeId>, host: &'a str, port: u16) -> DialFuture<'a> {
        let dialled = self.0.dial(host, port);
        Box::pin(std::future::ready(match dialled {
            Ok(pipe) => Ok(Box::new(pipe) as Box<_>),
            Err(cause) => {
                Err(Error::new(ErrorKind::Connect, format!("cannot connect to {host}:{port}"))
                    .with_cause(cause))
            }
        }))
    }
}
