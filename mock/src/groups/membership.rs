//! The RPCs by which members come, stay and go, led to the right kind of group.

use std::collections::btree_map::Entry;
use std::time::Instant;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};
use ottla_protocol::messages::heartbeat::HeartbeatRequest;
use ottla_protocol::messages::join_group::JoinGroupRequest;
use ottla_protocol::messages::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse,
};
use ottla_protocol::messages::sync_group::SyncGroupRequest;

use super::classic::{ClassicGroup, Join};
use super::consumer::{self, ClassicJoin, ConsumerGroup};
use super::context::{Context, Parked, Refusal, millis};
use super::{Group, GroupMap, Groups, fence, migration};
use crate::call::{Caller, Ticket};

impl Groups {
    /// A JoinGroup; its answer comes out of [`Groups::poll_answer`].
    pub(crate) fn handle_join(
        &mut self,
        now: Instant,
        ticket: Ticket,
        version: i16,
        who: &Caller,
        request: &JoinGroupRequest,
    ) {
        let with_timeout;
        let request = if version == 0 {
            with_timeout =
                JoinGroupRequest { rebalance_timeout_ms: request.session_timeout_ms, ..request.clone() };
            &with_timeout
        } else {
            request
        };
        let parked = Parked { ticket: Some(ticket), version };
        let (groups, _, mut cx) = self.parts(now);
        if request.group_id.is_empty() {
            return cx.refuse_join(parked, &request.member_id, ErrorCode::INVALID_GROUP_ID);
        }
        let sessions = cx.options.min_session_timeout..=cx.options.max_session_timeout;
        if request.session_timeout_ms < 0 || !sessions.contains(&millis(request.session_timeout_ms)) {
            return cx.refuse_join(parked, &request.member_id, ErrorCode::INVALID_SESSION_TIMEOUT);
        }
        join(groups, &mut cx, Join { parked, who, request });
    }

    /// A SyncGroup; its answer comes out of [`Groups::poll_answer`].
    pub(crate) fn handle_sync(
        &mut self,
        now: Instant,
        ticket: Ticket,
        version: i16,
        request: &SyncGroupRequest,
    ) {
        let parked = Parked { ticket: Some(ticket), version };
        let (groups, _, mut cx) = self.parts(now);
        if request.group_id.is_empty() {
            return cx.refuse_sync(parked, ErrorCode::INVALID_GROUP_ID);
        }
        match groups.get_mut(&request.group_id) {
            Some(Group::Classic(group)) => group.sync(&mut cx, parked, request),
            Some(Group::Consumer(group)) => match group.sync_classic(&mut cx, request) {
                Ok(response) => cx.answer_sync(parked, response),
                Err(refusal) => cx.refuse_sync(parked, refusal.code),
            },
            None => cx.refuse_sync(parked, ErrorCode::UNKNOWN_MEMBER_ID),
        }
    }

    /// A Heartbeat.
    pub(crate) fn handle_heartbeat(&mut self, now: Instant, request: &HeartbeatRequest) -> ErrorCode {
        let (groups, _, mut cx) = self.parts(now);
        if request.group_id.is_empty() {
            return ErrorCode::INVALID_GROUP_ID;
        }
        let instance_id = request.group_instance_id.as_deref();
        let outcome = match groups.get_mut(&request.group_id) {
            Some(Group::Classic(group)) => {
                group.heartbeat(&mut cx, &request.member_id, instance_id, request.generation_id)
            }
            Some(Group::Consumer(group)) => {
                group.heartbeat_classic(&mut cx, request).map_err(|refusal| refusal.code)
            }
            None => Err(ErrorCode::UNKNOWN_MEMBER_ID),
        };
        outcome.err().unwrap_or(ErrorCode::NONE)
    }

    /// A LeaveGroup.
    pub(crate) fn handle_leave(
        &mut self,
        now: Instant,
        version: i16,
        request: &LeaveGroupRequest,
    ) -> LeaveGroupResponse {
        if request.group_id.is_empty() {
            return LeaveGroupResponse { error_code: ErrorCode::INVALID_GROUP_ID, ..Default::default() };
        }
        if version >= 3 {
            let members = self.leave(now, &request.group_id, &request.members);
            return LeaveGroupResponse { members, ..Default::default() };
        }
        let identity = MemberIdentity { member_id: request.member_id.clone(), ..Default::default() };
        let outcomes = self.leave(now, &request.group_id, &[identity]);
        let error_code = outcomes.first().map_or(ErrorCode::NONE, |outcome| outcome.error_code);
        LeaveGroupResponse { error_code, ..Default::default() }
    }

