//! The producer on a cluster in memory: topics that come, grow, go and come back, and many partitions.

#![allow(
    clippy::disallowed_methods,
    reason = "a test plays the application, with clock and tasks of its own"
)]

use std::sync::Arc;
use std::time::Instant;

use ottla_client::{Client, ClientOptions, Dial, DialFuture, Error, NodeId, Stream, Target};
use ottla_mock::{ClusterOptions, Mock};
use ottla_protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};

use super::*;

#[derive(Debug)]
struct Pipes(Mock);

impl Dial for Pipes {
    fn dial<'a>(&'a self, _node: Option<NodeId>, host: &'a str, port: u16) -> DialFuture<'a> {
        Box::pin(async move {
            match self.0.dial(host, port) {
                Ok(pipe) => Ok(Box::new(pipe) as Box<dyn Stream>),
                Err(cause) => Err(Error::new(ErrorKind::Connect, format!("cannot connect to {host}:{port}"))
                    .with_cause(cause)),
            }
        })
    }
}

fn client(mock: &Mock) -> Client {
    let options = ClientOptions::new().bootstrap_servers(mock.bootstrap_servers().as_str());
    Client::with_dialer(options, Arc::new(Pipes(mock.clone()))).unwrap()
}

/// Without topics that come to be by being asked for.
fn cluster(brokers: i32) -> ClusterOptions {
    ClusterOptions::new().brokers(brokers).config("auto.create.topics.enable", "false")
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn ends(mock: &Mock, topic: &str) -> Vec<i64> {
    let cluster = mock.cluster();
    (0..).map_while(|partition| Some(cluster.log(topic, partition)?.end_offset())).collect()
}

async fn send_to(producer: &Producer, topic: &str, partition: i32) -> crate::Delivered {
    let record = Record::new(topic).partition(partition).value("v");
    producer.send(record).await.unwrap().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn new_partitions_are_used_when_metadata_is_too_old() {
    let mock = Mock::start(ClusterOptions::new().brokers(2).topic("t", 1, 1)).unwrap();
    let client = client(&mock);
    let producer = Producer::new(client.clone(), ProducerOptions::new().batch_size(200usize)).unwrap();
    send_to(&producer, "t", 0).await;
    let grow = CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: "t".into(),
            count: 4,
            assignments: None,
            ..Default::default()
        }],
        timeout_ms: 1_000,
        ..Default::default()
    };
    let grown = client.call(Target::Controller, &grow, now() + MS(5_000)).await.unwrap();
    assert!(grown.results[0].error_code.is_ok());
    let start = tokio::time::Instant::now();
    while ends(&mock, "t").contains(&0) {
        let value = [0; 150];
        producer.send(Record::new("t").value(&value)).await.unwrap().await.unwrap();
        tokio::time::sleep(MS(1_000)).await;
        let is_first_to_come = ends(&mock, "t")[1..].iter().all(|end| *end == 0);
        assert!(
            !is_first_to_come || start.elapsed() < MS(330_000),
            "within `metadata.max.age.ms` and a turn"
        );
        // Which partition is next is drawn: that each of three comes may take many turns.
        assert!(start.elapsed() < MS(900_000), "all of them");
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_made_anew_goes_on_from_its_beginning() {
    let mock = Mock::start(cluster(3).topic("t", 2, 1)).unwrap();
    let producer = Producer::new(client(&mock), ProducerOptions::new()).unwrap();
    for _ in 0..3 {
        send_to(&producer, "t", 1).await;
    }
    assert!(mock.cluster().delete_topic(now(), "t"));
    mock.cluster().create_topic("t", 2, 1).unwrap();
    let delivered = send_to(&producer, "t", 1).await;
    assert_eq!((delivered.offset, ends(&mock, "t")), (Some(0), vec![0, 1]));

    // And when it is gone for a while.
    assert!(mock.cluster().delete_topic(now(), "t"));
    let waiting = producer.send(Record::new("t").partition(0).value("v")).await.unwrap();
    tokio::time::sleep(MS(20_000)).await;
    mock.cluster().create_topic("t", 2, 1).unwrap();
    assert_eq!(waiting.await.unwrap().offset, Some(0));
    assert_eq!(send_to(&producer, "t", 1).await.offset, Some(0));
}

#[tokio::test(start_paused = true)]
async fn topics_are_created_by_sending_to_them_unless_that_is_not_allowed() {
    let mock = Mock::start(ClusterOptions::new().brokers(1)).unwrap();
    let client = client(&mock);
    let options = ProducerOptions::new().max_block(MS(2_000));
    let strict = Producer::new(client.clone(), options.clone().allow_auto_create_topics(false)).unwrap();
    let start = tokio::time::Instant::now();
    let error = strict.send(Record::new("new").value("v")).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_millis() / 10), (ErrorKind::UnknownTopic, 200));
    assert!(error.to_string().contains("topic new does not exist"), "{error}");
    assert!(ends(&mock, "new").is_empty());
    let error = strict.try_send(Record::new("new").value("v")).unwrap_err().error;
    assert!(error.is_retriable(), "{error}");
    tokio::time::sleep(MS(1_000)).await;
    assert!(ends(&mock, "new").is_empty());

    let producer = Producer::new(client.clone(), options).unwrap();
    assert_eq!(send_to(&producer, "new", 0).await.offset, Some(0));
    let tried = Record::new("newer").value("v");
    let delivery = loop {
        match producer.try_send(tried) {
            Ok(delivery) => break delivery,
            Err(refused) => assert_eq!(refused.error.kind(), ErrorKind::UnknownTopic),
        }
        tokio::time::sleep(MS(10)).await;
    };
    assert_eq!(delivery.await.unwrap().offset, Some(0));
}

