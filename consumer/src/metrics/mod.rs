//! [`ConsumerMetrics`]: what a consumer has done so far, and where it stands.
//!
//! Everything is counted by fetches, polls, commits or rebalances, never by records.
//!
//! With the feature `metrics` the numbers also go to the recorder that the application installed for the `metrics`
//! facade, under Kafka's names and with the label `client_id`; those marked with * also have `topic`, those with ** also
//! `topic` and `partition`:
//!
//! | kind | names, each behind `kafka_consumer_` |
//! |---|---|
//! | counters | `records_consumed_total`*, `bytes_consumed_total`*, `fetch_total`, `fetch_response_total`, `commit_total`, `commit_error_total` (by `error`), `rebalance_total` (by `reason`), `partitions_lost_total`, `stuck_total` (by `reason`) |
//! | histograms | `fetch_latency`, `commit_latency`, `rebalance_latency`, `time_between_poll` (all in seconds) |
//! | gauges | `fetches_in_flight`, `buffered_bytes`, `held_bytes`, `assigned_partitions`, `last_poll_seconds_ago`, `records_lag_max`, `records_lag`** |
//!
//! Gauges are set every few seconds; the lag of a partition that the consumer does not have any more is NaN.
//!
//! Sources: the sensors of Kafka's consumer, by their names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use ottla_client::Histogram;
use ottla_client::TopicPartition;
use ottla_protocol::error_code::ErrorCode;

use crate::fetch::driver::Shared;
use crate::fetch::state::FetchState;
use crate::options::ConsumerValues;
use crate::stuck::Stuck;

#[cfg(feature = "metrics")]
mod facade;
mod meter;

pub(crate) use meter::{Meter, Polling};

/// A consumer's numbers at one instant, all since it was made unless they say otherwise.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConsumerMetrics {
    /// What brokers sent of all topics.
    pub total: Traffic,
    /// What brokers sent by topic: the first thousand topics that were read.
    pub topics: BTreeMap<Arc<str>, Traffic>,
    /// What brokers sent of all further topics together.
    pub other_topics: Traffic,
    /// Fetch requests.
    pub fetches: FetchMetrics,
    /// The partitions that the consumer has now.
    pub partitions: BTreeMap<TopicPartition, PartitionMetrics>,
    /// Fetched data that the application has not read yet, now.
    pub buffer: BufferMetrics,
    /// Changes of the assignment by the group.
    pub rebalances: RebalanceMetrics,
    /// Commits of offsets, those in the background included.
    pub commits: CommitMetrics,
    /// The application's polls.
    pub polls: PollMetrics,
    /// What makes no progress now, and why.
    pub stuck: Vec<Stuck>,
    /// How often it was told that something made no progress, by [`StuckReason::name`](crate::StuckReason::name).
    pub stuck_told: BTreeMap<&'static str, u64>,
}

impl ConsumerMetrics {
    /// Offsets between the positions and the ends of all partitions, as far as they are known.
    pub fn lag(&self) -> i64 {
        self.partitions.values().filter_map(|partition| partition.lag).fold(0, i64::saturating_add)
    }

    /// The same of the partition that is furthest behind; `None` if no partition's lag is known.
    pub fn max_lag(&self) -> Option<i64> {
        self.partitions.values().filter_map(|partition| partition.lag).max()
    }

    /// All of a consumer's.
    pub(crate) fn of(shared: &Shared, options: &ConsumerValues, now: Instant) -> ConsumerMetrics {
        let mut metrics = shared.meter.snapshot(now);
        metrics.stuck = shared.announcer.stuck();
        metrics.buffer.limit = options.queued_max_bytes;
        let mut state = shared.state();
        state.settle_streams();
        metrics.observe(&state);
        drop(state);
        metrics
    }

    /// Takes over where the partitions stand.
    fn observe(&mut self, state: &FetchState) {
        self.buffer.held = state.buffer.frames.total();
        for (name, assigned) in state.subscription.iter() {
            let fetching = assigned.fetching();
            let (position, end_offset) =
                (fetching.map(|at| at.position.offset), fetching.and_then(|at| at.end_offset));
            let buffered_bytes = state.buffer.bytes_of(name);
            self.buffer.bytes += buffered_bytes;
            let lag = lag(position, end_offset);
            let partition =
                PartitionMetrics { position, end_offset, lag, buffered_bytes, paused: assigned.paused };
            self.partitions.insert(name.clone(), partition);
        }
    }
}

