//! [`World`]: whether a suite runs on a real Kafka or on one in memory.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use ottla::Kafka;
use ottla_mock::{Mock, Release};
use xtask::kafka::Cluster;

use super::clusters::{mock, of_version, one, three};
use super::harm::Harm;
use super::nodes::Nodes;
use super::run::{DEADLINE, run_within};

/// The real cluster of three is in the hands of one test at a time if that harms it.
static TURN: RwLock<()> = RwLock::new(());

/// Where a suite runs. A suite is a file of `tests/suites`, each binary that includes it says where.
///
/// Real clusters are shared by the tests of a binary; every test has a mock of its own, so that they run beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// Kafka itself: needs Java and Maven, and seconds to start.
    Real,
    /// The cluster in memory.
    Mock,
}

impl World {
    /// How long something fails, or fails again and again, on real brokers: 20 seconds, or as many as
    /// `OTTLA_FAULT_SECONDS` in the environment says.
    pub fn fault_time() -> Duration {
        let given = std::env::var("OTTLA_FAULT_SECONDS").ok();
        let seconds = given.map(|seconds| seconds.parse().expect("a number of seconds"));
        Duration::from_secs(seconds.unwrap_or(20))
    }

    /// Runs `test` with a cluster of one node of the newest version; fails after [`DEADLINE`].
    pub fn one(self, test: impl AsyncFnOnce(Kafka, &Nodes)) {
        match self {
            World::Real => real(DEADLINE, one(), test),
            World::Mock => with(DEADLINE, async || by_tcp(mock(1, Release::default())).await, test),
        }
    }

    /// Runs `test` with a cluster of one node of an older version: one that [`xtask::kafka::OLDER_VERSIONS`] names, or for
    /// the mock one of [`Release::ALL`]. Fails after [`DEADLINE`].
    pub fn of_version(self, version: &str, test: impl AsyncFnOnce(Kafka, &Nodes)) {
        match self {
            World::Real => real(DEADLINE, of_version(version), test),
            World::Mock => {
                let release = version.parse().unwrap_or_else(|error| panic!("{error}"));
                with(DEADLINE, async || by_tcp(mock(1, release)).await, test);
            }
        }
    }

    /// Runs `test` with a cluster of three nodes which no test harms meanwhile. Fails after `limit`.
    pub fn peace(self, limit: Duration, test: impl AsyncFnOnce(Kafka, &Nodes)) {
        match self {
            World::Real => {
                let _turn = TURN.read().unwrap_or_else(PoisonError::into_inner);
                real(limit, three(), test);
            }
            World::Mock => with(limit, async || three_in_memory(), test),
        }
    }

    /// Runs `test` with a cluster of three nodes all to itself; every node runs again afterwards, whatever became of the
    /// test. Fails after `limit`.
    pub fn harm(self, limit: Duration, test: impl AsyncFnOnce(Kafka, &Harm)) {
        match self {
            World::Real => {
                // Dropped in the reverse order: the nodes come back before the next test's turn.
                let _turn = TURN.write().unwrap_or_else(PoisonError::into_inner);
                let harm = Harm::new(Nodes::Real(three()));
                run_within(limit, async || test(harm.nodes().kafka(), &harm).await);
            }
            World::Mock => run_within(limit, async || {
                let harm = Harm::new(three_in_memory());
                test(harm.nodes().kafka(), &harm).await;
            }),
        }
    }
}

/// A cluster that runs already: to start it is no part of the test, and of its time.
fn real(limit: Duration, cluster: &'static Cluster, test: impl AsyncFnOnce(Kafka, &Nodes)) {
    with(limit, async || Nodes::Real(cluster), test);
}

fn with(limit: Duration, nodes: impl AsyncFnOnce() -> Nodes, test: impl AsyncFnOnce(Kafka, &Nodes)) {
    run_within(limit, async || {
        let nodes = nodes().await;
        test(nodes.kafka(), &nodes).await;
    });
}

fn three_in_memory() -> Nodes {
    Nodes::MockByPipes(mock(3, Release::default()))
}

async fn by_tcp(mock: Mock) -> Nodes {
    mock.listen("127.0.0.1:0").await.unwrap_or_else(|error| panic!("the mock cannot listen: {error}"));
    Nodes::MockByTcp(mock)
}
