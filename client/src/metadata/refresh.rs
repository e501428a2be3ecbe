//! When to ask for metadata. A pure machine.
//!
//! One refresh at a time. Each reason to ask keeps a distance of its own, which grows while answers bring nothing new
//! (thousands of partitions that lose their leader cost a few requests), so that none can starve another:
//!
//! - a doubt about what is known rests after the last answer about everything;
//! - what an answer left open rests after the last answer of either scope;
//! - topics new to the client are asked about at once, unless such questions have taught of no topic lately: an
//!   application that goes on using topics that it may not use asks about them no faster than it would for the others;
//! - and all rest after a failure.
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

/// What an answer came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// It changed anything.
    pub(super) news: bool,
    /// It taught of a topic: one that was not known, or not like this.
    pub(super) topics: bool,
    /// Some topic in use needs another answer.
    pub(super) open: bool,
}

#[derive(Debug)]
pub(super) struct Refresh {
    wanted: Wanted,
    in_flight: Option<Asked>,
    paces: Paces,
    failures: u32,
    failing_since: Option<Instant>,
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

/// The question on its way.
#[derive(Debug, Clone, Copy)]
struct Asked {
    scope: Scope,
    /// New topics are among its reasons.
    new: bool,
}

/// How far apart the questions of each reason are.
#[derive(Debug, Default)]
struct Paces {
    all: Pace,
    new: Pace,
    again: Pace,
}

#[derive(Debug, Default, Clone, Copy)]
struct Pace {
    /// Answers in a row that were in vain.
    in_vain: u32,
    not_before: Option<Instant>,
}

impl Pace {
    fn rest(&mut self, in_vain: bool, now: Instant, backoff: &Backoff, random: f64) {
        self.in_vain = if in_vain { self.in_vain.saturating_add(1) } else { 0 };
        self.not_before = Some(now + backoff.next(self.in_vain.saturating_sub(1), random));
    }

    fn is_rested(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| at <= now)
    }
}

