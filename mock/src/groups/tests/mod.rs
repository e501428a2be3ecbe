//! Scripts against the coordinator, with a clock of their own.

mod classic;
mod classic_static;
mod consumer;
mod consumer_regex;
mod faults;
mod many_classic;
mod many_consumer;
mod migration;
mod offsets;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use ottla_protocol::messages::consumer_protocol::{ConsumerProtocolSubscription, encode_subscription};
use ottla_protocol::messages::heartbeat::HeartbeatRequest;
use ottla_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use ottla_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use ottla_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse};
use ottla_protocol::uuid::Uuid;

use super::{Answer, GroupOptions, Groups, TopicFacts, TopicsView};
use crate::call::{Caller, Ticket};

/// A coordinator, what it has answered, and the time.
pub(super) struct Script {
    pub(super) groups: Groups,
    pub(super) now: Instant,
    answers: BTreeMap<Ticket, Answer>,
    tickets: u64,
}

/// Topics by name, with their numbers of partitions. The id of a topic is made of its name and of how often
/// it was made.
#[derive(Default, Clone)]
pub(super) struct Shelf(pub(super) BTreeMap<&'static str, (u8, usize)>);

impl TopicsView for Shelf {
    fn topics(&self) -> Vec<TopicFacts> {
        let facts = |(name, (life, partitions)): (&&str, &(u8, usize))| TopicFacts {
            name: (*name).to_owned(),
            id: topic_id(name, *life),
            racks: vec![Vec::new(); *partitions],
        };
        self.0.iter().map(facts).collect()
    }
}

pub(super) fn topic_id(name: &str, life: u8) -> Uuid {
    let mut id = [life; 16];
    id.iter_mut().zip(name.bytes()).for_each(|(to, byte)| *to = byte);
    Uuid(id)
}

pub(super) fn shelf(topics: &[(&'static str, usize)]) -> Shelf {
    Shelf(topics.iter().map(|(name, partitions)| (*name, (1, *partitions))).collect())
}

pub(super) fn caller() -> Caller {
    Caller { client_id: "me".into(), host: "/127.0.0.1".into(), principal: "User:ANONYMOUS".into() }
}

impl Script {
    pub(super) fn new(options: GroupOptions) -> Self {
        let mut groups = Groups::new(options, 7);
        groups.handle_topics(&shelf(&[("a", 4), ("b", 2)]));
        #[allow(clippy::disallowed_methods, reason = "where an invented clock begins")]
        let now = Instant::now();
        Script { groups, now, answers: BTreeMap::new(), tickets: 0 }
    }

    pub(super) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    pub(super) fn collect(&mut self) {
        while let Some((ticket, answer)) = self.groups.poll_answer() {
            assert!(self.answers.insert(ticket, answer).is_none(), "{ticket:?} was answered twice");
        }
    }

    /// Lets time pass, in the steps that the coordinator asks for.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.groups.poll_deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.groups.handle_deadline(self.now);
        }
        self.now = end;
        self.collect();
    }

    pub(super) fn seconds(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    pub(super) fn send_join(&mut self, version: i16, request: &JoinGroupRequest) -> Ticket {
        let ticket = self.ticket();
        self.groups.handle_join(self.now, ticket, version, &caller(), request);
        self.collect();
        ticket
    }

    pub(super) fn send_sync(&mut self, request: &SyncGroupRequest) -> Ticket {
        let ticket = self.ticket();
        self.groups.handle_sync(self.now, ticket, 5, request);
        self.collect();
        ticket
    }

    pub(super) fn answer(&mut self, ticket: Ticket) -> Option<Answer> {
        self.answers.remove(&ticket)
    }

    pub(super) fn waits(&self, ticket: Ticket) -> bool {
        !self.answers.contains_key(&ticket)
    }

    pub(super) fn joined(&mut self, ticket: Ticket) -> JoinGroupResponse {
        match self.answer(ticket) {
            Some(Answer::Join(response)) => response,
            other => panic!("no answer to a join: {other:?}"),
        }
    }

    pub(super) fn synced(&mut self, ticket: Ticket) -> SyncGroupResponse {
        match self.answer(ticket) {
            Some(Answer::Sync(response)) => response,
            other => panic!("no answer to a sync: {other:?}"),
        }
    }

    /// The id that a new dynamic member is told to join with.
    pub(super) fn new_id(&mut self) -> String {
        let ticket = self.send_join(9, &join(""));
        let answer = self.joined(ticket);
        assert_eq!(answer.error_code, ErrorCode::MEMBER_ID_REQUIRED);
        answer.member_id
    }

    /// A stable generation of as many members; their ids, the leader's first, and the generation. The
    /// assignment of each is its own id.
    pub(super) fn stable(&mut self, members: usize) -> (Vec<String>, i32) {
        let ids: Vec<String> = (0..members).map(|_| self.new_id()).collect();
        let joins: Vec<Ticket> = ids.iter().map(|id| self.send_join(9, &join(id))).collect();
        self.seconds(6);
        let answers: Vec<JoinGroupResponse> = joins.into_iter().map(|ticket| self.joined(ticket)).collect();
        let (leader, generation) = (answers[0].leader.clone(), answers[0].generation_id);
        self.sync_all(&ids, &leader, generation);
        let mut sorted = ids;
        sorted.sort_by_key(|id| *id != leader);
        (sorted, generation)
    }

    /// Everybody syncs, the leader last, with each member's id for its assignment.
    pub(super) fn sync_all(&mut self, ids: &[String], leader: &str, generation: i32) {
        let waiting: Vec<Ticket> = ids
            .iter()
            .filter(|id| *id != leader)
            .map(|id| self.send_sync(&sync(id, generation, &[])))
            .collect();
        assert!(waiting.iter().all(|ticket| self.waits(*ticket)));
        let leads = self.send_sync(&sync(leader, generation, ids));
        for ticket in waiting.into_iter().chain([leads]) {
            assert_eq!(self.synced(ticket).error_code, ErrorCode::NONE);
        }
    }

    pub(super) fn beat(&mut self, member_id: &str, generation: i32) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: "g".into(),
            generation_id: generation,
            member_id: member_id.into(),
            ..Default::default()
        };
        let code = self.groups.handle_heartbeat(self.now, &request);
        self.collect();
        code
    }

    pub(super) fn leave(&mut self, members: &[(&str, Option<&str>)]) -> Vec<ErrorCode> {
        let members = members.iter().map(|(member_id, instance_id)| MemberIdentity {
            member_id: (*member_id).into(),
            group_instance_id: instance_id.map(Into::into),
            ..Default::default()
        });
        let request =
            LeaveGroupRequest { group_id: "g".into(), members: members.collect(), ..Default::default() };
        let response = self.groups.handle_leave(self.now, 5, &request);
        assert_eq!(response.error_code, ErrorCode::NONE);
        self.collect();
        response.members.iter().map(|outcome| outcome.error_code).collect()
    }

    pub(super) fn heartbeat(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        let response = self.groups.handle_consumer_heartbeat(self.now, 1, &caller(), request);
        self.collect();
        response
    }

    pub(super) fn state(&self) -> String {
        let all = self.groups.list(&Default::default());
        all.into_iter()
            .find(|group| group.group_id == "g")
            .map_or_else(String::new, |group| group.group_state)
    }
}

