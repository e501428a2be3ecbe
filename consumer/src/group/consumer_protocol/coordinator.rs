//! Where the coordinator is, and looking for it.

use std::time::Instant;

use ottla_client::{Error, NodeId};

use super::{Ask, AskBody, ConsumerMember};
use crate::group::coordinator::LookedUp;

impl ConsumerMember {
    /// The look-up that the driver asked for is over.
    pub(crate) fn handle_coordinator(&mut self, now: Instant, id: u64, found: Result<NodeId, Error>) {
        match self.coordinator.handle(id, found) {
            None | Some(LookedUp::Found(_)) => {}
            Some(LookedUp::Missed) => self.lose_coordinator(now),
            Some(LookedUp::Refused(error)) => {
                if self.state.is_active() {
                    self.handle_unanswered(now, &error);
                } else {
                    tracing::warn!(group = %self.config.group_id, %error, "the coordinator cannot be told of the leaving");
                }
                // Nobody is there to be told.
                self.departure = None;
                self.finish_leaving();
            }
        }
    }

    /// The coordinator is not where it was, or does not answer: looks for it, after a pause. Membership stays.
    pub(super) fn lose_coordinator(&mut self, now: Instant) {
        self.coordinator.lose(now);
        self.in_flight.heartbeat = None;
        self.pulse.say_all();
        self.pulse.due(now);
    }

    pub(super) fn wants_coordinator(&self) -> bool {
        self.state.is_active() || self.departure.is_some()
    }

    /// The look-up to send, if it is time.
    pub(super) fn find_coordinator(&mut self, now: Instant) -> Option<Ask> {
        if !self.wants_coordinator() {
            return None;
        }
        let in_flight = &mut self.in_flight;
        let (id, instead_of) = self.coordinator.seek(now, || in_flight.next_id())?;
        Some(Ask { id, body: AskBody::FindCoordinator { instead_of } })
    }
}
