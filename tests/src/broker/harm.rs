//! Nodes that fail.

use std::thread;
use std::time::{Duration, Instant};

use ottla::{Kafka, NodeId, Topic, TopicPartition};
use ottla_mock::{HarmError, Mock};
use xtask::kafka::{Cluster, KafkaError};

use super::nodes::Nodes;

/// How long an election, or catching up, may take: about three seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The power over a cluster's nodes; dropping it brings all of them back.
#[derive(Debug)]
pub struct Harm {
    nodes: Nodes,
}

impl Harm {
    pub(super) fn new(nodes: Nodes) -> Harm {
        Harm { nodes }
    }

    /// The cluster.
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// SIGKILL, or what comes closest to it in memory; the same below.
    pub async fn kill(&self, node: NodeId) {
        self.act(&[node], "kill", Cluster::kill, Mock::kill_broker).await;
    }

    /// SIGSTOP.
    pub async fn pause(&self, node: NodeId) {
        self.act(&[node], "pause", Cluster::pause, Mock::pause_broker).await;
    }

    /// SIGCONT.
    pub async fn resume(&self, node: NodeId) {
        self.act(&[node], "resume", Cluster::resume, Mock::resume_broker).await;
    }

    /// Starts a node that was killed, and waits until the others know it.
    pub async fn start(&self, node: NodeId) {
        self.act(&[node], "start", Cluster::start_node, Mock::restart_broker).await;
    }

    /// SIGTERM, and a start once the process is gone.
    pub async fn restart(&self, node: NodeId) {
        self.act(&[node], "restart", Cluster::restart, restart).await;
    }

    /// SIGKILL for all nodes.
    pub async fn kill_all(&self) {
        self.act(&self.nodes.ids(), "kill", Cluster::kill, Mock::kill_broker).await;
    }

    /// Starts all nodes, none of which runs.
    pub async fn start_all(&self) {
        self.act(&self.nodes.ids(), "start", Cluster::start_node, Mock::restart_broker).await;
    }

    /// The leader of a partition, as the cluster says now.
    pub async fn leader(&self, kafka: &Kafka, partition: &TopicPartition) -> NodeId {
        let leader = |topic: &Topic| topic.partition(partition.partition)?.leader;
        await_topic(kafka, &partition.topic, "has no leader", leader).await
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
        await_topic(kafka, topic, "is not in sync", in_sync).await;
    }

    /// Does the same to several nodes; real ones at once, on threads of their own.
    async fn act(
        &self,
        nodes: &[NodeId],
        what: &'static str,
        real: fn(&Cluster, i32) -> Result<(), KafkaError>,
        mock: fn(&Mock, i32) -> Result<(), HarmError>,
    ) {
        match &self.nodes {
            Nodes::Real(cluster) => {
                let cluster: &'static Cluster = cluster;
                let acts: Vec<_> = nodes
                    .iter()
                    .map(|&node| (node, tokio::task::spawn_blocking(move || real(cluster, node))))
                    .collect();
                for (node, act) in acts {
                    let done = act.await.expect("the thread does not panic");
                    done.unwrap_or_else(|error| panic!("cannot {what} node {node}: {error}"));
                }
            }
            Nodes::MockByTcp(cluster) | Nodes::MockByPipes(cluster) => {
                for &node in nodes {
                    mock(cluster, node).unwrap_or_else(|error| panic!("cannot {what} node {node}: {error}"));
                }
            }
        }
    }
}

/// Asks for metadata until `wanted` finds something in it.
pub(super) async fn await_topic<T>(
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
        let cluster = updates.latest();
        update
            .unwrap_or_else(|_| panic!("{name} {not}: {:?}", cluster.topic(name)))
            .expect("the handle is alive");
        if let Some(found) = cluster.topic(name).and_then(|topic| wanted(topic)) {
            return found;
        }
    }
}

/// As SIGTERM and a start do.
fn restart(mock: &Mock, node: NodeId) -> Result<(), HarmError> {
    mock.stop_broker(node)?;
    mock.restart_broker(node)
}

impl Drop for Harm {
    fn drop(&mut self) {
        // A mock ends with its test.
        let Nodes::Real(cluster) = self.nodes else { return };
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