pub(super) fn subscription(topics: &[&str]) -> Bytes {
    let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
    encode_subscription(&ConsumerProtocolSubscription { topics, ..Default::default() }, 1)
        .expect("it is short")
}

pub(super) fn protocol(name: &str, metadata: Bytes) -> JoinGroupRequestProtocol {
    JoinGroupRequestProtocol { name: name.into(), metadata, ..Default::default() }
}

/// A consumer's join: session timeout 10 s, rebalance timeout 15 s.
pub(super) fn join(member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 15_000,
        member_id: member_id.into(),
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range", subscription(&["a"]))],
        ..Default::default()
    }
}

pub(super) fn join_static(member_id: &str, instance_id: &str) -> JoinGroupRequest {
    JoinGroupRequest { group_instance_id: Some(instance_id.into()), ..join(member_id) }
}

/// A sync that assigns each of `assigned` its own id.
pub(super) fn sync(member_id: &str, generation: i32, assigned: &[String]) -> SyncGroupRequest {
    let assignments = assigned.iter().map(|id| SyncGroupRequestAssignment {
        member_id: id.clone(),
        assignment: Bytes::from(id.clone()),
        ..Default::default()
    });
    SyncGroupRequest {
        group_id: "g".into(),
        generation_id: generation,
        member_id: member_id.into(),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignments: assignments.collect(),
        ..Default::default()
    }
}

/// The first heartbeat of a member that reads `topics`; rebalance timeout 15 s.
pub(super) fn enter(member_id: &str, topics: &[&str]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: member_id.into(),
        rebalance_timeout_ms: 15_000,
        subscribed_topic_names: Some(topics.iter().map(|topic| (*topic).to_owned()).collect()),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    }
}

/// A heartbeat that says nothing new.
pub(super) fn stay(member_id: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: member_id.into(),
        member_epoch: epoch,
        ..Default::default()
    }
}

/// A heartbeat that says what the member holds.
pub(super) fn hold(member_id: &str, epoch: i32, held: &[(&str, &[i32])]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest { topic_partitions: Some(claims(held)), ..stay(member_id, epoch) }
}

pub(super) fn claims(held: &[(&str, &[i32])]) -> Vec<TopicPartitions> {
    let claim = |(topic, partitions): &(&str, &[i32])| TopicPartitions {
        topic_id: topic_id(topic, 1),
        partitions: partitions.to_vec(),
        ..Default::default()
    };
    held.iter().map(claim).collect()
}

/// What an answer assigns: nothing new, or topics of the first life and their partitions.
pub(super) fn assigned(response: &ConsumerGroupHeartbeatResponse) -> Option<Vec<TopicPartitions>> {
    assert_eq!(response.error_code, ErrorCode::NONE, "{:?}", response.error_message);
    response.assignment.as_ref().map(|assignment| assignment.topic_partitions.clone())
}
