//! Logging in, rights and quotas.

use std::time::Duration;

use bytes::Bytes;
use ottla_mock::{Acl, ClusterOptions, ConnectionId, Operation, Quota, ResourceType, Security};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_client_quotas::{
    AlterClientQuotasRequest, EntityData, OpData, RequestEntryData,
};
use ottla_protocol::messages::create_acls::{AclCreation, CreateAclsRequest};
use ottla_protocol::messages::delete_acls::{DeleteAclsFilter, DeleteAclsRequest};
use ottla_protocol::messages::describe_acls::DescribeAclsRequest;
use ottla_protocol::messages::describe_client_quotas::DescribeClientQuotasRequest;
use ottla_protocol::messages::metadata::MetadataRequest;
use ottla_protocol::messages::produce::ProduceRequest;
use ottla_protocol::messages::sasl_authenticate::SaslAuthenticateRequest;
use ottla_protocol::messages::sasl_handshake::SaslHandshakeRequest;

use crate::wire::{PRODUCE, Wire, batch, fetch_request, only_result, produce_request};

fn secured(security: Security) -> Wire {
    Wire::new(ClusterOptions::new().topic("t", 1, 1).security(security))
}

fn handshake(wire: &mut Wire, connection: ConnectionId, version: i16, mechanism: &str) -> ErrorCode {
    let request = SaslHandshakeRequest { mechanism: mechanism.to_owned(), ..Default::default() };
    let awaited = wire.send_on(connection, version, &request);
    wire.answer::<SaslHandshakeRequest>(awaited).unwrap().error_code
}

fn authenticate(wire: &mut Wire, connection: ConnectionId, token: &'static [u8]) -> ErrorCode {
    let auth_bytes = Bytes::from_static(token).into();
    let awaited = wire.send_on(connection, 2, &SaslAuthenticateRequest { auth_bytes, ..Default::default() });
    wire.answer::<SaslAuthenticateRequest>(awaited).unwrap().error_code
}

#[test]
fn nothing_is_served_before_the_right_password_is_known() {
    let mut wire = secured(Security::new().plain("alice", "wonderland"));
    let hasty = wire.connect(1);
    wire.send_on(hasty, 12, &MetadataRequest::default());
    assert_eq!(wire.closed, [hasty]);

    let wrong = wire.connect(1);
    assert_eq!(handshake(&mut wire, wrong, 1, "PLAIN"), ErrorCode::NONE);
    assert_eq!(authenticate(&mut wire, wrong, b"\0alice\0guess"), ErrorCode::SASL_AUTHENTICATION_FAILED);
    assert_eq!(wire.closed, [hasty, wrong]);

    let strange = wire.connect(1);
    assert_eq!(handshake(&mut wire, strange, 1, "SCRAM-SHA-256"), ErrorCode::UNSUPPORTED_SASL_MECHANISM);
    assert_eq!(wire.closed, [hasty, wrong, strange]);

    let right = wire.connect(1);
    assert_eq!(handshake(&mut wire, right, 1, "PLAIN"), ErrorCode::NONE);
    assert_eq!(authenticate(&mut wire, right, b"\0alice\0wonderland"), ErrorCode::NONE);
    let awaited = wire.send_on(right, 12, &MetadataRequest::default());
    assert!(wire.answer::<MetadataRequest>(awaited).is_some());
    assert_eq!(authenticate(&mut wire, right, b"\0alice\0wonderland"), ErrorCode::ILLEGAL_SASL_STATE);
}

#[test]
fn the_oldest_handshake_is_followed_by_bare_tokens() {
    let mut wire = secured(Security::new().plain("alice", "wonderland"));
    let connection = wire.connect(1);
    assert_eq!(handshake(&mut wire, connection, 0, "PLAIN"), ErrorCode::NONE);
    wire.cluster.handle(wire.now, connection, Bytes::from_static(b"\0alice\0wonderland"));
    wire.collect();
    assert_eq!(wire.bytes(connection).unwrap(), Bytes::from_static(&[0, 0, 0, 0]));
    let awaited = wire.send_on(connection, 12, &MetadataRequest::default());
    assert!(wire.answer::<MetadataRequest>(awaited).is_some());
}

#[test]
fn without_users_there_is_nothing_to_log_in_to() {
    let mut wire = secured(Security::new());
    let connection = wire.connect(1);
    assert_eq!(handshake(&mut wire, connection, 1, "PLAIN"), ErrorCode::ILLEGAL_SASL_STATE);
}

