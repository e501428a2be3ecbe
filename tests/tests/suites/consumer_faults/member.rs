//! The members of a group, who poll, process and commit on tasks of their own and note all of it in one journal.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ottla::consumer::{
    GroupMetadata, ListenerFuture, OffsetAndMetadata, RebalanceContext, RebalanceListener, Records,
};
use ottla::{Consumer, ConsumerOptions, Error, Kafka, TopicPartition};
use ottla_tests::broker::{Dice, Entry, Journal, Ledger, Nodes, Reason, partitions_of, unique};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::{MS, PATIENT, Protocol};

/// How many records were read again, and why.
pub(super) type Repeated = BTreeMap<Reason, u64>;

/// The longest that one poll of a member waits.
const POLL: u64 = 150;

/// How often the group's commits are looked at.
const LOOK: Duration = Duration::from_millis(25);

/// A group.
pub(super) struct Crew {
    pub(super) protocol: Protocol,
    pub(super) group: String,
    pub(super) topics: Vec<String>,
    pub(super) journal: Arc<Journal>,
    partitions: usize,
    seed: u64,
    joined: AtomicU32,
    /// Counts everything that happens to any member.
    changes: watch::Sender<u64>,
    observer: Option<Observer>,
}

/// How a member behaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habits {
    /// Leaves commits to the consumer.
    pub(super) automatic: bool,
    /// The longest that it works on what one poll returned.
    pub(super) work: Duration,
    /// Errors of `poll` are noted, and it goes on.
    pub(super) tolerant: bool,
}

/// A member as it was after its last poll.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) assigned: BTreeSet<TopicPartition>,
    pub(super) metadata: Option<GroupMetadata>,
    pub(super) processed: usize,
    pub(super) paused: bool,
    pub(super) errors: Vec<String>,
}

/// A running member. Dropping it ends it as [`Member::vanish`] does.
pub(super) struct Member {
    pub(super) number: u32,
    commands: mpsc::UnboundedSender<Command>,
    view: watch::Receiver<View>,
    /// Ends when the consumer is gone.
    task: JoinHandle<()>,
}

enum Command {
    /// Leave, and tell.
    Close(oneshot::Sender<()>),
    /// Do something else than polling for so long.
    Stall(Duration),
    /// The same: tell that it has begun, and go on until the other end is gone.
    StallUntil(oneshot::Sender<()>, oneshot::Receiver<()>),
    /// Rest all partitions, or none.
    Pause(bool),
}

/// While this lives, a member does not poll.
#[must_use = "the member polls again when this is dropped"]
pub(super) struct Stalled {
    _ends: oneshot::Sender<()>,
}

impl Crew {
    /// A group for a topic, without members, whose commits are watched.
    pub(super) async fn start(
        nodes: &Nodes,
        protocol: Protocol,
        topic: &str,
        partitions: i32,
        seed: u64,
    ) -> Crew {
        let mut crew = Crew::unwatched(protocol, &[topic], partitions as usize, seed);
        crew.observer = Some(Observer::start(&nodes.kafka(), &crew).await);
        crew
    }

    /// A group without members.
    pub(super) fn unwatched(protocol: Protocol, topics: &[&str], partitions: usize, seed: u64) -> Crew {
        Crew {
            protocol,
            group: unique("crew"),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            journal: Arc::default(),
            partitions,
            seed,
            joined: AtomicU32::new(0),
            changes: watch::Sender::new(0),
            observer: None,
        }
    }

    /// How its members behave unless told otherwise: every other one leaves commits to the consumer.
    pub(super) fn habits(&self) -> Habits {
        let automatic = self.joined.load(Ordering::Relaxed) % 2 == 1;
        Habits { automatic, work: MS(15), tolerant: false }
    }

    /// A member that begins to join.
    pub(super) fn member(&self, kafka: &Kafka, options: ConsumerOptions, habits: Habits) -> Member {
        let number = self.joined.fetch_add(1, Ordering::Relaxed) + 1;
        let options = options.enable_auto_commit(habits.automatic);
        let mut consumer = kafka.consumer(options).expect("valid options");
        let name = format!("member {number} of {} ({:?})", self.group, self.protocol);
        let journal = Arc::clone(&self.journal);
        let notes = Notes { number, name, journal, done: Arc::default(), habits };
        consumer.subscribe_with(self.topics.clone(), notes.clone()).expect("a valid subscription");
        let (commands, commanded) = mpsc::unbounded_channel();
        let (seen, view) = watch::channel(View::default());
        let changes = self.changes.clone();
        let dice = Dice::seeded(self.seed ^ (u64::from(number) << 32));
        let task = tokio::spawn(Task { consumer, notes, commanded, seen, dice, changes }.run());
        Member { number, commands, view, task }
    }

