//! Groups that change their protocol while they have members.
//!
//! Sources: KIP-848 (online migration).

use std::collections::BTreeSet;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_protocol::{PROTOCOL_TYPE, decode_assignment, decode_subscription};

use super::classic::{self, ClassicGroup};
use super::consumer::{self, ClassicFacts, ConsumerGroup, Owned};
use super::context::{Context, Refusal};

/// Makes a consumer group of a classic one that a member of the consumer protocol joins. Every member stands
/// where the last generation left it; who waits for the next one is told to join again. Timers are the
/// caller's affair.
pub(super) fn upgrade(cx: &mut Context<'_>, group: &mut ClassicGroup) -> Result<ConsumerGroup, Refusal> {
    let refuse = |why: &str| {
        let message = format!("The classic group {} can't become a consumer group: {why}.", group.id);
        Err(Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, message))
    };
    if !cx.options.migration.upgrade {
        return refuse("the broker's configuration forbids it");
    }
    if !group.is_consumers() {
        return refuse("its members are no consumers");
    }
    if group.members.len() > cx.options.consumer_max_size {
        return refuse("it has too many members");
    }
    group.refuse_all(cx, ErrorCode::REBALANCE_IN_PROGRESS);
    let protocol = group.protocol.clone().ok_or(ErrorCode::UNKNOWN_SERVER_ERROR)?;
    let mut members = Vec::new();
    for member in group.members.values() {
        members.push(upgraded(cx, group, member, &protocol)?);
    }
    Ok(ConsumerGroup::taken_over(cx, &group.id, group.generation, members))
}

fn upgraded(
    cx: &Context<'_>,
    group: &ClassicGroup,
    member: &classic::Member,
    protocol: &str,
) -> Result<consumer::Member, Refusal> {
    let refuse = |why: &str| {
        let message = format!("The classic group {} can't become a consumer group: {why}.", group.id);
        Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, message)
    };
    let malformed = |_| refuse("a member's data is malformed");
    let metadata = member.metadata(protocol).ok_or(ErrorCode::UNKNOWN_SERVER_ERROR)?;
    let (subscription, _) = decode_subscription(&metadata).map_err(malformed)?;
    let mut assigned = Owned::new();
    if !member.assignment.is_empty() {
        let (assignment, _) = decode_assignment(&member.assignment).map_err(malformed)?;
        if assignment.user_data.is_some_and(|data| !data.is_empty()) {
            return Err(refuse("its assignor keeps data of its own"));
        }
        for topic in assignment.assigned_partitions {
            let Some(facts) = cx.topics.by_name(&topic.topic) else { continue };
            let partitions = topic.partitions.into_iter().map(|partition| (partition, group.generation));
            assigned.entry(facts.id).or_default().extend(partitions);
        }
    }
    Ok(consumer::Member {
        instance_id: member.instance_id.clone(),
        rack_id: subscription.rack_id.filter(|rack| !rack.is_empty()),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        topics: subscription.topics.into_iter().collect(),
        classic: Some(ClassicFacts {
            session_timeout_ms: member.session_timeout_ms,
            protocols: member.protocols.clone(),
        }),
        epoch: group.generation,
        previous_epoch: group.generation,
        assigned,
        ..consumer::Member::new(&member.id)
    })
}

/// Makes a classic group of a consumer group whose remaining members all speak the classic protocol. They are
/// assigned what they were to get.
pub(super) fn downgrade(
    cx: &mut Context<'_>,
    group: &ConsumerGroup,
    leaving: &BTreeSet<String>,
    rebalance: bool,
) -> ClassicGroup {
    let staying = group.members.values().filter(|member| !leaving.contains(&member.id));
    let members = staying.filter_map(|member| {
        let facts = member.classic.as_ref()?;
        let target = group.targets.get(&member.id).cloned().unwrap_or_default();
        Some(classic::Member {
            id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: facts.session_timeout_ms,
            protocol_type: PROTOCOL_TYPE.to_owned(),
            protocols: facts.protocols.clone(),
            assignment: consumer::assignment_blob(&target, cx.topics, &facts.metadata()),
            joining: None,
            syncing: None,
            is_new: false,
        })
    });
    let members: Vec<_> = members.collect();
    cx.timers.cancel_group(&group.id);
    let mut classic = ClassicGroup::stable(&group.id, group.epoch, PROTOCOL_TYPE, members);
    for member_id in classic.members.keys().cloned().collect::<Vec<_>>() {
        classic.renew_session(cx, &member_id);
    }
    if rebalance {
        classic.prepare_rebalance(cx);
    }
    classic
}
