//! [`FollowUp`]: what a leader does about the partitions that its cooperative assignment withholds until they are given up.
//!
//! Whoever has such a partition gives it up and joins again, which makes the rebalance that gives it to another. Where a static
//! member's successor took its place between the two, nobody joins again, and the leader has to.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ottla_client::TopicPartition;

/// The longest pause, unless a session is longer.
const LONGEST: Duration = Duration::from_secs(3_600);

/// When the leader has the group rebalance again.
#[derive(Debug, Default)]
pub(super) struct FollowUp {
    withheld: BTreeSet<TopicPartition>,
    /// A session, in which whoever is alive has joined again; twice as long after each rebalance that was of no use, as where
    /// the one that has the partitions is away and has a longer session.
    pause: Duration,
    due: Option<Instant>,
}

impl FollowUp {
    /// The member's own assignment, which has `withheld` this, holds from `now` on.
    pub(super) fn begin(&mut self, now: Instant, withheld: BTreeSet<TopicPartition>, session: Duration) {
        if self.withheld != withheld {
            *self = FollowUp { withheld, pause: session, due: None };
        }
        self.due = (!self.withheld.is_empty()).then(|| now + self.pause);
    }

    /// There is a rebalance already.
    pub(super) fn rest(&mut self) {
        self.due = None;
    }

    /// Whether the time has come; once.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let is_due = self.due.take_if(|due| *due <= now).is_some();
        if is_due {
            self.pause = self.pause.max(self.pause.saturating_mul(2).min(LONGEST));
        }
        is_due
    }

    /// When the time comes, if no rebalance comes first.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a script needs some instant to start from")]

    use super::*;

    const SECONDS: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn rebalances_that_are_of_no_use_become_rarer_until_something_else_is_withheld() {
        let (mut now, mut follow_up) = (Instant::now(), FollowUp::default());
        let mut pause = |withheld: &[i32], rests: bool| {
            let withheld = withheld.iter().map(|index| TopicPartition::new("t", *index)).collect();
            follow_up.begin(now, withheld, SECONDS(45));
            let due = follow_up.due()?;
            if rests {
                follow_up.rest();
                assert_eq!((follow_up.due(), follow_up.take(due)), (None, false));
            } else {
                assert!(!follow_up.take(due - SECONDS(1)));
                assert_eq!((follow_up.take(due), follow_up.take(due)), (true, false));
            }
            let pause = due - now;
            now = due;
            Some(pause.as_secs())
        };
        assert_eq!(pause(&[1, 2], true), Some(45), "another has the group rebalance first");
        let pauses: Vec<_> = (0..8).filter_map(|_| pause(&[1, 2], false)).collect();
        assert_eq!(pauses, [45, 90, 180, 360, 720, 1_440, 2_880, 3_600]);
        assert_eq!((pause(&[2], false), pause(&[], true), pause(&[2], false)), (Some(45), None, Some(45)));
    }

    #[test]
    fn a_session_that_is_longer_than_the_longest_pause_counts() {
        let (now, mut follow_up) = (Instant::now(), FollowUp::default());
        for _ in 0..2 {
            follow_up.begin(now, [TopicPartition::new("t", 0)].into(), SECONDS(5_000));
            assert_eq!(follow_up.due(), Some(now + SECONDS(5_000)));
            assert!(follow_up.take(now + SECONDS(5_000)));
        }
    }
}
