//! What the members of one group did, in the order of its happening, and what is wrong with it.
//!
//! Members note what they are given and handed out, what they are done with and what they have committed; an observer notes
//! the group's commits as the coordinator tells them. [`audit`] reads the whole and finds:
//!
//! - revoked: handed out of a partition that the member did not have;
//! - shared: given to a member while another had it, who then gave it up in an orderly way;
//! - skipped, reordered: not the next offset of the partition, or a beginning beyond what was processed;
//! - ahead: a commit beyond what was processed; backwards: a commit below an earlier one;
//! - repeated: handed out again although a commit was possible.
//!
//! What was handed out again for a reason is counted by that reason: [`Audit::repeated`].
//!
//! Partitions are expected to hold nothing but records, from offset 0, so that each next record has the next offset.

mod audit;
#[cfg(test)]
mod tests;

pub use audit::{Audit, Reason, audit};

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

use ottla::TopicPartition;
use ottla::consumer::Record;

use super::ledger::{Read, Sent, check, first_reads};

/// Something that happened in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The member was told that it has these partitions from now on, besides those it had.
    Assigned {
        /// Whose entry it is; the same below.
        member: u32,
        /// Which.
        partitions: Vec<TopicPartition>,
    },
    /// The member was asked to give these up: from here on nothing of them may be handed out to it.
    Revoked {
        /// See above.
        member: u32,
        /// Which.
        partitions: Vec<TopicPartition>,
    },
    /// What the member committed last for each partition that it was asked to give up, or why it could not.
    Settled {
        /// See above.
        member: u32,
        /// Whether the commit was confirmed.
        committed: bool,
    },
    /// The member was told that these are gone.
    Lost {
        /// See above.
        member: u32,
        /// Which.
        partitions: Vec<TopicPartition>,
    },
    /// The member ended without a word.
    Vanished {
        /// See above.
        member: u32,
    },
    /// A record was handed out.
    HandedOut {
        /// See above.
        member: u32,
        /// The record's partition.
        partition: TopicPartition,
        /// And offset.
        offset: i64,
    },
    /// The member is done with a record.
    Processed {
        /// See above.
        member: u32,
        /// The record's partition.
        partition: TopicPartition,
        /// And offset.
        offset: i64,
    },
    /// A commit of the member was confirmed.
    Committed {
        /// See above.
        member: u32,
        /// The offsets of the next records.
        offsets: BTreeMap<TopicPartition, i64>,
    },
    /// A commit of the member failed.
    NotCommitted {
        /// See above.
        member: u32,
    },
    /// What the coordinator told an observer.
    Observed {
        /// Whose.
        partition: TopicPartition,
        /// The committed offset.
        offset: i64,
    },
}

/// Gathers what happens in one group.
#[derive(Debug, Default)]
pub struct Journal {
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    entries: Vec<Entry>,
    reads: Vec<Read>,
    broken: Vec<String>,
    processed: HashSet<(TopicPartition, i64)>,
}

impl Journal {
    /// Notes what happened now.
    pub fn note(&self, entry: Entry) {
        let mut pages = self.pages();
        if let Entry::Processed { partition, offset, .. } = &entry {
            pages.processed.insert((partition.clone(), *offset));
        }
        pages.entries.push(entry);
    }

    /// Notes what a poll returned.
    pub fn handed_out<'a>(&self, member: u32, records: impl IntoIterator<Item = &'a Record>) {
        let mut pages = self.pages();
        for record in records {
            match Read::of(member, record) {
                Ok(read) => pages.reads.push(read),
                Err(what) => pages.broken.push(what),
            }
            let (partition, offset) = (record.topic_partition().clone(), record.offset());
            pages.entries.push(Entry::HandedOut { member, partition, offset });
        }
    }

    /// Notes that another process handed a record out; [`Journal::handed_out`] otherwise.
    pub fn handed_out_elsewhere(&self, read: Read) {
        let mut pages = self.pages();
        let (member, partition, offset) = (read.reader, read.partition.clone(), read.offset);
        pages.entries.push(Entry::HandedOut { member, partition, offset });
        pages.reads.push(read);
    }

    /// How many different records were handed out, whatever their place.
    pub fn handed_out_values(&self) -> usize {
        self.pages().reads.iter().map(|read| read.id).collect::<HashSet<_>>().len()
    }

    /// How many different places of the log have been processed.
    pub fn processed(&self) -> usize {
        self.pages().processed.len()
    }

    /// How many times members were given partitions, or had to part with some.
    ///
    /// A member is also told that a rebalance brought it nothing; that may be while the others already read, and moves
    /// no partition.
    pub fn changes(&self) -> usize {
        let is_change = |entry: &&Entry| match entry {
            Entry::Assigned { partitions, .. }
            | Entry::Revoked { partitions, .. }
            | Entry::Lost { partitions, .. } => !partitions.is_empty(),
            _ => false,
        };
        self.pages().entries.iter().filter(is_change).count()
    }

    /// Whether `wanted` holds for an entry.
    pub fn any(&self, wanted: impl Fn(&Entry) -> bool) -> bool {
        self.pages().entries.iter().any(wanted)
    }

    /// [`audit`] of everything, and what [`check`] finds amiss between what was sent and what was handed out.
    pub fn audit(&self, sent: &[Sent]) -> Audit {
        let pages = self.pages();
        let mut audit = audit(&pages.entries);
        audit.wrong.extend(pages.broken.iter().cloned());
        audit.wrong.extend(check(sent, &first_reads(&pages.reads)));
        audit
    }

    fn pages(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
