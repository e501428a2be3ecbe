//! A stretch of the log: what is rolled, retained and deleted as one.

use ottla_protocol::records::RecordBatch;

/// Batches in the order of their offsets.
#[derive(Debug)]
pub(super) struct Segment {
    /// The offset that its first batch has or had.
    pub(super) base_offset: i64,
    pub(super) size_bytes: u64,
    pub(super) batches: Vec<RecordBatch>,
    /// The first batch's timestamp, or the time of its append where it has none; from it `segment.ms` counts.
    pub(super) first_timestamp: Option<i64>,
    /// When something was last appended, for batches without timestamps.
    pub(super) last_append_ms: i64,
}

/// An aborted transaction: readers of committed records skip it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Aborted {
    pub(super) producer_id: i64,
    pub(super) first_offset: i64,
    /// The marker's offset.
    pub(super) last_offset: i64,
}

impl Segment {
    pub(super) fn new(base_offset: i64) -> Segment {
        Segment { base_offset, size_bytes: 0, batches: Vec::new(), first_timestamp: None, last_append_ms: -1 }
    }

    pub(super) fn push(&mut self, batch: RecordBatch, now_ms: i64) {
        if self.batches.is_empty() {
            let timestamp = batch.header().max_timestamp;
            self.first_timestamp = Some(if timestamp < 0 { now_ms } else { timestamp });
        }
        self.size_bytes += batch.size() as u64;
        self.last_append_ms = now_ms;
        self.batches.push(batch);
    }

    /// The latest timestamp in it, or the time of the last append if it has none.
    pub(super) fn largest_timestamp(&self) -> i64 {
        let latest = self.batches.iter().map(|batch| batch.header().max_timestamp).max();
        latest.filter(|&timestamp| timestamp >= 0).unwrap_or(self.last_append_ms)
    }

    /// Puts other batches in the place of its own.
    pub(super) fn replace(&mut self, batches: Vec<RecordBatch>) {
        self.size_bytes = batches.iter().map(|batch| batch.size() as u64).sum();
        self.batches = batches;
    }

    /// The index of the first batch that reaches to `offset` or beyond.
    pub(super) fn index_of(&self, offset: i64) -> usize {
        self.batches.partition_point(|batch| batch.header().last_offset() < offset)
    }
}
