//! Markers on their way: what transaction coordinators have decided and partitions don't have yet.
//!
//! A coordinator's broker sends a marker to the broker that leads the partition. While one of the two doesn't run, the
//! marker waits; when another broker becomes the coordinator, the old one's markers are void and it sends its own, in its
//! own epoch, after which partitions take none of an older epoch.
//!
//! Sources: KIP-98, `TransactionMarkerChannelManager` of Kafka 4.3.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Cluster;
use super::alarms::Alarm;
use super::brokers::BrokerState;
use crate::log::MarkerAppend;
use crate::transactions::{Marker, Target};

/// The markers that are not in their partition's log yet.
#[derive(Debug, Default)]
pub(super) struct Markers {
    pending: VecDeque<Pending>,
    /// Whether none is written for now.
    held: bool,
}

/// A marker for one target.
#[derive(Debug)]
struct Pending {
    due: Instant,
    coordinator_epoch: i32,
    marker: Marker,
    target: Target,
}

impl Markers {
    /// Another broker coordinates these ids.
    pub(super) fn forget(&mut self, is_moved: impl Fn(&str) -> bool) {
        self.pending.retain(|pending| !is_moved(&pending.marker.transactional_id));
    }
}

impl Cluster {
    /// No marker is written any more: transactions stay between their end and its taking effect, their ids answer
    /// `CONCURRENT_TRANSACTIONS`, and readers of committed records wait.
    pub fn hold_markers(&mut self) {
        self.markers.held = true;
    }

    /// Markers are written again, first those that were held.
    pub fn release_markers(&mut self, now: Instant) {
        self.markers.held = false;
        self.settle(now);
    }

    /// Writes the markers that are due; says whether there were any.
    pub(super) fn settle_transactions(&mut self, now: Instant) -> bool {
        let mut settled = false;
        while let Some(marker) = self.transactions.poll_marker() {
            settled = true;
            // Without a coordinator nobody sends it; the next one will have it come out again.
            let Some(coordinator_epoch) = self.coordinator_epoch(&marker.transactional_id) else { continue };
            let delay = self.options.marker_delay;
            let due = now + delay;
            if delay > Duration::ZERO {
                self.alarms.set(due, Alarm::Markers);
            }
            for target in &marker.targets {
                let (marker, target) = (marker.clone(), target.clone());
                self.markers.pending.push_back(Pending { due, coordinator_epoch, marker, target });
            }
        }
        settled | self.write_markers(now)
    }

    fn write_markers(&mut self, now: Instant) -> bool {
        if self.markers.held {
            return false;
        }
        let mut written = false;
        for pending in std::mem::take(&mut self.markers.pending) {
            let id = &pending.marker.transactional_id;
            let is_sent = pending.due <= now
                && self.transaction_coordinator(id).is_some_and(|coordinator| self.runs(coordinator));
            if is_sent && self.write_marker(now, &pending) {
                let producer_id = pending.marker.producer_id;
                self.transactions.handle_marker_written(now, id, producer_id, &pending.target);
                written = true;
            } else {
                self.markers.pending.push_back(pending);
            }
        }
        written
    }

    /// Writes a marker, unless nobody leads its partition now. A target that is gone, or has got its marker already, is done.
    fn write_marker(&mut self, now: Instant, pending: &Pending) -> bool {
        let now_ms = self.wall_ms(now);
        let Pending { marker, coordinator_epoch, .. } = pending;
        match &pending.target {
            Target::Group(group) => {
                if !self.group_coordinator(group).is_some_and(|coordinator| self.runs(coordinator)) {
                    return false;
                }
                self.groups.complete_transaction(marker.producer_id, marker.producer_epoch, marker.commit);
                true
            }
            Target::Partition { topic, partition: index } => {
                let Some(partition) = self.topics.get(topic).and_then(|topic| topic.partition(*index)) else {
                    return true;
                };
                if !self.runs(partition.leader) {
                    return false;
                }
                let Some(topic) = self.topics.get_mut(topic) else { return true };
                let id = topic.id;
                let Some(partition) = topic.partition_mut(*index) else { return true };
                let append = MarkerAppend {
                    producer_id: marker.producer_id,
                    producer_epoch: marker.producer_epoch,
                    coordinator_epoch: *coordinator_epoch,
                    commit: marker.commit,
                    transaction_version: marker.transaction_version,
                    leader_epoch: partition.leader_epoch,
                };
                if partition.log.append_marker(now_ms, &append).is_ok() {
                    self.grown(now, id, *index);
                }
                true
            }
        }
    }

    /// The epoch in which a transactional id is coordinated: that of the partition that holds its state.
    fn coordinator_epoch(&mut self, id: &str) -> Option<i32> {
        let (topic, index) = self.transaction_partition(id);
        let partition = self.topics.get(topic)?.partition(index)?;
        (partition.leader >= 0).then_some(partition.leader_epoch)
    }

    fn runs(&self, broker: i32) -> bool {
        self.brokers.get(broker).is_some_and(|broker| broker.state == BrokerState::Running)
    }
}
