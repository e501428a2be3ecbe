//! Scripts for every transition, random sequences against invariants, and a group of machines around a model coordinator.

#![allow(clippy::disallowed_methods, reason = "any instant will do as the beginning of an invented clock")]

mod join;
mod joining;
mod leave;
mod model;
mod property;
mod stable;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_client::{Error, ErrorKind, NodeId, TopicPartition};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition as Grouped, decode_subscription,
    encode_assignment, encode_subscription,
};
use ottla_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use ottla_protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};
use ottla_protocol::messages::leave_group::LeaveGroupResponse;
use ottla_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

use super::{ClassicMember, LeaveRequest, MemberRequest, RequestBody};
use crate::assignor::{Assignor, CooperativeStickyAssignor, RangeAssignor};
use crate::group::leader::Layout;
use crate::group::{GroupConfig, GroupEvent};
use crate::options::GroupProtocol;

pub(super) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn range() -> Vec<Arc<dyn Assignor>> {
    vec![Arc::new(RangeAssignor)]
}

pub(super) fn cooperative() -> Vec<Arc<dyn Assignor>> {
    vec![Arc::new(CooperativeStickyAssignor)]
}

/// Heartbeats every 3 s, sessions of 45 s, polls every 300 s, retries after 100 ms to 1 s.
pub(super) fn config(assignors: Vec<Arc<dyn Assignor>>) -> GroupConfig {
    GroupConfig {
        group_id: "g".into(),
        group_protocol: GroupProtocol::Classic,
        remote_assignor: None,
        exclude_internal_topics: true,
        group_instance_id: None,
        session_timeout: seconds(45),
        heartbeat_interval: seconds(3),
        max_poll_interval: seconds(300),
        assignors,
        client_rack: None,
        retry_backoff: Duration::from_millis(100),
        retry_backoff_max: seconds(1),
        request_timeout: seconds(30),
        default_api_timeout: seconds(60),
    }
}

pub(super) fn disconnected() -> Error {
    Error::new(ErrorKind::Disconnected, "the connection broke")
}

pub(super) fn partitions(text: &str) -> Vec<TopicPartition> {
    let parse = |name: &str| {
        let (topic, partition) = name.rsplit_once('-').expect("topic-partition");
        TopicPartition::new(topic, partition.parse().expect("a number"))
    };
    text.split_whitespace().map(parse).collect()
}

pub(super) fn share(text: &str) -> Bytes {
    share_of(&partitions(text))
}

pub(super) fn share_of(partitions: &[TopicPartition]) -> Bytes {
    let partitions = partitions.iter().map(|partition| (&*partition.topic, partition.partition));
    let assigned_partitions = Grouped::group(partitions);
    encode_assignment(&ConsumerProtocolAssignment { assigned_partitions, ..Default::default() }, 3)
        .expect("fits")
}

pub(super) fn subscription(topics: &[&str]) -> Bytes {
    let topics = topics.iter().map(|&topic| topic.to_owned()).collect();
    encode_subscription(&ConsumerProtocolSubscription { topics, ..Default::default() }, 3).expect("fits")
}

/// The subscription in a JoinGroup: topics, owned partitions, and the generation they are from.
pub(super) fn told(request: &JoinGroupRequest) -> (Vec<String>, String, i32) {
    let (subscription, version) = decode_subscription(&request.protocols[0].metadata).expect("readable");
    assert_eq!(version, 3);
    let owned = subscription.owned_partitions.iter();
    let owned = owned
        .flat_map(|topic| topic.partitions.iter().map(|partition| format!("{}-{partition}", topic.topic)));
    (subscription.topics, owned.collect::<Vec<_>>().join(" "), subscription.generation_id)
}

pub(super) fn heartbeat(code: ErrorCode) -> Result<HeartbeatResponse, Error> {
    Ok(HeartbeatResponse { error_code: code, ..Default::default() })
}

pub(super) fn join_refused(code: ErrorCode) -> Result<JoinGroupResponse, Error> {
    Ok(JoinGroupResponse { error_code: code, ..Default::default() })
}

pub(super) fn sync_refused(code: ErrorCode) -> Result<SyncGroupResponse, Error> {
    Ok(SyncGroupResponse { error_code: code, ..Default::default() })
}

/// A machine and an invented clock.
pub(super) struct Script {
    pub(super) member: ClassicMember,
    pub(super) now: Instant,
}

impl Script {
    pub(super) fn new(config: GroupConfig, topics: &[&str]) -> Script {
        let (now, topics) = (Instant::now(), topics.iter().map(|&topic| topic.to_owned()).collect());
        Script { member: ClassicMember::new(Arc::new(config), topics, now, 7), now }
    }

    /// A stable follower `m` of generation 1 at node 1, which has `assigned`.
    pub(super) fn stable(config: GroupConfig, topics: &[&str], assigned: &str) -> Script {
        let mut script = Script::new(config, topics);
        script.found(1);
        let (id, _) = script.join();
        script.joined(id, 1, "other");
        let (id, _) = script.sync();
        script.synced(id, assigned);
        script.acknowledge_assigned(assigned, assigned);
        script
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.now += by;
        self.member.handle_deadline(self.now);
    }

