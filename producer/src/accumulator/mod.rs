//! [`Accumulator`]: all records that wait to be sent, by topic and partition.
//!
//! It is shared by all handles of a producer and its task. Sending a record locks its partition and nothing else;
//! topics are looked up under a read lock that is written when metadata changes.
//!
//! Guarantee: what `append` took is told exactly once, by the task; what it refused is nowhere.

mod inbox;
mod partition;
mod topics;

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

pub(crate) use inbox::Inbox;
use partition::{Appended, Refused, Room};
pub(crate) use partition::{Glance, PartitionBuffer};
use topics::{NameHasher, TopicBuffers};

use crate::completion::Delivery;
use crate::memory::{Memory, Reservation};
use crate::partitioner::{Choice, choose};
use crate::record::Record;

/// The buffers of all topics.
#[derive(Debug)]
pub(crate) struct Accumulator {
    topics: RwLock<HashMap<Arc<str>, TopicBuffers, BuildHasherDefault<NameHasher>>>,
    /// All partitions in the order of their index.
    partitions: Mutex<Vec<Arc<PartitionBuffer>>>,
    pub(crate) memory: Memory,
    pub(crate) inbox: Inbox,
    closed: AtomicBool,
    batch_size: usize,
    max_record_size: usize,
    ignore_keys: bool,
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
        ignore_keys: bool,
    ) -> Self {
        Accumulator {
            topics: RwLock::default(),
            partitions: Mutex::default(),
            memory: Memory::new(buffer_memory),
            inbox: Inbox::default(),
            closed: AtomicBool::new(false),
            // A buffer beyond the whole memory would be waited for in vain.
            batch_size: batch_size.min(buffer_memory),
            max_record_size,
            ignore_keys,
        }
    }

    /// Appends a record to the open batch of its partition.
    pub(crate) fn append<'m>(
        &'m self,
        record: &Record<'_>,
        timestamp: i64,
        reservation: &mut Option<Reservation<'m>>,
        now: impl Fn() -> Instant,
        random: impl Fn() -> u64,
    ) -> Result<Accepted, Refusal> {
        let refuse = |reason| Refusal { reason, wake: false };
        if self.closed.load(Ordering::Relaxed) {
            return Err(refuse(Reason::Closed));
        }
        let bytes = record.size_upper_bound();
        let limit = self.max_record_size.min(self.memory.limit());
        if bytes > limit {
            return Err(refuse(Reason::TooLarge { bytes, limit }));
        }
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        let Some(topic) = topics.get(record.topic()) else { return Err(refuse(Reason::UnknownTopic)) };
        let count = topic.partitions.len();
        let Some(partitions) = u32::try_from(count).ok().and_then(NonZeroU32::new) else {
            return Err(refuse(Reason::UnknownTopic));
        };
        let choice = choose(record.chosen_partition(), record.key_bytes(), self.ignore_keys, partitions);
        let room = Room {
            memory: &self.memory,
            inbox: &self.inbox,
            closed: &self.closed,
            batch_size: self.batch_size,
        };
        let move_on = |from| topic.sticky.move_on(from, partitions.get(), &topic.available, random());

        let mut sticky = choice == Choice::Sticky;
        let mut at = match choice {
            Choice::Fixed(partition) => match u32::try_from(partition) {
                Ok(partition) if partition < partitions.get() => partition,
                _ => return Err(refuse(Reason::NoSuchPartition { partitions: count })),
            },
            Choice::Sticky => topic.sticky.current(partitions.get(), &topic.available, &random),
        };
        let mut wake = false;
        loop {
            match topic.partitions[at as usize].append(record, timestamp, sticky, &room, reservation, &now) {
                Ok(Appended { delivery, wake: now_wake, turn_over }) => {
                    if turn_over {
                        move_on(at);
                    }
                    return Ok(Accepted { delivery, wake: wake || now_wake });
                }
                Err(Refused::TurnOver { wake: now_wake }) => {
                    wake |= now_wake;
                    at = move_on(at);
                    // One move is enough: the record stays where it comes to, whatever is full there.
                    sticky = false;
                }
                Err(Refused::NoRoom { bytes, wake: now_wake }) => {
                    return Err(Refusal { reason: Reason::NoRoom { bytes }, wake: wake || now_wake });
                }
                Err(Refused::TooLarge) => {
                    return Err(Refusal { reason: Reason::TooLarge { bytes, limit }, wake });
                }
                Err(Refused::Closed) => return Err(Refusal { reason: Reason::Closed, wake }),
            }
        }
    }

    /// Makes or updates a topic's buffers. Partitions never go away: what is in them finds its way or expires.
    pub(crate) fn update_topic(&self, name: &Arc<str>, partitions: usize, available: Vec<u32>) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let topic = topics.entry(Arc::clone(name)).or_default();
        topic.available = available;
        let mut all = self.all();
        for partition in topic.partitions.len()..partitions {
            let buffer =
                PartitionBuffer::new(Arc::clone(name), partition as i32, all.len() as u32, self.batch_size);
            all.push(Arc::clone(&buffer));
            topic.partitions.push(buffer);
        }
    }

    /// The names of all topics.
    pub(crate) fn topic_names(&self) -> Vec<Arc<str>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// How many partitions of the topic are known here.
    pub(crate) fn partition_count(&self, topic: &str) -> usize {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.get(topic).map_or(0, |topic| topic.partitions.len())
    }

    /// The partitions from index `from` on.
    pub(crate) fn partitions_from(&self, from: usize) -> Vec<Arc<PartitionBuffer>> {
        self.all().get(from..).unwrap_or_default().to_vec()
    }

    /// Takes no more records, and ends all waits for room.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.memory.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<PartitionBuffer>>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
