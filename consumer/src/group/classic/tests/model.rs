//! Several machines around a model of a coordinator, which fails over, with applications that come, go and stall.
//!
//! The coordinator's log keeps complete generations only, as Kafka's does: after a failover it is where the last one was.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::messages::join_group::JoinGroupRequestProtocol;

use super::super::AssignmentTask;
use super::*;
use crate::assignor::GroupTopics;

const TICK: Duration = Duration::from_millis(20);
const PARTITIONS: usize = 7;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Preparing { since: Instant },
    Completing,
    Stable,
}

/// A member as the coordinator has it.
#[derive(Debug, Clone)]
struct Entry {
    protocols: Vec<JoinGroupRequestProtocol>,
    assignment: Bytes,
    seen: Instant,
    /// The client and number of a held JoinGroup or SyncGroup.
    joins: Option<(usize, u64)>,
    syncs: Option<(usize, u64)>,
}

#[derive(Debug, Clone)]
struct Coordinator {
    node: NodeId,
    generation: i32,
    phase: Phase,
    members: BTreeMap<String, Entry>,
    /// The generation and members of the last complete generation.
    logged: (i32, BTreeMap<String, Entry>),
    given: BTreeSet<String>,
    ids: u32,
    leader: String,
}

enum Answered {
    Find(NodeId),
    Join(JoinGroupResponse),
    Sync(SyncGroupResponse),
    Heartbeat(ErrorCode),
    Leave,
}

type Answers = Vec<(usize, u64, Answered)>;

impl Coordinator {
    fn new(now: Instant) -> Self {
        Coordinator {
            node: 1,
            generation: 0,
            phase: Phase::Preparing { since: now },
            members: BTreeMap::new(),
            logged: (0, BTreeMap::new()),
            given: BTreeSet::new(),
            ids: 0,
            leader: String::new(),
        }
    }

    fn handle(&mut self, now: Instant, client: usize, request: MemberRequest, answers: &mut Answers) {
        let MemberRequest { id, node, body } = request;
        let elsewhere = node != self.node;
        match body {
            RequestBody::FindCoordinator { .. } => answers.push((client, id, Answered::Find(self.node))),
            RequestBody::Join(_) if elsewhere => {
                self.refuse_join(client, id, ErrorCode::NOT_COORDINATOR, answers)
            }
            RequestBody::Join(join) => self.join(now, client, id, join, answers),
            RequestBody::Sync(_) if elsewhere => refuse_sync(client, id, ErrorCode::NOT_COORDINATOR, answers),
            RequestBody::Sync(sync) => self.sync(client, id, sync, answers),
            RequestBody::Heartbeat(beat) => {
                let code = match self.members.get_mut(&beat.member_id) {
                    _ if elsewhere => ErrorCode::NOT_COORDINATOR,
                    None => ErrorCode::UNKNOWN_MEMBER_ID,
                    Some(_) if beat.generation_id != self.generation => ErrorCode::ILLEGAL_GENERATION,
                    Some(entry) => {
                        entry.seen = now;
                        match self.phase {
                            Phase::Preparing { .. } => ErrorCode::REBALANCE_IN_PROGRESS,
                            _ => ErrorCode::NONE,
                        }
                    }
                };
                answers.push((client, id, Answered::Heartbeat(code)));
            }
            RequestBody::Leave(leave) => {
                if !elsewhere {
                    self.remove(now, &leave.member_id, answers);
                }
                answers.push((client, id, Answered::Leave));
            }
        }
    }

    fn refuse_join(&self, client: usize, id: u64, error_code: ErrorCode, answers: &mut Answers) {
        answers.push((client, id, Answered::Join(JoinGroupResponse { error_code, ..Default::default() })));
    }

    fn join(&mut self, now: Instant, client: usize, id: u64, join: JoinGroupRequest, answers: &mut Answers) {
        if join.member_id.is_empty() {
            self.ids += 1;
            let member_id = format!("member-{}", self.ids);
            self.given.insert(member_id.clone());
            let error_code = ErrorCode::MEMBER_ID_REQUIRED;
            let response = JoinGroupResponse { error_code, member_id, ..Default::default() };
            return answers.push((client, id, Answered::Join(response)));
        }
        if !self.members.contains_key(&join.member_id) && !self.given.contains(&join.member_id) {
            return self.refuse_join(client, id, ErrorCode::UNKNOWN_MEMBER_ID, answers);
        }
        let entry = self.members.entry(join.member_id).or_insert_with(|| Entry {
            protocols: Vec::new(),
            assignment: Bytes::new(),
            seen: now,
            joins: None,
            syncs: None,
        });
        entry.protocols = join.protocols;
        entry.joins = Some((client, id));
        self.prepare(now, answers);
        self.try_complete(now, answers);
    }