#[test]
fn only_what_is_allowed_can_be_done_or_seen() {
    let read = Acl::allow("User:ANONYMOUS", Operation::Read, ResourceType::Topic, "t");
    let mut wire = secured(Security::new().acl(read));
    let [broker] = [wire.leader()];
    let refused = wire.ask(broker, PRODUCE, &produce_request(1, batch(&["a"])));
    assert_eq!(only_result(refused.responses).error_code, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(wire.fetch(broker, &fetch_request(0)).error_code, ErrorCode::NONE);
    let creation = AclCreation {
        resource_type: 2,
        resource_name: "t".to_owned(),
        principal: "User:ANONYMOUS".to_owned(),
        host: "*".to_owned(),
        operation: 4,
        permission_type: 3,
        ..Default::default()
    };
    let create = CreateAclsRequest { creations: vec![creation], ..Default::default() };
    assert_eq!(wire.ask(1, 3, &create).results[0].error_code, ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
}

#[test]
fn entries_are_made_listed_and_taken_back_by_request() {
    let everything = Acl::allow("User:ANONYMOUS", Operation::All, ResourceType::Cluster, "kafka-cluster");
    let mut wire = secured(Security::new().acl(everything));
    let creation = AclCreation {
        resource_type: 2,
        resource_name: "t".to_owned(),
        principal: "User:ANONYMOUS".to_owned(),
        host: "*".to_owned(),
        operation: 4,
        permission_type: 3,
        ..Default::default()
    };
    let create = CreateAclsRequest { creations: vec![creation], ..Default::default() };
    assert_eq!(wire.ask(1, 3, &create).results[0].error_code, ErrorCode::NONE);
    assert_eq!(wire.produce(1, batch(&["a"])).error_code, ErrorCode::NONE);
    let any = DescribeAclsRequest {
        resource_type_filter: 1,
        resource_name_filter: None,
        pattern_type_filter: 1,
        principal_filter: None,
        host_filter: None,
        operation: 1,
        permission_type: 1,
        ..Default::default()
    };
    assert_eq!(wire.ask(1, 3, &any).resources.len(), 2);
    let filter = DeleteAclsFilter {
        resource_type_filter: 2,
        resource_name_filter: Some("t".to_owned()),
        pattern_type_filter: 2,
        principal_filter: None,
        host_filter: None,
        operation: 1,
        permission_type: 1,
        ..Default::default()
    };
    let delete = DeleteAclsRequest { filters: vec![filter], ..Default::default() };
    assert_eq!(wire.ask(1, 3, &delete).filter_results[0].matching_acls.len(), 1);
    assert_eq!(wire.produce(1, batch(&["a"])).error_code, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
}

#[test]
fn a_cluster_without_a_list_says_so() {
    let mut wire = secured(Security::new());
    let any = DescribeAclsRequest {
        resource_type_filter: 1,
        operation: 1,
        permission_type: 1,
        ..Default::default()
    };
    assert_eq!(wire.ask(1, 3, &any).error_code, ErrorCode::SECURITY_DISABLED);
}

#[test]
fn a_client_over_its_quota_is_held_back_after_its_answer() {
    let size = batch(&["a"]).len() as f64;
    let mut wire = secured(Security::new().quota(Quota::of_client("script").producer_byte_rate(size / 10.0)));
    let throttled = |wire: &mut Wire| {
        let awaited = wire.send(1, PRODUCE, &produce_request(1, batch(&["a"])));
        wire.answer::<ProduceRequest>(awaited).map(|response| response.throttle_time_ms)
    };
    // The request is larger than its batch, so one alone is a little more than ten seconds' worth.
    let first = throttled(&mut wire).unwrap();
    assert!((1..10_000).contains(&first), "{first}");
    assert_eq!(throttled(&mut wire), None);
    wire.pass(Duration::from_secs(60));
    let connection = wire.connection(1);
    assert!(wire.bytes(connection).is_some(), "the second answer");
    assert_eq!(wire.read_end(), 2);
}

#[test]
fn quotas_are_set_and_listed_by_request() {
    let mut wire = secured(Security::new());
    let alter = |wire: &mut Wire, entity_type: &str, key: &str, value: f64, remove| {
        let entity = EntityData {
            entity_type: entity_type.to_owned(),
            entity_name: Some("x".to_owned()),
            ..Default::default()
        };
        let op = OpData { key: key.to_owned(), value, remove, ..Default::default() };
        let entry = RequestEntryData { entity: vec![entity], ops: vec![op], ..Default::default() };
        let request = AlterClientQuotasRequest { entries: vec![entry], ..Default::default() };
        wire.ask(1, 1, &request).entries[0].error_code
    };
    let listed = |wire: &mut Wire| {
        let entries = wire.ask(1, 1, &DescribeClientQuotasRequest::default()).entries.unwrap();
        entries.into_iter().map(|mut entry| entry.values.remove(0).value).collect::<Vec<_>>()
    };
    assert_eq!(alter(&mut wire, "client-id", "producer_byte_rate", 5.0, false), ErrorCode::NONE);
    assert_eq!(alter(&mut wire, "planet", "producer_byte_rate", 5.0, false), ErrorCode::INVALID_REQUEST);
    assert_eq!(alter(&mut wire, "user", "height", 5.0, false), ErrorCode::INVALID_REQUEST);
    assert_eq!(alter(&mut wire, "user", "producer_byte_rate", 0.0, false), ErrorCode::INVALID_REQUEST);
    assert_eq!(listed(&mut wire), [5.0]);
    assert_eq!(alter(&mut wire, "client-id", "producer_byte_rate", 0.0, true), ErrorCode::NONE);
    assert_eq!(listed(&mut wire), Vec::<f64>::new());
}
