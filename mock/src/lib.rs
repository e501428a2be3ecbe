//! A Kafka cluster in memory.
//!
//! It speaks Kafka's protocol to anybody's client and keeps brokers, logs, groups and transactions as Kafka 4.3 (KRaft)
//! does, or as an older release that it is told to imitate ([`Release`]). It is pure: time is an argument and chance
//! follows from a seed, so what fails once fails always. The drivers put it behind pipes in memory, where tokio's paused
//! clock makes hours pass in milliseconds, or behind TCP sockets for other programs.
//!
//! ```
//! use ottla_mock::{ClusterOptions, Fault, Mock};
//! use ottla_protocol::api::ApiKey;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let mock = Mock::start(ClusterOptions::new().brokers(3).topic("orders", 6, 3))?;
//! mock.listen("127.0.0.1:0").await?;
//! println!("a client can use {}", mock.bootstrap_servers());
//!
//! // The next produce is done, and its answer lost.
//! mock.cluster().on(ApiKey::PRODUCE).topic("orders").once(Fault::drop_answer());
//! mock.kill_broker(2)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`Cluster`] is the cluster itself: frames and times in, frames out; [`ClusterOptions`] say what it consists of.
//! - [`Fault`] is what goes wrong with requests, [`Rule`] with which of them; brokers are killed, paused and moved by
//!   methods of [`Cluster`].
//! - [`Security`] has users, rights and quotas.
//! - [`Mock`] runs a cluster.
//!
//! # What is not there
//!
//! An API that isn't served isn't announced either: share and streams groups, client telemetry (which a broker without a
//! receiver doesn't announce, too), and what concerns the quorum, features and log directories, except describing them.
//! Delegation tokens are refused, as by brokers without a secret key for them. Record batches are of the format that Kafka
//! has had since 0.11.
//! There is no TLS, no tiered storage, no configuration of groups and loggers by request, and quotas count bytes only.
//! Followers are numbers: there is one log for a partition, of which each replica has a part.

mod apis;
mod call;
mod cluster;
mod configs;
#[cfg(feature = "tokio")]
mod driver;
mod faults;
mod fetch_session;
mod groups;
pub mod history;
pub mod log;
mod security;
pub mod transactions;
mod versions;

pub use call::{Caller, Ticket};
pub use cluster::{BrokerState, Cluster, ClusterOptions, ConnectionId, HarmError, OptionsError, Output};
#[cfg(feature = "tokio")]
pub use driver::{ClusterGuard, Mock};
pub use faults::{Fault, Rule, RuleId};
pub use security::{Acl, Operation, Permission, Quota, ResourceType, Security};
pub use versions::{Release, UnknownRelease};
