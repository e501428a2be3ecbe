//! A cluster that runs: behind pipes in memory, behind TCP sockets, or both.
//!
//! The clock is tokio's, so a paused one makes hours of rebalances take milliseconds.

#![allow(clippy::disallowed_methods, reason = "a driver, which reads the clock and owns its tasks")]

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::io::DuplexStream;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant as Clock;

use crate::cluster::{Cluster, ClusterOptions, ConnectionId, HarmError, OptionsError, Output};

mod line;
mod tcp;

/// Bytes that a pipe holds in each direction.
const PIPE: usize = 256 << 10;

/// A cluster that runs. Clones are handles of the same; it ends with the last of them.
///
/// ```
/// use ottla_mock::{ClusterOptions, Mock};
/// use ottla_protocol::api::ApiKey;
/// use ottla_protocol::error_code::ErrorCode;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let mock = Mock::start(ClusterOptions::new().brokers(3).topic("orders", 6, 3))?;
/// let addresses = mock.listen("127.0.0.1:0").await?;
/// assert_eq!(addresses.len(), 3);
/// // Now any client can use `mock.bootstrap_servers()`, and things can go wrong:
/// mock.cluster().on(ApiKey::PRODUCE).once(ErrorCode::NOT_LEADER_OR_FOLLOWER);
/// mock.kill_broker(2)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Mock {
    owner: Arc<Owner>,
}

/// The cluster within a [`Mock`], for as long as this is held; what follows from changes happens when it is dropped.
#[derive(Debug)]
pub struct ClusterGuard<'a> {
    state: MutexGuard<'a, State>,
    changed: &'a Notify,
}

struct Owner {
    shared: Arc<Shared>,
    tasks: Mutex<Vec<AbortHandle>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
    /// Where the cluster was started: a client whose own runtime ends takes no part of the cluster with it.
    runtime: Handle,
}

#[derive(Debug)]
struct State {
    cluster: Cluster,
    /// When the cluster will be woken: not after its next deadline.
    alarm: Option<Instant>,
    lines: HashMap<ConnectionId, mpsc::UnboundedSender<Event>>,
    listening: HashMap<i32, watch::Sender<bool>>,
}

/// What a connection's task is told.
#[derive(Debug)]
enum Event {
    Send(Vec<Bytes>),
    Ready,
    Close,
}

impl Mock {
    /// Starts a cluster; must be called within a tokio runtime.
    ///
    /// # Errors
    /// Options that no cluster can have.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(mut options: ClusterOptions) -> Result<Mock, OptionsError> {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map(|wall| wall.as_millis());
        options.epoch_ms = options.epoch_ms.or_else(|| wall.ok().and_then(|wall| wall.try_into().ok()));
        let cluster = Cluster::new(options, now())?;
        let state = State { cluster, alarm: None, lines: HashMap::new(), listening: HashMap::new() };
        let runtime = Handle::current();
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Notify::new(), runtime });
        let timer = tokio::spawn(keep_time(Arc::downgrade(&shared))).abort_handle();
        Ok(Mock { owner: Arc::new(Owner { shared, tasks: Mutex::new(vec![timer]) }) })
    }

    /// The cluster itself: its topics, its faults, its state.
    ///
    /// It stands still while the guard lives; asking for a second one in the same expression waits for ever.
    pub fn cluster(&self) -> ClusterGuard<'_> {
        self.owner.shared.lock()
    }

    /// The addresses of all brokers as clients want them, such as `mock-1:9092,mock-2:9092`.
    pub fn bootstrap_servers(&self) -> String {
        let guard = self.cluster();
        let addresses = guard.brokers.iter().map(|broker| match broker.host.contains(':') {
            true => format!("[{}]:{}", broker.host, broker.port),
            false => format!("{}:{}", broker.host, broker.port),
        });
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Opens a pipe to the broker at this address.
    ///
    /// # Errors
    /// `ConnectionRefused` where no broker runs there.
    pub fn dial(&self, host: &str, port: u16) -> io::Result<DuplexStream> {
        let guard = self.cluster();
        let broker = guard.brokers.iter().find(|broker| broker.host == host && broker.port == port);
        let broker = broker.map(|broker| broker.id);
        drop(guard);
        match broker {
            Some(broker) => self.connect(broker).map_err(io::Error::other).or_else(refused),
            None => refused(io::Error::other("no broker has this address")),
        }
    }

    /// Opens a pipe to a broker.
    ///
    /// # Errors
    /// Where there is no such broker, or it is down.
    pub fn connect(&self, broker: i32) -> Result<DuplexStream, HarmError> {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        self.owner.shared.accept(broker, "127.0.0.1", theirs)?;
        Ok(ours)
    }

    /// Lets every broker listen on a TCP port of its own at this address: on consecutive ports from the given one on,
    /// or on any free ones for port 0. From then on these are the brokers' addresses.
    ///
    /// # Errors
    /// Where an address cannot be resolved or bound.
    ///
    /// # Cancel safety
    /// Listeners that were bound before the future is dropped close again.
    pub async fn listen(&self, address: &str) -> io::Result<Vec<std::net::SocketAddr>> {
        tcp::listen(self, address).await
    }

    /// [`Cluster::kill_broker`], now.
    ///
    /// # Errors
    /// Where there is no such broker.
    pub fn kill_broker(&self, broker: i32) -> Result<(), HarmError> {
        self.cluster().kill_broker(now(), broker)
    }

    /// [`Cluster::stop_broker`], now.
    ///
    /// # Errors
    /// Where there is no such broker.
    pub fn stop_broker(&self, broker: i32) -> Result<(), HarmError> {
        self.cluster().stop_broker(now(), broker)
    }

    /// [`Cluster::restart_broker`], now.
    ///
    /// # Errors
    /// Where there is no such broker.
    pub fn restart_broker(&self, broker: i32) -> Result<(), HarmError> {
        self.cluster().restart_broker(now(), broker)
    }

    /// [`Cluster::pause_broker`], now.
    ///
    /// # Errors
    /// Where there is no such broker, or it is down.
    pub fn pause_broker(&self, broker: i32) -> Result<(), HarmError> {
        self.cluster().pause_broker(now(), broker)
    }

    /// [`Cluster::resume_broker`], now.
    ///
    /// # Errors
    /// Where there is no such broker, or it is down.
    pub fn resume_broker(&self, broker: i32) -> Result<(), HarmError> {
        self.cluster().resume_broker(now(), broker)
    }

    /// [`Cluster::move_leader`], now.
    ///
    /// # Errors
    /// Where there is no such partition, or the broker is no live replica of it.
    pub fn move_leader(&self, topic: &str, partition: i32, to: i32) -> Result<(), HarmError> {
        self.cluster().move_leader(now(), topic, partition, to)
    }

    /// [`Cluster::move_group_coordinator`], now.
    ///
    /// # Errors
    /// Where there is no such broker, or it holds no copy of the group's offsets.
    pub fn move_group_coordinator(&self, group: &str, to: i32) -> Result<(), HarmError> {
        self.cluster().move_group_coordinator(now(), group, to)
    }

    /// [`Cluster::move_transaction_coordinator`], now.
    ///
    /// # Errors
    /// Where there is no such broker, or it holds no copy of the transactions' state.
    pub fn move_transaction_coordinator(&self, id: &str, to: i32) -> Result<(), HarmError> {
        self.cluster().move_transaction_coordinator(now(), id, to)
    }

    /// [`Cluster::release_markers`], now.
    pub fn release_markers(&self) {
        self.cluster().release_markers(now());
    }

    fn own(&self, task: AbortHandle) {
        lock(&self.owner.tasks).push(task);
    }
}

