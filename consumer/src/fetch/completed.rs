//! [`CompletedFetch`]: what a broker sent of one partition, read at the application's pace.
//!
//! Guarantees: records come in the order of their offsets, none before the offset that was asked for; control records
//! and, when reading committed, records of aborted transactions are passed over but move the next offset; so do
//! compaction's holes and empty batches; a batch that is cut off at the end is ignored; a damaged batch gives its error
//! after all records before it, and the next offset stays before the damage.
//!
//! Sources: KIP-98 (transactions), KIP-74 (batches that are cut off).

use bytes::Bytes;
use ottla_client::TopicPartition;
use ottla_protocol::messages::fetch::AbortedTransaction;
use ottla_protocol::records::{self, Batches, ControlRecord, DecodeOptions, RecordError, RecordErrorKind};
use ottla_protocol::uuid::Uuid;

pub(crate) use extent::Extent;
use open::OpenBatch;

use super::aborted::AbortedTransactions;
use super::frames::Frame;
use crate::batch::RecordBatch;
use crate::options::IsolationLevel;
use crate::record::Record;
use crate::subscription::{Generation, Provenance};

/// What a broker sent of one partition, undecoded until it is asked for.
#[derive(Debug)]
pub struct CompletedFetch {
    source: TopicPartition,
    provenance: Provenance,
    batches: Batches,
    open: Option<OpenBatch>,
    /// What `batches` was before the batch that is open.
    before_open: Batches,
    /// The memory that it lies in, if somebody counts that.
    frame: Option<Frame>,
    /// Whether it is to be copied out of its frame before anything of it is read.
    apart: bool,
    /// Present when reading committed.
    aborted: Option<AbortedTransactions>,
    decode: DecodeOptions,
    next_offset: i64,
    leader_epoch: i32,
    /// The offset after the last batch that was begun, whatever of it was left out.
    batch_end: Option<i64>,
    failed: Option<RecordError>,
    /// Where the batch that was begun last ends, by its header.
    batch_claim: Option<Claim>,
    extent: Extent,
}

