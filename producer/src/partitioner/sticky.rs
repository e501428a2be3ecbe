//! [`Sticky`]: a topic's current partition for records without a key.

use std::sync::atomic::{AtomicU32, Ordering};

const UNSET: u32 = u32::MAX;

/// The current partition. Many senders read it; the one whose record ends the partition's turn moves it on, once.
#[derive(Debug)]
pub(crate) struct Sticky(AtomicU32);

impl Sticky {
    pub(crate) fn new() -> Self {
        Sticky(AtomicU32::new(UNSET))
    }

    /// The current partition; the first time, and when it lies beyond `partitions`, one of `available` by chance.
    pub(crate) fn current(&self, partitions: u32, available: &[u32], random: impl FnOnce() -> u64) -> u32 {
        match self.0.load(Ordering::Relaxed) {
            current if current < partitions => current,
            gone => self.move_on(gone, partitions, available, random()),
        }
    }

    /// Moves from `from` to another partition by chance, unless somebody did already; returns the current one.
    ///
    /// Only partitions in `available` come into question, or all if there is none.
    pub(crate) fn move_on(&self, from: u32, partitions: u32, available: &[u32], random: u64) -> u32 {
        let next = another(from, partitions, available, random);
        match self.0.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => next,
            Err(current) => current,
        }
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
        let sticky = Sticky::new();
        let first = sticky.current(4, &[0, 1, 2, 3], || 1);
        assert_eq!(first, 1);
        assert_eq!(sticky.move_on(1, 4, &[0, 1, 2, 3], 1), 2);
        assert_eq!(sticky.move_on(1, 4, &[0, 1, 2, 3], 2), 2, "the second finds it moved");
        assert_eq!(sticky.current(4, &[0, 1, 2, 3], || 0), 2);
        assert_eq!(sticky.current(2, &[0, 1], || 0), 0, "the topic shrank");
    }
}
