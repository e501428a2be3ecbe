//! What was handed out and is not acknowledged yet, and how far commits may go.
//!
//! Guarantees: the committable offset never passes a record that was handed out and not acknowledged; offsets that were
//! never handed out (control records, compaction's holes, aborted transactions) hold nothing up; what was given away is
//! forgotten, so that acknowledgements that come late change nothing.
//!
//! Memory: a run of neighbouring offsets takes one entry, whatever its length.

mod outstanding;

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use ottla_client::TopicPartition;

use crate::batch::RecordBatch;
use crate::fetch::driver::Shared;
use crate::record::Record;
use crate::subscription::Position;
use outstanding::{Outstanding, one};

/// What is outstanding, by partition.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    partitions: HashMap<TopicPartition, Outstanding>,
}

impl Acks {
    /// Records were handed out.
    pub(crate) fn hand_out(&mut self, records: &[Record]) {
        for run in records.chunk_by(|one, other| one.topic_partition() == other.topic_partition()) {
            let partition = run[0].topic_partition();
            if !self.partitions.contains_key(partition) {
                self.partitions.insert(partition.clone(), Outstanding::default());
            }
            let Some(outstanding) = self.partitions.get_mut(partition) else { continue };
            for record in run {
                outstanding.add(one(record.offset()), record.leader_epoch());
            }
        }
    }

    /// Batches were handed out: each is acknowledged whole, or record by record, where it has no gaps.
    pub(crate) fn hand_out_batches(&mut self, batches: &[RecordBatch]) {
        for batch in batches {
            let outstanding = self.partitions.entry(batch.topic_partition().clone()).or_default();
            outstanding.add(batch.base_offset()..batch.next_offset(), batch.leader_epoch());
        }
    }

    /// All of a batch was processed; false if nobody waits to hear that.
    pub(crate) fn acknowledge_batch(&mut self, batch: &RecordBatch) -> bool {
        let outstanding = self.partitions.get_mut(batch.topic_partition());
        outstanding.is_some_and(|outstanding| outstanding.remove(batch.base_offset()..batch.next_offset()))
    }

    /// A record was processed; false if nobody waits to hear that.
    pub(crate) fn acknowledge(&mut self, partition: &TopicPartition, offset: i64) -> bool {
        self.partitions.get_mut(partition).is_some_and(|outstanding| outstanding.remove(one(offset)))
    }

    /// A record and all before it were processed.
    pub(crate) fn acknowledge_up_to(&mut self, partition: &TopicPartition, offset: i64) -> bool {
        self.partitions.get_mut(partition).is_some_and(|outstanding| outstanding.remove_up_to(offset))
    }

    /// How far a commit may go in a partition whose next record is at `position`.
    pub(crate) fn committable(&self, partition: &TopicPartition, position: Position) -> Position {
        match self.partitions.get(partition).and_then(Outstanding::first) {
            Some(first) if first.offset < position.offset => first,
            _ => position,
        }
    }

    /// The partition was given away, or is read from elsewhere.
    pub(crate) fn forget(&mut self, partition: &TopicPartition) {
        self.partitions.remove(partition);
    }

    /// How many records are not acknowledged.
    pub(crate) fn outstanding(&self) -> u64 {
        self.partitions.values().map(Outstanding::count).sum()
    }
}

/// Acknowledges records, from any task; made by [`Consumer::acknowledger`](crate::Consumer::acknowledger). Clones
/// acknowledge to the same consumer.
#[derive(Clone, Debug)]
pub struct Acknowledger {
    shared: Weak<Shared>,
}

impl Acknowledger {
    pub(crate) fn new(shared: &Arc<Shared>) -> Acknowledger {
        Acknowledger { shared: Arc::downgrade(shared) }
    }

    /// Says that `record` is processed. False if that changes nothing: it was acknowledged before, its partition was given
    /// away or read from elsewhere meanwhile, or the consumer is gone. If the partition came back and the record was handed
    /// out once more, either one's acknowledgement counts.
    pub fn ack(&self, record: &Record) -> bool {
        self.ack_offset(record.topic_partition(), record.offset())
    }

    /// The same for the record at `offset`, for those that don't keep the record.
    pub fn ack_offset(&self, partition: &TopicPartition, offset: i64) -> bool {
        self.with(|acks| acks.acknowledge(partition, offset))
    }

    /// Says that `record` is processed, and all that were handed out of its partition before it.
    pub fn ack_up_to(&self, record: &Record) -> bool {
        self.with(|acks| acks.acknowledge_up_to(record.topic_partition(), record.offset()))
    }

    /// Says that all records of `batch` are processed, those that are not visible included.
    pub fn ack_batch(&self, batch: &RecordBatch) -> bool {
        self.with(|acks| acks.acknowledge_batch(batch))
    }

    /// How many records were handed out and are not acknowledged.
    pub fn outstanding(&self) -> u64 {
        let Some(shared) = self.shared.upgrade() else { return 0 };
        shared.state().acks.as_ref().map_or(0, Acks::outstanding)
    }

    fn with(&self, change: impl FnOnce(&mut Acks) -> bool) -> bool {
        self.shared.upgrade().is_some_and(|shared| shared.state().acks.as_mut().is_some_and(change))
    }
}

#[cfg(test)]
mod tests;
