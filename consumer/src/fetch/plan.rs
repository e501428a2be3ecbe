//! [`FetchPlan`]: which broker is asked next, for which partitions, and for how much.
//!
//! Rules: one request is under way per broker, so that a slow one delays nobody else's records. A partition is asked for
//! while less of it is buffered than one answer may bring (`max.partition.fetch.bytes`). A broker with an active partition
//! that is full is not asked at all until the application has caught up: a request without that partition could be held
//! by the broker for lack of news while the application empties the buffer. Partitions that are paused don't count.
//!
//! Memory: each broker's share of `queued.max.bytes` bounds what is buffered from it and asked of it. When all that a broker's
//! active partitions have is read, it is asked for at least one partition's worth, however much the paused ones hold: the
//! consumer never stalls on its own buffer. As brokers send one batch whole, however large, an answer may be larger by that.
//!
//! Sources: KIP-74 (limits), KIP-227 (sessions), KIP-392 (preferred replicas), KIP-516 (topic ids).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use ottla_client::{Cluster, NodeId, TopicPartition};
use ottla_protocol::uuid::Uuid;

use super::buffer::Buffer;
use super::session::{FetchSession, SessionRequest, Wanted};
use crate::subscription::{Assigned, Fetching, Subscription};

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
    pub(crate) leaderless: BTreeSet<std::sync::Arc<str>>,
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
    nodes: HashMap<NodeId, NodeState>,
    turn: usize,
}

#[derive(Debug, Default)]
struct NodeState {
    session: FetchSession,
    in_flight: bool,
    not_before: Option<Instant>,
    failures: u32,
}

/// A broker's partitions, summed up.
#[derive(Debug, Default)]
struct Load {
    askable: bool,
    full: bool,
    buffered: usize,
    /// Of partitions that are not paused.
    active: usize,
}

impl FetchPlan {
    pub(crate) fn new(limits: Limits) -> FetchPlan {
        FetchPlan { limits, nodes: HashMap::new(), turn: 0 }
    }