    /// Lets time pass until the machine wants to be called.
    pub(super) fn advance_to_deadline(&mut self) {
        let deadline = self.member.poll_deadline().expect("something is due");
        assert!(deadline > self.now, "a deadline that has passed makes a busy loop");
        self.now = deadline;
        self.member.handle_deadline(self.now);
    }

    pub(super) fn request(&mut self) -> Option<MemberRequest> {
        self.member.poll_request(self.now)
    }

    pub(super) fn nothing_to_send(&mut self) {
        assert_eq!(self.request(), None);
    }

    fn only_request(&mut self) -> MemberRequest {
        let request = self.request().expect("a request");
        self.nothing_to_send();
        request
    }

    pub(super) fn find(&mut self) -> (u64, Option<NodeId>) {
        match self.only_request() {
            MemberRequest { id, body: RequestBody::FindCoordinator { instead_of }, .. } => (id, instead_of),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn found(&mut self, node: NodeId) -> Option<NodeId> {
        let (id, instead_of) = self.find();
        self.member.handle_coordinator(self.now, id, Ok(node));
        instead_of
    }

    pub(super) fn join(&mut self) -> (u64, JoinGroupRequest) {
        match self.only_request() {
            MemberRequest { id, body: RequestBody::Join(request), .. } => (id, request),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn sync(&mut self) -> (u64, SyncGroupRequest) {
        match self.only_request() {
            MemberRequest { id, body: RequestBody::Sync(request), .. } => (id, request),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn heartbeat(&mut self) -> (u64, HeartbeatRequest) {
        match self.only_request() {
            MemberRequest { id, body: RequestBody::Heartbeat(request), .. } => (id, request),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn leave(&mut self) -> (u64, LeaveRequest) {
        match self.only_request() {
            MemberRequest { id, body: RequestBody::Leave(request), .. } => (id, request),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn left(&mut self, id: u64) {
        self.member.handle_leave(self.now, id, &Ok(LeaveGroupResponse::default()));
    }

    /// Sends the next heartbeat when it is due and answers it.
    pub(super) fn beat(&mut self, code: ErrorCode) -> HeartbeatRequest {
        self.advance(seconds(3));
        let (id, request) = self.heartbeat();
        self.member.handle_heartbeat(self.now, id, heartbeat(code));
        request
    }

    pub(super) fn joined(&mut self, id: u64, generation_id: i32, leader: &str) {
        self.joined_with(id, generation_id, leader, false);
    }

    pub(super) fn joined_with(&mut self, id: u64, generation_id: i32, leader: &str, skip_assignment: bool) {
        let name = self.member.config.assignors[0].name().to_owned();
        let other = |member_id: &str, topics: &[&str]| JoinGroupResponseMember {
            member_id: member_id.into(),
            metadata: subscription(topics),
            ..Default::default()
        };
        let leads = leader == "m";
        let response = JoinGroupResponse {
            generation_id,
            protocol_type: Some("consumer".into()),
            protocol_name: Some(name),
            leader: leader.into(),
            skip_assignment,
            member_id: "m".into(),
            members: if leads { vec![other("m", &["a"]), other("n", &["a", "b"])] } else { Vec::new() },
            ..Default::default()
        };
        self.member.handle_join(self.now, id, Ok(response));
    }

    pub(super) fn synced(&mut self, id: u64, assigned: &str) {
        let response = SyncGroupResponse { assignment: share(assigned), ..Default::default() };
        self.member.handle_sync(self.now, id, Ok(response));
    }

    pub(super) fn event(&self) -> String {
        let list = |partitions: &[TopicPartition]| {
            partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        match self.member.poll_event() {
            None => "nothing".to_owned(),
            Some(GroupEvent::Revoke { partitions, .. }) => format!("revoke {}", list(partitions)),
            Some(GroupEvent::Lost { partitions, .. }) => format!("lost {}", list(partitions)),
            Some(GroupEvent::Assigned { added, all, .. }) => {
                format!("assigned {} of {}", list(added), list(all))
            }
            Some(GroupEvent::Failed { error, lasting, .. }) => {
                format!("failed{} {:?}", if *lasting { " for good" } else { "" }, error.kind())
            }
        }
    }

    pub(super) fn acknowledge(&mut self, event: &str) {
        assert_eq!(self.event(), event);
        let id = self.member.poll_event().expect("an event").id();
        self.member.acknowledge(self.now, id);
    }

    pub(super) fn acknowledge_assigned(&mut self, added: &str, all: &str) {
        self.acknowledge(&format!("assigned {added} of {all}"));
    }

    /// Member id and generation.
    pub(super) fn identity(&self) -> (String, i32) {
        let membership = self.member.membership();
        (membership.member_id, membership.generation_id)
    }

    pub(super) fn is(&self, member_id: &str, generation_id: i32) {
        assert_eq!(self.identity(), (member_id.to_owned(), generation_id));
    }
}
