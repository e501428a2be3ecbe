//! Which connection a request takes, and how often it is tried.
//!
//! Guarantee: no single broker that is dead or silent holds up for long what any broker can answer, and a broker that is no
//! part of the cluster any more isn't asked; when none of the known brokers can be reached, the bootstrap list is tried
//! again.
//!
//! Sources: KIP-899, KIP-1102 (rebootstrap).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ottla_protocol::api::Request;

use crate::backoff::Backoff;
use crate::error::{Error, ErrorKind};
use crate::metadata::{Cluster, Metadata, NodeId, Topic};
use crate::net::{Address, Connection, Pool, Reply};
use crate::options::{ClientValues, MetadataRecovery};
use crate::purpose::{Purpose, Target};
use crate::runtime;
use crate::silent::Silent;

/// How long one broker may take to be connected to before the next is tried as well; it doubles with each round.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long the first broker may take to answer what another could answer as well; it doubles with each failure.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Router {
    options: ClientValues,
    pool: Pool,
    metadata: Arc<Metadata>,
    retry: Backoff,
    answer_patience: Backoff,
    silent: Mutex<Silent>,
}

impl Router {
    pub(crate) fn new(options: ClientValues, pool: Pool) -> Self {
        let metadata = Arc::new(Metadata::new(&options));
        let retry = Backoff::new(options.retry_backoff, options.retry_backoff_max);
        let request_timeout = options.request_timeout;
        let answer_patience = Backoff::new(ANSWER_PATIENCE.min(request_timeout), request_timeout);
        Router { options, pool, metadata, retry, answer_patience, silent: Mutex::default() }
    }

