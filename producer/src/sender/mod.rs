//! [`Sender`]: decides which batches go into which request, and what answers mean. No socket, task or clock.
//!
//! The driver tells it what happened (`touched`, `leaders`, `answered`, `sealed`, `identified`, `wake`) and asks what to
//! do (`plan`, `seal_jobs`, `wants_identity`, `wants_metadata`, `next_wake`).
//!
//! ```text
//!  PartitionBuffer ──take──▶ Lane (queue ─▶ Sequences) ──plan──▶ request to the leader ──answered──▶ Completion
//! ```
//!
//! Guarantees: batches of a partition are sent in the order in which they were opened, as far as [`Sequences`] can hold
//! it; a request has at most one batch of a partition; every batch taken from a buffer is told exactly once, at the
//! latest when its `delivery.timeout.ms` is over; work is done per event and batch, never per partition that is idle.
//!
//! Sources: KIP-91 (delivery timeout), KIP-98 and KIP-360 (idempotence), KIP-219 (throttling), KIP-580 (backoff).

mod answer;
mod balance;
mod lane;
mod lanes;
mod nodes;
mod outcome;
mod plan;
mod staging;
mod sweep;
mod timers;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_client::{Backoff, Error, ErrorKind, NodeId};
use ottla_protocol::compression::Compressor;

pub(crate) use answer::{Answer, Said};
use lane::Todo;
use lanes::Lanes;
use nodes::Nodes;
pub(crate) use plan::{Item, RequestId};
pub(crate) use staging::SealJob;
use staging::Staging;
use timers::Timers;

use crate::accumulator::Accumulator;
use crate::body::Body;
use crate::sequence::{Identity, Sequences, Ticket};

/// What of the options the sender follows.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) idempotent: bool,
    pub(crate) max_in_flight: usize,
    pub(crate) max_request_size: usize,
    pub(crate) linger: Duration,
    pub(crate) delivery_timeout: Duration,
    pub(crate) retries: u32,
    pub(crate) backoff: Backoff,
    /// Whether records without a key avoid partitions in which batches wait.
    pub(crate) adaptive: bool,
    /// After how long a broker that takes nothing gets no records without a key; zero: never.
    pub(crate) availability: Duration,
    /// After how long a topic without records is forgotten.
    pub(crate) max_idle: Duration,
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Sender {
    rules: Rules,
    accumulator: Arc<Accumulator>,
    compressor: Compressor,
    lanes: Lanes,
    nodes: Nodes,
    timers: Timers,
    /// By the order in which they were sent.
    requests: VecDeque<(RequestId, Outstanding)>,
    next_request: u64,
    identity: Option<Identity>,
    /// Partitions that can't go on without a producer id.
    unidentified: BTreeSet<u32>,
    staging: Staging,
    /// Set when no more records are taken: nothing lingers then.
    hurried: bool,
    metadata_wanted: bool,
    /// Why there is no producer id.
    identity_trouble: Option<Error>,
    fatal: Option<Error>,
}

#[derive(Debug)]
struct Outstanding {
    node: NodeId,
    sent_at: Instant,
    batches: Vec<(u32, Ticket)>,
}

impl Sender {
    pub(crate) fn new(rules: Rules, accumulator: Arc<Accumulator>, compressor: Compressor) -> Self {
        Sender {
            rules,
            accumulator,
            compressor,
            lanes: Lanes::default(),
            nodes: Nodes::default(),
            timers: Timers::default(),
            requests: VecDeque::new(),
            next_request: 0,
            identity: None,
            unidentified: BTreeSet::new(),
            staging: Staging::default(),
            hurried: false,
            metadata_wanted: false,
            identity_trouble: None,
            fatal: None,
        }
    }

    /// Something new is in these partitions' buffers. `leader` is asked for partitions seen for the first time.
    pub(crate) fn touched(
        &mut self,
        indices: &[u32],
        now: Instant,
        leader: impl Fn(&str, i32) -> Option<NodeId>,
    ) {
        self.meet_new_lanes(now, leader);
        for &index in indices {
            if let Some(lane) = self.lanes.find_mut(index) {
                lane.look();
                self.lanes.used(index, now);
                self.consider(index, now);
            }
        }
    }

