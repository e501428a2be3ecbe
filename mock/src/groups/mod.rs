//! The group coordinator: classic groups, consumer groups, and what groups have committed.
//!
//! One machine holds the groups of a whole cluster, as if their log were always at hand; which broker speaks
//! for a group is the cluster's affair, and it tells when that changes. Requests about a group are commands
//! here. JoinGroup and SyncGroup may have to wait, so they carry a [`Ticket`] and their answers come out of
//! [`Groups::poll_answer`]; all others are answered at once. Time passes by [`Groups::handle_deadline`].
//!
//! Guarantees: every ticket is answered once, unless its connection is gone ([`Groups::drop_tickets`]) or the
//! same member asks again by another connection while it waits, which makes Kafka forget the first request,
//! too. The same commands at the same times bring the same answers.
//!
//! What a coordinator does belongs to one of the parts: `classic`, `consumer`, the way from one to the other
//! (`migration`), and `offsets`. Share groups (KIP-932) would be a third kind of `Group`, with a module
//! beside `consumer`: they share topics, timers, ids, and the shape of epochs and targets with it, but nobody
//! gives partitions up.
//!
//! Not kept: a retention that a request names; the cluster's own counts.
//!
//! Sources: KIP-62, KIP-345, KIP-394, KIP-814 (classic groups), KIP-848 (consumer groups), KIP-447
//! (transactional offsets); Kafka 4.3 decides what they leave open.

mod admin;
mod assignor;
mod classic;
mod consumer;
mod context;
mod expiry;
mod faults;
mod ids;
mod membership;
mod migration;
mod offset_requests;
mod offsets;
mod options;
mod timers;
mod topics;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use ottla_protocol::messages::join_group::JoinGroupResponse;
use ottla_protocol::messages::sync_group::SyncGroupResponse;

use self::classic::ClassicGroup;
use self::consumer::ConsumerGroup;
use self::context::Context;
use self::ids::Ids;
use self::offsets::Offsets;
pub(crate) use self::options::{GroupOptions, Migration, ServerAssignor};
use self::timers::{Detail, Slot, Timers};
use self::topics::Topics;
pub(crate) use self::topics::{TopicFacts, TopicsView};
use crate::call::Ticket;

/// The answer to a request that had to wait.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// To a JoinGroup.
    Join(JoinGroupResponse),
    /// To a SyncGroup.
    Sync(SyncGroupResponse),
}

/// A group of either kind.
#[derive(Debug)]
enum Group {
    Classic(Box<ClassicGroup>),
    Consumer(Box<ConsumerGroup>),
}

type GroupMap = BTreeMap<String, Group>;

/// The group coordinator.
#[derive(Debug)]
pub(crate) struct Groups {
    options: GroupOptions,
    groups: GroupMap,
    offsets: Offsets,
    topics: Topics,
    ids: Ids,
    timers: Timers,
    outbox: VecDeque<(Ticket, Answer)>,
    /// When offsets are next looked at for ones that are too old.
    expiry_at: Option<Instant>,
}

impl Groups {
    /// A coordinator without groups; the ids that it makes follow from the seed.
    pub(crate) fn new(options: GroupOptions, seed: u64) -> Self {
        Groups {
            options,
            groups: BTreeMap::new(),
            offsets: Offsets::default(),
            topics: Topics::default(),
            ids: Ids::new(seed),
            timers: Timers::default(),
            outbox: VecDeque::new(),
            expiry_at: None,
        }
    }

    /// Takes notice of the cluster's topics; consumer groups follow at their members' next heartbeats, and
    /// offsets for topics that are gone are forgotten.
    pub(crate) fn handle_topics(&mut self, view: &dyn TopicsView) {
        for (topic, id) in self.topics.replace(view) {
            self.offsets.remove_topic(&topic, id);
        }
    }

    /// Takes out an answer.
    pub(crate) fn poll_answer(&mut self) -> Option<(Ticket, Answer)> {
        self.outbox.pop_front()
    }

    /// When something is to happen next.
    pub(crate) fn poll_deadline(&self) -> Option<Instant> {
        self.timers.next().into_iter().chain(self.expiry_at).min()
    }

    /// Lets everything happen that is due.
    pub(crate) fn handle_deadline(&mut self, now: Instant) {
        while let Some((group_id, slot, detail)) = self.timers.pop(now) {
            let (groups, _, mut cx) = self.parts(now);
            go_off(groups, &mut cx, &group_id, slot, detail);
        }
        self.expire_offsets(now);
    }

    /// Forgets the connections behind these tickets. The groups don't notice, as Kafka's don't: a member
    /// whose join is parked counts as joined until its session says otherwise.
    pub(crate) fn drop_tickets(&mut self, tickets: &[Ticket]) {
        self.outbox.retain(|(ticket, _)| !tickets.contains(ticket));
        for group in self.groups.values_mut() {
            let Group::Classic(group) = group else { continue };
            for parked in group.parked_mut() {
                parked.ticket = parked.ticket.filter(|ticket| !tickets.contains(ticket));
            }
        }
    }

    /// Splits the coordinator, so that a group can work with the rest of it.
    fn parts(&mut self, now: Instant) -> (&mut GroupMap, &mut Offsets, Context<'_>) {
        let cx = Context {
            now,
            options: &self.options,
            topics: &self.topics,
            ids: &mut self.ids,
            timers: &mut self.timers,
            outbox: &mut self.outbox,
        };
        (&mut self.groups, &mut self.offsets, cx)
    }
}

fn go_off(groups: &mut GroupMap, cx: &mut Context<'_>, group_id: &str, slot: Slot, detail: Detail) {
    match (groups.get_mut(group_id), slot) {
        (Some(Group::Classic(group)), Slot::Join) => match detail {
            Detail::Initial { delay, remaining } => group.initial_delay_over(cx, delay, remaining),
            Detail::None | Detail::Epoch(_) => group.complete_join(cx),
        },
        (Some(Group::Classic(group)), Slot::Sync) => {
            if let Detail::Epoch(generation) = detail {
                group.sync_time_over(cx, generation);
            }
        }
        (Some(Group::Classic(group)), Slot::Heartbeat(member_id)) => group.session_over(cx, &member_id),
        (Some(Group::Consumer(group)), Slot::Revocation(member_id)) => {
            if matches!(detail, Detail::Epoch(epoch) if group.is_overdue(&member_id, epoch)) {
                fence(groups, cx, group_id, &BTreeSet::from([member_id]));
            }
        }
        (
            Some(Group::Consumer(group)),
            Slot::Session(member_id) | Slot::Rejoin(member_id) | Slot::MemberSync(member_id),
        ) if group.members.contains_key(&member_id) => {
            fence(groups, cx, group_id, &BTreeSet::from([member_id]));
        }
        // The group or the member has gone, or is of the other kind by now.
        _ => {}
    }
}

/// Takes members out of a consumer group, which turns classic if only classic members are left.
fn fence(groups: &mut GroupMap, cx: &mut Context<'_>, group_id: &str, member_ids: &BTreeSet<String>) {
    let Some(Group::Consumer(group)) = groups.get_mut(group_id) else { return };
    if !group.downgrades_after(cx, member_ids) {
        return group.fence(cx, member_ids);
    }
    let downgraded = migration::downgrade(cx, group, member_ids, true);
    groups.insert(group_id.to_owned(), Group::Classic(Box::new(downgraded)));
}
