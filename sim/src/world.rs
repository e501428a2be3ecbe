//! What the code under test runs in.

use std::sync::Arc;
use std::time::Duration;

use ottla_client::{Client, ClientOptions, Error};
use ottla_mock::Mock;
use ottla_mock::history::{FinalLog, Place};
use tokio::sync::watch;

use crate::mortal::{MortalPipes, Mortality};
use crate::pipes::Pipes;
use crate::recorder::Recorder;

/// What the clocks of all runs show when they begin, in milliseconds since 1970.
pub(crate) const EPOCH_MS: i64 = 1_750_000_000_000;

/// A cluster in memory, clients of it, and the history. Clones are handles of the same.
#[derive(Debug, Clone)]
pub struct World {
    pub(crate) mock: Mock,
    pub(crate) recorder: Recorder,
    pub(crate) topics: Arc<[Arc<str>]>,
    pub(crate) replication: i16,
    pub(crate) calm: watch::Receiver<bool>,
}

impl World {
    /// A client of the cluster with timeouts of seconds, so that faults don't take minutes.
    ///
    /// # Errors
    /// None that a run's code can cause.
    pub fn client(&self) -> Result<Client, Error> {
        self.client_with(options())
    }

    /// A client as [`World::client`] has it, and what kills it: what `kill -9` of a process is for the cluster, and what
    /// code that is dropped after that can't mend by saying goodbye.
    ///
    /// # Errors
    /// None that a run's code can cause.
    pub fn mortal_client(&self) -> Result<(Client, Mortality), Error> {
        let (pipes, mortality) = MortalPipes::new(Pipes::to(&self.mock));
        let options = options().bootstrap_servers(self.mock.bootstrap_servers());
        Ok((Client::with_dialer(options, Arc::new(pipes))?, mortality))
    }

    /// A client of the cluster with other options than those of [`World::client`]. Its bootstrap servers are the cluster's.
    ///
    /// # Errors
    /// Options that no client can have.
    pub fn client_with(&self, options: ClientOptions) -> Result<Client, Error> {
        Pipes::to(&self.mock).client(options)
    }

    /// The cluster, for whatever the faults don't do.
    pub fn mock(&self) -> &Mock {
        &self.mock
    }

    /// Where the code notes what it sees.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// What the brokers' clocks show now, in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        EPOCH_MS + i64::try_from(self.recorder.elapsed().as_millis()).unwrap_or(0)
    }

    /// The partitions of all topics as they are now.
    pub fn places(&self) -> Vec<Place> {
        self.topics.iter().flat_map(|topic| self.places_of(topic)).collect()
    }

    /// The partitions of one topic as they are now.
    pub fn places_of(&self, topic: &Arc<str>) -> Vec<Place> {
        let cluster = self.mock.cluster();
        (0..)
            .take_while(|partition| cluster.log(topic, *partition).is_some())
            .map(|partition| Place::new(Arc::clone(topic), partition))
            .collect()
    }

    /// Waits until the faults are over and everything that they broke is mended.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn calm(&self) {
        let mut calm = self.calm.clone();
        // The sender lives as long as the run.
        let _ = calm.wait_for(|calm| *calm).await;
    }

    /// Whether the faults are over and everything that they broke is mended.
    pub(crate) fn is_calm(&self) -> bool {
        *self.calm.borrow()
    }

    /// Waits until every group, and every consumer without one, that was [opened](ottla_mock::history::Event::Opened) has
    /// been handed all that there is for it, and no transaction is open. Bound it by a timeout: what never comes is found
    /// by the judge.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn drained(&self) {
        for place in self.places() {
            // A log that cannot be read is found when the run is judged.
            while let Some(Ok(log)) = self.log(&place) {
                if self.is_copied(&place) && !log.has_open() && !self.recorder.is_awaited(&place, &log) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Whether all replicas in sync have all that a leader has. Only then does its log show whatever was acknowledged: with
    /// `acks=1` that may be before anybody can read it.
    pub(crate) fn is_copied(&self, place: &Place) -> bool {
        let cluster = self.mock.cluster();
        let log = cluster.log(&place.topic, place.partition);
        log.is_none_or(|log| log.high_watermark() >= log.end_offset())
    }

    /// What a partition's log holds now.
    pub(crate) fn log(&self, place: &Place) -> Option<Result<FinalLog, String>> {
        let cluster = self.mock.cluster();
        let log = cluster.log(&place.topic, place.partition)?;
        Some(FinalLog::of(log).map_err(|error| format!("{place}: {error}")))
    }
}

fn options() -> ClientOptions {
    ClientOptions::new()
        .request_timeout(Duration::from_secs(2))
        .default_api_timeout(Duration::from_secs(20))
        .metadata_max_age(Duration::from_secs(20))
        .connection_setup_timeout(Duration::from_secs(2))
        .connection_setup_timeout_max(Duration::from_secs(4))
}
