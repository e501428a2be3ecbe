//! How far each group is in each partition, as the history goes on.

use std::collections::{BTreeMap, BTreeSet};

use super::super::event::{ConsumerId, Place};
use super::super::index::Circle;
use super::super::log::{FinalLog, Logged};

#[derive(Debug, Default)]
pub(super) struct Progress<'a> {
    seen: BTreeMap<(Circle<'a>, &'a Place), Seen>,
    /// What each tenure handed out last.
    pub(super) last_read: BTreeMap<usize, i64>,
    /// Tenures that read a log that replaced another, for sure.
    pub(super) reads_anew: BTreeSet<usize>,
    /// What each tenure committed last.
    pub(super) last_commit: BTreeMap<usize, i64>,
    /// What each group was told that it committed: the furthest offset, and when that was told.
    pub(super) committed: BTreeMap<(Circle<'a>, &'a Place), Vec<(usize, i64)>>,
    /// When each group went back last, and where to.
    sought: BTreeMap<(Circle<'a>, &'a Place), (usize, i64)>,
    /// Who went where last and has been handed nothing there since: in which log that will be, if the partition's is replaced,
    /// nobody knows yet.
    gone_to: BTreeMap<(Circle<'a>, &'a Place), (ConsumerId, i64)>,
    /// Commits of the same offset that were asked for and may not have been answered.
    outstanding: BTreeMap<(ConsumerId, &'a Place, i64), Outstanding>,
}

/// Commits of the same offset by one consumer since none of them was without an answer.
#[derive(Debug, Default)]
struct Outstanding {
    /// When each was asked for.
    asked: Vec<usize>,
    answers: usize,
    /// Answers that said so.
    done: usize,
}

/// What a group was handed of a partition.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// When each offset was first handed out.
    pub(super) handed: BTreeMap<i64, usize>,
    /// The first of the log's records that may not have been handed out.
    next: usize,
}

impl<'a> Progress<'a> {
    pub(super) fn seen(&mut self, circle: Circle<'a>, place: &'a Place) -> &mut Seen {
        self.seen.entry((circle, place)).or_default()
    }

    /// A member goes back by its own will, and commits may go back with it.
    pub(super) fn sought(
        &mut self,
        at: usize,
        (circle, consumer): (Circle<'a>, ConsumerId),
        place: &'a Place,
        offset: i64,
    ) {
        self.sought.insert((circle, place), (at, offset));
        self.gone_to.insert((circle, place), (consumer, offset));
        if let Some(told) = self.committed.get_mut(&(circle, place)) {
            told.retain(|(_, committed)| *committed <= offset);
        }
    }

    /// Something was handed out where the member went.
    pub(super) fn arrived(&mut self, circle: Circle<'a>, consumer: ConsumerId, place: &'a Place) {
        if self.gone_to.get(&(circle, place)).is_some_and(|(gone, _)| *gone == consumer) {
            self.gone_to.remove(&(circle, place));
        }
    }

    /// Where the group went by a member's own will, and was handed nothing yet.
    pub(super) fn gone_to(&self, circle: Circle<'a>, place: &'a Place) -> Option<i64> {
        self.gone_to.get(&(circle, place)).map(|(_, offset)| *offset)
    }

    /// A group was told that it committed what it had asked for at one of these times.
    pub(super) fn told(
        &mut self,
        at: usize,
        circle: Circle<'a>,
        place: &'a Place,
        offset: i64,
        asked: &[usize],
    ) {
        let is_undone = self
            .sought
            .get(&(circle, place))
            .is_some_and(|(sought, to)| offset > *to && asked.iter().any(|asked| asked < sought));
        if !is_undone {
            self.committed.entry((circle, place)).or_default().push((at, offset));
        }
    }

    /// A commit was asked for.
    pub(super) fn commit_asked(&mut self, at: usize, consumer: ConsumerId, place: &'a Place, offset: i64) {
        self.outstanding.entry((consumer, place, offset)).or_default().asked.push(at);
    }

    /// A commit was answered. When it may have been asked for, as which of several the answer is for nobody knows; and how
    /// many of those are done by now.
    pub(super) fn commit_answered(
        &mut self,
        consumer: ConsumerId,
        place: &'a Place,
        offset: i64,
        done: bool,
    ) -> (Vec<usize>, usize) {
        let key = (consumer, place, offset);
        let Some(outstanding) = self.outstanding.get_mut(&key) else { return (Vec::new(), 0) };
        outstanding.answers += 1;
        outstanding.done += usize::from(done);
        let answered = (outstanding.asked.clone(), outstanding.done);
        if outstanding.answers >= outstanding.asked.len() {
            self.outstanding.remove(&key);
        }
        answered
    }
}

impl Seen {
    /// The first record below `offset` that the group can see and that nobody in it was handed.
    pub(super) fn missing_below<'l>(
        &mut self,
        offset: i64,
        log: &'l FinalLog,
        committed_only: bool,
    ) -> Option<&'l Logged> {
        while let Some(logged) = log.records.get(self.next).filter(|logged| logged.offset < offset) {
            if logged.is_visible(committed_only) && !self.handed.contains_key(&logged.offset) {
                return Some(logged);
            }
            self.next += 1;
        }
        None
    }

    /// Passes over what is missing below `offset`, as it was told of.
    pub(super) fn excuse_below(&mut self, offset: i64, log: &FinalLog) {
        self.next = self.next.max(log.records.partition_point(|logged| logged.offset < offset));
    }
}
