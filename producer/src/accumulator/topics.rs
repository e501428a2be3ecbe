//! [`Topics`]: the buffers of all topics, found by name.
//!
//! Records of one topic tend to follow each other, so the topic found last is compared before a name is hashed.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::partition::PartitionBuffer;
use super::ratio::Ratio;
use crate::partitioner::{Partitions, Sticky};

/// All topics.
#[derive(Debug, Default)]
pub(super) struct Topics {
    all: Vec<TopicBuffers>,
    /// Where in `all` each is.
    places: HashMap<Arc<str>, usize, BuildHasherDefault<NameHasher>>,
    /// Where the one is that was found last; only a guess.
    last: AtomicUsize,
}

impl Topics {
    /// The topic of this name.
    #[inline(always)]
    pub(super) fn get(&self, name: &str) -> Option<&TopicBuffers> {
        match self.all.get(self.last.load(Ordering::Relaxed)) {
            Some(last) if *last.name == *name => Some(last),
            _ => self.find(name),
        }
    }

    #[inline(never)]
    fn find(&self, name: &str) -> Option<&TopicBuffers> {
        let place = *self.places.get(name)?;
        self.last.store(place, Ordering::Relaxed);
        self.all.get(place)
    }

    /// The topic of this name, made first if need be.
    pub(super) fn get_or_insert(
        &mut self,
        name: &Arc<str>,
        make: impl FnOnce() -> TopicBuffers,
    ) -> &mut TopicBuffers {
        let Topics { all, places, .. } = self;
        let place = *places.entry(Arc::clone(name)).or_insert_with(|| {
            all.push(make());
            all.len() - 1
        });
        &mut all[place]
    }

    pub(super) fn remove(&mut self, name: &str) {
        let Some(place) = self.places.remove(name) else { return };
        self.all.swap_remove(place);
        if let Some(moved) = self.all.get(place)
            && let Some(known) = self.places.get_mut(&moved.name)
        {
            *known = place;
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.all.iter().map(|topic| &topic.name)
    }
}

/// The buffers of one topic.
#[derive(Debug)]
pub(super) struct TopicBuffers {
    name: Arc<str>,
    /// By partition. At least as many as there are now: a topic that was made anew may have fewer than its forerunner.
    pub(super) partitions: Vec<Arc<PartitionBuffer>>,
    /// As of the last metadata.
    pub(super) now: Arc<Partitions>,
    pub(super) sticky: Sticky,
    pub(super) ratio: Arc<Ratio>,
    /// Records that took turns.
    turn: AtomicU64,
}

impl TopicBuffers {
    pub(super) fn new(name: Arc<str>, now: Partitions) -> Self {
        TopicBuffers {
            name,
            partitions: Vec::new(),
            now: Arc::new(now),
            sticky: Sticky::new(),
            ratio: Arc::new(Ratio::new()),
            turn: AtomicU64::new(0),
        }
    }

    /// The partition whose turn it is.
    pub(super) fn next_turn(&self) -> u32 {
        self.now.nth(self.turn.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether nothing waits in any of its buffers.
    pub(super) fn is_empty(&self) -> bool {
        self.partitions.iter().all(|partition| partition.is_empty())
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
