//! `uniform` where members read different topics: everybody keeps what it still subscribes, the rest goes to
//! the topic's least loaded subscriber, and then topics are evened out until nobody has two more than
//! somebody who could take one.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::uuid::Uuid;

use super::{Partitions, Subscriber, unassigned};

/// Evening out one topic can upset another that is done; after this many rounds it is good enough.
const ROUNDS: usize = 16;

pub(super) fn assign(
    members: &BTreeMap<String, Subscriber>,
    sizes: &BTreeMap<Uuid, i32>,
) -> BTreeMap<String, Partitions> {
    let mut subscribers: BTreeMap<Uuid, Vec<&String>> = BTreeMap::new();
    for (id, member) in members {
        for topic in &member.topics {
            subscribers.entry(*topic).or_default().push(id);
        }
    }
    let mut assigned: BTreeMap<String, Partitions> = BTreeMap::new();
    for (id, member) in members {
        let kept = member.target.iter().filter(|(topic, _)| member.topics.contains(topic));
        assigned.insert(id.clone(), kept.map(|(topic, partitions)| (*topic, partitions.clone())).collect());
    }
    let topics: BTreeSet<Uuid> = subscribers.keys().copied().collect();
    let mut free = unassigned(members, &topics, sizes);
    // Topics with few takers for many partitions first: they leave the least choice.
    let order = |topic: &Uuid| {
        let takers = subscribers.get(topic).map_or(1, Vec::len).max(1);
        let per_taker = i64::from(sizes.get(topic).copied().unwrap_or(0)) * 1_000_000 / takers as i64;
        (std::cmp::Reverse(per_taker), takers, *topic)
    };
    free.sort_by_key(|(topic, partition)| (order(topic), *partition));
    for (topic, partition) in free {
        let takers = subscribers.get(&topic).into_iter().flatten();
        if let Some(id) = takers.min_by_key(|id| (load(&assigned, id), **id)) {
            assigned.entry((*id).clone()).or_default().entry(topic).or_default().insert(partition);
        }
    }
    let mut sorted: Vec<Uuid> = topics.into_iter().collect();
    sorted.sort_by_key(order);
    for _ in 0..ROUNDS {
        let moved = sorted.iter().filter(|topic| {
            let takers = subscribers.get(topic).map(Vec::as_slice).unwrap_or_default();
            even_out(&mut assigned, **topic, takers)
        });
        if moved.count() == 0 {
            break;
        }
    }
    assigned
}

fn load(assigned: &BTreeMap<String, Partitions>, id: &str) -> usize {
    assigned.get(id).map_or(0, |partitions| partitions.values().map(BTreeSet::len).sum())
}

/// Moves partitions of one topic from the most to the least loaded of its subscribers; whether any moved.
fn even_out(assigned: &mut BTreeMap<String, Partitions>, topic: Uuid, takers: &[&String]) -> bool {
    let mut moved = false;
    loop {
        let holds = |id: &str| assigned.get(id).is_some_and(|held| held.contains_key(&topic));
        let giver = takers.iter().filter(|id| holds(id)).max_by_key(|id| load(assigned, id)).copied();
        let taker = takers.iter().min_by_key(|id| load(assigned, id)).copied();
        let (Some(giver), Some(taker)) = (giver, taker) else { return moved };
        if load(assigned, giver) < load(assigned, taker) + 2 {
            return moved;
        }
        let Some(given) = assigned.get_mut(giver) else { return moved };
        let Some(partition) = given.get_mut(&topic).and_then(BTreeSet::pop_last) else { return moved };
        given.retain(|_, partitions| !partitions.is_empty());
        assigned.entry(taker.clone()).or_default().entry(topic).or_default().insert(partition);
        moved = true;
    }
}
