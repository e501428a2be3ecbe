//! [`Interest`]: the topics whose metadata is kept fresh for the producer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ottla_client::TopicsInUse;

/// Topics with buffers, until the task releases them, and topics that were asked for in vain, for a while.
#[derive(Debug)]
pub(crate) struct Interest {
    in_use: TopicsInUse,
    /// Not known when they were asked for, and when that was last.
    asked: Mutex<BTreeMap<Arc<str>, Instant>>,
    max_idle: Duration,
}

impl Interest {
    pub(crate) fn new(in_use: TopicsInUse, max_idle: Duration) -> Self {
        Interest { in_use, asked: Mutex::default(), max_idle }
    }

    /// Keeps a topic fresh until it is released.
    pub(crate) fn hold(&self, topic: &str) {
        self.asked().remove(topic);
        self.in_use.add(topic);
    }

    /// Asks for a topic that may not exist.
    pub(crate) fn ask(&self, topic: &str, now: Instant) {
        let mut asked = self.asked();
        match asked.get_mut(topic) {
            Some(at) => *at = now,
            None => drop(asked.insert(topic.into(), now)),
        }
        self.in_use.add(topic);
    }

    /// Lets go of a topic.
    pub(super) fn release(&self, topic: &str) {
        self.in_use.remove(topic);
    }

    /// Lets go of topics that were asked for in vain, except those that `are_held` by now.
    pub(super) fn expire(&self, now: Instant, are_held: impl Fn(&str) -> bool) {
        let mut asked = self.asked();
        if asked.is_empty() {
            return;
        }
        asked.retain(|topic, at| {
            let over = now.saturating_duration_since(*at) >= self.max_idle;
            if over && !are_held(topic) {
                self.in_use.remove(topic);
            }
            !over
        });
    }

    /// When the first topic will be let go of.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.asked().values().min().map(|at| *at + self.max_idle)
    }

    fn asked(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Instant>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
