//! [`FetchPlan`]: which broker is asked next, for which partitions, and for how much.
//!
//! Rules: one request is under way per broker, so that a slow one delays nobody else's records. A partition is asked for
//! while less of it is buffered than two answers may bring (`max.partition.fetch.bytes`): one is read while the next is on
//! its way. A broker with an active partition that is full is not asked at all until the application has caught up: a request
//! without that partition could be held by the broker for lack of news while the application empties the buffer. Partitions
//! that are paused don't count.
//!
//! Memory: what is held and what is asked for stays within `queued.max.bytes`, paused partitions included; [`budget`] says
//! how much that leaves for each broker. What counts is what memory holds: an answer, until all of it is read. Each broker
//! has an equal share, so that one that doesn't answer takes nothing from the others, and is asked for half of that at
//! once, so that one answer is read while the next comes. When all that a broker's active partitions have is read, it is
//! asked for one partition's worth even beyond its share, as long as what is unread leaves that much of the bound; what
//! keeps whole answers alive is copied out of them then. As brokers send one batch whole, however large, an answer may be
//! larger by that.
//!
//! Partitions that are read apart, each by a task of its own, have equal parts of the bound instead: one whose reader is slow
//! takes nothing from the others, on whichever brokers they are.
//!
//! Cost: a request costs what has changed since the one before, however many partitions there are. [`Subscription`] and
//! [`Buffer`] note which partitions they changed; only those are looked at again, and the sums per broker follow. New metadata
//! are a reason to look at all.
//!
//! Sources: KIP-74 (limits), KIP-227 (sessions), KIP-392 (preferred replicas), KIP-516 (topic ids).

mod budget;
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_client::{Cluster, NodeId, TopicPartition};
use ottla_protocol::uuid::Uuid;

use super::buffer::Buffer;
use super::session::{FetchSession, SessionRequest, Told};
use crate::subscription::{Assigned, Subscription};
use budget::{Asking, Budget, Claim, Terms};
use rows::{Load, Portion, Row, Rows};

/// Where a partition can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) leader: NodeId,
    pub(crate) epoch: i32,
    pub(crate) topic_id: Uuid,
}

/// What the plan asks of the metadata.
pub(crate) trait Routes {
    /// The partition's leader, if it has one and is known.
    fn route(&self, partition: &TopicPartition) -> Option<Route>;

    /// Whether the broker is known.
    fn knows(&self, node: NodeId) -> bool;
}

impl Routes for Cluster {
    fn route(&self, partition: &TopicPartition) -> Option<Route> {
        let topic = self.topic(&partition.topic)?;
        let index = topic.partition(partition.partition)?;
        Some(Route { leader: index.leader?, epoch: index.leader_epoch, topic_id: topic.id })
    }

    fn knows(&self, node: NodeId) -> bool {
        self.node(node).is_some()
    }
}

/// The limits that the options set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) fetch_max_bytes: usize,
    pub(crate) partition_max_bytes: usize,
    pub(crate) queued_max_bytes: usize,
}

/// What is to be done now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outlook {
    /// Brokers to send a request to.
    pub(crate) ready: Vec<NodeId>,
    /// When to look again, if nothing happens before.
    pub(crate) wake_at: Option<Instant>,
    /// Topics of which a partition has no known leader.
    pub(crate) leaderless: BTreeSet<Arc<str>>,
}

/// A request to a broker, but for what concerns all requests.
#[derive(Debug, PartialEq)]
pub(crate) struct PlannedFetch {
    pub(crate) session: SessionRequest,
    pub(crate) max_bytes: usize,
}

/// Which broker is being asked, and what each remembers.
#[derive(Debug)]
pub(crate) struct FetchPlan {
    limits: Limits,
    nodes: BTreeMap<NodeId, NodeState>,
    rows: Rows,
    stale: Stale,
    /// The metadata by which the rows were made.
    cluster: Option<Arc<Cluster>>,
    /// How much each partition may have, by which the rows were made.
    portion: Portion,
    /// Counts requests.
    requests: u64,
}

#[derive(Debug, Default)]
struct NodeState {
    session: FetchSession,
    in_flight: bool,
    /// What the request under way may bring.
    reserved: usize,
    not_before: Option<Instant>,
    failures: u32,
    /// The number of the last request.
    asked: u64,
    /// Which partition is first in a request without a session.
    turn: usize,
}

/// Partitions to be looked at again.
#[derive(Debug, Default)]
struct Stale {
    all: bool,
    partitions: BTreeSet<TopicPartition>,
}

impl FetchPlan {
    pub(crate) fn new(limits: Limits) -> FetchPlan {
        FetchPlan {
            limits,
            nodes: BTreeMap::new(),
            rows: Rows::default(),
            stale: Stale::default(),
            cluster: None,
            portion: Portion::shared(limits),
            requests: 0,
        }
    }

