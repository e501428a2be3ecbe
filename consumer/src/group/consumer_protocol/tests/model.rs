//! Several machines around a model of a coordinator that fails over, loses answers and fences members, with applications
//! that come, go and stall: no partition is with two applications that both hold it rightfully, and in the end all are read.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::group::consumer_protocol::reconcile::{Partitions, listed};

const TICK: Duration = Duration::from_millis(20);
const PARTITIONS: i32 = 7;
const SESSION: Duration = Duration::from_secs(10);

/// A member as the coordinator has it.
#[derive(Debug, Clone)]
struct Entry {
    epoch: i32,
    previous: i32,
    assigned: BTreeSet<i32>,
    /// Taken away and not given up yet.
    revoking: BTreeSet<i32>,
    seen: Instant,
}

#[derive(Debug)]
struct Coordinator {
    node: NodeId,
    epoch: i32,
    members: BTreeMap<String, Entry>,
}

impl Coordinator {
    fn target(&self, member_id: &str) -> BTreeSet<i32> {
        let place = self.members.keys().position(|id| id == member_id).expect("a member");
        let count = self.members.len();
        let mine = |index: &i32| usize::try_from(*index).expect("positive") % count == place;
        (0..PARTITIONS).filter(mine).collect()
    }

    fn is_free(&self, index: i32, member_id: &str) -> bool {
        let holds = |entry: &Entry| entry.assigned.contains(&index) || entry.revoking.contains(&index);
        !self.members.iter().any(|(id, entry)| id != member_id && holds(entry))
    }

    fn heartbeat(
        &mut self,
        now: Instant,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        let refuse = |error_code| ConsumerGroupHeartbeatResponse { error_code, ..Default::default() };
        let id = request.member_id.as_str();
        let owned: Option<BTreeSet<i32>> = request
            .topic_partitions
            .as_ref()
            .map(|topics| topics.iter().flat_map(|topic| topic.partitions.iter().copied()).collect());
        match request.member_epoch {
            -1 => {
                return match self.members.remove(id) {
                    Some(_) => {
                        self.epoch += 1;
                        ConsumerGroupHeartbeatResponse { member_epoch: -1, ..Default::default() }
                    }
                    None => refuse(ErrorCode::UNKNOWN_MEMBER_ID),
                };
            }
            0 => {
                assert_eq!(owned, Some(BTreeSet::new()), "a member joins with empty hands");
                self.epoch += i32::from(!self.members.contains_key(id));
                let entry = Entry {
                    epoch: 0,
                    previous: 0,
                    assigned: BTreeSet::new(),
                    revoking: BTreeSet::new(),
                    seen: now,
                };
                self.members.insert(id.to_owned(), entry);
            }
            epoch => {
                let Some(entry) = self.members.get(id) else { return refuse(ErrorCode::UNKNOWN_MEMBER_ID) };
                let repeats = epoch == entry.previous
                    && owned.as_ref().is_some_and(|owned| owned.is_subset(&entry.assigned));
                if epoch != entry.epoch && !repeats {
                    return refuse(ErrorCode::FENCED_MEMBER_EPOCH);
                }
            }
        }
        let target = self.target(id);
        let group_epoch = self.epoch;
        let free: BTreeSet<i32> = target.iter().copied().filter(|index| self.is_free(*index, id)).collect();
        let entry = self.members.get_mut(id).expect("found or admitted");
        entry.seen = now;
        let before = entry.assigned.clone();
        if let Some(owned) = &owned {
            entry.revoking.retain(|index| owned.contains(index));
        }
        if entry.revoking.is_empty() {
            let going: BTreeSet<i32> = entry.assigned.difference(&target).copied().collect();
            entry.assigned.retain(|index| target.contains(index));
            let gives_up = owned.as_ref().is_none_or(|owned| !owned.is_disjoint(&going));
            if !going.is_empty() && gives_up {
                entry.revoking = going;
            } else {
                entry.assigned = free;
                if entry.epoch != group_epoch {
                    (entry.previous, entry.epoch) = (entry.epoch, group_epoch);
                }
            }
        }
        let full = request.rebalance_timeout_ms != -1;
        let says = full || before != entry.assigned;
        let assigned: Partitions = BTreeMap::from([(super::id("a"), entry.assigned.clone())]);
        ConsumerGroupHeartbeatResponse {
            member_id: Some(id.to_owned()),
            member_epoch: entry.epoch,
            heartbeat_interval_ms: 1_000,
            assignment: says
                .then(|| Assignment { topic_partitions: listed(&assigned), ..Default::default() }),
            ..Default::default()
        }
    }

