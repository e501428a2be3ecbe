//! [`Timers`]: when to look at which partition again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// At most one instant for each partition. A partition that is looked at too early asks for another instant; so an
/// instant is only ever moved forward, and batches that finish in time leave nothing behind.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(Instant, u32)>,
    at: Vec<Option<Instant>>,
    hurried_at: Option<Instant>,
}

/// The least time between two looks at all partitions while memory is short and something is under way that will free
/// some.
const HURRY_EVERY: Duration = Duration::from_millis(50);

impl Timers {
    /// Looks at the partition at `at`, or before.
    pub(super) fn want(&mut self, index: u32, at: Instant) {
        if self.at.len() <= index as usize {
            self.at.resize(index as usize + 1, None);
        }
        let slot = &mut self.at[index as usize];
        match *slot {
            Some(earlier) if earlier <= at => return,
            Some(later) => drop(self.due.remove(&(later, index))),
            None => {}
        }
        *slot = Some(at);
        self.due.insert((at, index));
    }

    /// Whether all partitions may be looked at again.
    pub(super) fn may_hurry(&self, now: Instant) -> bool {
        self.hurried_at.is_none_or(|at| at + HURRY_EVERY <= now)
    }

    /// All partitions were looked at.
    pub(super) fn hurried(&mut self, now: Instant) {
        self.hurried_at = Some(now);
    }

    /// When all partitions may be looked at again.
    pub(super) fn next_hurry(&self, now: Instant) -> Option<Instant> {
        self.hurried_at.map(|at| at + HURRY_EVERY).filter(|at| *at > now)
    }

    /// The next instant.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// A partition whose instant has come.
    pub(super) fn pop(&mut self, now: Instant) -> Option<u32> {
        let (_, index) = *self.due.first().filter(|(at, _)| *at <= now)?;
        self.due.pop_first();
        self.at[index as usize] = None;
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]

    use super::*;

    #[test]
    fn a_partition_is_due_once_at_its_earliest_instant() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        timers.want(7, at(20));
        timers.want(7, at(10));
        timers.want(7, at(30));
        timers.want(2, at(15));
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.pop(at(9)), None);
        assert_eq!((timers.pop(at(15)), timers.pop(at(15)), timers.pop(at(99))), (Some(7), Some(2), None));
        timers.want(7, at(40));
        assert_eq!(timers.pop(at(40)), Some(7));
    }
}
