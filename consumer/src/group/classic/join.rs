//! JoinGroup: asking for a place in the next generation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_client::{Error, ErrorKind, NodeId};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_protocol::PROTOCOL_TYPE;
use ottla_protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse};

use super::state::{AssignmentTask, State};
use super::{ClassicMember, RequestBody, subscription};
use crate::group::leader;

/// The longest reason that brokers take.
const MAX_REASON_LENGTH: usize = 255;

impl ClassicMember {
    /// The JoinGroup to send, if nothing stands in its way any more.
    pub(super) fn send_join(&mut self, now: Instant, node: NodeId) -> Option<(u64, RequestBody)> {
        let reason = match &self.state {
            State::Unjoined { not_before, reason } if not_before.is_none_or(|at| at <= now) => reason,
            State::Stable { rejoin: Some(reason) } => reason,
            _ => return None,
        };
        if self.in_flight.join.is_some() || !self.handover.is_settled() {
            return None;
        }
        let reason = reason.chars().take(MAX_REASON_LENGTH).collect();
        let protocols = match subscription::protocols(&self.config, &self.topics, &self.handover) {
            Ok(protocols) => protocols,
            Err(error) => {
                let message = format!("the subscription of group `{}` cannot be sent", self.config.group_id);
                self.fail(Error::new(ErrorKind::Encode, message).with_cause(error), true);
                return None;
            }
        };
        let id = self.in_flight.next_id();
        self.in_flight.join = Some(id);
        self.in_flight.joined_at = Some(node);
        self.in_flight.heartbeat = None;
        self.heartbeats.begin(now, &self.config);
        self.joined_topics.clone_from(&self.topics);
        self.led_topics = None;
        self.follow_up.rest();
        self.state = State::Joining { request: id };
        let request = JoinGroupRequest {
            group_id: self.config.group_id.to_string(),
            session_timeout_ms: millis(self.config.session_timeout),
            rebalance_timeout_ms: millis(self.config.max_poll_interval),
            member_id: self.identity.member_id.clone(),
            group_instance_id: self.config.group_instance_id.clone(),
            protocol_type: PROTOCOL_TYPE.to_owned(),
            protocols,
            reason: Some(reason),
            ..JoinGroupRequest::default()
        };
        Some((id, RequestBody::Join(request)))
    }

    /// The answer to JoinGroup, or why there is none.
    pub(crate) fn handle_join(&mut self, now: Instant, id: u64, answer: Result<JoinGroupResponse, Error>) {
        if self.in_flight.join != Some(id) {
            return;
        }
        self.in_flight.join = None;
        if !matches!(self.state, State::Joining { request } if request == id) {
            self.handle_unwanted_join(answer);
            return;
        }
        match answer {
            Ok(response) if response.error_code.is_ok() => self.handle_joined(now, response),
            Ok(response) => self.handle_join_refused(now, response),
            Err(error) => {
                let reason = format!("JoinGroup failed: {error}");
                self.state = State::Unjoined { not_before: None, reason };
                self.handle_unanswered(now, &error);
                self.advance();
            }
        }
    }

