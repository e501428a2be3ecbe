//! A Kafka cluster in memory for your tests: brokers, groups and transactions in your own process, reached through pipes.
//!
//! It needs the feature `mock`. Two lines give a cluster and a handle on it; from there on the code under test is what it
//! would be with real brokers. Under tokio's paused clock, timeouts and rebalances pass in no time:
//!
//! ```
//! use ottla::mock::{ApiKey, ClusterOptions, Fault, Mock};
//! use ottla::{ConsumerOptions, Kafka, OffsetReset, ProducerOptions, Record};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mock = Mock::start(ClusterOptions::new().brokers(3).topic("orders", 6, 3))?;
//! let kafka = Kafka::embedded(&mock)?;
//!
//! // The brokers write the first batch, and its answer is lost.
//! mock.cluster().on(ApiKey::PRODUCE).topic("orders").once(Fault::drop_answer());
//! let producer = kafka.producer(ProducerOptions::default())?;
//! let delivered = producer.send(Record::new("orders").value(b"tea")).await?.await?;
//! let log_end = mock.cluster().log("orders", delivered.partition).map(|log| log.end_offset());
//! assert_eq!((delivered.offset, log_end), (Some(0), Some(1)), "sent twice, written once");
//!
//! let options = ConsumerOptions::default().group_id("kitchen").auto_offset_reset(OffsetReset::Earliest);
//! let mut consumer = kafka.consumer(options)?;
//! consumer.subscribe(["orders"])?;
//! assert_eq!(consumer.next().await?.value(), Some(&b"tea"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! - [`ClusterOptions`] say what the cluster consists of, and which release of Kafka it imitates.
//! - [`Mock`] kills, pauses and restarts brokers, and moves leaders and coordinators. [`Mock::cluster`] gives the cluster itself:
//!   its faults ([`Cluster::on`]) and its logs ([`Cluster::log`]).
//! - [`Mock::listen`] opens TCP ports for other programs.
//! - [`Dialer`] is for a [`Client`](crate::Client) with options of one's own.

use std::sync::Arc;

use ottla_client::{ClientOptions, Dial, DialFuture, Error, ErrorKind, NodeId};

pub use ottla_mock::{
    Acl, BrokerState, Cluster, ClusterGuard, ClusterOptions, Fault, HarmError, Mock, Operation, OptionsError,
    Permission, Quota, Release, ResourceType, Rule, RuleId, Security, UnknownRelease, log,
};
pub use ottla_protocol::api::ApiKey;
pub use ottla_protocol::error_code::ErrorCode;

use crate::Kafka;

/// Opens pipes to the brokers of a cluster in memory, and keeps the cluster alive.
///
/// ```
/// use std::sync::Arc;
/// use ottla::mock::{ClusterOptions, Dialer, Mock};
/// use ottla::{ClientOptions, Kafka};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mock = Mock::start(ClusterOptions::new())?;
/// let options = ClientOptions::new().bootstrap_servers(mock.bootstrap_servers()).client_id("till-4");
/// let kafka = Kafka::with_dialer(options, Arc::new(Dialer::new(&mock)))?;
/// # drop(kafka);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Dialer {
    mock: Mock,
}

impl Dialer {
    /// Pipes to the brokers of `mock`.
    pub fn new(mock: &Mock) -> Dialer {
        Dialer { mock: mock.clone() }
    }
}

impl Dial for Dialer {
    fn dial<'a>(&'a self, _node: Option<NodeId>, host: &'a str, port: u16) -> DialFuture<'a> {
        Box::pin(async move {
            match self.mock.dial(host, port) {
                Ok(pipe) => Ok(Box::new(pipe) as _),
                Err(cause) => {
                    let what = format!("cannot connect to {host}:{port} of the cluster in memory");
                    Err(Error::new(ErrorKind::Connect, what).with_cause(cause))
                }
            }
        })
    }
}

impl Kafka {
    /// A handle for a cluster in memory, with all options at their defaults. The cluster lives as long as the handle, or
    /// what was made from it.
    ///
    /// # Errors
    /// As [`Kafka::connect`].
    pub fn embedded(mock: &Mock) -> Result<Kafka, Error> {
        let options = ClientOptions::new().bootstrap_servers(mock.bootstrap_servers());
        Kafka::with_dialer(options, Arc::new(Dialer::new(mock)))
    }
}
