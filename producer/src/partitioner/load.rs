//! [`Load`]: how likely each partition is to be drawn next, by the batches that wait in it.
//!
//! A partition's weight is the longest queue + 1 less its own queue: the shorter its queue, the more records it gets.
//! Queues of 0, 3 and 1 batches make weights of 4, 1 and 3, of which the running sums 4, 5 and 8 are kept; a number
//! below 8 then draws the first partition whose sum is above it.
//!
//! Sources: KIP-794.

/// Weights of a topic's partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    partitions: Box<[u32]>,
    /// Running sums of the weights.
    sums: Box<[u64]>,
}

impl Load {
    /// The load of partitions, in ascending order, with so many batches waiting, of a topic that has `count` partitions
    /// altogether.
    ///
    /// None where one partition is as good as another: then partitions are drawn without weights. Those that are left out
    /// make a difference only as `excluded` says.
    pub(crate) fn of(queues: &[(u32, u32)], count: usize, excluded: bool) -> Option<Load> {
        let longest = queues.iter().map(|(_, waiting)| *waiting).max()?;
        if count < 2 || (!excluded && queues.iter().all(|(_, waiting)| *waiting == longest)) {
            return None;
        }
        let mut sum = 0;
        let sums = queues.iter().map(|(_, waiting)| {
            sum += u64::from(longest - waiting) + 1;
            sum
        });
        Some(Load {
            sums: sums.collect(),
            partitions: queues.iter().map(|(partition, _)| *partition).collect(),
        })
    }

    /// Whether a partition is ever drawn.
    pub(crate) fn draws(&self, partition: u32) -> bool {
        self.partitions.binary_search(&partition).is_ok()
    }

    /// Draws a partition.
    pub(crate) fn draw(&self, random: u64) -> Option<u32> {
        let number = random % self.sums.last()?;
        self.partitions.get(self.sums.partition_point(|sum| *sum <= number)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_its_queue_the_more_often_a_partition_is_drawn() {
        let load = Load::of(&[(0, 0), (1, 3), (2, 1)], 3, false).expect("different queues");
        let drawn: Vec<_> = (0..8).map(|random| load.draw(random).expect("some")).collect();
        assert_eq!(drawn, [0, 0, 0, 0, 1, 2, 2, 2]);
        assert_eq!(load.draw(8), Some(0), "any number will do");
    }

    #[test]
    fn equal_queues_have_no_weights_unless_somebody_is_left_out() {
        assert_eq!(Load::of(&[(0, 2), (1, 2)], 2, false), None);
        assert_eq!(Load::of(&[], 2, true), None, "better a slow one than none");
        assert_eq!(Load::of(&[(0, 9)], 1, false), None);
        let rest = Load::of(&[(0, 2), (3, 2)], 4, true).expect("one is left out");
        assert_eq!((0..4).map(|random| rest.draw(random)).collect::<Vec<_>>(), [0, 3, 0, 3].map(Some));
    }
}
