//! A partition: its log, who has copies, who leads.
//!
//! There is one log, the truth that all replicas share; a replica is a number, the offset up to which it has copied.
//! A leader that is lost takes with it what no other replica in sync has.
//!
//! Nothing is copied from a leader that does nothing, as long as it may be named as such: no follower joins those in sync by
//! it, and the high watermark, which is the leader's to move, stays where it is. Only who is in sync may lead, unless losing
//! records is allowed; and nobody is in sync who lacks anything below the high watermark.
//!
//! Sources: KIP-101 (leader epochs), KIP-497 (in-sync replicas), `Partition` of Kafka 4.3 (no high watermark moves while
//! fewer replicas than `min.insync.replicas` are in sync), `ProducerStateManager` of Kafka 4.3 (what a replica still knows of
//! producers after a restart).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
    /// Brokers that do nothing now: they neither copy, nor can anybody copy from them.
    silent: BTreeSet<i32>,
    /// Followers that are kept from copying.
    held: Vec<i32>,
    /// Up to where replicas know producers by what they wrote down when they were stopped.
    noted: BTreeMap<i32, i64>,
    /// Replicas that are being added by a reassignment.
    pub(crate) adding: Vec<i32>,
    /// Replicas that go when the reassignment is done.
    pub(crate) removing: Vec<i32>,
}

impl Partition {
    /// An empty partition on these brokers; those that are live are in sync, and the first of them leads. Of all brokers,
    /// these are silent.
    pub(crate) fn new(
        mut log: PartitionLog,
        replicas: Vec<i32>,
        min_isr: usize,
        live: impl Fn(i32) -> bool,
        silent: BTreeSet<i32>,
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
            silent,
            held: Vec::new(),
            noted: BTreeMap::new(),
            adding: Vec::new(),
            removing: Vec::new(),
        }
    }

    /// Whether as many replicas are in sync as `acks=all` asks for.
    pub(crate) fn has_min_isr(&self) -> bool {
        self.isr.len() >= self.min_isr.min(self.replicas.len())
    }

    /// Whether somebody leads who does what leaders do.
    pub(crate) fn serves(&self) -> bool {
        self.leader >= 0 && !self.silent.contains(&self.leader)
    }

    /// Whether a follower copies, and from somebody.
    fn copies(&self, broker: i32) -> bool {
        self.serves()
            && broker != self.leader
            && !self.silent.contains(&broker)
            && !self.held.contains(&broker)
    }

    /// A broker does nothing any more.
    pub(crate) fn fell_silent(&mut self, broker: i32) {
        self.silent.insert(broker);
    }

    /// A broker does again what brokers do.
    pub(crate) fn spoke(&mut self, broker: i32) {
        self.silent.remove(&broker);
    }

    /// Notes that the leader's log has grown, and when followers will have the rest.
    pub(crate) fn appended(&mut self, copied_at: Option<Instant>) {
        match copied_at {
            Some(at) => self.copying.push_back((at, self.log.end_offset())),
            None => self.copied_to(self.log.end_offset()),
        }
    }

    /// Followers have copied what was due, unless there was nobody to copy from; says whether the high watermark moved.
    pub(crate) fn replicate(&mut self, now: Instant) -> bool {
        if !self.serves() {
            return false;
        }
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

    /// A replica that was out of sync has copied everything, if it can.
    pub(crate) fn joined(&mut self, broker: i32) {
        if !self.replicas.contains(&broker) || self.isr.contains(&broker) || !self.copies(broker) {
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
        let had = self.end_of(leader);
        if self.leader >= 0 {
            // Whoever led has what there was, whether or not there is anybody to copy from.
            self.ends.insert(self.leader, self.log.end_offset());
        }
        if had < self.log.end_offset() {
            self.log.truncate(had);
            self.copying.clear();
        }
        let end = self.log.end_offset();
        self.ends.values_mut().for_each(|offset| *offset = (*offset).min(end));
        // What was written down about a longer log is void, and the log itself is read instead.
        self.noted.retain(|_, offset| *offset <= end);
        self.log.know_producers_by_notes_to(self.noted.get(&leader).copied().unwrap_or(0));
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
        self.ends.retain(|id, _| replicas.contains(id));
        self.isr.retain(|id| replicas.contains(id));
        self.held.retain(|id| replicas.contains(id));
        self.noted.retain(|id, _| replicas.contains(id));
        self.replicas = replicas;
    }

    /// All followers that can copy have everything there is.
    pub(crate) fn catch_up(&mut self) {
        if self.serves() {
            self.copying.clear();
            self.copied_to(self.log.end_offset());
        }
    }

    /// One follower has copied everything there is, if it can.
    pub(crate) fn catch_up_one(&mut self, broker: i32) {
        if self.copies(broker) {
            self.ends.insert(broker, self.log.end_offset());
            self.raise_high_watermark();
        }
    }

    /// A follower copies nothing for now; the leader always has what it has.
    pub(crate) fn hold(&mut self, broker: i32) {
        if broker != self.leader && !self.held.contains(&broker) {
            self.held.push(broker);
        }
    }

    /// A follower copies again, if nothing else is in its way.
    pub(crate) fn release(&mut self, broker: i32) {
        self.held.retain(|held| *held != broker);
    }

    /// No follower is kept from copying any more.
    pub(crate) fn release_all(&mut self) {
        self.held.clear();
    }

    /// Nobody copies any more what is not copied yet: the leader is dead.
    pub(crate) fn stop_copying(&mut self) {
        self.copying.clear();
    }

    /// A replica shuts down in good order, and writes down of each producer where it stands, which is its last batch.
    pub(crate) fn note_producers(&mut self, broker: i32) {
        if self.replicas.contains(&broker) {
            self.noted.insert(broker, self.end_of(broker));
        }
    }

    fn copied_to(&mut self, offset: i64) {
        let copying: Vec<i32> = self.isr.iter().copied().filter(|id| self.copies(*id)).collect();
        for id in copying {
            let end = self.ends.entry(id).or_insert(0);
            *end = (*end).max(offset);
        }
        self.raise_high_watermark();
    }

    /// Leaders do, as far as all in sync have the log.
    fn raise_high_watermark(&mut self) {
        if !self.serves() || !self.has_min_isr() {
            return;
        }
        let followers = self.isr.iter().filter(|id| **id != self.leader);
        let least = followers.map(|id| self.end_of(*id)).min().unwrap_or_else(|| self.log.end_offset());
        if least > self.log.high_watermark() {
            self.log.set_high_watermark(least);
        }
    }
}
