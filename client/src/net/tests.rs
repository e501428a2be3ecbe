//! Connections and their pool against a scripted broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use ottla_protocol::messages::find_coordinator::FindCoordinatorRequest;
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};

use super::*;
use crate::backoff::Backoff;
use crate::error::{Error, ErrorKind};
use crate::purpose::Purpose;
use crate::runtime;
use crate::test_support::{Answer, Dialled, Received, ScriptedDialer, api_versions, metadata};

mod wire;

const MS: fn(u64) -> Duration = Duration::from_millis;
const IDLE: Duration = Duration::from_secs(540);

fn pool(dialer: &ScriptedDialer) -> Pool {
    let settings =
        Settings { client_id: "test".into(), max_frame: 1 << 20, max_idle: IDLE, spares: Spares::default() };
    let reconnect = Backoff::new(MS(50), MS(1000)).with_shape(2.0, 0.0);
    let setup = Backoff::new(MS(10_000), MS(30_000));
    Pool::new(runtime::current().unwrap(), Arc::new(dialer.clone()), settings, reconnect, setup)
}

fn address() -> Address {
    Address { node: 1, host: "node-1".into(), port: 9092 }
}

fn within(seconds: u64) -> Instant {
    runtime::now() + Duration::from_secs(seconds)
}

async fn connect(pool: &Pool) -> Result<Connection, Error> {
    pool.connection(&address(), Purpose::General, within(60)).await
}

/// Asks about one topic; the script may tell requests apart by it.
fn about(topic: &str) -> MetadataRequest {
    let topic = MetadataRequestTopic { name: Some(topic.to_owned()), ..Default::default() };
    MetadataRequest { topics: Some(vec![topic]), ..Default::default() }
}

fn asked(request: &Received) -> Option<String> {
    request.decode::<MetadataRequest>()?.topics?.pop()?.name
}

/// A broker that answers Metadata about any topic, except as `special` says.
fn broker(special: impl Fn(&str, &Received) -> Option<Answer> + Send + Sync + 'static) -> ScriptedDialer {
    ScriptedDialer::new(move |request| match asked(request) {
        None => Answer::Default,
        Some(topic) => special(&topic, request)
            .unwrap_or_else(|| request.reply::<MetadataRequest>(&metadata(&[1], &[(&topic, &[1])]))),
    })
}

fn submit(connection: &Connection, topic: &str, seconds: u64) -> Reply<MetadataRequest> {
    let version = connection.version::<MetadataRequest>().unwrap();
    connection.submit(&about(topic), version, within(seconds)).unwrap()
}

