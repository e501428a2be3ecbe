//! Either of the two member machines, behind what the driver needs of both.

use std::sync::Arc;
use std::time::Instant;

use ottla_client::{Error, NodeId};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::heartbeat::HeartbeatResponse;
use ottla_protocol::messages::join_group::JoinGroupResponse;
use ottla_protocol::messages::leave_group::LeaveGroupResponse;
use ottla_protocol::messages::sync_group::SyncGroupResponse;

use super::classic::ClassicMember;
use super::consumer_protocol::ConsumerMember;
use super::leader::{Layout, Noted};
use super::{GroupConfig, GroupEvent, Interest, Membership};
use crate::assignor::Assignments;
use crate::options::GroupProtocol;

/// A member of one of the protocols.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for each consumer, and it is never moved about")]
pub(super) enum Member {
    Classic(ClassicMember),
    Consumer(ConsumerMember),
}

/// Does the same with whichever it is.
macro_rules! either {
    ($this:expr, $member:ident => $act:expr) => {
        match $this {
            Member::Classic($member) => $act,
            Member::Consumer($member) => $act,
        }
    };
}

impl Member {
    /// The machine that `group.protocol` asks for. A classic member of a pattern begins without topics.
    pub(super) fn new(config: Arc<GroupConfig>, interest: Interest, now: Instant, seed: u64) -> Member {
        match config.group_protocol {
            GroupProtocol::Classic => {
                Member::Classic(ClassicMember::new(config, interest.names(), now, seed))
            }
            GroupProtocol::Consumer => Member::Consumer(ConsumerMember::new(config, interest, now, seed)),
        }
    }

    pub(super) fn set_interest(&mut self, now: Instant, interest: Interest) {
        match self {
            // What a pattern matches comes from the watch.
            Member::Classic(_) if matches!(interest, Interest::Pattern(_)) => {}
            Member::Classic(member) => member.set_topics(interest.names()),
            Member::Consumer(member) => member.set_interest(now, interest),
        }
    }

    pub(super) fn membership(&self) -> Membership {
        either!(self, member => member.membership())
    }

    pub(super) fn stable_topics(&self) -> Option<&[String]> {
        match self {
            Member::Classic(member) => member.stable_topics(),
            Member::Consumer(_) => None,
        }
    }

    pub(super) fn is_older_than(&self, polled: Instant) -> bool {
        either!(self, member => member.is_older_than(polled))
    }

    pub(super) fn awaits_poll(&self) -> bool {
        either!(self, member => member.awaits_poll())
    }

    pub(super) fn has_left(&self) -> bool {
        either!(self, member => member.has_left())
    }

    pub(super) fn poll_event(&self) -> Option<&GroupEvent> {
        either!(self, member => member.poll_event())
    }

    pub(super) fn poll_deadline(&self) -> Option<Instant> {
        either!(self, member => member.poll_deadline())
    }

    pub(super) fn polled(&mut self, now: Instant) {
        either!(self, member => member.polled(now));
    }

    pub(super) fn acknowledge(&mut self, now: Instant, event_id: u64) {
        either!(self, member => member.acknowledge(now, event_id));
    }

    pub(super) fn request_rejoin(&mut self, reason: &str) {
        if let Member::Classic(member) = self {
            member.request_rejoin(reason);
        }
    }

    pub(super) fn leave(&mut self) {
        either!(self, member => member.leave());
    }

    pub(super) fn handle_deadline(&mut self, now: Instant) {
        either!(self, member => member.handle_deadline(now));
    }

    pub(super) fn handle_commit_refused(&mut self, now: Instant, code: ErrorCode, sent_as: &Membership) {
        either!(self, member => member.handle_commit_refused(now, code, sent_as));
    }

    pub(super) fn handle_coordinator(&mut self, now: Instant, id: u64, found: Result<NodeId, Error>) {
        either!(self, member => member.handle_coordinator(now, id, found));
    }

    pub(super) fn handle_join(&mut self, now: Instant, id: u64, answer: Result<JoinGroupResponse, Error>) {
        if let Member::Classic(member) = self {
            member.handle_join(now, id, answer);
        }
    }

    pub(super) fn handle_sync(&mut self, now: Instant, id: u64, answer: Result<SyncGroupResponse, Error>) {
        if let Member::Classic(member) = self {
            member.handle_sync(now, id, answer);
        }
    }

    pub(super) fn handle_heartbeat(
        &mut self,
        now: Instant,
        id: u64,
        answer: Result<HeartbeatResponse, Error>,
    ) {
        if let Member::Classic(member) = self {
            member.handle_heartbeat(now, id, answer);
        }
    }

    pub(super) fn handle_leave(&mut self, now: Instant, id: u64, answer: &Result<LeaveGroupResponse, Error>) {
        if let Member::Classic(member) = self {
            member.handle_leave(now, id, answer);
        }
    }

    pub(super) fn handle_assignment(
        &mut self,
        id: u64,
        outcome: Result<Assignments, Error>,
        rests_on: &Layout,
    ) {
        if let Member::Classic(member) = self {
            member.handle_assignment(id, outcome, rests_on);
        }
    }

    pub(super) fn take_noted(&mut self) -> Option<Noted> {
        match self {
            Member::Classic(member) => member.take_noted(),
            Member::Consumer(_) => None,
        }
    }
}
