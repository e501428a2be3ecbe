//! Heartbeats: how members of the consumer protocol come, stay and go.

use std::collections::BTreeSet;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};

use super::regex::RegexChange;
use super::{ConsumerGroup, Member, State, next};
use crate::call::Caller;
use crate::groups::context::{Context, Refusal};
use crate::groups::options::GroupOptions;
use crate::groups::timers::Slot;

/// The epoch of a member that leaves.
pub(in crate::groups) const LEAVE: i32 = -1;
/// The epoch of a static member that leaves to come back.
pub(in crate::groups) const LEAVE_TO_RETURN: i32 = -2;

/// Checks what can be told without a group.
pub(in crate::groups) fn validate(
    options: &GroupOptions,
    version: i16,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<(), Refusal> {
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
    let is_blank = |text: &Option<String>| text.as_deref() == Some("");
    let knows_its_id = version >= 1 || request.member_epoch > 0 || request.member_epoch == LEAVE;
    if knows_its_id && request.member_id.is_empty() {
        return invalid("The member id must not be empty.");
    }
    if request.group_id.is_empty() {
        return invalid("The group id must not be empty.");
    }
    if is_blank(&request.instance_id) {
        return invalid("The instance id must not be empty.");
    }
    if is_blank(&request.rack_id) {
        return invalid("The rack id must not be empty.");
    }
    match request.member_epoch {
        0 if request.rebalance_timeout_ms == -1 => {
            return invalid("A member that joins must name its rebalance timeout.");
        }
        0 if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) => {
            return invalid("A member that joins must say that it holds no partitions.");
        }
        0 if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() => {
            return invalid("A member that joins must subscribe to topics, by names or by an expression.");
        }
        LEAVE_TO_RETURN if request.instance_id.is_none() => {
            return invalid("A member that leaves to come back must have an instance id.");
        }
        epoch if epoch < LEAVE_TO_RETURN => return invalid("There is no such member epoch."),
        _ => {}
    }
    match &request.server_assignor {
        Some(name) if !options.consumer_assignors.iter().any(|assignor| assignor.name() == name) => {
            let offered: Vec<&str> =
                options.consumer_assignors.iter().map(|assignor| assignor.name()).collect();
            let message = format!("There is no assignor {name} here, only {}.", offered.join(", "));
            Err(Refusal::new(ErrorCode::UNSUPPORTED_ASSIGNOR, message))
        }
        _ => Ok(()),
    }
}

/// A member as a request finds it.
pub(super) struct Found {
    pub(super) member: Member,
    /// The id of the static member that it takes the place of.
    pub(super) replaces: Option<String>,
}

impl ConsumerGroup {
    /// Lets a member come or stay, and tells it what to read.
    pub(in crate::groups) fn heartbeat(
        &mut self,
        cx: &mut Context<'_>,
        who: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        self.check_room(cx, &request.member_id)?;
        let joins = request.member_epoch == 0;
        let member_id =
            if request.member_id.is_empty() { cx.ids.consumer() } else { request.member_id.clone() };
        let Found { member: old, replaces } = self.find_or_admit(&member_id, request)?;
        let mut updated = old.clone();
        updated.update(who, request);
        let regex = self.regex_change(&old, &updated)?;
        let topics_changed = updated.topics != old.topics;

        if let Some(replaced) = replaces {
            self.replace(cx, &replaced, &member_id);
        }
        self.put(updated);
        self.note_subscription(cx, topics_changed || regex == RegexChange::Resolved);
        self.update_target(cx);
        let claims = request.topic_partitions.as_deref();
        self.reconcile(cx, &member_id, claims, topics_changed || regex != RegexChange::Unchanged);
        self.renew_session(cx, &member_id);

        let mut response = ConsumerGroupHeartbeatResponse {
            heartbeat_interval_ms: i32::try_from(cx.options.consumer_heartbeat_interval.as_millis())
                .unwrap_or(i32::MAX),
            ..Default::default()
        };
        if let Some(member) = self.members.get(&member_id) {
            let subscribes =
                request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some();
            let says_all = request.rebalance_timeout_ms != -1 && subscribes && claims.is_some();
            response.member_epoch = member.epoch;
            if joins || says_all || member.assigned != old.assigned {
                response.assignment = Some(member.assignment());
            }
        }
        response.member_id = Some(member_id);
        self.refresh_regexes(cx);
        Ok(response)
    }

