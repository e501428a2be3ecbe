//! The consumer's own task: connects, sends what the plan says, waits for answers and timers.
//!
//! Each broker's request, and each lookup, is a job of its own. The state is locked for moments and never while anything is
//! awaited. When its owner is gone, the task closes the fetch sessions, for which brokers have few places; nobody waits for
//! that, and it takes a second and `fetch.max.wait.ms` at the most, as a broker may be holding a request on the same
//! connection.
//!
//! Sources: KIP-74, KIP-227, KIP-951.

#![allow(
    clippy::disallowed_methods,
    reason = "a driver reads the clock, draws random numbers and starts tasks"
)]

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ottla_client::{Client, Cluster, Error, ErrorKind, Lane, NodeId, Topic};
use ottla_protocol::messages::fetch::{FetchRequest, FetchResponse, READ_COMMITTED, READ_UNCOMMITTED};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tracing::Instrument;

use super::jobs::{Job, Jobs};
use super::response::Consequences;
use super::session::SessionRequest;
use super::state::FetchState;
use crate::commit::Committer;
use crate::metrics::Meter;
use crate::options::{ConsumerValues, IsolationLevel};
use crate::position::driver::{check_epochs, fetch_committed, look_up};
use crate::stuck::driver::Announcer;
use crate::subscription::Source;

/// The newest version of Fetch that names topics by their names.
const LAST_VERSION_WITH_NAMES: i16 = 12;

/// For how long closing sessions may take, beyond `fetch.max.wait.ms`.
const CLOSING: Duration = Duration::from_secs(1);

/// What the application's side and the task share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<FetchState>,
    committer: Mutex<Option<Committer>>,
    /// There may be something for the application's side.
    pub(crate) news: Notify,
    /// There may be something for the task.
    pub(crate) work: Notify,
    pub(crate) meter: Arc<Meter>,
    pub(crate) announcer: Announcer,
}

impl Shared {
    pub(crate) fn new(state: FetchState) -> Shared {
        Shared {
            meter: Arc::clone(&state.meter),
            announcer: Announcer::default(),
            state: Mutex::new(state),
            committer: Mutex::default(),
            news: Notify::new(),
            work: Notify::new(),
        }
    }

    /// The state, locked; not to be held over an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, FetchState> {
        // A panic while it was locked can only have left records unread, never handed out twice.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn committer(&self) -> Option<Committer> {
        self.committer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_committer(&self, committer: Option<Committer>) {
        *self.committer.lock().unwrap_or_else(PoisonError::into_inner) = committer;
        self.announcer.committer_changed();
    }
}

/// What the task needs to know beside the state.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: Client,
    pub(crate) options: Arc<ConsumerValues>,
    /// The consumer's own connections: brokers answer a connection's requests in order, so on shared ones every fetch
    /// would wait until each other consumer's has been held for `fetch.max.wait.ms`.
    pub(crate) lane: Arc<Lane>,
}

/// The task; it ends with its owner.
#[derive(Debug)]
pub(crate) struct FetchTask {
    /// Says that the owner is gone by being dropped.
    _owned: oneshot::Sender<()>,
}

impl FetchTask {
    pub(crate) fn start(runtime: &Handle, context: Context) -> FetchTask {
        let (owned, disowned) = oneshot::channel();
        runtime.spawn(async move {
            run(&context, disowned).await;
            close_sessions(&context).await;
        });
        FetchTask { _owned: owned }
    }
}

/// Now, by the runtime's clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A number from 0 to 1.
pub(crate) fn random() -> f64 {
    fastrand::f64()
}

/// The output of `future`, unless `deadline` passes first.
pub(crate) async fn until<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    tokio::time::timeout_at(tokio::time::Instant::from_std(deadline), future).await.ok()
}