    /// Says by which metadata the plan is made from here on.
    pub(crate) fn observe(&mut self, cluster: &Arc<Cluster>) {
        // Held on to, or another could come to lie where this one lay.
        if !self.cluster.as_ref().is_some_and(|known| Arc::ptr_eq(known, cluster)) {
            self.cluster = Some(Arc::clone(cluster));
            self.reroute();
        }
    }

    /// Every partition may be led by another broker now.
    pub(crate) fn reroute(&mut self) {
        self.stale.all = true;
    }

    /// Takes note of what was changed, and gives partitions that need not rest any more their turn.
    pub(crate) fn sync(&mut self, subscription: &mut Subscription, buffer: &mut Buffer) {
        let (all, touched) = subscription.take_touched();
        if all {
            self.stale.all = true;
            for (name, assigned) in subscription.iter() {
                if assigned.may_deliver() {
                    buffer.wake(name);
                }
            }
        }
        for name in touched {
            if subscription.partition(&name).is_some_and(Assigned::may_deliver) {
                buffer.wake(&name);
            }
            self.stale.partitions.insert(name);
        }
        self.stale.partitions.extend(buffer.take_touched());
    }

    /// Which brokers to ask now.
    pub(crate) fn outlook(
        &mut self,
        now: Instant,
        subscription: &mut Subscription,
        buffer: &mut Buffer,
        routes: &dyn Routes,
    ) -> Outlook {
        self.refresh(now, subscription, buffer, routes);
        let mut outlook = Outlook {
            ready: Vec::new(),
            wake_at: self.rows.wakes.first().map(|(at, _)| *at),
            leaderless: self.rows.leaderless.keys().cloned().collect(),
        };
        let budget = self.budget(now, subscription.streamed, buffer);
        for (&node, load) in &self.rows.loads {
            // Where partitions are read apart, a slow reader must not hold up the others.
            let is_full = load.full > 0 && !subscription.streamed;
            if load.askable.is_empty() || is_full || budget.allowance(node).is_none() {
                continue;
            }
            match self.nodes.get(&node) {
                Some(state) if state.in_flight => {}
                Some(NodeState { not_before: Some(at), .. }) if *at > now => {
                    outlook.wake_at = Some(outlook.wake_at.map_or(*at, |other| other.min(*at)));
                }
                _ => outlook.ready.push(node),
            }
        }
        outlook
    }

    /// A request to this broker is under way from now on, although it may still have to be connected to.
    pub(crate) fn begin(&mut self, node: NodeId) {
        self.nodes.entry(node).or_default().in_flight = true;
    }

    /// Whether every topic that the broker would be asked for has an id.
    pub(crate) fn has_ids(
        &mut self,
        node: NodeId,
        now: Instant,
        subscription: &mut Subscription,
        buffer: &mut Buffer,
        routes: &dyn Routes,
    ) -> bool {
        self.refresh(now, subscription, buffer, routes);
        self.rows.loads.get(&node).is_none_or(|load| load.without_id == 0)
    }

    /// The request to a broker that is ready; `None` if there is nothing to ask for any more.
    pub(crate) fn request(
        &mut self,
        node: NodeId,
        with_ids: bool,
        now: Instant,
        subscription: &mut Subscription,
        buffer: &mut Buffer,
        routes: &dyn Routes,
    ) -> Option<PlannedFetch> {
        self.refresh(now, subscription, buffer, routes);
        let max_bytes = self.budget(now, subscription.streamed, buffer).allowance(node)?;
        self.requests += 1;
        let state = self.nodes.entry(node).or_default();
        let session = if state.session.goes_on(with_ids) {
            state.session.request_changes(self.rows.changes(node))
        } else {
            let mut wanted = self.rows.wanted(node);
            // Without a session the broker fills its answer in the order of the request, so everybody has to be first
            // once.
            state.turn = state.turn.wrapping_add(1);
            let first = state.turn % wanted.len().max(1);
            wanted.rotate_left(first);
            state.session.request(wanted, with_ids)
        };
        state.reserved = max_bytes;
        state.asked = self.requests;
        for Told { partition, generation, end } in &session.told {
            let assigned = subscription.current_mut(partition, *generation);
            if let Some(fetching) = assigned.and_then(Assigned::fetching_mut) {
                fetching.end_offset.get_or_insert(*end);
            }
        }
        if let Some(load) = self.rows.loads.get_mut(&node) {
            load.changed.clear();
        }
        Some(PlannedFetch { session, max_bytes })
    }

    /// The session with a broker, to read its answer.
    pub(crate) fn session_mut(&mut self, node: NodeId) -> &mut FetchSession {
        &mut self.nodes.entry(node).or_default().session
    }

    /// The request is over: answered, or there was nothing to ask for. `pause` is how long the broker wants to be left
    /// alone.
    pub(crate) fn finish(&mut self, node: NodeId, now: Instant, pause: Duration) {
        let state = self.nodes.entry(node).or_default();
        state.in_flight = false;
        state.reserved = 0;
        state.failures = 0;
        state.not_before = (!pause.is_zero()).then(|| now + pause);
    }

