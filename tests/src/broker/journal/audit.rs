//! [`audit`]: what is wrong with what happened in a group.

use std::collections::{BTreeMap, BTreeSet};

use ottla::TopicPartition;

use super::Entry;

/// Why a record was handed out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Whoever had it before lost its partition.
    Lost,
    /// Whoever had it before vanished.
    Vanished,
    /// Whoever had it before could not commit.
    CommitFailed,
    /// Its reader did not know yet that the partition was another's, and was told later.
    Unaware,
}

/// What [`audit`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// What must not be.
    pub wrong: Vec<String>,
    /// How many records were handed out again, and why.
    pub repeated: BTreeMap<Reason, u64>,
}

/// Reads what happened in a group; see the module's head.
pub fn audit(entries: &[Entry]) -> Audit {
    let mut reading = Reading::default();
    for (at, entry) in entries.iter().enumerate() {
        reading.entry(at, entry);
    }
    let open = std::mem::take(&mut reading.tenures).into_values();
    let repeated = open.filter(|tenure| tenure.rival.is_none()).flat_map(|tenure| tenure.repeated);
    reading.audit.wrong.extend(repeated.map(|what| format!("at the end: {what}")));
    reading.audit
}

/// What is known at an entry.
#[derive(Default)]
struct Reading<'a> {
    partitions: BTreeMap<&'a TopicPartition, Partition>,
    tenures: BTreeMap<(u32, &'a TopicPartition), Tenure>,
    /// What each member was asked to give up, and has not settled.
    leaving: BTreeMap<u32, Vec<(&'a TopicPartition, Tenure)>>,
    audit: Audit,
}

#[derive(Default)]
struct Partition {
    /// Everything below is processed.
    frontier: i64,
    /// What is processed beyond.
    beyond: BTreeSet<i64>,
    handed_out: BTreeSet<i64>,
    /// The highest commit that was confirmed to a member.
    committed: i64,
    observed: i64,
    /// Why the tenures before may have left something uncommitted.
    unsettled: Option<Reason>,
}

/// The time in which a member has a partition.
#[derive(Default)]
struct Tenure {
    /// The next offset, once the first is known.
    next: Option<i64>,
    /// The highest commit that was confirmed to the member meanwhile.
    committed: i64,
    commit_failed: bool,
    /// Who else was given the partition meanwhile.
    rival: Option<u32>,
    /// What was handed out again and is only in order if the member did not know of a rival.
    repeated: Vec<String>,
}

impl<'a> Reading<'a> {
    fn entry(&mut self, at: usize, entry: &'a Entry) {
        match entry {
            Entry::Assigned { member, partitions } => {
                partitions.iter().for_each(|partition| self.assigned(at, *member, partition));
            }
            Entry::Revoked { member, partitions } => {
                for partition in partitions {
                    match self.tenures.remove(&(*member, partition)) {
                        Some(tenure) => self.leaving.entry(*member).or_default().push((partition, tenure)),
                        None => {
                            self.wrong(at, &format!("{member} was asked for {partition}, which it had not"))
                        }
                    }
                }
            }
            Entry::Settled { member, committed } => {
                for (partition, tenure) in self.leaving.remove(member).unwrap_or_default() {
                    let reason = (!committed).then_some(Reason::CommitFailed);
                    self.ended(at, *member, partition, tenure, reason);
                }
            }
            Entry::Lost { member, partitions } => {
                for partition in partitions {
                    if let Some(tenure) = self.tenures.remove(&(*member, partition)) {
                        self.ended(at, *member, partition, tenure, Some(Reason::Lost));
                    }
                }
            }
            Entry::Vanished { member } => {
                let held: Vec<_> =
                    self.tenures.keys().filter(|(whose, _)| whose == member).copied().collect();
                let mut gone = self.leaving.remove(member).unwrap_or_default();
                gone.extend(held.into_iter().filter_map(|key| Some((key.1, self.tenures.remove(&key)?))));
                for (partition, tenure) in gone {
                    self.ended(at, *member, partition, tenure, Some(Reason::Vanished));
                }
            }
            Entry::HandedOut { member, partition, offset } => {
                self.handed_out(at, *member, partition, *offset);
            }
            Entry::Processed { partition, offset, .. } => {
                let state = self.partitions.entry(partition).or_default();
                state.beyond.insert(*offset);
                while state.beyond.remove(&state.frontier) {
                    state.frontier += 1;
                }
            }
            Entry::Committed { member, offsets } => self.committed(at, *member, offsets),
            Entry::NotCommitted { member } => {
                let of_member = |(whose, _): &(u32, &TopicPartition)| whose == member;
                for (_, tenure) in self.tenures.iter_mut().filter(|(key, _)| of_member(key)) {
                    tenure.commit_failed = true;
                }
            }
            Entry::Observed { partition, offset } => self.observed(at, partition, *offset),
        }
    }

    fn assigned(&mut self, at: usize, member: u32, partition: &'a TopicPartition) {
        for ((_, held), tenure) in &mut self.tenures {
            if *held == partition {
                tenure.rival = Some(member);
            }
        }
        for (held, tenure) in self.leaving.values_mut().flatten() {
            if *held == partition {
                tenure.rival = Some(member);
            }
        }
        if self.tenures.insert((member, partition), Tenure::default()).is_some() {
            self.wrong(at, &format!("{member} was given {partition} twice"));
        }
    }

    fn handed_out(&mut self, at: usize, member: u32, partition: &'a TopicPartition, offset: i64) {
        let rivals = || self.tenures.keys().any(|(whose, held)| *held == partition && *whose != member);
        let state = self.partitions.entry(partition).or_default();
        let again = !state.handed_out.insert(offset);
        let reason = state.unsettled.or_else(|| rivals().then_some(Reason::Unaware));
        let reason = reason.filter(|_| offset >= state.committed);
        let (frontier, committed) = (state.frontier, state.committed);
        let Some(tenure) = self.tenures.get_mut(&(member, partition)) else {
            self.wrong(
                at,
                &format!("revoked: {member} got offset {offset} of {partition}, which it had not"),
            );
            return;
        };
        let what = match tenure.next.replace(offset + 1) {
            None if offset > frontier => Some(format!("skipped: began at {offset}, processed {frontier}")),
            Some(next) if offset > next => Some(format!("skipped: got offset {offset} instead of {next}")),
            Some(next) if offset < next => Some(format!("reordered: got offset {offset} instead of {next}")),
            _ => None,
        };
        match reason {
            _ if !again => {}
            Some(reason) => *self.audit.repeated.entry(reason).or_default() += 1,
            None => tenure.repeated.push(format!(
                "repeated: {member} got offset {offset} of {partition} again, committed {committed}"
            )),
        }
        if let Some(what) = what {
            self.wrong(at, &format!("{what}: {member} at {partition}"));
        }
    }

    fn committed(&mut self, at: usize, member: u32, offsets: &'a BTreeMap<TopicPartition, i64>) {
        for (partition, offset) in offsets {
            let state = self.partitions.entry(partition).or_default();
            state.committed = state.committed.max(*offset);
            if *offset > state.frontier {
                let frontier = state.frontier;
                self.wrong(
                    at,
                    &format!("ahead: {member} committed {offset} of {partition}, processed {frontier}"),
                );
            }
            let leaving = self.leaving.get_mut(&member).into_iter().flatten();
            let mut leaving = leaving.filter(|(held, _)| *held == partition).map(|(_, tenure)| tenure);
            if let Some(tenure) = self.tenures.get_mut(&(member, partition)).or_else(|| leaving.next()) {
                tenure.committed = tenure.committed.max(*offset);
            }
        }
    }

    fn observed(&mut self, at: usize, partition: &'a TopicPartition, offset: i64) {
        let state = self.partitions.entry(partition).or_default();
        let (frontier, before) = (state.frontier, state.observed);
        state.observed = state.observed.max(offset);
        if offset > frontier {
            self.wrong(
                at,
                &format!("ahead: the group committed {offset} of {partition}, processed {frontier}"),
            );
        }
        if offset < before {
            self.wrong(
                at,
                &format!("backwards: the group's commit of {partition} went from {before} to {offset}"),
            );
        }
    }

    /// `reason` is why the member may have left something uncommitted.
    fn ended(
        &mut self,
        at: usize,
        member: u32,
        partition: &'a TopicPartition,
        tenure: Tenure,
        reason: Option<Reason>,
    ) {
        let orderly = matches!(reason, None | Some(Reason::CommitFailed));
        match tenure.rival {
            Some(rival) if orderly => {
                self.wrong(at, &format!("shared: {rival} was given {partition} while {member} had it"));
            }
            Some(_) if !tenure.repeated.is_empty() => {
                *self.audit.repeated.entry(Reason::Unaware).or_default() += tenure.repeated.len() as u64;
            }
            Some(_) => {}
            None => tenure.repeated.into_iter().for_each(|what| self.wrong(at, &what)),
        }
        let state = self.partitions.entry(partition).or_default();
        let reason = reason.or_else(|| tenure.commit_failed.then_some(Reason::CommitFailed));
        match tenure.next {
            Some(next) if tenure.committed >= next => state.unsettled = None,
            Some(_) => state.unsettled = reason,
            // What others left open stays open.
            None => state.unsettled = state.unsettled.or(reason),
        }
    }

    fn wrong(&mut self, at: usize, what: &str) {
        self.audit.wrong.push(format!("entry {at}: {what}"));
    }
}