    fn expire(&mut self, now: Instant) {
        let before = self.members.len();
        self.members.retain(|_, entry| now < entry.seen + SESSION);
        self.epoch += i32::from(self.members.len() < before);
    }
}

/// A consumer: machine and application.
struct Consumer {
    member: ConsumerMember,
    owned: BTreeSet<TopicPartition>,
    /// Does not poll until then.
    busy_until: Instant,
    killed: bool,
}

enum Answered {
    Find(NodeId),
    Heartbeat(Result<ConsumerGroupHeartbeatResponse, Error>),
    Leave(Result<ConsumerGroupHeartbeatResponse, Error>),
    Names(Vec<(Uuid, Arc<str>)>),
}

struct World {
    now: Instant,
    random: fastrand::Rng,
    coordinator: Coordinator,
    consumers: Vec<Consumer>,
    requests: Vec<(Instant, usize, Ask)>,
    answers: Vec<(Instant, usize, u64, Answered)>,
}

impl World {
    fn new(seed: u64) -> World {
        let now = Instant::now();
        World {
            now,
            random: fastrand::Rng::with_seed(seed),
            coordinator: Coordinator { node: 1, epoch: 0, members: BTreeMap::new() },
            consumers: Vec::new(),
            requests: Vec::new(),
            answers: Vec::new(),
        }
    }

    fn start_consumer(&mut self) {
        let config = GroupConfig { max_poll_interval: seconds(30), ..config() };
        let member = ConsumerMember::new(Arc::new(config), topics(&["a"]), self.now, self.random.u64(..));
        self.consumers.push(Consumer { member, owned: BTreeSet::new(), busy_until: self.now, killed: false });
    }

    fn tick(&mut self, faults: bool) {
        self.now += TICK;
        self.coordinator.expire(self.now);
        for index in (0..self.requests.len()).rev() {
            if self.requests[index].0 <= self.now {
                let (_, consumer, ask) = self.requests.remove(index);
                self.serve(consumer, ask, faults);
            }
        }
        for index in (0..self.answers.len()).rev() {
            if self.answers[index].0 <= self.now {
                let (_, consumer, id, answer) = self.answers.remove(index);
                let member = &mut self.consumers[consumer].member;
                match answer {
                    Answered::Find(node) => member.handle_coordinator(self.now, id, Ok(node)),
                    Answered::Heartbeat(answer) => member.handle_heartbeat(self.now, id, answer),
                    Answered::Leave(answer) => member.handle_leave(self.now, id, &answer),
                    Answered::Names(names) => member.handle_names(self.now, id, Ok(names)),
                }
            }
        }
        for index in 0..self.consumers.len() {
            self.step(index);
        }
        self.check();
    }

    fn serve(&mut self, consumer: usize, Ask { id, body }: Ask, faults: bool) {
        let elsewhere = |node: NodeId| node != self.coordinator.node;
        let not_here = || refused(ErrorCode::NOT_COORDINATOR);
        // Either the request was lost, or only its answer.
        let (lost, unanswered) = (faults && self.random.u8(..) < 8, faults && self.random.u8(..) < 8);
        let broken = || Err(disconnected().with_possibly_written(true));
        let answer = match body {
            AskBody::FindCoordinator { .. } => Answered::Find(self.coordinator.node),
            AskBody::TopicNames(ids) => Answered::Names(ids.into_iter().map(|id| (id, name(id))).collect()),
            AskBody::Heartbeat(node, _) if elsewhere(node) => Answered::Heartbeat(not_here()),
            AskBody::Leave(node, _) if elsewhere(node) => Answered::Leave(not_here()),
            AskBody::Heartbeat(..) if lost => Answered::Heartbeat(broken()),
            AskBody::Leave(..) if lost => Answered::Leave(broken()),
            AskBody::Heartbeat(_, request) => {
                let response = self.coordinator.heartbeat(self.now, &request);
                Answered::Heartbeat(if unanswered { broken() } else { Ok(response) })
            }
            AskBody::Leave(_, request) => {
                let response = self.coordinator.heartbeat(self.now, &request);
                Answered::Leave(if unanswered { broken() } else { Ok(response) })
            }
        };
        let at = self.now + TICK * self.random.u32(0..10);
        self.answers.push((at, consumer, id, answer));
    }

