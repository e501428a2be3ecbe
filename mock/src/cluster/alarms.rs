//! What the cluster does by itself, and when.

use std::collections::BTreeSet;
use std::time::Instant;

use ottla_protocol::uuid::Uuid;

use super::ConnectionId;
use crate::call::Ticket;

/// Something that is due. An alarm that has become pointless is let pass by whoever it was meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    /// A parked request has waited for as long as it wants.
    Parked(Ticket),
    /// A request that a fault held back is served.
    Serve(Ticket),
    /// An answer that a fault held back is sent.
    Answer(Ticket),
    /// A connection that was throttled is read again.
    Unmute(ConnectionId),
    /// A broker that doesn't send heartbeats is fenced.
    Fence(i32),
    /// Markers of ended transactions are due.
    Markers,
    /// A broker that copies nothing has done so for as long as it may lag behind.
    Lag(i32),
    /// Followers have copied what the leader had a while ago.
    Replicate(Uuid, i32),
}

/// An alarm that was set, to be cancelled.
pub(crate) type AlarmId = (Instant, u64, Alarm);

/// The alarms in the order in which they go off; those of one instant in the order in which they were set.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    set: BTreeSet<AlarmId>,
    count: u64,
}

impl Alarms {
    pub(crate) fn set(&mut self, at: Instant, alarm: Alarm) -> AlarmId {
        let id = (at, self.count, alarm);
        self.set.insert(id);
        self.count += 1;
        id
    }

    pub(crate) fn cancel(&mut self, id: &AlarmId) {
        self.set.remove(id);
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.set.first().map(|(at, _, _)| *at)
    }

    /// Takes out one that is due.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Alarm> {
        let &(at, _, alarm) = self.set.first()?;
        if at > now {
            return None;
        }
        self.set.pop_first();
        Some(alarm)
    }
}
