//! SyncGroup: the leader's assignment out, the member's share in.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use ottla_client::{Error, ErrorKind, TopicPartition};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_protocol::{PROTOCOL_TYPE, decode_assignment};
use ottla_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse};
use ottla_protocol::wire::{DecodeError, EncodeError};

use super::state::State;
use super::{ClassicMember, RequestBody};
use crate::assignor::{Assignments, PreviousAssignment, RebalanceProtocol};
use crate::group::leader::{self, Layout};

impl ClassicMember {
    /// The leader's assignor has run, on topics of this layout.
    pub(crate) fn handle_assignment(
        &mut self,
        id: u64,
        outcome: Result<Assignments, Error>,
        rests_on: &Layout,
    ) {
        let State::Assigning { request, owned, .. } = &mut self.state else { return };
        if *request != id {
            return;
        }
        let owned = std::mem::take(owned);
        let encoded = outcome.and_then(|assignments| {
            let withheld = leader::withheld(owned, &assignments);
            let encoded = self.encode(&assignments, rests_on, &withheld);
            encoded.map(|shares| (shares, withheld)).map_err(|error| {
                Error::new(ErrorKind::Encode, "the assignment of the group cannot be sent").with_cause(error)
            })
        });
        match encoded {
            Ok((assignments, withheld)) => {
                self.state = State::Syncing { request: None, assignments, withheld: Some(withheld) }
            }
            Err(error) => self.fail(error, true),
        }
    }

    /// A static leader that comes back gets its share again, and is not asked to assign: without the note it could not tell
    /// that a topic got partitions while it was away, or that it was to give some up, and nobody would ever read them.
    fn encode(
        &self,
        assignments: &Assignments,
        rests_on: &Layout,
        withheld: &BTreeSet<TopicPartition>,
    ) -> Result<Vec<SyncGroupRequestAssignment>, EncodeError> {
        let is_static = self.config.group_instance_id.is_some();
        let note = is_static.then(|| leader::note(rests_on, withheld)).transpose()?;
        leader::encode(assignments, note.as_ref().map(|note| (self.identity.member_id.as_str(), note)))
    }

    /// The SyncGroup to send, if there is one.
    pub(super) fn send_sync(&mut self) -> Option<(u64, RequestBody)> {
        let State::Syncing { request: request @ None, assignments, .. } = &mut self.state else {
            return None;
        };
        if self.in_flight.join.is_some() {
            return None;
        }
        let id = self.in_flight.next_id();
        self.in_flight.join = Some(id);
        *request = Some(id);
        let request = SyncGroupRequest {
            group_id: self.config.group_id.to_string(),
            generation_id: self.identity.generation_id,
            member_id: self.identity.member_id.clone(),
            group_instance_id: self.config.group_instance_id.clone(),
            protocol_type: Some(PROTOCOL_TYPE.to_owned()),
            protocol_name: Some(self.identity.protocol.clone()),
            assignments: std::mem::take(assignments),
            ..SyncGroupRequest::default()
        };
        Some((id, RequestBody::Sync(request)))
    }

    /// The answer to SyncGroup, or why there is none.
    pub(crate) fn handle_sync(&mut self, now: Instant, id: u64, answer: Result<SyncGroupResponse, Error>) {
        if self.in_flight.join != Some(id) {
            return;
        }
        self.in_flight.join = None;
        let State::Syncing { request: Some(request), withheld, .. } = &mut self.state else {
            return self.finish_leaving();
        };
        if *request != id {
            return self.finish_leaving();
        }
        let withheld = withheld.take();
        match answer {
            Ok(response) if response.error_code.is_ok() => self.handle_synced(now, &response, withheld),
            Ok(response) => self.handle_sync_refused(now, response.error_code),
            Err(error) => {
                let reason = format!("SyncGroup failed: {error}");
                self.state = State::Unjoined { not_before: None, reason };
                self.handle_unanswered(now, &error);
                self.advance();
            }
        }
    }

