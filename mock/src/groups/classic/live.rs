//! What members do between rebalances: sync, heartbeat, leave, commit.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::leave_group::{MemberIdentity, MemberResponse};
use ottla_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

use super::{ClassicGroup, State};
use crate::groups::context::{Context, Parked};
use crate::groups::timers::Slot;

impl ClassicGroup {
    /// Hands in the leader's assignment, or waits for it.
    pub(in crate::groups) fn sync(
        &mut self,
        cx: &mut Context<'_>,
        parked: Parked,
        request: &SyncGroupRequest,
    ) {
        let member_id = &request.member_id;
        if let Err(code) = self.validate_sync(request) {
            return cx.refuse_sync(parked, code);
        }
        match self.state {
            State::Empty => cx.refuse_sync(parked, ErrorCode::UNKNOWN_MEMBER_ID),
            State::PreparingRebalance => cx.refuse_sync(parked, ErrorCode::REBALANCE_IN_PROGRESS),
            State::CompletingRebalance => {
                if let Some(member) = self.members.get_mut(member_id) {
                    member.syncing = Some(parked);
                }
                self.has_synced(cx, member_id);
                if self.is_leader(member_id) {
                    // Who is named twice gets the last share, and who was left out gets nothing.
                    let shares = request.assignments.iter();
                    let shares: BTreeMap<&str, &Bytes> =
                        shares.map(|share| (share.member_id.as_str(), &share.assignment)).collect();
                    for member in self.members.values_mut() {
                        member.assignment =
                            shares.get(member.id.as_str()).copied().cloned().unwrap_or_default();
                    }
                    self.state = State::Stable;
                    self.save();
                    self.answer_syncs(cx, ErrorCode::NONE);
                }
            }
            State::Stable => {
                self.has_synced(cx, member_id);
                cx.answer_sync(parked, self.synced(member_id, ErrorCode::NONE));
            }
        }
    }

    fn validate_sync(&self, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        self.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let differs = |theirs: &Option<String>, ours: &Option<String>| {
            theirs.is_some() && ours.is_some() && theirs != ours
        };
        if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol)
        {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        Ok(())
    }

    fn has_synced(&mut self, cx: &mut Context<'_>, member_id: &str) {
        self.pending_syncs.remove(member_id);
        if self.pending_syncs.is_empty() {
            cx.timers.cancel(&self.id, &Slot::Sync);
        }
    }

    /// The answer to a sync.
    pub(super) fn synced(&self, member_id: &str, error_code: ErrorCode) -> SyncGroupResponse {
        if !error_code.is_ok() {
            return SyncGroupResponse { error_code, ..Default::default() };
        }
        SyncGroupResponse {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            assignment: self
                .members
                .get(member_id)
                .map(|member| member.assignment.clone())
                .unwrap_or_default(),
            ..Default::default()
        }
    }

    /// Says that a member is alive, and whether it should join again.
    pub(in crate::groups) fn heartbeat(
        &mut self,
        cx: &mut Context<'_>,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        self.validate_member(member_id, instance_id)?;
        if generation != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        self.renew_session(cx, member_id);
        match self.state {
            State::Empty => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            State::PreparingRebalance => Err(ErrorCode::REBALANCE_IN_PROGRESS),
            State::CompletingRebalance | State::Stable => Ok(()),
        }
    }

    /// Takes members out; an administrator may name static ones by their instance id alone.
    pub(in crate::groups) fn leave(
        &mut self,
        cx: &mut Context<'_>,
        leaving: &[MemberIdentity],
    ) -> Vec<MemberResponse> {
        let outcomes: Vec<_> = leaving.iter().map(|identity| self.leave_one(cx, identity)).collect();
        if outcomes.iter().any(|outcome| outcome.error_code.is_ok()) {
            match self.state {
                State::Stable | State::CompletingRebalance => self.prepare_rebalance(cx),
                State::PreparingRebalance => self.try_complete_join(cx),
                State::Empty => {}
            }
        }
        outcomes
    }

    fn leave_one(&mut self, cx: &mut Context<'_>, identity: &MemberIdentity) -> MemberResponse {
        let instance_id = identity.group_instance_id.as_deref();
        let found = if identity.member_id.is_empty() {
            instance_id.and_then(|id| self.statics.get(id)).cloned().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
        } else if self.pending_joins.contains(&identity.member_id) {
            Ok(identity.member_id.clone())
        } else {
            self.validate_member(&identity.member_id, instance_id).map(|()| identity.member_id.clone())
        };
        let error_code = match found {
            Ok(member_id) => {
                self.drop_member(cx, &member_id);
                ErrorCode::NONE
            }
            Err(code) => code,
        };
        MemberResponse {
            member_id: identity.member_id.clone(),
            group_instance_id: identity.group_instance_id.clone(),
            error_code,
            ..Default::default()
        }
    }

    /// Checks that offsets may be committed, and takes a member's commit for a sign of life.
    pub(in crate::groups) fn commit(
        &self,
        cx: &mut Context<'_>,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
        transactional: bool,
    ) -> Result<(), ErrorCode> {
        if generation < 0 && self.is_empty() {
            // Nobody's place is taken: an administrator, or a consumer that assigns by itself.
            return Ok(());
        }
        if generation >= 0 || !member_id.is_empty() || instance_id.is_some() {
            self.validate_member(member_id, instance_id)?;
            if generation != self.generation {
                return Err(ErrorCode::ILLEGAL_GENERATION);
            }
        } else if !transactional && !self.is_empty() {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if transactional {
            return Ok(());
        }
        if self.state == State::CompletingRebalance {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        self.renew_session(cx, member_id);
        Ok(())
    }
}
