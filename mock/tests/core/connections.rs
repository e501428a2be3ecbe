//! Connections: order, versions, faults.

use std::time::Duration;

use bytes::Bytes;
use ottla_mock::{ClusterOptions, Fault, HarmError, Release};
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse, decode_with_fallback};
use ottla_protocol::messages::metadata::MetadataRequest;
use ottla_protocol::messages::produce::ProduceRequest;

use crate::wire::{PRODUCE, Wire, batch, fetch_request, only_result, produce_request};

fn api_versions(version: i16, release: Release) -> ApiVersionsResponse {
    let mut wire = Wire::new(ClusterOptions::new().release(release));
    let request = ApiVersionsRequest {
        client_software_name: "script".to_owned(),
        client_software_version: "1".to_owned(),
        ..Default::default()
    };
    wire.ask(1, version, &request)
}

#[test]
fn each_release_announces_its_own_versions() {
    let produce = |release| {
        let response = api_versions(0, release);
        let found = response.api_keys.iter().find(|row| row.api_key == ApiKey::PRODUCE.0).unwrap();
        (found.min_version, found.max_version)
    };
    assert_eq!(Release::ALL.map(produce), [(0, 7), (0, 9), (0, 11), (0, 12), (0, 13)]);
    let has_consumer_groups = |release| {
        let response = api_versions(0, release);
        response.api_keys.iter().any(|row| row.api_key == ApiKey::CONSUMER_GROUP_HEARTBEAT.0)
    };
    assert_eq!(Release::ALL.map(has_consumer_groups), [false, false, true, true, true]);
}