/// Where a batch ends, as its header says.
#[derive(Clone, Copy, Debug)]
struct Claim {
    end: i64,
    /// Whether two fields say so, or it is the least that any batch takes: one damaged field cannot amount to that.
    is_sure: bool,
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
            source: TopicPartition::new("", 0),
            provenance: Provenance::default(),
            before_open: Batches::new(Bytes::new()),
            batches: Batches::new(records),
            open: None,
            frame: None,
            apart: false,
            aborted: (isolation == IsolationLevel::ReadCommitted).then(|| AbortedTransactions::new(aborted)),
            decode: DecodeOptions::DEFAULT,
            next_offset: fetch_offset,
            leader_epoch: -1,
            batch_end: None,
            failed: None,
            batch_claim: None,
        }
    }

    /// The same, with checksums compared or not.
    #[must_use]
    pub fn check_crcs(mut self, check: bool) -> CompletedFetch {
        self.decode.check_crcs = check;
        self
    }

    /// The same, with the name that its records bear.
    #[must_use]
    pub fn of(mut self, partition: &TopicPartition) -> CompletedFetch {
        self.source.clone_from(partition);
        self
    }

    /// The same, with the generation of the position that it was fetched from.
    #[must_use]
    pub(crate) fn in_generation(mut self, generation: Generation) -> CompletedFetch {
        self.provenance.generation = generation;
        self
    }

    /// The same, with the topic's id, if it is known.
    #[must_use]
    pub(crate) fn of_topic(mut self, topic_id: Option<Uuid>) -> CompletedFetch {
        self.provenance.topic_id = topic_id;
        self
    }

    /// The same, as a slice of this memory.
    pub(crate) fn within(mut self, frame: Frame) -> CompletedFetch {
        self.frame = Some(frame);
        self
    }

    /// The memory that it lies in.
    pub(crate) fn frame(&self) -> Option<&Frame> {
        self.frame.as_ref()
    }

    /// Bytes that are not read to the end of their batch.
    pub(crate) fn unread(&self) -> usize {
        self.rest().remaining()
    }

    /// Whether it keeps much more memory than it is itself.
    pub(crate) fn is_wasteful(&self) -> bool {
        let size = self.frame.as_ref().map_or(0, Frame::size);
        size.saturating_sub(self.unread()) > size / WORTH_COPYING
    }

    /// Copies what is not read yet into memory of its own.
    pub(crate) fn copy_apart(&mut self) {
        let Some(frame) = &self.frame else { return };
        // Damage is as good as read, and its surroundings say where it ends.
        if self.failed.is_some() {
            return;
        }
        let copy = Bytes::copy_from_slice(self.rest().as_slice());
        let frame = frame.copied(copy.len());
        self.batches = Batches::new(copy);
        // What was read of it is passed over when it is opened again.
        self.open = None;
        self.before_open = Batches::new(Bytes::new());
        self.frame = Some(frame);
    }

    /// Has it copied before anything more of it is read, by whoever reads.
    pub(crate) fn read_apart(&mut self) {
        self.apart = self.is_wasteful();
    }

    /// The batch that is open, and all that follow it.
    fn rest(&self) -> &Batches {
        if self.open.is_some() { &self.before_open } else { &self.batches }
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
    pub fn take(&mut self, max: usize) -> Result<Vec<Record>, RecordError> {
        let mut taken = Vec::new();
        match self.take_into(&mut taken, max) {
            Err(error) if taken.is_empty() => Err(error),
            _ => Ok(taken),
        }
    }

    /// Appends at most `max` records; true at the end.
    ///
    /// # Errors
    /// As [`CompletedFetch::next_record`], with the records before it appended.
    pub(crate) fn take_into(&mut self, taken: &mut Vec<Record>, max: usize) -> Result<bool, RecordError> {
        let full = taken.len().saturating_add(max);
        while taken.len() < full {
            if let Some(open) = &mut self.open {
                match open.take_into(&self.source, &mut self.next_offset, taken, full) {
                    Ok(false) => break,
                    Ok(true) => self.open = None,
                    Err(error) => return Err(self.fail(error)),
                }
            }
            if !self.open_next()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The next record of the batch that is being read; `None` does not say why there is none.
    #[inline]
    pub(crate) fn next_at_hand(&mut self) -> Option<Record> {
        let open = self.open.as_mut().filter(|open| !open.is_control())?;
        let record = open.next_record(&self.source).ok().flatten()?;
        self.next_offset = record.offset().saturating_add(1);
        Some(record)
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// The damage that comes next; the same again from then on.
    pub fn next_record(&mut self) -> Result<Option<Record>, RecordError> {
        loop {
            if let Some(open) = &mut self.open {
                match open.next_record(&self.source) {
                    Ok(Some(record)) => {
                        self.next_offset = record.offset().saturating_add(1);
                        if !open.is_control() {
                            return Ok(Some(record));
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

    /// The rest of the batch that is being read, or the next one; `None` at the end. What is taken counts as read to the
    /// batch's end.
    ///
    /// # Errors
    /// As [`CompletedFetch::next_record`].
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, RecordError> {
        loop {
            if let Some(open) = self.open.take() {
                let from = self.next_offset;
                self.next_offset = from.max(open.next_offset());
                if let Some(batch) = open.into_batch(&self.source, from) {
                    return Ok(Some(batch));
                }
            }
            if !self.open_next()? {
                return Ok(None);
            }
        }
    }

    /// Where reading can go on behind the damage that was met, if that can be told; the log ends at `log_end`.
    ///
    /// The batch that follows begins behind the damaged one, if not right there. Without it, there is only what the damaged
    /// header says, which may be damaged itself: too far a leap would leave good records out, up to the log's end.
    pub(crate) fn behind_damage(&self, log_end: Option<i64>) -> Option<i64> {
        let error = self.failed.as_ref()?;
        let following =
            self.batches.clone().next().and_then(Result::ok).map(|batch| batch.header().base_offset);
        let is_whole = self.decode.check_crcs && !matches!(error.kind, RecordErrorKind::Crc { .. });
        let is_within = |end: i64| log_end.is_none_or(|log_end| end <= log_end);
        let claim = self
            .batch_claim
            .filter(|claim| following.is_some() || is_whole || (claim.is_sure && is_within(claim.end)));
        let claim = claim.map(|claim| claim.end);
        claim.into_iter().chain(following).filter(|end| *end > self.next_offset).min()
    }

    /// Goes on to the next batch that is worth reading; false at the end.
    fn open_next(&mut self) -> Result<bool, RecordError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if std::mem::take(&mut self.apart) {
            self.copy_apart();
        }
        loop {
            self.before_open.clone_from(&self.batches);
            let batch = match self.batches.next() {
                Some(Ok(batch)) => batch,
                Some(Err(error)) => {
                    // A message of an old format has one offset, or, if it wraps others, that of the last of them.
                    let is_old = matches!(error.kind, RecordErrorKind::UnsupportedMagic { .. });
                    let claim = error.base_offset.checked_add(1).filter(|_| is_old);
                    self.batch_claim = claim.map(|end| Claim { end, is_sure: true });
                    return Err(self.fail(error));
                }
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
    fn begin(&mut self, batch: &records::RecordBatch) -> Result<bool, RecordError> {
        let header = batch.header();
        let end = header.next_offset();
        // Only compaction makes the two differ.
        let is_sure = header.base_offset.checked_add(header.count.into()) == Some(end);
        self.batch_claim = Some(Claim { end, is_sure });
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
        self.open = Some(OpenBatch::new(cursor, header, self.provenance));
        Ok(true)
    }

    #[cold]
    fn fail(&mut self, error: RecordError) -> RecordError {
        self.open = None;
        self.failed = Some(error);
        error
    }
}

/// Memory is worth a copy from this part of it on that nobody needs.
const WORTH_COPYING: usize = 4;

/// Whether a control batch ends a transaction by aborting it; its first record says so.
fn is_abort_marker(batch: &records::RecordBatch, decode: &DecodeOptions) -> Result<bool, RecordError> {
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

mod extent;
mod open;

#[cfg(test)]
mod tests;
