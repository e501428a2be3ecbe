//! Reading: the stored batches as they are, and where in the log a time is.

use bytes::Bytes;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::records::{DecodeOptions, NO_TIMESTAMP, RecordBatch};

use super::PartitionLog;

/// How far a reader may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// To the log's end, as replicas do.
    LogEnd,
    /// To the high watermark (`read_uncommitted`).
    HighWatermark,
    /// To the last stable offset (`read_committed`), with the list of aborted transactions.
    Committed,
}

/// What a read gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Batches from the one with the offset that was asked for, which may begin before it; the last one may be cut off
    /// where the limit was. All are from one segment.
    pub records: Bytes,
    /// The aborted transactions that reach into the records; `None` for readers that don't ask.
    pub aborted: Option<Vec<AbortedTransaction>>,
    /// The high watermark.
    pub high_watermark: i64,
    /// The last stable offset.
    pub last_stable_offset: i64,
    /// Where the log begins.
    pub log_start_offset: i64,
    /// The offset after the last batch that is complete here, or the one asked for.
    pub next_offset: i64,
}

/// An aborted transaction, as a fetch answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose.
    pub producer_id: i64,
    /// Where it begins.
    pub first_offset: i64,
}

/// A place in the log, as ListOffsets answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetAt {
    /// The offset.
    pub offset: i64,
    /// The record's timestamp, or -1 for the log's ends.
    pub timestamp: i64,
    /// The leader epoch, or -1 if it is unknown.
    pub leader_epoch: i32,
}

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;

