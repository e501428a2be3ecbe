//! A partition: its log, who has copies, who leads.
//!
//! There is one log, the truth that all replicas share; a replica is a number, the offset up to which it has copied.
//! A leader that is lost takes with it what no other replica in sync has.
//!
//! Sources: KIP-101 (leader epochs), KIP-497 (in-sync replicas), `Partition` of Kafka 4.3 (no high watermark moves while
//! fewer replicas than `min.insync.replicas` are in sync).

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::log::PartitionLog;

/// A partition.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) log: PartitionLog,
    /// In order of preference.
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
    /// -1 while there is none.
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) min_isr: usize,
    /// What each replica but the leader has.
    pub(crate) ends: BTreeMap<i32, i64>,
    /// When followers will have copied up to which offset.
    copying: VecDeque<(Instant, i64)>,
    /// Followers that copy nothing for now.
    pub(crate) held: Vec<i32>,
    /// Replicas that are being added by a reassignment.
    pub(crate) adding: Vec<i32>,
    /// Replicas that go when the reassignment is done.
    pub(crate) removing: Vec<i32>,
}

impl Partition {
    /// An empty partition on these brokers; those that are live are in sync, and the first of them leads.
    pub(crate) fn new(
        mut log: PartitionLog,
        replicas: Vec<i32>,
        min_isr: usize,
        live: impl Fn(i32) -> bool,
    ) -> Partition {
        let isr: Vec<i32> = replicas.iter().copied().filter(|&id| live(id)).collect();
        let leader = isr.first().copied().unwrap_or(-1);
        let isr = if isr.is_empty() { replicas.iter().copied().take(1).collect() } else { isr };
        log.start_epoch(0);
        let ends = replicas.iter().map(|&id| (id, 0)).collect();
        Partition {
            log,
            replicas,
            isr,
            leader,
            leader_epoch: 0,
            min_isr,
            ends,
            copying: VecDeque::new(),
            held: Vec::new(),
            adding: Vec::new(),
            removing: Vec::new(),
        }
    }

    /// Whether as many replicas are in sync as `acks=all` asks for.
    pub(crate) fn has_min_isr(&self) -> bool {
        self.isr.len() >= self.min_isr.min(self.replicas.len())
    }

    /// Notes that the leader's log has grown, and when followers will have the rest.
    pub(crate) fn appended(&mut self, copied_at: Option<Instant>) {
        match copied_at {
            Some(at) => self.copying.push_back((at, self.log.end_offset())),
            None => self.copied_to(self.log.end_offset()),
        }
    }

    /// Followers have copied what was due; says whether the high watermark moved.
    pub(crate) fn replicate(&mut self, now: Instant) -> bool {
        let mut copied = None;
        while self.copying.front().is_some_and(|(at, _)| *at <= now) {
            copied = self.copying.pop_front();
        }
        let before = self.log.high_watermark();
        if let Some((_, offset)) = copied {
            self.copied_to(offset.min(self.log.end_offset()));
        }
        self.log.high_watermark() != before
    }

    /// A replica is back and has copied everything.
    pub(crate) fn joined(&mut self, broker: i32) {
        if !self.replicas.contains(&broker) || self.isr.contains(&broker) {
            return;
        }
        self.ends.insert(broker, self.log.end_offset());
        self.isr =
            self.replicas.iter().copied().filter(|id| *id == broker || self.isr.contains(id)).collect();
        self.raise_high_watermark();
    }

    /// A replica is gone; the last one in sync stays so, as nobody else may lead.
    pub(crate) fn left(&mut self, broker: i32) {
        if self.isr.len() > 1 {
            self.isr.retain(|id| *id != broker);
        }
        self.raise_high_watermark();
    }

    /// Makes `leader` the leader of a new epoch. What it doesn't have is lost to all.
    pub(crate) fn lead(&mut self, leader: i32) {
        let had = if self.leader == leader { self.log.end_offset() } else { self.end_of(leader) };
        if had < self.log.end_offset() {
            self.log.truncate(had);
            self.copying.clear();
        }
        let end = self.log.end_offset();
        self.ends.values_mut().for_each(|offset| *offset = (*offset).min(end));
        if !self.isr.contains(&leader) {
            self.isr = vec![leader];
        }
        self.leader = leader;
        self.leader_epoch += 1;
        self.log.start_epoch(self.leader_epoch);
        self.raise_high_watermark();
    }

    /// Nobody leads; the epoch counts up, as with any change of leader.
    pub(crate) fn orphan(&mut self) {
        if self.leader >= 0 {
            // What only the lost leader has will be there again when it is.
            self.ends.insert(self.leader, self.log.end_offset());
            self.copying.clear();
            self.leader = -1;
            self.leader_epoch += 1;
        }
    }

    /// The offset up to which a replica has the log.
    pub(crate) fn end_of(&self, broker: i32) -> i64 {
        if broker == self.leader {
            return self.log.end_offset();
        }
        self.ends.get(&broker).copied().unwrap_or_else(|| self.log.start_offset())
    }

    /// Whether replicas are coming or going.
    pub(crate) fn is_moving(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// Lets go of replicas that don't belong any more, or takes up new ones.
    pub(crate) fn replace_replicas(&mut self, replicas: Vec<i32>) {
        let end = self.log.end_offset();
        self.ends.retain(|id, _| replicas.contains(id));
        for id in &replicas {
            self.ends.entry(*id).or_insert(end);
        }
        self.isr.retain(|id| replicas.contains(id));
        self.held.retain(|id| replicas.contains(id));
        self.replicas = replicas;
    }

    /// A follower copies again, all that there is.
    pub(crate) fn catch_up(&mut self) {
        self.held.clear();
        self.copying.clear();
        self.copied_to(self.log.end_offset());
    }

    /// One follower has copied everything there is.
    pub(crate) fn catch_up_one(&mut self, broker: i32) {
        self.ends.insert(broker, self.log.end_offset());
        self.raise_high_watermark();
    }

    /// A follower copies nothing for now; the leader always has what it has.
    pub(crate) fn hold(&mut self, broker: i32) {
        if broker != self.leader && !self.held.contains(&broker) {
            self.held.push(broker);
        }
    }

    /// Nobody copies any more what is not copied yet: the leader is dead.
    pub(crate) fn stop_copying(&mut self) {
        self.copying.clear();
    }

    fn copied_to(&mut self, offset: i64) {
        for (id, end) in &mut self.ends {
            if self.isr.contains(id) && !self.held.contains(id) {
                *end = (*end).max(offset);
            }
        }
        self.raise_high_watermark();
    }

    fn raise_high_watermark(&mut self) {
        if self.leader < 0 || !self.has_min_isr() {
            return;
        }
        let followers = self.isr.iter().filter(|id| **id != self.leader);
        let least = followers.map(|id| self.end_of(*id)).min().unwrap_or_else(|| self.log.end_offset());
        if least > self.log.high_watermark() {
            self.log.set_high_watermark(least);
        }
    }
}
