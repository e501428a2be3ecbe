//! The task of a group member: carries the machine's requests to the coordinator and the answers back.
//!
//! It never waits for the application: whatever the application has to do stands in a watch channel. It ends when the member
//! has left, on command or because the handle is gone.

#![allow(
    clippy::disallowed_methods,
    reason = "a driver reads the clock, draws random numbers and starts its task"
)]

use std::collections::BTreeSet;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_client::{Client, Cluster, CoordinatorKey, Error, ErrorKind, GroupLane, TopicsInUse};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant as Clock;

use super::classic::{AssignmentTask, ClassicMember, MemberRequest, RequestBody};
use super::handle::{Leave, Shared};
use super::leader::{self, PartitionCounts};
use super::request::{Answer, Assigned, Waiting, send};
use super::{GroupConfig, GroupEvent, Membership};

/// How long a member whose handle is gone, or whose time to leave is over, tries to.
const DROPPED_LEAVES_WITHIN: Duration = Duration::from_secs(5);

/// The connections of a member: a held JoinGroup or SyncGroup must not delay its heartbeats.
#[derive(Debug)]
pub(crate) struct Lanes {
    heartbeats: Arc<GroupLane>,
    rebalances: GroupLane,
}

/// Members times partitions up to which an assignor needs no thread of its own, whose turn comes when the system likes.
const QUICK: usize = 1_000;

impl Lanes {
    pub(super) fn new(client: &Client) -> Lanes {
        Lanes { heartbeats: Arc::new(client.group_lane()), rebalances: client.group_lane() }
    }

