//! One partition that the consumer has: its phase, and what keeps it from being fetched.

use std::time::{Duration, Instant};

use ottla_client::NodeId;
use ottla_protocol::uuid::Uuid;

use super::Generation;
use crate::fetch::plan::Route;
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
    /// So long before the moment at which it is looked up.
    Ago(Duration),
}

impl ResetTo {
    /// What the policy says, unless it says that there is none.
    pub(crate) fn by_policy(policy: OffsetReset) -> Option<ResetTo> {
        match policy {
            OffsetReset::Earliest => Some(ResetTo::Earliest),
            OffsetReset::Latest => Some(ResetTo::Latest),
            OffsetReset::ByDuration(ago) => Some(ResetTo::Ago(ago)),
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
    /// The epoch of what was fetched last, or of the position before anything was.
    pub(crate) fetch_epoch: Option<i32>,
    /// The log's end as last heard, by the isolation level.
    pub(crate) end_offset: Option<i64>,
    /// The replica to read from instead of the leader.
    pub(crate) preferred: Option<PreferredReplica>,
}

impl Fetching {
    pub(crate) fn at(position: Position) -> Fetching {
        Fetching {
            position,
            fetch_offset: position.offset,
            fetch_epoch: position.leader_epoch,
            end_offset: None,
            preferred: None,
        }
    }
}

/// In which log a position was known to be last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody said: the application named it, or a coordinator that knows topics by name alone.
    Unknown,
    /// In that of the topic of this id; no leader was compared yet.
    Topic(Uuid),
    /// In that of this leader.
    Leader(Route),
}

impl Origin {
    /// That of whatever is said to be of the topic of this id.
    pub(crate) fn of(topic_id: Option<Uuid>) -> Origin {
        topic_id.map_or(Origin::Unknown, Origin::Topic)
    }

    /// The leader that was compared last.
    pub(crate) fn route(self) -> Option<Route> {
        match self {
            Origin::Leader(route) => Some(route),
            Origin::Unknown | Origin::Topic(_) => None,
        }
    }

    /// The topic, if its id is known. One of another id is another topic, whatever its name.
    pub(crate) fn topic_id(self) -> Option<Uuid> {
        let id = match self {
            Origin::Unknown => return None,
            Origin::Topic(id) => id,
            Origin::Leader(route) => route.topic_id,
        };
        (!id.is_zero()).then_some(id)
    }

    /// What is left of it when the leader is not to be believed any more.
    pub(crate) fn without_leader(self) -> Origin {
        Origin::of(self.topic_id())
    }
}

/// Whether what was fetched up to now is known to be in the leader's log, so that fetching can go on behind it (KIP-320).
///
/// ```text
///            newer leader          asked            not truncated
///   Sound ----------------> Due ---------> Asked -----------------> Sound
///     |                      ^               |
///     |                      +---failed------+--truncated, but some is unread--> Suspect --read--> asked again
///     +--another topic of the same name--> Recreated --> reset
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is, or nothing is known by which to tell.
    Sound,
    /// The leader is to be asked.
    Due,
    /// This leader is being asked.
    Asked(Route),
    /// Some of it is not, and what the application has not read yet may be that: the verdict waits until it has.
    Suspect,
    /// The topic was deleted and created anew: nothing of it is.
    Recreated,
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
    pub(crate) standing: Standing,
    /// In which log the position was known to be last.
    pub(crate) origin: Origin,
    /// The topic of which something was handed out last, since the application last named an offset itself.
    pub(crate) handed_of: Option<Uuid>,
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
            standing: Standing::Sound,
            origin: Origin::Unknown,
            handed_of: None,
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
    pub(crate) fn is_ready(&self, now: Instant) -> bool {
        !self.held && !self.reporting && self.not_before.is_none_or(|at| at <= now)
    }

    /// Whether records of it may be asked for, as far as backoff, errors and truncated logs are concerned.
    pub(crate) fn may_ask(&self, now: Instant) -> bool {
        self.is_ready(now) && self.standing == Standing::Sound
    }

    /// Whether there is nothing to ask about it but records.
    pub(super) fn is_settled(&self) -> bool {
        self.fetching().is_some() && self.standing == Standing::Sound && self.origin.route().is_some()
    }
}
