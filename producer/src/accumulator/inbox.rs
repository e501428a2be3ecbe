//! [`Inbox`]: which partitions have something new for the producer's task.

use std::sync::{Mutex, PoisonError};

/// A list of partitions, each at most twice in it: for its first open batch and for its first full one.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<Vec<u32>>);

impl Inbox {
    pub(crate) fn push(&self, index: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(index);
    }

    /// Swaps the list with an empty one, whose memory it keeps.
    pub(crate) fn take(&self, into: &mut Vec<u32>) {
        into.clear();
        std::mem::swap(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), into);
    }
}
