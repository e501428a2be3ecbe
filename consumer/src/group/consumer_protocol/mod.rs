//! A member of a group of the consumer protocol, without sockets, tasks or clocks.
//!
//! The coordinator assigns; the member follows at its own pace and says what it holds. It has the shape of
//! [`ClassicMember`](super::classic::ClassicMember): `poll_*` say what to send, what the application has to do and when
//! to look again; `handle_*` tell of answers and of time; the rest are commands.
//!
//! Guarantees:
//! - what a heartbeat says the member holds is exactly what the application has acknowledged: a partition is named until
//!   its revocation was, and not before its assignment was
//!   (a heartbeat that repeats everything also names what the application is just taking over);
//! - every step that was acknowledged, and every new target, is told to the coordinator at once;
//! - a newer target takes the place of an older one at the next step, never within one;
//! - a member joins (epoch 0) only when the application has nothing left to give up;
//! - whatever a lost answer said, a full heartbeat follows, which makes the coordinator repeat it;
//! - a coordinator that moved or fell silent is looked for again with member id and epoch kept; partitions are lost only
//!   by the coordinator's word, by leaving, or by a final error;
//! - a topic that was deleted and created again is another one: the old one's partitions go first.
//!
//! Sources: KIP-848 (the protocol), KIP-1082 (the member makes its id), KIP-345 (static members).

mod coordinator;
mod fence;
mod heartbeat;
mod leave;
mod names;
mod reconcile;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use ottla_client::{Error, NodeId};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;
use ottla_protocol::uuid::Uuid;

use self::heartbeat::Pulse;
use self::names::Names;
use self::reconcile::Target;
use self::state::{Identity, InFlight, State};
use super::coordinator::{Coordinator, is_lasting};
use super::handover::Handover;
use super::{GroupConfig, GroupEvent, Interest, Membership};

/// A request to be sent; its answer is handed back with the same number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ask {
    /// The number.
    pub(crate) id: u64,
    /// What to send, and to whom.
    pub(crate) body: AskBody,
}

/// The requests of a member.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AskBody {
    /// To anybody: where is the coordinator, which `instead_of` is not?
    FindCoordinator { instead_of: Option<NodeId> },
    /// To the coordinator: joining, staying, and saying what is held.
    Heartbeat(NodeId, ConsumerGroupHeartbeatRequest),
    /// To the coordinator: the heartbeat that ends a membership.
    Leave(NodeId, ConsumerGroupHeartbeatRequest),
    /// To anybody: which topics are these?
    TopicNames(Vec<Uuid>),
}

/// The member machine; see the [module](self) and [`State`] for the diagram.
#[derive(Debug)]
pub(crate) struct ConsumerMember {
    config: Arc<GroupConfig>,
    random: fastrand::Rng,
    /// What the application subscribes to; names are sorted, without duplicates.
    interest: Interest,
    state: State,
    identity: Identity,
    coordinator: Coordinator,
    in_flight: InFlight,
    pulse: Pulse,
    target: Target,
    names: Names,
    handover: Handover,
    /// The epoch to leave with, which has to be told before anything else.
    departure: Option<i32>,
    /// When the application last polled.
    polled: Instant,
    /// How often the member was refused in a row.
    failures: u32,
}

impl ConsumerMember {
    /// A member that wants to join and last polled `now`; `seed` makes its id and spreads its retries.
    pub(crate) fn new(config: Arc<GroupConfig>, interest: Interest, now: Instant, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        ConsumerMember {
            identity: Identity::new(&mut random),
            coordinator: Coordinator::new(config.backoff(), random.u64(..)),
            random,
            interest: normal(interest),
            state: State::Joining { not_before: None },
            in_flight: InFlight::default(),
            pulse: Pulse::new(now),
            target: Target::default(),
            names: Names::default(),
            handover: Handover::default(),
            departure: None,
            polled: now,
            failures: 0,
            config,
        }
    }

    /// What commits carry now.
    pub(crate) fn membership(&self) -> Membership {
        let is_member = matches!(self.state, State::Member);
        Membership {
            member_id: if is_member { self.identity.member_id.clone() } else { String::new() },
            generation_id: if is_member { self.identity.epoch } else { -1 },
            group_instance_id: self.config.group_instance_id.clone(),
            rebalancing: !is_member,
            tenure: self.handover.tenure(),
            has_epochs: true,
        }
    }

    /// Whether the application has polled since the member last heard of it.
    pub(crate) fn is_older_than(&self, polled: Instant) -> bool {
        self.polled < polled
    }

    /// Whether the member left because the application did not poll, and waits for it.
    pub(crate) fn awaits_poll(&self) -> bool {
        matches!(self.state, State::Overslept)
    }

    /// Whether a member that was told to leave is done.
    pub(crate) fn has_left(&self) -> bool {
        matches!(self.state, State::Left)
    }