async fn run(context: &Context, mut disowned: oneshot::Receiver<()>) {
    let mut updates = context.client.cluster_updates();
    let mut jobs = Jobs::default();
    loop {
        let cluster = updates.latest();
        let wake_at = start_jobs(context, &cluster, &mut jobs);
        let timer = async {
            match wake_at {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = &mut disowned => return,
            () = context.shared.work.notified() => {}
            () = timer => {}
            Ok(()) = updates.changed() => {}
            lost = jobs.ended() => {
                if let Some(job) = lost {
                    context.shared.state().give_up(&job, now(), random());
                }
            }
        }
    }
}

/// Tells brokers that their fetch sessions are over; one that doesn't answer will notice that nobody uses its own.
async fn close_sessions(context: &Context) {
    let requests = context.shared.state().plan.close_sessions();
    let deadline = now() + context.options.fetch_max_wait + CLOSING;
    let mut jobs = JoinSet::new();
    for (node, SessionRequest { session_id, session_epoch, .. }) in requests {
        let (client, lane) = (context.client.clone(), Arc::clone(&context.lane));
        jobs.spawn(async move {
            let request = FetchRequest { session_id, session_epoch, ..Default::default() };
            let connection = client.connection(node, lane.purpose(), deadline).await?;
            let version = connection.version::<FetchRequest>()?;
            connection.submit(&request, version, deadline)?.await
        });
    }
    while let Some(closed) = jobs.join_next().await {
        if let Ok(Err(error)) = closed {
            tracing::debug!(%error, "a fetch session could not be closed");
        }
    }
}

/// Starts whatever is due; says when to look again.
fn start_jobs(context: &Context, cluster: &Arc<Cluster>, jobs: &mut Jobs) -> Option<Instant> {
    let now = now();
    let (outlook, checks, lookups, committed, next_lookup) = {
        let mut state = context.shared.state();
        state.plan.observe(cluster);
        state.note_leaders(cluster.generation(), &**cluster);
        let checks = state.begin_checks(now, &**cluster);
        let mut outlook = state.outlook(now, &**cluster);
        outlook.ready.iter().for_each(|node| state.plan.begin(*node));
        state.plan.retain(now, &**cluster);
        let lookups = state.begin_lookups(now, &**cluster);
        let committed = state.begin_committed(now, |topic| cluster.topic(topic).is_some());
        if let Source::Group(topics) = &state.subscription.source
            && cluster.nodes().next().is_none()
        {
            // Nothing is assigned as long as no broker is found; somebody has to say why that takes so long.
            outlook.leaderless.extend(topics.first().cloned());
        }
        (outlook, checks, lookups, committed, state.next_lookup(now))
    };
    let committed = (!committed.is_empty()).then_some(Job::Committed(committed));
    let due = (outlook.ready.into_iter().map(Job::Fetch))
        .chain(checks.into_iter().map(Job::Check))
        .chain(lookups.into_iter().map(Job::LookUp))
        .chain(committed)
        .chain(outlook.leaderless.into_iter().map(Job::Await));
    for job in due {
        let context = context.clone();
        jobs.start(job, |job| async move { run_job(&context, &job).await });
    }
    [outlook.wake_at, next_lookup].into_iter().flatten().min()
}

async fn run_job(context: &Context, job: &Job) {
    match job {
        Job::Fetch(node) => fetch_once(context, *node).await,
        Job::Check(batch) => check_epochs(context, batch).await,
        Job::LookUp(batch) => look_up(context, batch).await,
        Job::Committed(asked) => fetch_committed(context, asked).await,
        Job::Await(topic) => await_topic(context, topic).await,
    }
}

/// One request to a broker, from connecting to the answer's consequences.
async fn fetch_once(context: &Context, node: NodeId) {
    let outcome = ask(context, node).instrument(tracing::debug_span!("fetch", node)).await;
    let now = now();
    match outcome {
        Ok(Some(response)) => {
            let mut state = context.shared.state();
            match response.error_code {
                code if code.is_ok() => state.heard.answered(node),
                code => state.heard.unreachable(node, &Error::from_code(code, "the broker refuses fetches")),
            }
            let consequences = state.handle_response(node, now, random(), response);
            drop(state);
            follow(context, consequences);
        }
        Ok(None) => context.shared.state().plan.finish(node, now, Duration::ZERO),
        Err(error) => {
            tracing::debug!(node, %error, "fetch failed");
            let mut state = context.shared.state();
            state.heard.unreachable(node, &error);
            state.fail(node, now, random());
            if error.is_retriable() {
                state.trouble = Some(error);
            } else {
                state.alarm = Some(error);
                context.shared.news.notify_one();
            }
            drop(state);
            context.client.refresh_metadata();
        }
    }
}

async fn ask(context: &Context, node: NodeId) -> Result<Option<FetchResponse>, Error> {
    let Context { client, options, shared, lane } = context;
    let request_timeout = client.options().values().request_timeout;
    let connection = client.connection(node, lane.purpose(), now() + request_timeout).await;
    let connection = connection.inspect_err(|_| shared.meter.fetch_unsent())?;
    let (newest, with_names) = (
        connection.version::<FetchRequest>()?,
        connection.version_at_most::<FetchRequest>(LAST_VERSION_WITH_NAMES),
    );
    let (request, version, deadline) = {
        let (now, cluster) = (now(), client.cluster());
        let mut state = shared.state();
        // The metadata may be newer than those for which the task found this request due.
        state.note_leaders(cluster.generation(), &*cluster);
        let FetchState { plan, subscription, buffer, .. } = &mut *state;
        plan.observe(&cluster);
        let with_ids =
            newest > LAST_VERSION_WITH_NAMES && plan.has_ids(node, now, subscription, buffer, &*cluster);
        let version = if with_ids { newest } else { with_names? };
        let Some(planned) = plan.request(node, with_ids, now, subscription, buffer, &*cluster) else {
            return Ok(None);
        };
        let request = FetchRequest {
            max_wait_ms: millis(options.fetch_max_wait),
            min_bytes: options.fetch_min_bytes,
            max_bytes: i32::try_from(planned.max_bytes).unwrap_or(i32::MAX),
            isolation_level: match options.isolation_level {
                IsolationLevel::ReadUncommitted => READ_UNCOMMITTED,
                IsolationLevel::ReadCommitted => READ_COMMITTED,
            },
            session_id: planned.session.session_id,
            session_epoch: planned.session.session_epoch,
            topics: planned.session.topics,
            forgotten_topics_data: planned.session.forgotten,
            rack_id: options.client_rack.clone(),
            ..Default::default()
        };
        (request, version, now + request_timeout + options.fetch_max_wait)
    };
    // Without the lock: submitting may write to the socket.
    let reply = connection.submit(&request, version, deadline)?;
    shared.meter.fetch_sent();
    let sent = now();
    let answer = reply.await;
    let pause = answer.as_ref().ok().map(|answer| u64::try_from(answer.throttle_time_ms).unwrap_or(0));
    shared.meter.fetch_over(now().saturating_duration_since(sent), pause.map(Duration::from_millis));
    answer.map(Some)
}

fn follow(context: &Context, consequences: Consequences) {
    context.client.learn_leaders(consequences.hints);
    if consequences.stale_metadata {
        context.client.refresh_metadata();
    }
    if consequences.news {
        context.shared.news.notify_one();
    }
}

/// Waits until a topic has leaders, and has poll return why not, if that takes too long.
async fn await_topic(context: &Context, topic: &Arc<str>) {
    let Context { client, options, .. } = context;
    let leaderless = match client.topic(topic, now() + options.default_api_timeout).await {
        Ok(known) => check_partitions(context, &known),
        Err(error) => {
            tracing::warn!(%topic, %error, "cannot read the topic");
            give_notice(context, error);
            true
        }
    };
    if leaderless {
        client.refresh_metadata();
        tokio::time::sleep(client.options().values().retry_backoff_max).await;
    }
}

/// Reports partitions that don't exist; true if any of ours has no leader.
fn check_partitions(context: &Context, topic: &Topic) -> bool {
    let mut state = context.shared.state();
    let of_group = matches!(state.subscription.source, Source::Group(_));
    let ours = state.subscription.iter().filter(|(name, _)| name.topic == topic.name);
    let ours: Vec<_> = ours.map(|(name, assigned)| (name.clone(), assigned.generation)).collect();
    let mut leaderless = false;
    for (name, generation) in ours {
        let partition = topic.partition(name.partition);
        leaderless |= partition.is_none_or(|partition| partition.leader.is_none());
        if partition.is_none() {
            let count = topic.partitions.len();
            let message = format!("there is no partition {name}: the topic has {count} partitions");
            let error = Error::new(ErrorKind::UnknownTopic, message);
            if of_group {
                // Whoever assigned it has heard of it earlier; newer metadata will know it.
                state.trouble = Some(error);
                continue;
            }
            state.report(&name, generation, error);
            context.shared.news.notify_one();
        }
    }
    leaderless
}

fn give_notice(context: &Context, error: Error) {
    let mut state = context.shared.state();
    let of_group = matches!(state.subscription.source, Source::Group(_));
    if of_group && error.kind() == ErrorKind::UnknownTopic {
        // The next rebalance takes a deleted topic's partitions away.
        state.trouble = Some(error);
    } else {
        state.alarm = Some(error);
        context.shared.news.notify_one();
    }
}

/// A duration as the wire has it.
pub(crate) fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
