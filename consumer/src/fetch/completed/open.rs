//! [`OpenBatch`]: the batch that is being read, and what its records share.
//!
//! Records are found many at a time and handed out from there: the state of a cursor is looked up and stored once for all of
//! them, and a record is moved out of memory in which it has lain for a while, which is quicker than right after its fields
//! were written one by one.

use std::sync::Arc;

use ottla_client::TopicPartition;
use ottla_protocol::records::{BatchCursor, BatchHeader, LocatedRecord, RecordError, TimestampType};

use crate::batch::RecordBatch;
use crate::record::{Block, Record};
use crate::subscription::Provenance;

/// A batch of which some may be read already.
#[derive(Debug)]
pub(super) struct OpenBatch {
    cursor: BatchCursor,
    is_control: bool,
    shared: Shared,
    /// Records in the cursor's block: before `next` those that were handed out, up to `end` those that were not.
    found: Vec<LocatedRecord>,
    next: usize,
    end: usize,
}

/// What records share.
#[derive(Debug)]
struct Shared {
    timestamp_type: TimestampType,
    leader_epoch: i32,
    provenance: Provenance,
    /// The same for those in the cursor's block of this number.
    block: Option<(u32, Arc<Block>)>,
}

impl OpenBatch {
    pub(super) fn new(cursor: BatchCursor, header: &BatchHeader, provenance: Provenance) -> OpenBatch {
        let shared = Shared {
            timestamp_type: header.attributes.timestamp_type(),
            leader_epoch: header.partition_leader_epoch,
            provenance,
            block: None,
        };
        let is_control = header.attributes.is_control();
        OpenBatch { cursor, is_control, shared, found: Vec::new(), next: 0, end: 0 }
    }

    /// Whether its records are brokers' own.
    #[inline]
    pub(super) fn is_control(&self) -> bool {
        self.is_control
    }

    /// The offset after it.
    pub(super) fn next_offset(&self) -> i64 {
        self.cursor.next_offset()
    }

    /// The rest of it from an offset on, unless nothing is left that an application may see.
    pub(super) fn into_batch(mut self, source: &TopicPartition, from: i64) -> Option<RecordBatch> {
        // Nothing is found without the first of it being handed out.
        if self.next < self.end
            && let Some(last) = self.next.checked_sub(1)
        {
            self.cursor.back_to(&self.found[last], self.end - self.next);
        }
        let OpenBatch { cursor, is_control, shared, .. } = self;
        let Shared { timestamp_type, leader_epoch, provenance, .. } = shared;
        let generation = provenance.generation;
        let from = from.max(cursor.base_offset());
        (!is_control && cursor.remaining() > 0)
            .then(|| RecordBatch::new(source.clone(), cursor, from, timestamp_type, leader_epoch, generation))
    }

    /// The next record; `None` after the last.
    #[inline]
    pub(super) fn next_record(&mut self, source: &TopicPartition) -> Result<Option<Record>, RecordError> {
        if self.next >= self.end && !self.find(AT_ONCE)? {
            return Ok(None);
        }
        let at = self.found[self.next];
        self.next += 1;
        Ok(Some(Record::new(Arc::clone(self.shared.block(source, &self.cursor)), at)))
    }

    /// Appends records until there are `full`; true at the batch's end.
    pub(super) fn take_into(
        &mut self,
        source: &TopicPartition,
        next_offset: &mut i64,
        taken: &mut Vec<Record>,
        full: usize,
    ) -> Result<bool, RecordError> {
        while taken.len() < full {
            let room = full - taken.len();
            if self.next >= self.end && !self.find(room)? {
                return Ok(true);
            }
            let end = self.end.min(self.next.saturating_add(room));
            let found = &self.found[self.next..end];
            self.next = end;
            let Some(last) = found.last() else { continue };
            *next_offset = last.offset.saturating_add(1);
            if self.is_control {
                continue;
            }
            let block = self.shared.block(source, &self.cursor);
            if taken.len() == taken.capacity() {
                // A header's count is only a claim.
                let claimed = found.len().saturating_add(self.cursor.remaining()).min(room);
                taken.reserve(claimed.min(MOST_RESERVED));
            }
            taken.extend(found.iter().map(|at| Record::new(Arc::clone(block), *at)));
        }
        Ok(false)
    }

    /// Finds the records that come next, at least one and about `most`; false at the end.
    #[inline(never)]
    fn find(&mut self, most: usize) -> Result<bool, RecordError> {
        (self.next, self.end) = (0, 0);
        // The first of a block, or one out of the ordinary; most that follow it are neither.
        let Some(first) = self.cursor.next_located()? else { return Ok(false) };
        let most = most.min(self.cursor.remaining().saturating_add(1)).clamp(1, AT_ONCE);
        if self.found.len() < most {
            self.found.resize(most, first);
        }
        self.found[0] = first;
        self.end = 1 + self.cursor.locate(&mut self.found[1..most]);
        Ok(true)
    }
}

impl Shared {
    /// What the record that was read last shares with its neighbours.
    #[inline]
    fn block(&mut self, source: &TopicPartition, cursor: &BatchCursor) -> &Arc<Block> {
        let number = cursor.block_number();
        if self.block.as_ref().is_some_and(|(held, _)| *held != number) {
            self.block = None;
        }
        let Shared { timestamp_type, leader_epoch, provenance, block } = self;
        let made = || {
            let block = Block {
                source: source.clone(),
                bytes: cursor.block().clone(),
                timestamp_type: *timestamp_type,
                leader_epoch: *leader_epoch,
                provenance: *provenance,
            };
            (number, Arc::new(block))
        };
        &block.get_or_insert_with(made).1
    }
}

/// So many records are found at once, at most.
const AT_ONCE: usize = 32;

/// Room for so many records is made at once.
const MOST_RESERVED: usize = 4096;
