//! The producer's task: feeds the [`Sender`] with what happens, and does what it says.
//!
//! It owns everything that is on its way; the handles share the [`Accumulator`] with it and nothing else. It ends when
//! the producer is closed, or its last handle dropped, and all records have their outcome; where it is cut short
//! (`close`'s deadline, a runtime that shuts down) it tells the rest that they failed.

mod alarm;
mod brokers;
mod identity;
mod interest;
mod produce;
mod seal;

use std::collections::HashSet;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use ottla_client::{Client, Cluster, ClusterUpdates, Error, ErrorKind, NodeId, Topic};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::accumulator::Accumulator;
use crate::acknowledge::Outbox;
use crate::completion::Completion;
use crate::options::{ProducerOptions, ProducerValues};
use crate::runtime;
use crate::sender::{Answer, Sender};
use crate::sequence::Identity;
use alarm::Alarm;
use brokers::{Brokers, Event};
pub(crate) use interest::Interest;
pub(crate) use seal::Sealers;

/// What handles and task share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) options: ProducerOptions,
    pub(crate) accumulator: Arc<Accumulator>,
    /// Here and not with the handles, since the task needs leaders for as long as it has records.
    pub(crate) topics: Interest,
    /// Callbacks and interceptors.
    pub(crate) outbox: Arc<Outbox>,
    /// Wakes the task.
    pub(crate) notify: Notify,
    /// Why nothing can be sent any more.
    pub(crate) fatal: OnceLock<Error>,
}

impl Shared {
    pub(crate) fn values(&self) -> &ProducerValues {
        self.options.values()
    }

    /// Makes or updates the buffers of a topic, which is kept fresh from now on.
    pub(crate) fn take_up(&self, topic: &Topic) {
        // In this order: the task releases a topic before it forgets its buffers.
        self.topics.hold(&topic.name);
        adopt(&self.accumulator, topic);
    }
}

/// What a handle asks of the task.
#[derive(Debug)]
pub(crate) enum Command {
    /// Send every batch that was opened at this instant at the latest, and say what to wait for.
    Flush(Instant, oneshot::Sender<Vec<Arc<Completion>>>),
    /// Say when callbacks and interceptors know every outcome that there is now.
    Deliver(oneshot::Sender<()>),
    /// Fail everything that has no outcome.
    Abort(oneshot::Sender<()>),
    /// End when all records have their outcome, or at the deadline; says how it ended.
    Close(Instant, oneshot::Sender<Result<(), Error>>),
}

