//! The heartbeat: joining, staying, and saying what is new.

use std::time::{Duration, Instant};

use ottla_client::{Error, ErrorKind, NodeId};
use ottla_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};

use super::reconcile::{Partitions, listed};
use super::state::{Sent, State};
use super::{Ask, AskBody, ConsumerMember, Interest};

/// Between two heartbeats when the coordinator has not said how often it wants them.
const INTERVAL: Duration = Duration::from_secs(3);

/// However often a coordinator wants heartbeats, there is so much time between them.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// When heartbeats are due, and what the last ones said.
#[derive(Debug)]
pub(super) struct Pulse {
    next: Instant,
    /// After a refusal that may pass; not even news go out before.
    not_before: Instant,
    interval: Duration,
    /// The next one says everything: the coordinator is new, or what it knows is uncertain.
    full: bool,
    /// What it heard that the member holds.
    told: Option<Partitions>,
    /// Since the last one that said what the member holds, none was answered.
    unanswered: bool,
    /// Whether this membership has sent an expression, which has to be taken back if names follow.
    told_expression: bool,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Pulse {
        Pulse {
            next: now,
            not_before: now,
            interval: INTERVAL,
            full: true,
            told: None,
            unanswered: false,
            told_expression: false,
        }
    }

    /// The next one is due at once.
    pub(super) fn due(&mut self, now: Instant) {
        self.next = self.next.min(now);
    }

    /// The next one says everything.
    pub(super) fn say_all(&mut self) {
        self.full = true;
        self.told = None;
    }

    /// The next one, which goes out at once, says what the member holds, whatever the last one said.
    pub(super) fn say_holds(&mut self) {
        self.told = None;
    }

    /// Whether the coordinator has yet to hear, or to answer, what the member holds.
    pub(super) fn is_unheard(&self) -> bool {
        self.unanswered || self.told.is_none()
    }

    /// None goes out before.
    pub(super) fn hold_off(&mut self, until: Instant) {
        self.not_before = until;
    }

    /// What the coordinator last heard that the member holds.
    pub(super) fn last_told(&self) -> Option<&Partitions> {
        self.told.as_ref()
    }
}

impl ConsumerMember {
    /// When the next heartbeat goes out, as things stand.
    pub(super) fn heartbeat_at(&self) -> Option<Instant> {
        if self.in_flight.heartbeat.is_some() || self.departure.is_some() {
            return None;
        }
        let due = match self.state {
            State::Joining { not_before } if self.handover.is_settled() => {
                not_before.unwrap_or(self.pulse.not_before)
            }
            State::Member if self.owes_word() => self.pulse.not_before,
            State::Member => self.pulse.next,
            _ => return None,
        };
        Some(due.max(self.pulse.not_before))
    }

    /// The heartbeat to send, if it is time.
    pub(super) fn send_heartbeat(&mut self, now: Instant, node: NodeId) -> Option<Ask> {
        if self.heartbeat_at().is_none_or(|at| at > now) {
            return None;
        }
        let joins = !matches!(self.state, State::Member);
        let full = joins || self.pulse.full;
        let says_holds = full || self.owes_word();
        let holds = match full {
            _ if joins => Partitions::new(),
            true => self.holds_at_most(),
            false => self.holds(),
        };

        let mut request = ConsumerGroupHeartbeatRequest {
            group_id: self.config.group_id.to_string(),
            member_id: self.identity.member_id.clone(),
            member_epoch: if joins { 0 } else { self.identity.epoch },
            instance_id: self.config.group_instance_id.clone(),
            ..Default::default()
        };
        if full {
            self.say_everything(&mut request, joins);
        }
        request.topic_partitions = says_holds.then(|| listed(&holds));

        let id = self.in_flight.next_id();
        if says_holds && self.handover.is_settled() {
            self.target.confirmed();
        }
        if says_holds {
            self.pulse.told = Some(holds);
            self.pulse.unanswered = true;
        }
        self.in_flight.heartbeat = Some(Sent { id, joins, was_known: self.identity.is_known });
        self.identity.is_known |= joins;
        self.pulse.full = false;
        self.pulse.next = now + self.pulse.interval;
        Some(Ask { id, body: AskBody::Heartbeat(node, request) })
    }

    fn say_everything(&mut self, request: &mut ConsumerGroupHeartbeatRequest, joins: bool) {
        if joins {
            self.pulse.told_expression = false;
        }
        let names = self.interest.names();
        request.rack_id.clone_from(&self.config.client_rack);
        request.rebalance_timeout_ms =
            i32::try_from(self.config.max_poll_interval.as_millis()).unwrap_or(i32::MAX);
        request.subscribed_topic_names = Some(names);
        request.subscribed_topic_regex = match &self.interest {
            Interest::Pattern(text) => {
                self.pulse.told_expression = true;
                Some(text.to_string())
            }
            Interest::Topics(_) => self.pulse.told_expression.then(String::new),
        };
        request.server_assignor.clone_from(&self.config.remote_assignor);
    }

    /// The answer to a heartbeat, or why there is none.
    pub(crate) fn handle_heartbeat(
        &mut self,
        now: Instant,
        id: u64,
        answer: Result<ConsumerGroupHeartbeatResponse, Error>,
    ) {
        let Some(sent) = self.in_flight.heartbeat.take_if(|sent| sent.id == id) else { return };
        match answer {
            // A join that nobody wants any more is undone by the departure that waits for this answer.
            _ if !self.state.is_active() || self.departure.is_some() => {}
            Ok(response) if response.error_code.is_ok() => self.handle_alive(now, &sent, response),
            Ok(response) => {
                self.pulse.say_all();
                self.handle_refusal(now, response.error_code, response.error_message.as_deref());
            }
            Err(error) => {
                self.pulse.say_all();
                self.handle_no_word(now, &sent, error);
            }
        }
        self.finish_leaving();
    }

    fn handle_no_word(&mut self, now: Instant, sent: &Sent, error: Error) {
        if error.kind() == ErrorKind::UnsupportedVersion {
            return self.fail(self.too_old(Some(error)), true);
        }
        if sent.joins && !error.possibly_written() {
            // An earlier one may have made the member all the same.
            self.identity.is_known = sent.was_known;
        } else if sent.joins {
            self.release_instance();
        }
        self.handle_unanswered(now, &error);
    }

    /// The coordinator has counted a heartbeat.
    fn handle_alive(&mut self, now: Instant, sent: &Sent, response: ConsumerGroupHeartbeatResponse) {
        if response.member_epoch <= 0 {
            let message = format!(
                "the coordinator of group `{}` answered with member epoch {}",
                self.config.group_id, response.member_epoch
            );
            return self.fail(Error::new(ErrorKind::Protocol, message), false);
        }
        self.coordinator.confirm();
        self.failures = 0;
        self.pulse.unanswered = false;
        let interval = u64::try_from(response.heartbeat_interval_ms).unwrap_or(0);
        self.pulse.interval = Duration::from_millis(interval).max(SHORTEST_INTERVAL);
        if !self.pulse.full {
            self.pulse.next = now + self.pulse.interval;
        }
        if let Some(id) = response.member_id.filter(|id| !id.is_empty()) {
            self.identity.member_id = id;
        }
        self.identity.epoch = response.member_epoch;
        if sent.joins {
            self.state = State::Member;
            self.target.joined();
        }
        if let Some(assignment) = response.assignment {
            self.target.set(assignment);
            self.forget_unsubscribed();
        }
        self.reconcile();
    }
}
