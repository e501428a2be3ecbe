//! [`Accumulator`]: all records that wait to be sent, by topic and partition.
//!
//! It is shared by all handles of a producer and its task. Sending a record locks its partition and nothing else: topics
//! are found in what the thread remembers (`recent`). Only opening a batch takes the lock on topics, which is written
//! when metadata changes. A thread that finds the sticky partition locked goes on with one of its own.
//!
//! `buffer.memory` bounds the buffers of records, however many partitions they are for: where all of it is taken, open
//! batches are sent instead of lingering. Beside that, a partition of a topic in use takes some 600 bytes here and in the
//! task. A topic that was idle for `metadata.max.idle.ms` is forgotten (`evict`); of its partitions that were written to,
//! the task keeps where their sequences stand, some 40 bytes each.
//!
//! Guarantee: what `append` took is told exactly once, by the task; what it refused is nowhere.

mod inbox;
mod partition;
mod quick;
mod ratio;
mod recent;
mod run;
mod topics;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use ottla_client::NodeId;

pub(crate) use inbox::Inbox;
use partition::{Appended, Refused, Room};
pub(crate) use partition::{Glance, PartitionBuffer};
pub(crate) use ratio::Ratio;
pub(crate) use run::Surroundings;
use topics::{Lasting, TopicBuffers, Topics};

use crate::acknowledge::Attach;
use crate::delivery::Delivery;
use crate::memory::{Charge, Memory};
use crate::partitioner::{Choice, Load, Partitioner, PartitionerClass, Partitions, Route, Sticky, route};
use crate::record::Record;

/// However well records can be compressed, `buffer.memory` has room for so many batches before.
const FEWEST_BATCHES: usize = 16;

/// The next state of any accumulator's topics.
static NEXT_EPOCH: AtomicU64 = AtomicU64::new(1);

/// The buffers of all topics.
#[derive(Debug)]
pub(crate) struct Accumulator {
    topics: RwLock<Topics>,
    /// Which state of `topics` this is, of all that there were of any accumulator.
    epoch: AtomicU64,
    /// Taken with the lock of `topics` held, or alone.
    indices: Mutex<Indices>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) inbox: Inbox,
    closed: AtomicBool,
    batch_size: usize,
    /// The most bytes of records in a batch, however small they may become.
    most: usize,
    /// The most bytes of a record in a batch of its own: what a request and the whole memory have room for.
    max_record_size: usize,
    partitioner: PartitionerClass,
    ignore_keys: bool,
    sums_early: bool,
}

/// Who has which index.
#[derive(Debug, Default)]
struct Indices {
    /// All from here on were never given away.
    next: u32,
    /// Given back.
    free: Vec<u32>,
    /// Partitions that the task has not been told of.
    unmet: Vec<Arc<PartitionBuffer>>,
}

/// What is carried from one try to append a record to the next.
#[derive(Debug, Default)]
pub(crate) struct Attempt {
    /// Room that was waited for.
    pub(crate) reservation: Option<Charge>,
    /// Where the record goes, if that would be another partition each time it is asked.
    chosen: Option<Choice>,
}

impl Attempt {
    /// Whether nothing came of an earlier one.
    fn is_first(&self) -> bool {
        self.reservation.is_none() && self.chosen.is_none()
    }
}

/// A record that was taken.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) delivery: Delivery,
    /// Whether the task has to be woken.
    pub(crate) wake: bool,
}

/// Why a record was not taken, and whether the task has to be woken nonetheless.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) wake: bool,
}

/// Why a record was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The topic's partitions are not known here.
    UnknownTopic,
    /// The topic has so many partitions, and the one that the record names is none of them.
    NoSuchPartition { partitions: usize },
    /// The topic has so many partitions, and the one that the application's partitioner chose is none of them.
    Misplaced { partition: i32, partitions: usize },
    /// So many bytes must be reserved first.
    NoRoom { bytes: usize },
    /// The record takes so many bytes, more than the limit.
    TooLarge { bytes: usize, limit: usize },
    /// The producer was closed.
    Closed,
}

impl Accumulator {
    pub(crate) fn new(
        batch_size: usize,
        max_record_size: usize,
        buffer_memory: usize,
        partitioner: PartitionerClass,
        ignore_keys: bool,
    ) -> Self {
        Accumulator {
            topics: RwLock::default(),
            epoch: AtomicU64::new(NEXT_EPOCH.fetch_add(1, Ordering::Relaxed)),
            indices: Mutex::default(),
            memory: Arc::new(Memory::new(buffer_memory)),
            inbox: Inbox::default(),
            closed: AtomicBool::new(false),
            // A buffer beyond the whole memory would be waited for in vain.
            batch_size: batch_size.min(buffer_memory),
            most: (buffer_memory / FEWEST_BATCHES).max(batch_size.min(buffer_memory)),
            max_record_size: max_record_size.min(buffer_memory),
            partitioner,
            ignore_keys,
            sums_early: false,
        }
    }