    /// Leaders may have changed.
    pub(crate) fn leaders(&mut self, now: Instant, leader: impl Fn(&str, i32) -> Option<NodeId>) {
        for index in self.lanes.indices() {
            let Some(lane) = self.lanes.find_mut(index) else { continue };
            let current = leader(&lane.buffer.topic, lane.buffer.partition);
            if lane.leader != current {
                lane.leader = current;
                lane.sequences.unanchor();
                // There is no reason to wait for a broker that has not failed yet.
                lane.retry_at = None;
                let topic = lane.topic;
                self.lanes.balance.changed(topic);
                self.consider(index, now);
            }
        }
    }

    /// Brokers may have left the cluster.
    pub(crate) fn brokers(&mut self, is_known: impl Fn(NodeId) -> bool, now: Instant) {
        self.nodes.forget_gone(is_known, now);
    }

    /// Topics are others of the same name: their logs know nothing of this producer.
    pub(crate) fn recreated(&mut self, is: impl Fn(&str) -> bool) {
        for lane in self.lanes.iter_mut().filter(|lane| is(&lane.buffer.topic)) {
            lane.sequences.unanchor();
        }
    }

    /// A producer id has come.
    pub(crate) fn identified(&mut self, identity: Identity, now: Instant) {
        self.identity = Some(identity);
        self.identity_trouble = None;
        for index in std::mem::take(&mut self.unidentified) {
            self.consider(index, now);
        }
    }

    /// Time has passed.
    pub(crate) fn wake(&mut self, now: Instant) {
        while let Some(index) = self.timers.pop(now) {
            let timeout = self.rules.delivery_timeout;
            let Some(lane) = self.lanes.find_mut(index) else { continue };
            lane.look();
            let expired = lane.expire(now, timeout);
            let trouble = if expired.is_empty() { None } else { self.trouble(index) };
            for batch in expired {
                let error = batch.timeout_error(timeout, trouble.as_ref());
                batch.warn_of(&error);
                batch.fail(error, &self.accumulator.memory);
            }
            self.consider(index, now);
        }
        if self.accumulator.is_closed() {
            // Once for all partitions: what is found later, in one that is new here, does not linger either.
            if !std::mem::replace(&mut self.hurried, true) {
                self.hurry(now);
            }
        } else if self.accumulator.memory.is_short() && (self.is_stuck() || self.timers.may_hurry(now)) {
            self.timers.hurried(now);
            self.hurry(now);
        }
    }

    /// When to call [`Sender::wake`] next.
    pub(crate) fn next_wake(&self, now: Instant) -> Option<Instant> {
        let hurry = self.timers.next_hurry(now).filter(|_| self.accumulator.memory.is_short());
        let slow = self.next_slow(now);
        let throttled = self.nodes.next_unthrottled(now);
        [throttled, self.timers.next(), hurry, slow, self.lanes.next_idle_check()].into_iter().flatten().min()
    }

    /// Topics that have had no records for long, to be forgotten if nobody begins to use them meanwhile.
    pub(crate) fn idle_topics(&mut self, now: Instant) -> Vec<Arc<str>> {
        self.lanes.idle(now, self.rules.max_idle)
    }

    /// Forgets a topic, unless there is something to do for it; true if it is gone.
    pub(crate) fn forget(&mut self, name: &str) -> bool {
        let Sender { lanes, accumulator, .. } = self;
        lanes.forget(name, || accumulator.evict(name))
    }

    /// A broker can't be reached; the records that wait for it will say why they failed, if they do.
    pub(crate) fn unreachable(&mut self, node: NodeId, error: Error) {
        self.metadata_wanted = true;
        self.nodes.unreachable(node, error);
    }

    /// There is no producer id yet. A fatal error is the end.
    pub(crate) fn unidentified(&mut self, error: Error, fatal: bool, now: Instant) {
        if fatal {
            self.abandon(&error, now);
            self.fatal = Some(error);
        } else {
            self.identity_trouble = Some(error);
        }
    }

    /// Why a partition's records have not been tried.
    fn trouble(&self, index: u32) -> Option<Error> {
        let lane = &self.lanes[index];
        match lane.leader {
            Some(leader) => self.nodes.trouble(leader).or(self.identity_trouble.as_ref()).cloned(),
            None => {
                let doing = format!("no leader of {}-{} is known", lane.buffer.topic, lane.buffer.partition);
                Some(Error::from_code(ottla_protocol::error_code::ErrorCode::LEADER_NOT_AVAILABLE, doing))
            }
        }
    }

