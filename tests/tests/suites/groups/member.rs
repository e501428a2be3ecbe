//! A team of group members that poll on tasks of their own, note all they are handed out, and show where they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ottla::consumer::{GroupMetadata, ListenerFuture, RebalanceContext, RebalanceListener};
use ottla::{Consumer, ConsumerOptions, Kafka, TopicPartition};
use ottla_tests::broker::Ledger;
use tokio::sync::{mpsc, oneshot, watch};

/// How long one poll of a member waits.
const POLL: Duration = Duration::from_millis(100);

pub(crate) type Partitions = BTreeSet<TopicPartition>;

/// What the members of one group share.
#[derive(Clone)]
pub(crate) struct Team {
    pub(crate) topic: String,
    pub(crate) ledger: Arc<Ledger>,
    /// Counts everything that happens to any member.
    changes: watch::Sender<u64>,
}

/// Something that happened to a member, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Assigned(Partitions),
    /// The listener was called, and is not done.
    Revoking(Partitions),
    Revoked(Partitions),
    Lost(Partitions),
    HandedOut(TopicPartition),
}

/// A member as it was after its last poll.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) assigned: Partitions,
    pub(crate) metadata: Option<GroupMetadata>,
    pub(crate) records: usize,
}

/// How a member behaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Habits {
    /// Commits after each poll that gave records.
    pub(crate) commits: bool,
    /// Commits inside the listener's `revoked`, after this long.
    pub(crate) commits_when_revoked: Option<Duration>,
}

/// A running member. Dropping it drops its consumer without closing it.
pub(crate) struct Member {
    pub(crate) number: u32,
    commands: mpsc::UnboundedSender<Command>,
    view: watch::Receiver<View>,
    events: Arc<Mutex<Vec<Event>>>,
    team: Team,
}

enum Command {
    /// Commit, leave, and tell.
    Close(oneshot::Sender<()>),
    /// Do something else than polling.
    BeBusy {
        begun: oneshot::Sender<()>,
        /// Until the other end is gone.
        ends: oneshot::Receiver<()>,
    },
}

/// While this lives, a member does something else than polling.
#[must_use = "the member polls again when this is dropped"]
pub(crate) struct Busy {
    _ends: oneshot::Sender<()>,
}

impl Team {
    pub(crate) fn new(topic: &str, ledger: Arc<Ledger>) -> Team {
        Team { topic: topic.to_owned(), ledger, changes: watch::Sender::new(0) }
    }

    /// A member that begins to join.
    pub(crate) fn member(
        &self,
        kafka: &Kafka,
        number: u32,
        options: ConsumerOptions,
        habits: Habits,
    ) -> Member {
        let mut consumer = kafka.consumer(options).expect("valid options");
        let events = Arc::default();
        let listener = Notes { events: Arc::clone(&events), commits: habits.commits_when_revoked };
        consumer.subscribe_with([self.topic.clone()], listener).expect("a valid subscription");
        let (commands, commanded) = mpsc::unbounded_channel();
        let (seen, view) = watch::channel(View::default());
        let task = Task {
            number,
            consumer,
            habits,
            commanded,
            seen,
            events: Arc::clone(&events),
            team: self.clone(),
        };
        tokio::spawn(task.run());
        Member { number, commands, view, events, team: self.clone() }
    }

    /// Waits until `condition` holds; fails the test after `limit`, showing the members.
    pub(crate) async fn until(
        &self,
        what: &str,
        limit: Duration,
        members: &[&Member],
        condition: impl Fn() -> bool,
    ) {
        let mut changes = self.changes.subscribe();
        let waiting = async {
            while !condition() {
                changes.changed().await.expect("the team is here");
                for member in members {
                    assert!(member.view.has_changed().is_ok(), "member {} has ended", member.number);
                }
            }
        };
        if tokio::time::timeout(limit, waiting).await.is_err() {
            let views: Vec<View> = members.iter().map(|member| member.view()).collect();
            panic!("not within {limit:?}: {what}\n{views:#?}");
        }
    }

    /// Waits until the members share all `partitions` evenly, in one generation; tells how long that took.
    pub(crate) async fn balanced(&self, limit: Duration, partitions: usize, members: &[&Member]) -> Duration {
        let started = Instant::now();
        let shared = || {
            let views: Vec<View> = members.iter().map(|member| member.view()).collect();
            let all: Partitions = views.iter().flat_map(|view| view.assigned.iter().cloned()).collect();
            let sizes: Vec<usize> = views.iter().map(|view| view.assigned.len()).collect();
            let (least, most) = (sizes.iter().min().copied(), sizes.iter().max().copied());
            let generations: BTreeSet<_> = views.iter().map(|view| view.generation()).collect();
            all.len() == partitions
                && sizes.iter().sum::<usize>() == partitions
                && most <= least.map(|least| least + 1)
                && generations.len() == 1
        };
        self.until("an even share of the partitions", limit, members, shared).await;
        started.elapsed()
    }
}