#[test]
fn features_whose_lowest_level_is_zero_are_told_to_clients_that_take_them() {
    let names = |version| {
        let supported = api_versions(version, Release::V4_3).supported_features;
        supported.into_iter().map(|feature| feature.name).collect::<Vec<_>>()
    };
    assert_eq!(names(3), ["metadata.version"]);
    assert!(names(4).contains(&"transaction.version".to_owned()));
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_the_first() {
    let mut wire = Wire::new(ClusterOptions::new().release(Release::V2_8));
    let connection = wire.connect(1);
    wire.send_on(connection, 4, &ApiVersionsRequest::default());
    let bytes = wire.bytes(connection).unwrap();
    let response = decode_with_fallback(&bytes.slice(8..), 4).unwrap();
    assert_eq!(response.error_code, ErrorCode::UNSUPPORTED_VERSION);
    assert_eq!(
        response.api_keys.iter().map(|row| (row.api_key, row.max_version)).collect::<Vec<_>>(),
        [(18, 3)]
    );
}

#[test]
fn a_version_that_is_not_announced_costs_the_connection() {
    let mut wire = Wire::new(ClusterOptions::new().release(Release::V2_1));
    let awaited = wire.send(1, 8, &MetadataRequest::default());
    assert_eq!(wire.closed, [awaited.connection]);
}

#[test]
fn a_request_that_cannot_be_read_costs_the_connection() {
    let mut wire = Wire::three();
    for frame in
        [&b""[..], b"\0\x03", b"\x7f\xff\0\0\0\0\0\x01\xff\xff", b"\0\x03\0\x01\0\0\0\x01\xff\xff\xff"]
    {
        let connection = wire.connect(1);
        wire.cluster.handle(wire.now, connection, Bytes::from_static(frame));
        wire.collect();
        assert_eq!(wire.closed.last(), Some(&connection), "{frame:?}");
    }
}

#[test]
fn a_connections_requests_are_answered_in_order_even_if_a_later_one_could_be_sooner() {
    let mut wire = Wire::three();
    let leader = wire.leader();
    let mut long = fetch_request(0);
    long.max_wait_ms = 500;
    let first = wire.send(leader, 12, &long);
    let second = wire.send(leader, 12, &MetadataRequest::default());
    assert_eq!(wire.bytes(first.connection), None);
    wire.pass(Duration::from_millis(500));
    assert!(wire.answer::<ottla_protocol::messages::fetch::FetchRequest>(first).is_some());
    assert!(wire.answer::<MetadataRequest>(second).is_some());
}

#[test]
fn a_rule_meets_the_requests_it_names_and_no_others() {
    let mut wire = Wire::new(ClusterOptions::new().topic("t", 1, 1).topic("u", 1, 1));
    let rule = wire.cluster.on(ApiKey::PRODUCE).topic("t").skip(1).once(ErrorCode::REQUEST_TIMED_OUT);
    let other = wire.cluster.on(ApiKey::PRODUCE).topic("u").always(ErrorCode::REQUEST_TIMED_OUT);
    let codes: Vec<ErrorCode> = (0..3).map(|_| wire.produce(1, batch(&["a"])).error_code).collect();
    assert_eq!(codes, [ErrorCode::NONE, ErrorCode::REQUEST_TIMED_OUT, ErrorCode::NONE]);
    assert_eq!((wire.cluster.hits(rule), wire.cluster.hits(other)), (1, 0));
    assert_eq!(wire.cluster.requests(ApiKey::PRODUCE), 3);
    assert_eq!(wire.read(0), ["a", "a"]);
}

#[test]
fn an_error_although_done_leaves_the_records_in_the_log() {
    let mut wire = Wire::three();
    wire.cluster.on(ApiKey::PRODUCE).once(Fault::error_although_done(ErrorCode::REQUEST_TIMED_OUT));
    assert_eq!(wire.produce(-1, batch(&["a"])).error_code, ErrorCode::REQUEST_TIMED_OUT);
    assert_eq!(wire.read(0), ["a"]);
}

#[test]
fn a_delayed_request_is_done_later_and_a_delayed_answer_at_once() {
    let mut wire = Wire::three();
    let leader = wire.leader();
    for (fault, is_done) in
        [(Fault::delay(Duration::from_secs(2)), false), (Fault::delay_answer(Duration::from_secs(2)), true)]
    {
        let end = wire.read_end();
        wire.cluster.on(ApiKey::PRODUCE).once(fault);
        let connection = wire.connect(leader);
        let awaited = wire.send_on(connection, PRODUCE, &produce_request(1, batch(&["a"])));
        wire.pass(Duration::from_millis(1999));
        assert_eq!(wire.read_end() > end, is_done);
        assert_eq!(wire.bytes(connection), None);
        wire.pass(Duration::from_millis(1));
        let response = wire.answer::<ProduceRequest>(awaited).unwrap();
        assert_eq!(only_result(response.responses).base_offset, end);
    }
}

#[test]
fn a_dropped_request_is_not_done_and_a_dropped_answer_hides_that_it_was() {
    let mut wire = Wire::three();
    let leader = wire.leader();
    for (fault, expected) in [(Fault::drop_request(), 0), (Fault::drop_answer(), 1)] {
        wire.cluster.on(ApiKey::PRODUCE).once(fault);
        let connection = wire.connect(leader);
        wire.send_on(connection, PRODUCE, &produce_request(1, batch(&["a"])));
        wire.send_on(connection, 12, &MetadataRequest::default());
        wire.pass(Duration::from_secs(3600));
        assert_eq!((wire.bytes(connection), wire.read_end()), (None, expected));
    }
}

#[test]
fn an_answer_is_cut_shortened_or_replaced() {
    let mut wire = Wire::three();
    let mut bytes_after = |fault: Fault| {
        wire.cluster.on(ApiKey::METADATA).once(fault);
        let connection = wire.connect(1);
        wire.send_on(connection, 12, &MetadataRequest::default());
        (wire.bytes(connection), wire.closed.contains(&connection))
    };
    let (whole, _) = bytes_after(Fault::throttle(Duration::ZERO));
    let whole = whole.unwrap();
    assert_eq!(bytes_after(Fault::cut_answer_at(9)), (Some(whole.slice(..9)), true));
    let (short, closed) = bytes_after(Fault::shorten_frame(3));
    let short = short.unwrap();
    assert_eq!(u32::from_be_bytes(short[..4].try_into().unwrap()) as usize, whole.len() - 7);
    assert_eq!((short.slice(4..), closed), (whole.slice(4..whole.len() - 3), false));
    let garbage = Bytes::from_static(b"\xff\xff\xff\xffHTTP");
    assert_eq!(bytes_after(Fault::garbage(garbage.clone())), (Some(garbage), false));
    assert_eq!(bytes_after(Fault::close()), (None, true));
}

#[test]
fn a_throttled_client_is_told_so_and_not_read_meanwhile() {
    let mut wire = Wire::three();
    wire.cluster.on(ApiKey::METADATA).once(Fault::throttle(Duration::from_secs(1)));
    let first = wire.send(1, 12, &MetadataRequest::default());
    assert_eq!(wire.answer::<MetadataRequest>(first).unwrap().throttle_time_ms, 1000);
    let second = wire.send(1, 12, &MetadataRequest::default());
    wire.pass(Duration::from_millis(999));
    assert_eq!(wire.bytes(second.connection), None);
    wire.pass(Duration::from_millis(1));
    assert_eq!(wire.answer::<MetadataRequest>(second).unwrap().throttle_time_ms, 0);
}

#[test]
fn chance_follows_from_the_seed() {
    let run = |seed| {
        let mut wire = Wire::new(ClusterOptions::new().seed(seed).topic("t", 1, 1));
        wire.cluster.on(ApiKey::PRODUCE).with_probability(0.5, ErrorCode::REQUEST_TIMED_OUT);
        (0..64).map(|_| wire.produce(1, batch(&["a"])).error_code.is_ok()).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn nobody_connects_to_a_broker_that_is_down_or_does_not_exist() {
    let mut wire = Wire::three();
    wire.cluster.kill_broker(wire.now, 2).unwrap();
    assert_eq!(wire.cluster.connect(2, "h"), Err(HarmError::BrokerDown(2)));
    assert_eq!(wire.cluster.connect(4, "h"), Err(HarmError::NoSuchBroker(4)));
}
