//! The rules by which what brokers say becomes the next snapshot. Pure.
//!
//! - A leader of an older epoch never replaces a newer one of the same topic, since brokers learn of changes at different
//!   times and a slow one would send clients back. Where it was found is kept with it.
//! - Another topic id is another topic: nothing of the old one counts.
//! - What was not asked about stays; what nobody uses any more goes.
//! - An answer without brokers is no answer.
//!
//! Sources: KIP-320, KIP-516, KIP-951.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::metadata::{
    MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::uuid::Uuid;

use super::cluster::{Cluster, LeaderHint, Node, NodeId, Partition, Topic, TopicError};
use crate::topic_partition::TopicPartition;

impl Cluster {
    /// The snapshot after an answer; `in_use` says whether anybody cares for a topic.
    pub(super) fn updated(&self, response: MetadataResponse, in_use: impl Fn(&str) -> bool) -> Cluster {
        let generation = self.generation + 1;
        let mut next = Cluster {
            id: response.cluster_id.as_deref().map(Arc::from).or_else(|| self.id.clone()),
            controller: (response.controller_id >= 0).then_some(response.controller_id),
            nodes: response
                .brokers
                .iter()
                .filter_map(|broker| {
                    // Negative ids are the bootstrap servers' here.
                    let port = u16::try_from(broker.port).ok().filter(|_| broker.node_id >= 0)?;
                    let (host, rack) = (broker.host.as_str().into(), broker.rack.as_deref().map(Arc::from));
                    Some((broker.node_id, Node { id: broker.node_id, host, port, rack }))
                })
                .collect(),
            topics: self.topics.clone(),
            names: HashMap::new(),
            errors: self.errors.clone(),
            generation,
        };
        for answered in response.topics {
            let Some(name) = answered.name.as_deref().map(Arc::<str>::from) else { continue };
            match answered.error_code {
                ErrorCode::NONE => {
                    let topic =
                        topic(Arc::clone(&name), answered, self.topics.get(&name).map(|topic| &**topic));
                    if topic.partitions.is_empty() {
                        // There is no such topic, and whoever took it for one could wait for nothing.
                        let code = ErrorCode::LEADER_NOT_AVAILABLE;
                        next.errors.insert(name, TopicError { code, generation });
                    } else {
                        next.errors.remove(&name);
                        next.keep_leaders_of(&topic, &self.nodes);
                        next.topics.insert(name, Arc::new(topic));
                    }
                }
                code => {
                    // During an election the old partitions are the best that is known.
                    if code != ErrorCode::LEADER_NOT_AVAILABLE {
                        next.topics.remove(&name);
                    }
                    next.errors.insert(name, TopicError { code, generation });
                }
            }
        }
        next.topics.retain(|name, _| in_use(name));
        next.errors.retain(|name, _| in_use(name));
        next.name_ids();
        next
    }

    /// A leader that an older answer does not replace is still where it was `before`, even if that answer says nothing of it.
    fn keep_leaders_of(&mut self, topic: &Topic, before: &BTreeMap<NodeId, Node>) {
        for leader in topic.partitions.iter().filter_map(|partition| partition.leader) {
            if !self.nodes.contains_key(&leader)
                && let Some(node) = before.get(&leader)
            {
                self.nodes.insert(leader, node.clone());
            }
        }
    }

    /// The snapshot after somebody learned elsewhere of leaders; `None` if nothing of it is news. However many they are, it is
    /// one snapshot, and each topic among them is copied once.
    pub(super) fn with_leaders(&self, hints: impl IntoIterator<Item = LeaderHint>) -> Option<Cluster> {
        let mut next = None;
        for hint in hints {
            if next.as_ref().unwrap_or(self).is_news(&hint) {
                let next =
                    next.get_or_insert_with(|| Cluster { generation: self.generation + 1, ..self.clone() });
                next.take(hint);
            }
        }
        next
    }

