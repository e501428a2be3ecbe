//! [`CompletedFetch`]: what a broker sent of one partition, read at the application's pace.
//!
//! Guarantees: records come in the order of their offsets, none before the offset that was asked for; control records
//! and, when reading committed, records of aborted transactions are passed over but move the next offset; so do
//! compaction's holes and empty batches; a batch that is cut off at the end is ignored; a damaged batch gives its error
//! after all records before it, and the next offset stays before the damage.
//!
//! Sources: KIP-98 (transactions), KIP-74 (batches that are cut off).

use bytes::Bytes;
use ottla_protocol::messages::fetch::AbortedTransaction;
use ottla_protocol::records::{
    BatchCursor, Batches, ControlRecord, DecodeOptions, Record, RecordBatch, RecordError, RecordErrorKind,
    TimestampType,
};

use super::aborted::AbortedTransactions;
use crate::options::IsolationLevel;

/// A record with what its batch says about it.
#[derive(Clone, Debug)]
pub struct FetchedRecord {
    /// The record.
    pub record: Record,
    /// Whose clock its timestamp is from.
    pub timestamp_type: TimestampType,
    /// The epoch of the leader that appended it, or -1.
    pub leader_epoch: i32,
}

/// What a broker sent of one partition, undecoded until it is asked for.
#[derive(Debug)]
pub struct CompletedFetch {
    batches: Batches,
    open: Option<OpenBatch>,
    /// Present when reading committed.
    aborted: Option<AbortedTransactions>,
    decode: DecodeOptions,
    next_offset: i64,
    leader_epoch: i32,
    /// The offset after the last batch that was begun, whatever of it was left out.
    batch_end: Option<i64>,
    failed: Option<RecordError>,
    extent: Extent,
}

/// How far what was sent reaches, as its batches' headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Where the next fetch goes on.
    pub(crate) next_offset: i64,
    /// The leader epoch of the last batch, or -1.
    pub(crate) leader_epoch: i32,
    /// Complete batches.
    pub(crate) batches: usize,
    /// Their records.
    pub(crate) records: u64,
    /// Whether the headers end in damage, behind which nothing is known.
    pub(crate) damaged: bool,
    /// Bytes.
    pub(crate) size: usize,
}

#[derive(Debug)]
struct OpenBatch {
    cursor: BatchCursor,
    is_control: bool,
    timestamp_type: TimestampType,
    leader_epoch: i32,
}

impl CompletedFetch {
    /// What was sent for `fetch_offset`; `aborted` is listed in any order and only counts when reading committed.
    pub fn new(
        records: Bytes,
        fetch_offset: i64,
        isolation: IsolationLevel,
        aborted: Vec<AbortedTransaction>,
    ) -> CompletedFetch {
        CompletedFetch {
            extent: Extent::of(&records, fetch_offset),
            batches: Batches::new(records),
            open: None,
            aborted: (isolation == IsolationLevel::ReadCommitted).then(|| AbortedTransactions::new(aborted)),
            decode: DecodeOptions::DEFAULT,
            next_offset: fetch_offset,
            leader_epoch: -1,
            batch_end: None,
            failed: None,
        }
    }

    /// The same, with checksums compared or not.
    #[must_use]
    pub fn check_crcs(mut self, check: bool) -> CompletedFetch {
        self.decode.check_crcs = check;
        self
    }

