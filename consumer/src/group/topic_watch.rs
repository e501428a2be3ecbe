//! A pattern that the client matches itself, because the classic protocol knows names only: all topics are looked at when the
//! pattern is set, and again whenever `metadata.max.age.ms` has passed.
//!
//! Guarantee: nothing is joined before the pattern was matched once, so the first generation has all topics that were there.

use std::time::{Duration, Instant};

use ottla_client::{Backoff, Error};
use ottla_protocol::messages::metadata::MetadataResponse;

use super::interest::TopicPattern;
use super::{GroupConfig, Interest};
use crate::options::GroupProtocol;

/// What to look for among all topics, and when.
#[derive(Debug)]
pub(super) struct TopicWatch {
    pattern: Option<TopicPattern>,
    max_age: Duration,
    backoff: Backoff,
    next: Option<Instant>,
    is_asking: bool,
    failures: u32,
    /// Whether there are topics to join with.
    is_known: bool,
}

/// Refuses a pattern that the client would have to match and that is none.
///
/// # Errors
/// Kind `Config`.
pub(super) fn check(config: &GroupConfig, interest: &Interest) -> Result<(), Error> {
    pattern(config, interest).map(drop)
}

fn pattern(config: &GroupConfig, interest: &Interest) -> Result<Option<TopicPattern>, Error> {
    match (config.group_protocol, interest) {
        (GroupProtocol::Classic, Interest::Pattern(text)) => {
            TopicPattern::new(text, config.exclude_internal_topics).map(Some)
        }
        _ => Ok(None),
    }
}

impl TopicWatch {
    /// # Errors
    /// As of [`check`].
    pub(super) fn new(
        now: Instant,
        config: &GroupConfig,
        interest: &Interest,
        max_age: Duration,
    ) -> Result<TopicWatch, Error> {
        let mut watch = TopicWatch {
            pattern: None,
            max_age,
            backoff: config.backoff(),
            next: None,
            is_asking: false,
            failures: 0,
            is_known: false,
        };
        watch.set(now, config, interest)?;
        Ok(watch)
    }

    /// Looks for this from `now` on; for names there is nothing to look for. A member that has topics keeps them until the
    /// new pattern is matched.
    ///
    /// # Errors
    /// As of [`check`].
    pub(super) fn set(
        &mut self,
        now: Instant,
        config: &GroupConfig,
        interest: &Interest,
    ) -> Result<(), Error> {
        self.pattern = pattern(config, interest)?;
        self.is_known |= self.pattern.is_none();
        self.next = self.pattern.as_ref().map(|_| now);
        self.failures = 0;
        Ok(())
    }

    /// Whether the topics to join with are known.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next.filter(|_| !self.is_asking)
    }

    /// Whether all topics are to be asked for now; says so once.
    pub(super) fn poll(&mut self, now: Instant) -> bool {
        let asks = self.deadline().is_some_and(|at| at <= now);
        self.is_asking |= asks;
        asks
    }

    /// The topics that match, by an answer about all topics.
    pub(super) fn handle(&mut self, now: Instant, all: &MetadataResponse) -> Option<Vec<String>> {
        self.is_asking = false;
        let pattern = self.pattern.as_ref()?;
        self.failures = 0;
        self.is_known = true;
        self.next = now.checked_add(self.max_age);
        Some(pattern.matches(all))
    }

    /// There is no answer.
    pub(super) fn handle_failure(&mut self, now: Instant, random: f64) {
        self.is_asking = false;
        if self.pattern.is_some() {
            self.next = Some(now + self.backoff.next(self.failures, random));
            self.failures = self.failures.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::disallowed_methods,
        reason = "any instant will do as the beginning of an invented clock"
    )]

    use ottla_protocol::messages::metadata::MetadataResponseTopic;

    use super::*;
    use crate::group::classic::test_config;

    const SECOND: Duration = Duration::from_secs(1);

    fn all(names: &[&str]) -> MetadataResponse {
        let topic =
            |&name: &&str| MetadataResponseTopic { name: Some(name.to_owned()), ..Default::default() };
        MetadataResponse { topics: names.iter().map(topic).collect(), ..Default::default() }
    }

    fn watch(interest: &Interest) -> (TopicWatch, Instant) {
        let now = Instant::now();
        (TopicWatch::new(now, &test_config(), interest, 300 * SECOND).unwrap(), now)
    }

    #[test]
    fn names_take_no_look() {
        let (mut watch, now) = watch(&Interest::Topics(vec!["a".into()]));
        assert!(watch.is_known() && watch.deadline().is_none() && !watch.poll(now));
    }

    #[test]
    fn a_pattern_is_looked_for_at_once_and_again_at_the_age_of_metadata() {
        let (mut watch, now) = watch(&Interest::Pattern("a.*".into()));
        assert!(!watch.is_known());
        assert!(watch.poll(now) && !watch.poll(now));
        assert_eq!(watch.handle(now, &all(&["a2", "b", "a1"])), Some(vec!["a1".to_owned(), "a2".to_owned()]));
        assert!(watch.is_known() && !watch.poll(now));
        assert_eq!(watch.deadline(), Some(now + 300 * SECOND));
        assert!(watch.poll(now + 300 * SECOND));
    }

    #[test]
    fn a_failure_is_tried_again_after_a_pause_and_a_newer_pattern_takes_the_answer_of_the_older_question() {
        let (mut watch, now) = watch(&Interest::Pattern("a.*".into()));
        assert!(watch.poll(now));
        watch.handle_failure(now, 0.5);
        assert!(!watch.is_known());
        assert_eq!(watch.deadline(), Some(now + Duration::from_millis(100)));
        assert!(watch.poll(now + SECOND));
        watch.set(now + SECOND, &test_config(), &Interest::Pattern("b".into())).unwrap();
        assert_eq!(watch.handle(now + SECOND, &all(&["a", "b"])), Some(vec!["b".to_owned()]));
        watch.set(now + SECOND, &test_config(), &Interest::Topics(vec!["c".into()])).unwrap();
        assert_eq!(watch.deadline(), None);
    }
}