    /// Has large records summed as they are appended, as none will be compressed.
    pub(crate) fn sum_early(mut self) -> Self {
        self.sums_early = true;
        self
    }

    /// Appends a record to the open batch of its partition.
    #[inline]
    pub(crate) fn append(
        &self,
        record: &Record<'_>,
        timestamp: i64,
        attempt: &mut Attempt,
        now: impl Fn() -> Instant,
        random: impl Fn() -> u64,
    ) -> Result<Accepted, Refusal> {
        self.append_with(record, timestamp, attempt, None, now, random)
    }

    /// Appends a record, and what the application attached to it.
    pub(crate) fn append_with(
        &self,
        record: &Record<'_>,
        timestamp: i64,
        attempt: &mut Attempt,
        attach: Option<Attach<'_>>,
        now: impl Fn() -> Instant,
        random: impl Fn() -> u64,
    ) -> Result<Accepted, Refusal> {
        let refuse = |reason| Refusal { reason, wake: false };
        if self.closed.load(Ordering::Relaxed) {
            return Err(refuse(Reason::Closed));
        }
        let limit = self.max_record_size;
        let too_large = || Reason::TooLarge { bytes: record.size_upper_bound(), limit };
        if !record.is_within(limit) {
            return Err(refuse(too_large()));
        }
        if let PartitionerClass::Custom(own) = &self.partitioner
            && record.chosen_partition().is_none()
            && attempt.chosen.is_none()
        {
            attempt.chosen = Some(self.ask(&**own, record).map_err(refuse)?);
        }
        let topics = self.topics();
        let Some(topic) = topics.get(record.topic()) else { return Err(refuse(Reason::UnknownTopic)) };
        let route = self.route(topic, record, attempt.chosen).map_err(refuse)?;
        let room = self.room();

        let mut sticky = route == Route::Sticky;
        let mut at = match route {
            Route::Fixed(partition) => partition,
            Route::Sticky => topic.sticky.current(recent::lane(), &topic.now, &random),
            Route::Next => topic.next_turn(),
            Route::Random => topic.now.nth(random()),
        };
        let mut wake = false;
        loop {
            let mut partition = topic.partitions[at as usize].lock();
            match partition.append(record, timestamp, sticky, &room, &mut attempt.reservation, &now) {
                Ok(Appended { delivery, wake: now_wake, turn_over }) => {
                    if let Some(attach) = attach {
                        partition.attach(&delivery, attach);
                    }
                    if turn_over {
                        self.end_turn(topic, at, random());
                    }
                    return Ok(Accepted { delivery, wake: wake || now_wake });
                }
                Err(Refused::TurnOver { wake: now_wake }) => {
                    wake |= now_wake;
                    drop(partition);
                    at = self.end_turn(topic, at, random());
                    // One move is enough: the record stays where it comes to, whatever is full there.
                    sticky = false;
                }
                Err(Refused::NoRoom { bytes, wake: now_wake }) => {
                    if matches!(route, Route::Next | Route::Random) {
                        attempt.chosen = Some(Choice::Partition(at as i32));
                    }
                    return Err(Refusal { reason: Reason::NoRoom { bytes }, wake: wake || now_wake });
                }
                Err(Refused::TooLarge) => {
                    return Err(Refusal { reason: too_large(), wake });
                }
                Err(Refused::Closed) => return Err(Refusal { reason: Reason::Closed, wake }),
            }
        }
    }

    /// Where a record goes, by itself, by an earlier choice or by its key.
    #[inline(always)]
    fn route(
        &self,
        topic: &TopicBuffers,
        record: &Record<'_>,
        chosen: Option<Choice>,
    ) -> Result<Route, Reason> {
        let Some(count) = topic.now.nonzero() else { return Err(Reason::UnknownTopic) };
        let partitions = topic.now.count();
        match (record.chosen_partition(), chosen) {
            (None, None) => Ok(route(&self.partitioner, self.ignore_keys, record.key_bytes(), count)),
            (Some(partition), _) => {
                let found = topic.now.find(partition).map(Route::Fixed);
                found.ok_or(Reason::NoSuchPartition { partitions })
            }
            (None, Some(Choice::Sticky)) => Ok(Route::Sticky),
            (None, Some(Choice::Partition(partition))) => {
                let found = topic.now.find(partition).map(Route::Fixed);
                found.ok_or(Reason::Misplaced { partition, partitions })
            }
        }
    }

