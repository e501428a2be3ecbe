//! [`Rows`]: what the plan knows of each partition, and the sums per broker that follow from it.
//!
//! Guarantee: the sums are those of the rows, whichever row was set in whichever order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use ottla_client::{NodeId, TopicPartition};

use super::{Limits, Route, Routes};
use crate::fetch::session::Wanted;
use crate::subscription::{Assigned, Fetching};

/// How much a partition may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Portion {
    /// All that is buffered of it and asked for.
    pub(super) part: usize,
    /// With so much buffered, it is full.
    pub(super) depth: usize,
    /// What one answer may bring.
    pub(super) answer: usize,
}

impl Portion {
    /// That of a partition which others wait for: two answers may be there, so that one is read while the next comes.
    pub(super) fn shared(limits: Limits) -> Portion {
        let answer = limits.partition_max_bytes;
        Portion { part: limits.queued_max_bytes, depth: answer.saturating_mul(2), answer }
    }

    /// That of one of so many which are read at a pace of their own: an equal part of the bound.
    pub(super) fn apart(limits: Limits, partitions: usize) -> Portion {
        let Portion { depth, answer, .. } = Portion::shared(limits);
        let part = limits.queued_max_bytes / partitions.max(1);
        let answer = answer.min(part / 2).max(1);
        Portion { part, depth: depth.min(part.saturating_sub(answer) + 1), answer }
    }
}

/// What the plan knows of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// The broker to read it from, once both that and the position are known.
    node: Option<NodeId>,
    has_id: bool,
    is_leaderless: bool,
    is_paused: bool,
    bytes: usize,
    is_full: bool,
    /// What to ask for, if it may be asked for.
    wants: Option<Wanted>,
    /// When to look again.
    wake_at: Option<Instant>,
}

impl Row {
    pub(super) fn of(
        name: &TopicPartition,
        assigned: &Assigned,
        bytes: usize,
        portion: Portion,
        now: Instant,
        routes: &dyn Routes,
    ) -> Row {
        let fetching = assigned.fetching();
        let base = Row { bytes, is_paused: assigned.paused, ..Row::default() };
        let Some(route) = routes.route(name) else { return Row { is_leaderless: !assigned.held, ..base } };
        let Some(fetching) = fetching else { return base };
        let lease = fetching.preferred.map(|replica| replica.until).filter(|until| *until > now);
        let base = Row {
            node: Some(node_of(fetching, route, now)),
            has_id: !route.topic_id.is_zero(),
            wake_at: lease,
            ..base
        };
        if assigned.paused {
            return base;
        }
        if !assigned.may_ask(now) || assigned.halted {
            let later = assigned.not_before.filter(|at| *at > now);
            return Row { wake_at: lease.into_iter().chain(later).min(), ..base };
        }
        let wants = Wanted {
            topic_id: route.topic_id,
            leader_epoch: route.epoch,
            offset: fetching.fetch_offset,
            max_bytes: i32::try_from(portion.answer).unwrap_or(i32::MAX),
            generation: assigned.generation,
        };
        let is_full = bytes >= portion.depth;
        Row { is_full, wants: (!is_full).then_some(wants), ..base }
    }

    /// Whether it may be asked for, and has nothing to read.
    fn is_empty(&self) -> bool {
        self.bytes == 0 && self.wants.is_some()
    }
}

/// All partitions, and each broker's summed up.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: HashMap<TopicPartition, Row>,
    /// A broker that has no partition any more stays, as its session may have to be told.
    pub(super) loads: BTreeMap<NodeId, Load>,
    pub(super) wakes: BTreeSet<(Instant, TopicPartition)>,
    /// Topics with partitions that have no leader, and how many.
    pub(super) leaderless: BTreeMap<Arc<str>, usize>,
    /// Bytes of all partitions.
    pub(super) buffered: usize,
}

