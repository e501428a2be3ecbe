//! `uniform` where all members read the same topics: everybody keeps what it has up to its fair share, and
//! what is left over goes to those that have less.

use std::collections::BTreeMap;

use ottla_protocol::uuid::Uuid;

use super::{Partitions, Subscriber, unassigned};

pub(super) fn assign(
    members: &BTreeMap<String, Subscriber>,
    sizes: &BTreeMap<Uuid, i32>,
) -> BTreeMap<String, Partitions> {
    let Some(topics) = members.values().next().map(|member| &member.topics) else { return BTreeMap::new() };
    let total: usize = topics
        .iter()
        .filter_map(|topic| sizes.get(topic))
        .filter_map(|size| usize::try_from(*size).ok())
        .sum();
    let (least, mut extra) = (total / members.len(), total % members.len());
    let mut free = unassigned(members, topics, sizes);
    let mut assigned = BTreeMap::new();
    let mut hungry = Vec::new();
    for (id, member) in members {
        let mut quota = least + usize::from(extra > 0);
        extra -= usize::from(extra > 0);
        let mut kept = Partitions::new();
        for (topic, partitions) in member.target.iter().filter(|(topic, _)| topics.contains(topic)) {
            let keep = quota.min(partitions.len());
            quota -= keep;
            if keep > 0 {
                kept.insert(*topic, partitions.iter().take(keep).copied().collect());
            }
            free.extend(partitions.iter().skip(keep).map(|partition| (*topic, *partition)));
        }
        assigned.insert(id.clone(), kept);
        if quota > 0 {
            hungry.push((id, quota));
        }
    }
    let mut free = free.into_iter();
    for (id, quota) in hungry {
        let share = assigned.entry(id.clone()).or_default();
        for (topic, partition) in free.by_ref().take(quota) {
            share.entry(topic).or_default().insert(partition);
        }
    }
    assigned
}
