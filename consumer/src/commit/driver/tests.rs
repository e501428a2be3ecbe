//! How a committer treats the connection that it shares with heartbeats, under a paused clock.

use ottla_client::test_support::{Answer, ScriptedDialer, metadata};
use ottla_client::{Client, ClientOptions};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use ottla_protocol::messages::metadata::MetadataRequest;
use ottla_protocol::messages::offset_fetch::{OffsetFetchResponse, OffsetFetchResponseGroup};

use super::*;
use crate::GroupProtocol;
use crate::group::GroupConfig;

/// A coordinator that takes a second for what concerns offsets, and then refuses it for a moment.
fn slow_coordinator() -> ScriptedDialer {
    ScriptedDialer::new(|request| {
        if request.decode::<MetadataRequest>().is_some() {
            return request.reply::<MetadataRequest>(&metadata(&[1], &[("a", &[1])]));
        }
        if let Some(find) = request.decode::<FindCoordinatorRequest>() {
            let coordinator = Coordinator {
                key: find.coordinator_keys[0].clone(),
                node_id: 1,
                host: "node-1".into(),
                port: 9092,
                ..Default::default()
            };
            let response = FindCoordinatorResponse { coordinators: vec![coordinator], ..Default::default() };
            return request.reply::<FindCoordinatorRequest>(&response);
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

#[tokio::test(start_paused = true)]
async fn whoever_has_no_more_time_leaves_the_connection_to_the_heartbeats() {
    let dialer = slow_coordinator();
    let options = ClientOptions::new().bootstrap_servers("bootstrap:9092");
    let client = Client::with_dialer(options, Arc::new(dialer.clone())).unwrap();
    let config = GroupConfig {
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
    };
    let committer = Committer::standalone(client.clone(), &config);
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
    let offsets = HashMap::from([(partition, 5.into())]);
    let committed = committer.commit(&offsets, HashMap::new(), soon()).await.unwrap_err();
    assert_eq!((fetched.kind(), committed.kind()), (ErrorKind::Timeout, ErrorKind::Timeout));
    assert!(committed.possibly_written(), "{committed}");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((lane.is_closed(), dialer.dials().len()), (false, dials));
    assert_eq!(client.coordinator(&committer.key(), now()).await.unwrap(), 1, "it is not forgotten");
}
