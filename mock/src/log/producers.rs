//! What a log knows of its producers: their epochs, their last five batches and their open transactions.

use std::collections::{BTreeMap, VecDeque};

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_producers::ProducerState;
use ottla_protocol::records::{BatchHeader, ControlRecord, DecodeOptions, RecordBatch, sequence};

/// How many batches a producer may have in flight and still be answered for each that it repeats.
const WINDOW: usize = 5;

/// A batch that is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    last_sequence: i32,
    pub(super) last_offset: i64,
    offset_delta: i32,
    pub(super) timestamp: i64,
}

impl Written {
    pub(super) fn first_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }

    fn first_sequence(&self) -> i32 {
        sequence::sub(self.last_sequence, self.offset_delta)
    }
}

#[derive(Clone, Debug)]
struct Producer {
    epoch: i16,
    coordinator_epoch: i32,
    last_timestamp: i64,
    /// Where its open transaction begins.
    transaction: Option<i64>,
    /// Its last batches in this epoch.
    window: VecDeque<Written>,
}

/// A producer that never wrote here.
static UNKNOWN: Producer = Producer {
    epoch: -1,
    coordinator_epoch: -1,
    last_timestamp: -1,
    transaction: None,
    window: VecDeque::new(),
};

impl Producer {
    fn set_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.window.clear();
        }
    }

    fn last_sequence(&self) -> i32 {
        self.window.back().map_or(-1, |written| written.last_sequence)
    }
}

/// What was asked of the coordinator before a transaction's first batch was let in.
#[derive(Clone, Copy, Debug)]
struct Verification {
    epoch: i16,
    /// The lowest sequence that came in since: a later one must not overtake it.
    lowest_sequence: i32,
    /// Whether the batch itself adds the partition to the transaction (transaction version 2).
    implicit: bool,
    since_ms: i64,
}

/// A transaction's marker, on its way into the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) producer_id: i64,
    pub(super) producer_epoch: i16,
    pub(super) coordinator_epoch: i32,
    /// From 2 on, a marker's epoch is newer than that of the records it ends.
    pub(super) transaction_version: i8,
}

/// The producers of a log.
#[derive(Clone, Debug, Default)]
pub(super) struct Producers {
    entries: BTreeMap<i64, Producer>,
    /// Undecided transactions by their first offset.
    ongoing: BTreeMap<i64, i64>,
    /// Decided ones of which the marker is not replicated: first offset and the marker's.
    unreplicated: BTreeMap<i64, i64>,
    verifications: BTreeMap<i64, Verification>,
    /// Below this offset the last batch of each producer is known only, as the leader had written down when it stopped.
    noted_to: i64,
}

impl Producers {
    /// Says up to where the leader knows producers by what it wrote down when it stopped.
    pub(super) fn know_by_notes_to(&mut self, offset: i64) {
        self.noted_to = offset;
    }

    /// The place of a batch that is in the log already, if it is one of the producer's last five, and the leader has not
    /// been stopped since.
    pub(super) fn duplicate_of(&self, batch: &BatchHeader) -> Option<Written> {
        let producer =
            self.entries.get(&batch.producer_id).filter(|known| known.epoch == batch.producer_epoch)?;
        let range = (batch.base_sequence, batch.last_sequence());
        let noted = producer.window.partition_point(|known| known.last_offset < self.noted_to);
        let mut known = producer.window.range(noted.saturating_sub(1)..).copied();
        known.find(|known| (known.first_sequence(), known.last_sequence) == range)
    }

    pub(super) fn has_ongoing_transaction(&self, producer_id: i64, epoch: i16) -> bool {
        self.entries
            .get(&producer_id)
            .is_some_and(|known| known.transaction.is_some() && known.epoch == epoch)
    }

    /// Notes that a transaction's first batch is about to be verified.
    pub(super) fn begin_verification(&mut self, now_ms: i64, batch: &BatchHeader, implicit: bool) {
        let (epoch, first) = (batch.producer_epoch, batch.base_sequence);
        let new = Verification { epoch, lowest_sequence: first, implicit, since_ms: now_ms };
        let entry = self.verifications.entry(batch.producer_id).or_insert(new);
        if epoch > entry.epoch || (epoch == entry.epoch && first < entry.lowest_sequence) {
            (entry.epoch, entry.lowest_sequence) = (epoch, first);
        }
        entry.implicit = implicit;
    }

