//! The group RPCs through connections, in all their versions.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_protocol::api::Request;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::header::{decode_response, encode_request, encode_response, split_response};
use ottla_protocol::messages::consumer_group_describe::ConsumerGroupDescribeRequest;
use ottla_protocol::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;
use ottla_protocol::messages::delete_groups::DeleteGroupsRequest;
use ottla_protocol::messages::describe_groups::DescribeGroupsRequest;
use ottla_protocol::messages::heartbeat::HeartbeatRequest;
use ottla_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use ottla_protocol::messages::list_groups::ListGroupsRequest;
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_delete::{OffsetDeleteRequest, OffsetDeleteRequestTopic};
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use ottla_protocol::messages::sync_group::SyncGroupRequest;
use ottla_protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};

use crate::apis::{Serve, advertised};
use crate::cluster::{Cluster, ClusterOptions, ConnectionId, Output};
use crate::versions::Release;

struct Net {
    cluster: Cluster,
    now: Instant,
    frames: Vec<(ConnectionId, Bytes)>,
}

impl Net {
    fn new() -> Net {
        #[allow(clippy::disallowed_methods, reason = "where an invented clock begins")]
        let now = Instant::now();
        let options = ClusterOptions::new().brokers(3).topic("a", 2, 1);
        let cluster = Cluster::new(options, now).expect("such a cluster can be");
        Net { cluster, now, frames: Vec::new() }
    }

    fn connect(&mut self, broker: i32) -> ConnectionId {
        self.cluster.connect(broker, "127.0.0.1").expect("the broker is up")
    }

    /// A connection to the coordinator of `g`.
    fn at_coordinator(&mut self) -> ConnectionId {
        let broker = self.cluster.group_coordinator("g").expect("there is one");
        self.connect(broker)
    }

    fn send<R: Request>(&mut self, connection: ConnectionId, version: i16, request: &R) {
        let frame = encode_request(request, version, 1, Some("me")).expect("it fits the version");
        self.cluster.handle(self.now, connection, frame.to_bytes());
    }

    fn hear<R: Request>(&mut self, connection: ConnectionId, version: i16) -> Option<R::Response> {
        while let Some(output) = self.cluster.poll_output() {
            match output {
                Output::Send { connection, chunks } => {
                    let whole: Bytes = chunks.concat().into();
                    self.frames.push((connection, whole.slice(4..)));
                }
                Output::Close { connection } => panic!("{connection:?} was closed"),
                Output::Ready { .. } | Output::Listen { .. } => {}
            }
        }
        let place = self.frames.iter().position(|(to, _)| *to == connection)?;
        let (_, frame) = self.frames.remove(place);
        let (_, body) = split_response(&frame, R::API, version).expect("it is an answer");
        Some(decode_response::<R>(&body, version).expect("it is of this version"))
    }

    fn ask<R: Request>(&mut self, connection: ConnectionId, version: i16, request: &R) -> R::Response {
        self.send(connection, version, request);
        self.hear::<R>(connection, version).expect("it is answered at once")
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.cluster.handle_deadline(self.now);
    }
}

/// The versions that the newest release takes here.
fn versions<R: Request>() -> std::ops::RangeInclusive<i16> {
    let range = advertised(Release::V4_3, R::API.key);
    range.min..=range.max
}

fn join(member_id: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol { name: "range".into(), ..Default::default() };
    JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: member_id.into(),
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..Default::default()
    }
}

#[test]
fn a_member_lives_its_life_in_every_version() {
    for version in versions::<JoinGroupRequest>() {
        let mut net = Net::new();
        let connection = net.at_coordinator();
        let mut request = join("");
        if version >= 5 {
            request.group_instance_id = Some("one".into());
        } else if version >= 4 {
            let told = net.ask(connection, version, &request);
            assert_eq!(told.error_code, ErrorCode::MEMBER_ID_REQUIRED);
            request.member_id = told.member_id;
        }
        net.send(connection, version, &request);
        assert_eq!(net.hear::<JoinGroupRequest>(connection, version), None);
        net.pass(Duration::from_secs(3));
        let joined = net.hear::<JoinGroupRequest>(connection, version).expect("the delay is over");
        assert_eq!((joined.error_code, joined.generation_id, joined.members.len()), (ErrorCode::NONE, 1, 1));

        let sync_version = version.min(5);
        let sync = SyncGroupRequest {
            group_id: "g".into(),
            generation_id: 1,
            member_id: joined.member_id.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            ..Default::default()
        };
        assert_eq!(net.ask(connection, sync_version, &sync).error_code, ErrorCode::NONE);
        let heartbeat = HeartbeatRequest {
            group_id: "g".into(),
            generation_id: 1,
            member_id: joined.member_id.clone(),
            ..Default::default()
        };
        assert_eq!(net.ask(connection, version.min(4), &heartbeat).error_code, ErrorCode::NONE);
        let leave_version = version.min(5);
        let identity = MemberIdentity { member_id: joined.member_id.clone(), ..Default::default() };
        let leave = LeaveGroupRequest {
            group_id: "g".into(),
            member_id: if leave_version <= 2 { joined.member_id } else { String::new() },
            members: if leave_version <= 2 { Vec::new() } else { vec![identity] },
            ..Default::default()
        };
        assert_eq!(net.ask(connection, leave_version, &leave).error_code, ErrorCode::NONE);
        assert_eq!(net.cluster.group_members("g"), Vec::<String>::new());
    }
}

