//! Joins: who is let in, under which id, and whether that starts a rebalance.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse};

use super::{ClassicGroup, Member, State};
use crate::call::Caller;
use crate::groups::context::{Context, Parked, millis};
use crate::groups::timers::{Detail, Slot};

/// How long a member that has never been in a generation may wait in its join. It can't heartbeat yet, so
/// without this the members of clients that gave up and joined anew would pile up in a long rebalance.
const NEW_MEMBER_JOIN_TIMEOUT_MS: i32 = 5 * 60 * 1000;

/// A join and where its answer goes.
#[derive(Debug, Clone, Copy)]
pub(in crate::groups) struct Join<'a> {
    pub(in crate::groups) parked: Parked,
    pub(in crate::groups) who: &'a Caller,
    pub(in crate::groups) request: &'a JoinGroupRequest,
}

impl ClassicGroup {
    /// Lets a member in, or says why not.
    pub(in crate::groups) fn join(&mut self, cx: &mut Context<'_>, join: Join<'_>) {
        let request = join.request;
        let member_id = &request.member_id;
        if !self.has_room(cx.options.max_size, member_id) {
            cx.timers.cancel(&self.id, &Slot::Heartbeat(member_id.clone()));
            self.remove(member_id);
            return cx.refuse_join(join.parked, "", ErrorCode::GROUP_MAX_SIZE_REACHED);
        }
        if !self.supports_protocols(&request.protocol_type, &request.protocols) {
            cx.refuse_join(join.parked, member_id, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        } else if member_id.is_empty() {
            self.join_anew(cx, join);
        } else if !self.pending_joins.contains(member_id) {
            self.join_again(cx, join);
        } else if request.group_instance_id.is_some() {
            // Kafka gives such ids to dynamic members only and takes this for a bug of its own.
            cx.refuse_join(join.parked, "", ErrorCode::UNKNOWN_SERVER_ERROR);
        } else {
            self.admit(cx, join, member_id.clone());
        }
    }

    /// In a rebalance it is the joins that count: whoever comes last is left out.
    fn has_room(&self, max_size: usize, member_id: &str) -> bool {
        let member = self.members.get(member_id);
        match self.state {
            State::Empty => true,
            State::PreparingRebalance => {
                member.is_some_and(|member| member.joining.is_some()) || self.awaiting_join() < max_size
            }
            State::CompletingRebalance | State::Stable => member.is_some() || self.members.len() < max_size,
        }
    }

    fn join_anew(&mut self, cx: &mut Context<'_>, join: Join<'_>) {
        if let Some(instance_id) = &join.request.group_instance_id {
            let new_id = cx.ids.classic(instance_id);
            match self.statics.get(instance_id).cloned() {
                Some(old_id) => self.replace_static(cx, join, &old_id, &new_id),
                None => self.admit(cx, join, new_id),
            }
            return;
        }
        let new_id = cx.ids.classic(&join.who.client_id);
        if join.parked.version < 4 {
            return self.admit(cx, join, new_id);
        }
        let after = millis(join.request.session_timeout_ms);
        cx.set_timer(after, &self.id, Slot::Heartbeat(new_id.clone()), Detail::None);
        cx.refuse_join(join.parked, &new_id, ErrorCode::MEMBER_ID_REQUIRED);
        self.pending_joins.insert(new_id);
    }

    fn admit(&mut self, cx: &mut Context<'_>, join: Join<'_>, member_id: String) {
        self.new_member_added |= self.state == State::PreparingRebalance && self.initial;
        let slot = Slot::Heartbeat(member_id.clone());
        cx.set_timer(millis(NEW_MEMBER_JOIN_TIMEOUT_MS), &self.id, slot, Detail::None);
        self.add(Member::new(member_id, join.who, join.request, join.parked));
        self.rebalance(cx);
    }

    fn join_again(&mut self, cx: &mut Context<'_>, join: Join<'_>) {
        let request = join.request;
        let member_id = &request.member_id;
        if let Err(code) = self.validate_member(member_id, request.group_instance_id.as_deref()) {
            let response = JoinGroupResponse {
                error_code: code,
                member_id: member_id.clone(),
                protocol_name: None,
                ..Default::default()
            };
            return cx.answer_join(join.parked, response);
        }
        let same = self.members.get(member_id).is_some_and(|member| member.protocols == request.protocols);
        let repeated = match self.state {
            State::Empty => return cx.refuse_join(join.parked, member_id, ErrorCode::UNKNOWN_MEMBER_ID),
            State::PreparingRebalance => false,
            // The answer to its first join may have got lost.
            State::CompletingRebalance => same,
            // The leader joins again for causes that its metadata doesn't show, such as new partitions.
            State::Stable => same && !self.is_leader(member_id),
        };
        if repeated {
            let leads = self.is_leader(member_id);
            return cx.answer_join(join.parked, self.joined(member_id, leads));
        }
        if let Some(member) = self.members.get_mut(member_id) {
            member.update(request, join.parked);
        }
        self.rebalance(cx);
    }

    /// A static member has come back under a new id, which fences the old one. In a stable group that changes
    /// nothing for the others, unless the choice of the assignor does.
    fn replace_static(&mut self, cx: &mut Context<'_>, join: Join<'_>, old_id: &str, new_id: &str) {
        let Some(mut member) = self.members.remove(old_id) else { return };
        if let Some(parked) = member.joining.take() {
            let response = JoinGroupResponse {
                error_code: ErrorCode::FENCED_INSTANCE_ID,
                member_id: old_id.to_owned(),
                protocol_name: None,
                ..Default::default()
            };
            cx.answer_join(parked, response);
        }
        if let Some(parked) = member.syncing.take() {
            cx.refuse_sync(parked, ErrorCode::FENCED_INSTANCE_ID);
        }
        let old_leader = self.leader.clone();
        if self.is_leader(old_id) {
            self.leader = Some(new_id.to_owned());
        }
        self.statics
            .extend(member.instance_id.iter().map(|instance_id| (instance_id.clone(), new_id.to_owned())));
        new_id.clone_into(&mut member.id);
        member.is_new = false;
        cx.timers.cancel(&self.id, &Slot::Heartbeat(old_id.to_owned()));
        cx.set_timer(member.session_timeout(), &self.id, Slot::Heartbeat(new_id.to_owned()), Detail::None);
        member.update(join.request, join.parked);
        self.members.insert(new_id.to_owned(), member);
        match self.state {
            State::Stable if self.select_protocol() == self.protocol => {
                self.save();
                let mut response = self.joined(new_id, false);
                if join.parked.version < 9 {
                    // It must not take itself for the leader: it would assign without knowing the members.
                    response.leader = old_leader.unwrap_or_default();
                } else if self.is_leader(new_id) {
                    response = self.joined(new_id, true);
                    response.skip_assignment = true;
                }
                if let Some(parked) = self.members.get_mut(new_id).and_then(|member| member.joining.take()) {
                    cx.answer_join(parked, response);
                }
            }
            State::Stable => self.rebalance(cx),
            // The leader may be assigning to the old id at this moment.
            State::CompletingRebalance => self.prepare_rebalance(cx),
            State::PreparingRebalance | State::Empty => self.try_complete_join(cx),
        }
    }

    /// What a member of the current generation is told; all members' metadata only to one that assigns.
    pub(super) fn joined(&self, member_id: &str, leads: bool) -> JoinGroupResponse {
        let protocol = self.protocol.clone().unwrap_or_default();
        let members = self.members.values().filter(|_| leads).map(|member| member.for_leader(&protocol));
        JoinGroupResponse {
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: member_id.to_owned(),
            members: members.collect(),
            ..Default::default()
        }
    }
}
