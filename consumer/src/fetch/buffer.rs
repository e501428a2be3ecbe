//! [`Buffer`]: what was fetched and not yet read, by partition.
//!
//! Guarantees: nothing is lost but by [`Buffer::discard`], which a seek or the loss of the partition calls; partitions
//! take turns, one fetch at a time; one that rests (is paused) keeps what it has, and has its turn as soon as it rests no
//! more. What was taken for reading counts as buffered until it is finished.
//!
//! Memory is bounded by what the plan asks for, which consults [`Buffer::bytes_of`] and [`Buffer::frames`]: what is unread
//! of an answer keeps all of it. [`Buffer::compact`] copies it out. A partition that rests is met once, and then put aside
//! until [`Buffer::wake`]: what is taken costs the same, however many rest.

use std::collections::{BTreeMap, HashMap, VecDeque};

use ottla_client::TopicPartition;

use super::completed::CompletedFetch;
use super::frames::{Frame, Frames};
use crate::subscription::Generation;

/// A fetch that is being read.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) partition: TopicPartition,
    pub(crate) generation: Generation,
    pub(crate) fetch: CompletedFetch,
}

/// Undecoded fetches.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    /// The answers that they are slices of.
    pub(crate) frames: Frames,
    queues: HashMap<TopicPartition, Queue>,
    turns: Turns,
    /// Partitions of which more or less is buffered than the plan knows.
    touched: Vec<TopicPartition>,
    /// Whether something came since all that is worth it was copied out of its answer.
    is_loose: bool,
}

#[derive(Debug)]
struct Queue {
    generation: Generation,
    fetches: VecDeque<CompletedFetch>,
    /// Of the fetches, and of the one that is being read.
    bytes: usize,
    place: Place,
}

/// Where a partition waits for being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// There is nothing of it but what is being read.
    Nowhere,
    InTurn(i64),
    /// Its turn came while it rested.
    Resting,
}

/// Partitions with something to read, each once.
#[derive(Debug, Default)]
struct Turns(BTreeMap<i64, TopicPartition>);

impl Turns {
    fn push_back(&mut self, partition: TopicPartition) -> Place {
        let turn = self.0.last_key_value().map_or(0, |(last, _)| last + 1);
        self.0.insert(turn, partition);
        Place::InTurn(turn)
    }

    fn push_front(&mut self, partition: TopicPartition) -> Place {
        let turn = self.0.first_key_value().map_or(0, |(first, _)| first - 1);
        self.0.insert(turn, partition);
        Place::InTurn(turn)
    }

    fn leave(&mut self, place: Place) {
        if let Place::InTurn(turn) = place {
            self.0.remove(&turn);
        }
    }
}

impl Buffer {
    /// Adds what was fetched; what is there of an older generation goes.
    pub(crate) fn push(&mut self, partition: &TopicPartition, generation: Generation, fetch: CompletedFetch) {
        self.touched.push(partition.clone());
        if self.queues.get(partition).is_some_and(|queue| queue.generation != generation) {
            self.discard(partition);
        }
        let queue = self.queues.entry(partition.clone()).or_insert_with(|| Queue {
            generation,
            fetches: VecDeque::new(),
            bytes: 0,
            place: Place::Nowhere,
        });
        queue.bytes += fetch.extent().size;
        queue.fetches.push_back(fetch.of(partition).in_generation(generation));
        if queue.place == Place::Nowhere {
            queue.place = self.turns.push_back(partition.clone());
        }
        self.is_loose = true;
    }

    /// The next fetch of the partition whose turn it is, among those that may deliver.
    pub(crate) fn take(&mut self, may_deliver: impl Fn(&TopicPartition) -> bool) -> Option<Reading> {
        while let Some((_, partition)) = self.turns.0.pop_first() {
            let queue = self.queues.get_mut(&partition)?;
            if !may_deliver(&partition) {
                queue.place = Place::Resting;
                continue;
            }
            let fetch = queue.fetches.pop_front()?;
            queue.place = match queue.fetches.is_empty() {
                true => Place::Nowhere,
                false => self.turns.push_back(partition.clone()),
            };
            return Some(Reading { partition, generation: queue.generation, fetch });
        }
        None
    }