    /// The member joins again in any case: what the leader sent may not have arrived.
    fn handle_sync_refused(&mut self, now: Instant, code: ErrorCode) {
        let reason = format!("SyncGroup was refused: {}", code.name().unwrap_or_default());
        match code {
            ErrorCode::REBALANCE_IN_PROGRESS => {
                self.coordinator.confirm();
                self.state = State::Unjoined { not_before: None, reason };
                self.advance();
            }
            ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::ILLEGAL_GENERATION => {
                self.coordinator.confirm();
                self.lose(code == ErrorCode::ILLEGAL_GENERATION);
                self.state = State::Unjoined { not_before: None, reason };
                self.advance();
            }
            ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => {
                self.state = State::Unjoined { not_before: None, reason };
                self.lose_coordinator(now);
                self.advance();
            }
            ErrorCode::FENCED_INSTANCE_ID
            | ErrorCode::GROUP_AUTHORIZATION_FAILED
            | ErrorCode::INCONSISTENT_GROUP_PROTOCOL => {
                self.fail_by_code(code, "get a share of the partitions of")
            }
            code if code.is_retriable() => self.retry_join(now, reason),
            code => {
                let doing =
                    format!("cannot get a share of the partitions of group `{}`", self.config.group_id);
                self.fail(Error::from_code(code, doing), false);
            }
        }
    }

    fn handle_synced(
        &mut self,
        now: Instant,
        response: &SyncGroupResponse,
        withheld: Option<BTreeSet<TopicPartition>>,
    ) {
        let differs =
            |theirs: &Option<String>, ours: &str| theirs.as_deref().is_some_and(|theirs| theirs != ours);
        if differs(&response.protocol_type, PROTOCOL_TYPE)
            || differs(&response.protocol_name, &self.identity.protocol)
        {
            return self
                .fail_by_code(ErrorCode::INCONSISTENT_GROUP_PROTOCOL, "get a share of the partitions of");
        }
        let (share, note) = match share(response) {
            Ok(read) => read,
            Err(error) => {
                let group = &self.config.group_id;
                let message =
                    format!("the share that the leader of group `{group}` gave this member is unreadable");
                return self.fail(Error::new(ErrorKind::Protocol, message).with_cause(error), false);
            }
        };
        self.coordinator.confirm();
        self.heartbeats.answered(now, &self.config);
        self.tell_assignor(&share);
        // Who has just assigned gets its own note, which does not count what is withheld: as news it would be a reason to
        // rebalance at once, and again in the next generation.
        self.noted = if withheld.is_some() { None } else { leader::noted(note.as_ref()) };
        if let Some(noted) = &self.noted {
            // Before JoinGroup v9 a static leader that comes back is told its former id as that of the leader. Who else has the
            // note than whoever wrote it?
            self.led_topics.get_or_insert_with(|| noted.keys().cloned().collect());
        }
        self.follow_up.begin(now, withheld.unwrap_or_default(), self.config.session_timeout);

        // Topics that were unsubscribed meanwhile are not handed to the application; the rejoin frees them for others.
        let share: BTreeSet<_> =
            share.into_iter().filter(|partition| self.is_subscribed(&partition.topic)).collect();
        let taken = self.handover.assign(share, self.identity.generation_id);
        let cooperative = self.config.protocol() == RebalanceProtocol::Cooperative;
        let owed = self.identity.owed.take().map(|(_, reason)| reason);
        let rejoin = if self.joined_topics != self.topics {
            Some("the subscription changed")
        } else if cooperative && taken {
            Some("partitions were revoked, for others to take")
        } else {
            None
        };
        self.state = State::Stable { rejoin: rejoin.map(str::to_owned).or(owed) };
        self.advance();
    }

    fn tell_assignor(&mut self, share: &[TopicPartition]) {
        let chosen = |name: &str| name == self.identity.protocol;
        if let Some(assignor) = self.config.assignors.iter().find(|assignor| chosen(assignor.name())) {
            assignor.on_assignment(PreviousAssignment {
                partitions: share,
                generation_id: self.identity.generation_id,
            });
        }
        self.handover.remember(share, self.identity.generation_id);
    }
}

/// The partitions in an answer, and what the leader wrote beside them; none at all if the leader left the member out.
fn share(response: &SyncGroupResponse) -> Result<(Vec<TopicPartition>, Option<Bytes>), DecodeError> {
    if response.assignment.is_empty() {
        return Ok((Vec::new(), None));
    }
    let (assignment, _) = decode_assignment(&response.assignment)?;
    let mut share = Vec::new();
    for topic in assignment.assigned_partitions {
        let name: Arc<str> = topic.topic.into();
        share.extend(
            topic.partitions.into_iter().map(|partition| TopicPartition::new(Arc::clone(&name), partition)),
        );
    }
    Ok((share, assignment.user_data))
}
