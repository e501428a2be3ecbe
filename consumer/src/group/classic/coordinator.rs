//! Where the coordinator is, and what a move of it means for the rebalance under way.

use std::time::Instant;

use ottla_client::{Error, NodeId};

use super::state::State;
use super::{ClassicMember, RequestBody};
use crate::group::coordinator::LookedUp;

impl ClassicMember {
    /// The look-up that the driver asked for is over.
    pub(crate) fn handle_coordinator(&mut self, now: Instant, id: u64, found: Result<NodeId, Error>) {
        match self.coordinator.handle(id, found) {
            None => {}
            Some(LookedUp::Found(node)) => self.rejoin_elsewhere(node),
            Some(LookedUp::Missed) => self.lose_coordinator(now),
            Some(LookedUp::Refused(error)) => {
                if self.state.is_active() {
                    self.handle_unanswered(now, &error);
                } else {
                    tracing::warn!(group = %self.config.group_id, %error, "the coordinator cannot be told of the leaving");
                }
                // Nobody is there to be told.
                self.departures.clear();
                self.finish_leaving();
            }
        }
    }

    /// The coordinator is not where it was, or does not answer: looks for it, after a pause. Membership stays.
    pub(super) fn lose_coordinator(&mut self, now: Instant) {
        self.coordinator.lose(now);
        // The next one learns of the member at once. What the last one still answers is of no use.
        self.in_flight.heartbeat = None;
        self.heartbeats.due(now);
    }

    pub(super) fn wants_coordinator(&self) -> bool {
        self.state.is_active() || !self.departures.is_empty()
    }

    /// The look-up to send, if it is time.
    pub(super) fn find_coordinator(&mut self, now: Instant) -> Option<(u64, RequestBody)> {
        if !self.wants_coordinator() {
            return None;
        }
        let in_flight = &mut self.in_flight;
        let (id, instead_of) = self.coordinator.seek(now, || in_flight.next_id())?;
        Some((id, RequestBody::FindCoordinator { instead_of }))
    }

    /// A rebalance doesn't move with the coordinator: the new one knows the member, but only the last complete generation.
    /// Waiting for the old one would keep the member out of the new one's rebalance, and syncing with the new one would cost
    /// the member its partitions; joining there does neither. A place in the old one's rebalance is nothing to leave behind.
    fn rejoin_elsewhere(&mut self, node: NodeId) {
        if self.in_flight.joined_at == Some(node) {
            return;
        }
        self.in_flight.join = None;
        match &mut self.state {
            State::Joining { .. } | State::Assigning { .. } | State::Syncing { .. } => {
                self.state = State::unjoined("the coordinator moved during the rebalance");
                self.advance();
            }
            State::Leaving { learns_id } => {
                *learns_id = false;
                self.finish_leaving();
            }
            _ => {}
        }
    }
}
