//! What administrators do to topics while work goes on.

use std::time::{Duration, Instant};

use ottla::protocol::api::Request;
use ottla::protocol::error_code::ErrorCode;
use ottla::protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use ottla::protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use ottla::protocol::messages::elect_leaders::{ElectLeadersRequest, TopicPartitions};
use ottla::{Kafka, NodeId, TopicPartition};
use ottla_client::Target;

use super::harm::await_topic;
use super::run::DEADLINE;

/// How long the controller is left in peace after it refused something for now.
const PAUSE: Duration = Duration::from_millis(100);

/// Gives a partition these replicas, and makes the first of them its leader; returns when both is so. (KIP-455, KIP-460)
pub async fn move_partition(kafka: &Kafka, partition: &TopicPartition, replicas: &[NodeId]) {
    let moved = ReassignablePartition {
        partition_index: partition.partition,
        replicas: Some(replicas.to_vec()),
        ..Default::default()
    };
    let topic = ReassignableTopic {
        name: partition.topic.to_string(),
        partitions: vec![moved],
        ..Default::default()
    };
    let request = AlterPartitionReassignmentsRequest { topics: vec![topic], ..Default::default() };
    until_done(kafka, &request, |answer| {
        answer.error_code.check().err().unwrap_or(answer.responses[0].partitions[0].error_code)
    })
    .await;
    await_topic(kafka, &partition.topic, "is not where it was moved to", |topic| {
        let found = topic.partition(partition.partition)?;
        let all = |ids: &[NodeId]| ids.len() == replicas.len() && replicas.iter().all(|id| ids.contains(id));
        (all(&found.replicas) && all(&found.isr)).then_some(())
    })
    .await;

    let elected = TopicPartitions {
        topic: partition.topic.to_string(),
        partitions: vec![partition.partition],
        ..Default::default()
    };
    let request = ElectLeadersRequest { topic_partitions: Some(vec![elected]), ..Default::default() };
    until_done(kafka, &request, |answer| {
        let results = || answer.replica_election_results.iter().flat_map(|topic| &topic.partition_result);
        let code = answer.error_code.check().err();
        let code = code.or_else(|| results().find_map(|result| result.error_code.check().err()));
        code.filter(|code| *code != ErrorCode::ELECTION_NOT_NEEDED).unwrap_or_default()
    })
    .await;
    await_topic(kafka, &partition.topic, "has another leader than was elected", |topic| {
        (topic.partition(partition.partition)?.leader == replicas.first().copied()).then_some(())
    })
    .await;
}

/// Gives a topic more partitions, `count` in all. (KIP-195)
pub async fn grow(kafka: &Kafka, topic: &str, count: i32) {
    let grown =
        CreatePartitionsTopic { name: topic.to_owned(), count, assignments: None, ..Default::default() };
    let request = CreatePartitionsRequest { topics: vec![grown], timeout_ms: 30_000, ..Default::default() };
    until_done(kafka, &request, |answer| answer.results[0].error_code).await;
}

/// Asks the controller until it does it.
async fn until_done<R: Request>(kafka: &Kafka, request: &R, code: impl Fn(&R::Response) -> ErrorCode) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let answer = kafka.client().call(Target::Controller, request, deadline).await;
        let answer = answer.unwrap_or_else(|error| panic!("the controller is not reached: {error}"));
        match code(&answer).check() {
            Ok(()) => return,
            Err(code) => {
                assert!(code.is_retriable() && Instant::now() < deadline, "the controller refuses: {code}");
                kafka.client().refresh_metadata();
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
