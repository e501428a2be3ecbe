//! A topic's buffers, and the hash by which a topic is found.

use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::partition::PartitionBuffer;
use crate::partitioner::{Partitions, Sticky};

/// The buffers of one topic.
#[derive(Debug)]
pub(super) struct TopicBuffers {
    /// By partition. At least as many as there are now: a topic that was made anew may have fewer than its forerunner.
    pub(super) partitions: Vec<Arc<PartitionBuffer>>,
    /// As of the last metadata.
    pub(super) now: Arc<Partitions>,
    pub(super) sticky: Sticky,
    /// Records that took turns.
    turn: AtomicU64,
}

impl TopicBuffers {
    pub(super) fn new(now: Partitions) -> Self {
        TopicBuffers {
            partitions: Vec::new(),
            now: Arc::new(now),
            sticky: Sticky::new(),
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
pub(super) struct NameHasher(u64);

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
