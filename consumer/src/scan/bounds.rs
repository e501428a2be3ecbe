//! [`Bounds`]: from where to where each partition is read.

use std::collections::BTreeMap;

use ottla_client::TopicPartition;

/// The partitions that are not done yet, with the offset before which each ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    ends: BTreeMap<TopicPartition, i64>,
}

/// What is known of a partition when a scan begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The log's first offset.
    pub(crate) begin: i64,
    /// The offset after its last.
    pub(crate) end: i64,
    /// Where reading is to begin.
    pub(crate) from: i64,
    /// Where it is to end.
    pub(crate) to: i64,
}

impl Bounds {
    /// Adds a partition, and says where to begin; `None` if there is nothing to read.
    pub(crate) fn add(&mut self, partition: TopicPartition, extent: Extent) -> Option<i64> {
        let from = extent.from.max(extent.begin);
        let to = extent.to.min(extent.end);
        (from < to).then(|| {
            self.ends.insert(partition, to);
            from
        })
    }

    /// Whether a record belongs to the scan.
    pub(crate) fn contain(&self, partition: &TopicPartition, offset: i64) -> bool {
        self.ends.get(partition).is_some_and(|end| offset < *end)
    }

    /// Takes out those partitions that are done; true if there are any.
    pub(crate) fn finish(&mut self, is_done: impl Fn(&TopicPartition, i64) -> bool) -> bool {
        let before = self.ends.len();
        self.ends.retain(|partition, end| !is_done(partition, *end));
        self.ends.len() < before
    }

    /// The partitions that are not done, with their ends.
    pub(crate) fn remaining(&self) -> impl Iterator<Item = (&TopicPartition, i64)> {
        self.ends.iter().map(|(partition, end)| (partition, *end))
    }

    /// Whether all are done.
    pub(crate) fn are_reached(&self) -> bool {
        self.ends.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tp(partition: i32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    #[test]
    fn what_the_log_does_not_have_is_not_waited_for() {
        let mut bounds = Bounds::default();
        let log = Extent { begin: 10, end: 20, from: 0, to: 100 };
        assert_eq!(bounds.add(tp(0), log), Some(10));
        assert_eq!(bounds.add(tp(1), Extent { from: 15, to: 17, ..log }), Some(15));
        assert_eq!(bounds.add(tp(2), Extent { from: 20, ..log }), None);
        assert_eq!(bounds.add(tp(3), Extent { to: 10, ..log }), None);
        assert_eq!(bounds.add(tp(4), Extent { begin: 20, ..log }), None);
        assert_eq!(bounds.add(tp(5), Extent { from: 18, to: 17, ..log }), None);
        assert_eq!(bounds.remaining().collect::<Vec<_>>(), [(&tp(0), 20), (&tp(1), 17)]);
        assert!(bounds.contain(&tp(1), 16) && !bounds.contain(&tp(1), 17) && !bounds.contain(&tp(2), 0));
    }

    #[test]
    fn it_is_over_when_each_partition_has_reached_its_end() {
        let mut bounds = Bounds::default();
        for (partition, to) in [(0, 5), (1, 7)] {
            bounds.add(tp(partition), Extent { begin: 0, end: 9, from: 0, to });
        }
        assert!(!bounds.finish(|_, end| end <= 4));
        assert!(bounds.finish(|_, end| end <= 5));
        assert!(!bounds.are_reached());
        assert!(bounds.finish(|partition, _| *partition == tp(1)));
        assert!(bounds.are_reached());
    }
}
