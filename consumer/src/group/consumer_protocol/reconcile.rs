//! From what the application has to what the coordinator wants it to have, a step at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_client::TopicPartition;
use ottla_protocol::messages::consumer_group_heartbeat::{Assignment, TopicPartitions};
use ottla_protocol::uuid::Uuid;

use super::state::State;
use super::{ConsumerMember, Interest};
use crate::group::GroupEvent;

/// Partitions by topic id.
pub(super) type Partitions = BTreeMap<Uuid, BTreeSet<i32>>;

/// What the coordinator wants the member to have.
#[derive(Debug, Default)]
pub(super) struct Target {
    /// As it was last told.
    partitions: Partitions,
    /// The application has to hear what it has now, even if that is nothing new: the member has joined, or partitions went.
    owes_event: bool,
    /// The coordinator has not heard what came of this target.
    is_unconfirmed: bool,
    /// The ids of the topics that the application has or is getting: names alone don't tell a topic from one that was
    /// deleted.
    ids: BTreeMap<Arc<str>, Uuid>,
}

impl Target {
    /// The topics in it.
    pub(super) fn ids(&self) -> impl Iterator<Item = Uuid> {
        self.partitions.keys().copied()
    }

    /// The member is in.
    pub(super) fn joined(&mut self) {
        self.partitions.clear();
        self.owes_event = true;
    }

    /// The member is out.
    pub(super) fn clear(&mut self) {
        self.partitions.clear();
        (self.owes_event, self.is_unconfirmed) = (false, false);
    }

    /// Some of what the application had is gone.
    pub(super) fn given_up(&mut self) {
        self.owes_event = true;
    }

    /// The coordinator hears of it.
    pub(super) fn confirmed(&mut self) {
        self.is_unconfirmed = false;
    }

    pub(super) fn set(&mut self, assignment: Assignment) {
        let mut partitions = Partitions::new();
        for topic in assignment.topic_partitions {
            partitions.entry(topic.topic_id).or_default().extend(topic.partitions);
        }
        partitions.retain(|_, indexes| !indexes.is_empty());
        self.is_unconfirmed |= partitions != self.partitions;
        self.partitions = partitions;
    }
}

impl ConsumerMember {
    /// Sets off for the target, unless a step that can't be changed any more is under way.
    ///
    /// A revocation that is under way stands whatever comes, but what comes after it does not. An assignment that is under
    /// way has to be finished first: its partitions are the application's as soon as it acknowledges them.
    ///
    /// Nothing is added while the coordinator's answer to what the member holds is not there: by that word it may have taken
    /// the rest of the target for given up, and have let others read it.
    pub(super) fn reconcile(&mut self) {
        let outstanding = match self.handover.outstanding() {
            None => false,
            Some(GroupEvent::Revoke { .. }) => true,
            Some(_) => return self.advance(),
        };
        if !matches!(self.state, State::Member) {
            return self.advance();
        }
        let owned: BTreeSet<TopicPartition> = self.handover.owned().cloned().collect();
        let mut desired = self.desired(&owned);
        if self.pulse.is_unheard() {
            desired.retain(|partition| owned.contains(partition));
            if outstanding || desired != owned {
                self.handover.assign(desired, self.identity.epoch);
            } else {
                self.handover.put_off();
            }
        } else {
            // What a first target is about is said once something of it can be had.
            let owes_event =
                self.target.owes_event && (!desired.is_empty() || self.target.partitions.is_empty());
            if outstanding || desired != owned || owes_event {
                self.target.owes_event = false;
                self.handover.assign(desired, self.identity.epoch);
            }
        }
        self.advance();
    }

    /// What of the target the application can have now: topics whose names are known, and of a topic that was created
    /// again nothing as long as it has partitions of the former.
    fn desired(&mut self, owned: &BTreeSet<TopicPartition>) -> BTreeSet<TopicPartition> {
        let held: BTreeSet<&Arc<str>> = owned.iter().map(|partition| &partition.topic).collect();
        self.target.ids.retain(|name, _| held.contains(name));
        let mut desired = BTreeSet::new();
        for (id, indexes) in &self.target.partitions {
            let Some(name) = self.names.name(*id) else { continue };
            if *self.target.ids.entry(Arc::clone(name)).or_insert(*id) == *id {
                desired.extend(indexes.iter().map(|index| TopicPartition::new(Arc::clone(name), *index)));
            }
        }
        let (target, ids) = (&self.target.partitions, &self.target.ids);
        let is_used = |id: Uuid| target.contains_key(&id) || ids.values().any(|used| *used == id);
        self.names.retain(is_used);
        desired
    }

    /// Takes out of the target what the application does not subscribe to any more; it is not given back before the
    /// coordinator says so, as somebody else may have it by then.
    pub(super) fn forget_unsubscribed(&mut self) {
        let Interest::Topics(topics) = &self.interest else { return };
        let names = &self.names;
        let is_wanted = |id: &Uuid| {
            names
                .name(*id)
                .is_none_or(|name| topics.binary_search_by(|topic| topic.as_str().cmp(name)).is_ok())
        };
        self.target.partitions.retain(|id, _| is_wanted(id));
    }

    /// What the application has, as the coordinator names it.
    pub(super) fn holds(&self) -> Partitions {
        self.by_id(self.handover.owned())
    }

    /// The same, with what the application is just taking over.
    ///
    /// A heartbeat that has to repeat what is held, because an answer was lost, may meet a target without those. Were they not
    /// named, the coordinator would take them for given up, and let others read them while the application finishes taking
    /// them over.
    pub(super) fn holds_at_most(&self) -> Partitions {
        let taken_over = match self.handover.outstanding() {
            Some(GroupEvent::Assigned { added, .. }) => added.as_slice(),
            _ => &[],
        };
        self.by_id(self.handover.owned().chain(taken_over))
    }

    /// Whether the coordinator has to hear at once how far the member has come.
    pub(super) fn owes_word(&self) -> bool {
        let is_news = match self.pulse.last_told() {
            Some(told) => *told != self.holds() && *told != self.holds_at_most(),
            None => true,
        };
        is_news || (self.target.is_unconfirmed && self.handover.is_settled())
    }

    fn by_id<'a>(&self, partitions: impl Iterator<Item = &'a TopicPartition>) -> Partitions {
        let mut by_id = Partitions::new();
        for TopicPartition { topic, partition } in partitions {
            if let Some(id) = self.target.ids.get(topic) {
                by_id.entry(*id).or_default().insert(*partition);
            }
        }
        by_id
    }
}

/// Partitions as the wire has them.
pub(super) fn listed(partitions: &Partitions) -> Vec<TopicPartitions> {
    let topic = |(topic_id, indexes): (&Uuid, &BTreeSet<i32>)| TopicPartitions {
        topic_id: *topic_id,
        partitions: indexes.iter().copied().collect(),
        ..Default::default()
    };
    partitions.iter().map(topic).collect()
}
