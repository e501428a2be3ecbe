//! Nodes that fail: the cluster of three in the hands of one test at a time.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant};

use ottla::{Kafka, NodeId, Topic, TopicPartition};
use xtask::kafka::{Cluster, KafkaError};

use super::clusters::three;
use super::run::{options, run_within};

static TURN: RwLock<()> = RwLock::new(());

/// How long an election, or catching up, may take: about three seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// Runs `test` with [`three`] all to itself; every node runs again afterwards, whatever became of the test. Fails after
/// `limit`.
pub fn harm(limit: Duration, test: impl AsyncFnOnce(Kafka, &Harm)) {
    let turn = TURN.write().unwrap_or_else(PoisonError::into_inner);
    let harm = Harm { cluster: three(), _turn: turn };
    run_within(limit, async || {
        test(Kafka::with_options(options(harm.cluster)).expect("valid options"), &harm).await;
    });
}

/// Runs `test` with [`three`] while no test harms its nodes; others may use it as well. Fails after `limit`.
pub fn peace(limit: Duration, test: impl AsyncFnOnce(Kafka, &'static Cluster)) {
    let _turn: RwLockReadGuard<'_, ()> = TURN.read().unwrap_or_else(PoisonError::into_inner);
    let cluster = three();
    run_within(limit, async || {
        test(Kafka::with_options(options(cluster)).expect("valid options"), cluster).await
    });
}

/// The power over the nodes of [`three`]; dropping it brings all of them back.
#[derive(Debug)]
pub struct Harm {
    cluster: &'static Cluster,
    _turn: RwLockWriteGuard<'static, ()>,
}

impl Harm {
    /// The cluster.
    pub fn cluster(&self) -> &'static Cluster {
        self.cluster
    }

    /// SIGKILL.
    pub async fn kill(&self, node: NodeId) {
        self.act(&[node], "kill", Cluster::kill).await;
    }

    /// SIGSTOP.
    pub async fn pause(&self, node: NodeId) {
        self.act(&[node], "pause", Cluster::pause).await;
    }

    /// SIGCONT.
    pub async fn resume(&self, node: NodeId) {
        self.act(&[node], "resume", Cluster::resume).await;
    }

    /// Starts a node that was killed, and waits until the others know it.
    pub async fn start(&self, node: NodeId) {
        self.act(&[node], "start", Cluster::start_node).await;
    }

    /// SIGTERM, and a start once the process is gone.
    pub async fn restart(&self, node: NodeId) {
        self.act(&[node], "restart", Cluster::restart).await;
    }

    /// SIGKILL for all nodes.
    pub async fn kill_all(&self) {
        self.act(&self.cluster.nodes(), "kill", Cluster::kill).await;
    }

    /// Starts all nodes, none of which runs.
    pub async fn start_all(&self) {
        self.act(&self.cluster.nodes(), "start", Cluster::start_node).await;
    }

    /// The leader of a partition, as the cluster says now.
    pub async fn leader(&self, kafka: &Kafka, partition: &TopicPartition) -> NodeId {
        let leader = |topic: &Topic| topic.partition(partition.partition)?.leader;
        self.topic(kafka, &partition.topic, "has no leader", leader).await
    }

    /// Waits until every replica of `topic` is in sync again, so that any one node may fail next.
    pub async fn in_sync(&self, kafka: &Kafka, topic: &str) {
        let in_sync = |topic: &Topic| {
            topic
                .partitions
                .iter()
                .all(|partition| partition.isr.len() == partition.replicas.len())
                .then_some(())
        };
        self.topic(kafka, topic, "is not in sync", in_sync).await;
    }

    /// Asks for metadata until `wanted` finds something in it.
    async fn topic<T>(
        &self,
        kafka: &Kafka,
        name: &str,
        not: &str,
        wanted: impl Fn(&Topic) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + PATIENCE;
        let in_use = kafka.client().topics_in_use();
        in_use.add(name);
        let mut updates = kafka.client().cluster_updates();
        loop {
            kafka.client().refresh_metadata();
            let update = tokio::time::timeout_at(deadline.into(), updates.changed()).await;
            let cluster = updates.borrow_and_update().clone();
            update
                .unwrap_or_else(|_| panic!("{name} {not}: {:?}", cluster.topic(name)))
                .expect("the handle is alive");
            if let Some(found) = cluster.topic(name).and_then(|topic| wanted(topic)) {
                return found;
            }
        }
    }

    /// Does the same to several nodes at once, on threads of their own.
    async fn act(
        &self,
        nodes: &[NodeId],
        what: &'static str,
        act: fn(&Cluster, i32) -> Result<(), KafkaError>,
    ) {
        let cluster = self.cluster;
        let acts: Vec<_> = nodes
            .iter()
            .map(|&node| (node, tokio::task::spawn_blocking(move || act(cluster, node))))
            .collect();
        for (node, act) in acts {
            let done = act.await.expect("the thread does not panic");
            done.unwrap_or_else(|error| panic!("cannot {what} node {node}: {error}"));
        }
    }
}

impl Drop for Harm {
    fn drop(&mut self) {
        let cluster = self.cluster;
        thread::scope(|scope| {
            for node in cluster.nodes() {
                scope.spawn(move || {
                    let running = cluster.pid(node).ok().flatten().is_some();
                    let back = if running { cluster.resume(node) } else { cluster.start_node(node) };
                    back.unwrap_or_else(|error| eprintln!("node {node} is not back: {error}"));
                });
            }
        });
        cluster.await_brokers().unwrap_or_else(|error| eprintln!("the cluster is not whole again: {error}"));
    }
}
