//! The task and the committer against a scripted coordinator, under a paused clock.

#![allow(clippy::disallowed_methods, reason = "tests read the paused clock and start tasks")]

mod consumer;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use ottla_client::test_support::{Answer, Received, ScriptedDialer, metadata, topic_error};
use ottla_client::{Client, ClientOptions, ErrorKind, NodeId, TopicPartition};
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::fetch::FetchRequest;
use ottla_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use ottla_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use ottla_protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};
use ottla_protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use ottla_protocol::messages::metadata::MetadataRequest;
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
};
use ottla_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use tokio::time::Instant as Clock;

use super::{Group, GroupConfig, GroupEvent, Interest};
use crate::assignor::{
    Assignments, Assignor, CooperativeStickyAssignor, GroupMember, GroupTopics, RangeAssignor,
    RebalanceProtocol,
};
use crate::commit::{Committer, OffsetAndMetadata, TopicOffset};
use crate::{Consumer, ConsumerOptions, GroupProtocol, RebalanceCallbacks};

/// A group of one member at one of two nodes.
struct Broker {
    coordinator: NodeId,
    generation: i32,
    /// Of topic `a`; without any it does not exist.
    partitions: usize,
    /// Whether each node refuses what it does not coordinate.
    join_takes: Duration,
    commit_takes: Duration,
    heartbeat: ErrorCode,
    /// So many heartbeats are not answered.
    silent_heartbeats: usize,
    /// Of every partition. Node 1 is in rack `r1`, node 2 in `r2`.
    replicas: Vec<NodeId>,
    /// Answers to the next commits; then all is well.
    commits: Vec<ErrorCode>,
    /// What came: the API, and who for whom.
    log: Vec<(ApiKey, String)>,
}

impl Broker {
    fn start() -> Arc<Mutex<Broker>> {
        Arc::new(Mutex::new(Broker {
            coordinator: 1,
            generation: 0,
            partitions: 2,
            join_takes: Duration::ZERO,
            commit_takes: Duration::ZERO,
            heartbeat: ErrorCode::NONE,
            silent_heartbeats: 0,
            replicas: vec![1],
            commits: Vec::new(),
            log: Vec::new(),
        }))
    }

    fn answer(&mut self, request: &Received) -> Answer {
        if request.decode::<MetadataRequest>().is_some() {
            let leaders = vec![1; self.partitions];
            let mut response = metadata(&[1, 2], &[("a", &leaders)]);
            response.brokers.iter_mut().for_each(|broker| broker.rack = Some(format!("r{}", broker.node_id)));
            let partitions = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
            partitions.for_each(|partition| partition.replica_nodes = self.replicas[..].into());
            if self.partitions == 0 {
                response.topics = vec![topic_error("a", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)];
            }
            return request.reply::<MetadataRequest>(&response);
        }
        if let Some(fetch) = request.decode::<OffsetFetchRequest>() {
            return request.reply::<OffsetFetchRequest>(&committed_at(5, &fetch));
        }
        if request.decode::<FetchRequest>().is_some() {
            return Answer::Nothing;
        }
        if request.decode::<FindCoordinatorRequest>().is_some() {
            let coordinator = Coordinator {
                key: "g".into(),
                node_id: self.coordinator,
                host: format!("node-{}", self.coordinator),
                port: 9092,
                ..Default::default()
            };
            let response = FindCoordinatorResponse { coordinators: vec![coordinator], ..Default::default() };
            return request.reply::<FindCoordinatorRequest>(&response);
        }
        let elsewhere = request.node != Some(self.coordinator);
        if let Some(join) = request.decode::<JoinGroupRequest>() {
            self.note(request, &join.member_id);
            return self.join(request, &join);
        }
        if let Some(sync) = request.decode::<SyncGroupRequest>() {
            self.note(request, &sync.member_id);
            let own = sync.assignments.into_iter().find(|entry| entry.member_id == sync.member_id);
            let assignment = own.map(|entry| entry.assignment).unwrap_or_default();
            return request
                .reply::<SyncGroupRequest>(&SyncGroupResponse { assignment, ..Default::default() });
        }
        if let Some(heartbeat) = request.decode::<HeartbeatRequest>() {
            self.note(request, &format!("{} {}", heartbeat.member_id, heartbeat.generation_id));
            if self.silent_heartbeats > 0 {
                self.silent_heartbeats -= 1;
                return Answer::Nothing;
            }
            let error_code = if elsewhere { ErrorCode::NOT_COORDINATOR } else { self.heartbeat };
            return request
                .reply::<HeartbeatRequest>(&HeartbeatResponse { error_code, ..Default::default() });
        }
        if let Some(leave) = request.decode::<LeaveGroupRequest>() {
            self.note(request, &leave.members[0].member_id);
            return request.reply::<LeaveGroupRequest>(&LeaveGroupResponse::default());
        }
        if let Some(commit) = request.decode::<OffsetCommitRequest>() {
            self.note(request, &format!("{} {}", commit.member_id, commit.generation_id_or_member_epoch));
            let code = if self.commits.is_empty() { ErrorCode::NONE } else { self.commits.remove(0) };
            let code = if elsewhere { ErrorCode::NOT_COORDINATOR } else { code };
            let answer = request.reply::<OffsetCommitRequest>(&committed(&commit, code));
            return answer.after(self.commit_takes);
        }
        Answer::Default
    }

