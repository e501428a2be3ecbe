//! What a cluster is made of.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::configs;
use crate::security::Security;
use crate::versions::Release;

/// Options of a [`Cluster`](super::Cluster), of which all have a default: one broker of the newest release.
///
/// ```
/// use ottla_mock::{ClusterOptions, Release};
///
/// let options = ClusterOptions::new()
///     .brokers(3)
///     .racks(["north", "south", "south"])
///     .release(Release::V3_9)
///     .config("min.insync.replicas", "2")
///     .topic("orders", 6, 3);
/// # let _ = options;
/// ```
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    pub(crate) brokers: i32,
    pub(crate) racks: Vec<String>,
    pub(crate) release: Release,
    pub(crate) cluster_id: String,
    pub(crate) seed: u64,
    pub(crate) epoch_ms: Option<i64>,
    pub(crate) replication_lag: Duration,
    pub(crate) marker_delay: Duration,
    pub(crate) configs: BTreeMap<String, String>,
    pub(crate) topics: Vec<(String, i32, i16)>,
    pub(crate) security: Security,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        ClusterOptions {
            brokers: 1,
            racks: Vec::new(),
            release: Release::default(),
            cluster_id: "b3R0bGEtbW9jay1jbHVzdA".to_owned(),
            seed: 0,
            epoch_ms: None,
            replication_lag: Duration::ZERO,
            marker_delay: Duration::ZERO,
            configs: BTreeMap::new(),
            topics: Vec::new(),
            security: Security::default(),
        }
    }
}

impl ClusterOptions {
    /// The defaults.
    pub fn new() -> Self {
        ClusterOptions::default()
    }

    /// How many brokers there are; their ids count from 1. Default: 1.
    #[must_use]
    pub fn brokers(mut self, brokers: i32) -> Self {
        self.brokers = brokers;
        self
    }

    /// The racks of the brokers, in the order of their ids; they repeat where there are fewer racks than brokers.
    #[must_use]
    pub fn racks<S: Into<String>>(mut self, racks: impl IntoIterator<Item = S>) -> Self {
        self.racks = racks.into_iter().map(Into::into).collect();
        self
    }

    /// The release of Kafka to imitate. Default: the newest.
    #[must_use]
    pub fn release(mut self, release: Release) -> Self {
        self.release = release;
        self
    }

    /// The cluster's id.
    #[must_use]
    pub fn cluster_id(mut self, cluster_id: impl Into<String>) -> Self {
        self.cluster_id = cluster_id.into();
        self
    }

    /// What all chance follows from: topic ids, producer ids, faults that happen with a probability. Default: 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What a wall clock shows when the cluster starts, in milliseconds since 1970; brokers compare the records' timestamps
    /// with it, and refuse those of the future. Default: the system's clock if a driver starts the cluster, else one day
    /// in 2023 that is always the same.
    #[must_use]
    pub fn epoch_ms(mut self, epoch_ms: i64) -> Self {
        self.epoch_ms = Some(epoch_ms);
        self
    }

    /// How long followers take to copy a batch. Until then it is below no high watermark, consumers don't see it, `acks=all`
    /// waits, and a crash of the leader loses it. Default: zero, so followers always have everything.
    #[must_use]
    pub fn replication_lag(mut self, lag: Duration) -> Self {
        self.replication_lag = lag;
        self
    }

    /// How long a transaction's markers take after its end was recorded. Until then its id answers
    /// `CONCURRENT_TRANSACTIONS`. Default: zero, so that they are written at once.
    #[must_use]
    pub fn marker_delay(mut self, delay: Duration) -> Self {
        self.marker_delay = delay;
        self
    }

    /// Sets a configuration of all brokers by Kafka's name, such as `auto.create.topics.enable` or `log.retention.ms`.
    #[must_use]
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(name.into(), value.into());
        self
    }

    /// A topic that is there from the start.
    #[must_use]
    pub fn topic(mut self, name: impl Into<String>, partitions: i32, replication_factor: i16) -> Self {
        self.topics.push((name.into(), partitions, replication_factor));
        self
    }

    /// Users and rights; without them anybody may do anything.
    #[must_use]
    pub fn security(mut self, security: Security) -> Self {
        self.security = security;
        self
    }

    /// What a wall clock shows at the start.
    pub(crate) fn wall_ms(&self) -> i64 {
        self.epoch_ms.unwrap_or(1_700_000_000_000)
    }

    /// Checks what can be checked before the cluster exists.
    pub(crate) fn validate(&self) -> Result<(), OptionsError> {
        if self.brokers < 1 || self.brokers > 1000 {
            return Err(OptionsError(format!("{} brokers: a cluster has from 1 to 1000", self.brokers)));
        }
        for (name, value) in &self.configs {
            configs::check_broker(name, value)
                .map_err(|error| OptionsError(format!("the configuration {name}={value}: {error}")))?;
        }
        Ok(())
    }
}

/// Options that no cluster can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot start the cluster: {0}")]
pub struct OptionsError(pub(crate) String);
