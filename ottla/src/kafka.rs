//! [`Kafka`]: one handle for a cluster, shared by all that is made from it.

use std::sync::Arc;

use ottla_client::{Client, ClientOptions, Dial, Error};
use ottla_consumer::{Consumer, ConsumerOptions, Scan};
use ottla_producer::{Producer, ProducerBuilder, ProducerOptions};

/// A Kafka cluster.
///
/// Cheap to clone. All that is made from one handle shares its metadata and its connections, as far as one may wait for
/// another: producers share one connection to each broker; a consumer has its own for fetches and for its group.
/// Hundreds of consumers cost no thread each. Connections open when they are first needed and close when the last clone
/// and all that was made from it are gone.
#[derive(Debug, Clone)]
pub struct Kafka {
    client: Client,
}

impl Kafka {
    /// A handle for the cluster behind `bootstrap_servers`, a list such as `kafka1:9092,kafka2:9092`, with all other
    /// options at their defaults. Does no IO yet; must be called within a tokio runtime.
    ///
    /// # Errors
    /// Kind `Config` for a list that is empty or malformed, and outside of a runtime.
    pub fn connect(bootstrap_servers: &str) -> Result<Kafka, Error> {
        let mut options = ClientOptions::default();
        options.set("bootstrap.servers", bootstrap_servers)?;
        Kafka::with_options(options)
    }

    /// A handle with these options.
    ///
    /// # Errors
    /// As [`Kafka::connect`].
    pub fn with_options(options: ClientOptions) -> Result<Kafka, Error> {
        Client::new(options).map(|client| Kafka { client })
    }

    /// A handle whose connections are opened by `dialer`: through a tunnel, a proxy, or in memory.
    ///
    /// # Errors
    /// As [`Kafka::connect`].
    pub fn with_dialer(options: ClientOptions, dialer: Arc<dyn Dial>) -> Result<Kafka, Error> {
        Client::with_dialer(options, dialer).map(|client| Kafka { client })
    }

    /// A new producer.
    ///
    /// # Errors
    /// Kind `Config` for options that don't go together.
    pub fn producer(&self, options: ProducerOptions) -> Result<Producer, Error> {
        Producer::new(self.client.clone(), options)
    }

    /// A new producer with more than options, such as interceptors.
    pub fn producer_builder(&self, options: ProducerOptions) -> ProducerBuilder {
        Producer::builder(self.client.clone(), options)
    }

    /// A new consumer.
    ///
    /// # Errors
    /// Kind `Config` for options that don't go together.
    pub fn consumer(&self, options: ConsumerOptions) -> Result<Consumer, Error> {
        Consumer::new(self.client.clone(), options)
    }

    /// A bounded read of a topic, which ends by itself; [`Scan::partitions`] makes one of some partitions.
    ///
    /// ```no_run
    /// # async fn run(kafka: ottla::Kafka) -> Result<(), ottla::Error> {
    /// let mut records = kafka.scan("orders").read();
    /// while let Some(record) = records.next().await {
    ///     println!("{:?}", record?.value());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn scan(&self, topic: &str) -> Scan {
        Scan::topic(self.client.clone(), topic)
    }

    /// The connections and metadata underneath, for requests of one's own.
    pub fn client(&self) -> &Client {
        &self.client
    }
}
