//! The coordinator as a member knows it: where it is, or where it turned out not to be, and the search for it.
//!
//! Guarantees: one look-up is unanswered at a time; after a loss the next one starts only when a pause is over that grows with
//! every loss in a row, until the coordinator has answered properly.

use std::time::Instant;

use ottla_client::{Backoff, Error, ErrorKind, NodeId};

/// The coordinator of a group.
#[derive(Debug)]
pub(super) struct Coordinator {
    backoff: Backoff,
    random: fastrand::Rng,
    node: Option<NodeId>,
    /// The one that turned out not to be it, or did not answer.
    wrong: Option<NodeId>,
    /// The number of the look-up that is not answered yet.
    lookup: Option<u64>,
    not_before: Option<Instant>,
    /// How often it was lost without a proper answer in between.
    failures: u32,
}

/// What came of a look-up.
#[derive(Debug)]
pub(super) enum LookedUp {
    /// The coordinator is this node.
    Found(NodeId),
    /// It has to be looked for again.
    Missed,
    /// Looking again does not help.
    Refused(Error),
}

impl Coordinator {
    /// One that is not known yet; `seed` spreads the pauses.
    pub(super) fn new(backoff: Backoff, seed: u64) -> Coordinator {
        Coordinator {
            backoff,
            random: fastrand::Rng::with_seed(seed),
            node: None,
            wrong: None,
            lookup: None,
            not_before: None,
            failures: 0,
        }
    }

    pub(super) fn node(&self) -> Option<NodeId> {
        self.node
    }

    /// When the next look-up may start; `None` if it may at once, or if there is nothing to wait for.
    pub(super) fn sought_at(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.node.is_none() && self.lookup.is_none())
    }

    /// Starts a look-up under the number that `id` gives, if it is time; tells the node that is not the coordinator.
    pub(super) fn seek(&mut self, now: Instant, id: impl FnOnce() -> u64) -> Option<(u64, Option<NodeId>)> {
        let is_early = self.not_before.is_some_and(|at| at > now);
        if is_early || self.node.is_some() || self.lookup.is_some() {
            return None;
        }
        let id = id();
        self.lookup = Some(id);
        Some((id, self.wrong))
    }

    /// The look-up of this number is over; `None` if it is not the one that is waited for.
    pub(super) fn handle(&mut self, id: u64, found: Result<NodeId, Error>) -> Option<LookedUp> {
        self.lookup.take_if(|lookup| *lookup == id)?;
        Some(match found {
            Ok(node) => {
                self.node = Some(node);
                self.wrong = None;
                LookedUp::Found(node)
            }
            Err(error) if error.is_retriable() => LookedUp::Missed,
            Err(error) => LookedUp::Refused(error),
        })
    }

    /// It answered something else than that it isn't it.
    pub(super) fn confirm(&mut self) {
        self.failures = 0;
    }

    /// It is not where it was, does not answer, or was not found: it may be looked for after a pause.
    pub(super) fn lose(&mut self, now: Instant) {
        let pause = self.backoff.next(self.failures, self.random.f64());
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + pause);
        self.wrong = self.node.take().or(self.wrong);
    }
}

/// Whether an error that trying again does not cure stays, whatever the application does.
pub(super) fn is_lasting(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Authorization | ErrorKind::Closed | ErrorKind::Encode | ErrorKind::UnsupportedVersion
    )
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::disallowed_methods,
        reason = "any instant will do as the beginning of an invented clock"
    )]

    use std::time::Duration;

    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn coordinator() -> (Coordinator, Instant) {
        (Coordinator::new(Backoff::new(MS(100), MS(1_000)), 7), Instant::now())
    }

    fn lost(now: Instant, mut coordinator: Coordinator) -> (Coordinator, Instant) {
        coordinator.lose(now);
        let at = coordinator.sought_at().expect("a pause");
        (coordinator, at)
    }

    #[test]
    fn one_look_up_is_unanswered_at_a_time_and_only_its_answer_counts() {
        let (mut coordinator, now) = coordinator();
        assert_eq!(coordinator.seek(now, || 3), Some((3, None)));
        assert_eq!(coordinator.seek(now, || 4), None);
        assert!(coordinator.handle(2, Ok(9)).is_none() && coordinator.node().is_none());
        assert!(matches!(coordinator.handle(3, Ok(1)), Some(LookedUp::Found(1))));
        assert_eq!((coordinator.node(), coordinator.seek(now, || 5)), (Some(1), None));
    }

    #[test]
    fn pauses_grow_with_every_loss_until_the_coordinator_has_answered() {
        let (coordinator, now) = coordinator();
        let (coordinator, first) = lost(now, coordinator);
        let (mut coordinator, second) = lost(now, coordinator);
        assert!(first >= now + MS(80) && first <= now + MS(120), "{:?}", first - now);
        assert!(second >= now + MS(160), "{:?}", second - now);
        assert_eq!(coordinator.seek(second - MS(1), || 1), None);
        assert_eq!(coordinator.seek(second, || 1), Some((1, None)));
        assert!(matches!(coordinator.handle(1, Ok(4)), Some(LookedUp::Found(4))));
        coordinator.confirm();
        let (mut coordinator, third) = lost(second, coordinator);
        assert!(third <= second + MS(120), "{:?}", third - second);
        assert_eq!(coordinator.seek(third, || 2), Some((2, Some(4))), "it is sought elsewhere");
    }

    #[test]
    fn what_may_pass_is_told_from_what_does_not() {
        let (mut coordinator, now) = coordinator();
        coordinator.seek(now, || 1);
        let passing = Error::new(ErrorKind::Disconnected, "the connection broke");
        assert!(matches!(coordinator.handle(1, Err(passing)), Some(LookedUp::Missed)));
        coordinator.seek(now, || 2);
        let refusal = Error::new(ErrorKind::Authorization, "not allowed");
        assert!(matches!(coordinator.handle(2, Err(refusal)), Some(LookedUp::Refused(_))));
    }
}
