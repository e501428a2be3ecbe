//! `range`: each topic is cut into one contiguous piece per subscriber. Gives the same lists as the Java client.
//!
//! When racks matter (KIP-881) a first pass gives members partitions with a replica in their rack, for topics with the same
//! subscribers and number of partitions jointly so that equal partitions stay together; what is left is dealt as usual.
//! Members never get more of a topic than without racks.

use std::collections::{HashMap, HashSet, VecDeque};

use super::group::{Group, NOBODY, Topic};
use super::racks::Racks;
use super::{Assignments, Assignor, GroupMember, GroupTopics, java_order};

/// Cuts every topic into contiguous pieces, so that equal partitions of equally partitioned topics meet in one member.
///
/// Static members come first by their instance id, then the others by member id; the first ones get one more where the
/// number of partitions does not divide evenly.
#[derive(Debug, Clone, Copy, Default)]
pub struct RangeAssignor;

impl Assignor for RangeAssignor {
    fn name(&self) -> &str {
        "range"
    }

    fn assign(&self, topics: &GroupTopics, members: &[GroupMember]) -> Assignments {
        let group = Group::new(topics, members);
        let racks = Racks::new(&group);
        let mut placed = vec![NOBODY; group.partition_count as usize];

        let mut cuts = cuts(&group, &racks);
        let by_rack = cuts.iter().any(|cut| cut.by_rack);
        if by_rack {
            for cuts in co_partitioned(&mut cuts) {
                match cuts {
                    [] => {}
                    [cut] if cut.by_rack => cut.deal_local(&racks, &mut placed),
                    [_] => {}
                    cuts => deal_local_jointly(cuts, &racks, &mut placed),
                }
            }
        }
        cuts.iter_mut().for_each(|cut| cut.deal(&mut placed));

        if by_rack {
            group.assignments(&placed, 0..group.topics.len())
        } else {
            group.assignments(&placed, topic_order(&group, members))
        }
    }
}

/// How far a topic is dealt out.
struct Cut {
    /// In serving order.
    subscribers: Vec<u32>,
    /// How many partitions each of `subscribers` has got.
    dealt: Vec<u32>,
    /// What everybody gets at least.
    share: u32,
    /// How many subscribers can still get one more than `share`.
    extras: u32,
    first_partition: u32,
    partition_count: u32,
    /// Ascending.
    left: VecDeque<u32>,
    by_rack: bool,
}

impl Cut {
    fn room(&self, position: usize) -> u32 {
        (self.share + u32::from(self.extras > 0)).saturating_sub(self.dealt[position])
    }

    fn note_dealt(&mut self, position: usize, count: u32) {
        self.dealt[position] += count;
        if self.dealt[position] > self.share {
            self.extras -= 1;
        }
    }

    /// Gives everybody in turn the next partitions up to its share.
    fn deal(&mut self, placed: &mut [u32]) {
        for position in 0..self.subscribers.len() {
            let count = self.room(position).min(self.left.len() as u32);
            for partition in self.left.drain(..count as usize) {
                placed[partition as usize] = self.subscribers[position];
            }
            if count > 0 {
                self.note_dealt(position, count);
            }
        }
    }

    /// Gives everybody in turn, up to its share, the next partitions that have a replica in its rack.
    fn deal_local(&mut self, racks: &Racks, placed: &mut [u32]) {
        for position in 0..self.subscribers.len() {
            let (member, room) = (self.subscribers[position], self.room(position));
            let mut count = 0;
            self.left.retain(|&partition| {
                let take = count < room && !racks.mismatch(member, partition);
                if take {
                    placed[partition as usize] = member;
                    count += 1;
                }
                !take
            });
            if count > 0 {
                self.note_dealt(position, count);
            }
        }
    }
}

/// Gives partition n of all the topics to the first member that has a replica of each of them in its rack and room for
/// each. The topics have the same subscribers and the same number of partitions.
fn deal_local_jointly(cuts: &mut [Cut], racks: &Racks, placed: &mut [u32]) {
    let mut candidates: Vec<usize> = (0..cuts[0].subscribers.len()).collect();
    for index in 0..cuts[0].partition_count {
        let found = candidates.iter().position(|&position| {
            cuts.iter().all(|cut| {
                let partition = cut.first_partition + index;
                cut.room(position) > 0 && !racks.mismatch(cut.subscribers[position], partition)
            })
        });
        let Some(found) = found else { continue };
        let position = candidates[found];
        for cut in &mut *cuts {
            let partition = cut.first_partition + index;
            placed[partition as usize] = cut.subscribers[position];
            cut.note_dealt(position, 1);
        }
        if cuts.iter().all(|cut| cut.room(position) == 0) {
            candidates.remove(found);
        }
    }
    for cut in cuts {
        cut.left.retain(|&partition| placed[partition as usize] == NOBODY);
    }
}

fn cuts(group: &Group<'_>, racks: &Racks) -> Vec<Cut> {
    let order = group.serving_order();
    let mut position_of = vec![0; order.len()];
    for (position, &member) in order.iter().enumerate() {
        position_of[member as usize] = position;
    }
    let cut = |topic: &Topic<'_>| {
        let mut subscribers = topic.subscribers.clone();
        subscribers.sort_unstable_by_key(|&member| position_of[member as usize]);
        let (partitions, members) = (topic.partitions.len() as u32, subscribers.len() as u32);
        Cut {
            dealt: vec![0; subscribers.len()],
            share: partitions / members,
            extras: partitions % members,
            first_partition: topic.partitions.start,
            partition_count: partitions,
            left: topic.partitions.clone().collect(),
            by_rack: racks.matter(&subscribers, topic.partitions.clone()),
            subscribers,
        }
    };
    group.topics.iter().map(cut).collect()
}

/// Sorts the topics so that those with the same subscribers and number of partitions are neighbours, and gives each such
/// set; only sets with racks to look at are of interest, others are given too.
fn co_partitioned(cuts: &mut [Cut]) -> impl Iterator<Item = &mut [Cut]> {
    cuts.sort_by(|a, b| {
        let key = |cut: &Cut| (cut.partition_count, cut.subscribers.len());
        key(a).cmp(&key(b)).then_with(|| a.subscribers.cmp(&b.subscribers))
    });
    cuts.chunk_by_mut(|a, b| a.partition_count == b.partition_count && a.subscribers == b.subscribers)
}

/// The order in which the Java client goes through the topics: a hash table, filled from a hash set of all subscribed
/// topics, filled from a hash table of the members.
fn topic_order(group: &Group<'_>, members: &[GroupMember]) -> Vec<usize> {
    let numbers: HashMap<&str, usize> =
        group.topics.iter().enumerate().map(|(number, topic)| (&**topic.name, number)).collect();
    let ids: Vec<&str> = members.iter().map(|member| member.member_id.as_str()).collect();
    let mut seen: HashSet<&str> = HashSet::new();
    let subscribed: Vec<&str> = java_order::hash_order(&ids)
        .into_iter()
        .flat_map(|member| &members[member].topics)
        .map(String::as_str)
        .filter(|topic| seen.insert(topic))
        .collect();
    let set: Vec<&str> = java_order::hash_order(&subscribed).into_iter().map(|at| subscribed[at]).collect();
    let known: Vec<&str> = set.into_iter().filter(|topic| numbers.contains_key(topic)).collect();
    java_order::hash_order(&known).into_iter().map(|at| numbers[known[at]]).collect()
}
