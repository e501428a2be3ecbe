//! Where the coordinator is, and looking for it.

use std::time::Instant;

use ottla_client::{Error, NodeId};

use super::{Ask, AskBody, ConsumerMember};

impl ConsumerMember {
    /// The look-up that the driver asked for is over.
    pub(crate) fn handle_coordinator(&mut self, now: Instant, id: u64, found: Result<NodeId, Error>) {
        if self.in_flight.find != Some(id) {
            return;
        }
        self.in_flight.find = None;
        match found {
            Ok(node) => self.coordinator.found(node),
            Err(error) if error.is_retriable() => self.lose_coordinator(now),
            Err(error) => {
                if self.state.is_active() {
                    self.handle_unanswered(now, &error);
                }
                // Nobody is there to be told.
                self.departure = None;
                self.finish_leaving();
            }
        }
    }

    /// The coordinator is not where it was, or does not answer: looks for it, after a pause. Membership stays.
    pub(super) fn lose_coordinator(&mut self, now: Instant) {
        let wait = self.config.backoff().next(self.coordinator.failures(), self.random.f64());
        self.coordinator.lose(now + wait);
        self.in_flight.heartbeat = None;
        self.pulse.say_all();
        self.pulse.due(now);
    }

    pub(super) fn wants_coordinator(&self) -> bool {
        self.state.is_active() || self.departure.is_some()
    }

    /// The look-up to send, if it is time.
    pub(super) fn find_coordinator(&mut self, now: Instant) -> Option<Ask> {
        if !self.coordinator.may_be_sought(now) || !self.wants_coordinator() || self.in_flight.find.is_some()
        {
            return None;
        }
        let id = self.in_flight.next_id();
        self.in_flight.find = Some(id);
        Some(Ask { id, body: AskBody::FindCoordinator { instead_of: self.coordinator.wrong() } })
    }
}
