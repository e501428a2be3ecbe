//! Leaving: on command, and when the application has stopped polling. Static members never do (KIP-345).

use std::time::Instant;

use ottla_client::Error;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::leave_group::LeaveGroupResponse;

use super::state::State;
use super::{ClassicMember, LeaveRequest, RequestBody};

/// A member id that is to leave the group.
#[derive(Debug)]
pub(super) struct Departure {
    member_id: String,
    reason: &'static str,
}

impl ClassicMember {
    /// Leaves the group for good. The application's partitions must have been revoked before.
    pub(crate) fn leave(&mut self) {
        if let State::Leaving { .. } | State::Left = self.state {
            return;
        }
        let member_id = std::mem::take(&mut self.identity.member_id);
        self.identity.generation_id = -1;
        self.led_topics = None;
        self.follow_up.rest();
        self.in_flight.heartbeat = None;
        // A first JoinGroup may be held; what it brings about has to be undone.
        let learns_id = member_id.is_empty() && self.in_flight.join.is_some() && self.is_dynamic();
        self.state = State::Leaving { learns_id };
        if !member_id.is_empty() {
            self.depart(member_id, "the consumer is closed");
        }
        self.finish_leaving();
    }

    /// The application has not polled for `max.poll.interval.ms`: somebody else should have its partitions.
    pub(super) fn oversleep(&mut self) {
        tracing::warn!(
            group = %self.config.group_id,
            member = %self.identity.member_id,
            "the application has not polled for max.poll.interval.ms: leaving the group until it does; \
             poll more often, take fewer records per poll, or raise max.poll.interval.ms"
        );
        if self.identity.generation_id >= 0 && !matches!(self.state, State::Stable { rejoin: None }) {
            let reason = match &self.state {
                State::Stable { rejoin: Some(reason) } | State::Unjoined { reason, .. } => reason.clone(),
                _ => "the member slept through a rebalance".to_owned(),
            };
            self.identity.owed = Some((self.identity.generation_id, reason));
        }
        let member_id = std::mem::take(&mut self.identity.member_id);
        if !member_id.is_empty() {
            self.depart(member_id, "the application has not polled for max.poll.interval.ms");
        }
        self.lose(false);
        self.state = State::Overslept;
        self.advance();
    }

    /// The answer to LeaveGroup, or why there is none.
    pub(crate) fn handle_leave(&mut self, now: Instant, id: u64, answer: &Result<LeaveGroupResponse, Error>) {
        if self.in_flight.leave != Some(id) {
            return;
        }
        self.in_flight.leave = None;
        let again = match answer {
            Ok(response) => matches!(
                response.error_code,
                ErrorCode::NOT_COORDINATOR
                    | ErrorCode::COORDINATOR_NOT_AVAILABLE
                    | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            ),
            Err(error) => error.is_retriable(),
        };
        if again {
            self.lose_coordinator(now);
        } else {
            self.departures.pop_front();
        }
        self.finish_leaving();
    }

    /// Has the id leave, unless the member is static: its successor takes the partitions over without a rebalance.
    pub(super) fn depart(&mut self, member_id: String, reason: &'static str) {
        if self.is_dynamic() {
            self.departures.push_back(Departure { member_id, reason });
        }
    }

    /// A member that leaves has left once nothing is to be sent, and no JoinGroup can bring up another id to leave with.
    pub(super) fn finish_leaving(&mut self) {
        if matches!(self.state, State::Leaving { learns_id: false }) && self.departures.is_empty() {
            self.state = State::Left;
        }
    }

    fn is_dynamic(&self) -> bool {
        self.config.group_instance_id.is_none()
    }

    /// The LeaveGroup to send, if there is one.
    pub(super) fn send_leave(&mut self) -> Option<(u64, RequestBody)> {
        let departure = self.departures.front()?;
        if self.in_flight.leave.is_some() {
            return None;
        }
        let request = LeaveRequest {
            group_id: self.config.group_id.to_string(),
            member_id: departure.member_id.clone(),
            reason: departure.reason.to_owned(),
        };
        let id = self.in_flight.next_id();
        self.in_flight.leave = Some(id);
        Some((id, RequestBody::Leave(request)))
    }
}
