//! Metadata, routing and coordinators against scripted brokers.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use ottla_protocol::uuid::Uuid;

use super::*;
use crate::error::ErrorKind;
use crate::metadata::Leader;
use crate::options::MetadataRecovery;
use crate::test_support::{Answer, Dialled, Received, ScriptedDialer, metadata, topic_error};
use crate::topic_partition::TopicPartition;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn within(seconds: u64) -> Instant {
    runtime::now() + Duration::from_secs(seconds)
}

fn options() -> ClientOptions {
    ClientOptions::new().bootstrap_servers("boot:9092")
}

fn client(options: ClientOptions, dialer: &ScriptedDialer) -> Client {
    Client::with_dialer(options, Arc::new(dialer.clone())).unwrap()
}

/// Requests that a script saw.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Vec<String>>>>);

impl Log {
    /// The topics asked about, if the request is a Metadata request.
    fn topics(&self, request: &Received) -> Option<Vec<String>> {
        let request = request.decode::<MetadataRequest>()?;
        let mut names: Vec<String> =
            request.topics.unwrap().into_iter().filter_map(|topic| topic.name).collect();
        names.sort();
        self.0.lock().unwrap().push(names.clone());
        Some(names)
    }

    fn take(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Node 1 with every topic of one partition, except as `special` says.
fn cluster(special: impl Fn(&str) -> Option<ErrorCode> + Send + Sync + 'static) -> (ScriptedDialer, Log) {
    let log = Log::default();
    let seen = log.clone();
    let dialer = ScriptedDialer::new(move |request| match seen.topics(request) {
        Some(names) => request.reply::<MetadataRequest>(&answer(&names, &special)),
        None => Answer::Default,
    });
    (dialer, log)
}

fn answer(names: &[String], special: impl Fn(&str) -> Option<ErrorCode>) -> MetadataResponse {
    let mut answer = metadata(&[1, 2], &[]);
    for name in names {
        answer.topics.push(match special(name) {
            Some(code) => topic_error(name, code),
            None => metadata(&[1, 2], &[(name, &[1])]).topics.remove(0),
        });
    }
    answer
}

#[tokio::test(start_paused = true)]
async fn a_thousand_concurrent_askers_cost_two_metadata_requests_at_most() {
    let (dialer, log) = cluster(|_| None);
    let client = client(options(), &dialer);
    let asking = (0..1000).map(|i| {
        let client = client.clone();
        async move { client.topic(["a", "b"][i % 2], within(5)).await }
    });
    for topic in futures_util::future::join_all(asking).await {
        assert_eq!(topic.unwrap().partitions.len(), 1);
    }
    let asked = log.take();
    assert!(asked.len() <= 2, "{asked:?}");
    assert_eq!(client.cluster().id(), Some("scripted"));
}

#[tokio::test(start_paused = true)]
async fn only_topics_in_use_are_refreshed_periodically_and_the_others_go() {
    let (dialer, log) = cluster(|_| None);
    let client = client(options().metadata_max_age(MS(10_000)), &dialer);
    let in_use = client.topics_in_use();
    in_use.add("a");
    in_use.add("b");
    client.topic("c", within(5)).await.unwrap();
    client.topic("a", within(5)).await.unwrap();
    log.take();
    tokio::time::sleep(MS(10_500)).await;
    assert_eq!(log.take(), [["a", "b"]]);
    assert_eq!((client.cluster().topic("c").is_some(), client.cluster().topic("b").is_some()), (false, true));
    in_use.remove("a");
    tokio::time::sleep(MS(10_000)).await;
    assert_eq!(log.take(), [["b"]]);
    drop(in_use);
    tokio::time::sleep(MS(10_000)).await;
    assert_eq!(log.take(), [Vec::<String>::new()]);
    assert_eq!(client.cluster().topics().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn many_refreshes_cost_few_requests() {
    let (dialer, log) = cluster(|_| None);
    let client = client(options(), &dialer);
    let in_use = client.topics_in_use();
    in_use.add("a");
    client.topic("a", within(5)).await.unwrap();
    log.take();
    for _ in 0..1000 {
        client.refresh_metadata();
        tokio::time::sleep(MS(10)).await;
    }
    // Ten seconds of answers without news: waits of 0.1, 0.1, 0.2, 0.4, 0.8 and then 1 s, spread by a fifth.
    let asked = log.take().len();
    assert!((10..=18).contains(&asked), "{asked} requests");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_topic_is_waited_for_and_named_at_the_deadline() {
    let (dialer, log) = cluster(|name| (name == "nope").then_some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    let client = client(options(), &dialer);
    let start = runtime::now();
    let error = client.topic("nope", within(5)).await.unwrap_err();
    assert_eq!(runtime::now() - start, MS(5000));
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::UnknownTopic, Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))
    );
    assert!(
        error.to_string().starts_with("topic `nope` could not be used for 5 s: UNKNOWN_TOPIC"),
        "{error}"
    );
    assert!((5..=12).contains(&log.take().len()));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_no_waiting_cures_comes_at_once_and_is_asked_anew_next_time() {
    let allowed = Arc::new(AtomicU64::new(0));
    let switch = Arc::clone(&allowed);
    let (dialer, _) = cluster(move |_| {
        (switch.load(Ordering::SeqCst) == 0).then_some(ErrorCode::TOPIC_AUTHORIZATION_FAILED)
    });
    let client = client(options(), &dialer);
    let in_use = client.topics_in_use();
    in_use.add("t");
    let start = runtime::now();
    assert_eq!(client.topic("t", within(60)).await.unwrap_err().kind(), ErrorKind::Authorization);
    assert!(runtime::now() - start < MS(1000));
    assert_eq!(client.cluster().topic_error("t"), Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
    allowed.store(1, Ordering::SeqCst);
    client.topic("t", within(60)).await.unwrap();
    assert_eq!(client.cluster().topic_error("t"), None);
}

#[tokio::test(start_paused = true)]
async fn topics_are_created_only_for_those_who_allow_it() {
    let seen = Arc::new(Mutex::new(HashMap::new()));
    let log = Arc::clone(&seen);
    let dialer = ScriptedDialer::new(move |request| match request.decode::<MetadataRequest>() {
        Some(asked) => {
            let names: Vec<String> =
                asked.topics.unwrap().into_iter().filter_map(|topic| topic.name).collect();
            log.lock()
                .unwrap()
                .extend(names.iter().map(|name| (name.clone(), asked.allow_auto_topic_creation)));
            request.reply::<MetadataRequest>(&answer(&names, |_| None))
        }
        None => Answer::Default,
    });
    let client = client(options(), &dialer);
    let (creating, reading) = (client.topics_in_use().creating(true), client.topics_in_use());
    creating.add("a");
    reading.add("b");
    client.topic("a", within(5)).await.unwrap();
    client.topic("b", within(5)).await.unwrap();
    client.topic("c", within(5)).await.unwrap();
    let expected = [("a", true), ("b", false), ("c", false)].map(|(name, allow)| (name.to_owned(), allow));
    assert_eq!(*seen.lock().unwrap(), HashMap::from(expected));
}

#[tokio::test(start_paused = true)]
async fn a_dead_or_silent_bootstrap_server_delays_nobody_for_long() {
    for outcome in [Dialled::Refuse, Dialled::Hang] {
        for _ in 0..8 {
            let (dialer, _) = cluster(|_| None);
            dialer.on_dial(move |_, host, _| if host == "dead" { outcome } else { Dialled::Accept });
            let client = client(ClientOptions::new().bootstrap_servers("dead:9092,boot:9092"), &dialer);
            client.topic("t", within(20)).await.unwrap();
            assert!(!client.any_connection(within(5)).await.unwrap().is_closed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_stops_answering_is_left_for_another() {
    // Bootstrap server 1 shakes hands and then says nothing; the other one is well.
    let dialer = ScriptedDialer::new(move |request| match request.decode::<MetadataRequest>() {
        Some(_) if request.host == "silent" => Answer::Nothing,
        Some(_) => request.reply::<MetadataRequest>(&metadata(&[1], &[("t", &[1])])),
        None => Answer::Default,
    });
    for _ in 0..8 {
        let client = client(ClientOptions::new().bootstrap_servers("silent:9092,well:9092"), &dialer);
        client.topic("t", within(20)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker_leaves_time_for_another_however_short_the_deadline() {
    for _ in 0..8 {
        let (dialer, _) = cluster(|_| None);
        let client = client(options().request_timeout(MS(1000)).connections_max_idle(MS(1000)), &dialer);
        client.topic("a", within(5)).await.unwrap();
        tokio::time::sleep(MS(2000)).await;
        dialer.on_dial(|node, _, _| if node == Some(2) { Dialled::Accept } else { Dialled::Hang });
        client.topic("b", within(1)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_only_known_broker_is_silent_the_bootstrap_list_is_asked_within_the_same_deadline() {
    let dialer = ScriptedDialer::new(|request| match request.decode::<MetadataRequest>() {
        Some(_) => request.reply::<MetadataRequest>(&metadata(&[1], &[("a", &[1]), ("b", &[1])])),
        None => Answer::Default,
    });
    let client = client(options().connections_max_idle(MS(1000)), &dialer);
    client.topic("a", within(5)).await.unwrap();
    tokio::time::sleep(MS(2000)).await;
    dialer.on_dial(|node, _, _| if node.is_some() { Dialled::Hang } else { Dialled::Accept });
    client.any_connection(within(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_any_broker_the_error_names_stage_and_address_by_the_deadline() {
    type Case = (Dialled, fn(&Received) -> Answer, ErrorKind);
    let cases: [Case; 4] = [
        (Dialled::Refuse, |_| Answer::Default, ErrorKind::Connect),
        (Dialled::Hang, |_| Answer::Default, ErrorKind::Connect),
        (Dialled::Accept, |_| Answer::Nothing, ErrorKind::Handshake),
        (Dialled::Accept, |_| Answer::Raw("HTTP/1.1 400 Bad Request".into()), ErrorKind::Handshake),
    ];
    for seconds in [2, 7, 30] {
        for (dialled, script, kind) in cases {
            let dialer = ScriptedDialer::new(script);
            dialer.on_dial(move |_, _, _| dialled);
            let client = client(options(), &dialer);
            let start = runtime::now();
            let topic = client.topic("t", within(seconds)).await.unwrap_err();
            let any = client.any_connection(within(seconds)).await.unwrap_err();
            let call =
                client.call(Target::Any, &MetadataRequest::default(), within(seconds)).await.unwrap_err();
            let key = CoordinatorKey::Group("g".into());
            let coordinator = client.coordinator(&key, within(seconds)).await.unwrap_err();
            assert_eq!(runtime::now() - start, MS(4000 * seconds), "{dialled:?} {kind:?}");
            for error in [topic, any, call, coordinator] {
                assert_eq!(error.kind(), kind, "{dialled:?} after {seconds} s: {error}");
                assert!(error.to_string().contains("boot:9092") && error.is_retriable(), "{error}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_known_brokers_are_gone_the_bootstrap_list_is_tried_again() {
    for (recovery, recovers) in [(MetadataRecovery::Rebootstrap, true), (MetadataRecovery::None, false)] {
        let (dialer, _) = cluster(|_| None);
        let client = client(options().metadata_recovery(recovery).connections_max_idle(MS(1000)), &dialer);
        client.topic("a", within(5)).await.unwrap();
        tokio::time::sleep(MS(2000)).await;
        dialer.on_dial(|node, _, _| if node.is_some() { Dialled::Refuse } else { Dialled::Accept });
        assert_eq!(client.topic("b", within(20)).await.is_ok(), recovers, "{recovery:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_moved_broker_is_dialled_at_its_new_address() {
    let port = Arc::new(AtomicU64::new(1));
    let now = Arc::clone(&port);
    let dialer = ScriptedDialer::new(move |request| match request.api_key {
        ApiKey::METADATA => {
            let mut answer = metadata(&[1], &[("t", &[1])]);
            answer.brokers[0].port = now.load(Ordering::SeqCst) as i32;
            request.reply::<MetadataRequest>(&answer)
        }
        _ => Answer::Default,
    });
    let client = client(options(), &dialer);
    client.topic("t", within(5)).await.unwrap();
    client.connection(1, Purpose::Produce, within(5)).await.unwrap();
    port.store(2, Ordering::SeqCst);
    let mut updates = client.cluster_updates();
    client.refresh_metadata();
    updates.wait_for(|cluster| cluster.node(1).is_some_and(|node| node.port == 2)).await.unwrap();
    client.connection(1, Purpose::Lane(9), within(5)).await.unwrap();
    let to_node: Vec<u16> =
        dialer.dials().into_iter().filter(|dial| dial.0 == Some(1)).map(|dial| dial.2).collect();
    // For Produce, for the refresh, which no longer goes to a bootstrap server, and for the lane.
    assert_eq!(to_node, [1, 1, 2]);
    let error = client.connection(9, Purpose::Lane(9), within(5)).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retriable()), (ErrorKind::Connect, true));
}

fn hint(topic_id: Uuid, leader: Leader) -> LeaderHint {
    LeaderHint { partition: TopicPartition::new("t", 0), topic_id, leader, endpoint: None }
}

#[tokio::test(start_paused = true)]
async fn a_leader_hint_counts_at_once() {
    let (dialer, _) = cluster(|_| None);
    let client = client(options(), &dialer);
    let in_use = client.topics_in_use();
    in_use.add("t");
    client.topic("t", within(5)).await.unwrap();
    let learn = |id, epoch| {
        client.learn_leaders(vec![hint(id, Leader { node: 2, epoch })]);
    };
    learn(Uuid::ZERO, 0);
    assert_eq!(client.cluster().leader("t", 0).map(|leader| leader.node), Some(1));
    learn(Uuid([1; 16]), 1);
    assert_eq!(client.cluster().leader("t", 0).map(|leader| leader.node), Some(1), "another topic's");
    learn(Uuid::ZERO, 1);
    assert_eq!(client.cluster().leader("t", 0).map(|leader| leader.node), Some(2));
}

/// A broker that is asked for coordinators; `answers` are used up one after the other, the last one stays.
fn coordinating(answers: &'static [(ErrorCode, NodeId)]) -> (ScriptedDialer, Arc<AtomicU64>) {
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let dialer = ScriptedDialer::new(move |request| {
        let Some(find) = request.decode::<FindCoordinatorRequest>() else {
            return match request.api_key {
                ApiKey::METADATA => request.reply::<MetadataRequest>(&metadata(&[1], &[])),
                _ => Answer::Default,
            };
        };
        let turn = count.fetch_add(1, Ordering::SeqCst) as usize;
        let (error_code, node_id) = answers[turn.min(answers.len() - 1)];
        let key = find.coordinator_keys[0].clone();
        let coordinator = Coordinator {
            key,
            error_code,
            node_id,
            host: "coordinator".into(),
            port: 9093,
            ..Default::default()
        };
        let response = FindCoordinatorResponse { coordinators: vec![coordinator], ..Default::default() };
        request.reply::<FindCoordinatorRequest>(&response).after(MS(10))
    });
    (dialer, asked)
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_is_looked_up_once_and_kept_until_forgotten() {
    let (dialer, asked) = coordinating(&[
        (ErrorCode::COORDINATOR_NOT_AVAILABLE, -1),
        (ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, -1),
        (ErrorCode::NONE, 7),
        (ErrorCode::NONE, 8),
    ]);
    let client = client(options(), &dialer);
    let key = CoordinatorKey::Group("g".into());
    let all = futures_util::future::join_all((0..1000).map(|_| client.coordinator(&key, within(30)))).await;
    assert!(all.into_iter().all(|found| found.unwrap() == 7));
    assert_eq!(client.coordinator(&key, within(30)).await.unwrap(), 7);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    assert_eq!(client.cluster().node(7).map(|node| (&*node.host, node.port)), Some(("coordinator", 9093)));
    client.connection(7, Purpose::Lane(0), within(5)).await.unwrap();
    client.forget_coordinator(&key, 6);
    assert_eq!(client.coordinator(&key, within(30)).await.unwrap(), 7);
    client.forget_coordinator(&key, 7);
    assert_eq!(client.coordinator(&key, within(30)).await.unwrap(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_stays_away_or_is_refused_is_an_error() {
    let key = CoordinatorKey::Group("g".into());
    let (dialer, _) = coordinating(&[(ErrorCode::COORDINATOR_NOT_AVAILABLE, -1)]);
    let client_a = client(options(), &dialer);
    let error = client_a.coordinator(&key, within(5)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Timeout, Some(ErrorCode::COORDINATOR_NOT_AVAILABLE))
    );
    assert!(error.tries() > 3 && error.to_string().contains("group `g`"), "{error}");
    let (dialer, asked) = coordinating(&[(ErrorCode::GROUP_AUTHORIZATION_FAILED, -1)]);
    let client_b = client(options(), &dialer);
    assert_eq!(client_b.coordinator(&key, within(5)).await.unwrap_err().kind(), ErrorKind::Authorization);
    client_b.coordinator(&key, within(5)).await.unwrap_err();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_tried_again_over_broken_connections() {
    let broken = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&broken);
    let dialer = ScriptedDialer::new(move |request| match request.decode::<FindCoordinatorRequest>() {
        Some(_) if count.fetch_add(1, Ordering::SeqCst) < 3 => Answer::Close,
        Some(_) => request.reply::<FindCoordinatorRequest>(&FindCoordinatorResponse::default()),
        None if request.api_key == ApiKey::METADATA => {
            request.reply::<MetadataRequest>(&metadata(&[1, 2], &[]))
        }
        None => Answer::Default,
    });
    let client = client(options(), &dialer);
    client.call(Target::Controller, &FindCoordinatorRequest::default(), within(30)).await.unwrap();
    client
        .call(Target::Node(2, Purpose::General), &FindCoordinatorRequest::default(), within(30))
        .await
        .unwrap();
    assert_eq!(broken.load(Ordering::SeqCst), 5);
}

#[tokio::test(start_paused = true)]
async fn an_impatient_caller_does_not_close_the_connection() {
    let dialer = ScriptedDialer::new(move |request| match request.decode::<FindCoordinatorRequest>() {
        Some(_) => {
            request.reply::<FindCoordinatorRequest>(&FindCoordinatorResponse::default()).after(MS(2000))
        }
        None => Answer::Default,
    });
    let client = client(options(), &dialer);
    let request = FindCoordinatorRequest::default();
    assert_eq!(client.call(Target::Any, &request, within(1)).await.unwrap_err().kind(), ErrorKind::Timeout);
    client.call(Target::Any, &request, within(10)).await.unwrap();
    assert_eq!(dialer.dials().len(), 1);
}

/// Two brokers, of which the one that `is_silent` names answers Metadata alone. Counts who was asked for coordinators.
fn half_silent(
    coordinator: NodeId,
    is_silent: impl Fn(NodeId) -> bool + Send + Sync + 'static,
) -> (ScriptedDialer, Arc<Mutex<Vec<NodeId>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let dialer = ScriptedDialer::new(move |request| {
        if request.api_key == ApiKey::METADATA {
            return request.reply::<MetadataRequest>(&metadata(&[1, 2], &[]));
        }
        let Some(find) = request.decode::<FindCoordinatorRequest>() else { return Answer::Default };
        let node = request.node.unwrap();
        log.lock().unwrap().push(node);
        if is_silent(node) {
            return Answer::Nothing;
        }
        let coordinator = Coordinator {
            key: find.coordinator_keys.first().cloned().unwrap_or_default(),
            node_id: coordinator,
            host: format!("node-{coordinator}"),
            port: 9092,
            ..Default::default()
        };
        let response = FindCoordinatorResponse { coordinators: vec![coordinator], ..Default::default() };
        request.reply::<FindCoordinatorRequest>(&response)
    });
    (dialer, asked)
}

/// A client that knows the cluster, with a connection for short requests to each broker.
async fn connected(dialer: &ScriptedDialer) -> Client {
    let client = client(options(), dialer);
    client.refresh_metadata();
    client.cluster_updates().wait_for(|cluster| cluster.node(2).is_some()).await.unwrap();
    for node in [1, 2] {
        client.connection(node, Purpose::General, within(5)).await.unwrap();
    }
    client
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker_holds_up_no_question_that_another_can_answer() {
    let key = CoordinatorKey::Group("g".into());
    for _ in 0..8 {
        let (dialer, _) = half_silent(2, |node| node == 1);
        let client = connected(&dialer).await;
        let start = runtime::now();
        assert_eq!(client.coordinator(&key, within(60)).await.unwrap(), 2);
        assert!(runtime::now() - start < MS(6000));
        let request = FindCoordinatorRequest::default();
        client.call(Target::Any, &request, within(60)).await.unwrap();
        assert!(runtime::now() - start < MS(6000), "that it is silent is known by now");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker_is_asked_again_once_what_it_left_unanswered_is_over() {
    let silent = Arc::new(AtomicU64::new(1));
    let switch = Arc::clone(&silent);
    let (dialer, asked) = half_silent(2, move |node| switch.load(Ordering::SeqCst) == node as u64);
    let client = connected(&dialer).await;
    client.avoid(1);
    let request = FindCoordinatorRequest::default();
    for _ in 0..16 {
        client.call(Target::Any, &request, within(60)).await.unwrap();
    }
    assert_eq!(std::mem::take(&mut *asked.lock().unwrap()), [2; 16]);
    silent.store(2, Ordering::SeqCst);
    client.call(Target::Any, &request, within(60)).await.unwrap();
    assert_eq!(
        std::mem::take(&mut *asked.lock().unwrap()),
        [2, 1],
        "one that is avoided is better than none"
    );
    silent.store(0, Ordering::SeqCst);
    tokio::time::sleep(MS(60_000)).await;
    client.connection(2, Purpose::General, within(5)).await.unwrap();
    for _ in 0..32 {
        client.call(Target::Any, &request, within(60)).await.unwrap();
    }
    assert!(asked.lock().unwrap().contains(&2));
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_was_lost_is_not_asked_for_its_successor() {
    let key = CoordinatorKey::Group("g".into());
    for _ in 0..8 {
        let (dialer, asked) = half_silent(1, |_| false);
        let client = connected(&dialer).await;
        assert_eq!(client.coordinator(&key, within(60)).await.unwrap(), 1);
        asked.lock().unwrap().clear();
        client.forget_coordinator(&key, 1);
        assert_eq!(client.coordinator(&key, within(60)).await.unwrap(), 1);
        assert_eq!(*asked.lock().unwrap(), [2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_left_the_cluster_is_asked_no_more() {
    let alone = Arc::new(AtomicU64::new(0));
    let switch = Arc::clone(&alone);
    let dialer = ScriptedDialer::new(move |request| match request.api_key {
        ApiKey::METADATA => {
            let nodes: &[NodeId] = if switch.load(Ordering::SeqCst) == 0 { &[1, 2] } else { &[2] };
            request.reply::<MetadataRequest>(&metadata(nodes, &[]))
        }
        _ => Answer::Default,
    });
    let client = connected(&dialer).await;
    alone.store(1, Ordering::SeqCst);
    client.refresh_metadata();
    client.cluster_updates().wait_for(|cluster| cluster.node(1).is_none()).await.unwrap();
    for _ in 0..16 {
        assert_eq!(client.any_connection(within(5)).await.unwrap().node(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_looks_at_a_snapshot_locks_out_nobody() {
    let (dialer, _) = cluster(|_| None);
    let client = client(options(), &dialer);
    let in_use = client.topics_in_use();
    in_use.add("t");
    client.topic("t", within(5)).await.unwrap();
    let mut updates = client.cluster_updates();
    let learn = |node| {
        let leader = Leader { node, epoch: node };
        client.learn_leaders(vec![hint(Uuid::ZERO, leader)]);
    };
    let latest = updates.latest();
    learn(1);
    in_use.add("u");
    assert_eq!(latest.leader("t", 0).map(|leader| leader.epoch), Some(0));
    let seen = updates.wait_for(|cluster| {
        learn(2);
        cluster.leader("t", 0).is_some_and(|leader| leader.node == 2)
    });
    assert_eq!(seen.await.unwrap().leader("t", 0), Some(Leader { node: 2, epoch: 2 }));
    assert!(!updates.has_changed());
    drop((client, in_use));
    assert_eq!(updates.changed().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn asking_for_a_topic_that_cannot_be_had_keeps_nobody_from_fresh_metadata() {
    let (dialer, log) = cluster(|name| (name == "denied").then_some(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
    let client = client(options(), &dialer);
    let in_use = client.topics_in_use();
    in_use.add("t");
    client.topic("t", within(5)).await.unwrap();
    log.take();
    let insisting = async {
        loop {
            client.topic("denied", within(60)).await.unwrap_err();
            // As much as a round trip would take.
            tokio::time::sleep(MS(1)).await;
        }
    };
    let doubting = async {
        tokio::time::sleep(MS(50)).await;
        client.refresh_metadata();
        tokio::time::sleep(MS(5000)).await;
    };
    tokio::select! {
        () = insisting => {}
        () = doubting => {}
    }
    let asked = log.take();
    assert!(asked.iter().any(|names| names.contains(&"t".to_owned())), "{asked:?}");
    assert!(asked.len() < 16, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dialer_that_panics_leaves_an_error_that_may_pass() {
    let (dialer, _) = cluster(|_| None);
    dialer.on_dial(|node, _, _| {
        assert!(node != Some(1), "a dialer's bug");
        Dialled::Accept
    });
    let client = client(options(), &dialer);
    client.topic("t", within(5)).await.unwrap();
    let error = client.connection(1, Purpose::Produce, within(5)).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retriable(), error.is_fatal()), (ErrorKind::Connect, true, false));
}

#[tokio::test(start_paused = true)]
async fn when_the_last_client_goes_so_do_its_tasks_and_sockets() {
    let (dialer, _) = coordinating(&[(ErrorCode::COORDINATOR_NOT_AVAILABLE, -1)]);
    let client_a = client(options(), &dialer);
    let client_b = client_a.clone();
    let lane = client_a.lane();
    let in_use = client_a.topics_in_use();
    let mut updates = client_a.cluster_updates();
    client_a.refresh_metadata();
    updates.wait_for(|cluster| cluster.node(1).is_some()).await.unwrap();
    client_a.connection(1, lane.purpose(), within(5)).await.unwrap();
    client_a.connection(1, Purpose::Produce, within(5)).await.unwrap();
    let key = CoordinatorKey::Group("g".into());
    assert!(runtime::until(within(1), client_a.coordinator(&key, within(9))).await.is_none());
    dialer.on_dial(|_, _, _| Dialled::Hang);
    assert!(runtime::until(within(1), client_a.connection(1, Purpose::Lane(9), within(9))).await.is_none());
    // To the bootstrap server, and to node 1 for the lane, for Produce and for the look-up.
    assert_eq!(dialer.open(), 4);
    drop(lane);
    tokio::time::sleep(MS(1)).await;
    assert_eq!(dialer.open(), 3);
    drop((client_a, in_use));
    tokio::time::sleep(MS(1)).await;
    assert_eq!(dialer.open(), 3);
    drop(client_b);
    tokio::time::sleep(MS(1)).await;
    assert_eq!(dialer.open(), 0);
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}

#[test]
fn a_client_outside_a_runtime_or_with_bad_options_is_a_config_error() {
    let error = Client::new(options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().starts_with("no tokio runtime"), "{error}");
    assert_eq!(Client::new(ClientOptions::new()).unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn nobody_listening_is_a_connect_error_over_tcp() {
    // Bound and not listening: nobody else is given the port meanwhile.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let client = Client::new(ClientOptions::new().bootstrap_servers(&address)).unwrap();
    let error = client.any_connection(runtime::now() + MS(300)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains(&address), "{error}");
}