    fn is_news(&self, hint: &LeaderHint) -> bool {
        let LeaderHint { partition, topic_id, leader, endpoint } = hint;
        let Some(topic) = self.topic(&partition.topic) else { return false };
        let Some(known) = topic.partition(partition.partition) else { return false };
        let reachable = endpoint.is_some() || self.nodes.contains_key(&leader.node);
        leader.epoch > known.leader_epoch
            && leader.node >= 0
            && reachable
            && is_same_topic(topic.id, *topic_id)
    }

    fn take(&mut self, hint: LeaderHint) {
        let LeaderHint { partition: TopicPartition { topic, partition }, leader, endpoint, .. } = hint;
        let topic = self.topics.get_mut(&topic).map(Arc::make_mut);
        let place = usize::try_from(partition).ok();
        let Some(known) = topic.zip(place).and_then(|(topic, at)| topic.partitions.get_mut(at)) else {
            return;
        };
        known.leader = Some(leader.node);
        known.leader_epoch = leader.epoch;
        known.error = ErrorCode::NONE;
        self.nodes.extend(endpoint.map(|node| (node.id, node)));
    }

    /// The snapshot with a broker that another answer named; `None` if it is no news.
    pub(super) fn with_node(&self, id: NodeId, host: &str, port: u16) -> Option<Cluster> {
        let known = self.node(id);
        if known.is_some_and(|node| &*node.host == host && node.port == port) {
            return None;
        }
        let rack = known.and_then(|node| node.rack.clone());
        let mut next = self.clone();
        next.nodes.insert(id, Node { id, host: host.into(), port, rack });
        next.generation += 1;
        Some(next)
    }

    /// Whether the two differ in more than their generations.
    pub(super) fn differs(&self, other: &Cluster) -> bool {
        let errors = |cluster: &Cluster| -> HashMap<Arc<str>, ErrorCode> {
            cluster.errors.iter().map(|(name, error)| (Arc::clone(name), error.code)).collect()
        };
        (&self.id, &self.controller, &self.nodes, &self.topics)
            != (&other.id, &other.controller, &other.nodes, &other.topics)
            || errors(self) != errors(other)
    }

    /// Whether a topic is here that `before` doesn't have, or has otherwise.
    pub(super) fn teaches_topics(&self, before: &Cluster) -> bool {
        self.topics.iter().any(|(name, topic)| before.topics.get(name) != Some(topic))
    }

    /// Whether everything is known about a topic that can be: it exists and each partition has a leader, or it can't be had.
    pub(super) fn is_settled(&self, name: &str) -> bool {
        match self.topics.get(name) {
            Some(topic) => topic.partitions.iter().all(|partition| partition.leader.is_some()),
            None => self.topic_error(name).is_some_and(is_final),
        }
    }

    fn name_ids(&mut self) {
        let known = self.topics.values().filter(|topic| !topic.id.is_zero());
        self.names = known.map(|topic| (topic.id, Arc::clone(&topic.name))).collect();
    }
}

/// Whether asking again about a topic can't help.
pub(super) fn is_final(code: ErrorCode) -> bool {
    !code.is_retriable()
}

/// Topics of the same name are taken for the same where brokers are too old to tell.
fn is_same_topic(one: Uuid, other: Uuid) -> bool {
    one == other || one.is_zero() || other.is_zero()
}

fn topic(name: Arc<str>, answered: MetadataResponseTopic, old: Option<&Topic>) -> Topic {
    let id = answered.topic_id;
    let old = old.filter(|old| is_same_topic(old.id, id));
    let mut answers = answered.partitions;
    answers.sort_by_key(|partition| partition.partition_index);
    answers.retain(|partition| partition.partition_index >= 0);
    answers.dedup_by_key(|partition| partition.partition_index);
    let mut partitions = Vec::with_capacity(answers.len());
    for answer in answers {
        // Indexes have no gaps; were there one, all that lies behind it could not be told apart.
        if usize::try_from(answer.partition_index) != Ok(partitions.len()) {
            break;
        }
        partitions.push(partition(&answer, old.and_then(|old| old.partition(answer.partition_index))));
    }
    Topic { name, id, internal: answered.is_internal, partitions }
}

