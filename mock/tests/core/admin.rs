//! Topics and settings by request.

use ottla_mock::{ClusterOptions, Release};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use ottla_protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use ottla_protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use ottla_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use ottla_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use ottla_protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use ottla_protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
};
use ottla_protocol::messages::elect_leaders::{ElectLeadersRequest, TopicPartitions};
use ottla_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_protocol::messages::list_partition_reassignments::ListPartitionReassignmentsRequest;

use crate::wire::{Wire, batch, fetch_request};

fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic { name: name.to_owned(), num_partitions, replication_factor, ..Default::default() }
}

fn create(wire: &mut Wire, topics: Vec<CreatableTopic>) -> Vec<(String, ErrorCode)> {
    let response = wire.ask(1, 7, &CreateTopicsRequest { topics, ..Default::default() });
    response.topics.into_iter().map(|topic| (topic.name, topic.error_code)).collect()
}

#[test]
fn a_topic_is_refused_for_what_kafka_refuses_it() {
    let mut wire = Wire::three();
    let config = |name: &str, value: &str| CreatableTopicConfig {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        ..Default::default()
    };
    let on =
        |brokers: &[i32]| CreatableReplicaAssignment { broker_ids: brokers.to_vec(), ..Default::default() };
    let cases = [
        (topic("t", 1, 1), ErrorCode::TOPIC_ALREADY_EXISTS),
        (topic("a b", 1, 1), ErrorCode::INVALID_TOPIC_EXCEPTION),
        (topic("a", 0, 1), ErrorCode::INVALID_PARTITIONS),
        (topic("a", 1, 4), ErrorCode::INVALID_REPLICATION_FACTOR),
        (topic("a", 1, 0), ErrorCode::INVALID_REPLICATION_FACTOR),
        (CreatableTopic { configs: vec![config("x", "1")], ..topic("a", 1, 1) }, ErrorCode::INVALID_CONFIG),
        (
            CreatableTopic { configs: vec![config("retention.ms", "x")], ..topic("a", 1, 1) },
            ErrorCode::INVALID_CONFIG,
        ),
        (
            CreatableTopic { assignments: vec![on(&[1, 1])], ..topic("a", -1, -1) },
            ErrorCode::INVALID_REPLICA_ASSIGNMENT,
        ),
        (
            CreatableTopic { assignments: vec![on(&[9])], ..topic("a", -1, -1) },
            ErrorCode::INVALID_REPLICA_ASSIGNMENT,
        ),
        (CreatableTopic { assignments: vec![on(&[1])], ..topic("a", 1, -1) }, ErrorCode::INVALID_REQUEST),
        (CreatableTopic { assignments: vec![on(&[3, 1])], ..topic("a.b", -1, -1) }, ErrorCode::NONE),
        (topic("a_b", 1, 1), ErrorCode::INVALID_TOPIC_EXCEPTION),
        (topic("c", -1, -1), ErrorCode::NONE),
    ];
    for (case, code) in cases {
        let name = case.name.clone();
        assert_eq!(create(&mut wire, vec![case.clone()]), [(name, code)], "{case:?}");
    }
    let twice = create(&mut wire, vec![topic("d", 1, 1), topic("d", 1, 1)]);
    assert_eq!(twice, [("d".to_owned(), ErrorCode::INVALID_REQUEST)]);
    assert_eq!(wire.cluster.leader("a.b", 0), Some(3));
}

#[test]
fn a_dry_run_creates_nothing() {
    let mut wire = Wire::three();
    let request =
        CreateTopicsRequest { topics: vec![topic("a", 2, 3)], validate_only: true, ..Default::default() };
    let result = wire.ask(1, 7, &request).topics.remove(0);
    assert_eq!(
        (result.error_code, result.num_partitions, result.replication_factor),
        (ErrorCode::NONE, 2, 3)
    );
    assert!(!result.topic_id.is_zero(), "an id is made up");
    assert_eq!(wire.cluster.leader("a", 0), None);
}

