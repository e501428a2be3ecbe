//! The broker's own assignors: who of a consumer group shall read what.
//!
//! An assignor is a function of the members' subscriptions and of what each was to read so far. Whatever it
//! answers, every partition of a subscribed topic goes to exactly one of the topic's subscribers.
//!
//! Sources: KIP-848 (server side assignors).

mod mixed;
mod range;
mod uniform;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::uuid::Uuid;

use super::options::ServerAssignor;

/// Partitions by topic id.
pub(super) type Partitions = BTreeMap<Uuid, BTreeSet<i32>>;

/// A member as assignors see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Subscriber {
    pub(super) instance_id: Option<String>,
    /// The topics it reads that exist.
    pub(super) topics: BTreeSet<Uuid>,
    /// What it was to read so far.
    pub(super) target: Partitions,
}

/// Assigns all partitions of the subscribed topics, whose numbers of partitions are in `sizes`.
pub(super) fn assign(
    assignor: ServerAssignor,
    members: &BTreeMap<String, Subscriber>,
    sizes: &BTreeMap<Uuid, i32>,
) -> BTreeMap<String, Partitions> {
    let mut topics = members.values().map(|member| &member.topics);
    let first = topics.next();
    match assignor {
        ServerAssignor::Range => range::assign(members, sizes),
        ServerAssignor::Uniform if topics.all(|others| Some(others) == first) => {
            uniform::assign(members, sizes)
        }
        ServerAssignor::Uniform => mixed::assign(members, sizes),
    }
}

/// The partitions of `topics` that nobody was to read so far, or whose reader has given the topic up.
fn unassigned(
    members: &BTreeMap<String, Subscriber>,
    topics: &BTreeSet<Uuid>,
    sizes: &BTreeMap<Uuid, i32>,
) -> Vec<(Uuid, i32)> {
    let kept = |topic: &Uuid, partition: &i32| {
        let holds =
            |member: &Subscriber| member.target.get(topic).is_some_and(|held| held.contains(partition));
        members.values().any(|member| member.topics.contains(topic) && holds(member))
    };
    let all = topics.iter().flat_map(|topic| {
        let size = sizes.get(topic).copied().unwrap_or(0);
        (0..size).map(|partition| (*topic, partition))
    });
    all.filter(|(topic, partition)| !kept(topic, partition)).collect()
}
