//! [`NodeSet`]: the few brokers of a cluster that something is going on with.
//!
//! Whoever looks after all brokers keeps one, so that a turn of the task costs nothing for those that are quiet.

use ottla_client::NodeId;

/// Brokers, by ascending id. Keeps its memory when they go.
#[derive(Debug, Default)]
pub(crate) struct NodeSet(Vec<NodeId>);

impl NodeSet {
    pub(crate) fn insert(&mut self, node: NodeId) {
        if let Err(at) = self.0.binary_search(&node) {
            self.0.insert(at, node);
        }
    }

    pub(crate) fn remove(&mut self, node: NodeId) {
        if let Ok(at) = self.0.binary_search(&node) {
            self.0.remove(at);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.0.iter().copied()
    }

    /// The first behind this one.
    pub(crate) fn next_after(&self, node: Option<NodeId>) -> Option<NodeId> {
        let at = node.map_or(0, |node| self.0.partition_point(|other| *other <= node));
        self.0.get(at).copied()
    }

    /// All of them, those behind `node` first.
    pub(crate) fn round_from(&self, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let (first, last) = self.0.split_at(self.0.partition_point(|other| *other <= node));
        last.iter().chain(first).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_in_order_and_once_and_a_round_begins_behind_any() {
        let mut set = NodeSet::default();
        [7, 3, 5, 3].into_iter().for_each(|node| set.insert(node));
        assert_eq!(set.iter().collect::<Vec<_>>(), [3, 5, 7]);
        let round = |node| set.round_from(node).collect::<Vec<_>>();
        assert_eq!([round(3), round(4), round(7)], [[5, 7, 3], [5, 7, 3], [3, 5, 7]]);
        let after = |node| set.next_after(node);
        assert_eq!(
            [after(None), after(Some(3)), after(Some(6)), after(Some(7))],
            [Some(3), Some(5), Some(7), None]
        );
        [3, 4, 5, 7].into_iter().for_each(|node| set.remove(node));
        assert!(set.is_empty());
    }
}