    fn note(&mut self, request: &Received, what: &str) {
        self.log.push((request.api_key, what.trim().to_owned()));
    }

    fn join(&mut self, request: &Received, join: &JoinGroupRequest) -> Answer {
        if join.member_id.is_empty() {
            let response = JoinGroupResponse {
                error_code: ErrorCode::MEMBER_ID_REQUIRED,
                member_id: format!("m{}", self.generation),
                ..Default::default()
            };
            return request.reply::<JoinGroupRequest>(&response);
        }
        self.generation += 1;
        self.heartbeat = ErrorCode::NONE;
        let member = JoinGroupResponseMember {
            member_id: join.member_id.clone(),
            metadata: join.protocols[0].metadata.clone(),
            ..Default::default()
        };
        let response = JoinGroupResponse {
            generation_id: self.generation,
            protocol_type: Some("consumer".into()),
            protocol_name: Some(join.protocols[0].name.clone()),
            leader: join.member_id.clone(),
            member_id: join.member_id.clone(),
            members: vec![member],
            ..Default::default()
        };
        request.reply::<JoinGroupRequest>(&response).after(self.join_takes)
    }
}

/// Every partition that is asked about is committed at `offset`.
fn committed_at(offset: i64, request: &OffsetFetchRequest) -> OffsetFetchResponse {
    let row = |&partition_index: &i32| OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: offset,
        ..Default::default()
    };
    let groups = request.groups.iter().map(|group| OffsetFetchResponseGroup {
        group_id: group.group_id.clone(),
        topics: group
            .topics
            .iter()
            .flatten()
            .map(|topic| OffsetFetchResponseTopics {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partitions: topic.partition_indexes.iter().map(row).collect(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    OffsetFetchResponse { groups: groups.collect(), ..Default::default() }
}

fn committed(request: &OffsetCommitRequest, error_code: ErrorCode) -> OffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}

fn client(broker: &Arc<Mutex<Broker>>) -> Client {
    let broker = Arc::clone(broker);
    let dialer = ScriptedDialer::new(move |request| broker.lock().unwrap().answer(request));
    let options =
        ClientOptions::new().bootstrap_servers("bootstrap:9092").metadata_max_age(Duration::from_secs(60));
    Client::with_dialer(options, Arc::new(dialer)).unwrap()
}

fn config() -> GroupConfig {
    GroupConfig {
        group_id: "g".into(),
        group_protocol: GroupProtocol::Classic,
        remote_assignor: None,
        exclude_internal_topics: true,
        group_instance_id: None,
        session_timeout: Duration::from_secs(45),
        heartbeat_interval: Duration::from_secs(3),
        max_poll_interval: Duration::from_secs(300),
        assignors: vec![Arc::new(RangeAssignor)],
        client_rack: None,
        retry_backoff: Duration::from_millis(100),
        retry_backoff_max: Duration::from_secs(1),
        request_timeout: Duration::from_secs(30),
        default_api_timeout: Duration::from_secs(60),
    }
}

fn start(client: &Client, config: GroupConfig) -> Group {
    Group::start(client.clone(), config, Interest::Topics(vec!["a".into()])).unwrap()
}

fn now() -> Instant {
    Clock::now().into_std()
}

async fn pause(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn partitions(range: std::ops::Range<i32>) -> Vec<TopicPartition> {
    range.map(|index| TopicPartition::new("a", index)).collect()
}

/// Acknowledges the next event, which must be an assignment.
async fn assigned(group: &mut Group) -> (Vec<TopicPartition>, Vec<TopicPartition>) {
    match group.event().await {
        GroupEvent::Assigned { id, added, all } => {
            group.acknowledge(id);
            (added, all)
        }
        other => panic!("{other:?}"),
    }
}

fn take_log(broker: &Mutex<Broker>) -> Vec<(ApiKey, String)> {
    std::mem::take(&mut broker.lock().unwrap().log)
}

fn count(broker: &Mutex<Broker>, api: ApiKey) -> usize {
    broker.lock().unwrap().log.iter().filter(|(key, _)| *key == api).count()
}

#[tokio::test(start_paused = true)]
async fn a_lone_member_leads_and_gets_everything_then_leaves() {
    let broker = Broker::start();
    let mut group = start(&client(&broker), config());
    assert_eq!(assigned(&mut group).await, (partitions(0..2), partitions(0..2)));
    assert_eq!(group.membership().generation_id, 1);
    assert!(group.try_event().is_none());
    group.leave(now() + Duration::from_secs(5)).await.unwrap();
    let log: Vec<_> = take_log(&broker);
    let entry = |api: ApiKey, what: &str| (api, what.to_owned());
    let expected = [
        entry(ApiKey::JOIN_GROUP, ""),
        entry(ApiKey::JOIN_GROUP, "m0"),
        entry(ApiKey::SYNC_GROUP, "m0"),
        entry(ApiKey::LEAVE_GROUP, "m0"),
    ];
    assert_eq!(log, expected);
}

#[tokio::test(start_paused = true)]
async fn an_event_comes_again_until_it_is_acknowledged() {
    let broker = Broker::start();
    let mut group = start(&client(&broker), config());
    let first = group.event().await;
    assert_eq!(group.event().await.id(), first.id());
    assert_eq!(group.try_event().map(|event| event.id()), Some(first.id()));
    group.acknowledge(first.id());
    assert!(group.try_event().is_none());
}

#[tokio::test(start_paused = true)]
async fn heartbeats_go_on_until_the_application_has_not_polled_for_too_long() {
    let broker = Broker::start();
    let mut group = start(&client(&broker), config());
    assigned(&mut group).await;
    pause(297).await;
    assert!((97..=99).contains(&count(&broker, ApiKey::HEARTBEAT)), "{}", count(&broker, ApiKey::HEARTBEAT));
    assert_eq!(count(&broker, ApiKey::LEAVE_GROUP), 0);
    pause(10).await;
    assert_eq!(count(&broker, ApiKey::LEAVE_GROUP), 1);
    assert!(!group.membership().is_member());
    take_log(&broker);
    pause(600).await;
    assert_eq!(take_log(&broker), []);

    group.polled(now());
    let lost = group.event().await;
    assert!(
        matches!(&lost, GroupEvent::Lost { partitions: lost, .. } if *lost == partitions(0..2)),
        "{lost:?}"
    );
    group.acknowledge(lost.id());
    assert_eq!(assigned(&mut group).await, (partitions(0..2), partitions(0..2)));
}

#[tokio::test(start_paused = true)]
async fn a_joingroup_may_take_longer_than_a_request() {
    let broker = Broker::start();
    broker.lock().unwrap().join_takes = Duration::from_secs(200);
    let mut group = start(&client(&broker), config());
    let started = now();
    assigned(&mut group).await;
    assert!(now() - started >= Duration::from_secs(200));
    assert_eq!(count(&broker, ApiKey::JOIN_GROUP), 2);
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_moves_while_it_holds_a_joingroup_is_followed_at_once() {
    let broker = Broker::start();
    broker.lock().unwrap().join_takes = Duration::from_secs(200);
    let mut group = start(&client(&broker), config());
    pause(10).await;
    {
        let mut broker = broker.lock().unwrap();
        (broker.coordinator, broker.join_takes) = (2, Duration::ZERO);
    }
    let moved = now();
    assert_eq!(assigned(&mut group).await.1, partitions(0..2));
    assert!(now() - moved < Duration::from_secs(5), "{:?}", now() - moved);
    let joins = take_log(&broker).into_iter().filter(|(api, _)| *api == ApiKey::JOIN_GROUP);
    let ids: Vec<_> = joins.map(|(_, id)| id).collect();
    assert_eq!(ids, ["", "m0", "m0"]);
    let before = group.membership();
    pause(250).await;
    assert!(group.try_event().is_none());
    assert_eq!(group.membership(), before, "the late answer changes nothing");
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_is_lost_is_followed_by_another_within_a_short_session() {
    let broker = Broker::start();
    let session_timeout = Duration::from_secs(10);
    let mut group = start(&client(&broker), GroupConfig { session_timeout, ..config() });
    assigned(&mut group).await;
    let before = group.membership();
    broker.lock().unwrap().silent_heartbeats = 1;
    tokio::time::sleep(Duration::from_millis(9_800)).await;
    assert_eq!(count(&broker, ApiKey::HEARTBEAT), 2);
    pause(30).await;
    assert_eq!(group.membership(), before);
    assert!(group.try_event().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_moves_is_followed_without_a_rebalance() {
    let broker = Broker::start();
    let mut group = start(&client(&broker), config());
    assigned(&mut group).await;
    for node in [2, 1, 2] {
        broker.lock().unwrap().coordinator = node;
        pause(30).await;
    }
    let log = take_log(&broker);
    assert_eq!(log.iter().filter(|(api, _)| *api == ApiKey::JOIN_GROUP).count(), 2);
    let beats: Vec<_> = log.iter().filter(|(api, _)| *api == ApiKey::HEARTBEAT).collect();
    assert!(beats.len() >= 30 && beats.iter().all(|(_, who)| who == "m0 1"), "{beats:?}");
    assert!(group.try_event().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_leader_rebalances_when_a_topic_gets_partitions() {
    let broker = Broker::start();
    let mut group = start(
        &client(&broker),
        GroupConfig { assignors: vec![Arc::new(CooperativeStickyAssignor)], ..config() },
    );
    assert_eq!(assigned(&mut group).await.1, partitions(0..2));
    broker.lock().unwrap().partitions = 3;
    assert_eq!(assigned(&mut group).await, (partitions(2..3), partitions(0..3)));
    pause(200).await;
    assert!(group.try_event().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_leader_with_a_rack_rebalances_when_replicas_move_to_other_racks() {
    for (rack, joins) in [(Some("r1".to_owned()), 3), (None, 2)] {
        let broker = Broker::start();
        let mut group = start(&client(&broker), GroupConfig { client_rack: rack, ..config() });
        assigned(&mut group).await;
        pause(200).await;
        assert_eq!(count(&broker, ApiKey::JOIN_GROUP), 2);
        broker.lock().unwrap().replicas = vec![2];
        for _ in 0..200 {
            if let Some(event) = group.try_event() {
                group.acknowledge(event.id());
            }
            pause(1).await;
        }
        assert_eq!(count(&broker, ApiKey::JOIN_GROUP), joins);
    }
}

/// Cooperative by name, but hands everything from one member to the other.
#[derive(Debug)]
struct Swapping;

impl Assignor for Swapping {
    fn name(&self) -> &str {
        "swapping"
    }

    fn protocol(&self) -> RebalanceProtocol {
        RebalanceProtocol::Cooperative
    }

    fn assign(&self, _: &GroupTopics, members: &[GroupMember]) -> Assignments {
        let empty = members.iter().map(|member| (member.member_id.clone(), Vec::new()));
        let first = (members[0].member_id.clone(), partitions(0..2));
        let other = ("another".to_owned(), partitions(0..2));
        let had = !members[0].owned_partitions.is_empty();
        empty.chain([if had { other } else { first }]).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn an_assignment_that_gives_away_what_a_member_still_has_fails_the_leader() {
    let broker = Broker::start();
    let mut group = start(&client(&broker), GroupConfig { assignors: vec![Arc::new(Swapping)], ..config() });
    assert_eq!(assigned(&mut group).await.1, partitions(0..2));
    broker.lock().unwrap().heartbeat = ErrorCode::REBALANCE_IN_PROGRESS;
    match group.event().await {
        GroupEvent::Lost { id, .. } => group.acknowledge(id),
        other => panic!("{other:?}"),
    }
    match group.event().await {
        GroupEvent::Failed { error, lasting: true, .. } => {
            assert_eq!(error.kind(), ErrorKind::InvalidState);
            let text = error.to_string();
            assert!(text.contains("`swapping`") && text.contains("gives a-0 to another while m0"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    pause(1).await;
    assert_eq!(count(&broker, ApiKey::LEAVE_GROUP), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_member_leaves() {
    let broker = Broker::start();
    let mut group = start(&client(&broker), config());
    assigned(&mut group).await;
    drop(group);
    pause(1).await;
    assert_eq!(count(&broker, ApiKey::LEAVE_GROUP), 1);
    take_log(&broker);
    pause(100).await;
    assert_eq!(take_log(&broker), []);
}

fn offsets(offset: i64) -> HashMap<TopicPartition, TopicOffset> {
    HashMap::from([(TopicPartition::new("a", 0), OffsetAndMetadata::new(offset).into())])
}

fn commits(broker: &Mutex<Broker>) -> Vec<String> {
    let log = take_log(broker).into_iter().filter(|(api, _)| *api == ApiKey::OFFSET_COMMIT);
    log.map(|(_, who)| who).collect()
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_tried_again_over_coordinator_moves_and_short_rebalances() {
    let broker = Broker::start();
    let mut group = start(&client(&broker), config());
    assigned(&mut group).await;
    broker.lock().unwrap().coordinator = 2;
    broker.lock().unwrap().commits =
        vec![ErrorCode::NONE, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, ErrorCode::REBALANCE_IN_PROGRESS];
    group.committer().commit(&offsets(5), now() + Duration::from_secs(10)).await.unwrap();
    assert_eq!(commits(&broker), ["m0 1"; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_commit_of_a_member_that_is_out_is_refused_without_asking() {
    let broker = Broker::start();
    let mut group = start(&client(&broker), config());
    assigned(&mut group).await;
    let committer = group.committer();
    broker.lock().unwrap().commits = vec![ErrorCode::UNKNOWN_MEMBER_ID];
    let error = committer.commit(&offsets(5), now() + Duration::from_secs(10)).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::GroupLost, Some(ErrorCode::UNKNOWN_MEMBER_ID)));
    assert!(matches!(group.event().await, GroupEvent::Lost { .. }));
    assert_eq!(commits(&broker), ["m0 1"]);
    let error = committer.commit(&offsets(5), now() + Duration::from_secs(10)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::GroupLost);
    assert_eq!(commits(&broker), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn commits_go_out_in_the_order_of_the_calls_even_if_a_later_one_is_awaited_first() {
    let broker = Broker::start();
    let committer = Committer::standalone(client(&broker), &config());
    let order = Arc::new(Mutex::new(Vec::new()));
    let commit = |offset: i64| {
        let (commit, order) =
            (committer.commit(&offsets(offset), now() + Duration::from_secs(10)), Arc::clone(&order));
        async move {
            commit.await.unwrap();
            order.lock().unwrap().push(offset);
        }
    };
    let (first, second, third) = (commit(1), commit(2), commit(3));
    drop(second);
    let third = tokio::spawn(third);
    tokio::task::yield_now().await;
    tokio::join!(first, async { third.await.unwrap() });
    assert_eq!(*order.lock().unwrap(), [1, 3]);
    assert_eq!(commits(&broker), ["-1", "-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_outlasts_its_deadline_says_what_stood_in_the_way() {
    let broker = Broker::start();
    broker.lock().unwrap().commits = vec![ErrorCode::COORDINATOR_LOAD_IN_PROGRESS; 100];
    let committer = Committer::standalone(client(&broker), &config());
    let started = now();
    let error = committer.commit(&offsets(5), started + Duration::from_secs(4)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Timeout, Some(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS))
    );
    assert!(now() - started <= Duration::from_secs(4) && error.tries() > 4, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_time_to_leave_is_over_says_so_and_leaves_nevertheless() {
    let broker = Broker::start();
    let mut group = start(&client(&broker), config());
    assigned(&mut group).await;
    assert_eq!(group.leave(now()).await.unwrap_err().kind(), ErrorKind::Timeout);
    pause(1).await;
    assert_eq!(count(&broker, ApiKey::LEAVE_GROUP), 1);
}

#[tokio::test(start_paused = true)]
async fn a_commit_for_a_topic_that_is_gone_ends_when_metadata_says_so_too() {
    let broker = Broker::start();
    let mut group = start(&client(&broker), config());
    assigned(&mut group).await;
    broker.lock().unwrap().partitions = 0;
    broker.lock().unwrap().commits = vec![ErrorCode::UNKNOWN_TOPIC_OR_PARTITION; 1000];
    let started = now();
    let error = group.committer().commit(&offsets(5), started + Duration::from_secs(60)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTopic, "{error}");
    assert!(now() - started < Duration::from_secs(5), "{error} after {:?}", now() - started);
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_commits_that_wait_for_their_turn_or_another_try() {
    let broker = Broker::start();
    let options = ConsumerOptions::new().group_id("g").enable_auto_commit(false);
    let mut consumer = consumer_with(&broker, options, RebalanceCallbacks::new()).await;
    consumer.position(&partitions(0..1)[0]).await.unwrap();
    broker.lock().unwrap().commit_takes = Duration::from_millis(200);
    broker.lock().unwrap().commits = vec![ErrorCode::COORDINATOR_LOAD_IN_PROGRESS];
    let first = consumer.commit_in_background().unwrap();
    let second = consumer.commit_in_background().unwrap();
    take_log(&broker);
    consumer.close(Duration::from_secs(10)).await.unwrap();
    first.await.unwrap();
    second.await.unwrap();
    let log: Vec<_> = take_log(&broker).into_iter().map(|(api, _)| api).collect();
    let commit = ApiKey::OFFSET_COMMIT;
    assert_eq!(log, [commit, commit, commit, ApiKey::LEAVE_GROUP]);
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_commits_no_longer_than_it_may() {
    let broker = Broker::start();
    let options = ConsumerOptions::new().group_id("g").enable_auto_commit(false);
    let mut consumer = consumer_with(&broker, options, RebalanceCallbacks::new()).await;
    consumer.position(&partitions(0..1)[0]).await.unwrap();
    broker.lock().unwrap().commit_takes = Duration::from_secs(20);
    let commit = consumer.commit_in_background().unwrap();
    let started = now();
    let error = consumer.close(Duration::from_secs(2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(now() - started <= Duration::from_millis(2_200), "{:?}", now() - started);
    drop(commit);
}

/// A consumer that has all partitions.
async fn consumer(broker: &Arc<Mutex<Broker>>, listener: RebalanceCallbacks) -> Consumer {
    consumer_with(broker, ConsumerOptions::new().group_id("g"), listener).await
}

async fn consumer_with(
    broker: &Arc<Mutex<Broker>>,
    options: ConsumerOptions,
    listener: RebalanceCallbacks,
) -> Consumer {
    let mut consumer = Consumer::new(client(broker), options).unwrap();
    consumer.subscribe_with(["a"], listener).unwrap();
    while consumer.assignment().is_empty() {
        consumer.poll(Duration::from_millis(10)).await.unwrap();
    }
    consumer
}

#[tokio::test(start_paused = true)]
async fn an_application_that_waits_for_the_next_record_is_not_taken_for_stuck() {
    let broker = Broker::start();
    let mut consumer = consumer(&broker, RebalanceCallbacks::new()).await;
    let wait = Duration::from_secs(1000);
    assert!(tokio::time::timeout(wait, consumer.next()).await.is_err());
    assert!(consumer.poll(wait).await.unwrap().is_empty());
    assert_eq!((count(&broker, ApiKey::LEAVE_GROUP), count(&broker, ApiKey::JOIN_GROUP)), (0, 2));
    assert_eq!(consumer.assignment(), partitions(0..2));
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_is_closed_after_it_lost_its_place_has_lost_its_partitions_and_commits_nothing() {
    let broker = Broker::start();
    let told = Arc::new(Mutex::new(Vec::new()));
    let (of_revoked, of_lost) = (Arc::clone(&told), Arc::clone(&told));
    let listener = RebalanceCallbacks::new()
        .on_revoked(move |partitions| of_revoked.lock().unwrap().push(("revoked", partitions.to_vec())))
        .on_lost(move |partitions| of_lost.lock().unwrap().push(("lost", partitions.to_vec())));
    let mut consumer = consumer(&broker, listener).await;
    consumer.position(&partitions(0..1)[0]).await.unwrap();
    pause(400).await;
    consumer.close(Duration::from_secs(5)).await.unwrap();
    assert_eq!(*told.lock().unwrap(), [("lost", partitions(0..2))]);
    assert_eq!(commits(&broker), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_after_an_error_that_every_poll_would_return() {
    let broker = Broker::start();
    let mut consumer = consumer(&broker, RebalanceCallbacks::new()).await;
    broker.lock().unwrap().heartbeat = ErrorCode::GROUP_AUTHORIZATION_FAILED;
    let mut stream = consumer.stream();
    assert_eq!(stream.next().await.unwrap().unwrap_err().kind(), ErrorKind::Authorization);
    assert!(stream.next().await.is_none());
    drop(stream);
    assert_eq!(consumer.poll(Duration::ZERO).await.unwrap_err().kind(), ErrorKind::Authorization);
    consumer.unsubscribe().await.unwrap();
}
