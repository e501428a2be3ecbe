//! [`Outstanding`]: the offsets of one partition that were handed out and are not acknowledged, as runs.

use std::collections::{BTreeMap, VecDeque};

use crate::subscription::Position;

/// A set of offsets.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    /// From the first offset of each run to the one after its last; runs neither overlap nor touch.
    runs: BTreeMap<i64, i64>,
    /// From which offset on records had which leader epoch, where they tell.
    epochs: VecDeque<(i64, i32)>,
}

impl Outstanding {
    /// Adds an offset; nothing changes if it is there.
    pub(super) fn add(&mut self, offset: i64, leader_epoch: Option<i32>) {
        self.note_epoch(offset, leader_epoch);
        let after = offset.saturating_add(1);
        let mut start = offset;
        if let Some((first, end)) = self.runs.range_mut(..=offset).next_back() {
            if *end > offset {
                return;
            }
            if *end == offset {
                *end = after;
                start = *first;
            }
        }
        let end = self.runs.remove(&after).unwrap_or(after);
        self.runs.insert(start, end);
    }

    /// Removes an offset; false if it is not there.
    pub(super) fn remove(&mut self, offset: i64) -> bool {
        let Some((&start, &end)) = self.runs.range(..=offset).next_back() else { return false };
        if end <= offset {
            return false;
        }
        if start == offset {
            self.runs.remove(&start);
        } else {
            self.runs.insert(start, offset);
        }
        if end > offset + 1 {
            self.runs.insert(offset + 1, end);
        }
        true
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
