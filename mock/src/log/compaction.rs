//! Compaction: of each key only the last record stays, with holes in the offsets where others were.
//!
//! Records without a value (tombstones) and transaction markers are kept for `delete.retention.ms` after the first
//! compaction that met them, so that a reader on its way learns of them: the batch then names that time as its delete
//! horizon. Records of aborted transactions go at once, and a marker when nothing of its transaction is left. The last
//! batch of each producer stays, if need be without records, so that its sequences are known after a restart.
//!
//! Sources: KIP-534 (delete horizon), KIP-98 (transactions in compacted logs).

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use ottla_protocol::compression::Compression;
use ottla_protocol::records::{
    BatchHeader, ControlRecord, DecodeOptions, NO_TIMESTAMP, Record, RecordBatch, TimestampType,
};

use super::{PartitionLog, batch};

impl PartitionLog {
    /// Compacts what is decided and replicated; the segment that was appended to is closed first, so that it takes
    /// part. Nothing happens where `cleanup.policy` doesn't say so.
    pub fn compact(&mut self, now_ms: i64) {
        if !self.config.compact {
            return;
        }
        self.roll();
        let limit = self.compaction_limit(now_ms);
        let latest = self.latest_offsets(limit);
        let mut sweep = Sweep { now_ms, latest: Some(&latest), ..Sweep::default() };
        let mut segments = std::mem::take(&mut self.segments);
        for segment in &mut segments {
            if segment.batches.first().is_none_or(|first| first.header().next_offset() > limit) {
                continue;
            }
            let kept = segment.batches.iter().filter_map(|stored| {
                if stored.header().next_offset() > limit {
                    return Some(stored.clone());
                }
                sweep.clean(self, stored)
            });
            let kept = kept.collect();
            segment.replace(kept);
        }
        let last = segments.len().saturating_sub(1);
        let mut index = 0;
        segments.retain(|segment| {
            index += 1;
            index - 1 == last || !segment.batches.is_empty()
        });
        self.segments = segments;
        self.snapshots.retain(|offset, _| self.segments.iter().any(|segment| segment.base_offset == *offset));
        self.forget_aborted();
    }

    /// Up to where compaction may go.
    fn compaction_limit(&self, now_ms: i64) -> i64 {
        let lag = self.config.min_compaction_lag_ms;
        let is_young = |largest: i64| lag > 0 && largest > now_ms.saturating_sub(lag);
        let young = self.segments.iter().find(|segment| is_young(segment.largest_timestamp()));
        let active = self.segments.back().map_or(0, |segment| segment.base_offset);
        let stable = self.last_stable_offset();
        young.map_or(i64::MAX, |segment| segment.base_offset).min(active).min(stable)
    }

    /// The last offset of each key.
    fn latest_offsets(&self, limit: i64) -> HashMap<Bytes, i64> {
        let mut latest = HashMap::new();
        let decided = self.stored().take_while(|stored| stored.header().next_offset() <= limit);
        for stored in decided.filter(|stored| !stored.is_control() && !self.is_aborted(stored.header())) {
            for record in records_of(stored).into_iter().flatten() {
                if let Some(key) = record.key_bytes() {
                    latest.insert(key, record.offset());
                }
            }
        }
        latest
    }

    fn is_aborted(&self, header: &BatchHeader) -> bool {
        header.attributes.is_transactional()
            && self.aborted.iter().any(|aborted| {
                aborted.producer_id == header.producer_id
                    && (aborted.first_offset..=aborted.last_offset).contains(&header.base_offset)
            })
    }

    /// Forgets aborted transactions of which the marker is gone.
    fn forget_aborted(&mut self) {
        let markers: HashSet<i64> = self
            .stored()
            .filter(|stored| stored.is_control())
            .map(|stored| stored.header().base_offset)
            .collect();
        self.aborted.retain(|aborted| markers.contains(&aborted.last_offset));
    }
}

/// One pass over the log.
#[derive(Default)]
struct Sweep<'a> {
    now_ms: i64,
    latest: Latest<'a>,
    /// Producers of which the pass met records since their last marker.
    open: HashSet<i64>,
}

/// The last offset of each key.
type Latest<'a> = Option<&'a HashMap<Bytes, i64>>;

impl Sweep<'_> {
    /// What is left of a batch.
    fn clean(&mut self, log: &PartitionLog, stored: &RecordBatch) -> Option<RecordBatch> {
        let header = stored.header();
        let horizon = header.delete_horizon_ms();
        let is_past_horizon = horizon.is_some_and(|horizon| horizon < self.now_ms);
        let Some(records) = records_of(stored) else { return Some(stored.clone()) };
        let mut needs_horizon = false;
        let mut kept = Vec::with_capacity(records.len());
        if header.attributes.is_control() {
            let is_marker = records.first().is_some_and(is_end_of_transaction);
            let is_empty = is_marker && !self.open.remove(&header.producer_id);
            needs_horizon = is_empty;
            if !(is_empty && is_past_horizon) {
                kept.clone_from(&records);
            }
        } else {
            if header.attributes.is_transactional() {
                self.open.insert(header.producer_id);
            }
            if !log.is_aborted(header) {
                for record in &records {
                    if self.is_latest(record) && (record.value().is_some() || !is_past_horizon) {
                        needs_horizon |= record.value().is_none();
                        kept.push(record.clone());
                    }
                }
            }
        }
        needs_horizon &= horizon.is_none();
        if kept.len() == records.len() && !needs_horizon && !kept.is_empty() {
            return Some(stored.clone());
        }
        if kept.is_empty() {
            let is_needed = header.has_producer_id() && log.producers.is_last_of_producer(header);
            return is_needed.then(|| rebuilt(stored, &[], None));
        }
        let horizon = if needs_horizon {
            Some(self.now_ms.saturating_add(log.config.delete_retention_ms))
        } else {
            horizon
        };
        Some(rebuilt(stored, &kept, horizon))
    }

    /// Whether no later record of the same key was met; a record without a key has no place in a compacted log.
    fn is_latest(&self, record: &Record) -> bool {
        let latest = self.latest.and_then(|latest| latest.get(record.key()?).copied());
        latest.is_some_and(|latest| record.offset() >= latest)
    }
}

/// The batch at its place with these records only.
fn rebuilt(stored: &RecordBatch, records: &[Record], horizon: Option<i64>) -> RecordBatch {
    let header = stored.header();
    let latest = records.iter().map(Record::timestamp).max();
    let is_stamped = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
    let changed = BatchHeader {
        attributes: batch::with_delete_horizon(header.attributes, horizon.is_some()),
        base_timestamp: horizon.unwrap_or_else(|| records.first().map_or(NO_TIMESTAMP, Record::timestamp)),
        max_timestamp: latest.filter(|_| !is_stamped).unwrap_or(header.max_timestamp),
        ..*header
    };
    let codec = header.attributes.compression().unwrap_or(Compression::None);
    batch::build(&changed, codec, records).unwrap_or_else(|_| stored.clone())
}

/// The batch's records, unless this build can't decompress them.
fn records_of(stored: &RecordBatch) -> Option<Vec<Record>> {
    let mut cursor = stored.cursor(&DecodeOptions::DEFAULT).ok()?;
    let mut records = Vec::new();
    while let Some(record) = cursor.next_record().ok()? {
        records.push(record);
    }
    Some(records)
}

fn is_end_of_transaction(record: &Record) -> bool {
    matches!(
        ControlRecord::of(&record.as_ref()),
        Ok(ControlRecord::Abort { .. } | ControlRecord::Commit { .. })
    )
}
