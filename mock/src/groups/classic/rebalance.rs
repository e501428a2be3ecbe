//! Rebalances: how they begin, how long they wait, how they end.

use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::error_code::ErrorCode;

use super::{ClassicGroup, State};
use crate::groups::context::Context;
use crate::groups::timers::{Detail, Slot};

impl ClassicGroup {
    /// Begins a rebalance; if one is being prepared, sees whether it can go on.
    pub(in crate::groups) fn rebalance(&mut self, cx: &mut Context<'_>) {
        match self.state {
            State::PreparingRebalance => self.try_complete_join(cx),
            State::Empty | State::CompletingRebalance | State::Stable => self.prepare_rebalance(cx),
        }
    }

    /// Begins a rebalance.
    pub(in crate::groups) fn prepare_rebalance(&mut self, cx: &mut Context<'_>) {
        if self.state == State::CompletingRebalance {
            for member in self.members.values_mut() {
                member.assignment = Bytes::new();
            }
            self.answer_syncs(cx, ErrorCode::REBALANCE_IN_PROGRESS);
        }
        self.pending_syncs.clear();
        cx.timers.cancel(&self.id, &Slot::Sync);
        self.initial = self.state == State::Empty;
        self.state = State::PreparingRebalance;
        if self.initial {
            let delay = cx.options.initial_rebalance_delay;
            let remaining = self.rebalance_timeout().saturating_sub(delay);
            cx.set_timer(delay, &self.id, Slot::Join, Detail::Initial { delay, remaining });
        } else if self.all_joined() {
            self.complete_join(cx);
        } else {
            cx.set_timer(self.rebalance_timeout(), &self.id, Slot::Join, Detail::None);
        }
    }

    /// Ends the wait for joins if nobody is missing.
    pub(super) fn try_complete_join(&mut self, cx: &mut Context<'_>) {
        if self.state == State::PreparingRebalance && !self.initial && self.all_joined() {
            self.complete_join(cx);
        }
    }

    /// The initial delay is over: waits again if members have come meanwhile, within the rebalance timeout.
    pub(in crate::groups) fn initial_delay_over(
        &mut self,
        cx: &mut Context<'_>,
        delay: Duration,
        remaining: Duration,
    ) {
        if !self.new_member_added || remaining.is_zero() {
            return self.complete_join(cx);
        }
        self.new_member_added = false;
        let next = cx.options.initial_rebalance_delay.min(remaining);
        let remaining = remaining.saturating_sub(delay);
        cx.set_timer(next, &self.id, Slot::Join, Detail::Initial { delay: next, remaining });
    }

    /// Ends the wait for joins: who is missing is out, unless it is static; the others are the next generation.
    pub(in crate::groups) fn complete_join(&mut self, cx: &mut Context<'_>) {
        if self.state != State::PreparingRebalance {
            return;
        }
        cx.timers.cancel(&self.id, &Slot::Join);
        let missing =
            self.members.values().filter(|member| member.joining.is_none() && member.instance_id.is_none());
        for member_id in missing.map(|member| member.id.clone()).collect::<Vec<_>>() {
            self.remove(&member_id);
            cx.timers.cancel(&self.id, &Slot::Heartbeat(member_id));
        }
        if !self.elect_leader() && !self.members.is_empty() {
            // Only static members are left and none has joined: their sessions decide.
            cx.set_timer(self.rebalance_timeout(), &self.id, Slot::Join, Detail::None);
            return;
        }
        self.generation = self.generation.wrapping_add(1).max(0);
        self.protocol = self.select_protocol();
        self.pending_syncs.clear();
        self.initial = false;
        if self.members.is_empty() {
            self.state = State::Empty;
            self.empty_since = Some(cx.now);
            self.save();
            return;
        }
        self.state = State::CompletingRebalance;
        for member_id in self.members.keys().cloned().collect::<Vec<_>>() {
            let response = self.joined(&member_id, self.is_leader(&member_id));
            let Some(member) = self.members.get_mut(&member_id) else { continue };
            member.is_new = false;
            if let Some(parked) = member.joining.take() {
                cx.answer_join(parked, response);
            }
            self.renew_session(cx, &member_id);
            self.pending_syncs.insert(member_id);
        }
        cx.set_timer(self.rebalance_timeout(), &self.id, Slot::Sync, Detail::Epoch(self.generation));
    }

    /// Makes sure that the leader has joined; false if nobody has.
    fn elect_leader(&mut self) -> bool {
        let joined = |id: &String| self.members.get(id).is_some_and(|member| member.joining.is_some());
        if self.leader.as_ref().is_some_and(joined) {
            return true;
        }
        match self.members.keys().find(|id| joined(id)).cloned() {
            Some(member_id) => {
                self.leader = Some(member_id);
                true
            }
            None => false,
        }
    }

    /// Drops the members that have not synced in time.
    pub(in crate::groups) fn sync_time_over(&mut self, cx: &mut Context<'_>, generation: i32) {
        let waits = matches!(self.state, State::CompletingRebalance | State::Stable);
        if generation != self.generation || !waits || self.pending_syncs.is_empty() {
            return;
        }
        for member_id in std::mem::take(&mut self.pending_syncs) {
            self.remove(&member_id);
            cx.timers.cancel(&self.id, &Slot::Heartbeat(member_id));
        }
        self.prepare_rebalance(cx);
    }

    /// A session, or the time for joining with a given id, is over.
    pub(in crate::groups) fn session_over(&mut self, cx: &mut Context<'_>, member_id: &str) {
        if self.pending_joins.contains(member_id) {
            self.remove(member_id);
            if self.state == State::PreparingRebalance && self.all_joined() {
                self.complete_join(cx);
            }
        } else if self.members.get(member_id).is_some_and(|member| !member.is_excused()) {
            self.drop_member(cx, member_id);
            self.after_removal(cx);
        }
    }

    /// Removes a member; if it waits in a join, that is refused, so that a living client comes back.
    pub(in crate::groups) fn drop_member(&mut self, cx: &mut Context<'_>, member_id: &str) {
        cx.timers.cancel(&self.id, &Slot::Heartbeat(member_id.to_owned()));
        if let Some(member) = self.members.get_mut(member_id) {
            if let Some(parked) = member.joining.take() {
                cx.refuse_join(parked, "", ErrorCode::UNKNOWN_MEMBER_ID);
            }
            if let Some(parked) = member.syncing.take() {
                cx.refuse_sync(parked, ErrorCode::UNKNOWN_MEMBER_ID);
            }
        }
        self.remove(member_id);
    }

    /// Goes on after a member's session has ended.
    pub(in crate::groups) fn after_removal(&mut self, cx: &mut Context<'_>) {
        match self.state {
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(cx),
            State::PreparingRebalance if self.all_joined() => self.complete_join(cx),
            State::PreparingRebalance | State::Empty => {}
        }
    }

    /// Answers all syncs that wait: with the member's assignment, or with an error.
    pub(super) fn answer_syncs(&mut self, cx: &mut Context<'_>, code: ErrorCode) {
        let mut answered = Vec::new();
        for member_id in self.members.keys().cloned().collect::<Vec<_>>() {
            let response = self.synced(&member_id, code);
            let Some(parked) = self.members.get_mut(&member_id).and_then(|member| member.syncing.take())
            else {
                continue;
            };
            cx.answer_sync(parked, response);
            answered.push(member_id);
        }
        // Their sessions may have run out unnoticed while they waited.
        for member_id in answered {
            self.renew_session(cx, &member_id);
        }
    }
}
