//! Ottla: a Kafka client written wholly in Rust.
//!
//! It speaks Kafka's protocol itself: no librdkafka, no C compiler, no OpenSSL, on any target and with every feature
//! on. One [`Kafka`] handle owns the connections and the metadata; every producer and consumer made from it uses
//! them.
//!
//! ```no_run
//! use std::time::Duration;
//! use ottla::{ConsumerOptions, Kafka, OffsetReset, ProducerOptions, Record};
//!
//! # async fn run() -> Result<(), ottla::Error> {
//! let kafka = Kafka::connect("localhost:9092")?;
//!
//! let producer = kafka.producer(ProducerOptions::default())?;
//! let delivery = producer.send(Record::new("greetings").key(b"en").value(b"hello")).await?;
//! println!("written at {:?}", delivery.await?.offset);
//! producer.close(Duration::from_secs(10)).await?;
//!
//! let mut consumer = kafka.consumer(ConsumerOptions::default().group_id("readers").auto_offset_reset(OffsetReset::Earliest))?;
//! consumer.subscribe(["greetings"])?;
//! let record = consumer.next().await?;
//! println!("{:?} at {}", record.value(), record.offset());
//! consumer.close(Duration::from_secs(10)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! What the parts promise stands at their heads: [`Producer`], [`Consumer`], [`Error`].
//!
//! With the feature `mock`, the module `mock` has a Kafka cluster in memory for your tests.

pub use kafka::Kafka;
pub use topics::NewTopic;

pub use ottla_client::deserialize;
pub use ottla_client::options;
pub use ottla_client::serialize;
pub use ottla_client::{
    Client, ClientOptions, Cluster, Dial, DialFuture, Error, ErrorKind, Node, NodeId, Partition, TcpDialer,
    Topic, TopicPartition,
};
pub use ottla_consumer as consumer;
pub use ottla_consumer::{
    Acknowledger, BadRecord, CommitMode, Consumer, ConsumerEvent, ConsumerEvents, ConsumerMetrics,
    ConsumerOptions, Decoder, GroupMetadata, OffsetAndMetadata, OffsetReset, PartitionStream,
    PartitionStreams, RebalanceContext, RebalanceListener, RunError, Scan, ScanEnd, Scanning, Shutdown,
    Start, Stuck, StuckReason, TypedConsumer,
};
pub use ottla_producer as producer;
pub use ottla_producer::{
    Acknowledgement, Delivered, Delivery, Header, Interceptor, Partitioner, PartitionerClass, Producer,
    ProducerBuilder, ProducerMetrics, ProducerOptions, Record, Sending, TypedProducer, TypedRecord,
};
pub use ottla_protocol as protocol;

mod kafka;
#[cfg(feature = "mock")]
pub mod mock;
mod topics;
