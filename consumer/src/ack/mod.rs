//! What was handed out and is not acknowledged yet, and how far commits may go.
//!
//! Guarantees: the committable offset never passes a record that was handed out and not acknowledged, unless it will be
//! handed out again; offsets that were never handed out (control records, compaction's holes, aborted transactions) hold
//! nothing up; what was given away is forgotten. An acknowledgement counts for the record that it names and no other: each
//! record bears the generation of the assignment and position in which it was handed out, so that what comes late changes
//! nothing for another record at the same offset.
//!
//! Memory: a run of neighbouring offsets takes one entry, whatever its length.

mod outstanding;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Weak};

use ottla_client::TopicPartition;

use crate::batch::RecordBatch;
use crate::fetch::driver::Shared;
use crate::record::Record;
use crate::subscription::{Generation, Position};
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
                outstanding.add(one(record.offset()), record.leader_epoch(), record.generation());
            }
        }
    }

    /// Batches were handed out: each is acknowledged whole, or record by record, where it has no gaps.
    pub(crate) fn hand_out_batches(&mut self, batches: &[RecordBatch]) {
        for batch in batches {
            let outstanding = self.partitions.entry(batch.topic_partition().clone()).or_default();
            outstanding.add(extent(batch), batch.leader_epoch(), batch.generation());
        }
    }

    /// Offsets were processed that were handed out in this generation, or in any, if none is named; false if nobody waits
    /// to hear that.
    pub(crate) fn acknowledge(
        &mut self,
        partition: &TopicPartition,
        offsets: Range<i64>,
        generation: Option<Generation>,
    ) -> bool {
        self.partitions.get_mut(partition).is_some_and(|outstanding| outstanding.remove(offsets, generation))
    }

    /// A record of this generation and all before it were processed.
    pub(crate) fn acknowledge_up_to(
        &mut self,
        partition: &TopicPartition,
        offset: i64,
        generation: Generation,
    ) -> bool {
        let outstanding = self.partitions.get_mut(partition);
        outstanding.is_some_and(|outstanding| outstanding.remove_up_to(offset, generation))
    }

    /// How far a commit may go in a partition whose next record is at `position`.
    pub(crate) fn committable(&self, partition: &TopicPartition, position: Position) -> Position {
        match self.partitions.get(partition).and_then(Outstanding::first) {
            Some(first) if first.offset < position.offset => first,
            _ => position,
        }
    }

    /// The partition's position begins anew, in this generation.
    pub(crate) fn begin(&mut self, partition: &TopicPartition, generation: Generation) {
        self.partitions.entry(partition.clone()).or_default().begin(generation);
    }

    /// The partition is read on from `offset`: what was handed out from there on comes again.
    pub(crate) fn comes_again(&mut self, partition: &TopicPartition, offset: i64) {
        if let Some(outstanding) = self.partitions.get_mut(partition) {
            outstanding.drop_from(offset);
        }
    }

    /// The partition was given away, or is of another topic by now.
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
    /// away meanwhile or is read again from before it, or the consumer is gone. Once the record was handed out again, only
    /// the acknowledgement of that later one counts.
    pub fn ack(&self, record: &Record) -> bool {
        let (partition, generation) = (record.topic_partition(), record.generation());
        self.with(|acks| acks.acknowledge(partition, one(record.offset()), Some(generation)))
    }

    /// The same for the record at `offset`, for those that don't keep the record. It counts for the record that was handed
    /// out last with that offset: for another than the one that was processed, if the log was truncated or the topic
    /// created anew in between.
    pub fn ack_offset(&self, partition: &TopicPartition, offset: i64) -> bool {
        self.with(|acks| acks.acknowledge(partition, one(offset), None))
    }

    /// Says that `record` is processed, and all that were handed out of its partition before it.
    pub fn ack_up_to(&self, record: &Record) -> bool {
        let (partition, generation) = (record.topic_partition(), record.generation());
        self.with(|acks| acks.acknowledge_up_to(partition, record.offset(), generation))
    }

    /// Says that all records of `batch` are processed, those that are not visible included.
    pub fn ack_batch(&self, batch: &RecordBatch) -> bool {
        let (partition, generation) = (batch.topic_partition(), batch.generation());
        self.with(|acks| acks.acknowledge(partition, extent(batch), Some(generation)))
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

/// The offsets that a batch stands for.
fn extent(batch: &RecordBatch) -> Range<i64> {
    batch.base_offset()..batch.next_offset()
}

#[cfg(test)]
mod tests;
