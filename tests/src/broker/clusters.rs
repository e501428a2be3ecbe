//! Clusters of a test binary, and what differs from Kafka's defaults in them.
//!
//! A cluster in a `static` is never dropped; the shell beside each node ends it when the test's process does. A mock
//! belongs to one test and ends with its runtime.

use std::sync::LazyLock;
use std::time::Duration;

use ottla_mock::{ClusterOptions, Mock, Release};
use xtask::kafka::{Builder, Cluster, OLDER_VERSIONS};

/// What a real node of every cluster is told, too, by [`xtask::kafka`]: the mock behaves alike.
const AS_REAL_NODES: [(&str, &str); 6] = [
    ("auto.create.topics.enable", "false"),
    ("broker.session.timeout.ms", "2000"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "1000"),
    ("offsets.topic.num.partitions", "3"),
    ("transaction.state.log.num.partitions", "3"),
];

/// What the newest version is told on top, real or not: members of the new protocol hear of each other promptly
/// and count as dead after eight seconds.
const NEWEST: [(&str, &str); 4] = [
    ("group.consumer.heartbeat.interval.ms", "500"),
    ("group.consumer.min.heartbeat.interval.ms", "500"),
    ("group.consumer.min.session.timeout.ms", "1000"),
    ("group.consumer.session.timeout.ms", "8000"),
];

/// Long enough that a leader which dies often has something that no follower has.
const REPLICATION_LAG: Duration = Duration::from_millis(2);

static ONE: LazyLock<Cluster> = LazyLock::new(|| start(newest()));
static THREE: LazyLock<Cluster> = LazyLock::new(|| start(newest().nodes(3)));
static OLDER: [LazyLock<Cluster>; 2] =
    [LazyLock::new(|| start(older(OLDER_VERSIONS[0]))), LazyLock::new(|| start(older(OLDER_VERSIONS[1])))];

/// The binary's real cluster of one node, of the newest version.
pub(super) fn one() -> &'static Cluster {
    &ONE
}

/// The binary's real cluster of three nodes, of the newest version.
pub(super) fn three() -> &'static Cluster {
    &THREE
}

/// The binary's real cluster of one node of an older version.
pub(super) fn of_version(version: &str) -> &'static Cluster {
    let at = OLDER_VERSIONS.iter().position(|known| *known == version);
    let at = at.unwrap_or_else(|| panic!("{version} is none of the versions {OLDER_VERSIONS:?}"));
    &OLDER[at]
}

/// A cluster in memory. Must be called within the test's runtime.
pub(super) fn mock(brokers: i32, release: Release) -> Mock {
    let mut options = ClusterOptions::new().brokers(brokers).release(release);
    for (name, value) in AS_REAL_NODES {
        options = options.config(name, value);
    }
    if release == Release::default() {
        for (name, value) in NEWEST {
            options = options.config(name, value);
        }
    }
    if brokers == 3 {
        options = options
            .config("default.replication.factor", "3")
            .config("min.insync.replicas", "2")
            .replication_lag(REPLICATION_LAG);
    }
    Mock::start(options).unwrap_or_else(|error| panic!("no mock: {error}"))
}

fn newest() -> Builder {
    NEWEST.iter().fold(Cluster::builder(), |builder, (name, value)| builder.property(*name, *value))
}

fn older(version: &str) -> Builder {
    Cluster::builder().version(version)
}

/// Starts a cluster of a test binary's own; fails the test with the reason when it can't.
pub fn start(builder: Builder) -> Cluster {
    builder.start().unwrap_or_else(|error| panic!("no Kafka: {error}"))
}