    fn prepare(&mut self, now: Instant, answers: &mut Answers) {
        if !matches!(self.phase, Phase::Preparing { .. }) {
            self.phase = Phase::Preparing { since: now };
            for entry in self.members.values_mut() {
                if let Some((client, id)) = entry.syncs.take() {
                    refuse_sync(client, id, ErrorCode::REBALANCE_IN_PROGRESS, answers);
                }
            }
        }
    }

    fn try_complete(&mut self, now: Instant, answers: &mut Answers) {
        let Phase::Preparing { since } = self.phase else { return };
        if now >= since + seconds(30) {
            self.members.retain(|_, entry| entry.joins.is_some());
        }
        if self.members.is_empty() || self.members.values().any(|entry| entry.joins.is_none()) {
            return;
        }
        self.generation += 1;
        self.phase = Phase::Completing;
        self.leader = self.members.keys().next().expect("not empty").clone();
        let all: Vec<_> = self
            .members
            .iter()
            .map(|(member_id, entry)| JoinGroupResponseMember {
                member_id: member_id.clone(),
                metadata: entry.protocols[0].metadata.clone(),
                ..Default::default()
            })
            .collect();
        for (member_id, entry) in &mut self.members {
            entry.seen = now;
            let (client, id) = entry.joins.take().expect("all have joined");
            let response = JoinGroupResponse {
                generation_id: self.generation,
                protocol_name: Some(entry.protocols[0].name.clone()),
                leader: self.leader.clone(),
                member_id: member_id.clone(),
                members: if *member_id == self.leader { all.clone() } else { Vec::new() },
                ..Default::default()
            };
            answers.push((client, id, Answered::Join(response)));
        }
    }

    fn sync(&mut self, client: usize, id: u64, sync: SyncGroupRequest, answers: &mut Answers) {
        let Some(entry) = self.members.get_mut(&sync.member_id) else {
            return refuse_sync(client, id, ErrorCode::UNKNOWN_MEMBER_ID, answers);
        };
        if sync.generation_id != self.generation {
            return refuse_sync(client, id, ErrorCode::ILLEGAL_GENERATION, answers);
        }
        match self.phase {
            Phase::Preparing { .. } => {
                return refuse_sync(client, id, ErrorCode::REBALANCE_IN_PROGRESS, answers);
            }
            Phase::Completing => entry.syncs = Some((client, id)),
            Phase::Stable => {
                let assignment = entry.assignment.clone();
                let response = SyncGroupResponse { assignment, ..Default::default() };
                return answers.push((client, id, Answered::Sync(response)));
            }
        }
        if sync.member_id == self.leader {
            let mut shares: BTreeMap<_, _> =
                sync.assignments.into_iter().map(|entry| (entry.member_id, entry.assignment)).collect();
            self.phase = Phase::Stable;
            for (member_id, entry) in &mut self.members {
                entry.assignment = shares.remove(member_id).unwrap_or_default();
                if let Some((client, id)) = entry.syncs.take() {
                    let assignment = entry.assignment.clone();
                    let response = SyncGroupResponse { assignment, ..Default::default() };
                    answers.push((client, id, Answered::Sync(response)));
                }
            }
            self.logged = (self.generation, self.members.clone());
        }
    }

    fn remove(&mut self, now: Instant, member_id: &str, answers: &mut Answers) {
        self.given.remove(member_id);
        if let Some(entry) = self.members.remove(member_id) {
            if let Some((client, id)) = entry.joins {
                self.refuse_join(client, id, ErrorCode::UNKNOWN_MEMBER_ID, answers);
            }
            self.prepare(now, answers);
            self.try_complete(now, answers);
        }
    }

    fn expire(&mut self, now: Instant, answers: &mut Answers) {
        let late = |entry: &&Entry| entry.joins.is_none() && now >= entry.seen + seconds(10);
        let gone: Vec<_> = self
            .members
            .iter()
            .filter(|(_, entry)| late(entry))
            .map(|(member_id, _)| member_id.clone())
            .collect();
        gone.iter().for_each(|member_id| self.remove(now, member_id, answers));
        self.try_complete(now, answers);
    }

    /// Another node takes over, from the log.
    fn fail_over(&mut self, now: Instant, answers: &mut Answers) {
        for entry in self.members.values_mut() {
            if let Some((client, id)) = entry.joins.take() {
                let error_code = ErrorCode::NOT_COORDINATOR;
                answers.push((
                    client,
                    id,
                    Answered::Join(JoinGroupResponse { error_code, ..Default::default() }),
                ));
            }
            if let Some((client, id)) = entry.syncs.take() {
                refuse_sync(client, id, ErrorCode::NOT_COORDINATOR, answers);
            }
        }
        self.node = 3 - self.node;
        (self.generation, self.members) = self.logged.clone();
        self.members.values_mut().for_each(|entry| entry.seen = now);
        self.phase = if self.members.is_empty() { Phase::Preparing { since: now } } else { Phase::Stable };
    }
}

