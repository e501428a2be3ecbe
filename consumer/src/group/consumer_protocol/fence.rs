//! What the coordinator's refusals mean, and the ends that they bring.

use std::time::Instant;

use ottla_client::{Error, ErrorKind};
use ottla_protocol::error_code::ErrorCode;

use super::ConsumerMember;
use super::state::State;

impl ConsumerMember {
    pub(super) fn handle_refusal(&mut self, now: Instant, code: ErrorCode, words: Option<&str>) {
        match code {
            ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => self.lose_coordinator(now),
            ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_MEMBER_EPOCH => self.fence(now, code),
            // The group was deleted, or turned classic when all others had left it; a join makes it, or tells why it can't.
            ErrorCode::GROUP_ID_NOT_FOUND if matches!(self.state, State::Member) => {
                self.fence(now, ErrorCode::UNKNOWN_MEMBER_ID);
            }
            ErrorCode::UNSUPPORTED_VERSION => {
                let cause = Error::from_code(code, words.unwrap_or("the coordinator refuses").to_owned());
                self.fail(self.too_old(Some(cause)), true);
            }
            // Another member leaves, or the session of one that did not ends: worth another try once the application
            // knows of it.
            ErrorCode::UNRELEASED_INSTANCE_ID | ErrorCode::GROUP_MAX_SIZE_REACHED => {
                self.fail(self.refused(code, words).with_retriable(true), false);
            }
            ErrorCode::TOPIC_AUTHORIZATION_FAILED => self.fail(self.refused(code, words), false),
            code if code.is_retriable() => {
                tracing::debug!(group = %self.config.group_id, %code, "a heartbeat was refused");
                let wait = self.config.backoff().next(self.failures, self.random.f64());
                self.failures = self.failures.saturating_add(1);
                self.pulse.due(now);
                self.pulse.hold_off(now + wait);
            }
            code => self.fail(self.refused(code, words), true),
        }
    }

    /// The coordinator has removed the member, or gone on without it: all is lost, and it joins anew under its old id.
    fn fence(&mut self, now: Instant, code: ErrorCode) {
        tracing::warn!(group = %self.config.group_id, member = %self.identity.member_id, %code, "lost the membership");
        self.coordinator.confirm();
        if code == ErrorCode::UNKNOWN_MEMBER_ID {
            self.identity.is_known = false;
        } else {
            self.release_instance();
        }
        self.lose();
        if self.failures == 0 {
            self.failures = 1;
            self.state = State::Joining { not_before: None };
        } else {
            self.retry_join(now);
        }
        self.advance();
    }

    /// Gives up all partitions without the group's leave.
    pub(super) fn lose(&mut self) {
        self.handover.lose();
        self.identity.epoch = 0;
        self.target.clear();
        self.pulse.say_all();
        // A join is waited for even so: whatever comes next has to come after it.
        self.in_flight.heartbeat.take_if(|sent| !sent.joins);
    }

    /// Stops: the application has to know. A `lasting` failure stays; any other is tried again when it was acknowledged.
    pub(super) fn fail(&mut self, error: Error, lasting: bool) {
        if matches!(self.state, State::Member) {
            // Others need not wait for the session to end.
            self.depart();
        }
        self.lose();
        self.state = State::Failed { error, lasting, reported: false };
        self.advance();
    }

    /// A static member that the coordinator may hold in an epoch unknown to it has to let go of its instance id first: the
    /// coordinator refuses to let in anybody, itself included, while the id is taken.
    pub(super) fn release_instance(&mut self) {
        if self.config.group_instance_id.is_some() {
            self.depart();
        }
    }

    /// The error of a broker that does not have the protocol.
    pub(super) fn too_old(&self, cause: Option<Error>) -> Error {
        let message = format!(
            "group `{}` cannot be joined with group.protocol=consumer: its brokers need Kafka 4.0 with feature group.version \
             (or 3.7 and later with the protocol switched on), and 4.0 for patterns; use group.protocol=classic",
            self.config.group_id
        );
        let error = Error::new(ErrorKind::UnsupportedVersion, message);
        match cause {
            Some(cause) => error.with_cause(cause),
            None => error,
        }
    }

    fn refused(&self, code: ErrorCode, words: Option<&str>) -> Error {
        let group = &self.config.group_id;
        let instance = self.config.group_instance_id.as_deref().unwrap_or_default();
        let what = match code {
            ErrorCode::UNRELEASED_INSTANCE_ID => format!(
                "another member of group `{group}` has group.instance.id `{instance}` and has not left; it is tried again \
                 with the next poll"
            ),
            ErrorCode::FENCED_INSTANCE_ID => {
                format!("another member of group `{group}` took group.instance.id `{instance}` over")
            }
            ErrorCode::UNSUPPORTED_ASSIGNOR => format!(
                "the brokers of group `{group}` do not have the assignor of group.remote.assignor (`{}`)",
                self.config.remote_assignor.as_deref().unwrap_or_default()
            ),
            ErrorCode::GROUP_ID_NOT_FOUND => format!(
                "group `{group}` has members of group.protocol=classic and cannot be converted to group.protocol=consumer"
            ),
            _ => format!("cannot be a member of group `{group}`"),
        };
        match words.filter(|words| !words.is_empty()) {
            Some(words) => Error::from_code(code, format!("{what}; the coordinator says: {words}")),
            None => Error::from_code(code, what),
        }
    }
}
