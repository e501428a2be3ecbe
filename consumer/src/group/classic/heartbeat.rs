//! Staying a member: heartbeats, the session, and what the coordinator says about the membership.

use std::time::Instant;

use ottla_client::Error;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};

use super::state::{SentHeartbeat, State};
use super::{ClassicMember, RequestBody};
use crate::group::GroupConfig;

/// When heartbeats are due, and until when the coordinator surely keeps the member.
#[derive(Debug)]
pub(super) struct Heartbeats {
    next: Instant,
    session_end: Instant,
    failures: u32,
}

impl Heartbeats {
    pub(super) fn new(now: Instant, config: &GroupConfig) -> Self {
        let (next, session_end) = (now + config.heartbeat_interval, now + config.session_timeout);
        Heartbeats { next, session_end, failures: 0 }
    }

    pub(super) fn next(&self) -> Instant {
        self.next
    }

    pub(super) fn session_end(&self) -> Instant {
        self.session_end
    }

    /// The next one is due at once.
    pub(super) fn due(&mut self, now: Instant) {
        self.next = now;
    }

    /// The next one is an interval away, and the coordinator's silence is measured from now on.
    pub(super) fn begin(&mut self, now: Instant, config: &GroupConfig) {
        self.answered(now, config);
        self.next = now + config.heartbeat_interval;
    }

    /// The coordinator has heard of the member.
    pub(super) fn answered(&mut self, now: Instant, config: &GroupConfig) {
        self.session_end = now + config.session_timeout;
        self.failures = 0;
    }
}

impl ClassicMember {
    /// The answer to a heartbeat, or why there is none.
    pub(crate) fn handle_heartbeat(
        &mut self,
        now: Instant,
        id: u64,
        answer: Result<HeartbeatResponse, Error>,
    ) {
        let Some(sent) = self.in_flight.heartbeat.filter(|sent| sent.id == id) else { return };
        self.in_flight.heartbeat = None;
        match answer {
            Ok(response) if sent.probes => self.handle_probed(now, response.error_code),
            // It was about the rebalance that has been completed since.
            Ok(response) if response.error_code == ErrorCode::REBALANCE_IN_PROGRESS && !sent.stable => {
                self.handle_alive(now);
            }
            Ok(response) => self.handle_refusal(now, response.error_code, "a heartbeat"),
            Err(error) => self.handle_unanswered(now, &error),
        }
    }

    /// The answer to a heartbeat that asked whether anybody is there. What it says of the membership, JoinGroup's answer
    /// says better.
    fn handle_probed(&mut self, now: Instant, code: ErrorCode) {
        match code {
            ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => self.lose_coordinator(now),
            _ => self.handle_alive(now),
        }
    }

    /// What the coordinator's word about the membership, as it is now, means.
    pub(super) fn handle_refusal(&mut self, now: Instant, code: ErrorCode, to: &str) {
        match code {
            ErrorCode::NONE => self.handle_alive(now),
            ErrorCode::REBALANCE_IN_PROGRESS => {
                self.handle_alive(now);
                self.request_rejoin("the group is rebalancing");
            }
            ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => self.lose_coordinator(now),
            // Between generations the answer to JoinGroup or SyncGroup decides: after a failover the coordinator is a
            // generation behind, and takes the member back all the same.
            ErrorCode::ILLEGAL_GENERATION if !matches!(self.state, State::Stable { .. }) => {
                self.handle_alive(now)
            }
            ErrorCode::ILLEGAL_GENERATION | ErrorCode::UNKNOWN_MEMBER_ID => {
                tracing::warn!(group = %self.config.group_id, member = %self.identity.member_id, %code, "lost the membership");
                self.coordinator.confirm();
                self.lose(code == ErrorCode::ILLEGAL_GENERATION);
                self.state =
                    State::unjoined(&format!("{to} was refused: {}", code.name().unwrap_or_default()));
                self.advance();
            }
            ErrorCode::FENCED_INSTANCE_ID | ErrorCode::GROUP_AUTHORIZATION_FAILED => {
                self.fail_by_code(code, "stay in");
            }
            code => {
                tracing::warn!(group = %self.config.group_id, %code, "{to} was refused");
                let wait = self.config.backoff().next(self.heartbeats.failures, self.random.f64());
                self.heartbeats.failures = self.heartbeats.failures.saturating_add(1);
                self.heartbeats.next = now + wait.min(self.config.heartbeat_interval);
            }
        }
    }

    /// The coordinator has counted a heartbeat.
    fn handle_alive(&mut self, now: Instant) {
        self.coordinator.confirm();
        self.heartbeats.answered(now, &self.config);
    }

    /// Whether the member belongs to a generation that heartbeats keep it in, or waits for the answer to a JoinGroup.
    pub(super) fn is_heartbeating(&self) -> bool {
        match self.state {
            State::Joining { .. }
            | State::Assigning { .. }
            | State::Syncing { .. }
            | State::Stable { .. } => true,
            State::Unjoined { .. } => {
                self.in_flight.join.is_some()
                    || self.identity.generation_id >= 0 && !self.handover.is_settled()
            }
            _ => false,
        }
    }

    /// Whether a heartbeat can only find out that the coordinator is there and still is it.
    ///
    /// While JoinGroup is held it does not count for the session. The coordinator refuses it to whoever has no id or
    /// generation yet, before it does anything, but that is an answer too.
    fn is_probing(&self) -> bool {
        matches!(self.state, State::Joining { .. }) || self.identity.generation_id < 0
    }

    /// A coordinator that has not answered for a whole session is looked for anew.
    pub(super) fn check_session(&mut self, now: Instant) {
        if self.is_heartbeating() && self.coordinator.node().is_some() && now >= self.heartbeats.session_end {
            tracing::warn!(group = %self.config.group_id, "no heartbeat was answered for session.timeout.ms");
            self.heartbeats.session_end = now + self.config.session_timeout;
            self.lose_coordinator(now);
        }
    }

    /// The heartbeat to send, if it is time.
    pub(super) fn send_heartbeat(&mut self, now: Instant) -> Option<(u64, RequestBody)> {
        if !self.is_heartbeating() || self.in_flight.heartbeat.is_some() || now < self.heartbeats.next {
            return None;
        }
        let id = self.in_flight.next_id();
        let stable = matches!(self.state, State::Stable { .. });
        self.in_flight.heartbeat = Some(SentHeartbeat { id, stable, probes: self.is_probing() });
        self.heartbeats.next = now + self.config.heartbeat_interval;
        let request = HeartbeatRequest {
            group_id: self.config.group_id.to_string(),
            generation_id: self.identity.generation_id,
            member_id: self.identity.member_id.clone(),
            group_instance_id: self.config.group_instance_id.clone(),
            ..HeartbeatRequest::default()
        };
        Some((id, RequestBody::Heartbeat(request)))
    }
}
