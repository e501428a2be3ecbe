//! Consumer groups: the coordinator assigns, and each member follows at its own pace.
//!
//! Three epochs tell where everybody is. The *group epoch* grows with every change of members, subscriptions
//! or topics; the *assignment epoch* is the group epoch that the target assignment was computed for; the
//! *member epoch* is the assignment epoch that a member has come to. A member's way there:
//!
//! ```text
//!             a new target takes partitions away
//!   Stable -----------------------------------------> UnrevokedPartitions
//!     ^  \                                              |  its heartbeat no longer
//!     |   \ a new target gives what others still hold   |  names what it must give up
//!     |    v                                            |
//!     +-- UnreleasedPartitions <------------------------+
//!      the others have given it up
//! ```
//!
//! A member that has to give partitions up stays in its epoch until it has, or until its rebalance timeout
//! puts it out. Guarantee: no partition is with two members at any time, whether they may read it or have yet
//! to give it up.
//!
//! Members of the classic protocol take part too, see `classic_member`.
//!
//! Sources: KIP-848 (the protocol), KIP-1082 (ids made by members), KIP-1101 (racks count as a change),
//! KIP-1251 (the epoch of each partition), Kafka 4.3 (time between assignments).

mod classic_member;
mod describe;
mod heartbeat;
mod member;
mod offsets;
mod reconcile;
mod regex;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::uuid::Uuid;

pub(super) use self::classic_member::{ClassicJoin, assignment_blob};
pub(super) use self::heartbeat::{LEAVE, LEAVE_TO_RETURN, validate};
pub(super) use self::member::{ClassicFacts, Member, Owned, State};
pub(super) use self::offsets::CommitCheck;
use self::regex::Regexes;
use super::assignor::Partitions;
use super::context::{Context, Refusal, millis};
use super::timers::{Detail, Slot};
use super::topics::TopicFacts;

/// A consumer group.
#[derive(Debug)]
pub(super) struct ConsumerGroup {
    pub(super) id: String,
    /// The group epoch.
    pub(super) epoch: i32,
    /// The group epoch that the target was computed for.
    pub(super) assignment_epoch: i32,
    assigned_at: Option<Instant>,
    pub(super) members: BTreeMap<String, Member>,
    /// The member behind each instance id.
    pub(super) statics: BTreeMap<String, String>,
    /// What each member shall read.
    pub(super) targets: BTreeMap<String, Partitions>,
    /// Who holds each partition.
    holders: BTreeMap<(Uuid, i32), String>,
    regexes: Regexes,
    /// The subscribed topics as they were when the group epoch last took notice.
    metadata: BTreeMap<String, Arc<TopicFacts>>,
    /// The version of the cluster's topics that was last compared with them.
    metadata_version: Option<u64>,
}

impl ConsumerGroup {
    pub(super) fn new(id: &str) -> Self {
        ConsumerGroup {
            id: id.to_owned(),
            epoch: 1,
            assignment_epoch: 1,
            assigned_at: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            targets: BTreeMap::new(),
            holders: BTreeMap::new(),
            regexes: Regexes::default(),
            metadata: BTreeMap::new(),
            metadata_version: None,
        }
    }

