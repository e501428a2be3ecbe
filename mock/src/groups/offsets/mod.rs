//! What groups have committed.
//!
//! A commit inside a transaction is pending until the transaction's end: then it is the group's, or
//! forgotten. Of two commits the later one counts, where a pending one is as old as its request and not as
//! its transaction's end.
//!
//! Who may commit is the group's affair; here is what becomes of it.
//!
//! Sources: KIP-98 (transactions), KIP-320 (leader epoch), KIP-447 (stable offsets), KIP-848 (topic ids).

mod requests;

use std::collections::BTreeMap;
use std::time::Instant;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::uuid::Uuid;

pub(super) use self::requests::Store;

/// The offset of a group for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The next record to read.
    pub(crate) offset: i64,
    /// The leader epoch of the record before it; -1 if unknown.
    pub(crate) leader_epoch: i32,
    /// What else the committer wanted to know again.
    pub(crate) metadata: String,
    /// The topic's id, where the commit named it; zero fits any topic of the name.
    pub(crate) topic_id: Uuid,
    /// When it was committed.
    at: Instant,
    /// How many commits came before it.
    order: u64,
}

type ByPartition = BTreeMap<i32, Committed>;
type ByTopic = BTreeMap<String, ByPartition>;

/// The committed and pending offsets of all groups.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    groups: BTreeMap<String, ByTopic>,
    /// By producer id.
    pending: BTreeMap<i64, BTreeMap<String, ByTopic>>,
    /// The newest epoch of each producer id that has committed here.
    producer_epochs: BTreeMap<i64, i16>,
    commits: u64,
}

impl Offsets {
    pub(super) fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&Committed> {
        self.groups.get(group)?.get(topic)?.get(&partition)
    }

    /// All that a group has committed.
    pub(super) fn all(&self, group: &str) -> impl Iterator<Item = (&String, &ByPartition)> {
        self.groups.get(group).into_iter().flatten()
    }

    /// Whether a transaction may still change a partition's offset.
    pub(super) fn is_pending(&self, group: &str, topic: &str, partition: i32) -> bool {
        let has = |groups: &BTreeMap<String, ByTopic>| {
            let partitions = groups.get(group).and_then(|topics| topics.get(topic));
            partitions.is_some_and(|partitions| partitions.contains_key(&partition))
        };
        self.pending.values().any(has)
    }

    fn put(&mut self, group: &str, topic: &str, partition: i32, mut committed: Committed) {
        self.commits += 1;
        committed.order = self.commits;
        let topics = self.groups.entry(group.to_owned()).or_default();
        topics.entry(topic.to_owned()).or_default().insert(partition, committed);
    }

    fn put_pending(
        &mut self,
        producer_id: i64,
        group: &str,
        topic: &str,
        partition: i32,
        mut committed: Committed,
    ) {
        self.commits += 1;
        committed.order = self.commits;
        let topics = self.pending.entry(producer_id).or_default().entry(group.to_owned()).or_default();
        topics.entry(topic.to_owned()).or_default().insert(partition, committed);
    }

    /// Checks a producer's epoch against the newest that was seen here.
    fn check_producer(&mut self, producer_id: i64, epoch: i16) -> Result<(), ErrorCode> {
        let newest = self.producer_epochs.entry(producer_id).or_insert(epoch);
        if epoch < *newest {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        *newest = epoch;
        Ok(())
    }

    /// Ends a producer's transaction.
    pub(super) fn complete(&mut self, producer_id: i64, epoch: i16, commit: bool) {
        let newest = self.producer_epochs.entry(producer_id).or_insert(epoch);
        *newest = (*newest).max(epoch);
        let pending = self.pending.remove(&producer_id).unwrap_or_default();
        if !commit {
            return;
        }
        for (group, topics) in pending {
            for (topic, partitions) in topics {
                for (partition, committed) in partitions {
                    let known = self.get(&group, &topic, partition);
                    if known.is_none_or(|known| known.order < committed.order) {
                        let topics = self.groups.entry(group.clone()).or_default();
                        topics.entry(topic.clone()).or_default().insert(partition, committed);
                    }
                }
            }
        }
    }

    /// Forgets a partition's offset, pending ones included.
    fn remove(&mut self, group: &str, topic: &str, partition: i32) {
        let groups = std::iter::once(&mut self.groups).chain(self.pending.values_mut());
        for topics in groups.filter_map(|groups| groups.get_mut(group)) {
            if let Some(partitions) = topics.get_mut(topic) {
                partitions.remove(&partition);
            }
            topics.retain(|_, partitions| !partitions.is_empty());
        }
        self.prune();
    }

    /// Forgets everything of a group, pending offsets included.
    pub(super) fn remove_group(&mut self, group: &str) {
        self.groups.remove(group);
        self.pending.values_mut().for_each(|groups| drop(groups.remove(group)));
        self.prune();
    }

    /// Whether there is anything that could expire.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.pending.is_empty()
    }

    /// The groups that have committed something.
    pub(super) fn group_ids(&self) -> impl Iterator<Item = &String> {
        self.groups.keys()
    }

    /// Forgets those offsets of a group that are `is_old`, unless a transaction may still change them; says whether none
    /// are left.
    pub(super) fn expire(&mut self, group: &str, is_old: impl Fn(&str, Instant) -> bool) -> bool {
        let old: Vec<(String, i32)> = self
            .all(group)
            .flat_map(|(topic, partitions)| {
                partitions.iter().map(move |(index, known)| (topic, *index, known.at))
            })
            .filter(|(topic, index, at)| is_old(topic, *at) && !self.is_pending(group, topic, *index))
            .map(|(topic, index, _)| (topic.clone(), index))
            .collect();
        old.iter().for_each(|(topic, index)| self.remove(group, topic, *index));
        let has_pending = self.pending.values().any(|groups| groups.contains_key(group));
        !self.groups.contains_key(group) && !has_pending
    }

    /// Forgets what all groups have committed for a topic that is gone.
    pub(super) fn remove_topic(&mut self, topic: &str, id: Uuid) {
        let all = self.groups.values_mut().chain(self.pending.values_mut().flat_map(BTreeMap::values_mut));
        for topics in all {
            if let Some(partitions) = topics.get_mut(topic) {
                partitions.retain(|_, committed| !committed.topic_id.is_zero() && committed.topic_id != id);
            }
            topics.retain(|_, partitions| !partitions.is_empty());
        }
        self.prune();
    }

    fn prune(&mut self) {
        self.groups.retain(|_, topics| !topics.is_empty());
        self.pending.values_mut().for_each(|groups| groups.retain(|_, topics| !topics.is_empty()));
        self.pending.retain(|_, groups| !groups.is_empty());
    }
}
