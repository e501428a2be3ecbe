//! What keeps a partition from going on, as far as the consumer knows.
//!
//! The first that applies counts: what only the application can change, then what only brokers can.

use std::cell::OnceCell;
use std::time::{Duration, Instant};

use ottla_client::{NodeId, TopicPartition};

use super::StuckReason;
use crate::fetch::plan::Routes;
use crate::fetch::state::FetchState;
use crate::metrics::Polling;
use crate::subscription::{Assigned, Fetching, Phase};

/// Everything that is looked at.
pub(crate) struct Scene<'a> {
    pub(crate) state: &'a FetchState,
    pub(crate) routes: &'a dyn Routes,
    pub(crate) polling: Polling,
    /// What the consumer is to the group that it has subscribed to topics in.
    pub(crate) group: Option<InGroup>,
    /// `max.partition.fetch.bytes`.
    pub(crate) partition_bytes: usize,
    /// `queued.max.bytes`.
    pub(crate) queued_bytes: usize,
    /// The partition with the most unread bytes, if they are enough to hold up others; looked for once.
    pub(crate) fullest: OnceCell<Option<(TopicPartition, usize)>>,
}

/// What the consumer is to its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InGroup {
    /// Not a member yet, or not any more.
    Outside,
    /// A member between two generations.
    Rebalancing,
    /// A member.
    Stable,
}

impl Scene<'_> {
    /// For how long the application has been out of polls, if that is `after` or longer; the inner `None` is for ever.
    pub(crate) fn idle(&self, now: Instant, after: Duration) -> Option<Option<Duration>> {
        if self.polling.inside > 0 {
            return None;
        }
        let idle = self.polling.last.map(|last| now.saturating_duration_since(last));
        idle.is_none_or(|idle| idle >= after).then_some(idle)
    }

    /// Whether there is nothing that a partition could wait for.
    pub(crate) fn is_at_rest(&self, now: Instant, name: &TopicPartition, assigned: &Assigned) -> bool {
        let Some(fetching) = assigned.fetching() else { return false };
        let at_end = fetching.end_offset.is_some_and(|end| end <= fetching.position.offset);
        let beyond = self.state.heard.high_watermark(name);
        let is_served = || {
            let node = self.node(name, fetching, now);
            node.is_some_and(|node| self.state.heard.of_fetching(name, assigned, node).is_none())
        };
        // Nobody is asked about a partition that is paused.
        at_end
            && !assigned.reporting
            && beyond.is_none_or(|end| end <= fetching.position.offset)
            && (assigned.paused || is_served())
    }

    /// Why a partition that is not at rest makes no progress.
    pub(crate) fn why(
        &self,
        now: Instant,
        after: Duration,
        name: &TopicPartition,
        assigned: &Assigned,
    ) -> StuckReason {
        if assigned.paused {
            return StuckReason::Paused;
        }
        let bytes = self.state.buffer.bytes_of(name);
        let idle = self.idle(now, after);
        if bytes > 0 || assigned.held || assigned.reporting {
            if let Some(idle) = idle {
                return StuckReason::NotPolling { idle };
            }
            if let Some(since) = self.polling.listener_since {
                return StuckReason::Listener { running: now.saturating_duration_since(since) };
            }
        }
        let fetching = match &assigned.phase {
            Phase::AwaitingOffset => {
                let cause = self.cause(name, assigned, "cannot fetch the committed offset of");
                return StuckReason::CommittedOffset { cause };
            }
            Phase::AwaitingReset(_) if self.routes.route(name).is_none() => return StuckReason::NoLeader,
            Phase::AwaitingReset(_) => {
                let cause = self.cause(name, assigned, "cannot look up an offset of");
                return StuckReason::StartOffset { cause };
            }
            Phase::Fetching(fetching) => fetching,
        };
        let Some(node) = self.node(name, fetching, now) else { return StuckReason::NoLeader };
        if let Some((node, trouble)) = self.state.heard.of_fetching(name, assigned, node) {
            let cause = trouble.cause.to_error(|| format!("cannot fetch {name}"));
            return StuckReason::FetchFails { node, tries: trouble.tries, cause };
        }
        if bytes > 0 {
            return StuckReason::Unread { bytes };
        }
        let position = fetching.position.offset;
        if let Some(high_watermark) = self.state.heard.high_watermark(name)
            && let Some(last_stable_offset) = fetching.end_offset.filter(|end| *end <= position)
            && high_watermark > position
        {
            return StuckReason::OpenTransaction { last_stable_offset, high_watermark };
        }
        match (self.fullest(), idle) {
            (Some(_), Some(idle)) => StuckReason::NotPolling { idle },
            (Some((by, bytes)), None) => StuckReason::BufferFull { by, bytes },
            (None, _) => StuckReason::NoAnswer { node },
        }
    }

    /// Where a partition is read.
    pub(crate) fn node(&self, name: &TopicPartition, fetching: &Fetching, now: Instant) -> Option<NodeId> {
        let leader = self.routes.route(name)?.leader;
        Some(
            fetching
                .preferred
                .filter(|preferred| preferred.until > now)
                .map_or(leader, |replica| replica.node),
        )
    }

    fn cause(&self, name: &TopicPartition, assigned: &Assigned, doing: &str) -> Option<ottla_client::Error> {
        let trouble = self.state.heard.of_partition(name, assigned)?;
        Some(trouble.cause.to_error(|| format!("{doing} {name}")))
    }

    fn fullest(&self) -> Option<(TopicPartition, usize)> {
        let find = || {
            let all = self.state.subscription.iter();
            let bytes = all.map(|(name, _)| (name, self.state.buffer.bytes_of(name)));
            let (mut most, mut total) = (None, 0_usize);
            for (name, bytes) in bytes.filter(|(_, bytes)| *bytes > 0) {
                total = total.saturating_add(bytes);
                if most.is_none_or(|(_, most)| bytes > most) {
                    most = Some((name, bytes));
                }
            }
            let (name, bytes) = most?;
            (bytes >= self.partition_bytes || total >= self.queued_bytes / 2).then(|| (name.clone(), bytes))
        };
        self.fullest.get_or_init(find).clone()
    }
}
