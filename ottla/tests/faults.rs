//! What a client makes of brokers that fall silent or whose answers are lost, on the cluster in memory.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read the clock and panic where they fail"
)]

use std::time::Duration;

use ottla::mock::{ApiKey, ClusterOptions, Dialer, Fault, Mock};
use ottla::{ClientOptions, Kafka, NewTopic, ProducerOptions, Record};
use tokio::time::Instant;

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

#[tokio::test(start_paused = true)]
async fn a_topic_whose_creation_was_not_answered_is_created_and_not_someone_elses() {
    let mock = Mock::start(ClusterOptions::new()).unwrap();
    let kafka = Kafka::embedded(&mock).unwrap();
    mock.cluster().on(ApiKey::CREATE_TOPICS).once(Fault::drop_answer());
    kafka.create_topic(NewTopic::new("orders")).await.unwrap();
    let again = kafka.create_topic(NewTopic::new("orders")).await.unwrap_err();
    assert!(again.to_string().contains("TOPIC_ALREADY_EXISTS"), "{again}");

    mock.cluster().on(ApiKey::DELETE_TOPICS).once(Fault::drop_answer());
    kafka.delete_topic("orders").await.unwrap();
    kafka.delete_topic("orders").await.unwrap_err();
}

/// Whichever broker stands still, one of them is the one that this client asks for metadata.
#[tokio::test(start_paused = true)]
async fn a_silent_leader_costs_one_request_timeout_whoever_is_asked_for_metadata() {
    for silent in 1..=3 {
        let mock = Mock::start(ClusterOptions::new().brokers(3).topic("orders", 3, 3)).unwrap();
        let leads = |partition: &i32| mock.cluster().leader("orders", *partition) == Some(silent);
        let partition = (0..3).find(leads).unwrap();
        let options = ClientOptions::new().bootstrap_servers(mock.bootstrap_servers());
        let kafka = Kafka::with_dialer(options, std::sync::Arc::new(Dialer::new(&mock))).unwrap();
        // The brokers elect another leader 9 s after the silence began.
        let options = ProducerOptions::default().request_timeout(SECONDS(12));
        let producer = kafka.producer(options).unwrap();
        let record = Record::new("orders").partition(partition).value(b"tea");
        producer.send(record).await.unwrap().await.unwrap();

        mock.pause_broker(silent).unwrap();
        let begin = Instant::now();
        let delivered = producer.send(record).await.unwrap().await.unwrap();
        let took = begin.elapsed();
        assert_eq!(delivered.offset, Some(1));
        assert!((SECONDS(12)..SECONDS(14)).contains(&took), "broker {silent}: {took:?}");
    }
}
