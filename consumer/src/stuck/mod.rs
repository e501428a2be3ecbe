//! "Stuck": no progress for `stuck.after.ms` although there is something to read, and why.
//!
//! - [`heard`]: what brokers said last about what cannot be read;
//! - [`why`]: what keeps a partition from going on, as far as the consumer knows;
//! - [`detector`]: the machine that watches positions and polls, and says what is stuck, and when that ends;
//! - [`driver`]: looks from time to time, tells the application and the log.
//!
//! Guarantees: a partition at its log's end is never stuck, as long as its leader answers; each obstacle is told once, and
//! its end once; telling costs nothing per record, and whoever does not listen holds up nobody.

pub(crate) mod detector;
pub(crate) mod driver;
pub(crate) mod heard;
#[cfg(test)]
mod tests;
pub(crate) mod why;

use std::fmt;
use std::time::Duration;

use ottla_client::{Error, NodeId, TopicPartition};

pub use driver::ConsumerEvents;

/// What [`Consumer::events`](crate::Consumer::events) tells. None of it needs an answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConsumerEvent {
    /// There has been no progress for `stuck.after.ms`. It is told again when the reason changes.
    Stuck(Stuck),
    /// There is progress again, or nothing left to wait for.
    Unstuck {
        /// Where; empty if the whole consumer was stuck.
        partitions: Vec<TopicPartition>,
        /// After how long at most.
        after: Duration,
    },
    /// The application has used four fifths of `max.poll.interval.ms` since its last poll.
    PollIntervalNear {
        /// Since the last poll.
        idle: Duration,
        /// `max.poll.interval.ms`.
        limit: Duration,
    },
    /// The application has not polled for `max.poll.interval.ms`: the consumer leaves its group until the next poll.
    PollIntervalExceeded {
        /// Since the last poll.
        idle: Duration,
        /// `max.poll.interval.ms`.
        limit: Duration,
    },
    /// The application polls again.
    PollsAgain {
        /// After how long.
        after: Duration,
    },
}

/// Something that makes no progress.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stuck {
    /// What keeps it from going on.
    pub reason: StuckReason,
    /// Which partitions it concerns; none if the consumer has none yet.
    pub partitions: Vec<TopicPartition>,
    /// Offsets between their positions and ends, as far as they are known.
    pub lag: i64,
    /// How long the one that has waited longest has waited.
    pub since: Duration,
}

/// What keeps a partition, or a consumer, from going on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StuckReason {
    /// There is something to read or to do, but the application does not poll.
    NotPolling {
        /// Since the last poll; `None` if there was none.
        idle: Option<Duration>,
    },
    /// The partition is paused.
    Paused,
    /// The rebalance listener has not returned, and nothing is handed out before it does.
    Listener {
        /// For how long it has been at work.
        running: Duration,
    },
    /// The group has not let the consumer in: its coordinator is not found, or does not answer.
    Coordinator,
    /// The group is rebalancing: other members have not joined yet.
    Rebalance,
    /// The group's committed offset is not known yet.
    CommittedOffset {
        /// The last failure to fetch it.
        cause: Option<Error>,
    },
    /// The offset to begin at is not known yet: the leader has not answered.
    StartOffset {
        /// The last failure to look it up.
        cause: Option<Error>,
    },
    /// The partition has no leader, as far as metadata says.
    NoLeader,
    /// The broker refuses fetches or is out of reach, or what it sends is damaged.
    FetchFails {
        /// The broker, if it is out of reach.
        node: Option<NodeId>,
        /// How often in a row.
        tries: u32,
        /// The last failure.
        cause: Error,
    },
    /// Another partition's records fill the buffer and are not read.
    BufferFull {
        /// The partition with the most of them.
        by: TopicPartition,
        /// Their bytes.
        bytes: usize,
    },
    /// Records are at hand, and polls take others, or none.
    Unread {
        /// Their bytes.
        bytes: usize,
    },
    /// A transaction is open, and with `read_committed` nothing behind its begin is handed out.
    OpenTransaction {
        /// Where it begins.
        last_stable_offset: i64,
        /// Up to where brokers have more.
        high_watermark: i64,
    },
    /// The broker has not answered yet.
    NoAnswer {
        /// The partition's leader, or the replica that is read from.
        node: NodeId,
    },
}

