//! One partition that the consumer has: its phase, and what keeps it from being fetched.

use std::time::Instant;

use ottla_client::NodeId;

use super::Generation;
use crate::options::OffsetReset;

/// Where reading a partition starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Start {
    /// At the group's commit; by `auto.offset.reset` if there is none. Needs `group.id`.
    #[default]
    Committed,
    /// At the log's first record.
    Earliest,
    /// After the log's last record.
    Latest,
    /// At this offset.
    Offset(i64),
    /// At the first record that is not older than this, in milliseconds since 1970; at the end if there is none.
    Timestamp(i64),
}

/// What an offset is looked up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResetTo {
    /// The log's start.
    Earliest,
    /// The log's end.
    Latest,
    /// A time, in milliseconds since 1970.
    Timestamp(i64),
}

impl ResetTo {
    /// What the policy says, unless it says that there is none.
    pub(crate) fn by_policy(policy: OffsetReset) -> Option<ResetTo> {
        match policy {
            OffsetReset::Earliest => Some(ResetTo::Earliest),
            OffsetReset::Latest => Some(ResetTo::Latest),
            OffsetReset::None => None,
        }
    }
}

/// An offset, with the epoch of the record before it where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: Option<i32>,
}

/// What a partition waits for.
///
/// ```text
/// AwaitingOffset --committed--> Fetching <--found-- AwaitingReset
///       |                          |                     ^
///       +--nothing committed-------+--out of range-------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// For the group's committed offset.
    AwaitingOffset,
    /// For the offset at an end of the log or at a time.
    AwaitingReset(ResetTo),
    /// For records.
    Fetching(Fetching),
}

impl Phase {
    pub(super) fn of(start: Start) -> Phase {
        match start {
            Start::Committed => Phase::AwaitingOffset,
            Start::Earliest => Phase::AwaitingReset(ResetTo::Earliest),
            Start::Latest => Phase::AwaitingReset(ResetTo::Latest),
            Start::Timestamp(at) => Phase::AwaitingReset(ResetTo::Timestamp(at)),
            Start::Offset(offset) => Phase::Fetching(Fetching::at(Position { offset, leader_epoch: None })),
        }
    }
}

/// A partition that has a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fetching {
    /// The next offset for the application.
    pub(crate) position: Position,
    /// The next offset to ask a broker for; what lies between is buffered.
    pub(crate) fetch_offset: i64,
    /// The log's end as last heard, by the isolation level.
    pub(crate) end_offset: Option<i64>,
    /// The replica to read from instead of the leader.
    pub(crate) preferred: Option<PreferredReplica>,
}

impl Fetching {
    pub(crate) fn at(position: Position) -> Fetching {
        Fetching { position, fetch_offset: position.offset, end_offset: None, preferred: None }
    }
}

/// A replica that the leader recommends (KIP-392).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PreferredReplica {
    pub(crate) node: NodeId,
    /// Until when; then the leader is asked again.
    pub(crate) until: Instant,
}

/// A partition that the consumer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assigned {
    pub(crate) generation: Generation,
    pub(crate) phase: Phase,
    /// The application wants no records for now.
    pub(crate) paused: bool,
    /// The listener has not been told yet.
    pub(crate) held: bool,
    /// A lookup of its offset is under way.
    pub(crate) looking_up: bool,
    /// What is buffered ends in damage: nothing can be asked for behind it.
    pub(crate) halted: bool,
    /// An error about it waits to be returned from poll; nothing goes on before.
    pub(crate) reporting: bool,
    pub(crate) not_before: Option<Instant>,
    /// Failures in a row.
    pub(crate) failures: u32,
}

impl Assigned {
    pub(super) fn new(generation: Generation, phase: Phase, held: bool) -> Assigned {
        Assigned {
            generation,
            phase,
            paused: false,
            held,
            looking_up: false,
            halted: false,
            reporting: false,
            not_before: None,
            failures: 0,
        }
    }

    /// Its position and the like, once there is one.
    pub(crate) fn fetching(&self) -> Option<&Fetching> {
        match &self.phase {
            Phase::Fetching(fetching) => Some(fetching),
            _ => None,
        }
    }

    pub(crate) fn fetching_mut(&mut self) -> Option<&mut Fetching> {
        match &mut self.phase {
            Phase::Fetching(fetching) => Some(fetching),
            _ => None,
        }
    }

    /// Whether records of it may be handed out.
    pub(crate) fn may_deliver(&self) -> bool {
        !self.paused && !self.held
    }

    /// Whether something may be asked about it, as far as backoff and errors are concerned.
    pub(crate) fn may_ask(&self, now: Instant) -> bool {
        !self.held && !self.reporting && self.not_before.is_none_or(|at| at <= now)
    }
}
