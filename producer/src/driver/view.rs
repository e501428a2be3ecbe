//! [`View`]: the cluster as the task knows it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ottla_client::{Client, Cluster, ClusterUpdates, NodeId};

type Changing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The newest snapshot that the task has taken in, and what tells of newer ones.
pub(super) struct View {
    updates: ClusterUpdates,
    /// Ready when there is a snapshot that `updates` has not seen; kept, as to wait anew costs more than to go on waiting.
    changing: Changing,
    cluster: Arc<Cluster>,
}

impl View {
    pub(super) fn new(client: &Client) -> Self {
        let updates = client.cluster_updates();
        View { cluster: client.cluster(), changing: next_snapshot(updates.clone()), updates }
    }

    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Who leads a partition.
    pub(super) fn leaders(&self) -> impl Fn(&str, i32) -> Option<NodeId> + '_ {
        |topic, partition| self.cluster.leader(topic, partition).map(|leader| leader.node)
    }

    /// Whether there is a newer snapshot.
    pub(super) fn is_stale(&self) -> bool {
        self.updates.has_changed()
    }

    /// Takes the newest snapshot in, as [`View::renew`] does, if it was not seen; if there is none, `cx` is woken when there is.
    pub(super) fn poll_renewed(&mut self, cx: &mut Context<'_>) -> Poll<Arc<Cluster>> {
        loop {
            ready!(self.changing.as_mut().poll(cx));
            // Seen before it is waited for the next one: else that would be this one again.
            let before = self.is_stale().then(|| self.renew());
            self.changing = next_snapshot(self.updates.clone());
            if let Some(before) = before {
                return Poll::Ready(before);
            }
        }
    }

    /// Takes the newest snapshot in, and gives the one before it out.
    pub(super) fn renew(&mut self) -> Arc<Cluster> {
        std::mem::replace(&mut self.cluster, self.updates.latest())
    }
}

/// Ready when there is a snapshot that has not been seen.
fn next_snapshot(mut updates: ClusterUpdates) -> Changing {
    Box::pin(async move {
        if updates.changed().await.is_err() {
            // The client is gone, and there will be none.
            std::future::pending().await
        }
    })
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::driver::tests::{Woken, scripted_client};
    use crate::{Producer, ProducerOptions, Record};

    #[tokio::test(start_paused = true)]
    async fn a_snapshot_is_taken_in_once_and_then_the_next_one_is_waited_for() {
        let client = scripted_client();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let cx = &mut Context::from_waker(&waker);
        let mut view = View::new(&client);
        assert!(view.poll_renewed(cx).is_pending());
        let producer = Producer::new(client, ProducerOptions::new()).unwrap();
        producer.send(Record::new("t").value(b"four")).await.unwrap().await.unwrap();
        assert!(view.cluster().topic("t").is_none());
        let before = woken.count();
        assert!(before > 0 && view.poll_renewed(cx).is_ready());
        assert!(view.cluster().topic("t").is_some());
        assert!(view.poll_renewed(cx).is_pending());
        assert_eq!(woken.count(), before, "nothing is new");
    }
}
