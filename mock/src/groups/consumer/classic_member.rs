//! Members of the classic protocol in a consumer group, while its members move from one protocol to the other.
//!
//! To them the member epoch is the generation, and no member leads: JoinGroup brings the member's own
//! subscription in and is answered at once, SyncGroup hands out what the coordinator has assigned, and a
//! heartbeat asks for a new join whenever there is something to give up or to get.

use std::collections::BTreeSet;

use bytes::Bytes;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::TopicPartitions as Claim;
use ottla_protocol::messages::consumer_protocol::{
    self, ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition, decode_subscription,
};
use ottla_protocol::messages::heartbeat::HeartbeatRequest;
use ottla_protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
use ottla_protocol::messages::leave_group::{MemberIdentity, MemberResponse};
use ottla_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

use super::heartbeat::{Found, returned};
use super::regex::RegexChange;
use super::{ClassicFacts, ConsumerGroup, Member, State};
use crate::call::Caller;
use crate::groups::assignor::Partitions;
use crate::groups::context::{Context, Refusal, millis};
use crate::groups::timers::{Detail, Slot};
use crate::groups::topics::Topics;

/// What has become of a join.
#[derive(Debug)]
pub(in crate::groups) enum ClassicJoin {
    /// The answer.
    Done(JoinGroupResponse),
    /// The last member of the consumer protocol has been replaced by this one: the group is classic from now
    /// on.
    Downgrade(Box<Downgrade>),
}

/// How a group goes on as a classic one after a static member has joined in the place of another.
#[derive(Debug)]
pub(in crate::groups) struct Downgrade {
    /// The answer to the join.
    pub(in crate::groups) response: JoinGroupResponse,
    /// Whether the target was out of date, so that the group has to rebalance first thing.
    pub(in crate::groups) rebalance: bool,
}

