//! A real Kafka and the mock, with the same configuration.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use ottla_mock::{ClusterOptions, Mock};
use ottla_tests::broker::{run_within, start};
use xtask::kafka::Cluster;

use super::compare::compare;
use super::session::Session;

/// How long a script may take on both sides together.
const LIMIT: Duration = Duration::from_secs(240);

/// What both sides are told. What isn't Kafka's default is what `xtask::kafka` tells its nodes, and what keeps scripts short.
const CONFIGS: &[(&str, &str)] = &[
    ("auto.create.topics.enable", "true"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.consumer.assignment.interval.ms", "0"),
    ("group.min.session.timeout.ms", "1000"),
    ("offsets.topic.num.partitions", "3"),
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.num.partitions", "3"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("default.replication.factor", "1"),
    ("min.insync.replicas", "1"),
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "200"),
    ("log.initial.task.delay.ms", "500"),
];

/// Of these, what is about time that the mock doesn't take.
const OF_KAFKA: [&str; 2] =
    ["log.initial.task.delay.ms", "transaction.abort.timed.out.transaction.cleanup.interval.ms"];

static ONE: LazyLock<Cluster> = LazyLock::new(|| kafka(1));
static THREE: LazyLock<Cluster> = LazyLock::new(|| kafka(3));

fn kafka(nodes: usize) -> Cluster {
    let builder = Cluster::builder().nodes(nodes);
    start(CONFIGS.iter().fold(builder, |builder, (name, value)| builder.property(*name, *value)))
}

/// Runs a script as [`both`] does, and none of its kind at the same time. A broker asks a coordinator about several
/// transactions at once, and then reports all of them as the first one's request can be told (`AddPartitionsToTxnManager`).
pub(crate) fn both_in_turn(name: &str, script: impl AsyncFn(&mut Session)) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    both(name, script);
}

/// Runs a script against a real Kafka and the mock, each of one node, and compares the answers.
pub(crate) fn both(name: &str, script: impl AsyncFn(&mut Session)) {
    on_nodes(&ONE, name, script);
}

/// Runs a script as [`both`] does, on clusters of three nodes.
pub(crate) fn both_of_three(name: &str, script: impl AsyncFn(&mut Session)) {
    on_nodes(&THREE, name, script);
}

fn on_nodes(kafka: &Cluster, name: &str, script: impl AsyncFn(&mut Session)) {
    let nodes = kafka.nodes();
    let addresses = nodes.iter().map(|id| kafka.node_address(*id).expect("a node")).collect();
    run_within(LIMIT, async || {
        let brokers = i32::try_from(nodes.len()).expect("few nodes");
        let options = CONFIGS
            .iter()
            .filter(|(name, _)| !OF_KAFKA.contains(name))
            .fold(ClusterOptions::new().brokers(brokers), |options, (name, value)| {
                options.config(*name, *value)
            });
        let mock = Mock::start(options).expect("valid options");
        let listening = mock.listen("127.0.0.1:0").await.expect("free ports");
        let listening = listening.iter().map(ToString::to_string).collect();
        let mut real = Session::new(name, addresses);
        let mut imitated = Session::new(name, listening);
        tokio::join!(real.prepare(), imitated.prepare());
        tokio::join!(script(&mut real), script(&mut imitated));
        compare(name, real.steps(), imitated.steps());
    });
}
