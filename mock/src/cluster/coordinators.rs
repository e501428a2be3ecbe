//! Which broker coordinates a group or a transactional id, and what the coordinators have to say.
//!
//! A coordinator is the leader of the internal topic's partition that the key falls on. Its state is the replicated
//! truth and moves with the leadership; requests that wait are turned away then.
//!
//! Sources: KIP-98, KIP-848, `GroupCoordinatorService` and `TransactionCoordinator` of Kafka 4.3 (`abs(hash) % partitions`).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ottla_protocol::uuid::Uuid;

use super::brokers::Brokers;
use super::topics::Topics;
use super::{Cluster, ClusterOptions};
use crate::configs::{Values, list};
use crate::groups::{Answer, GroupOptions, Groups, Migration, ServerAssignor, TopicFacts, TopicsView};
use crate::transactions::{TransactionOptions, Transactions};
use crate::versions::Release;

/// The internal topic of groups.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// The internal topic of transactions.
pub(crate) const TRANSACTIONS_TOPIC: &str = "__transaction_state";

impl Cluster {
    /// The broker that coordinates a group; `None` while nobody leads its partition.
    pub fn group_coordinator(&mut self, group: &str) -> Option<i32> {
        let (topic, partition) = self.group_partition(group);
        self.leader(topic, partition)
    }

    /// The broker that coordinates a transactional id.
    pub(crate) fn transaction_coordinator(&mut self, id: &str) -> Option<i32> {
        let (topic, partition) = self.transaction_partition(id);
        self.leader(topic, partition)
    }

    /// Whether `broker` coordinates a group.
    pub(crate) fn is_group_coordinator(&mut self, broker: i32, group: &str) -> bool {
        self.group_coordinator(group) == Some(broker)
    }

    /// Whether `broker` coordinates a transactional id.
    pub(crate) fn is_transaction_coordinator(&mut self, broker: i32, id: &str) -> bool {
        self.transaction_coordinator(id) == Some(broker)
    }

    pub(crate) fn group_partition(&mut self, group: &str) -> (&'static str, i32) {
        let count = self.internal_topic(OFFSETS_TOPIC, "offsets.topic");
        (OFFSETS_TOPIC, partition_of(group, count))
    }

    pub(crate) fn transaction_partition(&mut self, id: &str) -> (&'static str, i32) {
        let count = self.internal_topic(TRANSACTIONS_TOPIC, "transaction.state.log");
        (TRANSACTIONS_TOPIC, partition_of(id, count))
    }

    /// Creates an internal topic when it is first needed, and gives its number of partitions.
    fn internal_topic(&mut self, name: &str, prefix: &str) -> usize {
        if let Some(topic) = self.topics.get(name) {
            return topic.partitions.len().max(1);
        }
        let partitions =
            i32::try_from(self.brokers.number(&format!("{prefix}.num.partitions"))).unwrap_or(50);
        let wanted =
            usize::try_from(self.brokers.number(&format!("{prefix}.replication.factor"))).unwrap_or(1);
        // A real cluster of fewer brokers refuses until it has enough; one in memory has all the brokers it will ever have.
        let factor = i16::try_from(wanted.min(self.brokers.live().count())).unwrap_or(1);
        match self.place(partitions, factor) {
            Ok(replicas) => {
                let configs = Values::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
                self.add_topic(name, replicas, configs);
                usize::try_from(partitions).unwrap_or(1).max(1)
            }
            Err(_) => 1,
        }
    }

    /// A partition is led by another broker; if it is a coordinator's, so are its groups or transactions.
    pub(super) fn coordinators_moved(&mut self, now: Instant, topic: Uuid, index: i32) {
        let Some(topic) = self.topics.by_id(topic) else { return };
        let count = topic.partitions.len();
        let is_moved = |key: &str| partition_of(key, count) == index;
        if topic.name == TRANSACTIONS_TOPIC {
            // The new one sends its own.
            self.markers.forget(is_moved);
            self.transactions.handle_coordinator_moved(is_moved);
        } else if topic.name == OFFSETS_TOPIC {
            let groups: Vec<String> =
                self.groups.group_ids().filter(|id| is_moved(id)).map(str::to_owned).collect();
            groups.iter().for_each(|group| self.groups.handle_coordinator_moved(now, group));
        }
    }

    /// Sends the answers that groups had kept back; says whether there were any.
    pub(super) fn settle_groups(&mut self, now: Instant) -> bool {
        let mut settled = false;
        while let Some((ticket, answer)) = self.groups.poll_answer() {
            settled = true;
            match answer {
                Answer::Join(response) => self.answer(now, ticket, response),
                Answer::Sync(response) => self.answer(now, ticket, response),
            }
        }
        settled
    }