/// A broker's partitions, summed up.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub(super) partitions: usize,
    /// What it can be asked for.
    pub(super) askable: BTreeSet<TopicPartition>,
    /// What may be asked for differently, or not any more, since the last request.
    pub(super) changed: BTreeSet<TopicPartition>,
    pub(super) full: usize,
    pub(super) buffered: usize,
    /// Bytes of partitions that are not paused.
    pub(super) active: usize,
    /// Askable partitions of which nothing is buffered.
    pub(super) empty: usize,
    /// Partitions of topics without an id.
    pub(super) without_id: usize,
}

impl Rows {
    pub(super) fn set(&mut self, name: &TopicPartition, new: Option<Row>) {
        let old = self.rows.get(name).copied();
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.take_out(name, &old);
        }
        match new {
            Some(new) => {
                self.put_in(name, &new);
                self.rows.insert(name.clone(), new);
            }
            None => {
                self.rows.remove(name);
            }
        }
    }

    fn put_in(&mut self, name: &TopicPartition, row: &Row) {
        self.buffered += row.bytes;
        if row.is_leaderless {
            *self.leaderless.entry(Arc::clone(&name.topic)).or_default() += 1;
        }
        if let Some(at) = row.wake_at {
            self.wakes.insert((at, name.clone()));
        }
        let Some(node) = row.node else { return };
        let load = self.loads.entry(node).or_default();
        load.partitions += 1;
        load.buffered += row.bytes;
        load.active += if row.is_paused { 0 } else { row.bytes };
        load.full += usize::from(row.is_full);
        load.without_id += usize::from(!row.has_id);
        load.empty += usize::from(row.is_empty());
        if row.wants.is_some() {
            load.askable.insert(name.clone());
            load.changed.insert(name.clone());
        }
    }

    fn take_out(&mut self, name: &TopicPartition, row: &Row) {
        self.buffered -= row.bytes;
        if row.is_leaderless
            && let Some(count) = self.leaderless.get_mut(&name.topic)
        {
            *count -= 1;
            if *count == 0 {
                self.leaderless.remove(&name.topic);
            }
        }
        if let Some(at) = row.wake_at {
            self.wakes.remove(&(at, name.clone()));
        }
        let Some(node) = row.node else { return };
        let Some(load) = self.loads.get_mut(&node) else { return };
        load.partitions -= 1;
        load.buffered -= row.bytes;
        load.active -= if row.is_paused { 0 } else { row.bytes };
        load.full -= usize::from(row.is_full);
        load.without_id -= usize::from(!row.has_id);
        load.empty -= usize::from(row.is_empty());
        if row.wants.is_some() {
            load.askable.remove(name);
            load.changed.insert(name.clone());
        }
    }

    pub(super) fn retain(&mut self, stays: impl Fn(&TopicPartition) -> bool) {
        let gone: Vec<TopicPartition> = self.rows.keys().filter(|name| !stays(name)).cloned().collect();
        gone.iter().for_each(|name| self.set(name, None));
    }

    /// Partitions whose time has come.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<TopicPartition> {
        let due = self.wakes.iter().take_while(|(at, _)| *at <= now);
        due.map(|(_, name)| name.clone()).collect()
    }

    /// All that a broker can be asked for.
    pub(super) fn wanted(&self, node: NodeId) -> Vec<(TopicPartition, Wanted)> {
        let names = self.loads.get(&node).into_iter().flat_map(|load| &load.askable);
        names.filter_map(|name| Some((name.clone(), self.wants(node, name)?))).collect()
    }

    /// What it can be asked for differently, or not any more.
    pub(super) fn changes(&self, node: NodeId) -> Vec<(TopicPartition, Option<Wanted>)> {
        let names = self.loads.get(&node).into_iter().flat_map(|load| &load.changed);
        names.map(|name| (name.clone(), self.wants(node, name))).collect()
    }

    fn wants(&self, node: NodeId, name: &TopicPartition) -> Option<Wanted> {
        self.rows.get(name).filter(|row| row.node == Some(node))?.wants
    }
}

/// The broker to read a partition from.
fn node_of(fetching: &Fetching, route: Route, now: Instant) -> NodeId {
    match fetching.preferred {
        Some(preferred) if preferred.until > now => preferred.node,
        _ => route.leader,
    }
}
