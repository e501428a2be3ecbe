//! What a log held in the end.

use std::collections::BTreeMap;
use std::fmt;

use ottla_protocol::records::{Batches, ControlRecord, DecodeOptions, RecordBatch, RecordError};

use super::event::RecordId;
use crate::log::{Isolation, PartitionLog};

/// A partition's log as it was at the end of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FinalLog {
    /// The first offset that can be read.
    pub start_offset: i64,
    /// The offset that the next record would get.
    pub end_offset: i64,
    /// Up to where some leader knew of each producer its last batch only; see [`PartitionLog::forgotten_to`].
    pub forgotten_to: i64,
    /// The records in the order of their offsets, without control records.
    pub records: Vec<Logged>,
}

/// A record in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logged {
    /// Its offset.
    pub offset: i64,
    /// Its name.
    pub record: RecordId,
    /// What became of its transaction.
    pub fate: Fate,
}

/// What became of a record's transaction, as its log tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is part of none.
    Plain,
    /// There is no marker yet.
    Open,
    /// It was committed.
    Committed,
    /// It was aborted.
    Aborted,
}

/// A log that holds what no run wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the log cannot be read: {0}")]
pub struct UnreadableLog(String);

impl FinalLog {
    /// A log that begins at 0 and ends behind the last of these records.
    pub fn new(records: impl IntoIterator<Item = Logged>) -> FinalLog {
        let records: Vec<Logged> = records.into_iter().collect();
        let end_offset = records.last().map_or(0, |last| last.offset + 1);
        FinalLog { end_offset, records, ..FinalLog::default() }
    }

    /// What a log holds below its high watermark, whose values are all [`RecordId::value`]'s.
    ///
    /// # Errors
    /// A batch or value that cannot be read, and where it is.
    pub fn of(log: &PartitionLog) -> Result<FinalLog, UnreadableLog> {
        let mut found = FinalLog {
            start_offset: log.start_offset(),
            forgotten_to: log.forgotten_to(),
            ..FinalLog::default()
        };
        let mut open: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        let mut from = log.start_offset();
        loop {
            let slice = log
                .read(from, 1 << 20, true, Isolation::HighWatermark)
                .map_err(|code| UnreadableLog(format!("offset {from}: {code}")))?;
            for batch in Batches::new(slice.records.clone()) {
                found.take(from, &batch.map_err(unreadable)?, &mut open)?;
            }
            if slice.next_offset == from {
                break;
            }
            from = slice.next_offset;
        }
        found.end_offset = from;
        Ok(found)
    }

    fn take(
        &mut self,
        from: i64,
        batch: &RecordBatch,
        open: &mut BTreeMap<i64, Vec<usize>>,
    ) -> Result<(), UnreadableLog> {
        let header = *batch.header();
        let mut cursor = batch.cursor(&DecodeOptions::default()).map_err(unreadable)?;
        while let Some(record) = cursor.next_ref().map_err(unreadable)? {
            if header.attributes.is_control() {
                let fate = match ControlRecord::of(&record) {
                    Ok(ControlRecord::Commit { .. }) => Fate::Committed,
                    Ok(ControlRecord::Abort { .. }) => Fate::Aborted,
                    _ => continue,
                };
                for decided in open.remove(&header.producer_id).unwrap_or_default() {
                    self.records[decided].fate = fate;
                }
                continue;
            }
            if record.offset < from {
                continue;
            }
            let id = record.value.and_then(RecordId::of_value);
            let Some(id) = id else {
                return Err(UnreadableLog(format!("the value at offset {} names no record", record.offset)));
            };
            let fate = if header.attributes.is_transactional() { Fate::Open } else { Fate::Plain };
            if fate == Fate::Open {
                open.entry(header.producer_id).or_default().push(self.records.len());
            }
            self.records.push(Logged { offset: record.offset, record: id, fate });
        }
        Ok(())
    }

    /// The first record from an offset on that a reader sees.
    pub fn visible_from(&self, offset: i64, committed_only: bool) -> Option<&Logged> {
        let first = self.records.partition_point(|logged| logged.offset < offset);
        self.records[first..].iter().find(|logged| logged.is_visible(committed_only))
    }

    /// The last record that a reader sees.
    pub fn last_visible(&self, committed_only: bool) -> Option<&Logged> {
        self.records.iter().rev().find(|logged| logged.is_visible(committed_only))
    }

    /// Whether a transaction has neither been committed nor aborted.
    pub fn has_open(&self) -> bool {
        self.records.iter().any(|logged| logged.fate == Fate::Open)
    }

    /// The record at an offset.
    pub fn at(&self, offset: i64) -> Option<&Logged> {
        self.records
            .binary_search_by_key(&offset, |logged| logged.offset)
            .ok()
            .map(|found| &self.records[found])
    }
}

impl Logged {
    /// A record that is part of no transaction.
    pub fn plain(offset: i64, record: RecordId) -> Logged {
        Logged { offset, record, fate: Fate::Plain }
    }

    /// Whether a reader sees the record.
    pub fn is_visible(&self, committed_only: bool) -> bool {
        !committed_only || matches!(self.fate, Fate::Plain | Fate::Committed)
    }
}

impl fmt::Display for FinalLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offsets {} to {}:", self.start_offset, self.end_offset)?;
        for Logged { offset, record, fate } in &self.records {
            let fate = match fate {
                Fate::Plain => "",
                Fate::Open => " (open)",
                Fate::Committed => " (committed)",
                Fate::Aborted => " (aborted)",
            };
            write!(f, " {offset}={record}{fate}")?;
        }
        Ok(())
    }
}

#[allow(clippy::needless_pass_by_value, reason = "made for `map_err`")]
fn unreadable(error: RecordError) -> UnreadableLog {
    UnreadableLog(error.to_string())
}
