//! A member of a classic group, without sockets, tasks or clocks.
//!
//! The machine says which request to send ([`ClassicMember::poll_request`]), when to look again
//! ([`ClassicMember::poll_deadline`]), what the application has to do ([`ClassicMember::poll_event`]) and when the leader's
//! assignor has to run ([`ClassicMember::poll_assignment`]). It is told of answers (`handle_*`), of time
//! ([`ClassicMember::handle_deadline`]) and of what the application wants (commands).
//!
//! Guarantees:
//! - at most one JoinGroup or SyncGroup is unanswered, and one request is waited for on each of the other lanes
//!   (lookup, heartbeat, leave);
//! - JoinGroup is sent only when the application has nothing left to give up or to take over;
//! - heartbeats go on from the first JoinGroup on, whatever the application does, until it has not polled for
//!   `max.poll.interval.ms`; while JoinGroup is held they only ask whether the coordinator is there and is still it, so
//!   that one that froze or moved holds nobody up for as long as JoinGroup may take;
//! - a coordinator that moved, restarted or fell silent is looked for again with the member id and generation kept, in the
//!   middle of a rebalance too, which is given up only if it is found at another node; a look-up that was refused is not
//!   repeated unless the application polls on;
//! - only the coordinator's own word (`UNKNOWN_MEMBER_ID`, `ILLEGAL_GENERATION`, `FENCED_INSTANCE_ID`), or leaving, makes
//!   partitions lost. In particular a session without an answered heartbeat is not lost yet: the coordinator may have
//!   been away for as long, and commits of a member that it did remove are refused;
//! - who fails for good leaves, so that the others need not wait for its session to end.
//!
//! Sources: KIP-62 (background heartbeats), KIP-134 (initial delay), KIP-345 (static members), KIP-394 (member id first),
//! KIP-429 (cooperative), KIP-559 (protocol type), KIP-792 (generation of what is owned), KIP-800 (reasons),
//! KIP-814 (leader that doesn't assign).

mod coordinator;
mod follow_up;
mod heartbeat;
mod join;
mod leave;
mod requests;
mod state;
mod subscription;
mod sync;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) fn test_config() -> GroupConfig {
    tests::config(tests::range())
}

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use ottla_client::Error;
use ottla_protocol::error_code::ErrorCode;

use self::follow_up::FollowUp;
use self::heartbeat::Heartbeats;
use self::leave::Departure;
use self::state::{Identity, InFlight, State};
use super::coordinator::{Coordinator, is_lasting};
use super::handover::Handover;
use super::leader::Noted;
use super::{GroupConfig, GroupEvent, Membership};
use crate::assignor::RebalanceProtocol;

pub(crate) use self::requests::{LeaveRequest, MemberRequest, RequestBody};
pub(crate) use self::state::AssignmentTask;

/// The member machine; see the [module](self) and [`State`] for the diagram.
#[derive(Debug)]
pub(crate) struct ClassicMember {
    config: Arc<GroupConfig>,
    random: fastrand::Rng,
    /// What the application subscribes to: sorted, without duplicates.
    topics: Vec<String>,
    /// What the last JoinGroup said.
    joined_topics: Vec<String>,
    state: State,
    identity: Identity,
    coordinator: Coordinator,
    in_flight: InFlight,
    heartbeats: Heartbeats,
    handover: Handover,
    /// Member ids to take out of the group, one after the other.
    departures: VecDeque<Departure>,
    /// Every topic of the group, if the coordinator named this member the leader of the current generation.
    led_topics: Option<Vec<String>>,
    /// What a leader that came back had written down for itself before, until it was looked at.
    noted: Option<Noted>,
    follow_up: FollowUp,
    /// When the application last polled.
    polled: Instant,
    /// Attempts to join that failed in a row.
    failures: u32,
}

impl ClassicMember {
    /// A member that wants to join and last polled `now`; `seed` spreads its retries.
    pub(crate) fn new(config: Arc<GroupConfig>, topics: Vec<String>, now: Instant, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        ClassicMember {
            coordinator: Coordinator::new(config.backoff(), random.u64(..)),
            random,
            topics: sorted(topics),
            joined_topics: Vec::new(),
            state: State::unjoined("the consumer subscribes"),
            identity: Identity::default(),
            in_flight: InFlight::default(),
            heartbeats: Heartbeats::new(now, &config),
            handover: Handover::default(),
            departures: VecDeque::new(),
            led_topics: None,
            noted: None,
            follow_up: FollowUp::default(),
            polled: now,
            failures: 0,
            config,
        }
    }

