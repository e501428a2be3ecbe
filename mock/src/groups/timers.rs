//! What is to happen in which group, and when.
//!
//! A group has at most one timer in each slot; setting it anew moves it. Timers that are due at the same time
//! come in order of group and slot, so that a run repeats exactly.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What a timer is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    /// The end of a classic group's wait for joins.
    Join,
    /// The end of a classic group's wait for syncs.
    Sync,
    /// The end of a classic member's session, or of the id it was told to join with.
    Heartbeat(String),
    /// The end of a consumer group member's session.
    Session(String),
    /// The end of the time that a member of a consumer group has for giving partitions up.
    Revocation(String),
    /// The end of the time that a classic member of a consumer group has for joining again.
    Rejoin(String),
    /// The end of the time that a classic member of a consumer group has for its sync.
    MemberSync(String),
}

/// What else the one who set a timer wants to know when it goes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// Nothing.
    None,
    /// The step of the initial rebalance delay that is over, and what could be waited beyond it.
    Initial { delay: Duration, remaining: Duration },
    /// The generation or epoch that the timer is about; it is void in a later one.
    Epoch(i32),
}

/// The timers of all groups.
#[derive(Debug, Default)]
pub(super) struct Timers {
    groups: BTreeMap<String, BTreeMap<Slot, (Instant, Detail)>>,
    order: BTreeSet<(Instant, String, Slot)>,
}

impl Timers {
    /// Sets the timer of a slot, or moves it.
    pub(super) fn set(&mut self, at: Instant, group: &str, slot: Slot, detail: Detail) {
        self.cancel(group, &slot);
        self.order.insert((at, group.to_owned(), slot.clone()));
        self.groups.entry(group.to_owned()).or_default().insert(slot, (at, detail));
    }

    /// Sets the timer of a slot that has none.
    pub(super) fn set_if_absent(&mut self, at: Instant, group: &str, slot: Slot, detail: Detail) {
        if !self.groups.get(group).is_some_and(|slots| slots.contains_key(&slot)) {
            self.set(at, group, slot, detail);
        }
    }

    /// Clears a slot.
    pub(super) fn cancel(&mut self, group: &str, slot: &Slot) {
        let Some(slots) = self.groups.get_mut(group) else { return };
        if let Some((at, _)) = slots.remove(slot) {
            self.order.remove(&(at, group.to_owned(), slot.clone()));
        }
        if slots.is_empty() {
            self.groups.remove(group);
        }
    }

    /// Clears all slots of a group.
    pub(super) fn cancel_group(&mut self, group: &str) {
        for (slot, (at, _)) in self.groups.remove(group).unwrap_or_default() {
            self.order.remove(&(at, group.to_owned(), slot));
        }
    }

    /// When the next timer goes off.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, ..)| *at)
    }

    /// Takes out a timer that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(String, Slot, Detail)> {
        let (_, group, slot) = self.order.first().filter(|(at, ..)| *at <= now)?.clone();
        let detail = self.groups.get(&group).and_then(|slots| slots.get(&slot)).map(|(_, detail)| *detail)?;
        self.cancel(&group, &slot);
        Some((group, slot, detail))
    }
}
