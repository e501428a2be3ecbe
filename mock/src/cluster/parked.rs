//! Requests that wait for a partition: fetches for records, produces for replicas.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use ottla_protocol::uuid::Uuid;

use super::Cluster;
use super::alarms::{Alarm, AlarmId};
use crate::apis;
use crate::call::Ticket;

/// What a parked request waits for.
#[derive(Debug)]
pub(crate) enum Wait {
    /// Enough to read.
    Fetch(apis::fetch::Waiting),
    /// Replicas that copy what was appended.
    Produce(apis::produce::Waiting),
}

/// All parked requests, by the partitions that concern them.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    waiting: BTreeMap<Ticket, Entry>,
    watchers: HashMap<(Uuid, i32), BTreeSet<Ticket>>,
    /// Those to look at again, and whether their time is up.
    woken: BTreeMap<Ticket, bool>,
}

#[derive(Debug)]
struct Entry {
    wait: Wait,
    partitions: Vec<(Uuid, i32)>,
    alarm: AlarmId,
}

impl Parked {
    /// Something happened to a partition.
    pub(crate) fn wake(&mut self, topic: Uuid, partition: i32) {
        for ticket in self.watchers.get(&(topic, partition)).into_iter().flatten() {
            self.woken.entry(*ticket).or_insert(false);
        }
    }

    /// A request has waited for as long as it wants.
    pub(super) fn expire(&mut self, ticket: Ticket) {
        if self.waiting.contains_key(&ticket) {
            self.woken.insert(ticket, true);
        }
    }
}

impl Cluster {
    /// Parks a request until one of the partitions changes, or until its time is up.
    pub(crate) fn park(&mut self, until: Instant, ticket: Ticket, wait: Wait, partitions: Vec<(Uuid, i32)>) {
        if !self.connections.owes(ticket) {
            return;
        }
        for key in &partitions {
            self.parked.watchers.entry(*key).or_default().insert(ticket);
        }
        let alarm = self.alarms.set(until, Alarm::Parked(ticket));
        self.parked.waiting.insert(ticket, Entry { wait, partitions, alarm });
    }

    /// Takes a parked request out.
    pub(crate) fn unpark(&mut self, ticket: Ticket) -> Option<Wait> {
        let Entry { wait, partitions, alarm } = self.parked.waiting.remove(&ticket)?;
        self.alarms.cancel(&alarm);
        self.parked.woken.remove(&ticket);
        for key in partitions {
            if let Some(watchers) = self.parked.watchers.get_mut(&key) {
                watchers.remove(&ticket);
                if watchers.is_empty() {
                    self.parked.watchers.remove(&key);
                }
            }
        }
        Some(wait)
    }

    /// Looks again at the requests that were woken; says whether there were any.
    pub(super) fn resume_parked(&mut self, now: Instant) -> bool {
        let mut resumed = false;
        while let Some((ticket, is_due)) = self.parked.woken.pop_first() {
            resumed = true;
            match self.unpark(ticket) {
                Some(Wait::Fetch(waiting)) => apis::fetch::resume(self, now, ticket, waiting, is_due),
                Some(Wait::Produce(waiting)) => apis::produce::resume(self, now, ticket, waiting, is_due),
                None => {}
            }
        }
        resumed
    }
}
