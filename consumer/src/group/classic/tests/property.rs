//! Random sequences of answers, errors, time and application steps against the machine's invariants.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Something happens; numbers choose among what is possible at that point.
#[derive(Debug, Clone, Copy)]
enum Step {
    Advance(u64),
    Answer { which: usize, with: usize, share: u8 },
    Assigned(bool),
    Acknowledge,
    AcknowledgeSomethingElse,
    Poll,
    SetTopics(u8),
    Rejoin,
    CommitRefused(usize),
    Leave,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u64..5_000).prop_map(Step::Advance),
        1 => (5_000u64..400_000).prop_map(Step::Advance),
        14 => (0usize..8, 0usize..40, any::<u8>()).prop_map(|(which, with, share)| Step::Answer { which, with, share }),
        3 => any::<bool>().prop_map(Step::Assigned),
        6 => Just(Step::Acknowledge),
        1 => Just(Step::AcknowledgeSomethingElse),
        4 => Just(Step::Poll),
        1 => (1u8..4).prop_map(Step::SetTopics),
        1 => Just(Step::Rejoin),
        1 => (0usize..40).prop_map(Step::CommitRefused),
        1 => Just(Step::Leave),
    ]
}

const CODES: &[ErrorCode] = &[
    ErrorCode::REBALANCE_IN_PROGRESS,
    ErrorCode::UNKNOWN_MEMBER_ID,
    ErrorCode::ILLEGAL_GENERATION,
    ErrorCode::NOT_COORDINATOR,
    ErrorCode::COORDINATOR_NOT_AVAILABLE,
    ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode::MEMBER_ID_REQUIRED,
    ErrorCode::GROUP_MAX_SIZE_REACHED,
    ErrorCode::UNKNOWN_SERVER_ERROR,
    ErrorCode::FENCED_INSTANCE_ID,
];

struct Outstanding {
    request: MemberRequest,
    /// The coordinator was found elsewhere since.
    moved: bool,
}

/// The machine with a broker that may answer anything and an application that does as it is told.
struct World {
    script: Script,
    cooperative: bool,
    outstanding: Vec<Outstanding>,
    owned: BTreeSet<TopicPartition>,
    /// The event that waits, by number.
    waiting: Option<u64>,
    last_event: u64,
    last_share: BTreeSet<TopicPartition>,
    topics: Vec<String>,
    generation: i32,
    task: Option<u64>,
    /// The last look-up was refused, and nobody has asked for another since.
    refused: bool,
}

