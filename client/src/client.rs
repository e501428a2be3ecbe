//! The handle that producers, consumers and applications share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ottla_protocol::api::Request;

use crate::backoff::Backoff;
use crate::coordinator::Coordinators;
use crate::error::Error;
use crate::lane::Lane;
use crate::metadata::{Cluster, ClusterUpdates, LeaderHint, Metadata, NodeId, Topic, TopicsInUse};
use crate::net::{Connection, Dial, Pool, Settings, Spares, TcpDialer};
use crate::options::ClientOptions;
use crate::purpose::{CoordinatorKey, Purpose, Target};
use crate::router::Router;
use crate::runtime::{self, OwnedTask};

/// A cheap handle: clones share connections, metadata and coordinators. When the last clone is gone, so are its tasks and,
/// once nobody awaits a reply on them, its connections.
#[derive(Debug, Clone)]
pub struct Client(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    options: ClientOptions,
    router: Arc<Router>,
    coordinators: Coordinators,
    next_lane: AtomicU64,
    _metadata: OwnedTask,
}

impl Client {
    /// A client over TCP. Nothing is connected yet.
    ///
    /// # Errors
    /// Kind `Config`: options out of bounds, or a call from outside a tokio runtime.
    pub fn new(options: ClientOptions) -> Result<Client, Error> {
        let dialer = TcpDialer::new(options.values().connection_setup_timeout);
        Client::with_dialer(options, Arc::new(dialer))
    }

    /// A client over streams of the caller's.
    ///
    /// # Errors
    /// As of [`Client::new`].
    pub fn with_dialer(options: ClientOptions, dialer: Arc<dyn Dial>) -> Result<Client, Error> {
        options.validate()?;
        let runtime = runtime::current()?;
        let values = options.values().clone();
        let settings = Settings {
            client_id: values.client_id.as_str().into(),
            max_frame: values.receive_message_max,
            max_idle: values.connections_max_idle,
            spares: Spares::default(),
        };
        let reconnect = Backoff::new(values.reconnect_backoff, values.reconnect_backoff_max);
        let setup = Backoff::new(values.connection_setup_timeout, values.connection_setup_timeout_max);
        let router =
            Arc::new(Router::new(values, Pool::new(runtime.clone(), dialer, settings, reconnect, setup)));
        let metadata = OwnedTask::spawn(&runtime, Metadata::run(Arc::clone(&router)));
        let coordinators = Coordinators::new(runtime);
        Ok(Client(Arc::new(Handle {
            options,
            router,
            coordinators,
            next_lane: AtomicU64::new(0),
            _metadata: metadata,
        })))
    }

    /// The options.
    pub fn options(&self) -> &ClientOptions {
        &self.0.options
    }

    /// The cluster as last seen, without asking anybody.
    pub fn cluster(&self) -> Arc<Cluster> {
        self.0.router.metadata().cluster()
    }

    /// The cluster as it changes.
    pub fn cluster_updates(&self) -> ClusterUpdates {
        self.0.router.metadata().updates()
    }

    /// A register of topics to keep fresh in [`Client::cluster`].
    pub fn topics_in_use(&self) -> TopicsInUse {
        TopicsInUse::new(Arc::clone(self.0.router.metadata()))
    }

    /// Asks for fresh metadata and returns at once. Many calls cause few requests.
    pub fn refresh_metadata(&self) {
        self.0.router.metadata().request();
    }