    fn leave(&mut self, now: Instant, group_id: &str, leaving: &[MemberIdentity]) -> Vec<MemberResponse> {
        let (groups, _, mut cx) = self.parts(now);
        match groups.get_mut(group_id) {
            Some(Group::Classic(group)) => group.leave(&mut cx, leaving),
            Some(Group::Consumer(group)) => {
                let (found, outcomes) = group.leave_classic(leaving);
                fence(groups, &mut cx, group_id, &found);
                outcomes
            }
            None => leaving
                .iter()
                .map(|identity| MemberResponse {
                    member_id: identity.member_id.clone(),
                    group_instance_id: identity.group_instance_id.clone(),
                    error_code: ErrorCode::UNKNOWN_MEMBER_ID,
                    ..Default::default()
                })
                .collect(),
        }
    }

    /// A ConsumerGroupHeartbeat.
    pub(crate) fn handle_consumer_heartbeat(
        &mut self,
        now: Instant,
        version: i16,
        who: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        let (groups, _, mut cx) = self.parts(now);
        let outcome = consumer::validate(cx.options, version, request)
            .and_then(|()| consumer_heartbeat(groups, &mut cx, who, request));
        outcome.unwrap_or_else(|refusal| ConsumerGroupHeartbeatResponse {
            error_code: refusal.code,
            error_message: refusal.message,
            ..Default::default()
        })
    }
}

fn join(groups: &mut GroupMap, cx: &mut Context<'_>, join: Join<'_>) {
    let request = join.request;
    let group_id = &request.group_id;
    if let Some(Group::Consumer(group)) = groups.get_mut(group_id) {
        if !group.is_empty() {
            return join_consumer_group(groups, cx, join);
        }
        cx.timers.cancel_group(group_id);
        groups.remove(group_id);
    }
    match groups.entry(group_id.clone()) {
        Entry::Occupied(mut entry) => {
            if let Group::Classic(group) = entry.get_mut() {
                group.join(cx, join);
            }
        }
        Entry::Vacant(entry) if request.member_id.is_empty() => {
            let mut group = ClassicGroup::new(group_id);
            group.join(cx, join);
            entry.insert(Group::Classic(Box::new(group)));
        }
        Entry::Vacant(_) => cx.refuse_join(join.parked, &request.member_id, ErrorCode::UNKNOWN_MEMBER_ID),
    }
}

fn join_consumer_group(groups: &mut GroupMap, cx: &mut Context<'_>, join: Join<'_>) {
    let Some(Group::Consumer(group)) = groups.get_mut(&join.request.group_id) else { return };
    match group.join_classic(cx, join.parked.version, join.who, join.request) {
        Ok(ClassicJoin::Done(response)) => cx.answer_join(join.parked, response),
        Ok(ClassicJoin::Downgrade(downgrade)) => {
            let classic = migration::downgrade(cx, group, &Default::default(), downgrade.rebalance);
            groups.insert(join.request.group_id.clone(), Group::Classic(Box::new(classic)));
            cx.answer_join(join.parked, downgrade.response);
        }
        Err(refusal) => cx.refuse_join(join.parked, "", refusal.code),
    }
}

fn consumer_heartbeat(
    groups: &mut GroupMap,
    cx: &mut Context<'_>,
    who: &Caller,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
    let group_id = &request.group_id;
    let joins = request.member_epoch == 0;
    if matches!(request.member_epoch, consumer::LEAVE | consumer::LEAVE_TO_RETURN) {
        let Some(Group::Consumer(group)) = groups.get_mut(group_id) else {
            return Err(no_consumer_group(group_id));
        };
        let (response, leaving) = group.leave(request)?;
        fence(groups, cx, group_id, &leaving);
        return Ok(response);
    }
    match groups.get_mut(group_id) {
        Some(Group::Consumer(group)) => group.heartbeat(cx, who, request),
        Some(Group::Classic(group)) if joins && !group.is_empty() => {
            let mut upgraded = migration::upgrade(cx, group)?;
            let response = upgraded.heartbeat(cx, who, request)?;
            group.cancel_timers(cx);
            upgraded.start_sessions(cx);
            groups.insert(group_id.clone(), Group::Consumer(Box::new(upgraded)));
            Ok(response)
        }
        None | Some(Group::Classic(_)) if joins => {
            let mut group = ConsumerGroup::new(group_id);
            let response = group.heartbeat(cx, who, request)?;
            if let Some(Group::Classic(empty)) =
                groups.insert(group_id.clone(), Group::Consumer(Box::new(group)))
            {
                empty.cancel_timers(cx);
            }
            Ok(response)
        }
        None | Some(Group::Classic(_)) => Err(no_consumer_group(group_id)),
    }
}

pub(super) fn no_consumer_group(group_id: &str) -> Refusal {
    Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, format!("There is no consumer group {group_id}."))
}
