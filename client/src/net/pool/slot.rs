//! A place in the pool: at most one connection, one attempt to get it, and when the next attempt may be made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::connection::{Address, Connection};
use super::super::transport::{self, Stage};
use crate::backoff::Backoff;
use crate::error::{Error, ErrorKind};
use crate::runtime::{OwnedTask, Watched};

/// How long failures are remembered.
const MEMORY: Duration = Duration::from_secs(60);

/// What became of an attempt.
#[derive(Debug, Clone)]
pub(super) enum Attempt {
    Under(Stage),
    Done(Result<Connection, Error>, Instant),
}

/// What an asker has to do to get a connection.
pub(super) enum Step {
    Use(Connection),
    Await(Watched<Attempt>),
    Rest {
        until: Instant,
        error: Option<Error>,
    },
    /// Start an attempt, the first after `failures` failures.
    Connect {
        failures: u32,
    },
}

#[derive(Debug, Default)]
pub(super) struct Slot {
    state: State,
    failures: u32,
    not_before: Option<Instant>,
    error: Option<Error>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Vacant,
    Connecting {
        address: Arc<Address>,
        since: Instant,
        attempt: Watched<Attempt>,
        _task: OwnedTask,
    },
    Live(Connection),
}

impl Slot {
    /// What to do now.
    pub(super) fn step(&mut self, now: Instant, reconnect: &Backoff, random: f64) -> Step {
        self.settle(now, reconnect, random);
        match &self.state {
            State::Live(connection) => Step::Use(connection.clone()),
            State::Connecting { attempt, .. } => Step::Await(attempt.clone()),
            State::Vacant => match self.not_before.filter(|at| *at > now) {
                Some(until) => Step::Rest { until, error: self.error.clone() },
                None => Step::Connect { failures: self.failures },
            },
        }
    }

    /// An attempt was started.
    pub(super) fn connecting(
        &mut self,
        address: Arc<Address>,
        now: Instant,
        attempt: Watched<Attempt>,
        task: OwnedTask,
    ) {
        self.state = State::Connecting { address, since: now, attempt, _task: task };
    }

    /// The connection, while it lives.
    pub(super) fn live(&self) -> Option<Connection> {
        match &self.state {
            State::Live(connection) => Some(connection.clone()),
            State::Connecting { attempt, .. } => match &*attempt.borrow() {
                Attempt::Done(Ok(connection), _) => Some(connection.clone()),
                _ => None,
            },
            State::Vacant => None,
        }
        .filter(|connection| !connection.is_closed())
    }

    /// When the next attempt may be made, if not at once.
    pub(super) fn rests_until(&mut self, now: Instant, reconnect: &Backoff, random: f64) -> Option<Instant> {
        self.settle(now, reconnect, random);
        self.not_before.filter(|at| *at > now)
    }

    /// Why there is no connection, as far as known.
    pub(super) fn trouble(&self, now: Instant) -> Option<Error> {
        match &self.state {
            State::Connecting { address, since, attempt, .. } => match &*attempt.borrow() {
                Attempt::Done(Err(error), _) => Some(error.clone()),
                Attempt::Done(Ok(_), _) => None,
                Attempt::Under(stage) => self.error.clone().or_else(|| {
                    Some(transport::late(*stage, address, now.saturating_duration_since(*since)))
                }),
            },
            State::Vacant => self.error.clone(),
            State::Live(_) => None,
        }
    }

    /// Whether the slot knows nothing worth keeping.
    pub(super) fn is_stale(&mut self, now: Instant, reconnect: &Backoff, random: f64) -> bool {
        self.settle(now, reconnect, random);
        matches!(self.state, State::Vacant) && self.not_before.is_none_or(|at| at + MEMORY <= now)
    }

    /// Takes over what an attempt or a connection came to.
    fn settle(&mut self, now: Instant, reconnect: &Backoff, random: f64) {
        if let State::Connecting { address, attempt, .. } = &self.state {
            // In this order: an attempt says what it came to, then is over.
            let over = attempt.has_changed().is_err();
            let done = attempt.borrow().clone();
            match done {
                Attempt::Done(Ok(connection), _) => {
                    (self.failures, self.not_before, self.error) = (0, None, None);
                    self.state = State::Live(connection);
                }
                Attempt::Done(Err(error), at) => self.fail(error, at, reconnect, random),
                Attempt::Under(_) if over => {
                    let message = format!(
                        "the attempt to connect to {address} ended without an outcome: did the dialer panic?"
                    );
                    self.fail(Error::new(ErrorKind::Connect, message), now, reconnect, random);
                }
                Attempt::Under(_) => {}
            }
        }
        if let State::Live(connection) = &self.state
            && connection.is_closed()
        {
            match connection.end() {
                Some(end) if !end.idle => self.fail(end.error, end.at, reconnect, random),
                _ => self.state = State::Vacant,
            }
        }
    }

    fn fail(&mut self, error: Error, at: Instant, reconnect: &Backoff, random: f64) {
        self.state = State::Vacant;
        self.not_before = Some(at + reconnect.next(self.failures, random));
        self.failures = self.failures.saturating_add(1);
        self.error = Some(error);
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::disallowed_methods,
        reason = "an attempt that ends at any moment needs a thread of its own"
    )]

    use tokio::sync::watch;

    use super::*;
    use crate::runtime;

    #[tokio::test]
    async fn an_attempt_that_just_ended_counts_by_what_it_came_to() {
        let (ending, attempts) = std::sync::mpsc::sync_channel::<watch::Sender<Attempt>>(0);
        let now = runtime::now();
        let done = move || Attempt::Done(Err(Error::new(ErrorKind::Connect, "refused")), now);
        let ends = std::thread::spawn(move || {
            for attempt in attempts {
                attempt.send_replace(done());
            }
        });
        let reconnect = Backoff::new(MEMORY, MEMORY);
        let address = Arc::new(Address { node: 1, host: "node-1".into(), port: 9092 });
        for round in 0..2_000 {
            let (progress, attempt) = watch::channel(Attempt::Under(Stage::Dial));
            let mut slot = Slot::default();
            let task = OwnedTask::spawn(&runtime::current().unwrap(), std::future::ready(()));
            slot.connecting(Arc::clone(&address), now, attempt, task);
            ending.send(progress).unwrap();
            let step = loop {
                match slot.step(now, &reconnect, 0.5) {
                    Step::Await(_) => std::hint::spin_loop(),
                    step => break step,
                }
            };
            assert!(matches!(step, Step::Rest { error: Some(_), .. }), "round {round}: forgotten");
        }
        drop(ending);
        ends.join().unwrap();
    }

    #[tokio::test]
    async fn an_attempt_that_ends_without_an_outcome_is_a_failure_that_is_rested_after() {
        let (progress, attempt) = watch::channel(Attempt::Under(Stage::Dial));
        let (now, pause) = (runtime::now(), Duration::from_secs(7));
        let mut slot = Slot::default();
        let task = OwnedTask::spawn(&runtime::current().unwrap(), std::future::ready(()));
        let address = Arc::new(Address { node: 1, host: "node-1".into(), port: 9092 });
        slot.connecting(address, now, attempt, task);
        drop(progress);
        match slot.step(now, &Backoff::new(pause, pause), 0.5) {
            Step::Rest { until, error: Some(error) } => {
                assert!(until > now && until <= now + 2 * pause, "{:?}", until - now);
                assert_eq!(error.kind(), ErrorKind::Connect);
                assert!(
                    error.to_string().contains("node 1 (node-1:9092) ended without an outcome"),
                    "{error}"
                );
            }
            _ => panic!("no rest"),
        }
    }
}
