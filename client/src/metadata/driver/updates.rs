//! The snapshots as they come, for those who wait for one.
//!
//! Guarantee: nobody holds a lock on the snapshot while doing something with it, so whoever looks at one may ask for
//! metadata or use another topic meanwhile.

use std::sync::Arc;

use tokio::sync::watch;

use super::super::cluster::Cluster;
use crate::error::{Error, ErrorKind};

/// The cluster as it changes, from [`Client::cluster_updates`](crate::Client::cluster_updates) on. Only the latest
/// snapshot counts: one that another has replaced before anybody looked is passed over.
#[derive(Debug, Clone)]
pub struct ClusterUpdates(watch::Receiver<Arc<Cluster>>);

impl ClusterUpdates {
    pub(super) fn new(cluster: &watch::Sender<Arc<Cluster>>) -> Self {
        ClusterUpdates(cluster.subscribe())
    }

    /// The latest snapshot, which counts as seen now.
    pub fn latest(&mut self) -> Arc<Cluster> {
        Arc::clone(&self.0.borrow_and_update())
    }

    /// Whether there is a snapshot that has not been seen.
    pub fn has_changed(&self) -> bool {
        self.0.has_changed().unwrap_or(false)
    }

    /// Waits for a snapshot that has not been seen. It counts as seen then.
    ///
    /// # Errors
    /// Kind `Closed` when the client is gone.
    ///
    /// # Cancel safety
    /// Safe: what was not waited for to its end is not seen.
    pub async fn changed(&mut self) -> Result<(), Error> {
        self.0
            .changed()
            .await
            .map_err(|_| Error::new(ErrorKind::Closed, "the client whose metadata were waited for is gone"))
    }

    /// Waits for a snapshot that `wanted` takes, which may be the present one.
    ///
    /// # Errors
    /// Kind `Closed` when the client is gone.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn wait_for(
        &mut self,
        mut wanted: impl FnMut(&Cluster) -> bool,
    ) -> Result<Arc<Cluster>, Error> {
        loop {
            let cluster = self.latest();
            if wanted(&cluster) {
                return Ok(cluster);
            }
            self.changed().await?;
        }
    }
}
