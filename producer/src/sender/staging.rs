//! [`Staging`]: records on their way to the codec and back, where compressing them would hold up the task that sends.
//!
//! Only the records go there, and what is charged for them; their batch keeps its place, so that it can be told at any
//! time what became of it.

use crate::batch::Batch;
use crate::body::Body;

/// Batches from this size on are compressed elsewhere.
const WORTH: usize = 8 << 10;

/// Records to compress.
#[derive(Debug)]
pub(crate) struct SealJob {
    pub(crate) index: u32,
    /// Unique within the producer: partitions come and go, and their indices are used again.
    pub(crate) job: u64,
    pub(crate) body: Body,
}

/// What is there to compress, and what is being compressed.
#[derive(Debug, Default)]
pub(super) struct Staging {
    next_job: u64,
    waiting: Vec<SealJob>,
    /// Jobs that have not come back, those that wait included.
    open: usize,
}

impl Staging {
    /// Whether a batch is to be compressed here.
    pub(super) fn is_worth(batch: &Batch) -> bool {
        batch.is_open() && batch.size() >= WORTH
    }

    /// Takes the records of a batch of this partition; false if they are not there.
    pub(super) fn add(&mut self, index: u32, batch: &mut Batch) -> bool {
        let job = self.next_job;
        let Some(body) = batch.send_away(job) else { return false };
        self.next_job += 1;
        self.open += 1;
        self.waiting.push(SealJob { index, job, body });
        true
    }

    /// What is to be compressed now.
    pub(super) fn take(&mut self) -> Vec<SealJob> {
        std::mem::take(&mut self.waiting)
    }

    /// A job has come back.
    pub(super) fn over(&mut self) {
        self.open -= 1;
    }

    /// Whether nothing will come back.
    pub(super) fn is_idle(&self) -> bool {
        self.open == 0
    }

    /// Gives up what waits.
    pub(super) fn clear(&mut self) {
        self.open -= self.waiting.len();
        self.waiting.clear();
    }
}
