//! How a log loses its newest records: when the leader that had them is lost.

use std::collections::VecDeque;

use super::PartitionLog;
use super::producers::Producers;
use super::segment::Segment;

impl PartitionLog {
    /// Cuts off everything from `offset` on, and the whole batch where the offset is within one. Producers are known
    /// afterwards as they are to a replica that never had more. Says whether anything was cut off.
    pub fn truncate(&mut self, offset: i64) -> bool {
        if offset >= self.end_offset {
            self.epochs.truncate_end(self.end_offset);
            return false;
        }
        let offset = offset.max(0);
        if self.segments.front().is_none_or(|first| first.base_offset > offset) {
            self.restart(offset);
            return true;
        }
        while self.segments.len() > 1 && self.segments.back().is_some_and(|last| last.base_offset >= offset) {
            self.segments.pop_back();
        }
        let mut end = offset;
        if let Some(last) = self.segments.back_mut() {
            let index = last.index_of(offset);
            if let Some(cut) = last.batches.get(index) {
                end = end.min(cut.header().base_offset);
            }
            let mut batches = std::mem::take(&mut last.batches);
            batches.truncate(index);
            last.replace(batches);
        }
        self.end_offset = end;
        self.start_offset = self.start_offset.min(end);
        self.high_watermark = self.high_watermark.min(end);
        self.epochs.truncate_end(end);
        self.aborted.retain(|aborted| aborted.last_offset < end);
        self.snapshots.split_off(&(end + 1));
        self.rebuild_producers();
        true
    }

    /// Drops everything and begins anew at an offset.
    fn restart(&mut self, offset: i64) {
        self.segments = VecDeque::from([Segment::new(offset)]);
        (self.start_offset, self.end_offset, self.high_watermark) = (offset, offset, offset);
        self.epochs.clear();
        self.aborted.clear();
        self.snapshots.clear();
        self.producers = Producers::default();
    }

    /// The producers as the log tells them, from the last snapshot on.
    fn rebuild_producers(&mut self) {
        let (from, mut producers) = match self.snapshots.last_key_value() {
            Some((&offset, known)) => (offset, known.clone()),
            None => (0, Producers::default()),
        };
        for batch in self.stored().filter(|batch| batch.header().base_offset >= from) {
            producers.replay(batch);
        }
        producers.forget_replicated(self.high_watermark);
        self.producers = producers;
    }
}