    /// Where heartbeats, leaving and commits go.
    pub(crate) fn heartbeats(&self) -> Arc<GroupLane> {
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
    topics: Vec<String>,
    lanes: Lanes,
    channels: Channels,
) -> Result<(), Error> {
    let runtime = Handle::try_current().map_err(|_| {
        Error::new(
            ErrorKind::Config,
            "no tokio runtime: subscribe inside `#[tokio::main]` or `Runtime::block_on`",
        )
    })?;
    let driver = Driver {
        member: ClassicMember::new(Arc::clone(&config), topics, channels.shared.polled(), fastrand::u64(..)),
        key: CoordinatorKey::Group(Arc::clone(&config.group_id)),
        updates: client.cluster_updates(),
        led: Led {
            topics: BTreeSet::new(),
            in_use: client.topics_in_use(),
            counts: PartitionCounts::new(),
            seen: None,
        },
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
    member: ClassicMember,
    waiting: Waiting,
    updates: watch::Receiver<Arc<Cluster>>,
    led: Led,
    leave_by: Option<Instant>,
}

/// The topics of the group that this member leads.
struct Led {
    topics: BTreeSet<String>,
    in_use: TopicsInUse,
    /// What the last assignment rests on.
    counts: PartitionCounts,
    /// The snapshot and generation that were compared last.
    seen: Option<(u64, i32)>,
}

impl Driver {
    async fn run(mut self) {
        loop {
            let now = now();
            self.obey(now);
            self.member.polled(self.channels.shared.polled());
            self.member.handle_deadline(now);
            self.check_partitions();
            if let Some(task) = self.member.poll_assignment() {
                self.assign(task);
            }
            while let Some(request) = self.member.poll_request(now) {
                self.send(request);
            }
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
            let deadline = self.member.poll_deadline().into_iter().chain(self.leave_by).min();
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
        if let Some(topics) = inbox.topics {
            self.member.set_topics(topics);
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

    fn send(&mut self, MemberRequest { id, node, body }: MemberRequest) {
        let (client, timeout) = (self.client.clone(), self.config.request_timeout);
        let held = self.config.rebalance_request_timeout();
        let (rebalances, heartbeats) = (self.lanes.rebalances.purpose(), self.lanes.heartbeats.purpose());
        match body {
            RequestBody::FindCoordinator { instead_of } => {
                let key = self.key.clone();
                if let Some(wrong) = instead_of {
                    client.forget_coordinator(&key, wrong);
                }
                let patience = self.config.default_api_timeout;
                self.waiting.add(id, async move {
                    Answer::Coordinator(client.coordinator(&key, now() + patience).await)
                });
            }
            RequestBody::Join(request) => self.waiting.add(id, async move {
                Answer::Join(send(&client, node, rebalances, timeout, held, |_| request).await)
            }),
            RequestBody::Sync(request) => self.waiting.add(id, async move {
                Answer::Sync(send(&client, node, rebalances, timeout, held, |_| request).await)
            }),
            RequestBody::Heartbeat(request) => {
                let timeout = self.config.heartbeat_request_timeout();
                self.waiting.add(id, async move {
                    Answer::Heartbeat(send(&client, node, heartbeats, timeout, timeout, |_| request).await)
                });
            }
            RequestBody::Leave(request) => self.waiting.add(id, async move {
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
            Answer::Assignment(Ok(Assigned { assignments, counts })) => {
                self.led.counts = counts;
                self.member.handle_assignment(id, Ok(assignments));
            }
            Answer::Assignment(Err(error)) => self.member.handle_assignment(id, Err(error)),
        }
    }

    /// Runs the assignor once metadata has told of all topics of all members, or time presses. Assignors are the user's
    /// and can be slow, so they get a thread.
    fn assign(&mut self, task: AssignmentTask) {
        self.led.follow(&task.topics);
        let AssignmentTask { id, assignor, members, topics } = task;
        let (client, mut updates) = (self.client.clone(), self.client.cluster_updates());
        let patience = self.config.request_timeout.min(self.config.max_poll_interval / 2);
        let size = members.len();
        self.waiting.add(id, async move {
            let answered = updates.wait_for(|cluster| leader::all_answered(cluster, &topics));
            // Topics without an answer by then are left out, and cause another rebalance when they turn up.
            drop(tokio::time::timeout(patience, answered).await);
            let cluster = client.cluster();
            let counts = leader::partition_counts(&cluster, &topics, &PartitionCounts::new());
            let known = leader::group_topics(&cluster, &topics);
            let partitions: usize = counts.values().sum();
            let run = move || assignor.assign(&known, &members);
            let assigned = if size.saturating_mul(partitions) <= QUICK {
                catch_unwind(AssertUnwindSafe(run)).ok()
            } else {
                tokio::task::spawn_blocking(run).await.ok()
            };
            Answer::Assignment(assigned.map(|assignments| Assigned { assignments, counts }).ok_or_else(
                || Error::new(ErrorKind::InvalidState, "the assignor of the group's leader panicked"),
            ))
        });
    }

    /// The leader has the group rebalance when one of its topics has got, or lost, partitions.
    fn check_partitions(&mut self) {
        let Some(topics) = self.member.stable_topics() else { return };
        let cluster = self.client.cluster();
        let seen = Some((cluster.generation(), self.member.membership().generation_id));
        if self.led.seen == seen {
            return;
        }
        self.led.seen = seen;
        let topics = topics.to_vec();
        self.led.follow(&topics);
        let counts = leader::partition_counts(&cluster, &topics, &self.led.counts);
        // A static leader that came back without assigning starts from what it sees.
        let comparable = self.led.counts.keys().eq(counts.keys());
        let last = std::mem::replace(&mut self.led.counts, counts);
        if comparable && last != self.led.counts {
            let changed = |(name, count): &(&String, &usize)| last.get(*name) != Some(count);
            let first = self.led.counts.iter().find(changed).map_or("", |(name, _)| name.as_str());
            let reason = format!("the number of partitions of topic {first} changed");
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

impl Led {
    /// Keeps the metadata of exactly these topics fresh.
    fn follow(&mut self, topics: &[String]) {
        let topics: BTreeSet<String> = topics.iter().cloned().collect();
        topics.difference(&self.topics).for_each(|topic| self.in_use.add(topic));
        self.topics.difference(&topics).for_each(|topic| self.in_use.remove(topic));
        self.topics = topics;
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(Clock::from_std(deadline)).await,
        None => pending().await,
    }
}