    /// The request failed; `backoff` says for how long to wait after so many failures.
    pub(crate) fn fail(&mut self, node: NodeId, now: Instant, backoff: impl FnOnce(u32) -> Duration) {
        let state = self.nodes.entry(node).or_default();
        state.in_flight = false;
        state.reserved = 0;
        state.session.handle_failure();
        state.not_before = Some(now + backoff(state.failures));
        state.failures = state.failures.saturating_add(1);
    }

    /// What closes the sessions that brokers keep; nothing is asked in them any more.
    pub(crate) fn close_sessions(&mut self) -> Vec<(NodeId, SessionRequest)> {
        let nodes = self.nodes.iter_mut();
        nodes.filter_map(|(node, state)| Some((*node, state.session.close()?))).collect()
    }

    /// Forgets brokers that are gone, but not how long to wait for one that failed: as long as the metadata have it lead, it
    /// is asked again.
    pub(crate) fn retain(&mut self, now: Instant, routes: &dyn Routes) {
        let is_put_off = |state: &NodeState| state.not_before.is_some_and(|at| at > now);
        self.nodes.retain(|node, state| state.in_flight || is_put_off(state) || routes.knows(*node));
    }

    /// Looks again at what has changed, or may have by the time.
    fn refresh(
        &mut self,
        now: Instant,
        subscription: &mut Subscription,
        buffer: &mut Buffer,
        routes: &dyn Routes,
    ) {
        self.sync(subscription, buffer);
        let portion = match subscription.streamed {
            true => Portion::apart(self.limits, subscription.count()),
            false => Portion::shared(self.limits),
        };
        self.stale.all |= portion != self.portion;
        self.portion = portion;
        let Stale { all, partitions } = std::mem::take(&mut self.stale);
        let row = |name: &TopicPartition, assigned: &Assigned| {
            Row::of(name, assigned, buffer.bytes_of(name), portion, now, routes)
        };
        if all {
            self.rows.retain(|name| subscription.partition(name).is_some());
            for (name, assigned) in subscription.iter() {
                self.rows.set(name, Some(row(name, assigned)));
            }
            return;
        }
        let due = self.rows.take_due(now);
        for name in partitions.iter().chain(&due) {
            self.rows.set(name, subscription.partition(name).map(|assigned| row(name, assigned)));
        }
    }

    /// What brokers may be asked for. Where one has run dry and answers of which little is unread leave nothing for it, what
    /// is unread is copied out of them first, and then counts alone.
    fn budget(&self, now: Instant, streamed: bool, buffer: &mut Buffer) -> Budget {
        let budget = self.budget_with(now, streamed, buffer, buffer.frames.total());
        if !budget.is_short() {
            return budget;
        }
        buffer.compact(budget.ample());
        let unread = buffer.frames.total().min(self.rows.buffered);
        self.budget_with(now, streamed, buffer, unread)
    }

    fn budget_with(&self, now: Instant, streamed: bool, buffer: &Buffer, held: usize) -> Budget {
        let Limits { fetch_max_bytes, queued_max_bytes: bound, .. } = self.limits;
        let Portion { part, answer, .. } = self.portion;
        let loads = || self.rows.loads.iter().filter(|(_, load)| load.partitions > 0);
        let share = (bound / loads().count().max(1)).max(1);
        let worth = answer.min(fetch_max_bytes);
        let worth = if streamed { worth } else { worth.min(share) };
        let claim = |(&node, load): (&NodeId, &Load)| {
            let state = self.nodes.get(&node);
            let (share, held) = match streamed {
                true => (part.saturating_mul(load.partitions), load.buffered),
                false => (share, buffer.frames.of(node)),
            };
            let claim = Claim {
                share,
                held,
                askable: load.askable.len(),
                is_dry: if streamed { load.empty > 0 } else { load.active == 0 },
                asking: state.map_or(Asking::Idle, |state| state.asking(now)),
                has_failed: state.is_some_and(|state| state.failures > 0),
                asked: state.map_or(0, |state| state.asked),
            };
            (node, claim)
        };
        let most = if streamed { usize::MAX } else { share / 2 };
        let terms = Terms { bound, request: fetch_max_bytes.min(most).max(worth), answer, worth };
        Budget::new(terms, held, loads().map(claim).collect())
    }
}

impl NodeState {
    fn asking(&self, now: Instant) -> Asking {
        match (self.in_flight, self.reserved) {
            (true, 0) => Asking::Begun,
            (true, bytes) => Asking::For(bytes),
            (false, _) if self.not_before.is_some_and(|at| at > now) => Asking::PutOff,
            (false, _) => Asking::Idle,
        }
    }
}

#[cfg(test)]
mod tests;
