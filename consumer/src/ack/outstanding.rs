//! [`Outstanding`]: the offsets of one partition that were handed out and are not acknowledged, as runs.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use crate::subscription::{Generation, Position};

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
    /// From which offset on records were handed out in which generation of the position: later ones lie behind.
    generations: VecDeque<(i64, Generation)>,
    /// The position's generation now.
    current: Generation,
}

impl Outstanding {
    /// Adds offsets that were handed out in this generation, unless that is over; nothing changes for those that are there.
    pub(super) fn add(&mut self, offsets: Range<i64>, leader_epoch: Option<i32>, generation: Generation) {
        let Range { mut start, mut end } = offsets;
        if start >= end || generation < self.current {
            return;
        }
        self.note_epoch(start, leader_epoch);
        self.note_generation(start, generation);
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

    /// The position begins anew: from here on only what is handed out in this generation is added.
    pub(super) fn begin(&mut self, generation: Generation) {
        self.current = generation;
    }

    /// Offsets from this one on will be handed out again, or are of other records by now.
    pub(super) fn drop_from(&mut self, offset: i64) {
        self.remove(offset..i64::MAX, None);
        self.generations.truncate(self.generations.partition_point(|(from, _)| *from < offset));
        self.epochs.truncate(self.epochs.partition_point(|(from, _)| *from < offset));
    }

    /// Removes offsets, only those that were handed out in this generation, if one is named; false if none of them is there.
    pub(super) fn remove(&mut self, offsets: Range<i64>, generation: Option<Generation>) -> bool {
        let Range { mut start, mut end } = offsets;
        if let Some(generation) = generation {
            let Some(span) = self.span_of(generation) else { return false };
            (start, end) = (start.max(span.start), end.min(span.end));
        }
        if start >= end {
            return false;
        }
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

    /// Removes an offset and all before it, as far as they were handed out in this generation or before; false if there are
    /// none.
    pub(super) fn remove_up_to(&mut self, offset: i64, generation: Generation) -> bool {
        let later = self.generations.iter().find(|(_, later)| *later > generation);
        let after = later.map_or(i64::MAX, |(from, _)| *from).min(offset.saturating_add(1));
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

    fn note_generation(&mut self, offset: i64, generation: Generation) {
        if let Some((from, last)) = self.generations.back_mut()
            && *last == generation
        {
            *from = offset.min(*from);
            return;
        }
        self.current = generation;
        let first = self.runs.first_key_value().map_or(offset, |(first, _)| *first);
        while self.generations.get(1).is_some_and(|(from, _)| *from <= first) {
            self.generations.pop_front();
        }
        if self.runs.is_empty() {
            self.generations.clear();
        }
        self.generations.push_back((offset, generation));
    }

    /// The offsets that were handed out in a generation lie in here.
    fn span_of(&self, generation: Generation) -> Option<Range<i64>> {
        let index = self.generations.iter().position(|(_, other)| *other == generation)?;
        let end = self.generations.get(index + 1).map_or(i64::MAX, |(from, _)| *from);
        Some(self.generations[index].0..end)
    }

    #[cfg(test)]
    pub(super) fn runs(&self) -> Vec<(i64, i64)> {
        self.runs.iter().map(|(start, end)| (*start, *end)).collect()
    }
}