fn refuse_sync(client: usize, id: u64, error_code: ErrorCode, answers: &mut Answers) {
    answers.push((client, id, Answered::Sync(SyncGroupResponse { error_code, ..Default::default() })));
}

/// A consumer: machine and application.
struct Consumer {
    member: ClassicMember,
    owned: BTreeSet<TopicPartition>,
    /// Does not poll until then.
    busy_until: Instant,
    killed: bool,
    leaving: bool,
    events: usize,
}

struct World {
    now: Instant,
    random: fastrand::Rng,
    coordinator: Coordinator,
    consumers: Vec<Consumer>,
    /// Requests and answers on their way, with the time of their arrival.
    requests: Vec<(Instant, usize, MemberRequest)>,
    answers: Vec<(Instant, usize, u64, Answered)>,
    /// What a node that is frozen would answer; it thaws when the coordinator moves again.
    withheld: Answers,
    assignors: Vec<Arc<dyn Assignor>>,
}

impl World {
    fn new(seed: u64, assignors: Vec<Arc<dyn Assignor>>) -> Self {
        let now = Instant::now();
        World {
            now,
            random: fastrand::Rng::with_seed(seed),
            coordinator: Coordinator::new(now),
            consumers: Vec::new(),
            requests: Vec::new(),
            answers: Vec::new(),
            withheld: Vec::new(),
            assignors,
        }
    }

    fn start_consumer(&mut self) {
        let config = GroupConfig {
            session_timeout: seconds(10),
            heartbeat_interval: seconds(1),
            max_poll_interval: seconds(30),
            ..config(self.assignors.clone())
        };
        let member = ClassicMember::new(Arc::new(config), vec!["a".into()], self.now, self.random.u64(..));
        self.consumers.push(Consumer {
            member,
            owned: BTreeSet::new(),
            busy_until: self.now,
            killed: false,
            leaving: false,
            events: 0,
        });
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.now += TICK;
        let mut answers = Vec::new();
        self.coordinator.expire(self.now, &mut answers);
        for index in 0..self.requests.len() {
            if self.requests[index].0 <= self.now {
                let (_, client, request) = self.requests[index].clone();
                self.coordinator.handle(self.now, client, request, &mut answers);
            }
        }
        self.requests.retain(|(at, ..)| *at > self.now);
        self.send(answers);

        let (due, later) =
            std::mem::take(&mut self.answers).into_iter().partition(|(at, ..)| *at <= self.now);
        self.answers = later;
        let due: Vec<(Instant, usize, u64, Answered)> = due;
        for (_, client, id, answer) in due {
            self.consumers[client].take_answer(self.now, id, answer);
        }
        for client in 0..self.consumers.len() {
            self.serve(client);
        }
        self.check_owners();
    }

    fn send(&mut self, answers: Answers) {
        for (client, id, answer) in answers {
            let delay = Duration::from_millis(self.random.u64(0..80));
            self.answers.push((self.now + delay, client, id, answer));
        }
    }

    /// What the driver and the application do.
    fn serve(&mut self, client: usize) {
        let consumer = &mut self.consumers[client];
        if consumer.killed {
            return;
        }
        if self.now >= consumer.busy_until && !consumer.leaving {
            consumer.member.polled(self.now);
            consumer.act(self.now);
        }
        consumer.member.handle_deadline(self.now);
        if let Some(AssignmentTask { id, assignor, members, .. }) = consumer.member.poll_assignment() {
            let mut topics = GroupTopics::new();
            topics.insert("a", PARTITIONS);
            consumer.member.handle_assignment(id, Ok(assignor.assign(&topics, &members)), &Layout::new());
        }
        while let Some(request) = consumer.member.poll_request(self.now) {
            let delay = Duration::from_millis(self.random.u64(0..80));
            self.requests.push((self.now + delay, client, request));
        }
    }

    /// No partition has two owners among those that the coordinator counts as members.
    fn check_owners(&self) {
        let mut seen = BTreeSet::new();
        for consumer in self.consumers.iter().filter(|consumer| !consumer.killed) {
            let membership = consumer.member.membership();
            if membership.is_member() && self.coordinator.members.contains_key(&membership.member_id) {
                for partition in &consumer.owned {
                    assert!(seen.insert(partition), "{partition} has two owners");
                }
            }
        }
    }

    fn living(&self) -> impl Iterator<Item = &Consumer> {
        self.consumers.iter().filter(|consumer| !consumer.killed && !consumer.leaving)
    }

