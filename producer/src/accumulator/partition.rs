//! [`PartitionBuffer`]: where the records of one partition are gathered.
//!
//! Senders append under a short lock, straight into the open batch's buffer. The producer's task takes batches out,
//! in the order in which they were opened. Guarantees: a record is either in a batch, with a delivery, or nowhere;
//! each change that the task must know of (a first open batch, a first full one) is in the inbox before the lock is
//! released, so that a flush that begins after `send` returned finds the record.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use ottla_protocol::records::{BATCH_HEADER_LEN, BatchBuilder};

use super::inbox::Inbox;
use super::ratio::Ratio;
use crate::acknowledge::{Attach, Lineup};
use crate::batch::Batch;
use crate::completion::{Completion, Teller};
use crate::delivery::{Delivery, Place};
use crate::memory::{Charge, Charged, Memory};
use crate::record::Record;

/// The size of a partition's first buffer, if `batch.size` is larger: a partition that is rarely written to doesn't
/// tie up a whole batch's memory.
const FIRST_BUFFER: usize = 16 << 10;

/// One partition's open batch and its full ones.
#[derive(Debug)]
pub(crate) struct PartitionBuffer {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    /// Its place among all partitions of the producer.
    pub(crate) index: u32,
    /// How well its topic's records can be compressed.
    ratio: Arc<Ratio>,
    appends: Mutex<Appends>,
}

#[derive(Debug)]
struct Appends {
    open: Option<OpenBatch>,
    full: VecDeque<Batch>,
    /// The buffer size of the next batch; it follows the traffic between [`FIRST_BUFFER`] and what fills a batch.
    buffer_size: usize,
    /// Whether the task knows that a batch is open, and that one is full.
    told_open: bool,
    told_full: bool,
    /// Bytes appended since the partition became its topic's sticky one.
    sticky_bytes: usize,
    /// After so many of them its turn is over at the latest.
    turn: usize,
    /// The order of what is attached to records; none until something is.
    lineup: Option<Box<Lineup>>,
}

#[derive(Debug)]
struct OpenBatch {
    builder: BatchBuilder,
    completion: Teller,
    ratio: Arc<Ratio>,
    opened: Instant,
    charge: Charge,
}

/// What an append needs beside the record.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    pub(crate) memory: &'a Arc<Memory>,
    pub(crate) inbox: &'a Inbox,
    pub(crate) closed: &'a AtomicBool,
    pub(crate) batch_size: usize,
    /// The most bytes of records in a batch, however small they may become.
    pub(crate) most: usize,
    /// Whether large records are summed as they are appended: not if they are to be compressed.
    pub(crate) sums_early: bool,
}

/// A record that was taken.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) delivery: Delivery,
    /// Whether the task has to be woken.
    pub(crate) wake: bool,
    /// Whether the partition has had its turn as the sticky one.
    pub(crate) turn_over: bool,
}

/// Why a record was not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The partition's batch is full and the record may go elsewhere.
    TurnOver { wake: bool },
    /// So many bytes must be reserved first.
    NoRoom { bytes: usize, wake: bool },
    /// The record doesn't fit into any batch.
    TooLarge,
    /// The producer was closed.
    Closed,
}

/// A partition that is locked.
#[derive(Debug)]
pub(crate) struct Locked<'b> {
    buffer: &'b PartitionBuffer,
    appends: MutexGuard<'b, Appends>,
}

/// What the task sees of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Glance {
    /// When the open batch was opened.
    pub(crate) open_since: Option<Instant>,
    /// Full batches.
    pub(crate) full: usize,
    /// When the oldest batch was opened.
    pub(crate) oldest: Option<Instant>,
}

impl PartitionBuffer {
    pub(crate) fn new(
        topic: Arc<str>,
        partition: i32,
        index: u32,
        batch_size: usize,
        ratio: Arc<Ratio>,
    ) -> Arc<Self> {
        let appends = Appends {
            open: None,
            full: VecDeque::new(),
            buffer_size: batch_size.clamp(BATCH_HEADER_LEN, FIRST_BUFFER.max(BATCH_HEADER_LEN)),
            told_open: false,
            told_full: false,
            sticky_bytes: 0,
            turn: 2 * batch_size,
            lineup: None,
        };
        Arc::new(PartitionBuffer { topic, partition, index, ratio, appends: Mutex::new(appends) })
    }