impl ConsumerGroup {
    /// Lets a classic member join.
    pub(in crate::groups) fn join_classic(
        &mut self,
        cx: &mut Context<'_>,
        version: i16,
        who: &Caller,
        request: &JoinGroupRequest,
    ) -> Result<ClassicJoin, Refusal> {
        let is_new = request.member_id.is_empty();
        let member_id = if is_new { cx.ids.consumer() } else { request.member_id.clone() };
        self.check_room(cx, &member_id)?;
        if !self.supports_classic(request) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL.into());
        }
        if is_new && request.group_instance_id.is_none() && version >= 4 {
            let error_code = ErrorCode::MEMBER_ID_REQUIRED;
            return Ok(ClassicJoin::Done(JoinGroupResponse { error_code, member_id, ..Default::default() }));
        }
        let metadata =
            request.protocols.first().map(|protocol| protocol.metadata.clone()).unwrap_or_default();
        let (subscription, _) =
            decode_subscription(&metadata).map_err(|_| Refusal::from(ErrorCode::UNKNOWN_SERVER_ERROR))?;
        let Found { member: old, replaces } = self.find_or_admit_classic(&member_id, request)?;
        let downgrades = replaces.as_ref().is_some_and(|replaced| self.can_downgrade_without(cx, replaced));
        let updated = Member {
            instance_id: request.group_instance_id.clone().or(old.instance_id.clone()),
            rack_id: subscription.rack_id.clone().filter(|rack| !rack.is_empty()).or(old.rack_id.clone()),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            topics: subscription.topics.iter().cloned().collect(),
            regex: String::new(),
            client_id: who.client_id.clone(),
            client_host: who.host.clone(),
            classic: Some(ClassicFacts {
                session_timeout_ms: request.session_timeout_ms,
                protocols: request.protocols.clone(),
            }),
            ..old.clone()
        };
        let regex = self.regex_change(&old, &updated)?;
        let changed = updated.topics != old.topics || regex != RegexChange::Unchanged;

        if let Some(replaced) = replaces {
            self.replace(cx, &replaced, &member_id);
        }
        self.put(updated);
        self.note_subscription(cx, changed);
        let rebalance = downgrades && self.assignment_epoch < self.epoch;
        if !downgrades {
            self.update_target(cx);
        }
        if !rebalance {
            self.reconcile(cx, &member_id, Some(&claims(&subscription, cx.topics)), changed);
        }
        self.has_rejoined(cx, &member_id);
        let member = self.members.get(&member_id);
        let response = JoinGroupResponse {
            generation_id: member.map_or(0, |member| member.epoch),
            protocol_type: Some(consumer_protocol::PROTOCOL_TYPE.to_owned()),
            protocol_name: request.protocols.first().map(|protocol| protocol.name.clone()),
            member_id: member_id.clone(),
            ..Default::default()
        };
        if downgrades {
            return Ok(ClassicJoin::Downgrade(Box::new(Downgrade { response, rebalance })));
        }
        self.renew_session(cx, &member_id);
        let sync = Slot::MemberSync(member_id);
        cx.set_timer(millis(request.rebalance_timeout_ms), &self.id, sync, Detail::None);
        self.refresh_regexes(cx);
        Ok(ClassicJoin::Done(response))
    }

    fn supports_classic(&self, request: &JoinGroupRequest) -> bool {
        let is_common = |name: &str| {
            let mut classic = self.members.values().filter_map(|member| member.classic.as_ref());
            classic.all(|facts| facts.protocols.iter().any(|protocol| protocol.name == name))
        };
        request.protocol_type == consumer_protocol::PROTOCOL_TYPE
            && request.protocols.iter().any(|protocol| is_common(&protocol.name))
    }

    fn find_or_admit_classic(&self, member_id: &str, request: &JoinGroupRequest) -> Result<Found, Refusal> {
        let instance_id = request.group_instance_id.as_deref();
        let known = |member: Member| Found { member, replaces: None };
        match instance_id.and_then(|id| self.static_member(id)) {
            Some(current) if request.member_id.is_empty() => Ok(returned(current, member_id)),
            _ if instance_id.is_some() && !request.member_id.is_empty() => {
                self.find(member_id, instance_id).cloned().map(known)
            }
            _ => Ok(known(self.members.get(member_id).cloned().unwrap_or_else(|| Member::new(member_id)))),
        }
    }

    /// Whether only classic members are left without this one, and the group may turn classic then.
    fn can_downgrade_without(&self, cx: &Context<'_>, member_id: &str) -> bool {
        let speaks_classic =
            |id: &String| self.members.get(id).is_some_and(|member| member.classic.is_some());
        cx.options.migration.downgrade
            && self.members.len() <= cx.options.max_size
            && self.members.keys().all(|id| speaks_classic(id) != (id == member_id))
    }

    /// Whether the group turns classic when these members go.
    pub(in crate::groups) fn downgrades_after(&self, cx: &Context<'_>, leaving: &BTreeSet<String>) -> bool {
        let mut rest = self.members.iter().filter(|(id, _)| !leaving.contains(*id)).peekable();
        !leaving.is_empty()
            && cx.options.migration.downgrade
            && self.members.len() <= cx.options.max_size.saturating_add(leaving.len())
            && rest.peek().is_some()
            && rest.all(|(_, member)| member.classic.is_some())
    }

    /// Hands a classic member its share.
    pub(in crate::groups) fn sync_classic(
        &self,
        cx: &mut Context<'_>,
        request: &SyncGroupRequest,
    ) -> Result<SyncGroupResponse, Refusal> {
        let instance_id = request.group_instance_id.as_deref();
        let (member, facts) = self.find_classic(&request.member_id, instance_id, request.generation_id)?;
        let differs =
            |theirs: &Option<String>, ours: Option<&str>| theirs.is_some() && theirs.as_deref() != ours;
        if differs(&request.protocol_type, Some(consumer_protocol::PROTOCOL_TYPE))
            || differs(&request.protocol_name, facts.protocol())
        {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL.into());
        }
        if self.assignment_epoch > member.epoch && member.state != State::UnrevokedPartitions {
            self.ask_to_rejoin(cx, member);
            return Err(ErrorCode::REBALANCE_IN_PROGRESS.into());
        }
        cx.timers.cancel(&self.id, &Slot::MemberSync(member.id.clone()));
        self.renew_session(cx, &member.id);
        let mut owned = Partitions::new();
        for (topic, partitions) in &member.assigned {
            owned.insert(*topic, partitions.keys().copied().collect());
        }
        Ok(SyncGroupResponse {
            protocol_type: request.protocol_type.clone(),
            protocol_name: request.protocol_name.clone(),
            assignment: assignment_blob(&owned, cx.topics, &facts.metadata()),
            ..Default::default()
        })
    }

    /// Says that a classic member is alive, and whether it should join again.
    pub(in crate::groups) fn heartbeat_classic(
        &self,
        cx: &mut Context<'_>,
        request: &HeartbeatRequest,
    ) -> Result<(), Refusal> {
        let instance_id = request.group_instance_id.as_deref();
        let (member, _) = self.find_classic(&request.member_id, instance_id, request.generation_id)?;
        self.renew_session(cx, &member.id);
        let is_behind = member.epoch < self.assignment_epoch;
        let can_go_on = match member.state {
            State::Stable => false,
            State::UnrevokedPartitions => true,
            State::UnreleasedPartitions => !self.waits_for_others(member),
        };
        if is_behind || can_go_on {
            self.ask_to_rejoin(cx, member);
            return Err(ErrorCode::REBALANCE_IN_PROGRESS.into());
        }
        Ok(())
    }

    /// Which members a classic LeaveGroup means, and what it is answered.
    pub(in crate::groups) fn leave_classic(
        &self,
        leaving: &[MemberIdentity],
    ) -> (BTreeSet<String>, Vec<MemberResponse>) {
        let mut found = BTreeSet::new();
        let outcomes = leaving.iter().map(|identity| {
            let instance_id = identity.group_instance_id.as_deref();
            let member = match instance_id {
                Some(instance_id) if identity.member_id.is_empty() => {
                    self.static_member(instance_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
                }
                _ => self.find(&identity.member_id, instance_id).map_err(|refusal| refusal.code),
            };
            let error_code = member.err().unwrap_or(ErrorCode::NONE);
            found.extend(member.ok().map(|member| member.id.clone()));
            MemberResponse {
                member_id: identity.member_id.clone(),
                group_instance_id: identity.group_instance_id.clone(),
                error_code,
                ..Default::default()
            }
        });
        let outcomes = outcomes.collect();
        (found, outcomes)
    }

    fn find_classic(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(&Member, &ClassicFacts), Refusal> {
        let member = self.find(member_id, instance_id)?;
        let facts = member.classic.as_ref().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if member.epoch != generation {
            return Err(ErrorCode::ILLEGAL_GENERATION.into());
        }
        Ok((member, facts))
    }

    fn ask_to_rejoin(&self, cx: &mut Context<'_>, member: &Member) {
        cx.set_timer_if_absent(
            millis(member.rebalance_timeout_ms),
            &self.id,
            Slot::Rejoin(member.id.clone()),
        );
    }
}

/// The assignment of partitions in the version that the member's subscription has.
pub(in crate::groups) fn assignment_blob(
    partitions: &Partitions,
    topics: &Topics,
    metadata: &Bytes,
) -> Bytes {
    let version = decode_subscription(metadata).map_or(0, |(_, version)| version);
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: TopicPartition::group(topics.named(partitions)),
        ..Default::default()
    };
    consumer_protocol::encode_assignment(&assignment, version).unwrap_or_default()
}

/// What a classic member says it holds.
fn claims(subscription: &ConsumerProtocolSubscription, topics: &Topics) -> Vec<Claim> {
    let known = subscription.owned_partitions.iter().filter_map(|owned| {
        let topic = topics.by_name(&owned.topic)?;
        Some(Claim { topic_id: topic.id, partitions: owned.partitions.clone(), ..Default::default() })
    });
    known.collect()
}