    pub(crate) fn options(&self) -> &ClientValues {
        &self.options
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn metadata(&self) -> &Arc<Metadata> {
        &self.metadata
    }

    /// Whether an error of connecting or of a connection may be cured by another try.
    pub(crate) fn is_worth_retrying(error: &Error) -> bool {
        let cut_short =
            matches!(error.kind(), ErrorKind::Disconnected | ErrorKind::Timeout | ErrorKind::Busy);
        let stage = matches!(error.kind(), ErrorKind::Dns | ErrorKind::Connect | ErrorKind::Handshake);
        cut_short || stage || error.is_retriable()
    }

    /// Waits after `failures` failures before this one, but not beyond `deadline`.
    pub(crate) async fn rest(&self, failures: u32, deadline: Instant) {
        let rest = self.retry.next(failures, runtime::random());
        runtime::sleep_until((runtime::now() + rest).min(deadline)).await;
    }

    pub(crate) async fn topic(&self, name: &str, deadline: Instant) -> Result<Arc<Topic>, Error> {
        self.metadata.topic(name, deadline, || self.pool.any_trouble()).await
    }

    /// The connection to a broker.
    pub(crate) async fn node(
        &self,
        node: NodeId,
        purpose: Purpose,
        deadline: Instant,
    ) -> Result<Connection, Error> {
        let Some(address) = self.address(&self.metadata.cluster(), node) else {
            self.metadata.request();
            let message =
                format!("node {node} is not in the metadata; it may have left the cluster or not joined yet");
            return Err(Error::new(ErrorKind::Connect, message));
        };
        let outcome = self.pool.connection(&address, purpose, deadline).await;
        if outcome.is_err() {
            // The broker may be gone, and with it leaders may have moved.
            self.metadata.request();
        }
        outcome
    }

    /// A connection to any broker.
    pub(crate) async fn any(&self, deadline: Instant) -> Result<Connection, Error> {
        self.any_but(None, deadline).await
    }

    /// A connection to any broker, to another than `unwanted` where there is a choice.
    pub(crate) async fn any_but(
        &self,
        unwanted: Option<NodeId>,
        deadline: Instant,
    ) -> Result<Connection, Error> {
        let start = runtime::now();
        let patience = Backoff::new(PATIENCE, self.options.connection_setup_timeout_max);
        let (mut tries, mut known_failed) = (0, false);
        for round in 0.. {
            let bootstrapping = self.metadata.rebootstraps();
            let cluster = self.metadata.cluster();
            let mut avoided = self.silent().at(runtime::now());
            avoided.extend(unwanted);
            let suits = |node| match bootstrapping {
                true => node < 0 && !avoided.contains(&node),
                false => [Some(node), self.member(&cluster, node)]
                    .iter()
                    .all(|node| node.is_some_and(|node| !avoided.contains(&node))),
            };
            if let Some(connection) = self.pool.live_general(suits) {
                return Ok(connection);
            }
            let (candidates, reserve) = self.candidates(&cluster, bootstrapping, known_failed, &avoided);
            let count = candidates.len() + usize::from(reserve);
            for (tried, address) in candidates.into_iter().enumerate() {
                // What is left is shared by those that are left: a deadline may be shorter than the patience, and a
                // silent broker must leave time for the next even then.
                let (now, left) = (runtime::now(), u32::try_from(count - tried).unwrap_or(u32::MAX));
                let fair = deadline.saturating_duration_since(now) / left;
                let share = if left == 1 { deadline } else { now + fair.min(patience.next(round, 0.5)) };
                tries += 1;
                let error = match self.pool.connection(&address, Purpose::General, share).await {
                    Ok(connection) => return Ok(connection),
                    Err(error) if !Self::is_worth_retrying(&error) => return Err(error),
                    Err(error) => error,
                };
                if runtime::now() >= deadline {
                    let waited = runtime::spoken(deadline.saturating_duration_since(start));
                    let message = format!("no broker could be reached within {waited}");
                    return Err(Error::gave_up(message, Some(error)).with_tries(tries));
                }
            }
            known_failed = true;
            self.rest(round, deadline).await;
        }
        Err(Error::new(ErrorKind::Timeout, "no broker could be reached"))
    }

    /// Others than `node` are to be asked for a while, where there is a choice.
    pub(crate) fn avoid(&self, node: NodeId) {
        let now = runtime::now();
        self.silent().add(node, now, now + self.options.request_timeout);
    }

    /// How long to wait for an answer that another broker could give as well, after `failures` failures.
    pub(crate) fn patience(&self, failures: u32) -> Duration {
        self.answer_patience.next(failures, 0.5)
    }

    /// The answer to what any broker can answer. One that takes longer than until `patience` keeps its connection, but others
    /// are asked before it for a while.
    pub(crate) async fn await_reply<R: Request>(
        &self,
        connection: &Connection,
        reply: Reply<R>,
        patience: Instant,
    ) -> Result<R::Response, Error> {
        match runtime::until(patience, reply).await {
            Some(answer) => {
                if answer.is_ok() {
                    self.silent().remove(connection.node());
                }
                answer
            }
            None => {
                self.avoid(connection.node());
                let message = format!("{connection:?} did not answer {} in time", R::API.key);
                Err(Error::new(ErrorKind::Timeout, message))
            }
        }
    }

    /// Sends one request, and again until `deadline` where connecting or the connection failed. Only for requests that
    /// may reach the broker twice. Gives the number of tries with the answer.
    pub(crate) async fn call<R: Request>(
        &self,
        target: Target,
        request: &R,
        deadline: Instant,
    ) -> Result<(R::Response, u32), Error> {
        let start = runtime::now();
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match runtime::until(deadline, self.try_call(target, request, tries - 1, deadline))
                .await
            {
                Some(Ok(response)) => return Ok((response, tries)),
                Some(Err(error)) if !Self::is_worth_retrying(&error) => return Err(error.with_tries(tries)),
                Some(Err(error)) => Some(error),
                None => None,
            };
            if runtime::now() < deadline {
                self.metadata.request();
                self.rest(tries - 1, deadline).await;
            }
            if runtime::now() >= deadline {
                let waited = runtime::spoken(deadline.saturating_duration_since(start));
                let last = error.or_else(|| self.pool.any_trouble());
                return Err(Error::gave_up(format!("no answer to {} within {waited}", R::API.key), last)
                    .with_tries(tries));
            }
        }
    }