#[tokio::test(start_paused = true)]
async fn topics_without_records_are_forgotten_and_come_back_without_a_repeat() {
    let topics = (0..50)
        .fold(ClusterOptions::new().brokers(2), |options, topic| options.topic(format!("t{topic}"), 4, 1));
    let mock = Mock::start(topics).unwrap();
    let client = client(&mock);
    let producer =
        Producer::new(client.clone(), ProducerOptions::new().metadata_max_idle(MS(10_000))).unwrap();
    let known = || (0..50).filter(|topic| producer.accumulator().knows(&format!("t{topic}"))).count();
    let _asked = producer.try_send(Record::new("nowhere").value("v")).unwrap_err();
    for round in 1..=3 {
        for topic in 0..50 {
            for partition in 0..4 {
                send_to(&producer, &format!("t{topic}"), partition).await;
            }
        }
        assert_eq!(known(), 50);
        for _ in 0..15 {
            send_to(&producer, "t7", 0).await;
            tokio::time::sleep(MS(1_000)).await;
        }
        assert_eq!(known(), 1, "round {round}: only the one in use");
        client.refresh_metadata();
        tokio::time::sleep(MS(1_000)).await;
        assert_eq!(client.cluster().topics().map(|topic| &*topic.name).collect::<Vec<_>>(), ["t7"]);
        assert_eq!(client.cluster().topic_error("nowhere"), None);
    }
    for topic in (0..50).filter(|topic| *topic != 7) {
        assert_eq!(ends(&mock, &format!("t{topic}")), [3; 4], "topic {topic}");
    }
    assert_eq!(ends(&mock, "t7"), [48, 3, 3, 3]);
}

#[tokio::test(start_paused = true)]
async fn memory_stays_within_its_bound_with_twenty_thousand_partitions() {
    const PARTITIONS: i32 = 10_000;
    const MEMORY: usize = 4 << 20;
    let mock = Mock::start(cluster(3).topic("a", PARTITIONS, 1).topic("b", PARTITIONS, 1)).unwrap();
    // Lingering would take minutes; each first buffer is 16 KiB, so there is room for 256 of them.
    let options = ProducerOptions::new().linger(MS(10_000)).buffer_memory(MEMORY).batch_size(1usize << 20);
    let producer = Producer::new(client(&mock), options).unwrap();
    let start = tokio::time::Instant::now();
    let mut deliveries = Vec::new();
    for (topic, partition) in
        ["a", "b"].into_iter().flat_map(|topic| (0..PARTITIONS).map(move |at| (topic, at)))
    {
        deliveries.push(producer.send(Record::new(topic).partition(partition).value("v")).await.unwrap());
        assert!(producer.accumulator().memory.charged() <= MEMORY);
    }
    producer.flush().await.unwrap();
    assert!(start.elapsed() < MS(10_000), "without lingering: {:?}", start.elapsed());
    assert!(deliveries.iter_mut().all(|delivery| matches!(delivery.outcome(), Some(Ok(_)))));
    assert_eq!([ends(&mock, "a"), ends(&mock, "b")], [(); 2].map(|()| vec![1; PARTITIONS as usize]));
    assert_eq!(producer.accumulator().memory.charged(), 0);
}