    fn step(&mut self, index: usize) {
        let (now, consumer) = (self.now, &mut self.consumers[index]);
        if consumer.killed {
            return;
        }
        consumer.member.handle_deadline(now);
        if now >= consumer.busy_until {
            consumer.member.polled(now);
            if self.random.u8(..) < 100
                && let Some(event) = consumer.member.poll_event().cloned()
            {
                match &event {
                    GroupEvent::Revoke { partitions, .. } | GroupEvent::Lost { partitions, .. } => {
                        for partition in partitions {
                            assert!(
                                consumer.owned.remove(partition),
                                "gave up {partition} without having it"
                            );
                        }
                    }
                    GroupEvent::Assigned { added, all, .. } => {
                        for partition in added {
                            assert!(consumer.owned.insert(partition.clone()), "got {partition} twice");
                        }
                        assert!(consumer.owned.iter().eq(all), "{all:?} is not what the application has");
                    }
                    GroupEvent::Failed { error, .. } => panic!("{error}"),
                }
                consumer.member.acknowledge(now, event.id());
            }
        }
        while let Some(ask) = consumer.member.poll_request(now) {
            if let AskBody::Heartbeat(_, request) = &ask.body
                && let Some(told) = &request.topic_partitions
                && request.member_epoch > 0
            {
                let owned: BTreeSet<i32> = consumer.owned.iter().map(|owned| owned.partition).collect();
                let told: BTreeSet<i32> =
                    told.iter().flat_map(|topic| topic.partitions.iter().copied()).collect();
                let all = match consumer.member.poll_event() {
                    Some(GroupEvent::Assigned { all, .. }) => all.iter().map(|all| all.partition).collect(),
                    _ => owned.clone(),
                };
                let full = request.rebalance_timeout_ms != -1;
                assert_eq!(told, if full { all } else { owned }, "told is what was acknowledged");
            }
            self.requests.push((now + TICK * self.random.u32(0..10), index, ask));
        }
        if let Some(deadline) = consumer.member.poll_deadline() {
            assert!(deadline > now, "a deadline that has passed makes a busy loop");
        }
    }

    /// Nobody holds what the coordinator lets somebody else read, but members that it has put out and that do not know.
    fn check(&self) {
        let mut holders: BTreeMap<i32, usize> = BTreeMap::new();
        for (index, consumer) in self.consumers.iter().enumerate() {
            let membership = consumer.member.membership();
            let rightful = self
                .coordinator
                .members
                .get(&membership.member_id)
                .is_some_and(|entry| [entry.epoch, entry.previous].contains(&membership.generation_id));
            if consumer.killed || !rightful {
                continue;
            }
            for partition in &consumer.owned {
                let other = holders.insert(partition.partition, index);
                assert_eq!(other, None, "{partition} is with two members");
            }
        }
    }

    fn harm(&mut self) {
        let index = self.random.usize(0..self.consumers.len());
        match self.random.u8(0..6) {
            0 => self.start_consumer(),
            1 => self.consumers[index].killed = true,
            2 => {
                let busy = Duration::from_millis(self.random.u64(0..45_000));
                self.consumers[index].busy_until = self.now + busy;
            }
            3 => self.consumers[index].member.leave(),
            4 => self.coordinator.node = 3 - self.coordinator.node,
            // An operator removes a member.
            _ => {
                let first = self.coordinator.members.keys().next().cloned();
                if let Some(id) = first {
                    self.coordinator.members.remove(&id);
                    self.coordinator.epoch += 1;
                }
            }
        }
    }

    fn active(&self) -> impl Iterator<Item = &Consumer> {
        let gone = |consumer: &&Consumer| consumer.killed || consumer.member.has_left();
        self.consumers.iter().filter(move |consumer| !gone(consumer))
    }
}

#[test]
fn whatever_happens_no_partition_has_two_readers_and_in_the_end_all_are_read() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        (0..3).for_each(|_| world.start_consumer());
        for round in 0..40 {
            (0..150).for_each(|_| world.tick(round % 3 != 0));
            world.harm();
        }
        world.start_consumer();
        // Longer than anybody is busy, and than a session.
        (0..4_000).for_each(|_| world.tick(false));
        let mut read: Vec<TopicPartition> =
            world.active().flat_map(|consumer| consumer.owned.iter().cloned()).collect();
        read.sort_unstable();
        let all: Vec<_> = (0..PARTITIONS).map(|index| TopicPartition::new("a", index)).collect();
        assert_eq!(read, all, "seed {seed}");
    }
}
