//! [`Meter`]: where the consumer's tasks and the application's side count.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ottla_client::Error;
#[cfg(feature = "metrics")]
use ottla_client::TopicPartition;

#[cfg(feature = "metrics")]
use super::facade::Facade;
use super::{ConsumerMetrics, RebalanceReason, Traffic};

/// Topics that are counted on their own.
const TOPICS: usize = 1_000;

/// Counts fetches, polls, commits and rebalances: one short lock for each.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    counts: Mutex<Counts>,
    client_id: OnceLock<Arc<str>>,
}

#[derive(Debug, Default)]
struct Counts {
    metrics: ConsumerMetrics,
    polling: Polling,
    rebalance: Option<Rebalance>,
    /// What was subscribed to at the last rebalance.
    topics: Option<BTreeSet<Arc<str>>>,
}

/// A rebalance that is under way.
#[derive(Clone, Copy, Debug)]
struct Rebalance {
    since: Instant,
    reason: RebalanceReason,
}

/// What the application is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Polling {
    /// When its last poll began.
    pub(crate) last: Option<Instant>,
    /// How long that was after the one before.
    pub(crate) interval: Option<Duration>,
    /// How many waits of a poll are under way: the application is inside, however long ago that began.
    pub(crate) inside: u32,
    /// Since when the listener has been working on what the group wants.
    pub(crate) listener_since: Option<Instant>,
}

/// As long as it lives, the application is inside of a poll.
#[derive(Debug)]
pub(crate) struct Inside(Arc<Meter>);

impl Drop for Inside {
    fn drop(&mut self) {
        let mut counts = self.0.counts();
        counts.polling.inside = counts.polling.inside.saturating_sub(1);
    }
}

impl Meter {
    /// Names the consumer, for numbers that leave it.
    pub(crate) fn name(&self, client_id: &str) {
        if self.client_id.set(client_id.into()).is_ok() {
            #[cfg(feature = "metrics")]
            Facade::describe();
        }
    }

    /// All counts; what is not counted here is zero.
    pub(crate) fn snapshot(&self, now: Instant) -> ConsumerMetrics {
        let counts = self.counts();
        let mut metrics = counts.metrics.clone();
        let since = |at: Instant| now.saturating_duration_since(at);
        metrics.polls.since_last = counts.polling.last.map(since);
        metrics.rebalances.under_way = counts.rebalance.map(|rebalance| since(rebalance.since));
        metrics
    }

    /// What the application is doing.
    pub(crate) fn polling(&self) -> Polling {
        self.counts().polling
    }

    /// A poll begins.
    pub(crate) fn polled(&self, now: Instant) {
        let mut counts = self.counts();
        let interval = counts.polling.last.replace(now).map(|last| now.saturating_duration_since(last));
        counts.polling.interval = interval;
        if let Some(interval) = interval {
            counts.metrics.polls.interval.record(interval);
            drop(counts);
            #[cfg(feature = "metrics")]
            self.facade().polled(interval);
        }
    }

    /// A poll waits for as long as what is returned lives.
    pub(crate) fn inside(self: &Arc<Self>) -> Inside {
        self.counts().polling.inside += 1;
        Inside(Arc::clone(self))
    }

    /// A fetch request is on its way.
    pub(crate) fn fetch_sent(&self) {
        let mut counts = self.counts();
        counts.metrics.fetches.sent += 1;
        counts.metrics.fetches.in_flight += 1;
        drop(counts);
        #[cfg(feature = "metrics")]
        self.facade().fetch_sent();
    }

    /// A fetch request was answered after so long, or was not.
    pub(crate) fn fetch_over(&self, latency: Duration, throttle: Option<Duration>) {
        let mut counts = self.counts();
        let fetches = &mut counts.metrics.fetches;
        fetches.in_flight = fetches.in_flight.saturating_sub(1);
        match throttle {
            Some(throttle) => {
                fetches.answered += 1;
                fetches.throttled += throttle;
                fetches.latency.record(latency);
            }
            None => fetches.failed += 1,
        }
        drop(counts);
        #[cfg(feature = "metrics")]
        if throttle.is_some() {
            self.facade().fetch_answered(latency);
        }
    }

    /// A fetch request could not even be sent.
    pub(crate) fn fetch_unsent(&self) {
        self.counts().metrics.fetches.failed += 1;
    }

    /// Records of a partition of this topic came.
    pub(crate) fn received(&self, topic: &Arc<str>, records: u64, bytes: usize) {
        let bytes = bytes as u64;
        let mut counts = self.counts();
        counts.metrics.traffic(topic, |traffic| {
            traffic.records += records;
            traffic.bytes += bytes;
        });
        drop(counts);
        #[cfg(feature = "metrics")]
        self.facade().received(topic, records, bytes);
    }

