//! Which producers' records are those of aborted transactions, as a partition is read from front to back.
//!
//! A broker lists the aborted transactions of what it sends, in no promised order: producer and first offset. Where one
//! ends says its marker among the records. So the list is walked along with the batches.
//!
//! Sources: KIP-98.

use std::collections::HashSet;

use ottla_protocol::messages::fetch::AbortedTransaction;

/// The aborted transactions of one fetch.
#[derive(Debug, Default)]
pub(crate) struct AbortedTransactions {
    /// Those that are still ahead, the nearest last.
    ahead: Vec<AbortedTransaction>,
    /// Producers within an aborted transaction.
    open: HashSet<i64>,
}

impl AbortedTransactions {
    pub(crate) fn new(mut listed: Vec<AbortedTransaction>) -> AbortedTransactions {
        listed.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        AbortedTransactions { ahead: listed, open: HashSet::new() }
    }

    /// Reading reaches a batch that ends at `last_offset`.
    pub(crate) fn advance_to(&mut self, last_offset: i64) {
        while let Some(transaction) = self.ahead.pop_if(|transaction| transaction.first_offset <= last_offset)
        {
            self.open.insert(transaction.producer_id);
        }
    }

    /// Reading reaches a producer's abort marker.
    pub(crate) fn end(&mut self, producer_id: i64) {
        self.open.remove(&producer_id);
    }

    /// Whether a transactional batch of this producer, here, was aborted.
    pub(crate) fn contains(&self, producer_id: i64) -> bool {
        self.open.contains(&producer_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_aborted_from_its_first_offset_to_its_marker_in_whatever_order_they_are_listed() {
        let listed = [(7, 50), (9, 20), (7, 10)].map(|(producer_id, first_offset)| AbortedTransaction {
            producer_id,
            first_offset,
            ..Default::default()
        });
        let mut aborted = AbortedTransactions::new(listed.to_vec());
        aborted.advance_to(9);
        assert!(!aborted.contains(7));
        aborted.advance_to(25);
        assert!(aborted.contains(7) && aborted.contains(9));
        aborted.end(7);
        assert!(!aborted.contains(7) && aborted.contains(9));
        aborted.advance_to(60);
        assert!(aborted.contains(7));
    }
}