    /// Waits until `condition` holds; fails the test after `limit`, showing the members.
    pub(super) async fn until(
        &self,
        what: &str,
        limit: Duration,
        members: &[&Member],
        condition: impl Fn() -> bool,
    ) {
        let mut changes = self.changes.subscribe();
        let waiting = async {
            while !condition() {
                changes.changed().await.expect("the crew is here");
                for member in members {
                    assert!(!member.task.is_finished(), "member {} has ended", member.number);
                }
            }
        };
        if tokio::time::timeout(limit, waiting).await.is_err() {
            let views: Vec<View> = members.iter().map(|member| member.view()).collect();
            panic!("{:?}: not within {limit:?}: {what}\n{views:#?}", self.protocol);
        }
    }

    /// Waits until the members share all partitions, in one generation; tells how long that took.
    pub(super) async fn balanced(&self, limit: Duration, members: &[&Member]) -> Duration {
        let started = Instant::now();
        let shared = || {
            let views: Vec<View> = members.iter().map(|member| member.view()).collect();
            let all: BTreeSet<_> = views.iter().flat_map(|view| &view.assigned).collect();
            let sizes: Vec<usize> = views.iter().map(|view| view.assigned.len()).collect();
            let (least, most) = (sizes.iter().min().copied(), sizes.iter().max().copied());
            let generations: BTreeSet<_> = views.iter().map(View::generation).collect();
            let even = self.topics.len() > 1 || most <= least.map(|least| least + 1);
            let each_once = all.len() == self.partitions && sizes.iter().sum::<usize>() == self.partitions;
            each_once && even && generations.len() == 1
        };
        self.until("an even share of the partitions", limit, members, shared).await;
        started.elapsed()
    }

    /// Waits until each of the members has processed some more.
    pub(super) async fn going_on(&self, limit: Duration, members: &[&Member]) {
        let goals: Vec<usize> = members.iter().map(|member| member.view().processed + 5).collect();
        let reached = || members.iter().zip(&goals).all(|(member, goal)| member.view().processed >= *goal);
        self.until("every member reads on", limit, members, reached).await;
    }

    /// Waits until as many records are processed as are acknowledged.
    pub(super) async fn caught_up(&self, limit: Duration, ledger: &Ledger, members: &[&Member]) {
        let all = || self.journal.processed() >= ledger.acknowledged();
        self.until("every record is processed", limit, members, all).await;
    }

    /// [`Crew::until`] for the members that are all of the group.
    pub(super) async fn until_all(&self, limit: Duration, members: &[Member], condition: impl Fn() -> bool) {
        self.until("the group goes on", limit, &members.iter().collect::<Vec<_>>(), condition).await;
    }

    /// More partitions than before.
    pub(super) fn grown(&mut self, partitions: usize) {
        self.partitions = partitions;
    }

    /// Lets the members read the rest and leave, and audits what all did.
    pub(super) async fn settle(self, ledger: Arc<Ledger>, members: Vec<Member>) -> Repeated {
        self.caught_up(PATIENT, &ledger, &members.iter().collect::<Vec<_>>()).await;
        join_all(members.into_iter().map(Member::close)).await;
        if let Some(observer) = self.observer {
            let committed: i64 = observer.finish().await.values().sum();
            assert_eq!(
                committed as usize,
                self.journal.processed(),
                "whoever leaves commits what it processed"
            );
        }
        let audit = self.journal.audit(&ledger.all_sent());
        let shown = &audit.wrong[..audit.wrong.len().min(20)];
        assert!(audit.wrong.is_empty(), "{:?}: {} faults: {shown:#?}", self.protocol, audit.wrong.len());
        let (records, repeated) = (self.journal.processed(), &audit.repeated);
        println!("{:?}: {records} records; read again: {repeated:?}", self.protocol);
        audit.repeated
    }
}