fn topics(bits: u8) -> Vec<String> {
    ["a", "b"]
        .into_iter()
        .zip([1, 2])
        .filter(|(_, bit)| bits & bit != 0)
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn share_of_bits(bits: u8) -> Vec<TopicPartition> {
    let all =
        ["a", "b"].into_iter().flat_map(|topic| (0..3).map(move |index| TopicPartition::new(topic, index)));
    all.enumerate().filter(|(at, _)| bits & (1 << at) != 0).map(|(_, partition)| partition).collect()
}

impl World {
    fn new(cooperative_one: bool, is_static: bool) -> World {
        let assignors = if cooperative_one { cooperative() } else { range() };
        let group_instance_id = is_static.then(|| "i".to_owned());
        World {
            script: Script::new(GroupConfig { group_instance_id, ..config(assignors) }, &["a", "b"]),
            cooperative: cooperative_one,
            outstanding: Vec::new(),
            owned: BTreeSet::new(),
            waiting: None,
            last_event: 0,
            last_share: BTreeSet::new(),
            topics: topics(3),
            generation: 0,
            task: None,
            refused: false,
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Advance(millis) => self.script.advance(Duration::from_millis(millis)),
            Step::Answer { which, with, share } => self.answer(which, with, share),
            Step::Assigned(well) => {
                if let Some(id) = self.task.take() {
                    let outcome =
                        if well { Ok([("m".into(), Vec::new())].into()) } else { Err(disconnected()) };
                    self.script.member.handle_assignment(id, outcome, &Layout::new());
                }
            }
            Step::Acknowledge => self.acknowledge(),
            Step::AcknowledgeSomethingElse => {
                self.script.member.acknowledge(self.script.now, self.last_event + 1);
            }
            Step::Poll => self.script.member.polled(self.script.now),
            Step::SetTopics(bits) => {
                self.topics = topics(bits);
                self.script.member.set_topics(self.topics.clone());
            }
            Step::Rejoin => drop(self.script.member.request_rejoin("random")),
            Step::CommitRefused(with) => {
                let membership = self.script.member.membership();
                let code = CODES[with % CODES.len()];
                self.script.member.handle_commit_refused(self.script.now, code, &membership);
            }
            Step::Leave => self.script.member.leave(),
        }
        self.settle();
    }

    fn answer(&mut self, which: usize, with: usize, bits: u8) {
        if self.outstanding.is_empty() {
            return;
        }
        let Outstanding { request: MemberRequest { id, body, node }, moved } =
            self.outstanding.swap_remove(which % self.outstanding.len());
        let (now, member) = (self.script.now, &mut self.script.member);
        let code = CODES.get(with).copied();
        match body {
            RequestBody::FindCoordinator { .. } if with < 8 => {
                member.handle_coordinator(now, id, Err(disconnected()));
            }
            RequestBody::FindCoordinator { .. } if with < 10 => {
                let kind = if with == 8 { ErrorKind::Protocol } else { ErrorKind::Authorization };
                member.handle_coordinator(now, id, Err(Error::new(kind, "refused")));
                self.refused = true;
            }
            RequestBody::FindCoordinator { .. } => {
                let found = with as NodeId % 3;
                member.handle_coordinator(now, id, Ok(found));
                self.outstanding.iter_mut().for_each(|other| other.moved |= other.request.node != found);
            }
            RequestBody::Join(_) => {
                let answer = match code {
                    Some(error_code) => {
                        Ok(JoinGroupResponse { error_code, member_id: "m".into(), ..Default::default() })
                    }
                    None if with == CODES.len() => Err(disconnected()),
                    None => {
                        self.generation += 1;
                        let leader = if with.is_multiple_of(2) { "m" } else { "other" };
                        let name = member.config.assignors[0].name().to_owned();
                        Ok(JoinGroupResponse {
                            generation_id: self.generation,
                            protocol_name: Some(name),
                            leader: leader.into(),
                            skip_assignment: with.is_multiple_of(5),
                            member_id: "m".into(),
                            ..Default::default()
                        })
                    }
                };
                member.handle_join(now, id, answer);
            }
            RequestBody::Sync(_) => {
                let answer = match code {
                    Some(code) => sync_refused(code),
                    None if with == CODES.len() => Err(disconnected()),
                    None => {
                        let share = share_of_bits(bits);
                        if !moved {
                            self.last_share = share.iter().cloned().collect();
                        }
                        Ok(SyncGroupResponse { assignment: share_of(&share), ..Default::default() })
                    }
                };
                member.handle_sync(now, id, answer);
            }
            RequestBody::Heartbeat(_) => {
                let answer = match code {
                    Some(code) => heartbeat(code),
                    None if with == CODES.len() => Err(disconnected()),
                    None => heartbeat(ErrorCode::NONE),
                };
                member.handle_heartbeat(now, id, answer);
            }
            RequestBody::Leave(_) => {
                let error_code = code.unwrap_or_default();
                member.handle_leave(now, id, &Ok(LeaveGroupResponse { error_code, ..Default::default() }));
            }
        }
        let _ = node;
    }

    fn acknowledge(&mut self) {
        let Some(event) = self.script.member.poll_event().cloned() else { return };
        match &event {
            GroupEvent::Revoke { partitions, .. } | GroupEvent::Lost { partitions, .. } => {
                partitions
                    .iter()
                    .for_each(|partition| assert!(self.owned.remove(partition), "{partition} was not owned"));
            }
            GroupEvent::Assigned { added, all, .. } => {
                added.iter().for_each(|partition| {
                    assert!(self.owned.insert(partition.clone()), "{partition} was owned")
                });
                assert!(all.iter().eq(&self.owned), "the whole assignment is what was there and what came");
            }
            GroupEvent::Failed { .. } => {}
        }
        if !matches!(event, GroupEvent::Failed { lasting: true, .. }) {
            self.waiting = None;
        }
        self.script.member.acknowledge(self.script.now, event.id());
    }

    /// What the driver does after everything, with the invariants.
    fn settle(&mut self) {
        self.script.member.handle_deadline(self.script.now);
        if let Some(task) = self.script.member.poll_assignment() {
            self.task = Some(task.id);
        }
        let refused = std::mem::take(&mut self.refused);
        while let Some(request) = self.script.request() {
            let seeks = matches!(request.body, RequestBody::FindCoordinator { .. });
            assert!(!(refused && seeks), "a refused look-up is not repeated by itself");
            self.check_request(&request);
            self.outstanding.push(Outstanding { request, moved: false });
        }
        self.check_event();
        let deadline = self.script.member.poll_deadline();
        assert!(
            deadline.is_none_or(|at| at > self.script.now),
            "a deadline that has passed makes a busy loop"
        );
        self.check_heartbeats(deadline);
    }

    fn check_request(&self, request: &MemberRequest) {
        let held = |body: &RequestBody| matches!(body, RequestBody::Join(_) | RequestBody::Sync(_));
        if held(&request.body) {
            let busy = self.outstanding.iter().any(|other| held(&other.request.body) && !other.moved);
            assert!(!busy, "one JoinGroup or SyncGroup at a time");
        }
        if let RequestBody::Join(join) = &request.body {
            assert!(
                self.script.member.poll_event().is_none(),
                "the application is done before the member joins"
            );
            let (_, owned, _) = told(join);
            let expected = self.owned.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            assert_eq!(owned, expected);
            assert!(self.cooperative || self.owned.is_empty(), "eager members own nothing when they join");
            assert!(self.owned.iter().all(|partition| self.topics.contains(&partition.topic.to_string())));
        }
    }

    fn check_event(&mut self) {
        let Some(event) = self.script.member.poll_event() else {
            assert_eq!(self.waiting, None, "an event stays until it is acknowledged");
            return;
        };
        if let Some(waiting) = self.waiting {
            assert_eq!(event.id(), waiting, "an event stays until it is acknowledged");
            return;
        }
        assert!(event.id() > self.last_event);
        (self.waiting, self.last_event) = (Some(event.id()), event.id());
        match event {
            GroupEvent::Revoke { partitions, .. } => {
                assert!(
                    !partitions.is_empty()
                        && partitions.iter().all(|partition| self.owned.contains(partition))
                );
                let kept = |partition: &TopicPartition| {
                    self.last_share.contains(partition) && self.topics.contains(&partition.topic.to_string())
                };
                assert!(!self.cooperative || !partitions.iter().any(kept), "what is kept is not revoked");
            }
            GroupEvent::Lost { partitions, .. } => assert!(partitions.iter().eq(&self.owned), "all is lost"),
            GroupEvent::Assigned { added, all, .. } => {
                assert!(added.iter().all(|partition| !self.owned.contains(partition)));
                assert!(self.owned.iter().all(|partition| all.contains(partition)));
            }
            GroupEvent::Failed { .. } => {}
        }
    }

    /// Whoever belongs to a generation, or waits for one, has a heartbeat under way, or soon, or looks for somebody to send
    /// it to.
    fn check_heartbeats(&self, deadline: Option<Instant>) {
        let member = &self.script.member;
        if member.is_heartbeating() {
            let seeks =
                |other: &Outstanding| matches!(other.request.body, RequestBody::FindCoordinator { .. });
            let beating = member.in_flight.heartbeat.is_some() || self.outstanding.iter().any(seeks);
            let soon = deadline.is_some_and(|at| at <= self.script.now + member.config.heartbeat_interval);
            assert!(beating || soon, "heartbeats go on");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_invariants_hold(
        cooperative_one in any::<bool>(),
        is_static in any::<bool>(),
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut world = World::new(cooperative_one, is_static);
        world.settle();
        for step in steps {
            world.take(step);
        }
    }
}