    /// The next fetch of this partition, out of turn. As nobody knows how long it will be read, it is read without the rest
    /// of its answer, if that is much.
    pub(crate) fn take_of(&mut self, partition: &TopicPartition) -> Option<Reading> {
        let queue = self.queues.get_mut(partition)?;
        let mut fetch = queue.fetches.pop_front()?;
        if queue.fetches.is_empty() {
            self.turns.leave(std::mem::replace(&mut queue.place, Place::Nowhere));
        }
        fetch.read_apart();
        Some(Reading { partition: partition.clone(), generation: queue.generation, fetch })
    }

    /// The partition may deliver again, if it rested.
    pub(crate) fn wake(&mut self, partition: &TopicPartition) {
        if let Some(queue) = self.queues.get_mut(partition)
            && queue.place == Place::Resting
        {
            queue.place = self.turns.push_front(partition.clone());
        }
    }

    /// Partitions of which more or less is buffered than when this was last asked.
    pub(crate) fn take_touched(&mut self) -> Vec<TopicPartition> {
        std::mem::take(&mut self.touched)
    }

    /// Gives back what was not read to its end; it is that partition's next.
    pub(crate) fn put_back(&mut self, reading: Reading) {
        let Reading { partition, generation, fetch } = reading;
        if let Some(queue) = self.queues.get_mut(&partition).filter(|queue| queue.generation == generation) {
            queue.fetches.push_front(fetch);
            if queue.place == Place::Nowhere {
                queue.place = self.turns.push_front(partition);
            }
            self.is_loose = true;
        }
    }

    /// What was taken has been read to its end.
    pub(crate) fn finish(&mut self, reading: &Reading) {
        let Reading { partition, generation, fetch } = reading;
        if let Some(queue) = self.queues.get_mut(partition).filter(|queue| queue.generation == *generation) {
            queue.bytes -= fetch.extent().size;
            self.touched.push(partition.clone());
            if queue.fetches.is_empty() {
                self.queues.remove(partition);
            }
        }
    }

    /// Forgets what is there of a partition.
    pub(crate) fn discard(&mut self, partition: &TopicPartition) {
        if let Some(queue) = self.queues.remove(partition) {
            self.touched.push(partition.clone());
            self.turns.leave(queue.place);
        }
    }

    /// Copies what is unread out of answers of which most is read, until at most `most` bytes are held, or nothing is worth
    /// it: the answers of which the least is unread first. What is being read stays where it is.
    ///
    /// A fetch is copied once, at most.
    pub(crate) fn compact(&mut self, most: usize) {
        if !self.is_loose || self.frames.total() <= most {
            return;
        }
        let mut unread: HashMap<usize, usize> = HashMap::new();
        for fetch in self.queues.values().flat_map(|queue| &queue.fetches) {
            *unread.entry(fetch.frame().map_or(0, Frame::id)).or_default() += fetch.unread();
        }
        for parts in [MOSTLY_READ, PARTLY_READ] {
            for fetch in self.queues.values_mut().flat_map(|queue| &mut queue.fetches) {
                let Some(frame) = fetch.frame() else { continue };
                let left = unread.get(&frame.id()).copied().unwrap_or_default();
                if left <= frame.size().saturating_mul(parts) / 100 {
                    fetch.copy_apart();
                }
            }
            if self.frames.total() <= most {
                return;
            }
        }
        self.is_loose = false;
    }

    /// Bytes of a partition that are not yet read.
    pub(crate) fn bytes_of(&self, partition: &TopicPartition) -> usize {
        self.queues.get(partition).map_or(0, |queue| queue.bytes)
    }

    /// Whether there is nothing unread of a partition.
    pub(crate) fn is_empty_of(&self, partition: &TopicPartition) -> bool {
        !self.queues.contains_key(partition)
    }
}

/// Percent of an answer up to which it is mostly read: a copy frees three times as much as it takes.
const MOSTLY_READ: usize = 25;

