//! Reconciliation: how far a member can go towards the target, given what it still holds and what others do.

use std::collections::BTreeSet;

use ottla_protocol::messages::consumer_group_heartbeat::TopicPartitions;
use ottla_protocol::uuid::Uuid;

use super::{ConsumerGroup, Member, Owned, State};
use crate::groups::context::Context;
use crate::groups::timers::Slot;

/// What a member says it holds; `None` says nothing, which never acknowledges a revocation.
type Claims<'a> = Option<&'a [TopicPartitions]>;

impl ConsumerGroup {
    /// Brings a member as far as it can go, and starts or stops the time it has for giving partitions up.
    pub(super) fn reconcile(
        &mut self,
        cx: &mut Context<'_>,
        member_id: &str,
        claims: Claims<'_>,
        subscription_changed: bool,
    ) {
        let Some(member) = self.members.get(member_id) else { return };
        if !subscription_changed && member.is_reconciled_to(self.assignment_epoch) {
            return;
        }
        let subscribed = self.subscribed_ids(member, cx.topics);
        let updated = match member.state {
            State::Stable if member.epoch != self.assignment_epoch => self.next(member, &subscribed, claims),
            State::UnrevokedPartitions if !claims_any(claims, &member.revoking) => {
                self.next(member, &subscribed, claims)
            }
            State::UnreleasedPartitions => self.next(member, &subscribed, claims),
            State::Stable | State::UnrevokedPartitions if subscription_changed => {
                let mut updated = member.clone();
                withdraw_unsubscribed(&mut updated, &subscribed, claims);
                updated
            }
            State::Stable | State::UnrevokedPartitions => return,
        };
        if updated == *member {
            return;
        }
        if updated.classic.is_none() {
            if updated.state == State::UnrevokedPartitions {
                self.start_revocation(cx, &updated);
            } else {
                cx.timers.cancel(&self.id, &Slot::Revocation(updated.id.clone()));
            }
        }
        self.put(updated);
    }

    /// The member's next state on the way to the target.
    fn next(&self, member: &Member, subscribed: &BTreeSet<Uuid>, claims: Claims<'_>) -> Member {
        let target = self.targets.get(&member.id);
        let is_target = |topic: Uuid, partition: i32| {
            let targeted =
                target.and_then(|target| target.get(&topic)).is_some_and(|all| all.contains(&partition));
            targeted && subscribed.contains(&topic)
        };
        let mut updated = member.clone();
        let (mut assigned, mut revoking) = (Owned::new(), Owned::new());
        for (topic, partitions) in &member.assigned {
            for (partition, epoch) in partitions {
                let into = if is_target(*topic, *partition) { &mut assigned } else { &mut revoking };
                into.entry(*topic).or_default().insert(*partition, *epoch);
            }
        }
        if !revoking.is_empty() && claims_any(claims, &revoking) {
            (updated.assigned, updated.revoking) = (assigned, revoking);
            updated.state = State::UnrevokedPartitions;
            updated.enter(member.epoch);
            return updated;
        }
        let mut unreleased = false;
        let wanted = target.into_iter().flatten().filter(|(topic, _)| subscribed.contains(topic));
        for (topic, partition) in
            wanted.flat_map(|(topic, all)| all.iter().map(|partition| (*topic, *partition)))
        {
            if assigned.get(&topic).is_some_and(|own| own.contains_key(&partition)) {
                continue;
            }
            // What the member itself was giving up, it may as well keep.
            if self.holders.get(&(topic, partition)).is_some_and(|holder| *holder != member.id) {
                unreleased = true;
            } else {
                assigned.entry(topic).or_default().insert(partition, self.assignment_epoch);
            }
        }
        (updated.assigned, updated.revoking) = (assigned, Owned::new());
        updated.state = if unreleased { State::UnreleasedPartitions } else { State::Stable };
        updated.enter(self.assignment_epoch);
        updated
    }

    /// Whether something that the member shall get is still with others.
    pub(super) fn waits_for_others(&self, member: &Member) -> bool {
        let target = self.targets.get(&member.id).into_iter().flatten();
        let mut wanted = target.flat_map(|(topic, all)| all.iter().map(|partition| (*topic, *partition)));
        wanted.any(|partition| self.holders.get(&partition).is_some_and(|holder| *holder != member.id))
    }
}

/// Takes the topics that the member no longer subscribes away from it before any new target does.
fn withdraw_unsubscribed(member: &mut Member, subscribed: &BTreeSet<Uuid>, claims: Claims<'_>) {
    let gone: Vec<Uuid> =
        member.assigned.keys().filter(|topic| !subscribed.contains(topic)).copied().collect();
    if gone.is_empty() {
        return;
    }
    let mut revoking = member.revoking.clone();
    for topic in gone {
        let partitions = member.assigned.remove(&topic).unwrap_or_default();
        revoking.entry(topic).or_default().extend(partitions);
    }
    if claims_any(claims, &revoking) {
        member.revoking = revoking;
        member.state = State::UnrevokedPartitions;
    }
    member.enter(member.epoch);
}

fn claims_any(claims: Claims<'_>, partitions: &Owned) -> bool {
    let Some(claims) = claims else { return true };
    claims.iter().any(|claim| {
        let withheld = partitions.get(&claim.topic_id);
        withheld
            .is_some_and(|withheld| claim.partitions.iter().any(|partition| withheld.contains_key(partition)))
    })
}