/// Records and their bytes, as they come: headers included, compressed, those of aborted transactions and those that a
/// seek made pointless included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Records, as the headers of their batches say.
    pub records: u64,
    /// Bytes of batches.
    pub bytes: u64,
}

/// What is known of fetch requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchMetrics {
    /// Requests that were sent.
    pub sent: u64,
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that were not: broken connections and timeouts, and brokers that could not be connected to.
    pub failed: u64,
    /// Requests whose answers are awaited now.
    pub in_flight: u64,
    /// From a request to its answer. A broker without news holds a request for up to `fetch.max.wait.ms`.
    pub latency: Histogram,
    /// How long brokers wanted to be left alone, in sum.
    pub throttled: Duration,
}

/// Where a partition stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionMetrics {
    /// The offset of the next record for the application, once it is known.
    pub position: Option<i64>,
    /// Where the log ends for this consumer, as the last fetch said: with `read_committed` before the first open
    /// transaction.
    pub end_offset: Option<i64>,
    /// What lies between the two.
    pub lag: Option<i64>,
    /// Bytes that are fetched and not read.
    pub buffered_bytes: usize,
    /// Whether the partition rests.
    pub paused: bool,
}

/// Fetched data, now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BufferMetrics {
    /// Bytes that are fetched and not read.
    pub bytes: usize,
    /// Bytes of the answers that they came with, which stay in memory until all of one is read: as `bytes`, but for answers
    /// that are read in part.
    pub held: usize,
    /// `queued.max.bytes`.
    pub limit: usize,
}

/// Why a group assigned partitions anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RebalanceReason {
    /// The consumer joined.
    Joined,
    /// The consumer subscribed to other topics.
    Subscription,
    /// The group wanted it: members came or went, or partitions were added.
    Group,
    /// The consumer had lost its place in the group, and joined again.
    Lost,
    /// The application had not polled for `max.poll.interval.ms`, and the consumer joined again.
    PollInterval,
}

impl RebalanceReason {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            RebalanceReason::Joined => "joined",
            RebalanceReason::Subscription => "subscription",
            RebalanceReason::Group => "group",
            RebalanceReason::Lost => "lost",
            RebalanceReason::PollInterval => "poll_interval",
        }
    }
}

/// What is known of rebalances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RebalanceMetrics {
    /// Rebalances that ended with an assignment, whether or not it differed from the one before.
    pub completed: u64,
    /// The same by reason.
    pub reasons: BTreeMap<RebalanceReason, u64>,
    /// From a rebalance's first sign to the listener's return from `assigned`. Polls that come late count as well.
    pub latency: Histogram,
    /// For how long one has been under way.
    pub under_way: Option<Duration>,
    /// Partitions that were assigned, in sum.
    pub assigned: u64,
    /// Partitions that were revoked, in sum.
    pub revoked: u64,
    /// Partitions that were lost, in sum: taken away without a chance to commit.
    pub lost: u64,
}

/// What is known of commits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitMetrics {
    /// Commits that succeeded.
    pub succeeded: u64,
    /// Commits that failed for good, retries included.
    pub failed: u64,
    /// From a commit's begin to its end, retries and the wait for commits before it included; of those that succeeded.
    pub latency: Histogram,
    /// How many failed by error code; those without one are not listed.
    pub errors: BTreeMap<ErrorCode, u64>,
}

/// What is known of polls. `next` and streams count as a poll every few milliseconds, and waiting for a record does, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PollMetrics {
    /// From one poll to the next.
    pub interval: Histogram,
    /// Since the last one began; `None` before the first.
    pub since_last: Option<Duration>,
}

/// What lies between a position and an end.
pub(crate) fn lag(position: Option<i64>, end_offset: Option<i64>) -> Option<i64> {
    Some(end_offset?.saturating_sub(position?).max(0))
}

#[cfg(test)]
mod tests;
