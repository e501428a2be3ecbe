//! Partitions that move from broker to broker.
//!
//! While it moves, a partition has old and new replicas; once all new ones are in sync, the old ones go.
//!
//! Sources: KIP-455.

use std::time::Instant;

use ottla_protocol::uuid::Uuid;

use super::Cluster;

impl Cluster {
    /// Gives a partition other replicas, in this order of preference.
    pub(crate) fn reassign(&mut self, now: Instant, topic: Uuid, index: i32, target: &[i32]) {
        self.cancel_reassignment(topic, index);
        let Some(partition) = self.partition_mut(topic, index) else { return };
        let before = partition.replicas.clone();
        partition.adding = target.iter().copied().filter(|id| !before.contains(id)).collect();
        partition.removing = before.iter().copied().filter(|id| !target.contains(id)).collect();
        let removing = partition.removing.clone();
        partition.replace_replicas(target.iter().copied().chain(removing).collect());
        self.follow(topic, index);
        self.finish_reassignment(now, topic, index);
        self.topics_changed();
    }

    /// Ends a partition's move where it began.
    pub(crate) fn cancel_reassignment(&mut self, topic: Uuid, index: i32) {
        let Some(partition) = self.partition_mut(topic, index) else { return };
        if partition.is_moving() {
            let adding = std::mem::take(&mut partition.adding);
            partition.removing.clear();
            let old = partition.replicas.iter().copied().filter(|id| !adding.contains(id)).collect();
            partition.replace_replicas(old);
        }
    }

    /// Lets the old replicas go, if all new ones are in sync.
    pub(super) fn finish_reassignment(&mut self, now: Instant, topic: Uuid, index: i32) {
        let Some(partition) = self.partition_mut(topic, index) else { return };
        let removing = partition.removing.clone();
        let target: Vec<i32> =
            partition.replicas.iter().copied().filter(|id| !removing.contains(id)).collect();
        if !target.iter().all(|id| partition.isr.contains(id)) {
            return;
        }
        let leader = partition.leader;
        partition.adding.clear();
        partition.removing.clear();
        if removing.contains(&leader) {
            // The replicas in sync have everything, so the leadership moves without loss.
            partition.catch_up();
            self.lead(now, topic, index, target[0]);
        } else if !removing.is_empty() && leader >= 0 {
            // A new epoch, so that no removed replica is taken for one in sync.
            self.lead(now, topic, index, leader);
        }
        if let Some(partition) = self.partition_mut(topic, index) {
            partition.replace_replicas(target);
        }
        self.parked.wake(topic, index);
    }
}