    /// Whether a client's batch may be appended.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH`, `OUT_OF_ORDER_SEQUENCE_NUMBER`, or `INVALID_TXN_STATE` for a batch outside the
    /// transaction that its producer has open.
    pub(super) fn check(&self, batch: &BatchHeader) -> Result<(), ErrorCode> {
        let known = self.entries.get(&batch.producer_id).unwrap_or(&UNKNOWN);
        let (epoch, first) = (batch.producer_epoch, batch.base_sequence);
        if epoch < known.epoch {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        let in_order = match self.verifications.get(&batch.producer_id) {
            Some(verified) if verified.implicit && first != 0 && known.window.is_empty() => false,
            Some(verified) if first > verified.lowest_sequence => false,
            _ if known.epoch == -1 => true,
            _ if epoch != known.epoch => first == 0,
            _ => {
                let last = known.last_sequence();
                i64::from(first) == i64::from(last) + 1 || (first == 0 && last == i32::MAX)
            }
        };
        if !in_order {
            return Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        }
        if known.transaction.is_some() && !batch.attributes.is_transactional() {
            return Err(ErrorCode::INVALID_TXN_STATE);
        }
        Ok(())
    }

    /// Notes a batch of records that was appended.
    pub(super) fn append(&mut self, batch: &BatchHeader) {
        let producer = self.entries.entry(batch.producer_id).or_insert_with(|| UNKNOWN.clone());
        producer.set_epoch(batch.producer_epoch);
        if producer.window.len() == WINDOW {
            producer.window.pop_front();
        }
        producer.window.push_back(Written {
            last_sequence: batch.last_sequence(),
            last_offset: batch.last_offset(),
            offset_delta: batch.last_offset_delta,
            timestamp: batch.max_timestamp,
        });
        producer.last_timestamp = batch.max_timestamp;
        if batch.attributes.is_transactional() {
            self.verifications.remove(&batch.producer_id);
            if producer.transaction.is_none() {
                producer.transaction = Some(batch.base_offset);
                self.ongoing.insert(batch.base_offset, batch.producer_id);
            }
        }
    }

    /// Whether a marker may be appended.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` or `TRANSACTION_COORDINATOR_FENCED` for one that comes too late.
    pub(super) fn check_end(&self, end: &Ending) -> Result<(), ErrorCode> {
        let known = self.entries.get(&end.producer_id).unwrap_or(&UNKNOWN);
        let late = if end.transaction_version >= 2 {
            end.producer_epoch <= known.epoch
        } else {
            end.producer_epoch < known.epoch
        };
        if late {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        if known.coordinator_epoch > end.coordinator_epoch {
            return Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED);
        }
        Ok(())
    }

    /// Notes a marker that was appended, and gives the first offset of the transaction that it ended, if one was open.
    pub(super) fn end(&mut self, end: &Ending, offset: i64, timestamp: i64) -> Option<i64> {
        let producer = self.entries.entry(end.producer_id).or_insert_with(|| UNKNOWN.clone());
        producer.set_epoch(end.producer_epoch);
        producer.coordinator_epoch = end.coordinator_epoch;
        producer.last_timestamp = timestamp;
        self.verifications.remove(&end.producer_id);
        let first = producer.transaction.take()?;
        self.ongoing.remove(&first);
        self.unreplicated.insert(first, offset);
        Some(first)
    }

    /// Takes in a batch that is in the log, as a replica that reads it.
    pub(super) fn replay(&mut self, batch: &RecordBatch) {
        let header = batch.header();
        if !header.has_producer_id() {
            return;
        }
        if !header.attributes.is_control() {
            return self.append(header);
        }
        let Ok(mut cursor) = batch.cursor(&DecodeOptions::DEFAULT) else { return };
        let Ok(Some(record)) = cursor.next_ref() else { return };
        let Ok(ControlRecord::Abort { coordinator_epoch } | ControlRecord::Commit { coordinator_epoch }) =
            ControlRecord::of(&record)
        else {
            return;
        };
        let end = Ending {
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            coordinator_epoch,
            transaction_version: 0,
        };
        self.end(&end, header.base_offset, record.timestamp);
    }

    /// The first offset that is not decided, or decided by a marker that is not replicated.
    pub(super) fn first_unstable_offset(&self) -> Option<i64> {
        let ongoing = self.ongoing.keys().next();
        let unreplicated = self.unreplicated.keys().next();
        ongoing.into_iter().chain(unreplicated).min().copied()
    }

    /// All markers before this offset are replicated.
    pub(super) fn forget_replicated(&mut self, high_watermark: i64) {
        self.unreplicated.retain(|_, marker| *marker >= high_watermark);
    }

    pub(super) fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        let is_expired = |since_ms: i64| now_ms.saturating_sub(since_ms) >= expiration_ms;
        self.entries.retain(|_, known| known.transaction.is_some() || !is_expired(known.last_timestamp));
        self.verifications.retain(|_, verification| !is_expired(verification.since_ms));
    }

    pub(super) fn describe(&self) -> Vec<ProducerState> {
        let state = |(&producer_id, known): (&i64, &Producer)| ProducerState {
            producer_id,
            producer_epoch: i32::from(known.epoch),
            last_sequence: known.last_sequence(),
            last_timestamp: known.last_timestamp,
            coordinator_epoch: known.coordinator_epoch,
            current_txn_start_offset: known.transaction.unwrap_or(-1),
            ..Default::default()
        };
        self.entries.iter().map(state).collect()
    }

    /// Whether this batch is what the producer's state hangs on, so that compaction must not remove it.
    pub(super) fn is_last_of_producer(&self, batch: &BatchHeader) -> bool {
        let Some(known) = self.entries.get(&batch.producer_id) else { return false };
        match known.window.back() {
            Some(last) => batch.last_offset() == last.last_offset,
            None => batch.attributes.is_control() && batch.producer_epoch == known.epoch,
        }
    }
}
