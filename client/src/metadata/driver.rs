//! The task that keeps the snapshot fresh, and those who wait for it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use tokio::sync::{Notify, watch};

use super::cluster::{Cluster, LeaderHint, NodeId, Topic};
use super::in_use::InUse;
use super::refresh::{Findings, Next, Refresh, Rules, Scope};
use super::update::is_final;
use crate::backoff::Backoff;
use crate::error::{Error, ErrorKind};
use crate::options::{ClientValues, MetadataRecovery};
use crate::router::Router;
use crate::runtime;

mod updates;

pub use updates::ClusterUpdates;

/// The snapshot, what it is wanted for, and how refreshing goes.
#[derive(Debug)]
pub(crate) struct Metadata {
    cluster: watch::Sender<Arc<Cluster>>,
    /// What the last refresh failed with, and how many did in a row.
    trouble: watch::Sender<Option<Error>>,
    /// Never held while `cluster` is locked anew: an update locks the cluster first and this second.
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug)]
struct State {
    in_use: InUse,
    refresh: Refresh,
}

impl Metadata {
    pub(crate) fn new(options: &ClientValues) -> Self {
        let rules = Rules {
            max_age: options.metadata_max_age,
            backoff: Backoff::new(options.retry_backoff, options.retry_backoff_max),
            rebootstrap_after: match options.metadata_recovery {
                MetadataRecovery::Rebootstrap => Some(options.rebootstrap_trigger),
                MetadataRecovery::None => None,
            },
        };
        Metadata {
            cluster: watch::channel(Arc::default()).0,
            trouble: watch::channel(None).0,
            state: Mutex::new(State { in_use: InUse::default(), refresh: Refresh::new(rules) }),
            wake: Notify::new(),
        }
    }

    pub(crate) fn cluster(&self) -> Arc<Cluster> {
        Arc::clone(&self.cluster.borrow())
    }

    pub(crate) fn updates(&self) -> ClusterUpdates {
        ClusterUpdates::new(&self.cluster)
    }

    /// Asks for a refresh.
    pub(crate) fn request(&self) {
        self.state().refresh.request();
        self.wake.notify_one();
    }

    /// Whether known brokers are to be left alone in favour of the bootstrap list.
    pub(crate) fn rebootstraps(&self) -> bool {
        self.state().refresh.rebootstraps(runtime::now())
    }

    /// Takes over leaders that somebody else's answer named.
    pub(crate) fn learn_leaders(&self, hints: Vec<LeaderHint>) {
        if !hints.is_empty() {
            self.change(|cluster| cluster.with_leaders(hints));
        }
    }

    /// Takes over a broker that somebody else's answer named.
    pub(crate) fn learn_node(&self, id: NodeId, host: &str, port: u16) {
        self.change(|cluster| cluster.with_node(id, host, port));
    }

    /// Waits until a topic is known, or can't be had.
    ///
    /// # Cancel safety
    /// Safe: the topic just stops being asked for.
    pub(crate) async fn topic(
        self: &Arc<Self>,
        name: &str,
        deadline: Instant,
        trouble_now: impl Fn() -> Option<Error> + Send,
    ) -> Result<Arc<Topic>, Error> {
        let mut updates = self.updates();
        let known = updates.latest();
        if let Some(topic) = known.topic(name) {
            return Ok(Arc::clone(topic));
        }
        // Only what is answered from now on counts: the topic may have been created, or allowed, since the last answer.
        let asked_at = known.generation();
        let asked_for = TopicsInUse::new(Arc::clone(self));
        asked_for.add(name);
        let start = runtime::now();
        let waiting = async {
            let mut trouble = self.trouble.subscribe();
            loop {
                let cluster = updates.latest();
                if let Some(topic) = cluster.topic(name) {
                    return Ok(Arc::clone(topic));
                }
                if let Some(code) = cluster.topic_error_since(name, asked_at).filter(|code| is_final(*code)) {
                    return Err(Error::from_code(code, format!("topic `{name}` cannot be used")));
                }
                if let Some(error) =
                    trouble.borrow_and_update().as_ref().filter(|error| !Router::is_worth_retrying(error))
                {
                    return Err(Error::new(error.kind(), format!("no metadata of topic `{name}`"))
                        .with_cause(error.clone()));
                }
                tokio::select! {
                    _ = updates.changed() => {}
                    _ = trouble.changed() => {}
                }
            }
        };
        match runtime::until(deadline, waiting).await {
            Some(outcome) => outcome,
            None => {
                let waited = runtime::spoken(runtime::now().saturating_duration_since(start));
                Err(match self.cluster().topic_error_since(name, asked_at) {
                    Some(code) => {
                        Error::from_code(code, format!("topic `{name}` could not be used for {waited}"))
                    }
                    None => {
                        let trouble = self.last_trouble().or_else(trouble_now);
                        Error::gave_up(format!("no metadata of topic `{name}` within {waited}"), trouble)
                    }
                })
            }
        }
    }

