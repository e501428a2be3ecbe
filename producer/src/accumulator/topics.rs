//! [`Topics`]: the buffers of all topics, found by name.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::partition::PartitionBuffer;
use super::ratio::Ratio;
use crate::partitioner::{Partitions, Sticky};

/// All topics.
#[derive(Debug, Default)]
pub(super) struct Topics(HashMap<Arc<str>, Arc<TopicBuffers>, BuildHasherDefault<NameHasher>>);

impl Topics {
    /// The topic of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Arc<TopicBuffers>> {
        self.0.get(name)
    }

    /// Puts a topic in, in the place of its forerunner.
    pub(super) fn put(&mut self, topic: TopicBuffers) {
        self.0.insert(Arc::clone(&topic.lasting.name), Arc::new(topic));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.keys()
    }
}

/// The buffers of one topic, as of the last metadata. They are never changed but replaced, so that threads can keep them.
#[derive(Debug)]
pub(super) struct TopicBuffers {
    /// By partition. At least as many as there are now: a topic that was made anew may have fewer than its forerunner.
    pub(super) partitions: Vec<Arc<PartitionBuffer>>,
    pub(super) now: Arc<Partitions>,
    pub(super) sticky: Sticky,
    pub(super) lasting: Arc<Lasting>,
}

/// What outlives a topic's metadata.
#[derive(Debug)]
pub(super) struct Lasting {
    pub(super) name: Arc<str>,
    pub(super) ratio: Arc<Ratio>,
    /// Records that took turns.
    turn: AtomicU64,
}

impl Lasting {
    pub(super) fn new(name: Arc<str>) -> Arc<Self> {
        Arc::new(Lasting { name, ratio: Arc::new(Ratio::new()), turn: AtomicU64::new(0) })
    }
}

impl TopicBuffers {
    /// The partition whose turn it is.
    pub(super) fn next_turn(&self) -> u32 {
        self.now.nth(self.lasting.turn.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether nothing waits in any of its buffers.
    pub(super) fn is_empty(&self) -> bool {
        self.partitions.iter().all(|partition| partition.is_empty())
    }
}

impl std::ops::Deref for TopicBuffers {
    type Target = Lasting;

    fn deref(&self) -> &Lasting {
        &self.lasting
    }
}

/// A short hash for topic names, which the application chooses itself: FNV-1a by words.
#[derive(Debug, Clone, Copy)]
struct NameHasher(u64);

const PRIME: u64 = 0x0000_0100_0000_01b3;

impl Default for NameHasher {
    fn default() -> Self {
        NameHasher(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for NameHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, tail) = bytes.as_chunks::<8>();
        for word in words {
            self.0 = (self.0 ^ u64::from_le_bytes(*word)).wrapping_mul(PRIME);
            self.0 ^= self.0 >> 32;
        }
        for &byte in tail {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(PRIME);
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        // The table takes bits from both ends.
        (self.0 ^ self.0 >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}
