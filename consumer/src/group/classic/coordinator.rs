//! Where the coordinator is, and looking for it.

use std::time::Instant;

use ottla_client::{Error, NodeId};

use super::state::State;
use super::{ClassicMember, RequestBody};

impl ClassicMember {
    /// The look-up that the driver asked for is over.
    pub(crate) fn handle_coordinator(&mut self, now: Instant, id: u64, found: Result<NodeId, Error>) {
        if self.in_flight.find != Some(id) {
            return;
        }
        self.in_flight.find = None;
        match found {
            Ok(node) => {
                self.coordinator.found(node);
                self.rejoin_elsewhere(node);
            }
            Err(error) => {
                self.handle_unanswered(now, &error);
            }
        }
    }

    /// The coordinator answered something else than that it isn't it.
    pub(super) fn confirm_coordinator(&mut self) {
        self.coordinator.confirm();
    }

    /// The coordinator is not where it was, or does not answer: looks for it, after a pause. Membership stays.
    pub(super) fn lose_coordinator(&mut self, now: Instant) {
        let wait = self.config.backoff().next(self.coordinator.failures(), self.random.f64());
        self.coordinator.lose(now + wait);
        // The next one learns of the member at once. What the last one still answers is of no use.
        self.in_flight.heartbeat = None;
        self.heartbeats.due(now);
    }

    pub(super) fn wants_coordinator(&self) -> bool {
        self.state.is_active() || !self.departures.is_empty()
    }

    /// The look-up to send, if it is time.
    pub(super) fn find_coordinator(&mut self, now: Instant) -> Option<(u64, RequestBody)> {
        if !self.coordinator.may_be_sought(now) || !self.wants_coordinator() || self.in_flight.find.is_some()
        {
            return None;
        }
        let id = self.in_flight.next_id();
        self.in_flight.find = Some(id);
        Some((id, RequestBody::FindCoordinator { instead_of: self.coordinator.wrong() }))
    }

    /// A generation that is not complete yet doesn't move with the coordinator: the new one knows the member, but only the
    /// last complete generation. Syncing with it would cost the member its partitions, joining doesn't.
    fn rejoin_elsewhere(&mut self, node: NodeId) {
        if let State::Assigning { .. } | State::Syncing { .. } = self.state
            && self.in_flight.joined_at != Some(node)
        {
            self.in_flight.join = None;
            self.state = State::unjoined("the coordinator moved during the rebalance");
            self.advance();
        }
    }
}