    /// What the application has to do; the same until it was acknowledged.
    pub(crate) fn poll_event(&self) -> Option<&GroupEvent> {
        self.handover.outstanding()
    }

    /// The application polled at `now`; the same instant counts once.
    pub(crate) fn polled(&mut self, now: Instant) {
        if now <= self.polled {
            return;
        }
        self.polled = now;
        if self.awaits_poll() {
            self.state = State::Joining { not_before: None };
            self.advance();
        }
    }

    /// The application did what the event with this number asked for.
    pub(crate) fn acknowledge(&mut self, now: Instant, event_id: u64) {
        let gives_up = matches!(self.handover.outstanding(), Some(GroupEvent::Revoke { .. }));
        if !self.handover.acknowledge(event_id) {
            return;
        }
        if gives_up {
            // Others may wait for it, even if the coordinator never heard that the member had it.
            self.pulse.say_holds();
            self.target.given_up();
        }
        if let State::Failed { reported: true, lasting: false, .. } = self.state {
            self.retry_join(now);
        }
        self.reconcile();
    }

    /// The application subscribes to something else.
    pub(crate) fn set_interest(&mut self, now: Instant, interest: Interest) {
        let interest = normal(interest);
        if interest == self.interest {
            return;
        }
        self.interest = interest;
        // The coordinator's answer repeats the target, of which the member forgets what it gives up by itself.
        self.pulse.say_all();
        self.pulse.due(now);
        self.forget_unsubscribed();
        self.reconcile();
    }

    /// The coordinator refused a commit, or a fetch of offsets, that was sent as `sent_as`.
    pub(crate) fn handle_commit_refused(&mut self, now: Instant, code: ErrorCode, sent_as: &Membership) {
        if *sent_as != (Membership { tenure: sent_as.tenure, ..self.membership() }) || !sent_as.is_member() {
            return;
        }
        match code {
            // The answer to a heartbeat with the newer epoch is on its way, or was lost; without the group there is no member,
            // which the next one tells.
            ErrorCode::STALE_MEMBER_EPOCH | ErrorCode::GROUP_ID_NOT_FOUND => self.pulse.due(now),
            ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::FENCED_MEMBER_EPOCH
            | ErrorCode::FENCED_INSTANCE_ID
            | ErrorCode::GROUP_AUTHORIZATION_FAILED => self.handle_refusal(now, code, None),
            _ => {}
        }
    }

    /// Time has come to [`ConsumerMember::poll_deadline`].
    pub(crate) fn handle_deadline(&mut self, now: Instant) {
        if self.state.is_active() && now >= self.polled + self.config.max_poll_interval {
            self.oversleep();
        }
    }

    /// When to call [`ConsumerMember::handle_deadline`] and [`ConsumerMember::poll_request`] again, if nothing else
    /// happens before.
    pub(crate) fn poll_deadline(&self) -> Option<Instant> {
        let poll = self.state.is_active().then(|| self.polled + self.config.max_poll_interval);
        let request = match self.coordinator.node() {
            Some(_) => self.heartbeat_at(),
            None if self.wants_coordinator() => self.coordinator.sought_at(),
            None => None,
        };
        let names = self.names_at();
        poll.into_iter().chain(request).chain(names).min()
    }

    /// The next request; each is given once.
    pub(crate) fn poll_request(&mut self, now: Instant) -> Option<Ask> {
        if let Some(ask) = self.ask_names(now) {
            return Some(ask);
        }
        match self.coordinator.node() {
            None => self.find_coordinator(now),
            Some(node) => self.send_leave(node).or_else(|| self.send_heartbeat(now, node)),
        }
    }

    /// Lets the application's next step come up, if it has none to do.
    fn advance(&mut self) {
        if let State::Leaving | State::Left = self.state {
            return;
        }
        self.handover.advance(|_| false);
        if let State::Failed { error, lasting, reported: reported @ false } = &mut self.state {
            *reported = self.handover.fail(error, *lasting);
        }
    }

    /// Joins (again) after a pause that grows with every refusal in a row.
    fn retry_join(&mut self, now: Instant) {
        let wait = self.config.backoff().next(self.failures, self.random.f64());
        self.failures = self.failures.saturating_add(1);
        self.state = State::Joining { not_before: Some(now + wait) };
    }

    /// What to do about a request that failed without an answer: most often the coordinator is elsewhere by now.
    fn handle_unanswered(&mut self, now: Instant, error: &Error) {
        if error.is_retriable() {
            return self.lose_coordinator(now);
        }
        self.fail(error.clone(), is_lasting(error));
    }
}

fn normal(interest: Interest) -> Interest {
    match &interest {
        Interest::Topics(_) => Interest::Topics(interest.names()),
        Interest::Pattern(_) => interest,
    }
}