    /// Locks the partition for a record, or for several.
    #[inline(always)]
    pub(crate) fn lock(&self) -> Locked<'_> {
        Locked { buffer: self, appends: self.appends() }
    }

    /// Locks the partition unless it is locked.
    #[inline(always)]
    pub(crate) fn try_lock(&self) -> Option<Locked<'_>> {
        match self.appends.try_lock() {
            Ok(appends) => Some(Locked { buffer: self, appends }),
            Err(TryLockError::Poisoned(poisoned)) => {
                Some(Locked { buffer: self, appends: poisoned.into_inner() })
            }
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// What is there.
    pub(crate) fn glance(&self) -> Glance {
        self.appends().glance()
    }

    /// Takes the oldest batch; the open one only with `open`.
    pub(crate) fn take(&self, open: bool) -> (Option<Batch>, Glance) {
        let mut appends = self.appends();
        let batch = match appends.full.pop_front() {
            Some(full) => Some(full),
            None if open => {
                if let Some(drained) = &appends.open
                    && drained.builder.size() < appends.buffer_size / 4
                {
                    appends.buffer_size =
                        (appends.buffer_size / 2).max(FIRST_BUFFER.min(appends.buffer_size));
                }
                appends.open.take().map(OpenBatch::into_batch)
            }
            None => None,
        };
        appends.told_full = !appends.full.is_empty();
        appends.told_open = appends.open.is_some();
        (batch, appends.glance())
    }

    /// Closes the open batch if it was opened at `until` at the latest, so that nothing joins it any more, and lists what
    /// was opened by then and has not been taken.
    pub(crate) fn close_open(&self, until: Instant) -> Vec<Arc<Completion>> {
        let mut appends = self.appends();
        if let Some(open) = appends.open.take_if(|open| open.opened <= until) {
            appends.full.push_back(open.into_batch());
        }
        appends.told_open = appends.open.is_some();
        appends.told_full = !appends.full.is_empty();
        let listed = appends.full.iter().filter(|batch| batch.opened <= until);
        listed.map(|batch| batch.completion.share()).collect()
    }

    /// Whether no record is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.glance() == Glance::default()
    }

    #[inline(always)]
    fn appends(&self) -> MutexGuard<'_, Appends> {
        self.appends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Locked<'_> {
    /// Appends a record. `now` is asked for when a batch is opened; `sticky` says that the record may go to another
    /// partition instead, when this one has had its turn.
    #[inline(always)]
    pub(crate) fn append(
        &mut self,
        record: &Record<'_>,
        timestamp: i64,
        sticky: bool,
        room: &Room<'_>,
        reservation: &mut Option<Charge>,
        now: impl FnOnce() -> Instant,
    ) -> Result<Appended, Refused> {
        let appended = self.append_to_open(record, timestamp, sticky, room.closed);
        match appended.and_then(|(index, turn_over)| Some((self.place(index)?, turn_over))) {
            Some((place, turn_over)) => {
                Ok(Appended { delivery: place.delivery(timestamp), wake: false, turn_over })
            }
            None if room.closed.load(Ordering::Relaxed) => Err(Refused::Closed),
            None => self.append_to_new(record, timestamp, sticky, room, reservation, now),
        }
    }

    /// Appends a record to the open batch, if there is one that has room for it; which of its records it is, and whether
    /// the partition has had its turn as the sticky one.
    #[inline(always)]
    pub(crate) fn append_to_open(
        &mut self,
        record: &Record<'_>,
        timestamp: i64,
        sticky: bool,
        closed: &AtomicBool,
    ) -> Option<(u32, bool)> {
        // Under the lock, so that nothing is appended behind the last look of a task that ends.
        if closed.load(Ordering::Relaxed) {
            return None;
        }
        let appends = &mut *self.appends;
        let open = appends.open.as_mut()?;
        let before = open.builder.size();
        // A batch that holds records refuses one only for being full.
        let index = open.append(record, timestamp)?;
        let turn_over = sticky && {
            let added = open.builder.size() - before;
            appends.add_sticky(added)
        };
        Some((index, turn_over))
    }

    /// The place of a record in the open batch.
    #[inline(always)]
    pub(crate) fn place(&self, index: u32) -> Option<Place> {
        self.appends.open.as_ref().map(|open| Place::new(open.completion.share(), index))
    }

    /// Appends a record to a batch of its own, which others may join. The open one, if there is one, is full.
    #[cold]
    #[inline(never)]
    fn append_to_new(
        &mut self,
        record: &Record<'_>,
        timestamp: i64,
        sticky: bool,
        room: &Room<'_>,
        reservation: &mut Option<Charge>,
        now: impl FnOnce() -> Instant,
    ) -> Result<Appended, Refused> {
        let appends = &mut *self.appends;
        let mut wake = false;
        let fill = self.buffer.ratio.fill(room.batch_size, room.most);
        appends.turn = 2 * fill;
        if appends.open.is_some() {
            wake = appends.close_open(fill);
            if wake {
                room.inbox.push(self.buffer.index);
            }
        }
        let needed = record.size_upper_bound();
        if sticky && appends.sticky_bytes > 0 && appends.sticky_bytes + needed > fill {
            appends.sticky_bytes = 0;
            return Err(Refused::TurnOver { wake });
        }
        let mut bytes = appends.buffer_size.min(fill).max(needed);
        let Charged { buffer, charge } = match reservation.take() {
            // What was waited for will do if the record fits.
            Some(reserved) if reserved.bytes() >= needed => {
                bytes = bytes.min(reserved.bytes());
                reserved.with_buffer(bytes)
            }
            too_small => {
                drop(too_small);
                match room.memory.try_take(bytes) {
                    Some(charged) => charged,
                    None => return Err(Refused::NoRoom { bytes, wake }),
                }
            }
        };
        let buffer = if buffer.is_empty() { vec![0; bytes] } else { buffer };
        let builder = BatchBuilder::with_buffer(buffer, bytes);
        let mut open = OpenBatch {
            builder: if room.sums_early { builder.sum_early() } else { builder },
            completion: Teller::new(Arc::clone(&self.buffer.topic), self.buffer.partition),
            ratio: Arc::clone(&self.buffer.ratio),
            opened: now(),
            charge,
        };
        let Some(index) = open.append(record, timestamp) else {
            open.into_batch().drop_empty();
            return Err(Refused::TooLarge);
        };
        let place = Place::new(open.completion.share(), index);
        let added = open.builder.size();
        appends.open = Some(open);
        let turn_over = sticky && appends.add_sticky(added);
        if !std::mem::replace(&mut appends.told_open, true) {
            room.inbox.push(self.buffer.index);
            wake = true;
        }
        Ok(Appended { delivery: place.delivery(timestamp), wake, turn_over })
    }

    /// Notes what the application attached to the record of this delivery, which was appended last.
    pub(crate) fn attach(&mut self, delivery: &Delivery, mut attach: Attach<'_>) {
        let Appends { open, lineup, .. } = &mut *self.appends;
        if let Some(open) = open {
            open.completion.attach(delivery, &mut attach, lineup.get_or_insert_default());
        }
    }
}

