//! [`FetchState`]: subscription, plan and buffer as one machine, shared by the application's side and the task.
//!
//! Guarantee: data that was asked for under an older generation of a partition's position never reaches the application,
//! whoever is quicker: both sides change the state under one lock, for moments, and never wait while they hold it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use ottla_client::{Backoff, Error, ErrorKind, TopicPartition};
use ottla_protocol::records::RecordError;

use super::buffer::{Buffer, Reading};
use super::plan::{FetchPlan, Limits, Outlook, Routes};
use crate::ack::Acks;
use crate::metrics::Meter;
use crate::options::{CommitMode, ConsumerValues, IsolationLevel, OffsetReset};
use crate::streams::Streams;
use crate::stuck::heard::Heard;
use crate::subscription::{Assigned, Generation, ResetTo, Start, Subscription};

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
    /// Where partitions stand before a batch that cannot be read, and where that ends, if it is known.
    damages: BTreeMap<TopicPartition, Damage>,
}

#[derive(Clone, Copy, Debug)]
struct Damage {
    generation: Generation,
    position: i64,
    next: Option<i64>,
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
            damages: BTreeMap::new(),
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

    /// `reading` met damage: what was fetched behind it is fetched again, as the damage may have happened on the way.
    pub(crate) fn damaged(
        &mut self,
        reading: &Reading,
        error: RecordError,
        now: Instant,
        random: f64,
    ) -> Error {
        self.settle(reading);
        let Reading { partition, generation, fetch } = reading;
        let position = fetch.next_offset();
        if let Some(assigned) = self.subscription.current_mut(partition, *generation) {
            assigned.halted = false;
            let failures = assigned.failures;
            if let Some(fetching) = assigned.fetching_mut() {
                fetching.fetch_offset = position;
                fetching.fetch_epoch = fetching.position.leader_epoch;
            }
            self.buffer.discard(partition);
            let at = now + self.rules.backoff.next(failures, random);
            self.subscription.put_off(partition, *generation, at);
        }
        let next = fetch.behind_damage();
        let damage = Damage { generation: *generation, position, next };
        self.damages.insert(partition.clone(), damage);
        let advice = match next {
            Some(next) => format!("`skip` passes over the batch, to offset {next}"),
            None => "seek beyond the damage to go on".to_owned(),
        };
        let message = format!("cannot read {partition} at offset {position}; {advice}");
        let error = Error::new(ErrorKind::CorruptRecord, message).with_cause(error);
        self.heard.damaged(partition, *generation, position, &error);
        error
    }

    /// Moves the position behind the batch that cannot be read; where that is.
    pub(crate) fn skip(&mut self, partition: &TopicPartition) -> Result<i64, Error> {
        let damage = self.damages.get(partition).copied();
        let Some(damage) = damage.filter(|damage| self.is_before(partition, damage)) else {
            let message = format!("{partition} stands before no batch that cannot be read");
            return Err(Error::new(ErrorKind::InvalidState, message));
        };
        let Damage { position, next, .. } = damage;
        let Some(next) = next else {
            let message = format!(
                "where the damage of {partition} at offset {position} ends is unknown; seek beyond it"
            );
            return Err(Error::new(ErrorKind::InvalidState, message));
        };
        tracing::warn!(%partition, from = position, to = next, "skipping records that cannot be read");
        self.seek(partition, Start::Offset(next));
        Ok(next)
    }

    /// The partitions that stand before a batch that cannot be read.
    pub(crate) fn damaged_partitions(&self) -> Vec<TopicPartition> {
        let stands = self.damages.iter().filter(|(partition, damage)| self.is_before(partition, damage));
        stands.map(|(partition, _)| partition.clone()).collect()
    }

    fn is_before(&self, partition: &TopicPartition, damage: &Damage) -> bool {
        self.subscription.partition(partition).is_some_and(|assigned| {
            assigned.generation == damage.generation
                && assigned.fetching().is_some_and(|fetching| fetching.position.offset == damage.position)
        })
    }

    /// The partition's data are of no use any more; called with every seek and removal.
    pub(crate) fn seek(&mut self, partition: &TopicPartition, to: Start) -> bool {
        self.damages.remove(partition);
        self.buffer.discard(partition);
        self.forget_acks(partition);
        self.subscription.seek(partition, to)
    }

    /// Drops a partition with all that is buffered of it.
    pub(crate) fn remove(&mut self, partition: &TopicPartition) {
        self.damages.remove(partition);
        self.buffer.discard(partition);
        self.forget_acks(partition);
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
        while let Some(Report { partition, generation, error }) = self.reports.pop_front() {
            // What a seek or a revocation has made pointless is nobody's business any more.
            if let Some(assigned) = self.subscription.current_mut(&partition, generation) {
                assigned.reporting = false;
                let failures = assigned.failures;
                self.put_off(&partition, generation, now, failures, random);
                return Some(error);
            }
        }
        None
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

    /// There is no offset to go on from: looks one up by the policy, or reports that there is none.
    pub(crate) fn without_offset(&mut self, partition: &TopicPartition, generation: Generation, what: &str) {
        match ResetTo::by_policy(self.rules.reset) {
            Some(to) => {
                if self.subscription.current_mut(partition, generation).is_some() {
                    tracing::info!(%partition, reset = ?to, "{what}: resetting the position");
                    self.buffer.discard(partition);
                    self.subscription.reset(partition, to);
                }
            }
            None => {
                let message = format!("{partition}: {what}, and auto.offset.reset is none: seek to go on");
                let error = Error::new(ErrorKind::OffsetOutOfRange, message);
                self.report(partition, generation, error);
            }
        }
    }

    fn forget_acks(&mut self, partition: &TopicPartition) {
        if let Some(acks) = &mut self.acks {
            acks.forget(partition);
        }
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
