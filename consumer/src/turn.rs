//! [`Turn`]: for how long a reader that always finds a record at hand goes on before other tasks on its thread have their turn.
//!
//! A loop over records that never waits would else keep a runtime of one thread from heartbeats, commits, timers and fetches,
//! and have the task that fetches ahead wait behind it on any runtime.
//!
//! Guarantee: a turn is over 10 ms after it began, as soon as 64 more records were taken at the latest, or after 4,096 records.
//! It costs a countdown per record and a look at the clock for every 64 of them.

use std::time::{Duration, Instant};

/// How long a turn takes.
pub(crate) const LONGEST: Duration = Duration::from_millis(10);
/// How many records it takes at most.
const MOST: u32 = 4096;
/// How many records there are at most between two looks at the clock.
const SELDOM: u32 = 64;

/// A reader's turn.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// `None` after a wait: others have just had their turn.
    began: Option<Instant>,
    taken: u32,
    /// Records until the next look.
    left: u32,
    /// Records between the last look and that.
    step: u32,
}

impl Turn {
    /// Another record is asked for: whether the turn is over, or none has begun.
    #[inline]
    pub(crate) fn is_over(&mut self, now: impl FnOnce() -> Instant) -> bool {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                false
            }
            None => self.look(now()),
        }
    }

    /// Begins the next turn if this one is over; true if others are to have theirs first.
    pub(crate) fn begin_next(&mut self, now: Instant) -> bool {
        let had_one = self.began.is_some();
        let is_next = !had_one || self.is_spent(now);
        if is_next {
            *self = Turn { began: Some(now), taken: 0, left: 1, step: 1 };
        }
        had_one && is_next
    }

    /// The reader has waited.
    pub(crate) fn waited(&mut self) {
        *self = Turn::default();
    }

    #[cold]
    fn look(&mut self, now: Instant) -> bool {
        self.taken = self.taken.saturating_add(self.step);
        if self.began.is_none() || self.is_spent(now) {
            return true;
        }
        self.step = (self.step * 2).min(SELDOM);
        self.left = self.step - 1;
        false
    }

    fn is_spent(&self, now: Instant) -> bool {
        let is_late = |began: Instant| now.saturating_duration_since(began) >= LONGEST;
        self.taken >= MOST || self.began.is_some_and(is_late)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a script needs some instant to start from")]

    use super::*;

    /// How many records a turn has if each takes so long.
    fn records(each: Duration) -> u32 {
        let mut now = Instant::now();
        let mut turn = Turn::default();
        assert!(turn.is_over(|| now) && !turn.begin_next(now), "the first turn need not wait for others");
        let mut taken = 0;
        while !turn.is_over(|| now) {
            taken += 1;
            now += each;
        }
        assert!(turn.is_over(|| now), "it stays over");
        assert!(turn.begin_next(now), "others are to have theirs");
        assert!(!turn.is_over(|| now));
        taken
    }

    #[test]
    fn a_turn_is_over_after_its_time_however_slow_the_records_or_after_many_records() {
        assert_eq!(records(Duration::from_secs(1)), 1);
        assert_eq!(records(Duration::from_millis(2)), 7);
        assert!((100..=100 + SELDOM).contains(&records(Duration::from_micros(100))));
        assert!((MOST..=MOST + SELDOM).contains(&records(Duration::ZERO)));
    }

    #[test]
    fn records_that_become_slow_in_the_midst_of_a_turn_end_it_soon() {
        let mut now = Instant::now();
        let mut turn = Turn::default();
        turn.begin_next(now);
        (0..2000).for_each(|_| assert!(!turn.is_over(|| now)));
        now += LONGEST;
        let taken = (0..).take_while(|_| !turn.is_over(|| now)).count();
        assert!(taken <= SELDOM as usize, "{taken}");
    }

    #[test]
    fn who_has_waited_need_not_give_way() {
        let now = Instant::now();
        let mut turn = Turn::default();
        assert!(!turn.begin_next(now));
        turn.waited();
        assert!(!turn.begin_next(now + LONGEST));
        assert!(!turn.begin_next(now + LONGEST), "the turn goes on");
        assert!(turn.begin_next(now + LONGEST * 2));
    }
}