impl View {
    pub(super) fn generation(&self) -> Option<i32> {
        self.metadata.as_ref().map(|metadata| metadata.generation_id)
    }
}

impl Member {
    pub(super) fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// Polls no more for so long.
    pub(super) fn stall(&self, time: Duration) {
        self.tell(Command::Stall(time));
    }

    /// Polls no more, from before this returns until what it returns is dropped.
    pub(super) async fn stall_until_dropped(&self) -> Stalled {
        let ((begun, has_begun), (until, ends)) = (oneshot::channel(), oneshot::channel());
        self.tell(Command::StallUntil(begun, ends));
        has_begun.await.unwrap_or_else(|_| panic!("member {} has ended", self.number));
        Stalled { _ends: until }
    }

    /// Rests all partitions that it has, or none any more.
    pub(super) fn pause(&self, paused: bool) {
        self.tell(Command::Pause(paused));
    }

    /// Commits and leaves.
    pub(super) async fn close(self) {
        let (done, closed) = oneshot::channel();
        self.tell(Command::Close(done));
        closed.await.unwrap_or_else(|_| panic!("member {} could not close", self.number));
    }

    /// Ends without a commit or a word to the listener.
    pub(super) async fn vanish(self) {
        let Member { commands, task, number, .. } = self;
        drop(commands);
        task.await.unwrap_or_else(|error| panic!("member {number}: {error}"));
    }

    fn tell(&self, command: Command) {
        assert!(self.commands.send(command).is_ok(), "member {} has ended", self.number);
    }
}

struct Task {
    consumer: Consumer,
    notes: Notes,
    commanded: mpsc::UnboundedReceiver<Command>,
    seen: watch::Sender<View>,
    dice: Dice,
    changes: watch::Sender<u64>,
}

impl Task {
    async fn run(mut self) {
        let name = self.notes.name.clone();
        loop {
            let patience = MS(self.dice.below(POLL));
            tokio::select! {
                command = self.commanded.recv() => match command {
                    None => {
                        self.notes.journal.note(Entry::Vanished { member: self.notes.number });
                        drop(self.consumer);
                        self.changes.send_modify(|count| *count += 1);
                        return;
                    }
                    Some(Command::Stall(time)) => tokio::time::sleep(time).await,
                    Some(Command::StallUntil(begun, ends)) => {
                        let _ = begun.send(());
                        let _ = ends.await;
                    }
                    Some(Command::Pause(paused)) => self.pause(paused),
                    Some(Command::Close(done)) => {
                        let closed = self.consumer.close(PATIENT).await;
                        closed.unwrap_or_else(|error| panic!("{name}: close: {error}"));
                        self.changes.send_modify(|count| *count += 1);
                        let _ = done.send(());
                        return;
                    }
                },
                records = self.consumer.poll(patience) => match records {
                    Ok(records) => self.work(&records).await,
                    Err(error) if self.notes.habits.tolerant => {
                        self.seen.send_modify(|view| view.errors.push(error.to_string()));
                    }
                    Err(error) => panic!("{name}: poll: {error}"),
                },
            }
            self.show();
        }
    }

    fn pause(&mut self, paused: bool) {
        let all = self.consumer.assignment();
        let done = if paused { self.consumer.pause(&all) } else { self.consumer.resume(&all) };
        done.unwrap_or_else(|error| panic!("{}: pause: {error}", self.notes.name));
    }

    async fn work(&mut self, records: &Records) {
        if records.is_empty() {
            return;
        }
        let member = self.notes.number;
        self.notes.journal.handed_out(member, records);
        tokio::time::sleep(MS(self.dice.below(self.notes.habits.work.as_millis() as u64 + 1))).await;
        for record in records {
            let (partition, offset) = (record.topic_partition().clone(), record.offset());
            self.notes.done().insert(partition.clone(), offset + 1);
            self.notes.journal.note(Entry::Processed { member, partition, offset });
        }
        let count = records.len();
        self.seen.send_modify(|view| view.processed += count);
        if !self.notes.habits.automatic && self.dice.below(2) == 0 {
            let done = self.notes.done().clone();
            let committed = match self.dice.below(2) {
                0 => self.consumer.commit().await,
                _ => self.consumer.commit_offsets(offsets(&done)).await,
            };
            self.notes.committed(done, committed);
        }
    }