    /// The task. Ends when it is dropped.
    pub(crate) async fn run(router: Arc<Router>) {
        let metadata = router.metadata();
        loop {
            let (next, failures) = {
                let mut state = metadata.state();
                (state.refresh.poll(runtime::now()), state.refresh.failures())
            };
            match next {
                Next::Ask(scope) => metadata.ask(&router, scope, failures).await,
                Next::Wait(Some(at)) => {
                    let _ = runtime::until(at, metadata.wake.notified()).await;
                }
                Next::Wait(None) => metadata.wake.notified().await,
            }
        }
    }

    async fn ask(&self, router: &Router, scope: Scope, failures: u32) {
        let outcome = self.fetch(router, scope, failures).await;
        let (now, random) = (runtime::now(), runtime::random());
        match outcome {
            Ok(findings) => {
                let cluster = self.cluster();
                let mut state = self.state();
                let open = state.in_use.is_unsettled(&cluster);
                state.refresh.handle_answer(now, Findings { open, ..findings }, random);
                drop(state);
                self.trouble.send_if_modified(|trouble| trouble.take().is_some());
            }
            Err(error) => {
                tracing::debug!(%error, "metadata refresh failed");
                self.state().refresh.handle_failure(now, random);
                self.trouble.send_replace(Some(error.with_tries(failures + 1)));
            }
        }
    }

    /// Asks one broker.
    async fn fetch(&self, router: &Router, scope: Scope, failures: u32) -> Result<Findings, Error> {
        let deadline = runtime::now() + router.patience(failures);
        let connection = router.any(deadline).await?;
        let version = connection.version::<MetadataRequest>()?;
        let cluster = self.cluster();
        let mut requests = self.state().in_use.requests(scope, &cluster);
        if version < 4 {
            // Older brokers always create what they are asked about, and can't be told not to.
            requests.iter_mut().for_each(|request| request.allow_auto_topic_creation = true);
        }
        let given_up = runtime::now() + router.options().request_timeout;
        let replies: Vec<_> = requests
            .iter()
            .map(|request| connection.submit(request, version, given_up))
            .collect::<Result<_, _>>()?;
        let mut findings = Findings::default();
        for reply in replies {
            self.accept(router.await_reply(&connection, reply, deadline).await?, &mut findings)?;
        }
        Ok(findings)
    }

    fn accept(&self, response: MetadataResponse, findings: &mut Findings) -> Result<(), Error> {
        if response.error_code == ErrorCode::REBOOTSTRAP_REQUIRED {
            self.state().refresh.handle_rebootstrap();
        }
        if !response.error_code.is_ok() {
            return Err(
                Error::from_code(response.error_code, "the broker refused Metadata").with_retriable(true)
            );
        }
        if response.brokers.is_empty() {
            let message = "the broker knows of no broker yet";
            return Err(Error::new(ErrorKind::Disconnected, message));
        }
        self.change(|cluster| {
            let state = self.state();
            let next = cluster.updated(response, |name| state.in_use.contains(name));
            findings.news |= next.differs(cluster);
            findings.topics |= next.teaches_topics(cluster);
            tracing::trace!(cluster = ?next, ?findings, "metadata");
            Some(next)
        });
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&Cluster) -> Option<Cluster>) {
        self.cluster.send_if_modified(|cluster| match change(cluster) {
            Some(next) => {
                *cluster = Arc::new(next);
                true
            }
            None => false,
        });
    }

    /// What the last refresh failed with.
    pub(crate) fn last_trouble(&self) -> Option<Error> {
        self.trouble.borrow().clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The topics that one producer, consumer or other user cares for. Only topics in use are kept in the snapshot and
/// refreshed; dropping the register releases its topics.
#[derive(Debug)]
pub struct TopicsInUse {
    metadata: Arc<Metadata>,
    topics: Mutex<HashSet<Arc<str>>>,
    creating: bool,
}

impl TopicsInUse {
    pub(crate) fn new(metadata: Arc<Metadata>) -> Self {
        TopicsInUse { metadata, topics: Mutex::default(), creating: false }
    }

    /// Whether brokers with `auto.create.topics.enable` may create topics that this register adds (`false` at first).
    /// To be called before the first topic is added.
    #[must_use]
    pub fn creating(self, allow: bool) -> Self {
        TopicsInUse { creating: allow, metadata: Arc::clone(&self.metadata), topics: Mutex::default() }
    }

    /// Adds a topic, and asks for its metadata if it isn't known.
    pub fn add(&self, topic: &str) {
        let mut topics = self.topics();
        if topics.contains(topic) {
            return;
        }
        let topic: Arc<str> = topic.into();
        // In this order: were the topic looked up first, an update in between could drop it as not in use.
        self.metadata.state().in_use.add(&topic, self.creating);
        if self.metadata.cluster().topic(&topic).is_none() {
            self.metadata.state().refresh.request_new();
            self.metadata.wake.notify_one();
        }
        topics.insert(topic);
    }

    /// Removes a topic.
    pub fn remove(&self, topic: &str) {
        if self.topics().remove(topic) {
            self.metadata.state().in_use.remove(topic, self.creating);
        }
    }

    fn topics(&self) -> MutexGuard<'_, HashSet<Arc<str>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TopicsInUse {
    fn drop(&mut self) {
        let topics = std::mem::take(&mut *self.topics());
        let mut state = self.metadata.state();
        topics.iter().for_each(|topic| state.in_use.remove(topic, self.creating));
    }
}
