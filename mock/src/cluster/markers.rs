//! Markers on their way: what transaction coordinators have decided and partitions don't have yet.
//!
//! A coordinator's broker sends a marker to the broker that leads the partition. While one of the two doesn't run, the
//! marker waits; when another broker becomes the coordinator, the old one's markers are void and it sends its own, in its
//! own epoch, after which partitions take none of an older epoch.
//!
//! A transaction is over only when all replicas in sync have its markers: one that is lost with its leader is written again.
//!
//! Sources: KIP-98, `TransactionMarkerChannelManager` of Kafka 4.3.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::alarms::Alarm;
use super::{Cluster, Partition};
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
    appended: Option<Appended>,
}

/// A marker in a log that followers may have yet to copy.
#[derive(Debug, Clone, Copy)]
struct Appended {
    leader_epoch: i32,
    /// Where the log ended with it.
    end: i64,
}

/// What has become of a marker.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// Nobody can take it now.
    Waits,
    /// It is in the log, and may yet be lost.
    Appended,
    /// It is there to stay, or its target is gone.
    Done,
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
                self.markers.pending.push_back(Pending {
                    due,
                    coordinator_epoch,
                    marker,
                    target,
                    appended: None,
                });
            }
        }
        settled | self.write_markers(now)
    }

    fn write_markers(&mut self, now: Instant) -> bool {
        if self.markers.held {
            return false;
        }
        let mut written = false;
        for mut pending in std::mem::take(&mut self.markers.pending) {
            let id = &pending.marker.transactional_id;
            let is_sent = pending.due <= now
                && self.transaction_coordinator(id).is_some_and(|coordinator| self.brokers.runs(coordinator));
            let fate = if is_sent { self.write_marker(now, &mut pending) } else { Fate::Waits };
            written |= fate != Fate::Waits;
            if fate == Fate::Done {
                let Marker { transactional_id, producer_id, .. } = &pending.marker;
                self.transactions.handle_marker_written(now, transactional_id, *producer_id, &pending.target);
            } else {
                self.markers.pending.push_back(pending);
            }
        }
        written
    }

    /// Writes a marker, unless nobody can take it now, and waits for its copies.
    fn write_marker(&mut self, now: Instant, pending: &mut Pending) -> Fate {
        let now_ms = self.wall_ms(now);
        let Pending { marker, coordinator_epoch, .. } = &*pending;
        match &pending.target {
            Target::Group(group) => {
                if !self.group_coordinator(group).is_some_and(|coordinator| self.brokers.runs(coordinator)) {
                    return Fate::Waits;
                }
                self.groups.complete_transaction(marker.producer_id, marker.producer_epoch, marker.commit);
                Fate::Done
            }
            Target::Partition { topic, partition } => {
                let index = *partition;
                let Some(topic) = self.topics.get(topic) else { return Fate::Done };
                let id = topic.id;
                let Some(partition) = topic.partition(index) else { return Fate::Done };
                if !partition.serves() {
                    return Fate::Waits;
                }
                if let Some(appended) = pending.appended.filter(|appended| is_kept(partition, appended)) {
                    let is_copied = partition.log.high_watermark() >= appended.end;
                    return if is_copied { Fate::Done } else { Fate::Waits };
                }
                if !partition.has_min_isr() {
                    return Fate::Waits;
                }
                let append = MarkerAppend {
                    producer_id: marker.producer_id,
                    producer_epoch: marker.producer_epoch,
                    coordinator_epoch: *coordinator_epoch,
                    commit: marker.commit,
                    transaction_version: marker.transaction_version,
                    leader_epoch: partition.leader_epoch,
                };
                let Some(partition) = self.partition_mut(id, index) else { return Fate::Done };
                // What is refused was written by a coordinator before this one: that, too, has to be copied.
                let is_new = partition.log.append_marker(now_ms, &append).is_ok();
                let end = partition.log.end_offset();
                pending.appended = Some(Appended { leader_epoch: append.leader_epoch, end });
                if is_new {
                    self.grown(now, id, index);
                }
                Fate::Appended
            }
        }
    }

    /// The epoch in which a transactional id is coordinated: that of the partition that holds its state.
    fn coordinator_epoch(&mut self, id: &str) -> Option<i32> {
        let (topic, index) = self.transaction_partition(id);
        let partition = self.topics.get(topic)?.partition(index)?;
        (partition.leader >= 0).then_some(partition.leader_epoch)
    }
}

/// Whether a log has lost nothing of what it had when a marker was written.
fn is_kept(partition: &Partition, appended: &Appended) -> bool {
    let end = partition.log.end_offset_for_epoch(appended.leader_epoch);
    end.is_some_and(|end| end.leader_epoch == appended.leader_epoch && end.end_offset >= appended.end)
}
