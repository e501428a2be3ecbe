//! A topic's buffers, and the hash by which a topic is found.

use std::hash::Hasher;
use std::sync::Arc;

use super::partition::PartitionBuffer;
use crate::partitioner::Sticky;

/// The buffers of one topic.
#[derive(Debug)]
pub(super) struct TopicBuffers {
    /// By partition.
    pub(super) partitions: Vec<Arc<PartitionBuffer>>,
    /// Partitions with a leader, ascending.
    pub(super) available: Vec<u32>,
    pub(super) sticky: Sticky,
}

impl Default for TopicBuffers {
    fn default() -> Self {
        TopicBuffers { partitions: Vec::new(), available: Vec::new(), sticky: Sticky::new() }
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
