//! The broker properties and JVM flags of a test node.
//!
//! One place says which defaults differ from Kafka's and why: small internal topics and no rebalance delay keep tests
//! fast, short quorum and session timeouts make a killed node's leaders move within about three seconds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// How hard the JVM compiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jit {
    /// The quick compiler, the serial collector and a small heap: starts fast, for tests.
    #[default]
    Quick,
    /// The JVM's own choice and a heap of 1 GiB: for measurements.
    Full,
}

impl Jit {
    pub(super) const fn flags(self) -> &'static [&'static str] {
        match self {
            Jit::Quick => &["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx320m"],
            Jit::Full => &["-Xmx1g"],
        }
    }
}

/// What one node is told about itself and its peers.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) id: i32,
    /// The ports of listener and controller per node, in the order of ids from 1.
    pub(super) ports: &'a [(u16, u16)],
    pub(super) data: &'a Path,
}

/// The text of `server.properties` for a node; `overrides` win over everything.
pub(super) fn properties(place: &Place<'_>, overrides: &BTreeMap<String, String>) -> String {
    let mut all = addresses(place);
    all.extend(defaults(place.ports.len()).map(|(name, value)| (name.to_owned(), value)));
    all.extend(overrides.iter().map(|(name, value)| (name.clone(), value.clone())));
    let mut text = String::new();
    for (name, value) in &all {
        // A backslash starts an escape in Java's properties format.
        let _ = writeln!(text, "{name}={}", value.replace('\\', "\\\\").replace('\n', "\\n"));
    }
    text
}

fn addresses(place: &Place<'_>) -> BTreeMap<String, String> {
    let (listener, controller) = place.ports[place.id as usize - 1];
    let voters: Vec<String> =
        (1..).zip(place.ports).map(|(id, (_, port))| format!("{id}@127.0.0.1:{port}")).collect();
    [
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", place.id.to_string()),
        ("controller.quorum.voters", voters.join(",")),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("listeners", format!("PLAINTEXT://127.0.0.1:{listener},CONTROLLER://127.0.0.1:{controller}")),
        ("advertised.listeners", format!("PLAINTEXT://127.0.0.1:{listener}")),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned()),
        ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
        ("log.dirs", place.data.display().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn defaults(nodes: usize) -> impl Iterator<Item = (&'static str, String)> {
    let replicas = nodes.min(3);
    let in_sync = if replicas == 3 { 2 } else { 1 };
    let scaled = [
        ("default.replication.factor", replicas),
        ("min.insync.replicas", in_sync),
        ("offsets.topic.replication.factor", replicas),
        ("transaction.state.log.replication.factor", replicas),
        ("transaction.state.log.min.isr", in_sync),
        ("share.coordinator.state.topic.replication.factor", replicas),
        ("share.coordinator.state.topic.min.isr", in_sync),
    ]
    .map(|(name, value)| (name, value.to_string()));
    let fixed = [
        ("auto.create.topics.enable", "false"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("group.min.session.timeout.ms", "1000"),
        ("offsets.topic.num.partitions", "3"),
        ("transaction.state.log.num.partitions", "3"),
        ("share.coordinator.state.topic.num.partitions", "3"),
        // A dead broker is fenced after this long without a heartbeat.
        ("broker.heartbeat.interval.ms", "300"),
        ("broker.session.timeout.ms", "2000"),
        // A dead active controller is replaced after this long without a fetch reply.
        ("controller.quorum.fetch.timeout.ms", "1200"),
        ("controller.quorum.election.timeout.ms", "600"),
        ("controller.quorum.election.backoff.max.ms", "300"),
        ("controlled.shutdown.retry.backoff.ms", "300"),
        // Threads and buffers cost start-up time and memory, and a test needs few.
        ("num.network.threads", "2"),
        ("num.io.threads", "4"),
        ("background.threads", "2"),
        ("log.cleaner.dedupe.buffer.size", "4194304"),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    scaled.into_iter().chain(fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>(text: &'a str, name: &str) -> Option<&'a str> {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }

    #[test]
    fn a_node_knows_its_own_ports_and_all_voters() {
        let place = Place { id: 2, ports: &[(1, 2), (3, 4), (5, 6)], data: Path::new("/d") };
        let text = properties(&place, &BTreeMap::new());
        assert_eq!(line(&text, "listeners"), Some("PLAINTEXT://127.0.0.1:3,CONTROLLER://127.0.0.1:4"));
        assert_eq!(
            line(&text, "controller.quorum.voters"),
            Some("1@127.0.0.1:2,2@127.0.0.1:4,3@127.0.0.1:6")
        );
        assert_eq!(line(&text, "log.dirs"), Some("/d"));
    }

    #[test]
    fn three_nodes_replicate_thrice_and_one_node_once() {
        let three = properties(
            &Place { id: 1, ports: &[(1, 2), (3, 4), (5, 6)], data: Path::new("/d") },
            &BTreeMap::new(),
        );
        let one = properties(&Place { id: 1, ports: &[(1, 2)], data: Path::new("/d") }, &BTreeMap::new());
        let factors = |text: &str| {
            ["default.replication.factor", "min.insync.replicas", "offsets.topic.replication.factor"]
                .map(|name| line(text, name).map(str::to_owned).unwrap())
        };
        assert_eq!(factors(&three), ["3", "2", "3"]);
        assert_eq!(factors(&one), ["1", "1", "1"]);
    }

    #[test]
    fn an_override_wins_and_is_written_once() {
        let overrides = BTreeMap::from([("auto.create.topics.enable".to_owned(), "true".to_owned())]);
        let text = properties(&Place { id: 1, ports: &[(1, 2)], data: Path::new("/d") }, &overrides);
        let all: Vec<&str> = text.lines().filter(|line| line.starts_with("auto.create")).collect();
        assert_eq!(all, ["auto.create.topics.enable=true"]);
    }
}