#[test]
fn from_version_5_on_a_sync_must_say_what_it_takes_part_in() {
    let mut net = Net::new();
    let connection = net.at_coordinator();
    let sync = SyncGroupRequest { group_id: "g".into(), ..Default::default() };
    assert_eq!(net.ask(connection, 5, &sync).error_code, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(net.ask(connection, 4, &sync).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn only_its_coordinator_speaks_for_a_group() {
    let mut net = Net::new();
    let coordinator = net.cluster.group_coordinator("g").expect("there is one");
    let other = net.connect(coordinator % 3 + 1);
    assert_eq!(net.ask(other, 9, &join("")).error_code, ErrorCode::NOT_COORDINATOR);
    let connection = net.at_coordinator();
    assert_eq!(net.ask(connection, 9, &join("")).error_code, ErrorCode::MEMBER_ID_REQUIRED);
    let describe = DescribeGroupsRequest { groups: vec!["g".into()], ..Default::default() };
    let delete = DeleteGroupsRequest { groups_names: vec!["g".into()], ..Default::default() };
    for (connection, listed, code) in
        [(other, 0, ErrorCode::NOT_COORDINATOR), (connection, 1, ErrorCode::NONE)]
    {
        for version in versions::<ListGroupsRequest>() {
            assert_eq!(net.ask(connection, version, &ListGroupsRequest::default()).groups.len(), listed);
        }
        for version in versions::<DescribeGroupsRequest>() {
            let request =
                DescribeGroupsRequest { include_authorized_operations: version >= 3, ..describe.clone() };
            let group = net.ask(connection, version, &request).groups.remove(0);
            assert_eq!(group.error_code, code);
            let operations = if version >= 3 && code.is_ok() { 0b1101_0100_1000 } else { i32::MIN };
            assert_eq!(group.authorized_operations, operations);
        }
        assert_eq!(net.ask(connection, 2, &delete).results[0].error_code, code);
    }
}

#[test]
fn a_parked_join_hears_that_its_coordinator_has_moved() {
    let mut net = Net::new();
    let connection = net.at_coordinator();
    net.send(connection, 3, &join(""));
    assert_eq!(net.hear::<JoinGroupRequest>(connection, 3), None);
    let coordinator = net.cluster.group_coordinator("g").expect("there is one");
    net.cluster.move_group_coordinator(net.now, "g", coordinator % 3 + 1).expect("it has a replica");
    let refused = net.hear::<JoinGroupRequest>(connection, 3).expect("nobody waits in vain");
    assert_eq!(refused.error_code, ErrorCode::NOT_COORDINATOR);
}

#[test]
fn offsets_are_committed_and_fetched_in_every_version() {
    let mut net = Net::new();
    let connection = net.at_coordinator();
    let topic_id = net.cluster.topics.get("a").expect("it was made").id;
    for version in versions::<OffsetCommitRequest>() {
        let partition = OffsetCommitRequestPartition {
            committed_offset: 7 + i64::from(version),
            committed_leader_epoch: if version >= 6 { 4 } else { -1 },
            ..Default::default()
        };
        let topic = OffsetCommitRequestTopic {
            name: "a".into(),
            topic_id,
            partitions: vec![partition],
            ..Default::default()
        };
        let commit = OffsetCommitRequest { group_id: "g".into(), topics: vec![topic], ..Default::default() };
        let committed = net.ask(connection, version, &commit);
        assert_eq!(committed.topics[0].partitions[0].error_code, ErrorCode::NONE, "version {version}");
    }
    let newest = 7 + i64::from(*versions::<OffsetCommitRequest>().end());
    for version in versions::<OffsetFetchRequest>() {
        for all in [false, true] {
            if version < 8 {
                let topic = OffsetFetchRequestTopic {
                    name: "a".into(),
                    partition_indexes: vec![0, 1],
                    ..Default::default()
                };
                let topics = if all { None } else { Some(vec![topic]) };
                if version < 2 && all {
                    continue;
                }
                let fetch = OffsetFetchRequest { group_id: "g".into(), topics, ..Default::default() };
                let fetched = net.ask(connection, version, &fetch);
                let partitions = &fetched.topics[0].partitions;
                assert_eq!(
                    (fetched.error_code, partitions.len()),
                    (ErrorCode::NONE, if all { 1 } else { 2 })
                );
                assert_eq!(partitions[0].committed_offset, newest);
                assert_eq!(partitions[0].committed_leader_epoch, if version >= 5 { 4 } else { -1 });
            } else {
                let topic = OffsetFetchRequestTopics {
                    name: "a".into(),
                    topic_id,
                    partition_indexes: vec![0, 1],
                    ..Default::default()
                };
                let group = OffsetFetchRequestGroup {
                    group_id: "g".into(),
                    topics: if all { None } else { Some(vec![topic]) },
                    ..Default::default()
                };
                let fetch =
                    OffsetFetchRequest { groups: vec![group], require_stable: true, ..Default::default() };
                let fetched = net.ask(connection, version, &fetch).groups.remove(0);
                assert_eq!(fetched.error_code, ErrorCode::NONE);
                assert_eq!(fetched.topics[0].partitions[0].committed_offset, newest);
            }
        }
    }
    let delete = OffsetDeleteRequest {
        group_id: "g".into(),
        topics: vec![OffsetDeleteRequestTopic { name: "a".into(), ..Default::default() }],
        ..Default::default()
    };
    assert_eq!(net.ask(connection, 0, &delete).error_code, ErrorCode::NONE);
}

#[test]
fn offsets_of_an_unknown_producer_are_refused() {
    let mut net = Net::new();
    let connection = net.at_coordinator();
    let topic = TxnOffsetCommitRequestTopic {
        name: "a".into(),
        partitions: vec![TxnOffsetCommitRequestPartition::default()],
        ..Default::default()
    };
    let commit = TxnOffsetCommitRequest {
        transactional_id: "t".into(),
        group_id: "g".into(),
        producer_id: 1,
        topics: vec![topic],
        ..Default::default()
    };
    for version in versions::<TxnOffsetCommitRequest>() {
        let refused = net.ask(connection, version, &commit);
        assert_eq!(refused.topics[0].partitions[0].error_code, ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    }
}

#[test]
fn a_consumer_group_member_is_served_and_described() {
    for version in versions::<ConsumerGroupHeartbeatRequest>() {
        let mut net = Net::new();
        let connection = net.at_coordinator();
        let enter = ConsumerGroupHeartbeatRequest {
            group_id: "g".into(),
            member_id: "m".into(),
            rebalance_timeout_ms: 10_000,
            subscribed_topic_names: Some(vec!["a".into()]),
            topic_partitions: Some(Vec::new()),
            ..Default::default()
        };
        let entered = net.ask(connection, version, &enter);
        let assigned = entered.assignment.expect("it is alone").topic_partitions.remove(0);
        assert_eq!(assigned.partitions, [0, 1]);
        let describe = ConsumerGroupDescribeRequest {
            group_ids: vec!["g".into(), "none".into()],
            include_authorized_operations: true,
            ..Default::default()
        };
        let described = net.ask(connection, version, &describe).groups;
        assert_eq!((described[0].group_state.as_str(), described[0].members.len()), ("Stable", 1));
        assert!(!described[1].error_code.is_ok());
    }
}

#[test]
fn every_refusal_fits_every_version() {
    fn check<R: Serve>(request: &R) {
        for version in R::API.versions.min..=R::API.versions.max {
            let refused = request.refuse(version, ErrorCode::NOT_COORDINATOR);
            let encoded = encode_response(&refused, version, 1);
            assert!(encoded.is_ok(), "{:?} {version}: {:?}", R::API.key, encoded.err());
        }
    }
    check(&join("m"));
    check(&SyncGroupRequest::default());
    check(&HeartbeatRequest::default());
    check(&LeaveGroupRequest::default());
    check(&DescribeGroupsRequest { groups: vec!["g".into()], ..Default::default() });
    check(&ListGroupsRequest::default());
    check(&DeleteGroupsRequest { groups_names: vec!["g".into()], ..Default::default() });
    let partitions = vec![OffsetCommitRequestPartition::default()];
    let topics = vec![OffsetCommitRequestTopic { partitions, ..Default::default() }];
    check(&OffsetCommitRequest { topics, ..Default::default() });
    let topic = OffsetFetchRequestTopic { partition_indexes: vec![0], ..Default::default() };
    let groups = vec![OffsetFetchRequestGroup::default()];
    check(&OffsetFetchRequest { topics: Some(vec![topic]), groups, ..Default::default() });
    check(&OffsetDeleteRequest::default());
    check(&TxnOffsetCommitRequest {
        topics: vec![TxnOffsetCommitRequestTopic {
            partitions: vec![Default::default()],
            ..Default::default()
        }],
        ..Default::default()
    });
    check(&ConsumerGroupHeartbeatRequest::default());
    check(&ConsumerGroupDescribeRequest { group_ids: vec!["g".into()], ..Default::default() });
}
