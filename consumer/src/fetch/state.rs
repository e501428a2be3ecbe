//! [`FetchState`]: subscription, plan and buffer as one machine, shared by the application's side and the task.
//!
//! Guarantee: data that was asked for under an older generation of a partition's position never reaches the application,
//! whoever is quicker: both sides change the state under one lock, for moments, and never wait while they hold it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use ottla_client::{Backoff, Error, TopicPartition};

use super::buffer::{Buffer, Reading};
use super::damage::Damages;
use super::plan::{FetchPlan, Limits, Outlook, Routes};
use crate::ack::Acks;
use crate::metrics::Meter;
use crate::options::{CommitMode, ConsumerValues, IsolationLevel, OffsetReset};
use crate::streams::Streams;
use crate::stuck::heard::Heard;
use crate::subscription::{Assigned, Generation, Subscription};

/// What the options say about fetching.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) isolation: IsolationLevel,
    pub(crate) check_crcs: bool,
    pub(crate) reset: OffsetReset,
    pub(crate) backoff: Backoff,
    /// For how long a preferred replica is asked before the leader is again.
    pub(crate) replica_lease: std::time::Duration,
}

/// Everything that the application's side and the task share.
#[derive(Debug)]
pub(crate) struct FetchState {
    pub(crate) subscription: Subscription,
    pub(crate) plan: FetchPlan,
    pub(crate) buffer: Buffer,
    pub(crate) rules: Rules,
    /// What was handed out and not acknowledged, if commits go by acknowledgements.
    pub(crate) acks: Option<Acks>,
    /// Who reads partitions apart from the consumer's own polls.
    pub(crate) streams: Streams,
    /// Errors about partitions that poll has yet to return.
    reports: VecDeque<Report>,
    /// The last failure that may pass: the cause of a timeout.
    pub(crate) trouble: Option<Error>,
    /// A failure that concerns the consumer as a whole, for poll to return.
    pub(crate) alarm: Option<Error>,
    /// Where it is counted what comes.
    pub(crate) meter: Arc<Meter>,
    /// What brokers said about what cannot be read.
    pub(crate) heard: Heard,
    /// Batches that cannot be read.
    pub(crate) damages: Damages,
}

#[derive(Debug)]
struct Report {
    partition: TopicPartition,
    generation: Generation,
    error: Error,
}

impl FetchState {
    pub(crate) fn new(values: &ConsumerValues, rules: Rules) -> FetchState {
        let limits = Limits {
            fetch_max_bytes: values.fetch_max_bytes,
            partition_max_bytes: values.max_partition_fetch_bytes,
            queued_max_bytes: values.queued_max_bytes,
        };
        FetchState {
            subscription: Subscription::default(),
            plan: FetchPlan::new(limits),
            buffer: Buffer::default(),
            rules,
            acks: (values.commit_mode == CommitMode::Acked).then(Acks::default),
            streams: Streams::default(),
            reports: VecDeque::new(),
            trouble: None,
            alarm: None,
            meter: Arc::default(),
            heard: Heard::default(),
            damages: Damages::default(),
        }
    }

    /// Forgets failures that concern nothing that the consumer has.
    pub(crate) fn forget_troubles(&mut self) {
        self.heard.retain(&self.subscription);
    }

    /// Which brokers to ask now.
    pub(crate) fn outlook(&mut self, now: Instant, routes: &dyn Routes) -> Outlook {
        let FetchState { plan, subscription, buffer, .. } = self;
        plan.outlook(now, subscription, buffer, routes)
    }

    /// The next fetch to read from.
    pub(crate) fn next_reading(&mut self) -> Option<Reading> {
        let FetchState { plan, subscription, buffer, .. } = self;
        plan.sync(subscription, buffer);
        buffer.take(|name| subscription.partition(name).is_some_and(|assigned| assigned.may_deliver()))
    }

    /// The next fetch of this partition to read from.
    pub(crate) fn reading_of(&mut self, partition: &TopicPartition) -> Option<Reading> {
        let may_deliver = self.subscription.partition(partition).is_some_and(Assigned::may_deliver);
        may_deliver.then(|| self.buffer.take_of(partition)).flatten()
    }

    /// The application got what `reading` has read so far.
    pub(crate) fn settle(&mut self, reading: &Reading) {
        let Reading { partition, generation, fetch } = reading;
        self.subscription.advance(partition, *generation, fetch.next_offset(), fetch.leader_epoch());
    }

    /// Whether what is read is still of the partition's position.
    pub(crate) fn is_current(&self, reading: &Reading) -> bool {
        let assigned = self.subscription.partition(&reading.partition);
        assigned.is_some_and(|assigned| assigned.generation == reading.generation)
    }

    /// Drops a partition with all that is buffered of it.
    pub(crate) fn remove(&mut self, partition: &TopicPartition) {
        self.damages.forget(partition);
        self.buffer.discard(partition);
        if let Some(acks) = &mut self.acks {
            acks.forget(partition);
        }
        self.streams.remove(partition);
        self.subscription.remove(partition);
    }

    /// Has poll return an error about a partition; nothing goes on with it before.
    pub(crate) fn report(&mut self, partition: &TopicPartition, generation: Generation, error: Error) {
        if let Some(assigned) = self.subscription.current_mut(partition, generation)
            && !assigned.reporting
        {
            assigned.reporting = true;
            self.reports.push_back(Report { partition: partition.clone(), generation, error });
        }
    }

    /// The next error for poll to return. The partition is tried again, a backoff later.
    pub(crate) fn next_report(&mut self, now: Instant, random: f64) -> Option<Error> {
        while let Some(report) = self.reports.pop_front() {
            if let Some(error) = self.give_report(report, now, random) {
                return Some(error);
            }
        }
        None
    }

    /// The same, of this partition only: those of others stay for poll.
    pub(crate) fn report_of(
        &mut self,
        partition: &TopicPartition,
        now: Instant,
        random: f64,
    ) -> Option<Error> {
        let mut from = 0;
        while let Some(at) = self.reports.iter().skip(from).position(|report| report.partition == *partition)
        {
            from += at;
            let report = self.reports.remove(from)?;
            if let Some(error) = self.give_report(report, now, random) {
                return Some(error);
            }
        }
        None
    }

    fn give_report(&mut self, report: Report, now: Instant, random: f64) -> Option<Error> {
        let Report { partition, generation, error } = report;
        // What a seek or a revocation has made pointless is nobody's business any more.
        let assigned = self.subscription.current_mut(&partition, generation)?;
        assigned.reporting = false;
        let failures = assigned.failures;
        self.put_off(&partition, generation, now, failures, random);
        Some(error)
    }

    /// Puts a partition off after another failure.
    pub(crate) fn back_off(
        &mut self,
        partition: &TopicPartition,
        generation: Generation,
        now: Instant,
        random: f64,
    ) {
        let Some(assigned) = self.subscription.current_mut(partition, generation) else { return };
        let failures = assigned.failures;
        self.put_off(partition, generation, now, failures, random);
    }

    fn put_off(
        &mut self,
        partition: &TopicPartition,
        generation: Generation,
        now: Instant,
        failures: u32,
        random: f64,
    ) {
        self.subscription.put_off(partition, generation, now + self.rules.backoff.next(failures, random));
    }
}
