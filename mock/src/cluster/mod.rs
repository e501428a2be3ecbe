//! The cluster: what comes in by connections and the clock, what goes out, and the state in between.
//!
//! ```text
//!   connect, handle, disconnected ──► connections ──► apis ──► topics, groups, transactions
//!   handle_deadline ───► alarms ─────────────────────┘ │
//!   poll_output ◄─── answers in each connection's order ◄─┘ poll_deadline ◄── alarms, groups, transactions
//! ```
//!
//! Guarantees: requests of one connection are served one after the other and answered in order; what happens follows from
//! the options, the seed, and the calls with their times, and from nothing else.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ottla_protocol::uuid::Uuid;

pub use brokers::BrokerState;
pub use connections::{ConnectionId, Output};
pub(crate) use coordinators::OFFSETS_TOPIC;
pub use harm::HarmError;
pub(crate) use logs::Refusal;
pub use options::{ClusterOptions, OptionsError};
pub(crate) use parked::Wait;
pub(crate) use partition::Partition;
pub(crate) use topics::{Topic, check_name, is_internal};

use alarms::{Alarm, Alarms};
use brokers::Brokers;
use connections::Connections;
use markers::Markers;
use parked::Parked;
use topics::Topics;

use crate::faults::Faults;
use crate::groups::Groups;
use crate::security::Security;
use crate::transactions::Transactions;
use crate::versions::Release;

pub(crate) mod alarms;
mod answers;
pub(crate) mod brokers;
mod connections;
mod coordinators;
mod harm;
mod leaders;
mod logs;
mod markers;
mod options;
mod parked;
mod partition;
mod reassignments;
pub(crate) mod topics;

/// A Kafka cluster.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) options: ClusterOptions,
    started: Instant,
    pub(crate) rng: fastrand::Rng,
    pub(crate) brokers: Brokers,
    pub(crate) topics: Topics,
    pub(crate) connections: Connections,
    pub(crate) alarms: Alarms,
    pub(crate) parked: Parked,
    pub(crate) groups: Groups,
    pub(crate) transactions: Transactions,
    /// Markers of ended transactions that are not in their partition's log yet.
    markers: Markers,
    pub(crate) faults: Faults,
    pub(crate) security: Security,
    outputs: VecDeque<Output>,
}

impl Cluster {
    /// A cluster whose brokers run from `now` on.
    ///
    /// # Errors
    /// Options that no cluster can have.
    pub fn new(options: ClusterOptions, now: Instant) -> Result<Cluster, OptionsError> {
        options.validate()?;
        let mut rng = fastrand::Rng::with_seed(options.seed);
        let mut brokers = Brokers::new(options.brokers, &options.racks, options.configs.clone());
        if options.release >= Release::V4_3 {
            // New clusters track eligible leaders (KIP-966) and fix this for all brokers when they begin.
            let name = "min.insync.replicas";
            brokers.default_configs.insert(name.to_owned(), brokers.setting(name).to_owned());
        }
        let mut cluster = Cluster {
            started: now,
            topics: Topics::default(),
            connections: Connections::default(),
            alarms: Alarms::default(),
            parked: Parked::default(),
            groups: coordinators::groups(&brokers, options.release, rng.u64(..)),
            transactions: coordinators::transactions(&brokers, &options, now),
            markers: Markers::default(),
            faults: Faults::new(rng.u64(..)),
            security: options.security.clone(),
            outputs: VecDeque::new(),
            brokers,
            rng,
            options,
        };
        for (name, partitions, replication_factor) in cluster.options.topics.clone() {
            cluster
                .create_topic(&name, partitions, replication_factor)
                .map_err(|error| OptionsError(format!("the topic {name}: {error}")))?;
        }
        cluster.settle(now);
        Ok(cluster)
    }

    /// When [`Cluster::handle_deadline`] wants to be called.
    pub fn poll_deadline(&self) -> Option<Instant> {
        let machines = [self.alarms.next(), self.groups.poll_deadline(), self.transactions.poll_deadline()];
        machines.into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn handle_deadline(&mut self, now: Instant) {
        while let Some(alarm) = self.alarms.due(now) {
            self.ring(now, alarm);
            self.settle(now);
        }
        self.groups.handle_deadline(now);
        self.transactions.handle_deadline(now);
        self.settle(now);
    }

    /// The next thing that leaves the cluster.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What a wall clock shows at `now`, in milliseconds since 1970.
    pub fn wall_ms(&self, now: Instant) -> i64 {
        let passed = now.saturating_duration_since(self.started);
        self.options.wall_ms() + i64::try_from(passed.as_millis()).unwrap_or(i64::MAX / 2)
    }

    pub(crate) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn new_uuid(&mut self) -> Uuid {
        loop {
            let id = Uuid(self.rng.u128(..).to_be_bytes());
            // Kafka keeps the first hundred ids for itself, and avoids those that look like an option when printed.
            if u128::from_be_bytes(id.0) > 100 && id.0[0] >> 2 != 62 {
                return id;
            }
        }
    }

    /// Lets consequences follow until there are no more.
    pub(crate) fn settle(&mut self, now: Instant) {
        loop {
            let mut more = self.serve_connections(now);
            more |= self.settle_groups(now);
            more |= self.settle_transactions(now);
            more |= self.resume_parked(now);
            if !more {
                return;
            }
        }
    }

    fn ring(&mut self, now: Instant, alarm: Alarm) {
        match alarm {
            Alarm::Parked(ticket) => self.parked.expire(ticket),
            Alarm::Serve(ticket) => self.serve_held(now, ticket),
            Alarm::Answer(ticket) => self.send_held(ticket),
            Alarm::Unmute(connection) => self.unmute(connection),
            Alarm::Fence(broker) => self.fence_if_silent(now, broker),
            // Settling writes them.
            Alarm::Markers => {}
            Alarm::Lag(broker) => self.shrink_if_lagging(now, broker),
            Alarm::Replicate(topic, partition) => self.replicate(now, topic, partition),
        }
    }

    /// When followers will have what is appended now; `None` for at once.
    fn copied_at(&self, now: Instant) -> Option<Instant> {
        let lag = self.options.replication_lag;
        (lag > Duration::ZERO).then(|| now + lag)
    }
}
