//! [`Detector`]: watches positions and polls; says what is stuck, and when that ends.
//!
//! ```text
//!             no progress for `stuck.after.ms`
//!   Moving -------------------------------------> Stuck(reason) --another reason, as long again--> Stuck(other)
//!     ^                                               |
//!     +------- the position moved, or nothing is left to wait for, or the partition is gone
//! ```

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ottla_client::TopicPartition;

use super::why::{InGroup, Scene};
use super::{ConsumerEvent, Stuck, StuckReason};
use crate::metrics::lag;
use crate::subscription::{Assigned, Generation, Phase};

/// The share of `max.poll.interval.ms` after which it is near.
const NEAR: (u32, u32) = (4, 5);

/// Watches one consumer.
#[derive(Debug)]
pub(crate) struct Detector {
    /// Zero never finds anything stuck.
    after: Duration,
    max_poll_interval: Duration,
    partitions: BTreeMap<TopicPartition, Watched>,
    /// The consumer as a member of its group.
    group: Option<Watch>,
    /// The last poll at which the interval was near, and whether it was exceeded.
    late: Option<(Instant, bool)>,
}

#[derive(Debug)]
struct Watched {
    mark: Mark,
    watch: Watch,
    seen: bool,
}

/// Since when there has been no progress, and what was told of it.
#[derive(Debug)]
struct Watch {
    since: Instant,
    told: Option<(&'static str, Instant)>,
}

/// What changes with every progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    generation: Generation,
    at: At,
    paused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Committed,
    Start,
    Offset(i64),
}

impl Mark {
    fn of(assigned: &Assigned) -> Mark {
        let at = match &assigned.phase {
            Phase::AwaitingOffset => At::Committed,
            Phase::AwaitingReset(_) => At::Start,
            Phase::Fetching(fetching) => At::Offset(fetching.position.offset),
        };
        Mark { generation: assigned.generation, at, paused: assigned.paused }
    }
}

impl Watch {
    fn new(now: Instant) -> Watch {
        Watch { since: now, told: None }
    }

    /// There is progress: for how long there was none, if that was told.
    fn moves(&mut self, now: Instant) -> Option<Duration> {
        let since = std::mem::replace(&mut self.since, now);
        self.told.take().map(|_| now.saturating_duration_since(since))
    }

    /// Whether there is something to tell, unless it was told already.
    fn is_due(&self, now: Instant, after: Duration) -> bool {
        let last = self.told.map_or(self.since, |(_, at)| at);
        now.saturating_duration_since(last) >= after
    }

    /// Notes that this is told now; false if it is no news.
    fn tell(&mut self, now: Instant, reason: &'static str) -> bool {
        self.told.replace((reason, now)).is_none_or(|(last, _)| last != reason)
    }
}

impl Detector {
    pub(crate) fn new(after: Duration, max_poll_interval: Duration) -> Detector {
        Detector { after, max_poll_interval, partitions: BTreeMap::new(), group: None, late: None }
    }

    /// Looks at everything; says what is new.
    pub(crate) fn look(&mut self, now: Instant, scene: &Scene<'_>) -> Vec<ConsumerEvent> {
        let mut events = Vec::new();
        events.extend(self.look_at_polls(now, scene));
        if !self.after.is_zero() {
            self.look_at_group(now, scene, &mut events);
            self.look_at_partitions(now, scene, &mut events);
        }
        events
    }

    /// When `max.poll.interval.ms` is near, or exceeded, unless there is a poll before.
    pub(crate) fn poll_deadline(&self, scene: &Scene<'_>) -> Option<Instant> {
        scene.group?;
        let last = scene.polling.last?;
        match self.late.filter(|(poll, _)| *poll == last) {
            None => Some(last + self.near()),
            Some((_, false)) => Some(last + self.max_poll_interval),
            Some((_, true)) => None,
        }
    }

    /// What is stuck at the moment, whether or not it was told.
    pub(crate) fn stuck(&self, now: Instant, scene: &Scene<'_>) -> Vec<Stuck> {
        let mut stuck = Vec::new();
        if let Some(watch) = self.group.as_ref().filter(|watch| watch.told.is_some())
            && let Some(reason) = self.why_not_in_group(now, scene)
        {
            add(&mut stuck, reason, None, 0, now.saturating_duration_since(watch.since));
        }
        for (name, watched) in self.partitions.iter().filter(|(_, watched)| watched.watch.told.is_some()) {
            if let Some(assigned) = scene.state.subscription.partition(name) {
                let reason = scene.why(now, self.after, name, assigned);
                let since = now.saturating_duration_since(watched.watch.since);
                add(&mut stuck, reason, Some(name), lag_of(assigned), since);
            }
        }
        stuck
    }

    fn near(&self) -> Duration {
        self.max_poll_interval / NEAR.1 * NEAR.0
    }

