//! What all groups share while one of them is at work.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::join_group::JoinGroupResponse;
use ottla_protocol::messages::sync_group::SyncGroupResponse;

use super::Answer;
use super::ids::Ids;
use super::options::GroupOptions;
use super::timers::{Detail, Slot, Timers};
use super::topics::Topics;
use crate::call::Ticket;

/// The coordinator without its groups.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) now: Instant,
    pub(super) options: &'a GroupOptions,
    pub(super) topics: &'a Topics,
    pub(super) ids: &'a mut Ids,
    pub(super) timers: &'a mut Timers,
    pub(super) outbox: &'a mut VecDeque<(Ticket, Answer)>,
}

impl Context<'_> {
    /// Sets a timer some time from now.
    pub(super) fn set_timer(&mut self, after: Duration, group: &str, slot: Slot, detail: Detail) {
        self.timers.set(self.at(after), group, slot, detail);
    }

    /// Sets a timer some time from now unless it is running.
    pub(super) fn set_timer_if_absent(&mut self, after: Duration, group: &str, slot: Slot) {
        self.timers.set_if_absent(self.at(after), group, slot, Detail::None);
    }

    /// Answers a join.
    pub(super) fn answer_join(&mut self, parked: Parked, mut response: JoinGroupResponse) {
        // Before version 7 the field has no null.
        if parked.version < 7 {
            response.protocol_name.get_or_insert_default();
        }
        self.outbox.extend(parked.ticket.map(|ticket| (ticket, Answer::Join(response))));
    }

    /// Refuses a join.
    pub(super) fn refuse_join(&mut self, parked: Parked, member_id: &str, error_code: ErrorCode) {
        let response = JoinGroupResponse {
            member_id: member_id.to_owned(),
            error_code,
            protocol_name: None,
            ..Default::default()
        };
        self.answer_join(parked, response);
    }

    /// Answers a sync.
    pub(super) fn answer_sync(&mut self, parked: Parked, response: SyncGroupResponse) {
        self.outbox.extend(parked.ticket.map(|ticket| (ticket, Answer::Sync(response))));
    }

    /// Refuses a sync.
    pub(super) fn refuse_sync(&mut self, parked: Parked, error_code: ErrorCode) {
        self.answer_sync(parked, SyncGroupResponse { error_code, ..Default::default() });
    }

    fn at(&self, after: Duration) -> Instant {
        // A clock that close to its end never comes to the timer anyway.
        self.now.checked_add(after).unwrap_or(self.now)
    }
}

/// A request that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parked {
    /// None once its connection is gone: the group goes on waiting for it, as Kafka does, but nobody hears
    /// the answer.
    pub(super) ticket: Option<Ticket>,
    pub(super) version: i16,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) message: Option<String>,
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Refusal { code, message: Some(message.into()) }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Refusal { code, message: code.text().map(str::to_owned) }
    }
}

/// A time in milliseconds off the wire; negative ones are none.
pub(super) fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