    /// Asks the application's partitioner. It is foreign code, which may send records itself: no lock is held.
    #[cold]
    fn ask(&self, partitioner: &dyn Partitioner, record: &Record<'_>) -> Result<Choice, Reason> {
        let partitions = self.topics().get(record.topic()).map(|topic| Arc::clone(&topic.now));
        match partitions {
            Some(partitions) if partitions.count() > 0 => Ok(partitioner.partition(record, &partitions)),
            _ => Err(Reason::UnknownTopic),
        }
    }

    fn room(&self) -> Room<'_> {
        Room {
            memory: &self.memory,
            inbox: &self.inbox,
            closed: &self.closed,
            batch_size: self.batch_size,
            most: self.most,
            sums_early: self.sums_early,
        }
    }

    /// Makes or updates a topic's buffers; these are its partitions' leaders. Partitions of a topic in use never go away:
    /// what is in them finds its way or expires.
    pub(crate) fn update_topic(&self, name: &Arc<str>, leaders: Vec<Option<NodeId>>) {
        if self.topics().get(name).is_some_and(|topic| topic.now.leaders() == leaders) {
            return;
        }
        let now = Partitions::new(Arc::clone(name), leaders);
        let mut topics = self.topics_to_change();
        let (mut partitions, sticky, lasting) = match topics.get(name) {
            Some(topic) => (topic.partitions.clone(), topic.sticky.adapted(&now), Arc::clone(&topic.lasting)),
            None => (Vec::new(), Sticky::new(), Lasting::new(Arc::clone(name))),
        };
        let mut indices = self.indices();
        for partition in partitions.len()..now.count() {
            let index = indices.take();
            let (name, ratio) = (Arc::clone(name), Arc::clone(&lasting.ratio));
            let buffer = PartitionBuffer::new(name, partition as i32, index, self.batch_size, ratio);
            indices.unmet.push(Arc::clone(&buffer));
            partitions.push(buffer);
        }
        topics.put(TopicBuffers { partitions, now: Arc::new(now), sticky, lasting });
    }

    /// Sets the weights by which a topic's partitions are drawn for records without a key.
    pub(crate) fn set_load(&self, name: &str, load: Option<Load>) {
        if let Some(topic) = self.topics().get(name) {
            topic.sticky.set_load(load);
        }
    }

    /// Forgets a topic, unless records wait in its buffers; true if it is unknown now. Its partitions' indices may be
    /// given to others from now on.
    pub(crate) fn evict(&self, name: &str) -> bool {
        let mut topics = self.topics_to_change();
        let Some(topic) = topics.get(name) else { return true };
        // No batch is being opened, since that takes the lock on topics first.
        if !topic.is_empty() {
            return false;
        }
        let mut indices = self.indices();
        indices.free.extend(topic.partitions.iter().rev().map(|partition| partition.index));
        indices.unmet.retain(|partition| *partition.topic != *name);
        topics.remove(name);
        true
    }

    /// The partitions that were made since this was asked last.
    pub(crate) fn take_unmet(&self) -> Vec<Arc<PartitionBuffer>> {
        std::mem::take(&mut self.indices().unmet)
    }

    /// All partitions of a topic.
    #[cfg(test)]
    pub(crate) fn partitions_of(&self, topic: &str) -> Vec<Arc<PartitionBuffer>> {
        self.topics().get(topic).map(|topic| topic.partitions.clone()).unwrap_or_default()
    }

    /// The names of all topics.
    pub(crate) fn topic_names(&self) -> Vec<Arc<str>> {
        self.topics().names().cloned().collect()
    }

    /// Whether the topic is known here.
    pub(crate) fn knows(&self, topic: &str) -> bool {
        self.topics().get(topic).is_some()
    }

    /// How many partitions of the topic are known here.
    pub(crate) fn partition_count(&self, topic: &str) -> usize {
        self.topics().get(topic).map_or(0, |topic| topic.now.count())
    }

    /// Takes no more records, and ends all waits for room.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.memory.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn topics(&self) -> RwLockReadGuard<'_, Topics> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever takes it begins an epoch: no thread uses what it remembers once it sees that.
    fn topics_to_change(&self) -> RwLockWriteGuard<'_, Topics> {
        let topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        self.epoch.store(NEXT_EPOCH.fetch_add(1, Ordering::Relaxed), Ordering::Release);
        topics
    }

    fn indices(&self) -> MutexGuard<'_, Indices> {
        self.indices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Indices {
    fn take(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }
}

#[cfg(test)]
mod tests;
