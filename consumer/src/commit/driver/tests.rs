//! How a committer treats the connection that it shares with heartbeats, and topics that were created anew, under a paused
//! clock.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use ottla_client::test_support::{Answer, Received, ScriptedDialer, metadata};
use ottla_client::{Client, ClientOptions, TopicsInUse};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use ottla_protocol::messages::metadata::MetadataRequest;
use ottla_protocol::messages::offset_commit::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};

use super::super::request::BY_ID;
use super::*;
use crate::GroupProtocol;
use crate::group::GroupConfig;

/// What every broker says of the cluster.
fn general(request: &Received) -> Option<Answer> {
    if request.decode::<MetadataRequest>().is_some() {
        return Some(request.reply::<MetadataRequest>(&metadata(&[1], &[("a", &[1])])));
    }
    let find = request.decode::<FindCoordinatorRequest>()?;
    let coordinator = Coordinator {
        key: find.coordinator_keys[0].clone(),
        node_id: 1,
        host: "node-1".into(),
        port: 9092,
        ..Default::default()
    };
    let response = FindCoordinatorResponse { coordinators: vec![coordinator], ..Default::default() };
    Some(request.reply::<FindCoordinatorRequest>(&response))
}

/// A coordinator that takes a second for what concerns offsets, and then refuses it for a moment.
fn slow_coordinator() -> ScriptedDialer {
    ScriptedDialer::new(|request| {
        if let Some(answer) = general(request) {
            return answer;
        }
        if request.decode::<OffsetFetchRequest>().is_some() {
            let group = OffsetFetchResponseGroup {
                group_id: "g".into(),
                error_code: ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
                ..Default::default()
            };
            let response = OffsetFetchResponse { groups: vec![group], ..Default::default() };
            return request.reply::<OffsetFetchRequest>(&response).after(Duration::from_secs(1));
        }
        match request.decode::<OffsetCommitRequest>() {
            Some(_) => Answer::Nothing,
            None => Answer::Default,
        }
    })
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
        assignors: Vec::new(),
        client_rack: None,
        retry_backoff: Duration::from_millis(100),
        retry_backoff_max: Duration::from_secs(1),
        request_timeout: Duration::from_secs(30),
        default_api_timeout: Duration::from_secs(60),
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_has_no_more_time_leaves_the_connection_to_the_heartbeats() {
    let dialer = slow_coordinator();
    let options = ClientOptions::new().bootstrap_servers("bootstrap:9092");
    let client = Client::with_dialer(options, Arc::new(dialer.clone())).unwrap();
    let committer = Committer::standalone(client.clone(), &config());
    let partition = TopicPartition::new("a", 0);
    let soon = || now() + Duration::from_millis(300);
    let lane = client.connection(
        client.coordinator(&committer.key(), soon()).await.unwrap(),
        committer.lane.purpose(),
        soon(),
    );
    let lane = lane.await.unwrap();
    let dials = dialer.dials().len();

    let fetched = committer.fetch(std::slice::from_ref(&partition), soon()).await.unwrap_err();
    let offsets = HashMap::from([(partition, OffsetAndMetadata::new(5).into())]);
    let committed = committer.commit(&offsets, soon()).await.unwrap_err();
    assert_eq!((fetched.kind(), committed.kind()), (ErrorKind::Timeout, ErrorKind::Timeout));
    assert!(committed.possibly_written(), "{committed}");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((lane.is_closed(), dialer.dials().len()), (false, dials));
    assert_eq!(client.coordinator(&committer.key(), now()).await.unwrap(), 1, "it is not forgotten");
}

/// A coordinator that has not heard yet of the topic that was created anew, and refuses its id so often. Under the name it
/// still has the former topic's commit, and takes another.
fn lagging_coordinator(refusals: u32) -> ScriptedDialer {
    let left = AtomicU32::new(refusals);
    ScriptedDialer::new(move |request| {
        if let Some(answer) = general(request) {
            return answer;
        }
        let by_id = request.version >= BY_ID;
        let judge = || match by_id && left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
        {
            true => ErrorCode::UNKNOWN_TOPIC_ID,
            false => ErrorCode::NONE,
        };
        if let Some(commit) = request.decode::<OffsetCommitRequest>() {
            // What is asked by name can be told from what is asked by id.
            let error_code = if by_id { judge() } else { ErrorCode::INVALID_COMMIT_OFFSET_SIZE };
            let partition = OffsetCommitResponsePartition { error_code, ..Default::default() };
            let topic = OffsetCommitResponseTopic {
                name: commit.topics[0].name.clone(),
                topic_id: commit.topics[0].topic_id,
                partitions: vec![partition],
                ..Default::default()
            };
            let response = OffsetCommitResponse { topics: vec![topic], ..Default::default() };
            return request.reply::<OffsetCommitRequest>(&response);
        }
        let Some(asked) = request.decode::<OffsetFetchRequest>() else { return Answer::Default };
        let topic = &asked.groups[0].topics.as_ref().unwrap()[0];
        let partition = OffsetFetchResponsePartitions {
            committed_offset: if by_id { -1 } else { 50 },
            error_code: judge(),
            ..Default::default()
        };
        let topics = vec![OffsetFetchResponseTopics {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: vec![partition],
            ..Default::default()
        }];
        let group = OffsetFetchResponseGroup { group_id: "g".into(), topics, ..Default::default() };
        let response = OffsetFetchResponse { groups: vec![group], ..Default::default() };
        request.reply::<OffsetFetchRequest>(&response)
    })
}

fn deadline() -> Instant {
    now() + Duration::from_secs(30)
}

/// Of whoever has topic `a` assigned, so that its id stays known, at a coordinator that refuses that twice.
async fn committer_of_a() -> (Committer, TopicsInUse) {
    let options = ClientOptions::new().bootstrap_servers("bootstrap:9092");
    let client = Client::with_dialer(options, Arc::new(lagging_coordinator(2))).unwrap();
    let in_use = client.topics_in_use();
    in_use.add("a");
    client.topic("a", deadline()).await.unwrap();
    (Committer::standalone(client, &config()), in_use)
}

#[tokio::test(start_paused = true)]
async fn offsets_of_a_topic_that_has_an_id_are_never_committed_under_its_name() {
    let (committer, _in_use) = committer_of_a().await;
    let partition = TopicPartition::new("a", 0);
    let id = committer.client.cluster().topic("a").unwrap().id;
    for topic_id in [None, Some(id)] {
        let offsets = HashMap::from([(partition.clone(), TopicOffset { offset: 5.into(), topic_id })]);
        committer.commit(&offsets, deadline()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_commit_of_a_deleted_topic_is_not_taken_for_one_of_the_topic_that_has_its_name_now() {
    let partition = TopicPartition::new("a", 0);
    let asked = std::slice::from_ref(&partition);
    let (once, _in_use) = committer_of_a().await;
    for _ in 0..2 {
        let refused = once.fetch_once(asked, deadline()).await.unwrap().remove(&partition).unwrap();
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::UNKNOWN_TOPIC_ID), "{refused}");
        assert!(refused.is_retriable(), "{refused}");
    }
    let found = once.fetch_once(asked, deadline()).await.unwrap().remove(&partition).unwrap();
    assert_eq!(found.unwrap(), None);

    let (patient, _in_use) = committer_of_a().await;
    let found = patient.fetch(asked, deadline()).await.unwrap();
    assert_eq!(found, HashMap::from([(partition, None)]));
}
