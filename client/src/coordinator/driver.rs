//! The cache of coordinators and the tasks that look them up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ottla_protocol::messages::find_coordinator::FindCoordinatorRequest;
use tokio::sync::watch;

use super::lookup::{self, Found};
use crate::error::{Error, ErrorKind};
use crate::metadata::NodeId;
use crate::purpose::CoordinatorKey;
use crate::router::Router;
use crate::runtime::{self, OwnedTask};

#[derive(Debug)]
pub(crate) struct Coordinators {
    runtime: tokio::runtime::Handle,
    known: Mutex<HashMap<CoordinatorKey, Known>>,
}

#[derive(Debug)]
enum Known {
    Node(NodeId),
    /// It was this one.
    Lost(NodeId),
    Lookup(watch::Receiver<Lookup>, #[allow(dead_code, reason = "ends the lookup when dropped")] OwnedTask),
}

/// How a lookup goes.
#[derive(Debug, Clone)]
enum Lookup {
    Trying { tries: u32, last: Option<Error> },
    Done(Result<NodeId, Error>),
}

impl Coordinators {
    pub(crate) fn new(runtime: tokio::runtime::Handle) -> Self {
        Coordinators { runtime, known: Mutex::default() }
    }

    /// The coordinator: cached, or looked up until `deadline`.
    ///
    /// # Cancel safety
    /// Safe: the lookup goes on while others wait for it.
    pub(crate) async fn find(
        &self,
        router: &Arc<Router>,
        key: &CoordinatorKey,
        deadline: Instant,
    ) -> Result<NodeId, Error> {
        let start = runtime::now();
        loop {
            let mut lookup = match self.step(router, key) {
                Ok(node) => return Ok(node),
                Err(lookup) => lookup,
            };
            let done = async {
                lookup.wait_for(|lookup| matches!(lookup, Lookup::Done(_))).await.map(|done| done.clone())
            };
            match runtime::until(deadline, done).await {
                Some(Ok(Lookup::Done(outcome))) => return outcome,
                // The lookup ended just before this asker came; the next turn starts another.
                Some(Ok(Lookup::Trying { .. }) | Err(_)) => {}
                None => {
                    let waited = runtime::spoken(runtime::now().saturating_duration_since(start));
                    let (tries, last) = match &*lookup.borrow() {
                        Lookup::Trying { tries, last } => (*tries, last.clone()),
                        Lookup::Done(_) => (0, None),
                    };
                    let last = last.or_else(|| router.pool().any_trouble());
                    return Err(Error::gave_up(format!("no coordinator of {key} within {waited}"), last)
                        .with_tries(tries));
                }
            }
        }
    }

    /// Forgets a coordinator, if it is still the one that is cached.
    pub(crate) fn forget(&self, key: &CoordinatorKey, node: NodeId) {
        let mut known = self.known();
        let cached = match known.get(key) {
            Some(Known::Node(cached)) => Some(*cached),
            Some(Known::Lookup(lookup, _)) => match &*lookup.borrow() {
                Lookup::Done(Ok(found)) => Some(*found),
                _ => None,
            },
            Some(Known::Lost(_)) | None => None,
        };
        if cached == Some(node) {
            known.insert(key.clone(), Known::Lost(node));
        }
    }

    fn step(&self, router: &Arc<Router>, key: &CoordinatorKey) -> Result<NodeId, watch::Receiver<Lookup>> {
        let mut known = self.known();
        let mut former = None;
        match known.get(key) {
            Some(Known::Node(node)) => return Ok(*node),
            Some(Known::Lost(node)) => former = Some(*node),
            Some(Known::Lookup(lookup, _)) => {
                // In this order: what it came to is there before its end shows.
                let is_over = lookup.has_changed().is_err();
                let state = lookup.borrow().clone();
                match state {
                    Lookup::Done(Ok(node)) => {
                        known.insert(key.clone(), Known::Node(node));
                        return Ok(node);
                    }
                    Lookup::Trying { .. } if !is_over => return Err(lookup.clone()),
                    // It failed, or ended because nobody waited any more.
                    Lookup::Trying { .. } | Lookup::Done(Err(_)) => {}
                }
            }
            None => {}
        }
        let (progress, lookup) = watch::channel(Lookup::Trying { tries: 0, last: None });
        let task = look_up(Arc::clone(router), key.clone(), former, progress);
        let waiting = lookup.clone();
        known.insert(key.clone(), Known::Lookup(lookup, OwnedTask::spawn(&self.runtime, task)));
        Err(waiting)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<CoordinatorKey, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks brokers until one knows, or until nobody waits. Others than the `former` coordinator first: it may have been lost
/// for its silence.
async fn look_up(
    router: Arc<Router>,
    key: CoordinatorKey,
    former: Option<NodeId>,
    progress: watch::Sender<Lookup>,
) {
    let (mut tries, mut unanswered) = (0, 0);
    loop {
        let error = match ask(&router, &key, former, unanswered).await {
            Ok(found) => {
                router.metadata().learn_node(found.node, &found.host, found.port);
                progress.send_replace(Lookup::Done(Ok(found.node)));
                return;
            }
            Err(error) if !Router::is_worth_retrying(&error) => {
                progress.send_replace(Lookup::Done(Err(error)));
                return;
            }
            Err(error) => error,
        };
        tries += 1;
        unanswered = if error.kind() == ErrorKind::Timeout { unanswered + 1 } else { 0 };
        progress.send_replace(Lookup::Trying { tries, last: Some(error) });
        // The cache holds one receiver itself.
        if progress.receiver_count() <= 1 {
            return;
        }
        router.rest(tries - 1, runtime::now() + router.options().retry_backoff_max).await;
    }
}

async fn ask(
    router: &Router,
    key: &CoordinatorKey,
    former: Option<NodeId>,
    unanswered: u32,
) -> Result<Found, Error> {
    let request_timeout = router.options().request_timeout;
    let connection = router.any_but(former, runtime::now() + request_timeout).await?;
    let version = connection.version::<FindCoordinatorRequest>()?;
    let request = lookup::request(key, version)?;
    let now = runtime::now();
    let reply = connection.submit(&request, version, now + request_timeout)?;
    lookup::read(key, router.await_reply(&connection, reply, now + router.patience(unanswered)).await?)
}