impl fmt::Debug for Mock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mock({})", self.bootstrap_servers())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        lock(&self.tasks).iter().for_each(AbortHandle::abort);
    }
}

impl Deref for ClusterGuard<'_> {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.state.cluster
    }
}

impl DerefMut for ClusterGuard<'_> {
    fn deref_mut(&mut self) -> &mut Cluster {
        &mut self.state.cluster
    }
}

impl Drop for ClusterGuard<'_> {
    fn drop(&mut self) {
        self.state.deliver();
        if self.state.is_alarm_late() {
            self.changed.notify_one();
        }
    }
}

impl ClusterGuard<'_> {
    /// The time by the clock that the cluster runs on.
    pub fn now(&self) -> Instant {
        now()
    }
}

impl Shared {
    fn lock(&self) -> ClusterGuard<'_> {
        ClusterGuard { state: lock(&self.state), changed: &self.changed }
    }

    /// A client's stream to a broker begins.
    fn accept<S>(self: &Arc<Self>, broker: i32, host: &str, stream: S) -> Result<(), HarmError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + 'static,
    {
        let mut guard = self.lock();
        let connection = guard.connect(broker, host)?;
        let (sender, events) = mpsc::unbounded_channel();
        guard.state.lines.insert(connection, sender);
        let max_frame =
            usize::try_from(guard.brokers.number("socket.request.max.bytes")).unwrap_or(usize::MAX);
        drop(guard);
        self.runtime.spawn(line::serve(Arc::downgrade(self), connection, events, stream, max_frame));
        Ok(())
    }
}

impl State {
    /// Whether the cluster wants to be woken before it will be. An alarm that is early does no harm, and most requests set
    /// deadlines that are far and soon forgotten.
    fn is_alarm_late(&self) -> bool {
        let deadline = self.cluster.poll_deadline();
        deadline.is_some_and(|deadline| self.alarm.is_none_or(|alarm| deadline < alarm))
    }

    /// Hands what the cluster has to say to those it concerns.
    fn deliver(&mut self) {
        while let Some(output) = self.cluster.poll_output() {
            let (connection, event) = match output {
                Output::Send { connection, chunks } => (connection, Event::Send(chunks)),
                Output::Ready { connection } => (connection, Event::Ready),
                Output::Close { connection } => (connection, Event::Close),
                Output::Listen { broker, open } => {
                    if let Some(listening) = self.listening.get(&broker) {
                        listening.send_replace(open);
                    }
                    continue;
                }
            };
            let is_last = matches!(event, Event::Close);
            if let Some(line) = self.lines.get(&connection) {
                // A task that is gone has no use for it; it says so to the cluster itself.
                let _ = line.send(event);
            }
            if is_last {
                self.lines.remove(&connection);
            }
        }
    }
}

/// Wakes the cluster when something is due.
async fn keep_time(shared: Weak<Shared>) {
    loop {
        let Some(running) = shared.upgrade() else { return };
        let deadline = running.lock_quietly(|state| {
            state.alarm = state.cluster.poll_deadline();
            state.alarm
        });
        let far = now() + Duration::from_secs(24 * 60 * 60);
        let sleep = tokio::time::sleep_until(Clock::from_std(deadline.unwrap_or(far)));
        tokio::select! {
            () = sleep => {
                let time = now();
                running.lock_quietly(|state| state.cluster.handle_deadline(time));
            }
            () = running.changed.notified() => {}
        }
    }
}

impl Shared {
    /// Changes the cluster without waking the one who keeps time, who does this himself.
    fn lock_quietly<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.state);
        let result = change(&mut state);
        state.deliver();
        result
    }
}

fn now() -> Instant {
    Clock::now().into_std()
}

/// A lock whose holder panicked is taken all the same: a test that fails must not take the others with it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused<T>(cause: io::Error) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::ConnectionRefused, cause))
}
