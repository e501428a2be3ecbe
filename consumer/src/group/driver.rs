//! The task of a group member: carries the machine's requests to the coordinator and the answers back.
//!
//! It never waits for the application: whatever the application has to do stands in a watch channel. It ends when the member
//! has left, on command or because the handle is gone.

#![allow(
    clippy::disallowed_methods,
    reason = "a driver reads the clock, draws random numbers and starts its task"
)]

mod led;

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_client::{Client, ClusterUpdates, CoordinatorKey, Error, ErrorKind, Lane, NodeId};
use ottla_protocol::messages::metadata::MetadataResponse;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant as Clock;
use tracing::Instrument;

use super::classic::{MemberRequest, RequestBody};
use super::consumer_protocol::{Ask, AskBody};
use super::handle::{Leave, Shared};
use super::leader::Layout;
use super::member::Member;
use super::request::{self, Answer, Assigned, Waiting, send};
use super::topic_watch::TopicWatch;
use super::{GroupConfig, GroupEvent, Interest, Membership};
use led::Led;

/// How long a member whose handle is gone, or whose time to leave is over, tries to.
const DROPPED_LEAVES_WITHIN: Duration = Duration::from_secs(5);

/// The connections of a member: a held JoinGroup or SyncGroup must not delay its heartbeats.
#[derive(Debug)]
pub(crate) struct Lanes {
    heartbeats: Arc<Lane>,
    rebalances: Lane,
}

/// The number of the watch's requests, which no machine gives.
const OF_THE_WATCH: u64 = 0;

impl Lanes {
    pub(super) fn new(client: &Client) -> Lanes {
        Lanes { heartbeats: Arc::new(client.lane()), rebalances: client.lane() }
    }

    /// Where heartbeats, leaving and commits go.
    pub(crate) fn heartbeats(&self) -> Arc<Lane> {
        Arc::clone(&self.heartbeats)
    }
}

/// The task's ends of what it shares with the handle.
#[derive(Debug)]
pub(super) struct Channels {
    pub(super) shared: Arc<Shared>,
    pub(super) events: watch::Sender<Option<GroupEvent>>,
    pub(super) membership: watch::Sender<Arc<Membership>>,
    /// Until it was told, or nobody waits for it.
    pub(super) done: Option<oneshot::Sender<Result<(), Error>>>,
}

/// Starts the task.
pub(super) fn spawn(
    client: Client,
    config: Arc<GroupConfig>,
    interest: Interest,
    lanes: Lanes,
    channels: Channels,
) -> Result<(), Error> {
    let runtime = Handle::try_current().map_err(|_| {
        Error::new(
            ErrorKind::Config,
            "no tokio runtime: subscribe inside `#[tokio::main]` or `Runtime::block_on`",
        )
    })?;
    let max_age = client.options().values().metadata_max_age;
    let watch = TopicWatch::new(now(), &config, &interest, max_age)?;
    let driver = Driver {
        member: Member::new(Arc::clone(&config), interest, channels.shared.polled(), fastrand::u64(..)),
        watch,
        key: CoordinatorKey::Group(Arc::clone(&config.group_id)),
        updates: client.cluster_updates(),
        led: Led::new(&client, config.client_rack.is_some()),
        waiting: Waiting::default(),
        leave_by: None,
        client,
        config,
        lanes,
        channels,
    };
    runtime.spawn(driver.run());
    Ok(())
}

/// Now, by the runtime's clock, which tests can pause.
pub(super) fn now() -> Instant {
    Clock::now().into_std()
}

struct Driver {
    client: Client,
    config: Arc<GroupConfig>,
    key: CoordinatorKey,
    lanes: Lanes,
    channels: Channels,
    member: Member,
    watch: TopicWatch,
    waiting: Waiting,
    updates: ClusterUpdates,
    led: Led,
    leave_by: Option<Instant>,
}

impl Driver {
    async fn run(mut self) {
        loop {
            let now = now();
            self.obey(now);
            self.member.polled(self.channels.shared.polled());
            self.member.handle_deadline(now);
            self.check_partitions();
            self.ask_member(now);
            self.publish();
            if self.member.has_left() {
                break;
            }
            if self.leave_by.is_some_and(|by| by <= now) {
                // Whoever waits hears of it in time; the group still hears of the leaving if it goes quickly.
                let Some(done) = self.channels.done.take() else { break };
                let _ = done.send(Err(self.not_left()));
                self.leave_by = Some(now + self.dropped_leaves_within());
            }
            self.channels.shared.await_poll(self.member.awaits_poll());
            if self.member.awaits_poll() && self.member.is_older_than(self.channels.shared.polled()) {
                continue;
            }
            let deadline = self
                .member
                .poll_deadline()
                .into_iter()
                .chain(self.leave_by)
                .chain(self.watch.deadline())
                .min();
            tokio::select! {
                () = self.channels.shared.woken() => {}
                (id, answer) = self.waiting.next() => self.handle(id, answer),
                Ok(()) = self.updates.changed() => {}
                () = sleep_until(deadline) => {}
            }
        }
        // Nobody listens if the handle was dropped.
        if let Some(done) = self.channels.done {
            let _ = done.send(Ok(()));
        }
    }

