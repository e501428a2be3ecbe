//! The producer's task: feeds the [`Sender`] with what happens, and does what it says.
//!
//! It owns everything that is on its way; the handles share the [`Accumulator`] with it and nothing else. It ends when
//! the producer is closed, or its last handle dropped, and all records have their outcome; where it is cut short
//! (`close`'s deadline, a runtime that shuts down) it tells the rest that they failed.

mod alarm;
mod brokers;
mod commands;
mod identity;
mod interest;
mod produce;
mod seal;
mod view;

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use ottla_client::{Client, Cluster, Error, ErrorKind, Topic};
use tokio::sync::{Notify, mpsc, watch};

use crate::accumulator::Accumulator;
use crate::acknowledge::Outbox;
use crate::options::{ProducerOptions, ProducerValues};
use crate::runtime;
use crate::sender::{Answer, Sender};
use crate::sequence::Identity;
use alarm::Alarm;
use brokers::{Brokers, Event};
pub(crate) use commands::Command;
use commands::Ending;
use identity::{Asking, NoIdentity};
pub(crate) use interest::Interest;
pub(crate) use seal::Sealers;
use view::View;

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

/// The task.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    sender: Sender,
    commands: mpsc::UnboundedReceiver<Command>,
    cluster: View,
    brokers: Brokers,
    sealers: Sealers,
    identity: Asking,
    /// Partitions that handles appended to; kept for its memory.
    touched: Vec<u32>,
    alarm: Alarm,
    ending: Ending,
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
        Driver {
            brokers: Brokers::new(&shared),
            sealers,
            cluster: View::new(&shared.client),
            shared,
            sender,
            commands,
            identity: Asking::default(),
            touched: Vec::new(),
            alarm: Alarm::default(),
            ending: Ending::default(),
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
        if self.poll_others(cx, now) {
            // Callbacks of the application may have been called for a command.
            now = runtime::now();
        }
        loop {
            self.absorb(now);
            self.act(now);
            // What was sent above is on its way while the application is busy here.
            self.shared.outbox.deliver();
            if let Some(deadline) = self.ending.deadline {
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
        if let Poll::Ready(answer) = self.identity.poll(cx) {
            self.identified(answer, now);
            happened = true;
        }
        happened
    }

    /// Takes in what happens without the task's doing; whether there was a command.
    fn poll_others(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut commanded = false;
        while (self.ending.deadline.is_none() || !self.commands.is_closed())
            && let Poll::Ready(command) = self.commands.poll_recv(cx)
        {
            self.command(command, now);
            commanded = true;
        }
        while let Poll::Ready(before) = self.cluster.poll_renewed(cx) {
            self.learn_cluster(&before, now);
        }
        commanded
    }

    /// When there is something to do although nothing happens.
    fn due(&self, now: Instant) -> Option<Instant> {
        let topics = self.shared.topics.next_expiry();
        let due = [self.sender.next_wake(now), self.brokers.next_wake(now), self.ending.deadline, topics];
        due.into_iter().flatten().min()
    }

    /// Takes in what the handles left and what time brought.
    fn absorb(&mut self, now: Instant) {
        // A topic that a handle has just learned of should not look leaderless here.
        if self.cluster.is_stale() {
            let before = self.cluster.renew();
            self.learn_cluster(&before, now);
        }
        let Driver { shared, sender, cluster, touched, .. } = self;
        shared.accumulator.inbox.take(touched);
        sender.touched(touched, now, cluster.leaders());
        sender.wake(now);
    }

    /// Does what the sender wants.
    fn act(&mut self, now: Instant) {
        let mut ready = self.sender.next_ready(None, now);
        while let Some(node) = ready {
            self.brokers.send(node, &mut self.sender, self.cluster.cluster(), now);
            ready = self.sender.next_ready(Some(node), now);
        }
        if self.sender.wants_identity() {
            self.identity.ask(&self.shared);
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
                            let before = self.cluster.renew();
                            self.learn_cluster(&before, now);
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

    /// Passes on how the newest snapshot differs from the one before.
    fn learn_cluster(&mut self, before: &Cluster, now: Instant) {
        let mut others = HashSet::new();
        for name in self.shared.accumulator.topic_names() {
            if let Some(topic) = self.cluster.cluster().topic(&name) {
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
        let Driver { sender, cluster, brokers, .. } = self;
        sender.leaders(now, cluster.leaders());
        let is_known = |node| cluster.cluster().node(node).is_some();
        sender.brokers(is_known, now);
        brokers.forget_gone(is_known, now);
    }

    fn identified(&mut self, answer: Result<Identity, NoIdentity>, now: Instant) {
        match answer {
            Ok(identity) => self.sender.identified(identity, now),
            Err(NoIdentity { error, fatal }) => {
                tracing::debug!(%error, "no producer id");
                self.sender.unidentified(error, fatal, now);
            }
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

/// Takes a topic's partitions over from metadata.
fn adopt(accumulator: &Accumulator, topic: &Topic) {
    let leaders = topic.partitions.iter().map(|partition| partition.leader);
    accumulator.update_topic(&topic.name, leaders.collect());
}

#[cfg(test)]
mod tests;
