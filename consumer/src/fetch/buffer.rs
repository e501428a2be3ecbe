//! [`Buffer`]: what was fetched and not yet read, by partition.
//!
//! Guarantees: nothing is lost but by [`Buffer::discard`], which a seek or the loss of the partition calls; partitions
//! take turns, one fetch at a time; one that rests (is paused) keeps what it has, and has its turn as soon as it rests no
//! more. What was taken for reading counts as buffered until it is finished.
//!
//! Memory is bounded by what the plan asks for, which consults [`Buffer::bytes_of`]. A partition that rests is met once, and
//! then put aside until [`Buffer::wake`]: what is taken costs the same, however many rest.

use std::collections::{HashMap, HashSet, VecDeque};

use ottla_client::TopicPartition;

use super::completed::CompletedFetch;
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
    queues: HashMap<TopicPartition, Queue>,
    /// Partitions with something to read, each once; the next one first.
    turns: VecDeque<TopicPartition>,
    /// Those whose turn came while they rested.
    resting: HashSet<TopicPartition>,
    /// Partitions of which more or less is buffered than the plan knows.
    touched: Vec<TopicPartition>,
}

#[derive(Debug)]
struct Queue {
    generation: Generation,
    fetches: VecDeque<CompletedFetch>,
    /// Of the fetches, and of the one that is being read.
    bytes: usize,
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
        });
        queue.bytes += fetch.extent().size;
        queue.fetches.push_back(fetch.of(partition).in_generation(generation));
        if queue.fetches.len() == 1 && !self.resting.contains(partition) {
            self.turns.push_back(partition.clone());
        }
    }

    /// The next fetch of the partition whose turn it is, among those that may deliver.
    pub(crate) fn take(&mut self, may_deliver: impl Fn(&TopicPartition) -> bool) -> Option<Reading> {
        while let Some(partition) = self.turns.pop_front() {
            if !may_deliver(&partition) {
                self.resting.insert(partition);
                continue;
            }
            let queue = self.queues.get_mut(&partition)?;
            let fetch = queue.fetches.pop_front()?;
            if !queue.fetches.is_empty() {
                self.turns.push_back(partition.clone());
            }
            return Some(Reading { partition, generation: queue.generation, fetch });
        }
        None
    }

    /// The next fetch of this partition, out of turn.
    pub(crate) fn take_of(&mut self, partition: &TopicPartition) -> Option<Reading> {
        let queue = self.queues.get_mut(partition)?;
        let fetch = queue.fetches.pop_front()?;
        if queue.fetches.is_empty() && !self.resting.remove(partition) {
            self.turns.retain(|turn| turn != partition);
        }
        Some(Reading { partition: partition.clone(), generation: queue.generation, fetch })
    }

    /// The partition may deliver again, if it rested.
    pub(crate) fn wake(&mut self, partition: &TopicPartition) {
        if self.resting.remove(partition) {
            self.turns.push_front(partition.clone());
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
            if queue.fetches.len() == 1 && !self.resting.contains(&partition) {
                self.turns.push_front(partition);
            }
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
        if self.queues.remove(partition).is_some() {
            self.touched.push(partition.clone());
            self.resting.remove(partition);
            self.turns.retain(|turn| turn != partition);
        }
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