impl Appends {
    /// Closes the open batch as full; true if the task doesn't know of a full batch yet.
    fn close_open(&mut self, fill: usize) -> bool {
        if let Some(open) = self.open.take() {
            self.full.push_back(open.into_batch());
            self.buffer_size = (self.buffer_size * 4).min(fill.max(FIRST_BUFFER.min(self.buffer_size)));
        }
        !std::mem::replace(&mut self.told_full, true)
    }

    /// Counts bytes of the sticky partition; true when its turn is over.
    #[inline]
    fn add_sticky(&mut self, bytes: usize) -> bool {
        self.sticky_bytes += bytes;
        let over = self.sticky_bytes >= self.turn;
        if over {
            self.sticky_bytes = 0;
        }
        over
    }

    fn glance(&self) -> Glance {
        let open_since = self.open.as_ref().map(|open| open.opened);
        let oldest = self.full.front().map(|batch| batch.opened).or(open_since);
        Glance { open_since, full: self.full.len(), oldest }
    }
}

impl OpenBatch {
    /// Writes a record, if it fits. One function, as it is called from everywhere and all that encodes a record is in it.
    #[inline(never)]
    fn append(&mut self, record: &Record<'_>, timestamp: i64) -> Option<u32> {
        let (key, value) = (record.key_bytes(), record.value_bytes());
        self.builder.try_append(timestamp, key, value, record.header_slice()).ok()
    }

    fn into_batch(self) -> Batch {
        Batch::new(self.completion, self.builder, self.opened, self.charge, self.ratio)
    }
}
