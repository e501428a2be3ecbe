//! The task and the committer of a member of the consumer protocol against a scripted coordinator, under a paused clock.

#![allow(clippy::disallowed_methods, reason = "tests read the paused clock")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ottla_client::test_support::{Answer, Received, ScriptedDialer, metadata};
use ottla_client::{Client, ClientOptions, ErrorKind, TopicPartition};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::{
    Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use ottla_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use ottla_protocol::messages::metadata::MetadataRequest;
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
};
use ottla_protocol::uuid::Uuid;
use tokio::time::Instant as Clock;

use crate::commit::{OffsetAndMetadata, TopicOffset};
use crate::group::classic::test_config;
use crate::group::{Group, GroupConfig, GroupEvent, Interest};
use crate::options::GroupProtocol;

/// A group of one member, whose epoch is the coordinator's to raise.
struct Broker {
    epoch: i32,
    /// Refuses the next heartbeats.
    refusal: Option<ErrorCode>,
    /// Epochs of heartbeats, commits and fetches, by their first letter.
    log: Vec<(char, i32)>,
}

fn topic_a() -> Uuid {
    let mut id = [0xff; 16];
    id[0] = b'a';
    Uuid(id)
}

impl Broker {
    fn start() -> Arc<Mutex<Broker>> {
        Arc::new(Mutex::new(Broker { epoch: 1, refusal: None, log: Vec::new() }))
    }

    fn answer(&mut self, request: &Received) -> Answer {
        if request.decode::<MetadataRequest>().is_some() {
            return request.reply::<MetadataRequest>(&metadata(&[1], &[("a", &[1, 1])]));
        }
        if request.decode::<FindCoordinatorRequest>().is_some() {
            let coordinator = Coordinator {
                key: "g".into(),
                node_id: 1,
                host: "node-1".into(),
                port: 9092,
                ..Default::default()
            };
            let response = FindCoordinatorResponse { coordinators: vec![coordinator], ..Default::default() };
            return request.reply::<FindCoordinatorRequest>(&response);
        }
        if let Some(heartbeat) = request.decode::<ConsumerGroupHeartbeatRequest>() {
            self.log.push(('h', heartbeat.member_epoch));
            return request.reply::<ConsumerGroupHeartbeatRequest>(&self.heartbeat(&heartbeat));
        }
        if let Some(commit) = request.decode::<OffsetCommitRequest>() {
            let epoch = commit.generation_id_or_member_epoch;
            self.log.push(('c', epoch));
            return request.reply::<OffsetCommitRequest>(&committed(&commit, self.judge(epoch)));
        }
        if let Some(fetch) = request.decode::<OffsetFetchRequest>() {
            let epoch = fetch.groups[0].member_epoch;
            self.log.push(('f', epoch));
            let code = if epoch == -1 { ErrorCode::NONE } else { self.judge(epoch) };
            return request.reply::<OffsetFetchRequest>(&fetched(&fetch, code));
        }
        Answer::Default
    }

    fn judge(&self, epoch: i32) -> ErrorCode {
        match self.refusal {
            Some(code) => code,
            None if epoch == self.epoch => ErrorCode::NONE,
            None => ErrorCode::STALE_MEMBER_EPOCH,
        }
    }

    fn heartbeat(&self, request: &ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
        if let Some(error_code) = self.refusal {
            return ConsumerGroupHeartbeatResponse { error_code, ..Default::default() };
        }
        let all = TopicPartitions { topic_id: topic_a(), partitions: vec![0, 1], ..Default::default() };
        let assignment = Assignment { topic_partitions: vec![all], ..Default::default() };
        ConsumerGroupHeartbeatResponse {
            member_epoch: if request.member_epoch < 0 { request.member_epoch } else { self.epoch },
            heartbeat_interval_ms: 5_000,
            assignment: (request.member_epoch == 0).then_some(assignment),
            ..Default::default()
        }
    }
}

fn committed(request: &OffsetCommitRequest, error_code: ErrorCode) -> OffsetCommitResponse {
    let row = |index: i32| OffsetCommitResponsePartition {
        partition_index: index,
        error_code,
        ..Default::default()
    };
    let topics = request.topics.iter().map(|topic| OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(|partition| row(partition.partition_index)).collect(),
        ..Default::default()
    });
    OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}