impl PartitionLog {
    /// The offset that a reader may not reach.
    pub fn limit(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::LogEnd => self.end_offset,
            Isolation::HighWatermark => self.high_watermark,
            Isolation::Committed => self.last_stable_offset(),
        }
    }

    /// Reads batches of up to `max_bytes`, from the one that holds offset `from`. With `min_one` the first batch is
    /// given out whole even if it is longer.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` before the log's start and after its end.
    pub fn read(
        &self,
        from: i64,
        max_bytes: usize,
        min_one: bool,
        isolation: Isolation,
    ) -> Result<Slice, ErrorCode> {
        let extent = self.extent(from, max_bytes, min_one, isolation)?;
        let aborted = (isolation == Isolation::Committed).then(|| {
            let upper = extent.begun.last().map_or(from, |batch| batch.header().next_offset());
            self.aborted_between(from, upper)
        });
        let complete = extent.begun[..extent.whole].last();
        Ok(Slice {
            records: extent.records(),
            aborted,
            high_watermark: self.high_watermark,
            last_stable_offset: self.last_stable_offset(),
            log_start_offset: self.start_offset,
            next_offset: complete.map_or(from, |batch| batch.header().next_offset()),
        })
    }

    /// How many bytes [`PartitionLog::read`] would give; nothing is copied for it.
    ///
    /// # Errors
    /// As [`PartitionLog::read`].
    pub fn readable(
        &self,
        from: i64,
        max_bytes: usize,
        min_one: bool,
        isolation: Isolation,
    ) -> Result<usize, ErrorCode> {
        self.extent(from, max_bytes, min_one, isolation).map(|extent| extent.bytes)
    }

    fn extent(
        &self,
        from: i64,
        max_bytes: usize,
        min_one: bool,
        isolation: Isolation,
    ) -> Result<Extent<'_>, ErrorCode> {
        if from < self.start_offset || from > self.end_offset {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        let batches = self.batches_from(from, self.limit(isolation));
        let first = batches.first().map_or(0, RecordBatch::size);
        let max_bytes = match (min_one, first > max_bytes) {
            (true, true) => first,
            (false, true) => 0,
            _ => max_bytes,
        };
        Ok(Extent::of(batches, max_bytes))
    }

    /// What ListOffsets answers for a timestamp, or for one of its special values: latest (-1), earliest (-2), the
    /// record with the latest timestamp (-3), earliest on local disk (-4). `None` where there is no such record. Values
    /// that ask for tiered storage find nothing.
    pub fn list_offset(&self, timestamp: i64, isolation: Isolation, leader_epoch: i32) -> Option<OffsetAt> {
        let limit = self.limit(isolation);
        match timestamp {
            LATEST => Some(OffsetAt { offset: limit, timestamp: NO_TIMESTAMP, leader_epoch }),
            EARLIEST | EARLIEST_LOCAL => Some(OffsetAt {
                offset: self.start_offset,
                timestamp: NO_TIMESTAMP,
                leader_epoch: self.epochs.epoch_at(self.start_offset).unwrap_or(-1),
            }),
            MAX_TIMESTAMP => self.offset_of_max_timestamp().filter(|found| found.offset < limit),
            timestamp if timestamp >= 0 => {
                self.offset_for_timestamp(timestamp).filter(|found| found.offset < limit)
            }
            _ => None,
        }
    }

    /// The first record at this time or later.
    fn offset_for_timestamp(&self, timestamp: i64) -> Option<OffsetAt> {
        let candidates = self.stored().filter(|batch| batch.header().max_timestamp >= timestamp);
        candidates.filter(|batch| batch.header().last_offset() >= self.start_offset).find_map(|batch| {
            self.find_record(batch, |offset, at| at >= timestamp && offset >= self.start_offset)
        })
    }

    /// The first record with the latest timestamp of all.
    fn offset_of_max_timestamp(&self) -> Option<OffsetAt> {
        let latest =
            self.stored().map(|batch| batch.header().max_timestamp).max().filter(|&latest| latest >= 0)?;
        let batch = self.stored().find(|batch| batch.header().max_timestamp == latest)?;
        self.find_record(batch, |_, at| at == latest)
    }

    fn find_record(&self, batch: &RecordBatch, wanted: impl Fn(i64, i64) -> bool) -> Option<OffsetAt> {
        let mut cursor = batch.cursor(&DecodeOptions::DEFAULT).ok()?;
        while let Ok(Some(record)) = cursor.next_ref() {
            if wanted(record.offset, record.timestamp) {
                return Some(OffsetAt {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    leader_epoch: batch.header().partition_leader_epoch,
                });
            }
        }
        None
    }

    /// Every batch, from the oldest.
    pub(super) fn stored(&self) -> impl Iterator<Item = &RecordBatch> {
        self.segments.iter().flat_map(|segment| &segment.batches)
    }

    /// Batches before `limit` of the first segment that has any from offset `from` on.
    fn batches_from(&self, from: i64, limit: i64) -> &[RecordBatch] {
        let holding = self.segments.partition_point(|segment| segment.base_offset <= from).saturating_sub(1);
        for segment in self.segments.range(holding..) {
            let batches = &segment.batches[segment.index_of(from)..];
            if !batches.is_empty() {
                let readable = batches.partition_point(|batch| batch.header().next_offset() <= limit);
                return &batches[..readable];
            }
        }
        &[]
    }

    fn aborted_between(&self, from: i64, upper: i64) -> Vec<AbortedTransaction> {
        let reach =
            |aborted: &&super::segment::Aborted| aborted.last_offset >= from && aborted.first_offset < upper;
        let answer = |aborted: &super::segment::Aborted| AbortedTransaction {
            producer_id: aborted.producer_id,
            first_offset: aborted.first_offset,
        };
        self.aborted.iter().filter(reach).map(answer).collect()
    }
}

/// The first bytes of some batches.
struct Extent<'a> {
    /// The batches that begin in them.
    begun: &'a [RecordBatch],
    /// How many of those end in them, too.
    whole: usize,
    bytes: usize,
}

impl<'a> Extent<'a> {
    fn of(batches: &'a [RecordBatch], max_bytes: usize) -> Extent<'a> {
        let mut total = 0;
        let (mut whole, mut begun) = (0, 0);
        for batch in batches {
            if total >= max_bytes {
                break;
            }
            begun += 1;
            total += batch.size();
            if total <= max_bytes {
                whole += 1;
            }
        }
        Extent { begun: &batches[..begun], whole, bytes: total.min(max_bytes) }
    }

    /// The bytes as one piece: the stored ones if they are of one batch, else a copy.
    fn records(&self) -> Bytes {
        match self.begun {
            [] => Bytes::new(),
            [only] => only.bytes().slice(..self.bytes),
            several => {
                let mut bytes = Vec::with_capacity(self.bytes);
                for batch in several {
                    let room = self.bytes - bytes.len();
                    bytes.extend_from_slice(&batch.bytes()[..batch.size().min(room)]);
                }
                bytes.into()
            }
        }
    }
}