impl StuckReason {
    /// A word for it.
    pub fn name(&self) -> &'static str {
        match self {
            StuckReason::NotPolling { .. } => "not_polling",
            StuckReason::Paused => "paused",
            StuckReason::Listener { .. } => "listener",
            StuckReason::Coordinator => "coordinator",
            StuckReason::Rebalance => "rebalance",
            StuckReason::CommittedOffset { .. } => "committed_offset",
            StuckReason::StartOffset { .. } => "start_offset",
            StuckReason::NoLeader => "no_leader",
            StuckReason::FetchFails { .. } => "fetch_fails",
            StuckReason::BufferFull { .. } => "buffer_full",
            StuckReason::Unread { .. } => "unread",
            StuckReason::OpenTransaction { .. } => "open_transaction",
            StuckReason::NoAnswer { .. } => "no_answer",
        }
    }

    /// The last failure, if one is the reason.
    pub fn cause(&self) -> Option<&Error> {
        match self {
            StuckReason::CommittedOffset { cause } | StuckReason::StartOffset { cause } => cause.as_ref(),
            StuckReason::FetchFails { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

impl fmt::Display for StuckReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StuckReason::NotPolling { idle: Some(idle) } => {
                write!(f, "the application has not polled for {} ms", idle.as_millis())
            }
            StuckReason::NotPolling { idle: None } => f.write_str("the application has not polled yet"),
            StuckReason::Paused => f.write_str("paused by the application"),
            StuckReason::Listener { running } => {
                write!(f, "the rebalance listener has not returned for {} ms", running.as_millis())
            }
            StuckReason::Coordinator => f.write_str("the group's coordinator has not let the consumer in"),
            StuckReason::Rebalance => f.write_str("the group is rebalancing, other members are awaited"),
            StuckReason::CommittedOffset { .. } => f.write_str("the committed offset is not known yet"),
            StuckReason::StartOffset { .. } => f.write_str("the offset to begin at is not known yet"),
            StuckReason::NoLeader => f.write_str("the partition has no known leader"),
            StuckReason::FetchFails { node: Some(node), tries, .. } => {
                write!(f, "fetching from broker {node} has failed {tries} times in a row")
            }
            StuckReason::FetchFails { node: None, tries, .. } => {
                write!(f, "reading has failed {tries} times in a row")
            }
            StuckReason::BufferFull { by, bytes } => {
                write!(f, "{bytes} unread bytes of {by} fill the buffer")
            }
            StuckReason::Unread { bytes } => write!(f, "{bytes} bytes are at hand and polls don't take them"),
            StuckReason::OpenTransaction { last_stable_offset, high_watermark } => write!(
                f,
                "a transaction has been open since offset {last_stable_offset}, with records up to {high_watermark}"
            ),
            StuckReason::NoAnswer { node } => write!(f, "broker {node} has not answered yet"),
        }?;
        match self.cause() {
            Some(cause) => write!(f, "; last failure: {cause}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no progress ")?;
        if !self.partitions.is_empty() {
            write!(f, "in {} ", FirstOf(&self.partitions))?;
        }
        write!(f, "for {} ms: {}", self.since.as_millis(), self.reason)
    }
}

/// The first few of many partitions, for a line of the log.
pub(crate) struct FirstOf<'a>(pub(crate) &'a [TopicPartition]);

/// How many that is.
const NAMED: usize = 5;

impl fmt::Display for FirstOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, partition) in self.0.iter().take(NAMED).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{partition}")?;
        }
        match self.0.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