    /// Records to compress elsewhere; they have to come back by [`Sender::sealed`].
    pub(crate) fn seal_jobs(&mut self) -> Vec<SealJob> {
        self.staging.take()
    }

    /// Whether a producer id is needed. One that [`Sender::identified`] brought already is used up.
    pub(crate) fn wants_identity(&self) -> bool {
        !self.unidentified.is_empty() && self.fatal.is_none()
    }

    /// Whether metadata should be refreshed; asks once.
    pub(crate) fn wants_metadata(&mut self) -> bool {
        std::mem::take(&mut self.metadata_wanted)
    }

    /// The error after which nothing can be sent any more.
    pub(crate) fn fatal(&self) -> Option<&Error> {
        self.fatal.as_ref()
    }

    /// Records were compressed, or could not be.
    pub(crate) fn sealed(&mut self, index: u32, job: u64, body: Result<Body, Error>, now: Instant) {
        self.staging.over();
        let Some(lane) = self.lanes.find_mut(index) else { return };
        if let Some((batch, cause)) = lane.sealed(job, body, self.rules.max_request_size) {
            let message = format!("cannot compress a batch for {}", batch.completion.partition());
            let error = Error::new(ErrorKind::Encode, message).with_cause(cause);
            batch.warn_of(&error);
            batch.fail(error, &self.accumulator.memory);
        }
        self.consider(index, now);
    }

    /// Decides what there is to do for a partition, and makes sure that it is done.
    fn consider(&mut self, index: u32, now: Instant) {
        let linger = if self.hurried { Duration::ZERO } else { self.rules.linger };
        self.consider_with(index, now, linger);
    }

    fn consider_with(&mut self, index: u32, now: Instant, linger: Duration) {
        let Some(lane) = self.lanes.find_mut(index) else { return };
        let epoch = lane.sequences.upcoming().producer_epoch;
        lane.settle();
        let raised = lane.sequences.upcoming().producer_epoch;
        if raised != epoch {
            self.accumulator.memory.meter.epoch_raised();
            let (topic, partition) = (&lane.buffer.topic, lane.buffer.partition);
            tracing::info!(%topic, partition, epoch = raised, "raised a partition's epoch to number its batches anew");
        }
        lane.doubt(now);
        if self.compressor.codec() != ottla_protocol::compression::Compression::None {
            while lane.stage(now, linger, &mut self.staging) {}
        }
        let mut todo = lane.todo(now, linger);
        if todo == Todo::Identify && self.identity.is_some_and(|identity| lane.identify(identity)) {
            todo = lane.todo(now, linger);
        }
        match todo {
            Todo::Identify => {
                self.unidentified.insert(index);
            }
            Todo::Send => match lane.leader {
                Some(leader) if lane.listed != Some(leader) => {
                    lane.listed = Some(leader);
                    self.nodes.enlist(leader, index, now);
                }
                Some(_) => {}
                None => {
                    self.metadata_wanted = true;
                    let pause = self.rules.backoff.next(u32::MAX, 0.5);
                    self.timers.want(index, now + pause.max(Duration::from_millis(1)));
                }
            },
            Todo::Later(at) => self.timers.want(index, at),
            Todo::Nothing => {}
        }
        if let Some(opened) = lane.oldest() {
            self.timers.want(index, opened + self.rules.delivery_timeout);
        }
        self.lanes.note(index);
    }

    /// Whether nothing is under way that would free memory.
    fn is_stuck(&self) -> bool {
        self.requests.is_empty() && self.staging.is_idle() && self.nodes.nothing_waits()
    }

    fn meet_new_lanes(&mut self, now: Instant, leader: impl Fn(&str, i32) -> Option<NodeId>) {
        for buffer in self.accumulator.take_unmet() {
            let leader = leader(&buffer.topic, buffer.partition);
            let (idempotent, window) = (self.rules.idempotent, self.rules.max_in_flight);
            self.lanes.meet(buffer, leader, now, |kept| match kept {
                Some(kept) => Sequences::restored(window, kept),
                None => Sequences::new(idempotent, window),
            });
        }
    }
}

#[cfg(test)]
mod tests;