/// Percent of an answer up to which a copy is worth its while at all.
const PARTLY_READ: usize = 90;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::IsolationLevel;
    use crate::subscription::{Start, Subscription};

    fn name(topic: &str) -> TopicPartition {
        TopicPartition::new(topic, 0)
    }

    fn generations() -> (Generation, Generation) {
        let mut subscription = Subscription::default();
        subscription.add(name("x"), Start::Offset(0), false);
        let first = subscription.partition(&name("x")).unwrap().generation;
        subscription.seek(&name("x"), Start::Offset(0));
        (first, subscription.partition(&name("x")).unwrap().generation)
    }

    fn fetch(offset: i64, size: usize) -> CompletedFetch {
        CompletedFetch::new(vec![0; size].into(), offset, IsolationLevel::ReadUncommitted, Vec::new())
    }

    fn take(buffer: &mut Buffer, rests: &[&str]) -> Option<(String, i64)> {
        let reading = buffer.take(|partition| !rests.contains(&&*partition.topic))?;
        buffer.finish(&reading);
        Some((reading.partition.topic.to_string(), reading.fetch.next_offset()))
    }

    #[test]
    fn partitions_take_turns() {
        let (generation, _) = generations();
        let mut buffer = Buffer::default();
        for (topic, offset) in [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("c", 1), ("b", 2)] {
            buffer.push(&name(topic), generation, fetch(offset, 1));
        }
        let order: Vec<_> = std::iter::from_fn(|| take(&mut buffer, &[])).collect();
        let expected = [("a", 1), ("b", 1), ("c", 1), ("a", 2), ("b", 2), ("a", 3)];
        assert_eq!(order, expected.map(|(topic, offset)| (topic.to_owned(), offset)));
    }

    #[test]
    fn a_partition_that_rests_keeps_what_it_has() {
        let (generation, _) = generations();
        let mut buffer = Buffer::default();
        buffer.push(&name("a"), generation, fetch(1, 10));
        buffer.push(&name("b"), generation, fetch(1, 20));
        assert_eq!(take(&mut buffer, &["a"]), Some(("b".into(), 1)));
        assert_eq!(take(&mut buffer, &["a"]), None);
        buffer.push(&name("a"), generation, fetch(2, 5));
        assert_eq!(take(&mut buffer, &[]), None);
        buffer.wake(&name("a"));
        assert_eq!((buffer.bytes_of(&name("a")), buffer.bytes_of(&name("b"))), (15, 0));
        assert_eq!(take(&mut buffer, &[]), Some(("a".into(), 1)));
        assert_eq!(take(&mut buffer, &[]), Some(("a".into(), 2)));
    }

    #[test]
    fn what_is_being_read_counts_until_it_is_finished_and_can_be_given_back() {
        let (generation, _) = generations();
        let mut buffer = Buffer::default();
        buffer.push(&name("a"), generation, fetch(1, 10));
        buffer.push(&name("b"), generation, fetch(1, 10));
        let reading = buffer.take(|_| true).unwrap();
        assert_eq!(buffer.bytes_of(&name("a")), 10);
        buffer.push(&name("a"), generation, fetch(2, 5));
        buffer.put_back(reading);
        let order: Vec<_> = std::iter::from_fn(|| take(&mut buffer, &[])).collect();
        assert_eq!(order, [("b".to_owned(), 1), ("a".to_owned(), 1), ("a".to_owned(), 2)]);
        assert!(buffer.is_empty_of(&name("a")));
    }

    #[test]
    fn what_comes_back_after_a_seek_is_dropped() {
        let (before, after) = generations();
        let mut buffer = Buffer::default();
        buffer.push(&name("a"), before, fetch(1, 10));
        let reading = buffer.take(|_| true).unwrap();
        buffer.discard(&name("a"));
        buffer.push(&name("a"), after, fetch(7, 3));
        buffer.finish(&reading);
        buffer.put_back(reading);
        assert_eq!(buffer.bytes_of(&name("a")), 3);
        assert_eq!(take(&mut buffer, &[]), Some(("a".into(), 7)));
        assert_eq!(take(&mut buffer, &[]), None);
    }
}