    /// What commits carry now.
    pub(crate) fn membership(&self) -> Membership {
        Membership {
            member_id: self.identity.member_id.clone(),
            generation_id: self.identity.generation_id,
            group_instance_id: self.config.group_instance_id.clone(),
            rebalancing: !matches!(self.state, State::Stable { rejoin: None }),
            tenure: self.handover.tenure(),
            has_epochs: false,
        }
    }

    /// The topics to watch for added partitions while the generation is complete: all of the group's for its leader, none
    /// for the others.
    ///
    /// The leader alone knows on which numbers of partitions the assignment rests, and one rejoin is enough.
    pub(crate) fn stable_topics(&self) -> Option<&[String]> {
        let stable = matches!(self.state, State::Stable { rejoin: None });
        stable.then(|| self.led_topics.as_deref().unwrap_or_default())
    }

    /// On how many partitions of each topic the assignment rests, as its leader wrote down for itself before it went and came
    /// back; once. Who has just assigned knows better.
    pub(crate) fn take_noted(&mut self) -> Option<Noted> {
        self.noted.take()
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

    /// The assignor's run that the leader owes the group; once.
    pub(crate) fn poll_assignment(&mut self) -> Option<AssignmentTask> {
        match &mut self.state {
            State::Assigning { task, .. } => task.take(),
            _ => None,
        }
    }

    /// The application polled at `now`; the same instant counts once.
    pub(crate) fn polled(&mut self, now: Instant) {
        if now <= self.polled {
            return;
        }
        self.polled = now;
        if self.awaits_poll() {
            // Nobody was asked for anything meanwhile.
            self.heartbeats.begin(now, &self.config);
            self.state = State::unjoined("the application polls again");
            self.advance();
        }
    }

    /// The application did what the event with this number asked for.
    pub(crate) fn acknowledge(&mut self, now: Instant, event_id: u64) {
        if !self.handover.acknowledge(event_id) {
            return;
        }
        if let State::Failed { reported: true, lasting: false, .. } = self.state {
            self.retry_join(now, "the application knows of the failure");
        }
        self.advance();
    }

    /// The application subscribes to other topics.
    pub(crate) fn set_topics(&mut self, topics: Vec<String>) {
        let topics = sorted(topics);
        if topics != self.topics {
            self.topics = topics;
            self.request_rejoin("the subscription changed");
            // A member that is about to join anyway may have topics to give up first.
            self.advance();
        }
    }

    /// Asks for a rebalance; one that is under way already serves, which `false` tells.
    pub(crate) fn request_rejoin(&mut self, reason: &str) -> bool {
        let State::Stable { rejoin } = &mut self.state else { return false };
        if rejoin.is_none() {
            *rejoin = Some(reason.to_owned());
        }
        self.advance();
        true
    }

    /// The coordinator refused a commit that was sent as `sent_as`.
    pub(crate) fn handle_commit_refused(&mut self, now: Instant, code: ErrorCode, sent_as: &Membership) {
        let stable = matches!(self.state, State::Stable { .. });
        let current = (sent_as.generation_id, sent_as.member_id.as_str())
            == (self.identity.generation_id, self.identity.member_id.as_str());
        match code {
            _ if !stable || !current => {}
            // The answer may be older than the complete generation; the next heartbeat tells.
            ErrorCode::REBALANCE_IN_PROGRESS => self.heartbeats.due(now),
            // Without the group there is no member; the heartbeat's answer has a code for that.
            ErrorCode::GROUP_ID_NOT_FOUND => self.heartbeats.due(now),
            code => self.handle_refusal(now, code, "a commit"),
        }
    }

    /// Time has come to [`ClassicMember::poll_deadline`].
    pub(crate) fn handle_deadline(&mut self, now: Instant) {
        if self.state.is_active() && now >= self.polled + self.config.max_poll_interval {
            self.oversleep();
        }
        self.check_session(now);
        if self.follow_up.take(now) {
            self.request_rejoin("partitions that somebody was to give up are nobody's");
        }
    }

    /// When to call [`ClassicMember::handle_deadline`] and [`ClassicMember::poll_request`] again, if nothing else happens
    /// before.
    pub(crate) fn poll_deadline(&self) -> Option<Instant> {
        let poll = self.state.is_active().then(|| self.polled + self.config.max_poll_interval);
        let coordinator = match self.coordinator.node() {
            Some(_) => self.lane_deadline(),
            None if self.wants_coordinator() => self.coordinator.sought_at(),
            None => None,
        };
        poll.into_iter().chain(coordinator).chain(self.follow_up.due()).min()
    }

    /// When the next request to a known coordinator is due, or its silence becomes suspicious.
    fn lane_deadline(&self) -> Option<Instant> {
        let heartbeat = self.is_heartbeating().then(|| match self.in_flight.heartbeat {
            Some(_) => self.heartbeats.session_end(),
            None => self.heartbeats.next().min(self.heartbeats.session_end()),
        });
        let join = match &self.state {
            State::Unjoined { not_before, .. }
                if self.in_flight.join.is_none() && self.handover.is_settled() =>
            {
                *not_before
            }
            _ => None,
        };
        heartbeat.into_iter().chain(join).min()
    }

    /// Lets the application's next step come up, if it has none to do.
    fn advance(&mut self) {
        if let State::Leaving { .. } | State::Left = self.state {
            return;
        }
        let (joins, eager) = (self.state.wants_join(), self.config.protocol() == RebalanceProtocol::Eager);
        let topics = &self.topics;
        self.handover.advance(|partition| joins && (eager || !contains(topics, &partition.topic)));
        if let State::Failed { error, lasting, reported: reported @ false } = &mut self.state {
            *reported = self.handover.fail(error, *lasting);
        }
    }

    fn is_subscribed(&self, topic: &str) -> bool {
        contains(&self.topics, topic)
    }

    /// Gives up all partitions without the group's leave. Without `keep_id` the coordinator does not know the member.
    fn lose(&mut self, keep_id: bool) {
        self.handover.lose();
        self.identity.generation_id = -1;
        if !keep_id {
            self.identity.member_id.clear();
        }
        self.led_topics = None;
        self.follow_up = FollowUp::default();
        self.in_flight.heartbeat = None;
    }

    /// Stops: the application has to know. A `lasting` failure stays; any other is tried again when it was acknowledged.
    fn fail(&mut self, error: Error, lasting: bool) {
        let member_id = self.identity.member_id.clone();
        if lasting && !member_id.is_empty() {
            // Others need not wait for the session to end.
            self.depart(member_id, "the consumer failed");
        }
        self.lose(!lasting);
        self.state = State::Failed { error, lasting, reported: false };
        self.advance();
    }

    /// Stops for good because of what the coordinator said.
    fn fail_by_code(&mut self, code: ErrorCode, doing: &str) {
        let error = Error::from_code(code, format!("cannot {doing} group `{}`", self.config.group_id));
        self.fail(error, true);
    }

    /// The topics of a pattern cannot be told. A member that `has_topics` from an earlier look goes on with them, and the
    /// application hears of it between two other steps; one that has none can't join.
    pub(crate) fn handle_topics_unknown(&mut self, error: &Error, has_topics: bool) {
        if !self.state.is_active() || error.is_retriable() {
            return;
        }
        if has_topics {
            self.handover.fail(error, false);
        } else {
            self.fail(error.clone(), false);
        }
    }

    /// What to do about a request that failed without an answer: most often the coordinator is elsewhere by now.
    fn handle_unanswered(&mut self, now: Instant, error: &Error) {
        if error.is_retriable() {
            return self.lose_coordinator(now);
        }
        self.fail(error.clone(), is_lasting(error));
    }

    /// Joins (again) after a pause that grows with every failure in a row.
    fn retry_join(&mut self, now: Instant, reason: impl Into<String>) {
        let wait = self.config.backoff().next(self.failures, self.random.f64());
        self.failures = self.failures.saturating_add(1);
        self.state = State::Unjoined { not_before: Some(now + wait), reason: reason.into() };
        self.advance();
    }
}

fn contains(sorted: &[String], topic: &str) -> bool {
    sorted.binary_search_by(|name| name.as_str().cmp(topic)).is_ok()
}

fn sorted(mut topics: Vec<String>) -> Vec<String> {
    topics.sort_unstable();
    topics.dedup();
    topics
}