    /// Carries out what the handle was told.
    fn obey(&mut self, now: Instant) {
        let inbox = self.channels.shared.take();
        if let Some(id) = inbox.acknowledged {
            self.member.acknowledge(now, id);
        }
        if let Some(interest) = inbox.interest {
            self.channels.shared.set_matched(&[]);
            // The handle has checked the pattern.
            if self.watch.set(now, &self.config, &interest).is_ok() {
                self.member.set_interest(now, interest);
            }
        }
        if let Some((code, sent_as)) = inbox.commit_refused {
            self.member.handle_commit_refused(now, code, &sent_as);
        }
        if let Some(leave) = inbox.leave {
            match leave {
                Leave::By(deadline) => self.leave_by = Some(deadline),
                Leave::Dropped => {
                    self.leave_by = Some(now + self.dropped_leaves_within());
                    self.channels.done = None;
                }
            }
            self.member.leave();
        }
    }

    /// Sends whatever the member has to say, and looks at all topics if that is due.
    fn ask_member(&mut self, now: Instant) {
        if self.watch.poll(now) {
            let (client, timeout) = (self.client.clone(), self.config.request_timeout);
            self.wait_for(OF_THE_WATCH, "Metadata", None, async move {
                Answer::AllTopics(request::all_topics(&client, timeout).await)
            });
        }
        // A member that has not joined yet does so with the topics of its pattern.
        let may_join = self.watch.is_known() || self.leave_by.is_some();
        let assignment = match &mut self.member {
            Member::Classic(member) if may_join => {
                let mut requests = Vec::new();
                let assignment = member.poll_assignment();
                requests.extend(std::iter::from_fn(|| member.poll_request(now)));
                requests.into_iter().for_each(|request| self.send(request));
                assignment
            }
            Member::Classic(_) => None,
            Member::Consumer(member) => {
                let cluster = self.client.cluster();
                let named = member.unnamed_topics().into_iter();
                member.learn_names(
                    named.filter_map(|id| Some((id, Arc::clone(&cluster.topic_by_id(id)?.name)))),
                );
                let mut asks = Vec::new();
                asks.extend(std::iter::from_fn(|| member.poll_request(now)));
                asks.into_iter().for_each(|ask| self.ask(ask));
                None
            }
        };
        if let Some(task) = assignment {
            let id = task.id;
            let patience = self.config.request_timeout.min(self.config.max_poll_interval / 2);
            let assigned = self.led.assign(&self.client, task, patience);
            self.waiting.add(id, async move { Answer::Assignment(assigned.await) });
        }
    }

    /// Carries a request on its way, in a span of its own.
    fn wait_for(
        &mut self,
        id: u64,
        api: &'static str,
        node: Option<NodeId>,
        request: impl Future<Output = Answer> + Send + 'static,
    ) {
        let span = tracing::debug_span!("group_request", api, group = %self.config.group_id, node);
        self.waiting.add(id, request.instrument(span));
    }

    /// Sends a request of the consumer protocol.
    fn ask(&mut self, Ask { id, body }: Ask) {
        let (client, timeout) = (self.client.clone(), self.config.request_timeout);
        let lane = self.lanes.heartbeats.purpose();
        match body {
            AskBody::FindCoordinator { instead_of } => self.find_coordinator(id, instead_of),
            AskBody::Heartbeat(node, request) => {
                let timeout = self.config.heartbeat_request_timeout();
                self.wait_for(id, "ConsumerGroupHeartbeat", Some(node), async move {
                    Answer::ConsumerHeartbeat(
                        request::consumer_heartbeat(&client, node, lane, timeout, request).await,
                    )
                });
            }
            AskBody::Leave(node, request) => {
                self.wait_for(id, "ConsumerGroupHeartbeat", Some(node), async move {
                    Answer::ConsumerLeave(
                        request::consumer_heartbeat(&client, node, lane, timeout, request).await,
                    )
                });
            }
            AskBody::TopicNames(ids) => self.wait_for(id, "Metadata", None, async move {
                Answer::TopicNames(request::topic_names(&client, timeout, &ids).await)
            }),
        }
    }

    fn find_coordinator(&mut self, id: u64, instead_of: Option<NodeId>) {
        let (client, key, patience) =
            (self.client.clone(), self.key.clone(), self.config.default_api_timeout);
        if let Some(wrong) = instead_of {
            client.forget_coordinator(&key, wrong);
        }
        self.wait_for(id, "FindCoordinator", None, async move {
            Answer::Coordinator(client.coordinator(&key, now() + patience).await)
        });
    }