    async fn try_call<R: Request>(
        &self,
        target: Target,
        request: &R,
        failures: u32,
        deadline: Instant,
    ) -> Result<R::Response, Error> {
        let connection = match target {
            Target::Node(node, purpose) => self.node(node, purpose, deadline).await?,
            Target::Any => self.any(deadline).await?,
            Target::Controller => {
                let controller = self.controller(deadline).await?;
                self.node(controller, Purpose::General, deadline).await?
            }
        };
        let version = connection.version::<R>()?;
        // Not the caller's deadline: when that passes the caller goes, and the connection stays for the others.
        let reply = connection.submit(request, version, runtime::now() + self.options.request_timeout)?;
        match target {
            Target::Any => {
                self.await_reply(&connection, reply, runtime::now() + self.patience(failures)).await
            }
            // Nobody else could do it sooner.
            Target::Node(..) | Target::Controller => reply.await,
        }
    }

    async fn controller(&self, deadline: Instant) -> Result<NodeId, Error> {
        let mut updates = self.metadata.updates();
        if updates.latest().controller().is_none() {
            self.metadata.request();
        }
        let known =
            async { updates.wait_for(|cluster| cluster.controller().is_some()).await.ok()?.controller() };
        runtime::until(deadline, known).await.flatten().ok_or_else(|| {
            Error::gave_up(
                "the cluster names no controller",
                self.metadata.last_trouble().or_else(|| self.pool.any_trouble()),
            )
        })
    }

    /// Whom to ask when anybody will do: those who may be asked at once first, then those who are to be avoided in the order
    /// given, otherwise in random order; and whether the bootstrap list remains to be asked after them.
    fn candidates(
        &self,
        cluster: &Cluster,
        bootstrapping: bool,
        known_failed: bool,
        avoided: &[NodeId],
    ) -> (Vec<Address>, bool) {
        let mut known: Vec<NodeId> = cluster.nodes().map(|node| node.id).collect();
        let recovers = self.options.metadata_recovery == MetadataRecovery::Rebootstrap;
        if bootstrapping {
            known.clear();
        }
        let reserve = recovers && !known_failed && !known.is_empty();
        if known.is_empty() || (known_failed && recovers) {
            let count = i32::try_from(self.options.bootstrap_servers.len()).unwrap_or(i32::MAX);
            known.extend((1..=count).map(|place| -place));
        }
        known.sort_by_cached_key(|&node| {
            let avoided = avoided.iter().position(|avoided| *avoided == node);
            (self.pool.rests_until(node, Purpose::General), avoided, runtime::seed())
        });
        (known.into_iter().filter_map(|node| self.address(cluster, node)).collect(), reserve)
    }

    /// Which broker of the cluster a connection leads to. What is behind a bootstrap address nobody knows, unless some broker
    /// is dialled there: before the first answer it passes for a part of the cluster, and from then on it may be one that
    /// has left it.
    fn member(&self, cluster: &Cluster, node: NodeId) -> Option<NodeId> {
        if node >= 0 || cluster.id().is_none() {
            return cluster.node(node).map(|known| known.id).or((node < 0).then_some(node));
        }
        let dialled = self.address(cluster, node)?;
        cluster
            .nodes()
            .find(|known| known.host == dialled.host && known.port == dialled.port)
            .map(|known| known.id)
    }

    fn silent(&self) -> MutexGuard<'_, Silent> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where to dial a broker, or a bootstrap server: those have the ids -1, -2 and so on.
    fn address(&self, cluster: &Cluster, node: NodeId) -> Option<Address> {
        if let Some(known) = cluster.node(node) {
            return Some(Address { node, host: Arc::clone(&known.host), port: known.port });
        }
        let place = usize::try_from(-1 - i64::from(node)).ok()?;
        let (host, port) = self.options.bootstrap_servers.iter().nth(place)?;
        Some(Address { node, host: host.into(), port })
    }
}