type IdentityFuture = Pin<Box<dyn Future<Output = Result<Identity, identity::NoIdentity>> + Send>>;
type Changing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The task.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    sender: Sender,
    commands: mpsc::UnboundedReceiver<Command>,
    updates: ClusterUpdates,
    /// Ready when there is a snapshot that `updates` has not seen; kept, as to wait anew costs more than to go on waiting.
    changing: Changing,
    cluster: Arc<Cluster>,
    brokers: Brokers,
    sealers: Sealers,
    identity: Option<IdentityFuture>,
    /// How often getting a producer id failed in a row.
    identity_failures: u32,
    touched: Vec<u32>,
    alarm: Alarm,
    /// Set once the task should end.
    closing: Option<Instant>,
    closers: Vec<oneshot::Sender<Result<(), Error>>>,
    /// Goes last, when everything is told: handles see by it that nobody will answer any more.
    _alive: watch::Receiver<()>,
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        sender: Sender,
        sealers: Sealers,
        commands: mpsc::UnboundedReceiver<Command>,
        alive: watch::Receiver<()>,
    ) -> Self {
        let updates = shared.client.cluster_updates();
        Driver {
            brokers: Brokers::new(&shared),
            sealers,
            cluster: shared.client.cluster(),
            changing: next_snapshot(updates.clone()),
            updates,
            shared,
            sender,
            commands,
            identity: None,
            identity_failures: 0,
            touched: Vec::new(),
            alarm: Alarm::default(),
            closing: None,
            closers: Vec::new(),
            _alive: alive,
        }
    }

    /// Works until the producer is closed and everything is told.
    pub(crate) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut called = pin!(shared.notify.notified());
        let (idle, deadline) = std::future::poll_fn(|cx| {
            while called.as_mut().poll(cx).is_ready() {
                called.set(shared.notify.notified());
            }
            self.poll(cx)
        })
        .await;
        self.end(idle, deadline).await;
    }

    /// One turn: takes in all that has happened, does what there is to do about it, and sees to it that the task is woken by
    /// whatever happens next. Ready at the end, with whether all was told, and when it had to be.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(bool, Instant)> {
        let mut now = runtime::now();
        // An answer that is here counts before a command that gives up what has none.
        self.poll_events(cx, now);
        self.poll_others(cx, now);
        loop {
            self.absorb(now);
            self.act(now);
            // What was sent above is on its way while the application is busy here.
            self.shared.outbox.deliver();
            if let Some(deadline) = self.closing {
                let idle = self.sender.is_idle();
                if idle || now >= deadline {
                    return Poll::Ready((idle, deadline));
                }
            }
            // Others were asked until they had nothing more, so they will wake the task. These may be new.
            let happened = self.poll_events(cx, now);
            let due = self.due(now);
            if !happened && self.alarm.poll(due, cx).is_pending() {
                return Poll::Pending;
            }
            now = runtime::now();
        }
    }

    /// Takes in what happened to all that `act` began; whether anything did.
    fn poll_events(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut happened = false;
        while let Poll::Ready(event) = self.brokers.poll_event(cx) {
            self.handle(event, now);
            happened = true;
        }
        while let Poll::Ready((index, job, body)) = self.sealers.poll_next(cx) {
            self.sender.sealed(index, job, body, now);
            happened = true;
        }
        if let Some(identity) = &mut self.identity
            && let Poll::Ready(result) = identity.as_mut().poll(cx)
        {
            self.identified(result, now);
            happened = true;
        }
        happened
    }

    /// Takes in what happens without the task's doing.
    fn poll_others(&mut self, cx: &mut Context<'_>, now: Instant) {
        while (self.closing.is_none() || !self.commands.is_closed())
            && let Poll::Ready(command) = self.commands.poll_recv(cx)
        {
            self.command(command, now);
        }
        while self.changing.as_mut().poll(cx).is_ready() {
            if self.updates.has_changed() {
                self.learn_cluster(now);
            }
            self.changing = next_snapshot(self.updates.clone());
        }
    }

    /// When there is something to do although nothing happens.
    fn due(&self, now: Instant) -> Option<Instant> {
        let topics = self.shared.topics.next_expiry();
        let due = [self.sender.next_wake(now), self.brokers.next_wake(now), self.closing, topics];
        due.into_iter().flatten().min()
    }

    /// Takes in what the handles left and what time brought.
    fn absorb(&mut self, now: Instant) {
        // A topic that a handle has just learned of should not look leaderless here.
        if self.updates.has_changed() {
            self.learn_cluster(now);
        }
        let Driver { shared, sender, cluster, touched, .. } = self;
        shared.accumulator.inbox.take(touched);
        sender.touched(touched, now, leaders(cluster));
        sender.wake(now);
    }

    /// Does what the sender wants.
    fn act(&mut self, now: Instant) {
        for node in self.sender.ready_nodes(now) {
            self.brokers.send(node, &mut self.sender, &self.cluster, now);
        }
        if self.identity.is_none() && self.sender.wants_identity() {
            let failures = self.identity_failures;
            self.identity_failures += 1;
            self.identity = Some(Box::pin(identity::ask(Arc::clone(&self.shared), failures)));
        }
        if self.sender.wants_metadata() {
            self.shared.client.refresh_metadata();
        }
        if let Some(fatal) = self.sender.fatal()
            && self.shared.fatal.set(fatal.clone()).is_ok()
        {
            tracing::error!(error = %fatal, "the producer cannot go on");
            self.shared.accumulator.close();
            let fatal = fatal.clone();
            self.sender.abandon(&fatal, now);
        }
        // Late, as what was sent above may have made room for more.
        for job in self.sender.seal_jobs() {
            self.sealers.start(job);
        }
        self.sender.balance(now);
        for topic in self.sender.idle_topics(now) {
            self.shared.topics.release(&topic);
            if !self.sender.forget(&topic) {
                // Somebody has just begun to use it again.
                self.shared.topics.hold(&topic);
            }
        }
        let Shared { topics, accumulator, .. } = &*self.shared;
        topics.expire(now, |topic| accumulator.knows(topic));
    }

    fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::Connected => {}
            Event::Unreachable { node, error } => {
                tracing::debug!(node, %error, "cannot reach a leader");
                self.sender.unreachable(node, error);
            }
            Event::Answered { id, sent, result, span } => {
                let _request = span.enter();
                let random = runtime::random();
                match result {
                    Ok(Some(response)) => {
                        let throttle = produce::throttle(&response);
                        let moved = produce::learn_leaders(&self.shared.client, &sent, &response);
                        let mut answers = produce::answers(&sent, response);
                        self.sender.answered(id, |at| answers.next(at), throttle, now, random);
                        if moved {
                            self.learn_cluster(now);
                        }
                    }
                    Ok(None) => {
                        let written = |_| Answer::Said(Default::default());
                        self.sender.answered(id, written, Default::default(), now, random);
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a produce request failed");
                        let failed = |_| Answer::Failed(error.clone());
                        self.sender.answered(id, failed, Default::default(), now, random);
                    }
                }
            }
        }
    }

    fn command(&mut self, command: Option<Command>, now: Instant) {
        match command {
            Some(Command::Flush(until, reply)) => {
                self.absorb(now);
                let Driver { sender, cluster, .. } = self;
                let _ = reply.send(sender.flush(until, now, leaders(cluster)));
            }
            Some(Command::Abort(reply)) => {
                self.absorb(now);
                let error = Error::new(
                    ErrorKind::Aborted,
                    "the application gave up records that were not acknowledged",
                );
                let Driver { sender, cluster, .. } = self;
                sender.abort(&error, now, leaders(cluster));
                self.shared.outbox.deliver();
                let _ = reply.send(());
            }
            Some(Command::Deliver(reply)) => {
                self.shared.outbox.deliver();
                let _ = reply.send(());
            }
            Some(Command::Close(deadline, reply)) => {
                self.closing = Some(self.closing.map_or(deadline, |earlier| earlier.min(deadline)));
                self.closers.push(reply);
            }
            None => {
                // The last handle is gone: `delivery.timeout.ms` bounds what is left to do.
                let bound =
                    now + self.shared.values().delivery_timeout + self.shared.values().request_timeout;
                self.closing.get_or_insert(bound);
            }
        }
    }

    fn identified(&mut self, result: Result<Identity, identity::NoIdentity>, now: Instant) {
        self.identity = None;
        match result {
            Ok(identity) => {
                self.identity_failures = 0;
                self.sender.identified(identity, now);
            }
            Err(identity::NoIdentity { error, fatal }) => {
                tracing::debug!(%error, "no producer id");
                self.sender.unidentified(error, fatal, now);
            }
        }
    }

    fn learn_cluster(&mut self, now: Instant) {
        let before = std::mem::replace(&mut self.cluster, self.updates.latest());
        let mut others = HashSet::new();
        for name in self.shared.accumulator.topic_names() {
            if let Some(topic) = self.cluster.topic(&name) {
                adopt(&self.shared.accumulator, topic);
                // One that was gone for a while may have come back as another.
                if before.topic(&name).is_none_or(|before| before.id != topic.id) {
                    others.insert(name);
                }
            }
        }
        if !others.is_empty() {
            self.sender.recreated(|name| others.contains(name));
        }
        let Driver { sender, cluster, .. } = self;
        sender.leaders(now, leaders(cluster));
    }

    async fn end(&mut self, idle: bool, deadline: Instant) {
        let result = if idle {
            Ok(())
        } else {
            let error = Error::new(
                ErrorKind::Closed,
                "the producer was closed before these records were acknowledged",
            );
            self.sender.abandon(&error, runtime::now());
            let late = runtime::now().saturating_duration_since(deadline);
            tracing::warn!(?late, "closed a producer with records that were not acknowledged");
            Err(Error::new(
                ErrorKind::Timeout,
                "the producer's records were not all acknowledged before close's deadline",
            ))
        };
        self.shared.outbox.deliver();
        self.commands.close();
        // Only `recv` waits for a command that is just being sent. Who asks for anything else is told that the task ended.
        while let Some(command) = self.commands.recv().await {
            if let Command::Close(_, closer) = command {
                self.closers.push(closer);
            }
        }
        for closer in self.closers.drain(..) {
            let _ = closer.send(result.clone());
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.shared.accumulator.close();
        let message = "the producer's task ended with its runtime before these records were acknowledged";
        self.sender.abandon(&Error::new(ErrorKind::Closed, message), runtime::now());
        self.shared.outbox.abandon();
    }
}

/// Ready when there is a snapshot that has not been seen.
fn next_snapshot(mut updates: ClusterUpdates) -> Changing {
    Box::pin(async move {
        if updates.changed().await.is_err() {
            // The client is gone, and there will be none.
            std::future::pending().await
        }
    })
}

/// Takes a topic's partitions over from metadata.
fn adopt(accumulator: &Accumulator, topic: &Topic) {
    let leaders = topic.partitions.iter().map(|partition| partition.leader);
    accumulator.update_topic(&topic.name, leaders.collect());
}

fn leaders(cluster: &Cluster) -> impl Fn(&str, i32) -> Option<NodeId> + '_ {
    |topic, partition| cluster.leader(topic, partition).map(|leader| leader.node)
}

#[cfg(test)]
mod tests;