#[test]
fn before_3_0_only_the_controller_creates_topics() {
    let mut wire = Wire::new(ClusterOptions::new().brokers(2).release(Release::V2_1));
    let request = CreateTopicsRequest { topics: vec![topic("a", 1, 1)], ..Default::default() };
    assert_eq!(wire.ask(2, 3, &request).topics[0].error_code, ErrorCode::NOT_CONTROLLER);
    assert_eq!(wire.ask(1, 3, &request).topics[0].error_code, ErrorCode::NONE);
}

#[test]
fn a_topic_that_is_created_anew_has_another_id_and_nothing_in_it() {
    let mut wire = Wire::three();
    wire.produce(-1, batch(&["a"]));
    let state = DeleteTopicState { name: Some("t".to_owned()), ..Default::default() };
    let delete = DeleteTopicsRequest { topics: vec![state], ..Default::default() };
    let old = wire.ask(1, 6, &delete).responses.remove(0);
    assert_eq!(old.error_code, ErrorCode::NONE);
    assert_eq!(wire.ask(1, 6, &delete).responses[0].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let request = CreateTopicsRequest { topics: vec![topic("t", 1, 3)], ..Default::default() };
    assert_ne!(wire.ask(1, 7, &request).topics[0].topic_id, old.topic_id);
    assert_eq!(wire.read(0), Vec::<String>::new());
    let gone = DeleteTopicState { topic_id: old.topic_id, ..Default::default() };
    let delete = DeleteTopicsRequest { topics: vec![gone], ..Default::default() };
    assert_eq!(wire.ask(1, 6, &delete).responses[0].error_code, ErrorCode::UNKNOWN_TOPIC_ID);
}

#[test]
fn partitions_only_become_more() {
    let mut wire = Wire::three();
    let mut grow = |count| {
        let topic =
            CreatePartitionsTopic { name: "t".to_owned(), count, assignments: None, ..Default::default() };
        let request = CreatePartitionsRequest { topics: vec![topic], ..Default::default() };
        wire.ask(1, 3, &request).results[0].error_code
    };
    assert_eq!(grow(1), ErrorCode::INVALID_PARTITIONS);
    assert_eq!(grow(3), ErrorCode::NONE);
    assert_eq!(grow(2), ErrorCode::INVALID_PARTITIONS);
    assert!(wire.cluster.leader("t", 2).is_some());
}

#[test]
fn deleted_records_are_out_of_range() {
    let mut wire = Wire::three();
    wire.produce(-1, batch(&["a", "b", "c"]));
    let leader = wire.leader();
    let mut delete = |offset| {
        let partition = DeleteRecordsPartition { offset, ..Default::default() };
        let topic =
            DeleteRecordsTopic { name: "t".to_owned(), partitions: vec![partition], ..Default::default() };
        let request = DeleteRecordsRequest { topics: vec![topic], ..Default::default() };
        let result = wire.ask(leader, 2, &request).topics.remove(0).partitions.remove(0);
        (result.error_code, result.low_watermark)
    };
    assert_eq!(delete(9), (ErrorCode::OFFSET_OUT_OF_RANGE, -1));
    assert_eq!(delete(2), (ErrorCode::NONE, 2));
    assert_eq!(wire.fetch(leader, &fetch_request(1)).error_code, ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(wire.fetch(leader, &fetch_request(2)).log_start_offset, 2);
}

#[test]
fn settings_change_one_by_one_and_say_where_they_come_from() {
    let mut wire = Wire::new(ClusterOptions::new().topic("t", 1, 1).config("log.retention.ms", "5"));
    let value_and_source = |wire: &mut Wire| {
        let resource = DescribeConfigsResource {
            resource_type: 2,
            resource_name: "t".to_owned(),
            configuration_keys: Some(vec!["retention.ms".to_owned()]),
            ..Default::default()
        };
        let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
        let mut result = wire.ask(1, 4, &request).results.remove(0);
        let config = result.configs.remove(0);
        (config.value.unwrap(), config.config_source)
    };
    let alter = |wire: &mut Wire, config_operation, value: Option<&str>| {
        let config = AlterableConfig {
            name: "retention.ms".to_owned(),
            config_operation,
            value: value.map(str::to_owned),
            ..Default::default()
        };
        let resource = AlterConfigsResource {
            resource_type: 2,
            resource_name: "t".to_owned(),
            configs: vec![config],
            ..Default::default()
        };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
        wire.ask(1, 1, &request).responses[0].error_code
    };
    assert_eq!(value_and_source(&mut wire), ("5".to_owned(), 4));
    assert_eq!(alter(&mut wire, 0, Some("7")), ErrorCode::NONE);
    assert_eq!(value_and_source(&mut wire), ("7".to_owned(), 1));
    assert_eq!(alter(&mut wire, 0, Some("-7")), ErrorCode::INVALID_CONFIG);
    assert_eq!(alter(&mut wire, 1, None), ErrorCode::NONE);
    assert_eq!(value_and_source(&mut wire), ("5".to_owned(), 4));
}

#[test]
fn the_preferred_replica_leads_again_when_it_is_asked_to() {
    let mut wire = Wire::three();
    let preferred = wire.leader();
    let elect = |wire: &mut Wire| {
        let topics = TopicPartitions { topic: "t".to_owned(), partitions: vec![0], ..Default::default() };
        let request = ElectLeadersRequest { topic_partitions: Some(vec![topics]), ..Default::default() };
        wire.ask(1, 2, &request).replica_election_results.remove(0).partition_result.remove(0).error_code
    };
    assert_eq!(elect(&mut wire), ErrorCode::ELECTION_NOT_NEEDED);
    let [other, _] = wire.followers();
    wire.cluster.move_leader(wire.now, "t", 0, other).unwrap();
    assert_eq!(elect(&mut wire), ErrorCode::NONE);
    assert_eq!(wire.leader(), preferred);
    wire.cluster.stop_broker(wire.now, preferred).unwrap();
    wire.collect();
    if preferred != 1 {
        assert_eq!(elect(&mut wire), ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE);
    }
}

#[test]
fn a_partition_moves_to_brokers_that_run_and_waits_for_those_that_do_not() {
    let mut wire = Wire::new(ClusterOptions::new().brokers(4).topic("t", 1, 2));
    wire.produce(-1, batch(&["a"]));
    let replicas = wire.metadata(1).replica_nodes;
    let spare: Vec<i32> = (1..=4).filter(|id| !replicas.contains(id)).collect();
    wire.cluster.stop_broker(wire.now, spare[1]).unwrap();
    wire.collect();
    let asked = if spare[1] == 1 { 2 } else { 1 };
    let partition = ReassignablePartition { replicas: Some(spare.clone()), ..Default::default() };
    let topic = ReassignableTopic { name: "t".to_owned(), partitions: vec![partition], ..Default::default() };
    let request = AlterPartitionReassignmentsRequest { topics: vec![topic], ..Default::default() };
    assert_eq!(wire.ask(asked, 1, &request).responses[0].partitions[0].error_code, ErrorCode::NONE);
    let listed = wire.ask(asked, 0, &ListPartitionReassignmentsRequest::default());
    let moving = &listed.topics[0].partitions[0];
    assert_eq!((&moving.adding_replicas, &moving.removing_replicas), (&spare, &replicas.to_vec()));
    wire.cluster.restart_broker(wire.now, spare[1]).unwrap();
    wire.collect();
    assert_eq!(wire.ask(asked, 0, &ListPartitionReassignmentsRequest::default()).topics, []);
    assert_eq!(wire.metadata(asked).replica_nodes, spare);
    assert!(spare.contains(&wire.leader()));
    assert_eq!(wire.read(0), ["a"]);
}

#[test]
fn topics_are_described_in_portions() {
    let mut wire = Wire::new(ClusterOptions::new().topic("t", 3, 1).topic("u", 2, 1));
    let mut cursor: Option<Cursor> = None;
    let mut portions = Vec::new();
    loop {
        let request =
            DescribeTopicPartitionsRequest { response_partition_limit: 2, cursor, ..Default::default() };
        let response: DescribeTopicPartitionsResponse = wire.ask(1, 0, &request);
        let partitions = response.topics.iter().flat_map(|topic| {
            let name = topic.name.clone().unwrap();
            topic.partitions.iter().map(move |partition| format!("{name}{}", partition.partition_index))
        });
        portions.push(partitions.collect::<Vec<_>>());
        cursor = response.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(portions, [vec!["t0", "t1"], vec!["t2", "u0"], vec!["u1"]]);
}
