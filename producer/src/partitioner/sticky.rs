//! [`Sticky`]: a topic's current partition for records without a key.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::{Load, Partitions};

const UNSET: u32 = u32::MAX;

/// The current partition. Many senders read it; the one whose record ends the partition's turn moves it on, once.
#[derive(Debug)]
pub(crate) struct Sticky {
    current: AtomicU32,
    /// Read at the end of a turn only.
    load: RwLock<Option<Arc<Load>>>,
}

impl Sticky {
    pub(crate) fn new() -> Self {
        Sticky { current: AtomicU32::new(UNSET), load: RwLock::default() }
    }

    /// The current partition; the first time, and when it lies beyond `partitions`, one of those with a leader by chance.
    #[inline]
    pub(crate) fn current(&self, partitions: &Partitions, random: impl FnOnce() -> u64) -> u32 {
        match self.current.load(Ordering::Relaxed) {
            current if (current as usize) < partitions.count() => current,
            gone => self.move_on(gone, partitions, random()),
        }
    }

    /// The current partition, if it is one of so many.
    #[inline]
    pub(crate) fn current_of(&self, partitions: usize) -> Option<u32> {
        Some(self.current.load(Ordering::Relaxed)).filter(|&current| (current as usize) < partitions)
    }

    /// Whether this is the current partition.
    pub(crate) fn is(&self, partition: u32) -> bool {
        self.current.load(Ordering::Relaxed) == partition
    }

    /// Moves from `from` to a partition by chance, unless somebody did already; returns the current one.
    ///
    /// Only partitions with a leader come into question, or all if there is none. Under a load its weights count, and
    /// `from` may be drawn again; otherwise every other partition is equally likely.
    #[inline(never)]
    pub(crate) fn move_on(&self, from: u32, partitions: &Partitions, random: u64) -> u32 {
        let led = partitions.led();
        let load = self.load.read().unwrap_or_else(PoisonError::into_inner).clone();
        let drawn = load.and_then(|load| load.draw(random)).filter(|drawn| led.binary_search(drawn).is_ok());
        let next = drawn.unwrap_or_else(|| another(from, partitions.count() as u32, led, random));
        match self.current.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => next,
            // Somebody who saw that its leader is gone unset it.
            Err(UNSET) => self.move_on(UNSET, partitions, random),
            Err(current) => current,
        }
    }

    /// The topic's partitions have changed: the load counts no more, and a current one without a leader is given up if
    /// another has one.
    pub(crate) fn adapt(&self, partitions: &Partitions) {
        self.set_load(None);
        let current = self.current.load(Ordering::Relaxed);
        if !partitions.led().is_empty() && partitions.led().binary_search(&current).is_err() {
            self.current.store(UNSET, Ordering::Relaxed);
        }
    }

    /// Sets the weights by which partitions are drawn.
    pub(crate) fn set_load(&self, load: Option<Load>) {
        *self.load.write().unwrap_or_else(PoisonError::into_inner) = load.map(Arc::new);
    }
}

fn another(from: u32, partitions: u32, available: &[u32], random: u64) -> u32 {
    let pick = |count: usize| (random % count.max(1) as u64) as usize;
    match available.binary_search(&from) {
        _ if available.is_empty() => match partitions {
            0 | 1 => 0,
            // One of the others: those above `from` stand one place lower.
            _ if from < partitions => {
                let at = pick(partitions as usize - 1) as u32;
                if at < from { at } else { at + 1 }
            }
            _ => pick(partitions as usize) as u32,
        },
        Ok(_) if available.len() == 1 => from,
        Ok(own) => {
            let at = pick(available.len() - 1);
            available[if at < own { at } else { at + 1 }]
        }
        Err(_) => available[pick(available.len())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn led(leaders: &[bool]) -> Partitions {
        Partitions::new("t".into(), leaders.iter().map(|led| led.then_some(1)).collect())
    }

    #[test]
    fn every_other_available_partition_is_equally_likely() {
        let available = [0, 2, 5, 7];
        let next: Vec<_> = (0..6).map(|random| another(2, 8, &available, random)).collect();
        assert_eq!(next, [0, 5, 7, 0, 5, 7]);
        let from_gone: Vec<_> = (0..4).map(|random| another(3, 8, &available, random)).collect();
        assert_eq!(from_gone, available);
        assert_eq!((0..4).map(|random| another(1, 3, &[], random)).collect::<Vec<_>>(), [0, 2, 0, 2]);
        assert_eq!(another(1, 3, &[1], 9), 1, "the only one with a leader stays");
    }

    #[test]
    fn a_turn_ends_once_however_many_senders_saw_its_end() {
        let (sticky, four) = (Sticky::new(), led(&[true; 4]));
        let first = sticky.current(&four, || 1);
        assert_eq!(first, 1);
        assert_eq!(sticky.move_on(1, &four, 1), 2);
        assert_eq!(sticky.move_on(1, &four, 2), 2, "the second finds it moved");
        assert_eq!(sticky.current(&four, || 0), 2);
        assert_eq!(sticky.current(&led(&[true; 2]), || 0), 0, "the topic shrank");
    }

    #[test]
    fn a_current_partition_that_lost_its_leader_is_left_at_once_if_another_has_one() {
        let sticky = Sticky::new();
        assert_eq!(sticky.current(&led(&[true; 3]), || 1), 1);
        let none = led(&[false; 3]);
        sticky.adapt(&none);
        assert_eq!(sticky.current(&none, || 0), 1, "one is as bad as another");
        let others = led(&[true, false, true]);
        sticky.adapt(&others);
        assert_eq!(sticky.current(&others, || 1), 2);
    }

    #[test]
    fn a_load_decides_until_the_partitions_change_and_never_for_one_without_a_leader() {
        let (sticky, three) = (Sticky::new(), led(&[true; 3]));
        sticky.set_load(Load::of(&[(0, 9), (1, 0), (2, 9)], 3, false));
        assert_eq!(sticky.current(&three, || 1), 1);
        assert_eq!(sticky.move_on(1, &three, 5), 1, "still the shortest queue");
        let without = led(&[true, false, true]);
        assert_eq!(sticky.move_on(1, &without, 5), 2, "of a table older than the metadata");
        sticky.adapt(&three);
        assert_eq!(sticky.move_on(2, &three, 0), 0);
    }
}