impl Refresh {
    pub(super) fn new(rules: Rules) -> Self {
        Refresh {
            wanted: Wanted::default(),
            in_flight: None,
            paces: Paces::default(),
            failures: 0,
            failing_since: None,
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
        let reasons = [
            (all, self.paces.all, Scope::All),
            (self.wanted.new, self.paces.new, Scope::New),
            (self.wanted.again, self.paces.again, Scope::New),
        ];
        let pending = || reasons.iter().filter(|(wanted, ..)| *wanted);
        let Some(&(.., scope)) = pending().find(|(_, pace, _)| pace.is_rested(now)) else {
            let rests = pending().filter_map(|(_, pace, _)| pace.not_before);
            return Next::Wait(rests.chain(aged.filter(|at| *at > now)).min());
        };
        self.in_flight = Some(Asked { scope, new: self.wanted.new });
        match scope {
            Scope::All => self.wanted = Wanted::default(),
            Scope::New => (self.wanted.new, self.wanted.again) = (false, false),
        }
        Next::Ask(scope)
    }

    /// An answer came.
    pub(super) fn handle_answer(&mut self, now: Instant, findings: Findings, random: f64) {
        let Findings { news, topics, open } = findings;
        let (asked, backoff) = (self.in_flight.take(), &self.rules.backoff);
        if asked.is_some_and(|asked| asked.scope == Scope::All) {
            self.complete_at = Some(now);
            self.paces.all.rest(!news, now, backoff, random);
        }
        self.complete_at.get_or_insert(now);
        self.paces.again.rest(!news, now, backoff, random);
        if topics {
            self.paces.new = Pace::default();
        } else if asked.is_some_and(|asked| asked.new) {
            self.paces.new.rest(true, now, backoff, random);
        }
        self.wanted.again = open;
        (self.failures, self.failing_since, self.rebootstrap) = (0, None, false);
    }

    /// No broker answered.
    pub(super) fn handle_failure(&mut self, now: Instant, random: f64) {
        if let Some(asked) = self.in_flight.take() {
            self.wanted.all |= asked.scope == Scope::All;
            self.wanted.new |= asked.scope == Scope::New || asked.new;
        }
        let rest = now + self.rules.backoff.next(self.failures, random);
        for pace in [&mut self.paces.all, &mut self.paces.new, &mut self.paces.again] {
            pace.not_before = pace.not_before.max(Some(rest));
        }
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
    const NOTHING: Findings = Findings { news: false, topics: false, open: false };
    const NEWS: Findings = Findings { news: true, topics: true, open: false };

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
        refresh.handle_answer(now, NEWS, 0.5);
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
            refresh.handle_answer(now, Findings { news, ..Findings::default() }, 0.5);
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
        refresh.handle_answer(now, Findings { open: true, ..NEWS }, 0.5);
        assert_eq!(refresh.poll(now), Next::Wait(Some(now + MS(100))));
        refresh.request_new();
        assert_eq!(refresh.poll(now), Next::Ask(Scope::New));
        refresh.handle_answer(now, Findings { open: true, ..NOTHING }, 0.5);
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
        refresh.handle_answer(now + MS(60_000), NEWS, 0.5);
        assert!(!refresh.rebootstraps(now + MS(999_000)));
        refresh.handle_rebootstrap();
        assert!(refresh.rebootstraps(now));
    }

    /// What is asked, and when, while somebody asks for a topic in vain every 10 ms; an answer takes 1 ms.
    fn asked_in_vain(
        refresh: &mut Refresh,
        start: Instant,
        steps: u64,
        findings: Findings,
    ) -> Vec<(Scope, Duration)> {
        let mut asked = Vec::new();
        for step in 0..steps {
            let now = start + MS(10 * step);
            refresh.request_new();
            while let Next::Ask(scope) = refresh.poll(now) {
                asked.push((scope, now - start));
                refresh.handle_answer(now + MS(1), findings, 0.5);
            }
        }
        asked
    }

    #[test]
    fn questions_about_topics_that_cannot_be_had_put_off_nobody_else() {
        for findings in [NOTHING, Findings { news: true, ..NOTHING }, NEWS] {
            let (mut refresh, start) = machine();
            refresh.request();
            refresh.poll(start);
            refresh.handle_answer(start, NEWS, 0.5);
            refresh.request();
            let asked = asked_in_vain(&mut refresh, start, 50, findings);
            let all: Vec<_> = asked.iter().filter(|(scope, _)| *scope == Scope::All).collect();
            assert_eq!(all, [&(Scope::All, MS(100))], "{findings:?}");
        }
    }

    #[test]
    fn metadata_grow_old_also_while_new_topics_are_asked_about() {
        let (mut refresh, start) = machine();
        let asked = asked_in_vain(&mut refresh, start, 31_000, NOTHING);
        let all: Vec<_> = asked.iter().filter(|(scope, _)| *scope == Scope::All).collect();
        assert_eq!(all, [&(Scope::All, MS(300_010))]);
    }

    #[test]
    fn topics_that_cannot_be_had_are_asked_about_ever_more_seldom() {
        for findings in [NOTHING, Findings { news: true, ..NOTHING }] {
            let (mut refresh, start) = machine();
            let at: Vec<_> =
                asked_in_vain(&mut refresh, start, 400, findings).into_iter().map(|(_, at)| at).collect();
            assert_eq!(at, [0, 110, 320, 730, 1540, 2550, 3560].map(MS), "{findings:?}");
        }
    }

    #[test]
    fn topics_that_are_found_are_asked_about_at_once() {
        let (mut refresh, start) = machine();
        assert_eq!(asked_in_vain(&mut refresh, start, 50, NEWS).len(), 50);
        asked_in_vain(&mut refresh, start + MS(500), 50, NOTHING);
        let Next::Wait(Some(rested)) = refresh.poll(start + MS(1000)) else { panic!("must rest") };
        assert_eq!(refresh.poll(rested), Next::Ask(Scope::New));
        refresh.handle_answer(rested, NEWS, 0.5);
        refresh.request_new();
        assert_eq!(refresh.poll(rested), Next::Ask(Scope::New), "one that was found ends the rests");
    }

    #[test]
    fn waiting_for_a_topic_that_is_missing_puts_off_no_new_one() {
        let (mut refresh, mut now) = machine();
        refresh.request_new();
        for _ in 0..5 {
            assert_eq!(refresh.poll(now), Next::Ask(Scope::New));
            refresh.handle_answer(now, Findings { open: true, ..NOTHING }, 0.5);
            let Next::Wait(Some(at)) = refresh.poll(now) else { panic!("must rest") };
            now = at;
        }
        let just_before = now - MS(1);
        refresh.request_new();
        assert_eq!(refresh.poll(just_before), Next::Ask(Scope::New));
    }
}
