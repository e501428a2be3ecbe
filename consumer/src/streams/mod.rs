//! Partitions that are read by tasks of their own, each through a [`PartitionStream`].
//!
//! - [`slot`]: how far a stream's holder has got, and whether it may go on;
//! - [`stream`]: the holder's end.
//!
//! Guarantees: a record counts as processed when its holder asks for the next one, never before; nothing is handed out of a
//! stream once its partition was given away; a stream that is dropped in the midst loses nothing: what it had not
//! processed comes again.

mod slot;
mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_client::TopicPartition;

use crate::fetch::state::FetchState;
use crate::position::anew::Anew;

pub(crate) use slot::{Progress, Slot};
pub use stream::PartitionStream;

/// The streams of a consumer.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// For how long the holder of a partition that is revoked may go on with its record, once there are streams.
    pub(crate) handover: Option<Duration>,
    slots: BTreeMap<TopicPartition, Arc<Slot>>,
    /// Whether there may be partitions without a stream.
    incomplete: bool,
}

impl Streams {
    /// Partitions have come, or have lost their stream.
    pub(crate) fn look_again(&mut self) {
        self.incomplete = true;
    }

    /// There is something for the partition's stream.
    pub(crate) fn wake(&self, partition: &TopicPartition) {
        if let Some(slot) = self.slots.get(partition) {
            slot.wake();
        }
    }

    /// Asks the holders of these partitions to come to an end.
    pub(crate) fn close(&self, partitions: &[TopicPartition]) -> Vec<Arc<Slot>> {
        let slots = partitions.iter().filter_map(|partition| self.slots.get(partition));
        slots.inspect(|slot| slot.close()).cloned().collect()
    }

    /// Ends all streams, whatever their holders do.
    pub(crate) fn cut(&self) {
        self.slots.values().for_each(|slot| slot.cut());
    }

    /// The partition is gone, and with it its stream.
    pub(crate) fn remove(&mut self, partition: &TopicPartition) {
        if let Some(slot) = self.slots.remove(partition) {
            slot.cut();
        }
    }
}

impl FetchState {
    /// The next partition that has no stream, with a slot for one.
    pub(crate) fn next_slot(&mut self) -> Option<Arc<Slot>> {
        let FetchState { subscription, streams, .. } = self;
        if !streams.incomplete {
            return None;
        }
        let is_free = |(name, assigned): &(&TopicPartition, &crate::subscription::Assigned)| {
            !assigned.held && !streams.slots.contains_key(*name)
        };
        let Some((name, _)) = subscription.iter().find(is_free) else {
            streams.incomplete = false;
            return None;
        };
        let slot = Arc::new(Slot::new(name.clone()));
        streams.slots.insert(name.clone(), Arc::clone(&slot));
        Some(slot)
    }

    /// Moves the positions to where the streams' holders are.
    pub(crate) fn settle_streams(&mut self) {
        for (partition, slot) in &self.streams.slots {
            if let Some(Progress { generation, offset, leader_epoch }) = slot.progress() {
                self.subscription.advance(partition, generation, offset, leader_epoch);
            }
        }
    }

    /// A stream's holder has let it go although it still had the partition: another stream goes on behind the last record
    /// that was processed.
    pub(crate) fn take_back(&mut self, slot: &Arc<Slot>) {
        let partition = slot.partition();
        if !self.streams.slots.get(partition).is_some_and(|current| Arc::ptr_eq(current, slot)) {
            return;
        }
        self.settle_streams();
        self.streams.slots.remove(partition);
        self.streams.look_again();
        // Before the first position is known nothing was handed out, and there is nothing to go back to.
        let position = self.subscription.partition(partition).and_then(|assigned| assigned.fetching());
        if let Some(position) = position.map(|fetching| fetching.position) {
            self.begin_anew(partition, Anew::Moved(position));
        }
    }
}