fn fetched(request: &OffsetFetchRequest, error_code: ErrorCode) -> OffsetFetchResponse {
    let row = |&partition_index: &i32| OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: 5,
        ..Default::default()
    };
    let groups = request.groups.iter().map(|group| OffsetFetchResponseGroup {
        group_id: group.group_id.clone(),
        error_code,
        topics: group
            .topics
            .iter()
            .flatten()
            .filter(|_| error_code.is_ok())
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

/// A member that has both partitions.
async fn member(broker: &Arc<Mutex<Broker>>) -> Group {
    let scripted = Arc::clone(broker);
    let dialer = ScriptedDialer::new(move |request| scripted.lock().unwrap().answer(request));
    let options = ClientOptions::new().bootstrap_servers("bootstrap:9092");
    let client = Client::with_dialer(options, Arc::new(dialer)).unwrap();
    let config = GroupConfig { group_protocol: GroupProtocol::Consumer, ..test_config() };
    let mut group = Group::start(client, config, Interest::Topics(vec!["a".into()])).unwrap();
    match group.event().await {
        GroupEvent::Assigned { id, all, .. } => {
            assert_eq!(all, [TopicPartition::new("a", 0), TopicPartition::new("a", 1)]);
            group.acknowledge(id);
        }
        other => panic!("{other:?}"),
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    broker.lock().unwrap().log.clear();
    group
}

fn offsets() -> HashMap<TopicPartition, TopicOffset> {
    HashMap::from([(TopicPartition::new("a", 0), OffsetAndMetadata::new(7).into())])
}

fn in_a_minute() -> Instant {
    Clock::now().into_std() + Duration::from_secs(60)
}

fn log(broker: &Mutex<Broker>) -> Vec<(char, i32)> {
    std::mem::take(&mut broker.lock().unwrap().log)
}

#[tokio::test(start_paused = true)]
async fn a_commit_with_an_epoch_that_is_over_is_tried_again_with_the_next() {
    let broker = Broker::start();
    let group = member(&broker).await;
    broker.lock().unwrap().epoch = 2;
    group.committer().commit(&offsets(), in_a_minute()).await.unwrap();
    // The heartbeat that brings the epoch is not waited for until it is due.
    assert_eq!(log(&broker), [('c', 1), ('h', 1), ('c', 2)]);
    assert_eq!(group.membership().generation_id, 2);
}

#[tokio::test(start_paused = true)]
async fn a_commit_of_a_member_that_was_removed_fails_and_makes_it_join_anew() {
    // A group that was deleted has no members either.
    for code in [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::GROUP_ID_NOT_FOUND] {
        let broker = Broker::start();
        let mut group = member(&broker).await;
        broker.lock().unwrap().refusal = Some(code);
        let error = group.committer().commit(&offsets(), in_a_minute()).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::GroupLost, Some(code)));
        let event = group.event().await;
        broker.lock().unwrap().refusal = None;
        assert!(matches!(event, GroupEvent::Lost { .. }), "{event:?}");
        group.acknowledge(event.id());
        assert!(matches!(group.event().await, GroupEvent::Assigned { .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_of_offsets_names_the_member_and_follows_its_epoch() {
    let broker = Broker::start();
    let group = member(&broker).await;
    broker.lock().unwrap().epoch = 3;
    let wanted = [TopicPartition::new("a", 1)];
    let found = group.committer().fetch(&wanted, in_a_minute()).await.unwrap();
    assert_eq!(found[&wanted[0]], Some(5.into()));
    assert_eq!(log(&broker), [('f', 1), ('h', 1), ('f', 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_removed_reads_offsets_from_outside() {
    let cases = [
        (ErrorCode::UNKNOWN_MEMBER_ID, vec![('f', 1), ('f', -1)]),
        (ErrorCode::GROUP_ID_NOT_FOUND, vec![('f', 1), ('h', 1), ('f', -1)]),
    ];
    for (code, expected) in cases {
        let broker = Broker::start();
        let group = member(&broker).await;
        broker.lock().unwrap().refusal = Some(code);
        let wanted = [TopicPartition::new("a", 1)];
        let found = group.committer().fetch(&wanted, in_a_minute()).await.unwrap();
        assert_eq!(found[&wanted[0]], Some(5.into()));
        assert_eq!(log(&broker), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_leaves_when_it_is_told_to_and_when_it_is_dropped() {
    let broker = Broker::start();
    let group = member(&broker).await;
    group.leave(in_a_minute()).await.unwrap();
    assert_eq!(log(&broker), [('h', -1)]);
    drop(member(&broker).await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(log(&broker), [('h', -1)]);
}