fn partition(answer: &MetadataResponsePartition, old: Option<&Partition>) -> Partition {
    if let Some(old) = old
        && answer.leader_epoch >= 0
        && answer.leader_epoch < old.leader_epoch
    {
        return old.clone();
    }
    Partition {
        leader: (answer.leader_id >= 0).then_some(answer.leader_id),
        leader_epoch: answer.leader_epoch,
        replicas: answer.replica_nodes.to_vec(),
        isr: answer.isr_nodes.to_vec(),
        offline: answer.offline_replicas.to_vec(),
        error: answer.error_code,
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::metadata::MetadataResponseBroker;

    use super::super::cluster::Leader;
    use super::*;

    /// A topic's name, the byte its id is made of, and each partition's leader and epoch.
    type Sketch<'a> = (&'a str, u8, &'a [(NodeId, i32)]);

    fn answer(topics: &[Sketch<'_>]) -> MetadataResponse {
        let topic = |&(name, id, leaders): &Sketch<'_>| MetadataResponseTopic {
            name: Some(name.to_owned()),
            topic_id: Uuid([id; 16]),
            partitions: leaders
                .iter()
                .zip(0i32..)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .map(|(&(leader_id, leader_epoch), partition_index)| MetadataResponsePartition {
                    partition_index,
                    leader_id,
                    leader_epoch,
                    replica_nodes: [leader_id].into(),
                    isr_nodes: [leader_id].into(),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        MetadataResponse {
            brokers: vec![MetadataResponseBroker {
                node_id: 1,
                host: "a".into(),
                port: 9092,
                ..Default::default()
            }],
            cluster_id: Some("c".into()),
            controller_id: 1,
            topics: topics.iter().map(topic).collect(),
            ..Default::default()
        }
    }

    fn error(name: &str, error_code: ErrorCode) -> MetadataResponse {
        let topic = MetadataResponseTopic { name: Some(name.to_owned()), error_code, ..Default::default() };
        MetadataResponse { topics: vec![topic], ..answer(&[]) }
    }

    fn all(_: &str) -> bool {
        true
    }

    fn leaders(cluster: &Cluster, topic: &str) -> Vec<Option<(NodeId, i32)>> {
        (0..cluster.topic(topic).map_or(0, |topic| topic.partitions.len() as i32))
            .map(|partition| cluster.leader(topic, partition).map(|leader| (leader.node, leader.epoch)))
            .collect()
    }

    #[test]
    fn an_older_epoch_never_replaces_a_newer_one_of_the_same_topic() {
        let first = Cluster::default().updated(answer(&[("t", 1, &[(1, 5), (2, 5)])]), all);
        let second = first.updated(answer(&[("t", 1, &[(3, 4), (4, 6)])]), all);
        assert_eq!(leaders(&second, "t"), [Some((1, 5)), Some((4, 6))]);
        assert_eq!(second.generation(), 2);
        let with_node = second.with_node(4, "d", 9092).unwrap();
        let stale = with_node.updated(answer(&[("t", 1, &[(1, 5), (1, 5)])]), all);
        assert_eq!(leaders(&stale, "t"), [Some((1, 5)), Some((4, 6))]);
        assert_eq!(stale.node(4).map(|node| &*node.host), Some("d"), "where the leader is");
        let fresh = with_node.updated(answer(&[("t", 1, &[(1, 5), (1, 7)])]), all);
        assert!(fresh.node(4).is_none());
        let same_epoch = second.updated(answer(&[("t", 1, &[(-1, 5), (4, 6)])]), all);
        assert_eq!(leaders(&same_epoch, "t"), [None, Some((4, 6))]);
        assert!(!same_epoch.is_settled("t") && second.is_settled("t"));
    }

    #[test]
    fn a_new_topic_id_replaces_everything() {
        let first = Cluster::default().updated(answer(&[("t", 1, &[(1, 50), (2, 50)])]), all);
        let second = first.updated(answer(&[("t", 2, &[(3, 0)])]), all);
        assert_eq!(leaders(&second, "t"), [Some((3, 0))]);
        assert!(second.topic_by_id(Uuid([1; 16])).is_none());
        assert_eq!(second.topic_by_id(Uuid([2; 16])).map(|topic| &*topic.name), Some("t"));
    }

    #[test]
    fn brokers_without_epochs_are_believed() {
        let first = Cluster::default().updated(answer(&[("t", 0, &[(1, 5)])]), all);
        let second = first.updated(answer(&[("t", 0, &[(2, -1)])]), all);
        assert_eq!(leaders(&second, "t"), [Some((2, -1))]);
        assert_eq!(second.topic_by_id(Uuid::ZERO), None);
    }

    #[test]
    fn topics_not_asked_about_stay_and_topics_not_in_use_go() {
        let first = Cluster::default().updated(answer(&[("a", 1, &[(1, 1)]), ("b", 2, &[(1, 1)])]), all);
        let second = first
            .updated(answer(&[("c", 3, &[(1, 1)]), ("d", 4, &[(1, 1)])]), |name| name != "b" && name != "d");
        let mut names: Vec<_> = second.topics().map(|topic| topic.name.to_string()).collect();
        names.sort();
        assert_eq!(names, ["a", "c"]);
        assert!(second.topic_by_id(Uuid([2; 16])).is_none());
    }

    #[test]
    fn errors_are_kept_with_their_generation_until_the_topic_is_there() {
        let first = Cluster::default().updated(answer(&[("t", 1, &[(1, 1)])]), all);
        let electing = first.updated(error("t", ErrorCode::LEADER_NOT_AVAILABLE), all);
        assert_eq!(leaders(&electing, "t"), [Some((1, 1))]);
        let gone = electing.updated(error("t", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION), all);
        assert_eq!(
            (gone.topic("t"), gone.topic_error("t")),
            (None, Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))
        );
        assert_eq!(gone.topic_error_since("t", 2), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        assert_eq!(gone.topic_error_since("t", 3), None);
        assert!(!gone.is_settled("t"));
        let denied = gone.updated(error("t", ErrorCode::TOPIC_AUTHORIZATION_FAILED), all);
        assert!(denied.is_settled("t"));
        let back = denied.updated(answer(&[("t", 1, &[(1, 2)])]), all);
        assert_eq!((leaders(&back, "t"), back.topic_error("t")), (vec![Some((1, 2))], None));
    }

    /// Of a partition of the topic whose id is made of this byte.
    fn hint(name: &str, partition: i32, id: u8, (node, epoch): (NodeId, i32)) -> LeaderHint {
        LeaderHint {
            partition: TopicPartition::new(name, partition),
            topic_id: Uuid([id; 16]),
            leader: Leader { node, epoch },
            endpoint: None,
        }
    }

    #[test]
    fn leaders_that_one_answer_names_are_one_change_in_which_each_hint_is_judged_by_those_before() {
        let first = Cluster::default().updated(
            answer(&[("t", 1, &[(1, 5), (1, 5), (1, 5)]), ("u", 2, &[(1, 1)]), ("v", 3, &[(1, 1)])]),
            all,
        );
        let node = Node { id: 2, host: "b".into(), port: 1, rack: None };
        let hints = [
            hint("t", 2, 1, (2, 6)),
            LeaderHint { endpoint: Some(node), ..hint("t", 0, 1, (2, 7)) },
            hint("t", 0, 1, (1, 6)),
            hint("t", 1, 1, (2, 6)),
            hint("u", 0, 9, (2, 2)),
        ];
        let second = first.with_leaders(hints).unwrap();
        assert_eq!(leaders(&second, "t"), [Some((2, 7)), Some((2, 6)), Some((1, 5))]);
        assert_eq!(leaders(&second, "u"), [Some((1, 1))]);
        assert_eq!(second.generation(), first.generation() + 1);
        assert!(Arc::ptr_eq(&first.topics["v"], &second.topics["v"]), "what did not change is shared");
        assert_eq!(leaders(&first, "t"), [Some((1, 5)); 3]);
        assert_eq!(second.with_leaders([hint("t", 0, 1, (2, 7))]), None);
    }

    #[test]
    fn a_leader_learned_elsewhere_counts_only_if_its_epoch_is_newer() {
        let first = Cluster::default().updated(answer(&[("t", 1, &[(1, 5)])]), all);
        let hint =
            |name, partition, node, epoch| first.with_leaders([hint(name, partition, 1, (node, epoch))]);
        assert_eq!(hint("t", 0, 2, 5), None);
        assert_eq!(hint("t", 0, 2, 6), None, "node 2 has no address");
        assert_eq!(hint("t", 1, 1, 6), None);
        assert_eq!(hint("x", 0, 1, 6), None);
        let node = Node { id: 2, host: "b".into(), port: 1, rack: None };
        let second = LeaderHint { endpoint: Some(node.clone()), ..super::tests::hint("t", 0, 1, (2, 6)) };
        let second = first.with_leaders([second]).unwrap();
        assert_eq!((leaders(&second, "t"), second.node(2)), (vec![Some((2, 6))], Some(&node)));
        let stale = second.updated(answer(&[("t", 1, &[(1, 5)])]), all);
        assert_eq!(leaders(&stale, "t"), [Some((2, 6))]);
    }

    #[test]
    fn a_leader_of_a_topic_that_was_deleted_is_not_taken_for_that_of_its_successor() {
        let successor = Cluster::default().updated(answer(&[("t", 2, &[(1, 0)])]), all);
        let hint = |id| successor.with_leaders([hint("t", 0, id, (1, 11))]).map(|next| leaders(&next, "t"));
        assert_eq!(hint(1), None);
        assert_eq!(hint(2), Some(vec![Some((1, 11))]));
        assert_eq!(hint(0), Some(vec![Some((1, 11))]), "brokers that know no ids are believed");
    }

    #[test]
    fn an_answer_teaches_of_topics_that_are_new_or_changed_alone() {
        let first = Cluster::default().updated(answer(&[("t", 1, &[(1, 5)]), ("u", 2, &[(1, 5)])]), all);
        assert!(first.teaches_topics(&Cluster::default()));
        assert!(!first.updated(answer(&[("t", 1, &[(1, 5)])]), all).teaches_topics(&first));
        assert!(
            !first.updated(error("v", ErrorCode::TOPIC_AUTHORIZATION_FAILED), all).teaches_topics(&first)
        );
        assert!(
            !first.updated(error("t", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION), all).teaches_topics(&first)
        );
        assert!(first.updated(answer(&[("t", 1, &[(1, 6)])]), all).teaches_topics(&first));
    }

    #[test]
    fn the_same_answer_twice_is_no_difference() {
        let first = Cluster::default().updated(answer(&[("t", 1, &[(1, 5)])]), all);
        assert!(!first.updated(answer(&[("t", 1, &[(1, 5)])]), all).differs(&first));
        assert!(first.updated(answer(&[("t", 1, &[(1, 6)])]), all).differs(&first));
        assert!(first.differs(&Cluster::default()));
    }

    #[test]
    fn a_gap_or_a_doubled_partition_is_no_harm() {
        let mut odd = answer(&[("t", 1, &[(1, 1), (2, 2), (3, 3)])]);
        for (partition, index) in odd.topics[0].partitions.iter_mut().zip([-1, 0, 0]) {
            partition.partition_index = index;
        }
        assert_eq!(leaders(&Cluster::default().updated(odd, all), "t").len(), 1);
        let mut gap = answer(&[("t", 1, &[(1, 1), (2, 2)])]);
        gap.topics[0].partitions[0].partition_index = i32::MAX;
        assert_eq!(leaders(&Cluster::default().updated(gap, all), "t").len(), 1);
    }

    #[test]
    fn a_topic_without_partitions_is_not_there_yet() {
        let first = Cluster::default().updated(answer(&[("t", 1, &[])]), all);
        assert_eq!((first.topic("t"), first.topic_error("t")), (None, Some(ErrorCode::LEADER_NOT_AVAILABLE)));
        assert!(!first.is_settled("t"));
    }

    #[test]
    fn a_node_named_elsewhere_is_added_once() {
        let first = Cluster::default().updated(answer(&[]), all);
        assert_eq!(first.with_node(1, "a", 9092), None);
        assert_eq!(first.with_node(7, "z", 1).unwrap().node(7).map(|node| node.port), Some(1));
    }
}