    /// Waits until a topic is known. It stays known only while some [`TopicsInUse`] holds it.
    ///
    /// # Errors
    /// `Authorization` or `UnknownTopic` as soon as a broker says what no waiting cures; at the deadline `UnknownTopic` for a
    /// topic that does not exist, `Dns`, `Connect`, `Tls`, `Sasl` or `Handshake` if no broker could be reached, or `Timeout`.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn topic(&self, name: &str, deadline: Instant) -> Result<Arc<Topic>, Error> {
        self.0.router.topic(name, deadline).await
    }

    /// Takes over leaders that some other answer named (KIP-951), unless an epoch is not newer, or the topic of this id has made
    /// way for another of the same name. All of an answer's together are one change.
    pub fn learn_leaders(&self, hints: Vec<LeaderHint>) {
        self.0.router.metadata().learn_leaders(hints);
    }

    /// The connection to a broker for a purpose: the living one, or the outcome of one attempt to connect, which waits
    /// for `reconnect.backoff.ms` first where the last attempt failed, and anew where somebody else's attempt failed
    /// meanwhile. A failure also asks for fresh metadata.
    ///
    /// # Errors
    /// `Dns`, `Connect`, `Tls`, `Sasl` or `Handshake`, by the stage that failed or was reached at the deadline.
    ///
    /// # Cancel safety
    /// Safe: the attempt goes on for others.
    pub async fn connection(
        &self,
        node: NodeId,
        purpose: Purpose,
        deadline: Instant,
    ) -> Result<Connection, Error> {
        self.0.router.node(node, purpose, deadline).await
    }

    /// A connection to some broker: of those known, or else of the bootstrap list.
    ///
    /// # Errors
    /// As of [`Client::connection`], after all of them were tried until the deadline.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn any_connection(&self, deadline: Instant) -> Result<Connection, Error> {
        self.0.router.any(deadline).await
    }

    /// Connections of one's own: one member's heartbeats never wait behind another's JoinGroup, nor one consumer's fetches
    /// behind another's.
    pub fn lane(&self) -> Lane {
        Lane::new(self.0.next_lane.fetch_add(1, Ordering::Relaxed), &self.0.router)
    }

    /// The coordinator of a group or transactional id: cached, or looked up until `deadline`.
    ///
    /// # Errors
    /// `Authorization` and other refusals at once; at the deadline `Timeout`, or the stage at which connecting failed.
    ///
    /// # Cancel safety
    /// Safe: the lookup goes on for others.
    pub async fn coordinator(&self, key: &CoordinatorKey, deadline: Instant) -> Result<NodeId, Error> {
        self.0.coordinators.find(&self.0.router, key, deadline).await
    }

    /// Forgets a coordinator that turned out to be `node` no longer; no effect if another one is known by now. Where there
    /// is a choice, `node` is not the one to be asked who has taken over.
    pub fn forget_coordinator(&self, key: &CoordinatorKey, node: NodeId) {
        self.0.coordinators.forget(key, node);
    }

    /// Sends one request and sends it again, until `deadline`, when connecting or the connection failed: only for requests
    /// that may reach a broker twice. Error codes inside the response are the caller's.
    ///
    /// # Errors
    /// At the deadline as of [`Client::any_connection`], or `Timeout`; at once `Encode`, `UnsupportedVersion`, `Protocol`.
    ///
    /// # Cancel safety
    /// Dropping it drops the answer, not the request.
    pub async fn call<R: Request>(
        &self,
        target: Target,
        request: &R,
        deadline: Instant,
    ) -> Result<R::Response, Error> {
        Ok(self.0.router.call(target, request, deadline).await?.0)
    }

    /// [`Client::call`], and how many times the request was sent: what a repeat finds done may be an earlier one's work.
    ///
    /// # Errors
    /// As of [`Client::call`].
    ///
    /// # Cancel safety
    /// As of [`Client::call`].
    pub async fn call_counted<R: Request>(
        &self,
        target: Target,
        request: &R,
        deadline: Instant,
    ) -> Result<(R::Response, u32), Error> {
        self.0.router.call(target, request, deadline).await
    }

    /// Puts questions that any broker can answer to others than `node` for the next `request.timeout.ms`, where there is a
    /// choice and unless it answers one: for whoever found `node` silent, so that the question where its partitions went
    /// is not put to itself.
    pub fn avoid(&self, node: NodeId) {
        self.0.router.avoid(node);
    }
}

#[cfg(test)]
mod tests;
