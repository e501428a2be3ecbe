//! [`Outstanding`]: the offsets of one partition that were handed out and are not acknowledged, as runs.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use crate::subscription::Position;

/// The range of a single offset.
pub(super) fn one(offset: i64) -> Range<i64> {
    offset..offset.saturating_add(1)
}

/// A set of offsets.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    /// From the first offset of each run to the one after its last; runs neither overlap nor touch.
    runs: BTreeMap<i64, i64>,
    /// From which offset on records had which leader epoch, where they tell.
    epochs: VecDeque<(i64, i32)>,
}

impl Outstanding {
    /// Adds offsets; nothing changes for those that are there.
    pub(super) fn add(&mut self, offsets: Range<i64>, leader_epoch: Option<i32>) {
        let Range { mut start, mut end } = offsets;
        if start >= end {
            return;
        }
        self.note_epoch(start, leader_epoch);
        // Records come in order.
        if let Some(mut last) = self.runs.last_entry()
            && *last.get() == start
        {
            last.insert(end);
            return;
        }
        // Runs that overlap or touch become one.
        while let Some((&first, &last)) = self.runs.range(..=end).next_back() {
            if last < start {
                break;
            }
            self.runs.remove(&first);
            start = start.min(first);
            end = end.max(last);
        }
        self.runs.insert(start, end);
    }

    /// Removes offsets; false if none of them is there.
    pub(super) fn remove(&mut self, offsets: Range<i64>) -> bool {
        let Range { start, end } = offsets;
        let mut removed = false;
        while let Some((&first, &last)) = self.runs.range(..end).next_back() {
            if last <= start {
                break;
            }
            removed = true;
            self.runs.remove(&first);
            if last > end {
                self.runs.insert(end, last);
            }
            if first < start {
                self.runs.insert(first, start);
                break;
            }
        }
        removed
    }

    /// Removes an offset and all before it; false if there are none.
    pub(super) fn remove_up_to(&mut self, offset: i64) -> bool {
        let after = offset.saturating_add(1);
        let rest = self.runs.split_off(&after);
        let removed = std::mem::replace(&mut self.runs, rest);
        if let Some((_, &end)) = removed.last_key_value()
            && end > after
        {
            self.runs.insert(after, end);
        }
        !removed.is_empty()
    }

    /// The first offset, with the epoch of the record before it.
    pub(super) fn first(&self) -> Option<Position> {
        let offset = *self.runs.first_key_value()?.0;
        let before = self.epochs.iter().rev().find(|(from, _)| *from < offset);
        Some(Position { offset, leader_epoch: before.map(|(_, epoch)| *epoch) })
    }

    /// How many offsets there are.
    pub(super) fn count(&self) -> u64 {
        self.runs.iter().map(|(start, end)| end.saturating_sub(*start).unsigned_abs()).sum()
    }

    fn note_epoch(&mut self, offset: i64, leader_epoch: Option<i32>) {
        let Some(epoch) = leader_epoch else { return };
        match self.epochs.back() {
            Some((_, last)) if *last == epoch => return,
            // Read anew from before: only what comes from here on is sure.
            Some((from, _)) if *from >= offset => self.epochs.clear(),
            _ => {}
        }
        let first = self.runs.first_key_value().map_or(offset, |(first, _)| *first);
        while self.epochs.get(1).is_some_and(|(from, _)| *from < first) {
            self.epochs.pop_front();
        }
        self.epochs.push_back((offset, epoch));
    }

    #[cfg(test)]
    pub(super) fn runs(&self) -> Vec<(i64, i64)> {
        self.runs.iter().map(|(start, end)| (*start, *end)).collect()
    }
}
