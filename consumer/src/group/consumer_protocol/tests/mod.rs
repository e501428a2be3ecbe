//! Scripts for every transition, and several machines around a model coordinator.

#![allow(clippy::disallowed_methods, reason = "any instant will do as the beginning of an invented clock")]

mod join;
mod leave;
mod model;
mod reconcile;
mod refusals;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_client::{Error, ErrorKind, NodeId, TopicPartition};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::{
    Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use ottla_protocol::uuid::Uuid;

use super::{Ask, AskBody, ConsumerMember};
use crate::group::classic::test_config;
use crate::group::{GroupConfig, GroupEvent, Interest};
use crate::options::GroupProtocol;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn config() -> GroupConfig {
    GroupConfig { group_protocol: GroupProtocol::Consumer, ..test_config() }
}

fn static_config() -> GroupConfig {
    GroupConfig { group_instance_id: Some("i".into()), ..config() }
}

fn disconnected() -> Error {
    Error::new(ErrorKind::Disconnected, "the connection broke")
}

fn topics(names: &[&str]) -> Interest {
    Interest::Topics(names.iter().map(|&name| name.to_owned()).collect())
}

/// The id of a topic is made of its name, and of how often it was created before: `a`, `a'`.
fn id(topic: &str) -> Uuid {
    let mut bytes = [0; 16];
    bytes[..topic.len()].copy_from_slice(topic.as_bytes());
    Uuid(bytes)
}

fn name(id: Uuid) -> Arc<str> {
    let text: String = id.0.iter().map(|&byte| char::from(byte)).filter(char::is_ascii_alphabetic).collect();
    text.into()
}

/// `a-0 a'-1`, by topic ids.
fn by_id(text: &str) -> Vec<TopicPartitions> {
    let mut listed: Vec<TopicPartitions> = Vec::new();
    for entry in text.split_whitespace() {
        let (topic, partition) = entry.rsplit_once('-').expect("topic-partition");
        let partition = partition.parse().expect("a number");
        match listed.iter_mut().find(|listed| listed.topic_id == id(topic)) {
            Some(listed) => listed.partitions.push(partition),
            None => listed.push(TopicPartitions {
                topic_id: id(topic),
                partitions: vec![partition],
                ..Default::default()
            }),
        }
    }
    listed
}

fn partitions(text: &str) -> Vec<TopicPartition> {
    let parse = |name: &str| {
        let (topic, partition) = name.rsplit_once('-').expect("topic-partition");
        TopicPartition::new(topic, partition.parse().expect("a number"))
    };
    text.split_whitespace().map(parse).collect()
}

fn answer(epoch: i32, assignment: Option<&str>) -> Result<ConsumerGroupHeartbeatResponse, Error> {
    Ok(ConsumerGroupHeartbeatResponse {
        member_epoch: epoch,
        heartbeat_interval_ms: 5_000,
        assignment: assignment.map(|text| Assignment { topic_partitions: by_id(text), ..Default::default() }),
        ..Default::default()
    })
}

fn refused(code: ErrorCode) -> Result<ConsumerGroupHeartbeatResponse, Error> {
    Ok(ConsumerGroupHeartbeatResponse { error_code: code, ..Default::default() })
}

/// A machine and an invented clock.
struct Script {
    member: ConsumerMember,
    now: Instant,
}

impl Script {
    fn new(config: GroupConfig, interest: Interest) -> Script {
        let now = Instant::now();
        Script { member: ConsumerMember::new(Arc::new(config), interest, now, 7), now }
    }

    /// A member of epoch 1 at node 1 that has `assigned`, of topics `a` and `b`, and has said so.
    fn stable(config: GroupConfig, assigned: &str) -> Script {
        let mut script = Script::new(config, topics(&["a", "b"]));
        script.found(1);
        let (id, _) = script.heartbeat();
        script.answered(id, 1, Some(assigned));
        script.knows_all();
        script.acknowledge_assigned(assigned, assigned);
        if !assigned.is_empty() {
            let (id, request) = script.heartbeat();
            assert_eq!(request.topic_partitions, Some(by_id(assigned)));
            script.answered(id, 1, None);
        }
        script.nothing_to_send();
        script
    }

    fn advance(&mut self, by: Duration) {
        self.now += by;
        self.member.handle_deadline(self.now);
    }

    fn advance_to_deadline(&mut self) {
        let deadline = self.member.poll_deadline().expect("something is due");
        assert!(deadline > self.now, "a deadline that has passed makes a busy loop");
        self.now = deadline;
        self.member.handle_deadline(self.now);
    }

    fn request(&mut self) -> Option<Ask> {
        self.member.poll_request(self.now)
    }

    fn nothing_to_send(&mut self) {
        assert_eq!(self.request(), None);
    }

    /// The coordinator is asked for, and is `node`.
    fn found(&mut self, node: NodeId) {
        let Some(Ask { id, body: AskBody::FindCoordinator { .. } }) = self.request() else {
            panic!("a look-up is due")
        };
        self.member.handle_coordinator(self.now, id, Ok(node));
    }

    fn heartbeat(&mut self) -> (u64, ConsumerGroupHeartbeatRequest) {
        match self.request() {
            Some(Ask { id, body: AskBody::Heartbeat(_, request) }) => (id, request),
            other => panic!("a heartbeat is due, not {other:?}"),
        }
    }

    fn leave(&mut self) -> (u64, ConsumerGroupHeartbeatRequest) {
        match self.request() {
            Some(Ask { id, body: AskBody::Leave(_, request) }) => (id, request),
            other => panic!("the last heartbeat is due, not {other:?}"),
        }
    }

    fn answered(&mut self, id: u64, epoch: i32, assignment: Option<&str>) {
        self.member.handle_heartbeat(self.now, id, answer(epoch, assignment));
    }

    fn refuse(&mut self, id: u64, code: ErrorCode) {
        self.member.handle_heartbeat(self.now, id, refused(code));
    }

    /// Metadata knows all topics of the target.
    fn knows_all(&mut self) {
        let unnamed = self.member.unnamed_topics();
        self.member.learn_names(unnamed.into_iter().map(|id| (id, name(id))));
    }

    fn event(&self) -> GroupEvent {
        self.member.poll_event().cloned().expect("an event waits")
    }

    fn acknowledge(&mut self) {
        let id = self.event().id();
        self.member.acknowledge(self.now, id);
    }

    fn acknowledge_assigned(&mut self, expected: &str, expected_all: &str) {
        match self.event() {
            GroupEvent::Assigned { added, all, .. } => {
                assert_eq!((added, all), (partitions(expected), partitions(expected_all)));
            }
            other => panic!("{other:?}"),
        }
        self.acknowledge();
    }

    fn acknowledge_revoked(&mut self, expected: &str) {
        match self.event() {
            GroupEvent::Revoke { partitions: revoked, .. } => assert_eq!(revoked, partitions(expected)),
            other => panic!("{other:?}"),
        }
        self.acknowledge();
    }

    fn acknowledge_lost(&mut self, expected: &str) {
        match self.event() {
            GroupEvent::Lost { partitions: lost, .. } => assert_eq!(lost, partitions(expected)),
            other => panic!("{other:?}"),
        }
        self.acknowledge();
    }

    fn failure(&self) -> (Error, bool) {
        match self.event() {
            GroupEvent::Failed { error, lasting, .. } => (error, lasting),
            other => panic!("{other:?}"),
        }
    }
}
