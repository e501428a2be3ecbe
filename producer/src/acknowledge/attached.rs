//! [`Attached`]: what the records of one batch have attached.

use std::sync::Arc;

use super::outbox::{Lineup, Order, Ready};
use super::{Attach, Outbox};
use crate::completion::Completion;

/// What the records of a batch have attached, in the order of the records.
#[derive(Debug)]
pub(crate) struct Attached {
    outbox: Arc<Outbox>,
    order: Arc<Order>,
    /// The first entry's place among everything that was attached in the partition; the others follow.
    first: u64,
    entries: Vec<Entry>,
}

/// What one record has attached.
#[derive(Debug)]
pub(super) struct Entry {
    /// The record's place in its batch.
    pub(super) index: u32,
    pub(super) timestamp: i64,
    pub(super) attachment: super::Attachment,
}

impl Attached {
    /// Adds what the record at `index` has attached. Called in the order of the records.
    pub(crate) fn add(
        this: &mut Option<Box<Attached>>,
        index: u32,
        timestamp: i64,
        attach: &mut Attach<'_>,
        lineup: &mut Lineup,
    ) {
        let Some(attachment) = attach.slot.take() else { return };
        let ordinal = lineup.next();
        let attached = this.get_or_insert_with(|| {
            Box::new(Attached {
                outbox: Arc::clone(attach.outbox),
                order: lineup.order(),
                first: ordinal,
                entries: Vec::new(),
            })
        });
        attached.entries.push(Entry { index, timestamp, attachment });
    }

    /// Divides what is attached between the parts of a split batch; the second begins with the record at `first`.
    pub(crate) fn split(mut self: Box<Self>, first: u32) -> [Option<Box<Attached>>; 2] {
        let at = self.entries.partition_point(|entry| entry.index < first);
        let mut entries = self.entries.split_off(at);
        entries.iter_mut().for_each(|entry| entry.index -= first);
        let right = Attached {
            outbox: Arc::clone(&self.outbox),
            order: Arc::clone(&self.order),
            first: self.first + at as u64,
            entries,
        };
        [Some(self), Some(Box::new(right))].map(|part| part.filter(|part| !part.entries.is_empty()))
    }

    /// Hands over to the outbox, as the batch's outcome is known.
    pub(crate) fn told(self, completion: &Arc<Completion>) {
        let Attached { outbox, order, first, entries } = self;
        outbox.put(&order, first, Ready { completion: Arc::clone(completion), entries });
    }
}
