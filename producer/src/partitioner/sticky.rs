//! [`Sticky`]: a topic's current partitions for records without a key.
//!
//! All threads begin with the same one, so that its batches fill. Threads that are in each other's way there take lanes
//! apart, each with a current partition of its own; a turn ends as it does in the first lane.
//!
//! It belongs to one state of the topic's metadata and goes with it: a thread that is late with an older state moves lanes
//! that nobody looks at any more, and so brings nobody to a partition that has lost its leader or is gone.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::{Load, Partitions};

const UNSET: u32 = u32::MAX;

/// As many threads have a lane of their own.
const LANES: usize = 16;

/// The current partitions. Many senders read them; the one whose record ends a partition's turn moves its lane on, once.
#[derive(Debug)]
pub(crate) struct Sticky {
    lanes: [AtomicU32; LANES],
    /// Read at the end of a turn only.
    load: RwLock<Option<Arc<Load>>>,
}

impl Sticky {
    pub(crate) fn new() -> Self {
        Sticky { lanes: [const { AtomicU32::new(UNSET) }; LANES], load: RwLock::default() }
    }

    /// The lane after this one.
    pub(crate) fn next_lane(lane: usize) -> usize {
        (lane + 1) % LANES
    }

    #[inline(always)]
    fn lane(&self, lane: usize) -> &AtomicU32 {
        &self.lanes[lane % LANES]
    }

    /// The current partition; the first time one of those with a leader by chance.
    #[inline]
    pub(crate) fn current(&self, lane: usize, partitions: &Partitions, random: impl FnOnce() -> u64) -> u32 {
        self.current_of(lane).unwrap_or_else(|| self.move_on(lane, UNSET, partitions, random()))
    }

    /// The current partition, if there is one yet.
    #[inline]
    pub(crate) fn current_of(&self, lane: usize) -> Option<u32> {
        Some(self.lane(lane).load(Ordering::Relaxed)).filter(|&current| current != UNSET)
    }

    /// The current partition of a lane that is to be apart from `other`, as far as there is a choice.
    pub(crate) fn apart_from(&self, other: u32, lane: usize, partitions: &Partitions, random: u64) -> u32 {
        match self.current(lane, partitions, || random) {
            current if current == other => self.move_on(lane, other, partitions, random),
            current => current,
        }
    }

    /// Whether this is the current partition.
    pub(crate) fn is(&self, lane: usize, partition: u32) -> bool {
        self.lane(lane).load(Ordering::Relaxed) == partition
    }

    /// Moves from `from` to a partition by chance, unless somebody did already; returns the current one.
    ///
    /// Only partitions with a leader come into question, or all if there is none. Under a load its weights count, and
    /// `from` may be drawn again; otherwise every other partition is equally likely.
    #[inline(never)]
    pub(crate) fn move_on(&self, lane: usize, from: u32, partitions: &Partitions, random: u64) -> u32 {
        let led = partitions.led();
        let load = self.load.read().unwrap_or_else(PoisonError::into_inner).clone();
        let drawn = load.and_then(|load| load.draw(random)).filter(|drawn| led.binary_search(drawn).is_ok());
        let next = drawn.unwrap_or_else(|| another(from, partitions.count() as u32, led, random));
        match self.lane(lane).compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => next,
            // It was left out meanwhile.
            Err(UNSET) => self.move_on(lane, UNSET, partitions, random),
            Err(current) => current,
        }
    }

    /// The same for other partitions: the load counts no more, and current ones that are gone are given up, as are those
    /// without a leader if another has one.
    pub(crate) fn adapted(&self, partitions: &Partitions) -> Sticky {
        let stays = |current: &u32| match partitions.led() {
            [] => (*current as usize) < partitions.count(),
            led => led.binary_search(current).is_ok(),
        };
        let lanes = self.lanes.each_ref().map(|lane| {
            let current = Some(lane.load(Ordering::Relaxed)).filter(stays);
            AtomicU32::new(current.unwrap_or(UNSET))
        });
        Sticky { lanes, load: RwLock::default() }
    }

    /// Sets the weights by which partitions are drawn. Lanes give up those that are left out: in one that nobody took for a
    /// while, its turn would still be to come.
    pub(crate) fn set_load(&self, load: Option<Load>) {
        let load = load.map(Arc::new);
        self.load.write().unwrap_or_else(PoisonError::into_inner).clone_from(&load);
        let Some(load) = load else { return };
        for lane in &self.lanes {
            let current = lane.load(Ordering::Relaxed);
            if current != UNSET && !load.draws(current) {
                // Whoever moved it meanwhile ended its turn.
                let _ = lane.compare_exchange(current, UNSET, Ordering::Relaxed, Ordering::Relaxed);
            }
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
        let first = sticky.current(0, &four, || 1);
        assert_eq!(first, 1);
        assert_eq!(sticky.move_on(0, 1, &four, 1), 2);
        assert_eq!(sticky.move_on(0, 1, &four, 2), 2, "the second finds it moved");
        assert_eq!(sticky.current(0, &four, || 0), 2);
        for fewer in [led(&[true; 2]), led(&[false; 2])] {
            assert_eq!(sticky.adapted(&fewer).current(0, &fewer, || 0), 0, "the topic shrank");
        }
    }

    #[test]
    fn a_current_partition_that_lost_its_leader_is_left_at_once_if_another_has_one() {
        let sticky = Sticky::new();
        assert_eq!(sticky.current(0, &led(&[true; 3]), || 1), 1);
        let none = led(&[false; 3]);
        let sticky = sticky.adapted(&none);
        assert_eq!(sticky.current(0, &none, || 0), 1, "one is as bad as another");
        let others = led(&[true, false, true]);
        let sticky = sticky.adapted(&others);
        assert_eq!(sticky.current(0, &others, || 1), 2);
    }

    #[test]
    fn a_partition_that_a_load_leaves_out_is_left_at_once_in_every_lane() {
        let (sticky, three) = (Sticky::new(), led(&[true; 3]));
        assert_eq!([0, 1, 2].map(|lane| sticky.current(lane, &three, || lane as u64)), [0, 1, 2]);
        sticky.set_load(Load::of(&[(0, 0), (2, 0)], 3, true));
        assert_eq!([0, 1, 2].map(|lane| sticky.current(lane, &three, || 0)), [0, 0, 2]);
        assert_eq!(sticky.move_on(1, 1, &three, 1), 0, "its turn was over already");
    }

    #[test]
    fn a_load_decides_until_the_partitions_change_and_never_for_one_without_a_leader() {
        let (sticky, three) = (Sticky::new(), led(&[true; 3]));
        sticky.set_load(Load::of(&[(0, 9), (1, 0), (2, 9)], 3, false));
        assert_eq!(sticky.current(0, &three, || 1), 1);
        assert_eq!(sticky.move_on(0, 1, &three, 5), 1, "still the shortest queue");
        let without = led(&[true, false, true]);
        assert_eq!(sticky.move_on(0, 1, &without, 5), 2, "of a table older than the metadata");
        let sticky = sticky.adapted(&three);
        assert_eq!(sticky.move_on(0, 2, &three, 0), 0);
    }
}