    /// Which brokers to ask now.
    pub(crate) fn outlook(
        &self,
        now: Instant,
        subscription: &Subscription,
        buffer: &Buffer,
        routes: &dyn Routes,
    ) -> Outlook {
        let mut outlook = Outlook::default();
        let mut loads: BTreeMap<NodeId, Load> = BTreeMap::new();
        for (name, assigned) in subscription.iter() {
            let Some(route) = routes.route(name) else {
                if !assigned.held {
                    outlook.leaderless.insert(name.topic.clone());
                }
                continue;
            };
            let Some(fetching) = assigned.fetching() else { continue };
            let load = loads.entry(node_of(fetching, route, now)).or_default();
            let bytes = buffer.bytes_of(name);
            load.buffered += bytes;
            if assigned.paused {
                continue;
            }
            load.active += bytes;
            if assigned.may_ask(now) && !assigned.halted {
                // Where partitions are read apart, a slow reader must not hold up the others.
                load.full |= bytes >= self.limits.partition_max_bytes && !subscription.streamed;
                load.askable |= bytes < self.limits.partition_max_bytes;
            } else if let Some(at) = assigned.not_before.filter(|at| *at > now) {
                outlook.wake_at = earliest(outlook.wake_at, at);
            }
        }
        let share = self.limits.queued_max_bytes / loads.len().max(1);
        for (node, load) in loads {
            if !load.askable || load.full || self.allowance(share, &load).is_none() {
                continue;
            }
            match self.nodes.get(&node) {
                Some(state) if state.in_flight => {}
                Some(NodeState { not_before: Some(at), .. }) if *at > now => {
                    outlook.wake_at = earliest(outlook.wake_at, *at);
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
        &self,
        node: NodeId,
        now: Instant,
        subscription: &Subscription,
        routes: &dyn Routes,
    ) -> bool {
        let of_node = |(name, assigned): (&TopicPartition, &Assigned)| {
            let (route, fetching) = (routes.route(name)?, assigned.fetching()?);
            (node_of(fetching, route, now) == node).then_some(route)
        };
        subscription.iter().filter_map(of_node).all(|route| !route.topic_id.is_zero())
    }

    /// The request to a broker that is ready; `None` if there is nothing to ask for any more.
    pub(crate) fn request(
        &mut self,
        node: NodeId,
        with_ids: bool,
        now: Instant,
        subscription: &Subscription,
        buffer: &Buffer,
        routes: &dyn Routes,
    ) -> Option<PlannedFetch> {
        let mut wanted = Vec::new();
        let mut load = Load::default();
        let mut nodes = HashSet::from([node]);
        for (name, assigned) in subscription.iter() {
            let (Some(route), Some(fetching)) = (routes.route(name), assigned.fetching()) else { continue };
            let at = node_of(fetching, route, now);
            nodes.insert(at);
            if at != node {
                continue;
            }
            let bytes = buffer.bytes_of(name);
            load.buffered += bytes;
            if assigned.paused {
                continue;
            }
            load.active += bytes;
            if assigned.may_ask(now) && !assigned.halted && bytes < self.limits.partition_max_bytes {
                let wants = Wanted {
                    topic_id: route.topic_id,
                    leader_epoch: route.epoch,
                    offset: fetching.fetch_offset,
                    max_bytes: i32::try_from(self.limits.partition_max_bytes).unwrap_or(i32::MAX),
                    generation: assigned.generation,
                };
                wanted.push((name.clone(), wants));
            }
        }
        let share = self.limits.queued_max_bytes / nodes.len();
        let max_bytes = self.allowance(share, &load)?;
        if wanted.is_empty() {
            return None;
        }
        // Without a session the broker fills its answer in the order of the request, so everybody has to be first once.
        self.turn = self.turn.wrapping_add(1);
        let first = self.turn % wanted.len();
        wanted.rotate_left(first);
        let session = self.nodes.entry(node).or_default().session.request(wanted, with_ids);
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
        state.failures = 0;
        state.not_before = (!pause.is_zero()).then(|| now + pause);
    }

    /// The request failed; `backoff` says for how long to wait after so many failures.
    pub(crate) fn fail(&mut self, node: NodeId, now: Instant, backoff: impl FnOnce(u32) -> Duration) {
        let state = self.nodes.entry(node).or_default();
        state.in_flight = false;
        state.session.handle_failure();
        state.not_before = Some(now + backoff(state.failures));
        state.failures = state.failures.saturating_add(1);
    }

    /// Forgets brokers that are gone, but not how long to wait for one that failed: as long as the metadata have it lead, it
    /// is asked again.
    pub(crate) fn retain(&mut self, now: Instant, routes: &dyn Routes) {
        let is_put_off = |state: &NodeState| state.not_before.is_some_and(|at| at > now);
        self.nodes.retain(|node, state| state.in_flight || is_put_off(state) || routes.knows(*node));
    }

    /// How many bytes a broker may be asked for; `None` if it is too little to be worth a request.
    fn allowance(&self, share: usize, load: &Load) -> Option<usize> {
        let Limits { fetch_max_bytes, partition_max_bytes, .. } = self.limits;
        let worth = partition_max_bytes.min(fetch_max_bytes);
        let room = share.saturating_sub(load.buffered);
        if room >= worth.min(share) || load.active == 0 {
            Some(room.max(worth).min(fetch_max_bytes))
        } else {
            None
        }
    }
}

/// The broker to read a partition from.
fn node_of(fetching: &Fetching, route: Route, now: Instant) -> NodeId {
    match fetching.preferred {
        Some(preferred) if preferred.until > now => preferred.node,
        _ => route.leader,
    }
}

fn earliest(one: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(one.map_or(other, |one| one.min(other)))
}

#[cfg(test)]
mod tests;
