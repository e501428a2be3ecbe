//! [`Nodes`]: what waits for which broker, and whether it may be sent.
//!
//! Brokers for which nothing waits cost nothing, however many there are.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use ottla_client::{Error, NodeId};

use crate::nodes::NodeSet;

/// All brokers that there was something for.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    by_id: BTreeMap<NodeId, Node>,
    /// Those in whose lists partitions stand.
    waited_for: NodeSet,
}

/// A broker and the partitions that have something for it.
#[derive(Debug, Default)]
struct Node {
    /// Partitions; those that have moved to another broker meanwhile are passed over.
    ready: VecDeque<u32>,
    in_flight: usize,
    throttled_until: Option<Instant>,
    /// Since when it takes nothing although something is there for it.
    waiting_since: Option<Instant>,
    /// Why the broker can't be reached.
    trouble: Option<Error>,
}

impl Nodes {
    /// A partition has something for this broker.
    pub(super) fn enlist(&mut self, id: NodeId, index: u32, now: Instant) {
        let node = self.by_id.entry(id).or_default();
        if node.ready.is_empty() {
            node.waiting_since = Some(now);
            self.waited_for.insert(id);
        }
        node.ready.push_back(index);
    }

    /// Puts back what [`Nodes::pop`] gave out.
    pub(super) fn put_back(&mut self, id: NodeId, index: u32) {
        self.by_id.entry(id).or_default().ready.push_front(index);
        self.waited_for.insert(id);
    }

    /// The next partition that waits for this broker.
    pub(super) fn pop(&mut self, id: NodeId) -> Option<u32> {
        let ready = &mut self.by_id.get_mut(&id)?.ready;
        let index = ready.pop_front();
        if ready.is_empty() {
            self.waited_for.remove(id);
        }
        index
    }

    /// Forgets partitions at the head of a broker's list that do not wait for it any more.
    pub(super) fn pass_over(&mut self, id: NodeId, waits: impl Fn(u32) -> bool) {
        let Some(Node { ready, .. }) = self.by_id.get_mut(&id) else { return };
        while ready.front().is_some_and(|index| !waits(*index)) {
            ready.pop_front();
        }
        if ready.is_empty() {
            self.waited_for.remove(id);
        }
    }

    /// How many partitions stand in this broker's list, if it may be sent something now.
    pub(super) fn listed(&self, id: NodeId, max_in_flight: usize, now: Instant) -> usize {
        let node = self.by_id.get(&id).filter(|node| {
            node.in_flight < max_in_flight && node.throttled_until.is_none_or(|until| until <= now)
        });
        node.map_or(0, |node| node.ready.len())
    }

    /// The first broker behind `after` for which something waits.
    pub(super) fn next_waited_for(&self, after: Option<NodeId>) -> Option<NodeId> {
        self.waited_for.next_after(after)
    }

    /// Whether nothing waits for any broker.
    pub(super) fn nothing_waits(&self) -> bool {
        self.waited_for.is_empty()
    }

    /// A request goes to this broker.
    pub(super) fn sent(&mut self, id: NodeId, now: Instant) {
        let node = self.by_id.entry(id).or_default();
        node.in_flight += 1;
        node.trouble = None;
        node.waiting_since = Some(now);
    }

    /// A request to this broker is over; it wants to be left alone for so long.
    pub(super) fn answered(&mut self, id: NodeId, throttle: Duration, now: Instant) {
        if let Some(node) = self.by_id.get_mut(&id) {
            node.in_flight -= 1;
            if !throttle.is_zero() {
                node.throttled_until = node.throttled_until.max(Some(now + throttle));
            }
        }
    }

    /// When the next broker may be sent what waits for it.
    pub(super) fn next_unthrottled(&self, now: Instant) -> Option<Instant> {
        self.waiting().filter_map(|(_, node)| node.throttled_until).filter(|until| *until > now).min()
    }

    /// Brokers that have taken nothing for so long although something waits.
    pub(super) fn slow(&self, availability: Duration, now: Instant) -> impl Iterator<Item = NodeId> + '_ {
        let is_slow = move |node: &Node| node.waiting_since.is_some_and(|since| now >= since + availability);
        self.waiting().filter(move |(_, node)| is_slow(node)).map(|(id, _)| id)
    }

    /// When the next broker will be slow, if it takes nothing until then.
    pub(super) fn next_slow(&self, availability: Duration, now: Instant) -> Option<Instant> {
        let due = self.waiting().filter_map(|(_, node)| Some(node.waiting_since? + availability));
        due.filter(|due| *due > now).min()
    }

    /// This broker can't be reached.
    pub(super) fn unreachable(&mut self, id: NodeId, error: Error) {
        self.by_id.entry(id).or_default().trouble = Some(error);
    }

    /// Why the broker can't be reached, if it can't.
    pub(super) fn trouble(&self, id: NodeId) -> Option<&Error> {
        self.by_id.get(&id)?.trouble.as_ref()
    }

    /// Forgets brokers that left the cluster, as far as nothing is under way to them, and none may come back too soon.
    pub(super) fn forget_gone(&mut self, is_known: impl Fn(NodeId) -> bool, now: Instant) {
        let is_throttled = |node: &Node| node.throttled_until.is_some_and(|until| until > now);
        self.by_id.retain(|id, node| {
            is_known(*id) || node.in_flight > 0 || !node.ready.is_empty() || is_throttled(node)
        });
    }

    /// Of how many brokers something is known.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    fn waiting(&self) -> impl Iterator<Item = (NodeId, &Node)> + '_ {
        self.waited_for.iter().filter_map(|id| Some((id, self.by_id.get(&id)?)))
    }
}