    fn check_converged(&self, seed: u64) {
        let owned: Vec<_> = self.living().flat_map(|consumer| &consumer.owned).collect();
        let distinct: BTreeSet<_> = owned.iter().collect();
        assert_eq!((owned.len(), distinct.len()), (PARTITIONS, PARTITIONS), "seed {seed}");
        for consumer in self.living() {
            let membership = consumer.member.membership();
            assert_eq!(
                (membership.generation_id, membership.rebalancing),
                (self.coordinator.generation, false)
            );
        }
        assert_eq!(self.coordinator.members.len(), self.living().count(), "seed {seed}");
    }

    fn disturb(&mut self) {
        let some = self.random.usize(0..self.consumers.len());
        match self.random.u8(0..7) {
            0 | 1 if self.living().count() < 5 => self.start_consumer(),
            2 if self.living().count() > 1 => {
                let consumer = &mut self.consumers[some];
                consumer.owned.clear();
                consumer.leaving = true;
                consumer.member.leave();
            }
            3 if self.living().count() > 1 => self.consumers[some].killed = true,
            4 => {
                let mut answers = std::mem::take(&mut self.withheld);
                self.coordinator.fail_over(self.now, &mut answers);
                self.send(answers);
            }
            5 => {
                let thawed = std::mem::take(&mut self.withheld);
                self.send(thawed);
                self.coordinator.fail_over(self.now, &mut self.withheld);
            }
            _ => {
                let busy = Duration::from_millis(self.random.u64(0..40_000));
                self.consumers[some].busy_until = self.now + busy;
            }
        }
    }
}

impl Consumer {
    fn act(&mut self, now: Instant) {
        while let Some(event) = self.member.poll_event().cloned() {
            self.events += 1;
            match &event {
                GroupEvent::Revoke { partitions, .. } | GroupEvent::Lost { partitions, .. } => {
                    self.owned.retain(|partition| !partitions.contains(partition));
                }
                GroupEvent::Assigned { all, .. } => self.owned = all.iter().cloned().collect(),
                GroupEvent::Failed { error, .. } => panic!("{error}"),
            }
            self.member.acknowledge(now, event.id());
        }
    }

    fn take_answer(&mut self, now: Instant, id: u64, answer: Answered) {
        match answer {
            Answered::Find(node) => self.member.handle_coordinator(now, id, Ok(node)),
            Answered::Join(response) => self.member.handle_join(now, id, Ok(response)),
            Answered::Sync(response) => self.member.handle_sync(now, id, Ok(response)),
            Answered::Heartbeat(code) => self.member.handle_heartbeat(now, id, heartbeat(code)),
            Answered::Leave => self.member.handle_leave(now, id, &Ok(LeaveGroupResponse::default())),
        }
    }
}

fn disturbed(seed: u64, assignors: Vec<Arc<dyn Assignor>>) {
    let mut world = World::new(seed, assignors);
    for _ in 0..3 {
        world.start_consumer();
    }
    for _ in 0..12 {
        let millis = world.random.u64(0..6_000);
        world.run(Duration::from_millis(millis));
        world.disturb();
    }
    let now = world.now;
    world.consumers.iter_mut().for_each(|consumer| consumer.busy_until = now);
    world.run(seconds(90));
    world.check_converged(seed);
}

#[test]
fn an_eager_group_converges_whatever_happens_and_no_partition_has_two_owners() {
    (0..40).for_each(|seed| disturbed(seed, range()));
}

#[test]
fn a_cooperative_group_converges_whatever_happens_and_no_partition_has_two_owners() {
    (100..140).for_each(|seed| disturbed(seed, cooperative()));
}

#[test]
fn failovers_of_the_coordinator_cost_a_stable_group_nothing() {
    for assignors in [range(), cooperative()] {
        let mut world = World::new(1, assignors);
        for _ in 0..3 {
            world.start_consumer();
        }
        world.run(seconds(20));
        let state = |world: &World| -> Vec<_> {
            world.consumers.iter().map(|consumer| (consumer.member.membership(), consumer.events)).collect()
        };
        let before = state(&world);
        for _ in 0..5 {
            let mut answers = Vec::new();
            world.coordinator.fail_over(world.now, &mut answers);
            world.send(answers);
            world.run(seconds(15));
        }
        assert_eq!(state(&world), before);
        world.check_converged(1);
    }
}

#[test]
fn a_member_that_joins_a_cooperative_group_interrupts_only_what_goes_to_it() {
    let mut world = World::new(2, cooperative());
    world.start_consumer();
    world.start_consumer();
    world.run(seconds(20));
    let before: Vec<_> = world.consumers.iter().map(|consumer| consumer.owned.clone()).collect();
    world.start_consumer();
    world.run(seconds(20));
    world.check_converged(2);
    for (consumer, before) in world.consumers.iter().zip(before) {
        assert!(consumer.owned.is_subset(&before) && consumer.owned.len() >= 2);
    }
}
