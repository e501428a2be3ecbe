//! The pool's map of slots, the attempts it starts, and the waiting for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::super::connection::{Address, Connection};
use super::super::dial::Dial;
use super::super::transport::{self, Settings, Stage};
use super::slot::{Attempt, Slot, Step};
use crate::backoff::Backoff;
use crate::error::{Error, ErrorKind};
use crate::metadata::NodeId;
use crate::purpose::Purpose;
use crate::runtime::{self, OwnedTask};

type Key = (NodeId, Purpose);

#[derive(Debug)]
pub(crate) struct Pool {
    runtime: tokio::runtime::Handle,
    dialer: Arc<dyn Dial>,
    settings: Settings,
    reconnect: Backoff,
    /// How long an attempt may take.
    setup: Backoff,
    slots: Mutex<BTreeMap<Key, Slot>>,
}

impl Pool {
    pub(crate) fn new(
        runtime: tokio::runtime::Handle,
        dialer: Arc<dyn Dial>,
        settings: Settings,
        reconnect: Backoff,
        setup: Backoff,
    ) -> Self {
        Pool { runtime, dialer, settings, reconnect, setup, slots: Mutex::default() }
    }

    /// The connection to `address` for `purpose`: a living one, or the outcome of one attempt.
    ///
    /// # Cancel safety
    /// The attempt goes on for others.
    pub(crate) async fn connection(
        &self,
        address: &Address,
        purpose: Purpose,
        deadline: Instant,
    ) -> Result<Connection, Error> {
        let start = runtime::now();
        loop {
            match self.step(address, purpose) {
                Step::Use(connection) => return Ok(connection),
                Step::Await(mut attempt) => {
                    let done = attempt.wait_for(|attempt| matches!(attempt, Attempt::Done(..)));
                    match runtime::until(deadline, done)
                        .await
                        .map(|attempt| attempt.map(|attempt| attempt.clone()))
                    {
                        Some(Ok(Attempt::Done(outcome, _))) => return outcome,
                        Some(Ok(Attempt::Under(_)) | Err(_)) => {
                            let message =
                                format!("the connection to {address} was given up while it was set up");
                            return Err(Error::new(ErrorKind::Connect, message));
                        }
                        None => {
                            let waited = runtime::now().saturating_duration_since(start);
                            return Err(self
                                .trouble(address, purpose)
                                .unwrap_or_else(|| transport::late(Stage::Dial, address, waited)));
                        }
                    }
                }
                Step::Rest { until, error } => {
                    runtime::sleep_until(until.min(deadline)).await;
                    if deadline < until {
                        let error =
                            error.unwrap_or_else(|| transport::late(Stage::Dial, address, deadline - start));
                        return Err(error);
                    }
                }
                // `step` starts the attempt itself.
                Step::Connect { .. } => {}
            }
        }
    }

    /// A living connection for short requests, the least busy one of those that `wanted` takes.
    pub(crate) fn live_general(&self, wanted: impl Fn(NodeId) -> bool) -> Option<Connection> {
        let slots = self.slots();
        let general =
            slots.iter().filter(|((node, purpose), _)| *purpose == Purpose::General && wanted(*node));
        let live: Vec<Connection> = general.filter_map(|(_, slot)| slot.live()).collect();
        live.into_iter().min_by_key(|connection| (connection.outstanding(), runtime::seed()))
    }

    /// When the next attempt may be made, if not at once.
    pub(crate) fn rests_until(&self, node: NodeId, purpose: Purpose) -> Option<Instant> {
        self.slots().get_mut(&(node, purpose))?.rests_until(
            runtime::now(),
            &self.reconnect,
            runtime::random(),
        )
    }

    /// Why there is no connection to some broker, as far as known.
    pub(crate) fn any_trouble(&self) -> Option<Error> {
        let now = runtime::now();
        self.slots().values().find_map(|slot| slot.trouble(now))
    }

    /// Lets go of all connections of a purpose.
    pub(crate) fn close(&self, purpose: Purpose) {
        self.slots().retain(|key, _| key.1 != purpose);
    }

    fn trouble(&self, address: &Address, purpose: Purpose) -> Option<Error> {
        self.slots().get(&(address.node, purpose))?.trouble(runtime::now())
    }

    fn step(&self, address: &Address, purpose: Purpose) -> Step {
        let now = runtime::now();
        let key = (address.node, purpose);
        let mut slots = self.slots();
        if !slots.contains_key(&key) {
            slots.retain(|_, slot| !slot.is_stale(now, &self.reconnect, runtime::random()));
        }
        let slot = slots.entry(key).or_default();
        let step = slot.step(now, &self.reconnect, runtime::random());
        if let Step::Connect { failures } = step {
            let address = Arc::new(address.clone());
            let (attempt, task) = self.attempt(Arc::clone(&address), failures);
            slot.connecting(address, now, attempt.clone(), task);
            return Step::Await(attempt);
        }
        step
    }

    fn attempt(&self, address: Arc<Address>, failures: u32) -> (watch::Receiver<Attempt>, OwnedTask) {
        let (progress, attempt) = watch::channel(Attempt::Under(Stage::Dial));
        let (dialer, settings) = (Arc::clone(&self.dialer), self.settings.clone());
        let budget = self.setup.next(failures, 0.5);
        let task = OwnedTask::spawn(&self.runtime, async move {
            let reached = |stage| drop(progress.send_replace(Attempt::Under(stage)));
            let outcome = transport::establish(&*dialer, address, &settings, budget, reached).await;
            progress.send_replace(Attempt::Done(outcome, runtime::now()));
        });
        (attempt, task)
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<Key, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