    /// A commit ended after so long.
    pub(crate) fn committed(&self, latency: Duration, result: &Result<(), Error>) {
        let mut counts = self.counts();
        let commits = &mut counts.metrics.commits;
        match result {
            Ok(()) => {
                commits.succeeded += 1;
                commits.latency.record(latency);
            }
            Err(error) => {
                commits.failed += 1;
                if let Some(code) = error.code() {
                    *commits.errors.entry(code).or_default() += 1;
                }
            }
        }
        drop(counts);
        #[cfg(feature = "metrics")]
        self.facade().committed(latency, result);
    }

    /// The consumer asks to be let into a group.
    pub(crate) fn joining(&self, now: Instant) {
        let mut counts = self.counts();
        counts.polling.last.get_or_insert(now);
        counts.topics = None;
        counts.rebalance = Some(Rebalance { since: now, reason: RebalanceReason::Joined });
    }

    /// The first sign of a rebalance, or a further one.
    pub(crate) fn rebalancing(&self, now: Instant) {
        let reason = RebalanceReason::Group;
        self.counts().rebalance.get_or_insert(Rebalance { since: now, reason });
    }

    /// The consumer is in no group any more.
    pub(crate) fn left(&self) {
        let mut counts = self.counts();
        counts.rebalance = None;
        counts.polling.listener_since = None;
    }

    /// The group took partitions away, perhaps because the last poll is longer ago than `limit`.
    pub(crate) fn lost(&self, now: Instant, limit: Duration) {
        let mut counts = self.counts();
        let late = counts.overslept(now, limit);
        let reason = if late { RebalanceReason::PollInterval } else { RebalanceReason::Lost };
        let since = counts.rebalance.map_or(now, |rebalance| rebalance.since);
        counts.rebalance = Some(Rebalance { since, reason });
    }

    /// The listener is to be told of something.
    pub(crate) fn listener_begins(&self, now: Instant) {
        self.counts().polling.listener_since = Some(now);
    }

    /// The listener is done, and so many partitions are revoked or, if it has `lost` them, lost.
    pub(crate) fn gave_up(&self, partitions: usize, lost: bool) {
        let mut counts = self.counts();
        counts.polling.listener_since = None;
        let rebalances = &mut counts.metrics.rebalances;
        match lost {
            true => rebalances.lost += partitions as u64,
            false => rebalances.revoked += partitions as u64,
        }
        drop(counts);
        #[cfg(feature = "metrics")]
        if lost {
            self.facade().lost(partitions);
        }
    }

    /// The listener is done, and a rebalance ends with so many partitions more, for these topics.
    pub(crate) fn assigned(&self, now: Instant, partitions: usize, topics: Option<&BTreeSet<Arc<str>>>) {
        let mut counts = self.counts();
        counts.polling.listener_since = None;
        let changed = counts.topics.as_ref().is_some_and(|last| Some(last) != topics);
        counts.topics = topics.cloned();
        let rebalance = counts.rebalance.take();
        let mut reason = rebalance.map_or(RebalanceReason::Group, |rebalance| rebalance.reason);
        if reason == RebalanceReason::Group && changed {
            reason = RebalanceReason::Subscription;
        }
        let latency = rebalance.map_or(Duration::ZERO, |it| now.saturating_duration_since(it.since));
        let rebalances = &mut counts.metrics.rebalances;
        rebalances.completed += 1;
        *rebalances.reasons.entry(reason).or_default() += 1;
        rebalances.latency.record(latency);
        rebalances.assigned += partitions as u64;
        drop(counts);
        #[cfg(feature = "metrics")]
        self.facade().rebalanced(reason, latency);
    }

    /// It was told that something makes no progress.
    pub(crate) fn stuck(&self, reason: &'static str) {
        *self.counts().metrics.stuck_told.entry(reason).or_default() += 1;
        #[cfg(feature = "metrics")]
        self.facade().stuck(reason);
    }

    /// Passes on what goes up and down.
    #[cfg(feature = "metrics")]
    pub(crate) fn publish<'a>(
        &self,
        metrics: &ConsumerMetrics,
        gone: impl IntoIterator<Item = &'a TopicPartition>,
    ) {
        self.facade().levels(metrics);
        gone.into_iter().for_each(|partition| self.facade().lag(partition, f64::NAN));
    }

    #[cfg(feature = "metrics")]
    fn facade(&self) -> Facade {
        Facade::new(self.client_id.get())
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn overslept(&self, now: Instant, limit: Duration) -> bool {
        // The poll that hears of it has begun; the interval that ended with it is the one that counts.
        let last = self.polling.last.map(|last| now.saturating_duration_since(last));
        let longest = self.polling.interval.max(last);
        longest.is_some_and(|interval| interval >= limit)
    }
}

impl ConsumerMetrics {
    /// Changes what is counted for a topic, and for all.
    fn traffic(&mut self, topic: &Arc<str>, mut change: impl FnMut(&mut Traffic)) {
        change(&mut self.total);
        let full = self.topics.len() >= TOPICS;
        change(match self.topics.get_mut(topic) {
            Some(known) => known,
            None if full => &mut self.other_topics,
            None => self.topics.entry(Arc::clone(topic)).or_default(),
        });
    }
}