    fn handle_join_refused(&mut self, now: Instant, response: JoinGroupResponse) {
        let code = response.error_code;
        let reason = || format!("JoinGroup was refused: {}", code.name().unwrap_or_default());
        match code {
            // With an id already, the answer makes no sense, and must not make a loop.
            ErrorCode::MEMBER_ID_REQUIRED
                if self.identity.member_id.is_empty() && !response.member_id.is_empty() =>
            {
                self.identity.member_id = response.member_id;
                self.state = State::unjoined("the coordinator gave a member id");
                self.advance();
            }
            ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => {
                self.state = State::Unjoined { not_before: None, reason: reason() };
                self.lose_coordinator(now);
                self.advance();
            }
            ErrorCode::UNKNOWN_MEMBER_ID => {
                self.coordinator.confirm();
                // The first time; after that a coordinator that refuses the ids it gave would make a loop.
                let at_once = !self.identity.member_id.is_empty() && self.failures == 0;
                self.lose(false);
                if at_once {
                    self.failures = 1;
                    self.state = State::Unjoined { not_before: None, reason: reason() };
                    self.advance();
                } else {
                    self.retry_join(now, reason());
                }
            }
            ErrorCode::FENCED_INSTANCE_ID
            | ErrorCode::GROUP_AUTHORIZATION_FAILED
            | ErrorCode::INCONSISTENT_GROUP_PROTOCOL
            | ErrorCode::INVALID_SESSION_TIMEOUT
            | ErrorCode::INVALID_GROUP_ID
            | ErrorCode::UNSUPPORTED_VERSION => self.fail_by_code(code, "join"),
            ErrorCode::REBALANCE_IN_PROGRESS | ErrorCode::MEMBER_ID_REQUIRED => {
                self.retry_join(now, reason())
            }
            code if code.is_retriable() => self.retry_join(now, reason()),
            // A full group, and whatever newer brokers think of, may pass, but the application should know.
            code => {
                let doing = format!("cannot join group `{}`", self.config.group_id);
                let is_full = code == ErrorCode::GROUP_MAX_SIZE_REACHED;
                self.fail(Error::from_code(code, doing).with_retriable(is_full), false);
            }
        }
    }

    fn handle_joined(&mut self, now: Instant, response: JoinGroupResponse) {
        let strange = |what: String| {
            let message =
                format!("the coordinator of group `{}` answered JoinGroup with {what}", self.config.group_id);
            Error::new(ErrorKind::Protocol, message)
        };
        if !response.member_id.is_empty() {
            // Whatever comes of the answer, this is who may have to leave.
            self.identity.member_id.clone_from(&response.member_id);
        }
        let name = response.protocol_name.unwrap_or_default();
        let Some(assignor) = self.config.assignors.iter().find(|assignor| assignor.name() == name) else {
            let error = strange(format!("assignor `{name}`, which was not on offer"));
            return self.fail(error, true);
        };
        if let Some(other) = response.protocol_type.filter(|other| other != PROTOCOL_TYPE) {
            let error =
                strange(format!("protocol type `{other}`; groups of consumers have `{PROTOCOL_TYPE}`"));
            return self.fail(error, true);
        }
        if response.member_id.is_empty() || response.generation_id < 0 {
            let error = strange("no member id or no generation".to_owned());
            return self.fail(error, false);
        }

        let assignor = Arc::clone(assignor);
        self.coordinator.confirm();
        self.failures = 0;
        self.heartbeats.begin(now, &self.config);
        self.identity.owed.take_if(|(generation_id, _)| *generation_id != response.generation_id);
        let leads = response.leader == response.member_id;
        self.identity.generation_id = response.generation_id;
        self.identity.protocol = name;
        let members = leader::members(&response.members);
        let topics = leader::subscribed_topics(&members);
        self.led_topics = leads.then(|| topics.clone());
        self.state = if leads && !response.skip_assignment {
            let id = self.in_flight.next_id();
            let owned = leader::owned(&members);
            let task = Some(AssignmentTask { id, assignor, members, topics });
            State::Assigning { request: id, task, owned }
        } else {
            State::Syncing { request: None, assignments: Vec::new(), withheld: None }
        };
    }

    /// The member was given up while this JoinGroup was held; if it did bring a membership about, somebody must end it, or
    /// the group waits for it until the session times out.
    fn handle_unwanted_join(&mut self, answer: Result<JoinGroupResponse, Error>) {
        if let Ok(response) = answer
            && (response.error_code.is_ok() || response.error_code == ErrorCode::MEMBER_ID_REQUIRED)
            && !response.member_id.is_empty()
        {
            if response.member_id == self.identity.member_id {
                // Whoever leaves under its own id joins as somebody new.
                self.identity.member_id.clear();
            }
            self.depart(response.member_id, "the answer to JoinGroup came too late");
        }
        if let State::Leaving { learns_id } = &mut self.state {
            *learns_id = false;
        }
        self.finish_leaving();
    }
}

/// Kafka's milliseconds of a duration.
fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