    fn show(&self) {
        self.seen.send_modify(|view| {
            view.assigned = self.consumer.assignment().into_iter().collect();
            view.metadata = self.consumer.group_metadata();
            view.paused = !self.consumer.paused().is_empty();
        });
        self.changes.send_modify(|count| *count += 1);
    }
}

fn offsets(done: &BTreeMap<TopicPartition, i64>) -> HashMap<TopicPartition, OffsetAndMetadata> {
    done.iter().map(|(partition, offset)| (partition.clone(), OffsetAndMetadata::from(*offset))).collect()
}

/// Notes what the member is told and does, and commits what it gives up.
#[derive(Clone)]
struct Notes {
    number: u32,
    name: String,
    journal: Arc<Journal>,
    /// The next offset of each partition that it has and has read of.
    done: Arc<Mutex<BTreeMap<TopicPartition, i64>>>,
    habits: Habits,
}

impl Notes {
    fn done(&self) -> std::sync::MutexGuard<'_, BTreeMap<TopicPartition, i64>> {
        self.done.lock().unwrap()
    }

    fn committed(&self, offsets: BTreeMap<TopicPartition, i64>, result: Result<(), Error>) {
        let member = self.number;
        self.journal.note(match result {
            Ok(()) => Entry::Committed { member, offsets },
            Err(error) => {
                println!("{}: commit: {error}", self.name);
                Entry::NotCommitted { member }
            }
        });
    }

    /// What was done of these partitions, which are given up.
    fn take(&self, partitions: &[TopicPartition]) -> BTreeMap<TopicPartition, i64> {
        let mut done = self.done();
        partitions.iter().filter_map(|partition| done.remove_entry(partition)).collect()
    }
}

impl RebalanceListener for Notes {
    fn assigned<'a>(
        &'a mut self,
        _context: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        self.journal.note(Entry::Assigned { member: self.number, partitions: partitions.to_vec() });
        Box::pin(std::future::ready(Ok(())))
    }

    fn revoked<'a>(
        &'a mut self,
        context: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        Box::pin(async move {
            let member = self.number;
            self.journal.note(Entry::Revoked { member, partitions: partitions.to_vec() });
            let done = self.take(partitions);
            let mut committed = true;
            if !self.habits.automatic && !done.is_empty() {
                let result = context.commit_offsets(offsets(&done)).await;
                committed = result.is_ok();
                self.committed(done, result);
            }
            self.journal.note(Entry::Settled { member, committed });
            Ok(())
        })
    }

    fn lost<'a>(
        &'a mut self,
        _context: &'a mut dyn RebalanceContext,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        self.journal.note(Entry::Lost { member: self.number, partitions: partitions.to_vec() });
        self.take(partitions);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Asks for the group's commits all the time.
struct Observer {
    stop: watch::Sender<bool>,
    task: JoinHandle<BTreeMap<TopicPartition, i64>>,
}

impl Observer {
    async fn start(kafka: &Kafka, crew: &Crew) -> Observer {
        let partitions = partitions_of(kafka, &crew.topics[0]).await;
        let mut consumer = kafka.consumer(ConsumerOptions::default().group_id(crew.group.as_str())).unwrap();
        let journal = Arc::clone(&crew.journal);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut last = BTreeMap::new();
            let mut pace = tokio::time::interval(LOOK);
            loop {
                // One look more after the end.
                let is_last = *stopped.borrow();
                pace.tick().await;
                let committed = consumer.committed(&partitions).await;
                let committed = committed.unwrap_or_else(|error| panic!("the group's commits: {error}"));
                for (partition, committed) in committed {
                    let Some(offset) = committed.map(|committed| committed.offset) else { continue };
                    if last.insert(partition.clone(), offset) != Some(offset) {
                        journal.note(Entry::Observed { partition, offset });
                    }
                }
                if is_last {
                    return last;
                }
            }
        });
        Observer { stop, task }
    }

    /// Ends; the last commits.
    async fn finish(self) -> BTreeMap<TopicPartition, i64> {
        self.stop.send_replace(true);
        self.task.await.unwrap()
    }
}
