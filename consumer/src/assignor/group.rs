//! A group with members, topics and partitions as small numbers, which is what the algorithms work on.
//!
//! Members are numbered in the order of their ids, partitions topic by topic in the order of the topics' names.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::{Assignments, GroupMember, GroupTopics, TopicPartition, java_order};

/// Stands for "no member" where a member's number is expected.
pub(super) const NOBODY: u32 = u32::MAX;

/// The members of a group and the known topics with at least one partition and one subscriber.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) members: Vec<&'a GroupMember>,
    pub(super) topics: Vec<Topic<'a>>,
    pub(super) partition_count: u32,
    topic_numbers: HashMap<&'a str, u32>,
}

/// A topic that somebody subscribes to; it has at least one partition.
#[derive(Debug)]
pub(super) struct Topic<'a> {
    pub(super) name: &'a Arc<str>,
    pub(super) partitions: Range<u32>,
    pub(super) racks: &'a [Vec<String>],
    /// Numbers of the subscribed members, ascending.
    pub(super) subscribers: Vec<u32>,
}

impl<'a> Group<'a> {
    pub(super) fn new(known: &'a GroupTopics, members: &'a [GroupMember]) -> Self {
        let mut members: Vec<&GroupMember> = members.iter().collect();
        members.sort_by(|a, b| java_order::compare(&a.member_id, &b.member_id));

        let mut subscribers: HashMap<&str, Vec<u32>> = HashMap::new();
        for (number, member) in (0..).zip(&members) {
            for topic in &member.topics {
                let list = subscribers.entry(topic).or_default();
                if list.last() != Some(&number) {
                    list.push(number);
                }
            }
        }

        let mut group =
            Self { members, topics: Vec::new(), partition_count: 0, topic_numbers: HashMap::new() };
        for (name, racks) in known.iter().filter(|(_, racks)| !racks.is_empty()) {
            let Some(subscribers) = subscribers.remove(&**name) else { continue };
            let first = group.partition_count;
            group.partition_count += racks.len() as u32;
            group.topic_numbers.insert(name, group.topics.len() as u32);
            let partitions = first..group.partition_count;
            group.topics.push(Topic { name, partitions, racks, subscribers });
        }
        group
    }

    /// The partition's number, if it exists and its topic has a subscriber.
    pub(super) fn partition_number(&self, partition: &TopicPartition) -> Option<u32> {
        let topic = &self.topics[*self.topic_numbers.get(&*partition.topic)? as usize];
        let index = u32::try_from(partition.partition).ok()?;
        (index < topic.partitions.len() as u32).then(|| topic.partitions.start + index)
    }

    /// The number of each partition's topic.
    pub(super) fn topics_of_partitions(&self) -> Vec<u32> {
        let numbers = (0..).zip(&self.topics);
        numbers.flat_map(|(number, topic)| topic.partitions.clone().map(move |_| number)).collect()
    }

    /// Members in the order in which range and round robin serve them: static ones first by instance id, then the
    /// others by member id.
    pub(super) fn serving_order(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.members.len() as u32).collect();
        let instance = |number: u32| self.members[number as usize].group_instance_id.as_deref();
        order.sort_by(|&a, &b| match (instance(a), instance(b)) {
            (Some(a), Some(b)) => java_order::compare(a, b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        });
        order
    }

    /// Spells out who got what: `placed` holds a member's number (or [`NOBODY`]) for each partition, and every list goes
    /// through the topics in `topic_order`.
    pub(super) fn assignments(
        &self,
        placed: &[u32],
        topic_order: impl IntoIterator<Item = usize>,
    ) -> Assignments {
        let mut lists: Vec<Vec<TopicPartition>> = vec![Vec::new(); self.members.len()];
        for topic in topic_order.into_iter().map(|number| &self.topics[number]) {
            for (index, number) in (0..).zip(topic.partitions.clone()) {
                if let Some(list) = lists.get_mut(placed[number as usize] as usize) {
                    list.push(TopicPartition { topic: Arc::clone(topic.name), partition: index });
                }
            }
        }
        self.members.iter().map(|member| member.member_id.clone()).zip(lists).collect()
    }
}
