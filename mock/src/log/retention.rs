//! How a log loses its oldest records: by age, by size, and on request.

use ottla_protocol::error_code::ErrorCode;

use super::PartitionLog;

impl PartitionLog {
    /// Deletes whole segments that are too old or too many, as `cleanup.policy=delete` says, and says whether the log
    /// begins at another offset now. Nothing from the high watermark on is deleted.
    pub fn retain(&mut self, now_ms: i64) -> bool {
        let start = self.start_offset;
        if self.config.delete {
            self.retain_size();
            self.retain_time(now_ms);
        }
        self.start_offset != start
    }

    /// Lets the log begin at `offset`, or at the high watermark for -1 (KIP-107), and gives the log's new start.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` beyond the high watermark, `POLICY_VIOLATION` where the topic doesn't delete.
    pub fn delete_records(&mut self, offset: i64) -> Result<i64, ErrorCode> {
        if !self.config.delete {
            return Err(ErrorCode::POLICY_VIOLATION);
        }
        let offset = if offset == -1 { self.high_watermark } else { offset };
        if offset < 0 || offset > self.high_watermark {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        self.begin_at(offset);
        Ok(self.start_offset)
    }

    /// Moves the log's start forward and drops the segments before it. The start may be within a batch.
    fn begin_at(&mut self, offset: i64) {
        if offset <= self.start_offset {
            return;
        }
        self.start_offset = offset;
        self.epochs.truncate_start(offset);
        self.producers.forget_replicated(offset);
        self.aborted.retain(|aborted| aborted.last_offset >= offset);
        while self.segments.get(1).is_some_and(|next| next.base_offset <= offset) {
            self.segments.pop_front();
        }
        let base = self.segments.front().map_or(offset, |segment| segment.base_offset);
        if let Some((&kept, _)) = self.snapshots.range(..=base).next_back() {
            self.snapshots = self.snapshots.split_off(&kept);
        }
    }

    fn retain_time(&mut self, now_ms: i64) {
        let retention_ms = self.config.retention_ms;
        if retention_ms < 0 {
            return;
        }
        let is_old = |largest_timestamp: i64| now_ms.saturating_sub(largest_timestamp) > retention_ms;
        let old = self.segments.iter().take_while(|segment| is_old(segment.largest_timestamp())).count();
        self.delete_segments(old);
    }

    fn retain_size(&mut self) {
        let Ok(retention) = u64::try_from(self.config.retention_bytes) else { return };
        let mut over = self.size_bytes().saturating_sub(retention);
        let mut excess = 0;
        for segment in &self.segments {
            let Some(rest) = over.checked_sub(segment.size_bytes) else { break };
            over = rest;
            excess += 1;
        }
        self.delete_segments(excess);
    }

    /// Deletes up to `count` of the oldest segments, as far as they are replicated. The last one only goes if it holds
    /// records, and an empty one takes its place.
    fn delete_segments(&mut self, count: usize) {
        let mut end = self.start_offset;
        for index in 0..count {
            let segment = &self.segments[index];
            let upper = self.segments.get(index + 1).map_or(self.end_offset, |next| next.base_offset);
            let is_empty_last = index + 1 == self.segments.len() && segment.batches.is_empty();
            if upper > self.high_watermark || is_empty_last {
                break;
            }
            end = upper;
        }
        if end == self.end_offset && end > self.start_offset {
            self.roll();
        }
        self.begin_at(end);
    }
}