    /// Topics came, went or changed.
    pub(super) fn topics_changed(&mut self) {
        self.groups.handle_topics(&View { topics: &self.topics, brokers: &self.brokers });
    }
}

/// The topics as groups see them.
struct View<'a> {
    topics: &'a Topics,
    brokers: &'a Brokers,
}

impl TopicsView for View<'_> {
    fn topics(&self) -> Vec<TopicFacts> {
        let racks = |partition: &super::Partition| {
            let of = |id: &i32| self.brokers.get(*id).and_then(|broker| broker.rack.clone());
            let racks: BTreeSet<String> = partition.replicas.iter().filter_map(of).collect();
            racks.into_iter().collect()
        };
        let facts = |topic: &super::Topic| TopicFacts {
            name: topic.name.clone(),
            id: topic.id,
            racks: topic.partitions.iter().map(racks).collect(),
        };
        self.topics.iter().map(facts).collect()
    }
}

/// The group coordinator of a new cluster.
pub(super) fn groups(brokers: &Brokers, release: Release, seed: u64) -> Groups {
    let millis = |name| Duration::from_millis(u64::try_from(brokers.number(name)).unwrap_or(0));
    let size = |name| usize::try_from(brokers.number(name)).unwrap_or(usize::MAX);
    let assignor = |name: &str| match name {
        "uniform" => Some(ServerAssignor::Uniform),
        "range" => Some(ServerAssignor::Range),
        // Those that a Java broker would load by their class's name.
        _ => None,
    };
    let migration = brokers.setting("group.consumer.migration.policy").to_ascii_lowercase();
    let options = GroupOptions {
        min_session_timeout: millis("group.min.session.timeout.ms"),
        max_session_timeout: millis("group.max.session.timeout.ms"),
        initial_rebalance_delay: millis("group.initial.rebalance.delay.ms"),
        max_size: size("group.max.size"),
        offset_metadata_max_size: size("offset.metadata.max.bytes"),
        offsets_retention: millis("offsets.retention.minutes") * 60_000,
        offsets_check_interval: millis("offsets.retention.check.interval.ms"),
        consumer_session_timeout: millis("group.consumer.session.timeout.ms"),
        consumer_heartbeat_interval: millis("group.consumer.heartbeat.interval.ms"),
        consumer_max_size: size("group.consumer.max.size"),
        consumer_assignors: list(brokers.setting("group.consumer.assignors")).filter_map(assignor).collect(),
        consumer_assignment_interval: match release {
            Release::V4_3 => millis("group.consumer.assignment.interval.ms"),
            _ => Duration::ZERO,
        },
        consumer_regex_refresh_interval: millis("group.consumer.regex.refresh.interval.ms"),
        migration: Migration {
            upgrade: ["upgrade", "bidirectional"].contains(&migration.as_str()),
            downgrade: ["downgrade", "bidirectional"].contains(&migration.as_str()),
        },
    };
    Groups::new(options, seed)
}

/// The transaction coordinator of a new cluster.
pub(super) fn transactions(brokers: &Brokers, options: &ClusterOptions, now: Instant) -> Transactions {
    let transactions = TransactionOptions {
        max_timeout_ms: i32::try_from(brokers.number("transaction.max.timeout.ms")).unwrap_or(i32::MAX),
        id_expiration_ms: u64::try_from(brokers.number("transactional.id.expiration.ms")).unwrap_or(0),
        transaction_version: if options.release >= Release::V4_0 { 2 } else { 0 },
        first_producer_id: 0,
    };
    Transactions::new(transactions, now, options.wall_ms())
}

/// The partition of an internal topic that a key falls on.
pub(crate) fn partition_of(key: &str, partitions: usize) -> i32 {
    let hash =
        key.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // Kafka's `abs`: the one number that has no positive counterpart becomes zero.
    let positive = hash.checked_abs().unwrap_or(0);
    i32::try_from(usize::try_from(positive).unwrap_or(0) % partitions.max(1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fall_on_the_partitions_that_java_finds() {
        // "a".hashCode() is 97, "ab".hashCode() 3105, "polygenelubricants".hashCode() the smallest number there is.
        assert_eq!(partition_of("a", 50), 47);
        assert_eq!(partition_of("ab", 50), 5);
        assert_eq!(partition_of("polygenelubricants", 50), 0);
        assert_eq!(partition_of("", 50), 0);
    }
}
