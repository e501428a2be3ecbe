//! Leaving: on command, and when the application has stopped polling.

use std::time::Instant;

use ottla_client::{Error, NodeId};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};

use super::state::State;
use super::{Ask, AskBody, ConsumerMember};

/// The epoch of a member that leaves.
const LEAVE: i32 = -1;

/// The epoch of a static member that leaves to come back: its partitions wait for it until its session ends.
const LEAVE_TO_RETURN: i32 = -2;

impl ConsumerMember {
    /// Leaves the group for good. The application's partitions must have been revoked before.
    pub(crate) fn leave(&mut self) {
        if let State::Leaving | State::Left = self.state {
            return;
        }
        self.identity.epoch = 0;
        self.state = State::Leaving;
        self.depart();
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
        self.depart();
        self.lose();
        self.state = State::Overslept;
        self.advance();
    }

    /// Tells the coordinator that the member goes, if it can know of it.
    pub(super) fn depart(&mut self) {
        if self.identity.is_known {
            let is_static = self.config.group_instance_id.is_some();
            self.departure = Some(if is_static { LEAVE_TO_RETURN } else { LEAVE });
        }
    }

    /// The heartbeat that leaves, if there is one to send. It comes after the answer to a join, which would bring the member
    /// in again if it arrived later.
    pub(super) fn send_leave(&mut self, node: NodeId) -> Option<Ask> {
        let member_epoch = self.departure?;
        if self.in_flight.leave.is_some() || self.in_flight.heartbeat.as_ref().is_some_and(|sent| sent.joins)
        {
            return None;
        }
        let id = self.in_flight.next_id();
        self.in_flight.leave = Some(id);
        self.in_flight.heartbeat = None;
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.config.group_id.to_string(),
            member_id: self.identity.member_id.clone(),
            member_epoch,
            instance_id: self.config.group_instance_id.clone(),
            ..Default::default()
        };
        Some(Ask { id, body: AskBody::Leave(node, request) })
    }

    /// The answer to the heartbeat that leaves, or why there is none.
    pub(crate) fn handle_leave(
        &mut self,
        now: Instant,
        id: u64,
        answer: &Result<ConsumerGroupHeartbeatResponse, Error>,
    ) {
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
            self.departure = None;
            self.identity.is_known = false;
        }
        self.finish_leaving();
    }

    /// A member that leaves has left once nothing is to be sent, and no join is under way that would have to be undone.
    pub(super) fn finish_leaving(&mut self) {
        if matches!(self.state, State::Leaving) && self.departure.is_none() {
            self.state = State::Left;
        }
    }
}
