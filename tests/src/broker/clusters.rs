//! Clusters of a test binary.
//!
//! A cluster in a `static` is never dropped; the shell beside each node ends it when the test's process does.

use std::path::Path;
use std::sync::LazyLock;
use std::thread;

use xtask::kafka::{Builder, Cluster, DEFAULT_VERSION};

static ONE: LazyLock<Cluster> = LazyLock::new(|| start(Cluster::builder()));
static THREE: LazyLock<Cluster> = LazyLock::new(|| start(Cluster::builder().nodes(3)));

/// The binary's cluster of one node, of the newest version.
pub fn one() -> &'static Cluster {
    &ONE
}

/// The binary's cluster of three nodes, of the newest version. Tests that harm nodes start one of their own.
pub fn three() -> &'static Cluster {
    &THREE
}

/// A cluster of one node of `version`.
pub fn of_version(version: &str) -> Cluster {
    start(Cluster::builder().version(version))
}

/// Starts a cluster; fails the test with the reason when it can't.
pub fn start(builder: Builder) -> Cluster {
    builder.start().unwrap_or_else(|error| panic!("no Kafka: {error}"))
}

/// Runs `tests/java/<program>.java` with Kafka's own client, on a thread of its own; gives back the lines of its stdout.
///
/// The program gets the cluster's bootstrap list as its first argument. Its own deadline is
/// [`xtask::java::DEADLINE`].
pub async fn java(cluster: &Cluster, program: &str, args: &[&str]) -> Vec<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("java").join(program).with_extension("java");
    let class_path = match cluster.version() {
        DEFAULT_VERSION => cluster.class_path().to_owned(),
        _ => xtask::kafka::class_path(DEFAULT_VERSION).unwrap_or_else(|error| panic!("no jars: {error}")),
    };
    let args: Vec<String> =
        std::iter::once(cluster.bootstrap()).chain(args.iter().map(|arg| (*arg).to_owned())).collect();
    let (done, finished) = tokio::sync::oneshot::channel();
    thread::spawn(move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let _ = done.send(xtask::java::run(&class_path, &source, &args));
    });
    let output = finished.await.expect("the thread tells how Java ended");
    let output = output.unwrap_or_else(|error| panic!("{program}.java: {error}"));
    output.lines().map(str::to_owned).collect()
}
