//! When to ask for metadata. A pure machine.
//!
//! One refresh at a time. Topics new to the client are asked about at once; everything else keeps its distance from the
//! last answer, which grows while answers bring nothing new (thousands of partitions that lose their leader cost a few
//! requests), and from the last failure.
//!
//! Sources: KIP-580 (backoff, also for answers without news), KIP-1102 (rebootstrap).

use std::time::{Duration, Instant};

use crate::backoff::Backoff;

/// What a refresh asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Every topic in use.
    All,
    /// Only topics about which something is still to be learned.
    New,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Ask(Scope),
    Wait(Option<Instant>),
}

#[derive(Debug)]
pub(super) struct Refresh {
    wanted: Wanted,
    in_flight: Option<Scope>,
    /// Answers in a row that brought nothing new.
    without_news: u32,
    failures: u32,
    failing_since: Option<Instant>,
    not_before: Option<Instant>,
    /// When everything was asked about last.
    complete_at: Option<Instant>,
    rebootstrap: bool,
    rules: Rules,
}

/// What doesn't change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) max_age: Duration,
    pub(super) backoff: Backoff,
    /// After how long without an answer to start from the bootstrap list; `None`: never.
    pub(super) rebootstrap_after: Option<Duration>,
}

#[derive(Debug, Default)]
struct Wanted {
    all: bool,
    new: bool,
    /// The last answer left something open.
    again: bool,
}

impl Refresh {
    pub(super) fn new(rules: Rules) -> Self {
        Refresh {
            wanted: Wanted::default(),
            in_flight: None,
            without_news: 0,
            failures: 0,
            failing_since: None,
            not_before: None,
            complete_at: None,
            rebootstrap: false,
            rules,
        }
    }

    /// Somebody doubts what is known.
    pub(super) fn request(&mut self) {
        self.wanted.all = true;
    }

    /// Somebody uses a topic that is not known.
    pub(super) fn request_new(&mut self) {
        self.wanted.new = true;
    }

    /// What to do now. `Ask` counts as asked.
    pub(super) fn poll(&mut self, now: Instant) -> Next {
        if self.in_flight.is_some() {
            return Next::Wait(None);
        }
        let aged = self.complete_at.map(|at| at + self.rules.max_age);
        let all = self.wanted.all || aged.is_some_and(|at| at <= now);
        let rested = self.not_before.is_none_or(|at| at <= now);
        let scope = match (all && rested, self.wanted.new && (rested || self.failures == 0)) {
            (true, _) => Scope::All,
            (false, true) => Scope::New,
            (false, false) if self.wanted.again && rested => Scope::New,
            (false, false) => {
                let pending = all || self.wanted.new || self.wanted.again;
                let rest = self.not_before.filter(|_| pending);
                return Next::Wait(rest.into_iter().chain(aged.filter(|at| *at > now)).min());
            }
        };
        match scope {
            Scope::All => self.wanted = Wanted::default(),
            Scope::New => (self.wanted.new, self.wanted.again) = (false, false),
        }
        self.in_flight = Some(scope);
        Next::Ask(scope)
    }

    /// An answer came; `news` says whether it changed anything, `open` whether some topic in use needs another.
    pub(super) fn handle_answer(&mut self, now: Instant, news: bool, open: bool, random: f64) {
        if self.in_flight.take() == Some(Scope::All) {
            self.complete_at = Some(now);
        }
        self.complete_at.get_or_insert(now);
        self.wanted.again = open;
        self.without_news = if news { 0 } else { self.without_news.saturating_add(1) };
        (self.failures, self.failing_since, self.rebootstrap) = (0, None, false);
        self.not_before = Some(now + self.rules.backoff.next(self.without_news.saturating_sub(1), random));
    }

    /// No broker answered.
    pub(super) fn handle_failure(&mut self, now: Instant, random: f64) {
        match self.in_flight.take() {
            Some(Scope::All) => self.wanted.all = true,
            Some(Scope::New) => self.wanted.new = true,
            None => {}
        }
        self.not_before = Some(now + self.rules.backoff.next(self.failures, random));
        self.failures = self.failures.saturating_add(1);
        self.failing_since.get_or_insert(now);
    }