    /// Where the consumer stands: after the last record that was taken, and after what was passed over behind it.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// The leader epoch of the last batch that was begun, or -1.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    pub(crate) fn extent(&self) -> Extent {
        self.extent
    }

    /// At most `max` records; none at the end.
    ///
    /// # Errors
    /// The damage that comes next, once there is no record before it; the same again from then on.
    pub fn take(&mut self, max: usize) -> Result<Vec<FetchedRecord>, RecordError> {
        let mut taken = Vec::new();
        while taken.len() < max {
            match self.next_record() {
                Ok(Some(record)) => taken.push(record),
                Ok(None) => break,
                Err(error) if taken.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(taken)
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// The damage that comes next; the same again from then on.
    #[inline]
    pub fn next_record(&mut self) -> Result<Option<FetchedRecord>, RecordError> {
        loop {
            if let Some(open) = &mut self.open {
                match open.cursor.next_record() {
                    Ok(Some(record)) => {
                        self.next_offset = record.offset().saturating_add(1);
                        if !open.is_control {
                            let OpenBatch { timestamp_type, leader_epoch, .. } = *open;
                            return Ok(Some(FetchedRecord { record, timestamp_type, leader_epoch }));
                        }
                        continue;
                    }
                    Ok(None) => self.open = None,
                    Err(error) => return Err(self.fail(error)),
                }
            }
            if !self.open_next()? {
                return Ok(None);
            }
        }
    }

    /// Goes on to the next batch that is worth reading; false at the end.
    fn open_next(&mut self) -> Result<bool, RecordError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        loop {
            let batch = match self.batches.next() {
                Some(Ok(batch)) => batch,
                Some(Err(error)) => return Err(self.fail(error)),
                None => {
                    // Compaction may have removed the last records of the last batch; the header still counts them.
                    self.next_offset = self.next_offset.max(self.batch_end.unwrap_or(self.next_offset));
                    return Ok(false);
                }
            };
            match self.begin(&batch) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => return Err(self.fail(error)),
            }
        }
    }

    /// Opens a batch; false if nothing of it counts.
    fn begin(&mut self, batch: &RecordBatch) -> Result<bool, RecordError> {
        let header = batch.header();
        let mut cursor = batch.cursor(&self.decode)?;
        self.batch_end = Some(cursor.next_offset());
        self.leader_epoch = header.partition_leader_epoch;
        if let Some(aborted) = &mut self.aborted
            && header.has_producer_id()
        {
            aborted.advance_to(cursor.last_offset());
            if batch.is_control() {
                if is_abort_marker(batch, &self.decode)? {
                    aborted.end(header.producer_id);
                }
            } else if header.attributes.is_transactional() && aborted.contains(header.producer_id) {
                self.next_offset = self.next_offset.max(cursor.next_offset());
                return Ok(false);
            }
        }
        cursor.skip_to(self.next_offset);
        self.open = Some(OpenBatch {
            cursor,
            is_control: batch.is_control(),
            timestamp_type: header.attributes.timestamp_type(),
            leader_epoch: header.partition_leader_epoch,
        });
        Ok(true)
    }

    #[cold]
    fn fail(&mut self, error: RecordError) -> RecordError {
        self.open = None;
        self.failed = Some(error);
        error
    }
}

impl Extent {
    fn of(records: &Bytes, fetch_offset: i64) -> Extent {
        let mut extent = Extent {
            next_offset: fetch_offset,
            leader_epoch: -1,
            batches: 0,
            records: 0,
            damaged: false,
            size: records.len(),
        };
        for batch in Batches::new(records.clone()) {
            match batch {
                Ok(batch) => {
                    extent.next_offset = extent.next_offset.max(batch.header().next_offset());
                    extent.leader_epoch = batch.header().partition_leader_epoch;
                    extent.batches += 1;
                    extent.records += u64::try_from(batch.header().count).unwrap_or(0);
                }
                Err(_) => extent.damaged = true,
            }
        }
        extent
    }
}

/// Whether a control batch ends a transaction by aborting it; its first record says so.
fn is_abort_marker(batch: &RecordBatch, decode: &DecodeOptions) -> Result<bool, RecordError> {
    let mut cursor = batch.cursor(&DecodeOptions { check_crcs: false, ..*decode })?;
    let Some(record) = cursor.next_ref()? else { return Ok(false) };
    match ControlRecord::of(&record) {
        Ok(marker) => Ok(matches!(marker, ControlRecord::Abort { .. })),
        Err(fault) => Err(RecordError {
            base_offset: batch.header().base_offset,
            kind: RecordErrorKind::Record { index: 0, fault },
        }),
    }
}
