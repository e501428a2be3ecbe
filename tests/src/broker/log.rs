//! The log as it is: its ends, and everything in it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ottla::consumer::{Record, Start};
use ottla::protocol::messages::list_offsets::{
    LATEST_TIMESTAMP, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use ottla::{Consumer, ConsumerOptions, Kafka, TopicPartition};
use ottla_client::{Purpose, Target};

use super::run::DEADLINE;

/// How long one poll waits; what matters is [`DEADLINE`].
const POLL: Duration = Duration::from_millis(500);

/// All partitions of `topic`.
pub async fn partitions_of(kafka: &Kafka, topic: &str) -> Vec<TopicPartition> {
    let known = kafka.client().topic(topic, Instant::now() + DEADLINE).await;
    let known = known.unwrap_or_else(|error| panic!("{topic}: {error}"));
    (0..known.partitions.len()).map(|partition| partition_of(topic, partition as i32)).collect()
}

/// Where each partition of `topic` ends, asked of its leader.
pub async fn end_offsets(kafka: &Kafka, topic: &str) -> BTreeMap<TopicPartition, i64> {
    let mut ends = BTreeMap::new();
    for partition in partitions_of(kafka, topic).await {
        let end = end_offset(kafka, &partition).await;
        ends.insert(partition, end);
    }
    ends
}

async fn end_offset(kafka: &Kafka, partition: &TopicPartition) -> i64 {
    let deadline = Instant::now() + DEADLINE;
    let in_use = kafka.client().topics_in_use();
    in_use.add(&partition.topic);
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: partition.topic.to_string(),
            partitions: vec![ListOffsetsPartition {
                partition_index: partition.partition,
                timestamp: LATEST_TIMESTAMP,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut last = "no leader is known".to_owned();
    while Instant::now() < deadline {
        let mut updates = kafka.client().cluster_updates();
        if let Some(leader) = kafka.client().cluster().leader(&partition.topic, partition.partition) {
            let target = Target::Node(leader.node, Purpose::General);
            let limit = deadline.min(Instant::now() + Duration::from_secs(5));
            match kafka.client().call(target, &request, limit).await {
                Err(error) => last = error.to_string(),
                Ok(answer) => {
                    let answer = &answer.topics[0].partitions[0];
                    match answer.error_code.check() {
                        Ok(()) => return answer.offset,
                        Err(code) => last = code.to_string(),
                    }
                }
            }
        }
        // A leader that moved: only newer metadata helps.
        kafka.client().refresh_metadata();
        let _ = tokio::time::timeout(POLL, updates.changed()).await;
    }
    panic!("no end of {partition}: {last}")
}

/// Reads everything that is in `topic` now, outside of any group: partition after partition, by offset.
pub async fn read_all(kafka: &Kafka, topic: &str) -> Vec<Record> {
    read_all_with(kafka, topic, ConsumerOptions::default()).await
}

/// [`read_all`] with options of the caller's choice.
pub async fn read_all_with(kafka: &Kafka, topic: &str, options: ConsumerOptions) -> Vec<Record> {
    let ends = end_offsets(kafka, topic).await;
    let mut consumer = kafka.consumer(options).expect("a consumer");
    let starts = ends.keys().map(|partition| (partition.clone(), Start::Earliest));
    consumer.assign(starts).unwrap_or_else(|error| panic!("{topic}: {error}"));
    let mut found: BTreeMap<TopicPartition, Vec<Record>> = BTreeMap::new();
    let deadline = Instant::now() + DEADLINE;
    for (partition, end) in &ends {
        // Positions count, not records: the last offsets may be those of control records.
        while consumer.position(partition).await.unwrap_or_else(|error| panic!("{partition}: {error}")) < *end
        {
            assert!(
                Instant::now() < deadline,
                "{partition} was not read to its end {end} within {DEADLINE:?}"
            );
            for record in consumer.poll(POLL).await.unwrap_or_else(|error| panic!("{topic}: {error}")) {
                if record.offset() < ends[record.topic_partition()] {
                    found.entry(record.topic_partition().clone()).or_default().push(record);
                }
            }
        }
    }
    found.into_values().flatten().collect()
}

/// Polls until `count` records came; fails the test at [`DEADLINE`], or when more come with the last poll.
pub async fn read(consumer: &mut Consumer, count: usize) -> Vec<Record> {
    let deadline = Instant::now() + DEADLINE;
    let mut found = Vec::new();
    while found.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} records came within {DEADLINE:?}", found.len());
        found.extend(consumer.poll(POLL).await.unwrap_or_else(|error| panic!("poll: {error}")));
    }
    assert_eq!(found.len(), count, "more came than was written");
    found
}

fn partition_of(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}