    /// A broker told the client to start from its bootstrap list.
    pub(super) fn handle_rebootstrap(&mut self) {
        self.rebootstrap = self.rules.rebootstrap_after.is_some();
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether known brokers are to be left alone in favour of the bootstrap list.
    pub(super) fn rebootstraps(&self, now: Instant) -> bool {
        let overdue = self
            .failing_since
            .zip(self.rules.rebootstrap_after)
            .is_some_and(|(since, after)| since + after <= now);
        self.rebootstrap || overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn machine() -> (Refresh, Instant) {
        let backoff = Backoff::new(MS(100), MS(1000));
        let rules = Rules { max_age: MS(300_000), backoff, rebootstrap_after: Some(MS(60_000)) };
        (Refresh::new(rules), crate::runtime::now())
    }

    #[test]
    fn nothing_is_asked_before_anybody_wants_it() {
        let (mut refresh, now) = machine();
        assert_eq!(refresh.poll(now), Next::Wait(None));
        refresh.request();
        refresh.request();
        assert_eq!(refresh.poll(now), Next::Ask(Scope::All));
        assert_eq!(refresh.poll(now), Next::Wait(None));
    }

    #[test]
    fn metadata_is_refreshed_when_it_is_old() {
        let (mut refresh, now) = machine();
        refresh.request();
        refresh.poll(now);
        refresh.handle_answer(now, true, false, 0.5);
        assert_eq!(refresh.poll(now), Next::Wait(Some(now + MS(300_000))));
        assert_eq!(refresh.poll(now + MS(300_000)), Next::Ask(Scope::All));
    }

    #[test]
    fn requests_keep_their_distance_which_grows_without_news() {
        let (mut refresh, mut now) = machine();
        refresh.request();
        assert_eq!(refresh.poll(now), Next::Ask(Scope::All));
        let mut waits = Vec::new();
        for news in [true, false, false, false, true] {
            refresh.request();
            refresh.handle_answer(now, news, false, 0.5);
            let Next::Wait(Some(at)) = refresh.poll(now) else { panic!("must rest") };
            waits.push(at - now);
            now = at;
            assert_eq!(refresh.poll(now), Next::Ask(Scope::All));
        }
        assert_eq!(waits, [MS(100), MS(100), MS(200), MS(400), MS(100)]);
    }

    #[test]
    fn a_new_topic_is_asked_about_at_once_and_an_open_one_after_a_rest() {
        let (mut refresh, now) = machine();
        refresh.request_new();
        assert_eq!(refresh.poll(now), Next::Ask(Scope::New));
        refresh.handle_answer(now, true, true, 0.5);
        assert_eq!(refresh.poll(now), Next::Wait(Some(now + MS(100))));
        refresh.request_new();
        assert_eq!(refresh.poll(now), Next::Ask(Scope::New));
        refresh.handle_answer(now, false, true, 0.5);
        assert_eq!(refresh.poll(now + MS(100)), Next::Ask(Scope::New));
    }

    #[test]
    fn failures_back_off_and_keep_what_was_wanted() {
        let (mut refresh, mut now) = machine();
        refresh.request_new();
        for wait in [100, 200, 400, 800, 1000, 1000] {
            assert_eq!(refresh.poll(now), Next::Ask(Scope::New));
            refresh.handle_failure(now, 0.5);
            refresh.request_new();
            assert_eq!(refresh.poll(now), Next::Wait(Some(now + MS(wait))));
            now += MS(wait);
        }
        assert_eq!(refresh.failures(), 6);
    }

    #[test]
    fn bootstrapping_starts_again_after_long_failure_or_when_told() {
        let (mut refresh, now) = machine();
        refresh.request();
        refresh.poll(now);
        refresh.handle_failure(now, 0.5);
        assert!(!refresh.rebootstraps(now + MS(59_999)));
        assert!(refresh.rebootstraps(now + MS(60_000)));
        refresh.poll(now + MS(60_000));
        refresh.handle_answer(now + MS(60_000), true, false, 0.5);
        assert!(!refresh.rebootstraps(now + MS(999_000)));
        refresh.handle_rebootstrap();
        assert!(refresh.rebootstraps(now));
    }
}