    /// A group that takes over from a classic one in the middle of its life.
    pub(super) fn taken_over(cx: &Context<'_>, id: &str, epoch: i32, members: Vec<Member>) -> Self {
        let mut group = ConsumerGroup { epoch, assignment_epoch: epoch, ..ConsumerGroup::new(id) };
        for member in members {
            let target =
                member.assigned.iter().map(|(topic, owned)| (*topic, owned.keys().copied().collect()));
            group.targets.insert(member.id.clone(), target.collect());
            group.put(member);
        }
        group.metadata = group.subscribed_metadata(cx);
        group
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The member that an instance id names, or the member id where there is none.
    pub(super) fn find(&self, member_id: &str, instance_id: Option<&str>) -> Result<&Member, Refusal> {
        let unknown = || {
            let message = format!("The group {} has no member {member_id}.", self.id);
            Refusal::new(ErrorCode::UNKNOWN_MEMBER_ID, message)
        };
        let Some(instance_id) = instance_id else { return self.members.get(member_id).ok_or_else(unknown) };
        let current = self.static_member(instance_id).ok_or_else(unknown)?;
        if current.id == member_id {
            return Ok(current);
        }
        let message = format!("The instance id {instance_id} belongs to the member {} by now.", current.id);
        Err(Refusal::new(ErrorCode::FENCED_INSTANCE_ID, message))
    }

    pub(super) fn static_member(&self, instance_id: &str) -> Option<&Member> {
        self.members.get(self.statics.get(instance_id)?)
    }

    /// Puts a member in, or in the place of what it was.
    fn put(&mut self, member: Member) {
        if let Some(old) = self.members.remove(&member.id) {
            self.release(&old);
        }
        for partition in member.held() {
            self.holders.insert(partition, member.id.clone());
        }
        self.statics.extend(member.instance_id.iter().map(|id| (id.clone(), member.id.clone())));
        self.members.insert(member.id.clone(), member);
    }

    /// Takes a member out, with what it held and what it was to get.
    fn take(&mut self, member_id: &str) {
        self.targets.remove(member_id);
        let Some(member) = self.members.remove(member_id) else { return };
        self.release(&member);
        if let Some(instance_id) = &member.instance_id
            && self.statics.get(instance_id) == Some(&member.id)
        {
            self.statics.remove(instance_id);
        }
    }

    fn release(&mut self, member: &Member) {
        for partition in member.held() {
            if self.holders.get(&partition) == Some(&member.id) {
                self.holders.remove(&partition);
            }
        }
    }

    /// Takes members out for good: the group epoch grows, and the next heartbeat of any other brings a new
    /// target.
    pub(super) fn fence(&mut self, cx: &mut Context<'_>, member_ids: &BTreeSet<String>) {
        for member_id in member_ids {
            self.take(member_id);
            self.cancel_timers(cx, member_id);
        }
        if member_ids.is_empty() {
            return;
        }
        self.forget_unused_regexes();
        self.metadata = self.subscribed_metadata(cx);
        self.epoch = next(self.epoch);
    }

    /// Makes the next heartbeat compute a new target.
    pub(super) fn bump(&mut self) {
        self.epoch = next(self.epoch);
    }

    fn cancel_timers(&self, cx: &mut Context<'_>, member_id: &str) {
        for slot in [Slot::Session, Slot::Revocation, Slot::Rejoin, Slot::MemberSync] {
            cx.timers.cancel(&self.id, &slot(member_id.to_owned()));
        }
    }

    /// Starts a member's session anew.
    fn renew_session(&self, cx: &mut Context<'_>, member_id: &str) {
        let classic = self.members.get(member_id).and_then(|member| member.classic.as_ref());
        let timeout =
            classic.map_or(cx.options.consumer_session_timeout, |classic| millis(classic.session_timeout_ms));
        cx.set_timer(timeout, &self.id, Slot::Session(member_id.to_owned()), Detail::None);
    }

    /// Starts all sessions.
    pub(super) fn start_sessions(&self, cx: &mut Context<'_>) {
        self.members.keys().for_each(|member_id| self.renew_session(cx, member_id));
    }

    /// Goes on as the next coordinator would: everything is in the log, but sessions and timeouts begin anew.
    pub(super) fn reload(&mut self, cx: &mut Context<'_>) {
        cx.timers.cancel_group(&self.id);
        for member in self.members.values() {
            let timeout = cx.options.consumer_session_timeout;
            cx.set_timer(timeout, &self.id, Slot::Session(member.id.clone()), Detail::None);
            if member.state == State::UnrevokedPartitions {
                self.start_revocation(cx, member);
            }
        }
    }

    /// Gives a member its rebalance timeout for letting partitions go.
    fn start_revocation(&self, cx: &mut Context<'_>, member: &Member) {
        let timeout = millis(member.rebalance_timeout_ms);
        cx.set_timer(timeout, &self.id, Slot::Revocation(member.id.clone()), Detail::Epoch(member.epoch));
    }
}

/// The epoch after this one.
fn next(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}
