//! The cluster in memory as users' tests have it.

use ottla::mock::{ApiKey, ClusterOptions, Dialer, Fault, Mock};
use ottla::{Dial, Error, ErrorKind, Kafka, NewTopic, ProducerOptions, Record};

/// The README has this test.
#[tokio::test(start_paused = true)]
async fn an_order_is_written_once_even_if_the_answer_is_lost() -> Result<(), Error> {
    let mock = Mock::start(ClusterOptions::new().brokers(3).topic("orders", 6, 3)).expect("a cluster");
    let kafka = Kafka::embedded(&mock)?;

    mock.cluster().on(ApiKey::PRODUCE).topic("orders").once(Fault::drop_answer());
    let producer = kafka.producer(ProducerOptions::default())?;
    let delivered = producer.send(Record::new("orders").value(b"tea")).await?.await?;

    let log_end = mock.cluster().log("orders", delivered.partition).map(|log| log.end_offset());
    assert_eq!(log_end, Some(1));
    assert_eq!(mock.cluster().requests(ApiKey::PRODUCE), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_cluster_lives_as_long_as_its_handle() -> Result<(), Error> {
    let kafka = Kafka::embedded(&Mock::start(ClusterOptions::new()).expect("a cluster"))?;
    kafka.create_topic(NewTopic::new("orders")).await?;
    let producer = kafka.producer(ProducerOptions::default())?;
    drop(kafka);
    assert_eq!(producer.send(Record::new("orders").value(b"tea")).await?.await?.offset, Some(0));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_address_that_no_broker_has_refuses_connections() {
    let mock = Mock::start(ClusterOptions::new()).expect("a cluster");
    let dialer = Dialer::new(&mock);
    assert!(dialer.dial(None, "mock-1", 9092).await.is_ok());
    let refused = dialer.dial(None, "mock-2", 9092).await.err().expect("there is one broker");
    assert_eq!(refused.kind(), ErrorKind::Connect);
    let text = refused.to_string();
    assert!(text.starts_with("cannot connect to mock-2:9092 of the cluster in memory"), "{text}");
    mock.kill_broker(1).expect("there is one broker");
    assert!(dialer.dial(None, "mock-1", 9092).await.is_err());
}
