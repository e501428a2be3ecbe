//! [`Ratio`]: how small a topic's records become when they are compressed.
//!
//! `batch.size` counts bytes as they are sent, but how small a batch becomes is known only once it is sealed, when
//! nothing can join it any more. So a batch is filled as far as the topic's earlier batches suggest.
//!
//! Guarantee: an estimate that was too good is corrected by the first batch that shows it; what becomes too large for
//! a request all the same is split before it is sent.

use std::sync::atomic::{AtomicU32, Ordering};

/// Batches differ: room is left for one that compresses a little worse than those before.
const MARGIN: f32 = 1.05;
/// A better ratio than the estimate moves it by this part of the way.
const TRUST: f32 = 0.125;
/// Buffers of batches grow by this factor, so that those given back fit the next.
const STEP: usize = 3;

/// The expected size after compression of a byte before it.
#[derive(Debug)]
pub(crate) struct Ratio(AtomicU32);

impl Ratio {
    /// Nothing is known yet: bytes stay as they are.
    pub(crate) fn new() -> Self {
        Ratio(AtomicU32::new(1.0f32.to_bits()))
    }

    /// The estimate.
    pub(crate) fn estimate(&self) -> f32 {
        f32::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// A batch of `before` bytes took `after` when it was compressed.
    pub(crate) fn observe(&self, before: usize, after: usize) {
        if before == 0 {
            return;
        }
        let seen = (after as f32 / before as f32).min(1.0);
        let known = self.estimate();
        let next = if seen >= known { seen } else { known + (seen - known) * TRUST };
        // Of two batches that are sealed at once either may be the last: both are true.
        self.0.store(next.to_bits(), Ordering::Relaxed);
    }

    /// How many bytes of records fill a batch of `batch_size`: that much or more, but no more than `most`.
    pub(crate) fn fill(&self, batch_size: usize, most: usize) -> usize {
        let wanted = (batch_size as f32 / (self.estimate() * MARGIN).min(1.0)) as usize;
        let wanted = wanted.min(most);
        let mut fill = batch_size;
        while let Some(more) = (fill / 2).checked_mul(STEP).filter(|more| *more > fill && *more <= wanted) {
            fill = more;
        }
        fill
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_filled_by_what_it_will_take_when_it_is_sent() {
        let ratio = Ratio::new();
        assert_eq!(ratio.fill(1_000, 1 << 20), 1_000, "nothing is known");
        for _ in 0..200 {
            ratio.observe(10_000, 2_000);
        }
        assert!((ratio.estimate() - 0.2).abs() < 0.001);
        // 1000 / (0.2 * 1.05) = 4762, and the steps are 1000, 1500, 2250, 3375, 5061.
        assert_eq!(ratio.fill(1_000, 1 << 20), 3_375);
        assert_eq!(ratio.fill(1_000, 2_300), 2_250, "no more than what was allowed");
        assert_eq!(ratio.fill(1_000, 10), 1_000, "and no less than without compression");
        assert_eq!(ratio.fill(0, 1_000), 0);
    }

    #[test]
    fn a_worse_ratio_counts_at_once_and_a_better_one_little_by_little() {
        let ratio = Ratio::new();
        ratio.observe(1_000, 200);
        assert!((ratio.estimate() - 0.9).abs() < 0.001);
        ratio.observe(1_000, 950);
        assert!((ratio.estimate() - 0.95).abs() < 0.001);
        ratio.observe(1_000, 1_100);
        assert!((ratio.estimate() - 1.0).abs() < 0.001, "what does not shrink is sent as it is");
        ratio.observe(0, 0);
        assert!((ratio.estimate() - 1.0).abs() < 0.001);
    }
}
