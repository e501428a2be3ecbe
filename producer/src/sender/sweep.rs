//! What is asked of all partitions at once: to flush, to hurry, to give up. Nothing here happens per record or batch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_client::{Error, NodeId};

use super::Sender;
use crate::completion::Completion;

impl Sender {
    /// Closes all batches that were opened at `until` at the latest, and lists those of them that have no outcome.
    pub(crate) fn flush(
        &mut self,
        until: Instant,
        now: Instant,
        leader: impl Fn(&str, i32) -> Option<NodeId>,
    ) -> Vec<Arc<Completion>> {
        self.meet_new_lanes(now, leader);
        let mut waiting = Vec::new();
        for index in self.lanes.indices() {
            let Some(lane) = self.lanes.find_mut(index) else { continue };
            let batches = lane.flush(until);
            if !batches.is_empty() {
                waiting.extend(batches);
                self.consider(index, now);
            }
        }
        waiting
    }

    /// Whether every record has its outcome.
    pub(crate) fn is_idle(&mut self) -> bool {
        self.lanes.iter_mut().all(|lane| {
            lane.look();
            lane.is_told()
        })
    }

    /// Fails every record that has no outcome, and goes on with what comes. Where requests are under way, their answers
    /// will say what the numbers of the batches in them are worth.
    pub(crate) fn abort(
        &mut self,
        error: &Error,
        now: Instant,
        leader: impl Fn(&str, i32) -> Option<NodeId>,
    ) {
        self.meet_new_lanes(now, leader);
        for index in self.lanes.indices() {
            let Some(lane) = self.lanes.find_mut(index) else { continue };
            let batches = lane.give_up();
            if batches.is_empty() {
                continue;
            }
            for batch in batches {
                batch.fail(error.clone(), &self.accumulator.memory);
            }
            self.consider(index, now);
        }
    }

    /// Fails every record that has no outcome, and ends.
    pub(crate) fn abandon(&mut self, error: &Error, now: Instant) {
        let mut records = 0;
        self.meet_new_lanes(now, |_, _| None);
        self.staging.clear();
        // Answers have nothing to say any more, and their partitions may be gone when they come.
        for (_, request) in &mut self.requests {
            request.batches.clear();
        }
        for lane in self.lanes.iter_mut() {
            for batch in lane.abandon() {
                records += batch.count;
                batch.fail(error.clone(), &self.accumulator.memory);
            }
        }
        if records > 0 {
            tracing::warn!(records, %error, "gave up on all records");
        }
    }

    /// Sends what is open without waiting for more.
    pub(super) fn hurry(&mut self, now: Instant) {
        for index in self.lanes.indices() {
            let Some(lane) = self.lanes.find_mut(index) else { continue };
            lane.look();
            if lane.glance.oldest.is_some() {
                self.consider_with(index, now, Duration::ZERO);
            }
        }
    }
}