impl View {
    pub(crate) fn generation(&self) -> Option<i32> {
        self.metadata.as_ref().map(|metadata| metadata.generation_id)
    }
}

impl Member {
    pub(crate) fn view(&self) -> View {
        self.view.borrow().clone()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// Whether the listener was ever told of lost partitions.
    pub(crate) fn lost_any(&self) -> bool {
        self.events().iter().any(|event| matches!(event, Event::Lost(lost) if !lost.is_empty()))
    }

    /// Does something else than polling, from before this returns until what it returns is dropped: a poll that was under
    /// way is over, and what it handed out is noted.
    pub(crate) async fn be_busy(&self) -> Busy {
        let ((begun, has_begun), (until, ends)) = (oneshot::channel(), oneshot::channel());
        let told = self.commands.send(Command::BeBusy { begun, ends });
        assert!(told.is_ok() && has_begun.await.is_ok(), "member {} has ended", self.number);
        Busy { _ends: until }
    }

    /// Commits, leaves the group, and gives back all that happened.
    pub(crate) async fn close(self) -> Vec<Event> {
        let (done, closed) = oneshot::channel();
        assert!(self.commands.send(Command::Close(done)).is_ok(), "member {} has ended", self.number);
        closed.await.unwrap_or_else(|_| panic!("member {} could not close", self.number));
        self.team.changes.send_modify(|count| *count += 1);
        self.events()
    }
}

struct Task {
    number: u32,
    consumer: Consumer,
    habits: Habits,
    commanded: mpsc::UnboundedReceiver<Command>,
    seen: watch::Sender<View>,
    events: Arc<Mutex<Vec<Event>>>,
    team: Team,
}

impl Task {
    async fn run(mut self) {
        let number = self.number;
        loop {
            tokio::select! {
                command = self.commanded.recv() => match command {
                    None => return,
                    Some(Command::BeBusy { begun, ends }) => {
                        let _ = begun.send(());
                        let _ = ends.await;
                    }
                    Some(Command::Close(done)) => {
                        let closed = self.consumer.close(Duration::from_secs(20)).await;
                        closed.unwrap_or_else(|error| panic!("member {number}: close: {error}"));
                        let _ = done.send(());
                        return;
                    }
                },
                records = self.consumer.poll(POLL) => {
                    let records = records.unwrap_or_else(|error| panic!("member {number}: poll: {error}"));
                    self.team.ledger.read(number, &records);
                    self.note(records.iter().map(|record| record.topic_partition().clone()));
                    let count = records.len();
                    if self.habits.commits && count > 0 {
                        let committed = self.consumer.commit().await;
                        committed.unwrap_or_else(|error| panic!("member {number}: commit: {error}"));
                    }
                    self.show(count);
                }
            }
        }
    }

    fn note(&self, handed_out: impl Iterator<Item = TopicPartition>) {
        let mut events = self.events.lock().unwrap();
        for partition in handed_out {
            let event = Event::HandedOut(partition);
            if events.last() != Some(&event) {
                events.push(event);
            }
        }
    }

    fn show(&self, count: usize) {
        self.seen.send_modify(|view| {
            view.assigned = self.consumer.assignment().into_iter().collect();
            view.metadata = self.consumer.group_metadata();
            view.records += count;
        });
        self.team.changes.send_modify(|count| *count += 1);
    }
}

/// Notes what it is told.
struct Notes {
    events: Arc<Mutex<Vec<Event>>>,
    commits: Option<Duration>,
}

impl Notes {
    fn note(&self, event: impl Fn(Partitions) -> Event, partitions: &[TopicPartition]) {
        self.events.lock().unwrap().push(event(partitions.iter().cloned().collect()));
    }
}

impl RebalanceListener for Notes {
    fn assigned<'a>(
        &'a mut self,
        _context: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        self.note(Event::Assigned, partitions);
        Box::pin(std::future::ready(Ok(())))
    }

    fn revoked<'a>(
        &'a mut self,
        context: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        Box::pin(async move {
            self.note(Event::Revoking, partitions);
            if let Some(pause) = self.commits {
                tokio::time::sleep(pause).await;
                context.commit().await?;
            }
            self.note(Event::Revoked, partitions);
            Ok(())
        })
    }

    fn lost<'a>(
        &'a mut self,
        _context: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        self.note(Event::Lost, partitions);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Checks that nothing of a partition was handed out between its revocation, or loss, and its next assignment.
pub(crate) fn assert_nothing_after_revocation(number: u32, events: &[Event]) {
    let mut held: BTreeMap<&TopicPartition, bool> = BTreeMap::new();
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Assigned(all) => held.extend(all.iter().map(|partition| (partition, true))),
            Event::Revoking(all) | Event::Revoked(all) | Event::Lost(all) => {
                held.extend(all.iter().map(|partition| (partition, false)));
            }
            Event::HandedOut(partition) => assert!(
                held.get(partition).copied().unwrap_or_default(),
                "member {number} was handed out a record of {partition}, which it did not have: event {at} of {events:#?}"
            ),
        }
    }
}
