//! [`Frames`]: which answers of brokers are still in memory.
//!
//! What was fetched of a partition is a slice of the answer that it came with, and keeps the whole of that alive: a few
//! records that nobody reads can hold what thirty other partitions got at the same time.
//!
//! Guarantee: an answer counts, for all brokers and for the one that gave it, from when it came until nothing of it is held;
//! a copy counts for itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ottla_client::NodeId;

/// The memory in which a slice lies; it counts as long as one of its clones is there.
#[derive(Clone, Debug)]
pub(crate) struct Frame(Arc<Held>);

#[derive(Debug)]
struct Held {
    size: usize,
    total: Arc<AtomicUsize>,
    of_node: Arc<AtomicUsize>,
}

/// All that is held.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    total: Arc<AtomicUsize>,
    nodes: BTreeMap<NodeId, Arc<AtomicUsize>>,
}

impl Frames {
    /// Counts an answer of so many bytes.
    pub(crate) fn hold(&mut self, node: NodeId, size: usize) -> Frame {
        let of_node = Arc::clone(self.nodes.entry(node).or_default());
        Frame::new(size, Arc::clone(&self.total), of_node)
    }

    /// Bytes of all answers.
    pub(crate) fn total(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    /// Bytes of a broker's answers.
    pub(crate) fn of(&self, node: NodeId) -> usize {
        self.nodes.get(&node).map_or(0, |held| held.load(Ordering::Relaxed))
    }
}

impl Frame {
    fn new(size: usize, total: Arc<AtomicUsize>, of_node: Arc<AtomicUsize>) -> Frame {
        total.fetch_add(size, Ordering::Relaxed);
        of_node.fetch_add(size, Ordering::Relaxed);
        Frame(Arc::new(Held { size, total, of_node }))
    }

    /// That of so many bytes that are copied out of it.
    pub(crate) fn copied(&self, size: usize) -> Frame {
        Frame::new(size, Arc::clone(&self.0.total), Arc::clone(&self.0.of_node))
    }

    pub(crate) fn size(&self) -> usize {
        self.0.size
    }

    /// The same for slices of the same memory.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.total.fetch_sub(self.size, Ordering::Relaxed);
        self.of_node.fetch_sub(self.size, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_until_its_last_slice_is_gone_and_a_copy_for_itself() {
        let mut frames = Frames::default();
        let one = frames.hold(1, 100);
        let slice = one.clone();
        let other = frames.hold(2, 7);
        assert_eq!((frames.total(), frames.of(1), frames.of(2)), (107, 100, 7));
        drop(one);
        assert_eq!(frames.of(1), 100);
        let copy = slice.copied(3);
        drop(slice);
        assert_eq!((frames.total(), frames.of(1), frames.of(3)), (10, 3, 0));
        drop((copy, other));
        assert_eq!(frames.total(), 0);
    }
}