    /// Lets a member go; a static one that will be back keeps its place until its session ends. The member to
    /// take out is named beside the answer.
    pub(in crate::groups) fn leave(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<(ConsumerGroupHeartbeatResponse, BTreeSet<String>), Refusal> {
        let member = self.find(&request.member_id, request.instance_id.as_deref())?;
        let response = ConsumerGroupHeartbeatResponse {
            member_id: Some(request.member_id.clone()),
            member_epoch: request.member_epoch,
            ..Default::default()
        };
        if request.member_epoch == LEAVE {
            return Ok((response, BTreeSet::from([member.id.clone()])));
        }
        let mut left = Member { epoch: LEAVE_TO_RETURN, ..member.clone() };
        left.revoking.clear();
        left.assigned
            .values_mut()
            .flat_map(|partitions| partitions.values_mut())
            .for_each(|epoch| *epoch = 0);
        self.put(left);
        Ok((response, BTreeSet::new()))
    }

    pub(super) fn check_room(&self, cx: &Context<'_>, member_id: &str) -> Result<(), Refusal> {
        let limit = cx.options.consumer_max_size;
        if self.members.len() < limit || self.members.contains_key(member_id) {
            return Ok(());
        }
        let message = format!("The group {} has {limit} members and takes no more.", self.id);
        Err(Refusal::new(ErrorCode::GROUP_MAX_SIZE_REACHED, message))
    }

    fn find_or_admit(
        &self,
        member_id: &str,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<Found, Refusal> {
        let instance_id = request.instance_id.as_deref();
        let known = |member: Member| Found { member, replaces: None };
        if request.member_epoch != 0 {
            let member = self.find(member_id, instance_id)?;
            check_epoch(member, request.member_epoch, request.topic_partitions.as_deref())?;
            return Ok(known(member.clone()));
        }
        match instance_id.and_then(|id| self.static_member(id)) {
            None => Ok(known(self.members.get(member_id).cloned().unwrap_or_else(|| Member::new(member_id)))),
            Some(current) if current.classic.is_some() || current.epoch == LEAVE_TO_RETURN => {
                Ok(returned(current, member_id))
            }
            Some(current) => {
                let message = format!("The member {} has not released that instance id.", current.id);
                Err(Refusal::new(ErrorCode::UNRELEASED_INSTANCE_ID, message))
            }
        }
    }

    /// Puts a static member's new id where its old one was.
    pub(super) fn replace(&mut self, cx: &mut Context<'_>, old_id: &str, new_id: &str) {
        let target = self.targets.get(old_id).cloned();
        self.take(old_id);
        self.cancel_timers(cx, old_id);
        self.targets.extend(target.map(|target| (new_id.to_owned(), target)));
    }

    /// Raises the group epoch if the member's subscription or any subscribed topic has changed.
    pub(super) fn note_subscription(&mut self, cx: &Context<'_>, changed: bool) {
        if !changed && !self.is_metadata_stale(cx) {
            return;
        }
        let metadata = self.subscribed_metadata(cx);
        if changed || metadata != self.metadata {
            self.epoch = next(self.epoch);
        }
        self.metadata = metadata;
        self.metadata_version = Some(cx.topics.version);
    }

    /// The time for giving partitions up is over: whoever is still in the same epoch is out.
    pub(in crate::groups) fn is_overdue(&self, member_id: &str, epoch: i32) -> bool {
        let member = self.members.get(member_id);
        member.is_some_and(|member| member.epoch == epoch && member.state == State::UnrevokedPartitions)
    }

    /// Stops the timers that ask a classic member to join again.
    pub(super) fn has_rejoined(&self, cx: &mut Context<'_>, member_id: &str) {
        cx.timers.cancel(&self.id, &Slot::Rejoin(member_id.to_owned()));
    }
}

/// A static member under its new id: it keeps what it had and has to come to the group's epoch anew.
pub(super) fn returned(current: &Member, member_id: &str) -> Found {
    let member = Member { id: member_id.to_owned(), epoch: 0, previous_epoch: 0, ..current.clone() };
    Found { member, replaces: Some(current.id.clone()) }
}

/// A member's epoch must be the coordinator's, or the one before it, as the answer with the new one may have
/// got lost, provided that it holds nothing but what it was given.
fn check_epoch(member: &Member, epoch: i32, owned: Option<&[TopicPartitions]>) -> Result<(), Refusal> {
    let is_held = |claim: &TopicPartitions| {
        let assigned = member.assigned.get(&claim.topic_id);
        assigned
            .is_some_and(|assigned| claim.partitions.iter().all(|partition| assigned.contains_key(partition)))
    };
    let is_previous = epoch == member.previous_epoch && owned.is_some_and(|owned| owned.iter().all(is_held));
    if epoch == member.epoch || (epoch < member.epoch && is_previous) {
        return Ok(());
    }
    let message = format!(
        "The member is in epoch {}, not {epoch}; it must give all partitions up and join anew.",
        member.epoch
    );
    Err(Refusal::new(ErrorCode::FENCED_MEMBER_EPOCH, message))
}