    fn send(&mut self, MemberRequest { id, node, body }: MemberRequest) {
        let (client, timeout) = (self.client.clone(), self.config.request_timeout);
        let held = self.config.rebalance_request_timeout();
        let (rebalances, heartbeats) = (self.lanes.rebalances.purpose(), self.lanes.heartbeats.purpose());
        match body {
            RequestBody::FindCoordinator { instead_of } => self.find_coordinator(id, instead_of),
            RequestBody::Join(request) => self.wait_for(id, "JoinGroup", Some(node), async move {
                Answer::Join(send(&client, node, rebalances, timeout, held, |_| request).await)
            }),
            RequestBody::Sync(request) => self.wait_for(id, "SyncGroup", Some(node), async move {
                Answer::Sync(send(&client, node, rebalances, timeout, held, |_| request).await)
            }),
            RequestBody::Heartbeat(request) => {
                let timeout = self.config.heartbeat_request_timeout();
                self.wait_for(id, "Heartbeat", Some(node), async move {
                    Answer::Heartbeat(send(&client, node, heartbeats, timeout, timeout, |_| request).await)
                });
            }
            RequestBody::Leave(request) => self.wait_for(id, "LeaveGroup", Some(node), async move {
                let request = |version| request.to_message(version);
                Answer::Leave(send(&client, node, heartbeats, timeout, timeout, request).await)
            }),
        }
    }

    fn handle(&mut self, id: u64, answer: Answer) {
        let now = now();
        match answer {
            Answer::Coordinator(found) => self.member.handle_coordinator(now, id, found),
            Answer::Join(answer) => self.member.handle_join(now, id, answer),
            Answer::Sync(answer) => self.member.handle_sync(now, id, answer),
            Answer::Heartbeat(answer) => self.member.handle_heartbeat(now, id, answer),
            Answer::Leave(answer) => self.member.handle_leave(now, id, &answer),
            Answer::ConsumerHeartbeat(answer) => {
                if let Member::Consumer(member) = &mut self.member {
                    member.handle_heartbeat(now, id, answer);
                }
            }
            Answer::ConsumerLeave(answer) => {
                if let Member::Consumer(member) = &mut self.member {
                    member.handle_leave(now, id, &answer);
                }
            }
            Answer::TopicNames(answer) => {
                if let Member::Consumer(member) = &mut self.member {
                    member.handle_names(now, id, answer);
                }
            }
            Answer::AllTopics(answer) => self.handle_all_topics(now, answer),
            Answer::Assignment(Ok(Assigned { assignments, layout })) => {
                self.member.handle_assignment(id, Ok(assignments), self.led.rest_on(layout));
            }
            Answer::Assignment(Err(error)) => {
                self.member.handle_assignment(id, Err(error), &Layout::new());
            }
        }
    }

    /// All topics are known, so those of the pattern are.
    fn handle_all_topics(&mut self, now: Instant, answer: Result<MetadataResponse, Error>) {
        let Member::Classic(member) = &mut self.member else { return };
        match answer {
            Ok(all) => {
                if let Some(topics) = self.watch.handle(now, &all) {
                    self.channels.shared.set_matched(&topics);
                    member.set_topics(topics);
                }
            }
            Err(error) => {
                self.watch.handle_failure(now, fastrand::f64());
                member.handle_topics_unknown(&error, self.watch.is_known());
            }
        }
    }

    /// Has the group rebalance if this member leads it and its topics are no longer what the assignment rests on.
    fn check_partitions(&mut self) {
        let Some(topics) = self.member.stable_topics() else { return };
        let topics = topics.to_vec();
        let (cluster, generation) = (self.client.cluster(), self.member.membership().generation_id);
        let noted = self.member.take_noted();
        if let Some(reason) = self.led.reason_to_rebalance(&cluster, generation, &topics, noted) {
            self.member.request_rejoin(&reason);
        }
    }

    fn publish(&self) {
        let membership = self.member.membership();
        self.channels.membership.send_if_modified(|last| {
            let modified = **last != membership;
            if modified {
                *last = Arc::new(membership);
            }
            modified
        });
        let event = self.member.poll_event();
        self.channels.events.send_if_modified(|last| {
            let modified = last.as_ref().map(GroupEvent::id) != event.map(GroupEvent::id);
            if modified {
                *last = event.cloned();
            }
            modified
        });
    }

    fn dropped_leaves_within(&self) -> Duration {
        DROPPED_LEAVES_WITHIN.min(self.config.request_timeout)
    }

    fn not_left(&self) -> Error {
        let message = format!(
            "could not leave group `{}` in time; its coordinator removes the member after session.timeout.ms",
            self.config.group_id
        );
        Error::new(ErrorKind::Timeout, message)
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(Clock::from_std(deadline)).await,
        None => pending().await,
    }
}