    fn look_at_polls(&mut self, now: Instant, scene: &Scene<'_>) -> Option<ConsumerEvent> {
        let last = scene.polling.last?;
        if let Some((poll, _)) = self.late.filter(|(poll, _)| *poll != last) {
            self.late = None;
            return Some(ConsumerEvent::PollsAgain { after: last.saturating_duration_since(poll) });
        }
        scene.group?;
        let (idle, limit) = (now.saturating_duration_since(last), self.max_poll_interval);
        match self.late {
            Some((_, true)) => None,
            _ if idle >= limit => {
                self.late = Some((last, true));
                Some(ConsumerEvent::PollIntervalExceeded { idle, limit })
            }
            None if idle >= self.near() => {
                self.late = Some((last, false));
                Some(ConsumerEvent::PollIntervalNear { idle, limit })
            }
            _ => None,
        }
    }

    fn look_at_group(&mut self, now: Instant, scene: &Scene<'_>, events: &mut Vec<ConsumerEvent>) {
        let Some(reason) = self.why_not_in_group(now, scene) else {
            if let Some(after) = self.group.take().and_then(|mut watch| watch.moves(now)) {
                events.push(ConsumerEvent::Unstuck { partitions: Vec::new(), after });
            }
            return;
        };
        let watch = self.group.get_or_insert_with(|| Watch::new(now));
        if watch.is_due(now, self.after) && watch.tell(now, reason.name()) {
            let since = now.saturating_duration_since(watch.since);
            events.push(ConsumerEvent::Stuck(Stuck { reason, partitions: Vec::new(), lag: 0, since }));
        }
    }

    fn why_not_in_group(&self, now: Instant, scene: &Scene<'_>) -> Option<StuckReason> {
        let in_group = scene.group.filter(|in_group| *in_group != InGroup::Stable)?;
        if let Some(idle) = scene.idle(now, self.after) {
            return Some(StuckReason::NotPolling { idle });
        }
        if let Some(since) = scene.polling.listener_since {
            return Some(StuckReason::Listener { running: now.saturating_duration_since(since) });
        }
        Some(match in_group {
            InGroup::Rebalancing => StuckReason::Rebalance,
            InGroup::Outside | InGroup::Stable => StuckReason::Coordinator,
        })
    }

    fn look_at_partitions(&mut self, now: Instant, scene: &Scene<'_>, events: &mut Vec<ConsumerEvent>) {
        let (mut stuck, mut moving, mut longest) = (Vec::new(), Vec::new(), Duration::ZERO);
        for (name, assigned) in scene.state.subscription.iter() {
            let mark = Mark::of(assigned);
            let Some(watched) = self.partitions.get_mut(name) else {
                let watched = Watched { mark, watch: Watch::new(now), seen: true };
                self.partitions.insert(name.clone(), watched);
                continue;
            };
            watched.seen = true;
            let moved = std::mem::replace(&mut watched.mark, mark) != mark;
            if moved || scene.is_at_rest(now, name, assigned) {
                if let Some(after) = watched.watch.moves(now) {
                    moving.push(name.clone());
                    longest = longest.max(after);
                }
            } else if watched.watch.is_due(now, self.after) {
                let reason = scene.why(now, self.after, name, assigned);
                if watched.watch.tell(now, reason.name()) {
                    let since = now.saturating_duration_since(watched.watch.since);
                    add(&mut stuck, reason, Some(name), lag_of(assigned), since);
                }
            }
        }
        self.partitions.retain(|name, watched| {
            let stays = std::mem::take(&mut watched.seen);
            if !stays && let Some(after) = watched.watch.moves(now) {
                moving.push(name.clone());
                longest = longest.max(after);
            }
            stays
        });
        events.extend(stuck.into_iter().map(ConsumerEvent::Stuck));
        if !moving.is_empty() {
            moving.sort_unstable();
            events.push(ConsumerEvent::Unstuck { partitions: moving, after: longest });
        }
    }
}

fn lag_of(assigned: &Assigned) -> i64 {
    let fetching = assigned.fetching();
    lag(fetching.map(|at| at.position.offset), fetching.and_then(|at| at.end_offset)).unwrap_or(0)
}

/// Adds to what is stuck for the same reason, if something is.
fn add(
    stuck: &mut Vec<Stuck>,
    reason: StuckReason,
    partition: Option<&TopicPartition>,
    lag: i64,
    since: Duration,
) {
    let place = |reason: &StuckReason| match reason {
        StuckReason::FetchFails { node, .. } => *node,
        StuckReason::NoAnswer { node } => Some(*node),
        _ => None,
    };
    // How far a transaction reaches is each partition's own.
    let alone = matches!(reason, StuckReason::OpenTransaction { .. } | StuckReason::Unread { .. });
    let same = |other: &Stuck| {
        !alone && other.reason.name() == reason.name() && place(&other.reason) == place(&reason)
    };
    match stuck.iter().position(same) {
        Some(at) => {
            let stuck = &mut stuck[at];
            stuck.partitions.extend(partition.cloned());
            stuck.lag = stuck.lag.saturating_add(lag);
            stuck.since = stuck.since.max(since);
        }
        None => {
            stuck.push(Stuck { reason, partitions: partition.cloned().into_iter().collect(), lag, since })
        }
    }
}