async fn named(reply: Reply<MetadataRequest>) -> Result<String, Error> {
    Ok(reply.await?.topics.pop().and_then(|topic| topic.name).unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn pipelined_requests_are_answered_each_by_its_own_answer() {
    let dialer = broker(|_, _| None);
    let pool = pool(&dialer);
    let connection = connect(&pool).await.unwrap();
    assert_eq!((connection.node(), connection.is_closed()), (1, false));
    let replies: Vec<_> = (0..500).map(|i| submit(&connection, &format!("t{i}"), 30)).collect();
    for (i, reply) in replies.into_iter().enumerate() {
        assert_eq!(named(reply).await.unwrap(), format!("t{i}"));
    }
}

#[tokio::test(start_paused = true)]
async fn requests_larger_than_the_pipe_flow_while_answers_flow_back() {
    let dialer = broker(|_, _| None);
    let connection = connect(&pool(&dialer)).await.unwrap();
    let names: Vec<String> = (0..200).map(|i| format!("{i}-{}", "x".repeat(20_000))).collect();
    let replies: Vec<_> = names.iter().map(|name| submit(&connection, name, 30)).collect();
    for (name, reply) in names.iter().zip(replies) {
        assert!(named(reply).await.unwrap() == *name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_reply_leaves_the_stream_intact() {
    let dialer = broker(|_, _| None);
    let connection = connect(&pool(&dialer)).await.unwrap();
    for i in 0..50 {
        drop(submit(&connection, "dropped", 30));
        assert_eq!(named(submit(&connection, &format!("t{i}"), 30)).await.unwrap(), format!("t{i}"));
    }
    assert_eq!(dialer.dials().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_overdue_request_closes_the_connection_and_the_others_learn_the_cause() {
    let dialer = broker(|topic, _| (topic == "slow").then(|| Answer::Nothing.after(MS(60_000))));
    let connection = connect(&pool(&dialer)).await.unwrap();
    let first = submit(&connection, "slow", 5);
    let second = submit(&connection, "behind", 30);
    let start = runtime::now();
    let timeout = first.await.unwrap_err();
    assert_eq!(runtime::now() - start, MS(5000));
    assert_eq!((timeout.kind(), timeout.possibly_written()), (ErrorKind::Timeout, true));
    assert_eq!(
        timeout.to_string(),
        "node 1 (node-1:9092) did not answer Metadata v13 within 5 s (the broker may have received it)"
    );
    let cut = second.await.unwrap_err();
    assert_eq!((cut.kind(), cut.possibly_written()), (ErrorKind::Disconnected, true));
    assert_eq!(cut.cause().map(Error::kind), Some(ErrorKind::Timeout));
    connection.closed().await;
    let refused = connection.submit(&about("t"), 13, within(5)).unwrap_err();
    assert_eq!((refused.kind(), refused.possibly_written()), (ErrorKind::Disconnected, false));
    assert_eq!(refused.cause().map(Error::kind), Some(ErrorKind::Timeout));
}

#[tokio::test(start_paused = true)]
async fn what_was_not_yet_written_was_not_possibly_written() {
    // The broker stops reading: the pipe takes the beginning and no more.
    let dialer = broker(|topic, _| (topic == "stop").then(|| Answer::Nothing.after(MS(600_000))));
    let connection = connect(&pool(&dialer)).await.unwrap();
    let names: Vec<String> = (0..30).map(|i| format!("{i}{}", "x".repeat(20_000))).collect();
    let mut replies = vec![submit(&connection, "stop", 5)];
    replies.extend(names.iter().map(|name| submit(&connection, name, 30)));
    let mut written = Vec::new();
    for reply in replies {
        written.push(reply.await.unwrap_err().possibly_written());
    }
    let begun = written.iter().filter(|written| **written).count();
    assert!((2..30).contains(&begun), "{begun} were begun");
    assert!(written.is_sorted_by(|a, b| a >= b), "in order");
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_request_closes_the_connection() {
    let dialer = broker(|topic, request| {
        let reply = Received { correlation_id: request.correlation_id + 1, ..request.clone() };
        (topic == "odd").then(|| reply.reply::<MetadataRequest>(&metadata(&[], &[])))
    });
    let connection = connect(&pool(&dialer)).await.unwrap();
    let error = submit(&connection, "odd", 5).await.unwrap_err();
    assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::Disconnected, true));
    let cause = error.cause().unwrap();
    assert_eq!(cause.kind(), ErrorKind::Protocol);
    assert!(
        cause.to_string().contains("an answer to request 2 came where one to request 1 was due"),
        "{cause}"
    );
    assert!(connection.is_closed());
}

#[tokio::test(start_paused = true)]
async fn unasked_answers_and_impossible_frames_close_the_connection() {
    for (bytes, says) in [
        (&b"\0\0\0\x04\0\0\0\x01\0\0\0\x04\0\0\0\x02"[..], "an answer to request 2 came where none was due"),
        (&[0x7f, 0xff, 0xff, 0xff], "a frame of 2147483647 bytes was announced"),
        (b"HTTP/1.1 400", "looks like an HTTP server"),
    ] {
        let dialer = broker(move |topic, _| (topic == "odd").then(|| Answer::Raw(Bytes::from_static(bytes))));
        let connection = connect(&pool(&dialer)).await.unwrap();
        let _ = submit(&connection, "odd", 5).await;
        connection.closed().await;
        let error = connection.submit(&about("t"), 0, within(5)).unwrap_err();
        assert_eq!(error.cause().map(Error::kind), Some(ErrorKind::Protocol));
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_undecodable_answer_harms_nobody_else() {
    let dialer = broker(|topic, request| {
        let frame = [&request.correlation_id.to_be_bytes()[..], b"\0garbage"].concat();
        (topic == "odd").then(|| Answer::Frame(frame.into()))
    });
    let connection = connect(&pool(&dialer)).await.unwrap();
    let (odd, good) = (submit(&connection, "odd", 5), submit(&connection, "good", 5));
    let error = odd.await.unwrap_err();
    assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::Protocol, true));
    assert_eq!(named(good).await.unwrap(), "good");
}

#[tokio::test(start_paused = true)]
async fn answers_in_pieces_of_any_size_are_answers() {
    let whole =
        ottla_protocol::header::encode_response(&metadata(&[1], &[("t", &[1])]), 13, 1).unwrap().to_bytes();
    let wire = Bytes::from([&(whole.len() as u32).to_be_bytes()[..], &whole].concat());
    for cut in 0..=wire.len() {
        let wire = wire.clone();
        // The broker answers the second request with the rest of the first answer; the second answer never comes.
        let dialer = broker(move |topic, _| {
            Some(Answer::Raw(if topic == "t" { wire.slice(..cut) } else { wire.slice(cut..) }))
        });
        let connection = connect(&pool(&dialer)).await.unwrap();
        let first = submit(&connection, "t", 30);
        tokio::time::sleep(MS(1)).await;
        let _rest = submit(&connection, "rest", 30);
        assert_eq!(named(first).await.unwrap(), "t", "cut at {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_is_sent_when_it_is_written() {
    let dialer = broker(|topic, _| (topic == "one-way").then_some(Answer::Nothing));
    let connection = connect(&pool(&dialer)).await.unwrap();
    let sent = connection.submit_one_way(&about("one-way"), 13, within(5)).unwrap();
    let reply = submit(&connection, "t", 5);
    sent.await.unwrap();
    assert_eq!(named(reply).await.unwrap(), "t");
}

#[tokio::test(start_paused = true)]
async fn the_queue_has_a_bound_and_gives_room_back() {
    let dialer = broker(|topic, _| (topic == "slow").then(|| Answer::Close.after(MS(1000))));
    let pool = pool(&dialer);
    let connection = connect(&pool).await.unwrap();
    let replies: Vec<_> = (0..1024).map(|_| submit(&connection, "slow", 30)).collect();
    let error = connection.submit(&about("t"), 13, within(30)).unwrap_err();
    assert_eq!(
        (error.kind(), error.is_retriable(), error.possibly_written()),
        (ErrorKind::Busy, true, false)
    );
    for reply in replies {
        assert_eq!(reply.await.unwrap_err().kind(), ErrorKind::Disconnected);
    }
    assert_eq!(connection.outstanding(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_old_broker_is_spoken_to_in_its_own_versions() {
    let dialer = ScriptedDialer::new(|request| {
        let Some(_) = request.decode_if_old() else { return Answer::Default };
        let api = |key: ApiKey, max_version| ApiVersion { api_key: key.0, max_version, ..Default::default() };
        let api_keys = vec![api(ApiKey::API_VERSIONS, 2), api(ApiKey::METADATA, 7)];
        let mut answer = ApiVersionsResponse { api_keys, ..Default::default() };
        if request.version > 2 {
            answer.error_code = ErrorCode::UNSUPPORTED_VERSION;
            let frame = ottla_protocol::header::encode_response(&answer, 0, request.correlation_id).unwrap();
            return Answer::Frame(frame.to_bytes());
        }
        request.reply::<ApiVersionsRequest>(&answer)
    });
    let connection = connect(&pool(&dialer)).await.unwrap();
    assert_eq!(connection.version::<MetadataRequest>().unwrap(), 7);
    assert_eq!(connection.version_at_most::<MetadataRequest>(3).unwrap(), 3);
    let error = connection.version::<FindCoordinatorRequest>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
    assert_eq!(
        error.to_string(),
        "node 1 (node-1:9092) cannot serve this request: this client speaks FindCoordinator in versions 0-6, \
         the broker not at all"
    );
    assert_eq!(dialer.dials().len(), 1);
}

impl Received {
    fn decode_if_old(&self) -> Option<()> {
        (self.api_key == ApiKey::API_VERSIONS).then_some(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_broker_is_an_error_of_the_handshake_that_names_the_address() {
    let garbage = |bytes: &'static [u8]| move |_: &Received| Answer::Raw(Bytes::from_static(bytes));
    let announced = |_: &Received| Answer::Raw(Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff]));
    let cases: [(&str, ScriptedDialer, &str); 7] = [
        ("http", ScriptedDialer::new(garbage(b"HTTP/1.1 400 Bad Request\r\n")), "HTTP server"),
        ("tls", ScriptedDialer::new(garbage(&[0x15, 3, 1, 0, 2, 2, 0x46])), "wants TLS"),
        ("2 GiB", ScriptedDialer::new(announced), "a frame of 2147483647 bytes was announced"),
        ("close", ScriptedDialer::new(|_| Answer::Close), "closed the connection without an answer"),
        (
            "silence",
            ScriptedDialer::new(|_| Answer::Nothing),
            "no answer from node 1 (node-1:9092) to ApiVersions within 10 s",
        ),
        ("other id", ScriptedDialer::new(garbage(b"\0\0\0\x08\0\0\0\x09\0\0\0\0")), "names request 9"),
        ("body", ScriptedDialer::new(garbage(b"\0\0\0\x08\0\0\0\0\0\0\xff\xff")), "cannot be decoded"),
    ];
    for (name, dialer, says) in cases {
        let start = runtime::now();
        let error = connect(&pool(&dialer)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handshake, "{name}: {error}");
        assert!(
            error.to_string().contains(says) && error.to_string().contains("node-1:9092"),
            "{name}: {error}"
        );
        assert!(runtime::now() - start <= MS(10_000), "{name}");
        assert_eq!(error.is_retriable(), matches!(name, "close" | "silence"), "{name}");
        tokio::task::yield_now().await;
        assert_eq!(dialer.open(), 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_askers_cause_one_connection_and_dropped_askers_disturb_nobody() {
    let dialer = ScriptedDialer::new(|request| match request.api_key {
        ApiKey::API_VERSIONS => request.reply::<ApiVersionsRequest>(&api_versions()).after(MS(100)),
        _ => Answer::Default,
    });
    let pool = Arc::new(pool(&dialer));
    let mut first = Box::pin(connect(&pool));
    assert!(futures_util::poll!(&mut first).is_pending());
    let others: Vec<_> = (0..1000).map(|_| connect(&pool)).collect();
    drop(first);
    for outcome in futures_util::future::join_all(others).await {
        assert!(!outcome.unwrap().is_closed());
    }
    assert_eq!(dialer.dials().len(), 1);
    pool.connection(&address(), Purpose::Lane(9), within(5)).await.unwrap();
    pool.connection(&address(), Purpose::Lane(1), within(5)).await.unwrap();
    pool.connection(&address(), Purpose::Lane(2), within(5)).await.unwrap();
    assert_eq!(dialer.dials().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn attempts_keep_a_growing_distance_and_success_resets_it() {
    let dialer = broker(|_, _| None);
    let failures = Arc::new(AtomicU32::new(7));
    let left = Arc::clone(&failures);
    dialer.on_dial(move |_, _, _| {
        let refuse =
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if refuse { Dialled::Refuse } else { Dialled::Accept }
    });
    let pool = pool(&dialer);
    let mut waits = Vec::new();
    for _ in 0..7 {
        let start = runtime::now();
        assert_eq!(connect(&pool).await.unwrap_err().kind(), ErrorKind::Connect);
        waits.push(runtime::now() - start);
    }
    assert_eq!(waits, [0, 50, 100, 200, 400, 800, 1000].map(MS));
    connect(&pool).await.unwrap();
    failures.store(1, Ordering::SeqCst);
    pool.close(Purpose::General);
    connect(&pool).await.unwrap_err();
    let start = runtime::now();
    connect(&pool).await.unwrap();
    assert_eq!(runtime::now() - start, MS(50));
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_is_replaced_after_a_rest_and_an_idle_one_at_once() {
    let dialer = broker(|topic, _| (topic == "break").then_some(Answer::Close));
    let pool = pool(&dialer);
    let connection = connect(&pool).await.unwrap();
    submit(&connection, "break", 5).await.unwrap_err();
    let start = runtime::now();
    let connection = connect(&pool).await.unwrap();
    assert_eq!(runtime::now() - start, MS(50));
    connection.closed().await;
    assert_eq!(runtime::now() - start, MS(50) + IDLE);
    let start = runtime::now();
    connect(&pool).await.unwrap();
    assert_eq!((runtime::now() - start, dialer.dials().len()), (MS(0), 3));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_late_already_is_not_sent_and_closes_nothing() {
    let dialer = broker(|_, _| None);
    let pool = pool(&dialer);
    let connection = connect(&pool).await.unwrap();
    let version = connection.version::<MetadataRequest>().unwrap();
    let late = connection.submit(&about("t"), version, runtime::now()).unwrap_err();
    let late_one_way = connection.submit_one_way(&about("t"), version, runtime::now()).unwrap_err();
    for error in [late, late_one_way] {
        assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::Timeout, false), "{error}");
    }
    let reply = connection.submit(&about("t"), version, within(1)).unwrap();
    assert!(reply.await.is_ok() && !connection.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_hanging_dial_ends_with_the_askers_deadline_or_the_setup_timeout() {
    let dialer = broker(|_, _| None);
    dialer.on_dial(|_, _, _| Dialled::Hang);
    let pool = pool(&dialer);
    let error = pool.connection(&address(), Purpose::General, within(3)).await.unwrap_err();
    assert_eq!(error.to_string(), "no connection to node 1 (node-1:9092) within 3 s");
    let error = connect(&pool).await.unwrap_err();
    assert_eq!(error.to_string(), "no connection to node 1 (node-1:9092) within 10 s");
    assert_eq!((error.kind(), dialer.dials().len()), (ErrorKind::Connect, 1));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_handles_ends_the_task_but_not_before_awaited_replies() {
    let dialer = broker(|topic, request| {
        let answer = request.reply::<MetadataRequest>(&metadata(&[1], &[("slow", &[1])]));
        (topic == "slow").then(|| answer.after(MS(1000)))
    });
    let pool = pool(&dialer);
    let connection = connect(&pool).await.unwrap();
    let reply = submit(&connection, "slow", 30);
    drop((connection, pool));
    assert_eq!(named(reply).await.unwrap(), "slow");
    tokio::time::sleep(MS(1)).await;
    assert_eq!(dialer.open(), 0);
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}
