//! Classic groups: the coordinator gathers the members, one of them assigns.
//!
//! ```text
//!            first join                 all joined, or time is up
//!   Empty ----------------> Preparing ----------------------------> Completing --+
//!     ^                     Rebalance <---------------------------- Rebalance    | the leader's
//!     |   nobody joined       |  ^      a member comes, changes,                 | assignment
//!     +-----------------------+  |      leaves, or is silent                     v
//!                                +-------------------------------------------- Stable
//! ```
//!
//! A join waits while the group prepares: until every member has joined, or the longest rebalance timeout
//! among them is over, which drops whoever is missing unless it is static. A sync waits while the rebalance
//! completes: until the leader has handed in the assignment; who doesn't sync within the rebalance timeout is
//! dropped as well. An empty group's first rebalance waits a little for more members, and longer as long as
//! some come.
//!
//! A group that is dead is one that the coordinator doesn't have, so there is no such state here.
//!
//! What a new coordinator of the group would read from its log is kept beside the live state: a rebalance
//! under way is not in it.
//!
//! Sources: KIP-62 (rebalance timeout), KIP-134 (initial delay), KIP-345 (static members), KIP-389 (size),
//! KIP-394 (member id first), KIP-559 (protocol checks), KIP-814 (skipped assignment).

mod describe;
mod join;
mod live;
mod member;
mod rebalance;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::join_group::JoinGroupRequestProtocol;

pub(super) use self::join::Join;
pub(super) use self::member::Member;
use super::context::{Context, Parked, millis};
use super::timers::{Detail, Slot};

/// Where a classic group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It has no members, at most ids that were given out.
    Empty,
    /// It waits for all members to join.
    PreparingRebalance,
    /// It waits for the leader's assignment.
    CompletingRebalance,
    /// Every member has, or can have, its assignment.
    Stable,
}

impl State {
    /// The name that tools show.
    pub(super) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

/// A classic group.
#[derive(Debug)]
pub(super) struct ClassicGroup {
    pub(super) id: String,
    pub(super) state: State,
    /// Whether the rebalance that is being prepared is an empty group's first, which no join cuts short.
    initial: bool,
    /// Whether a member has come since the initial delay was last looked at.
    new_member_added: bool,
    pub(super) generation: i32,
    pub(super) protocol_type: Option<String>,
    /// The assignor of this generation.
    pub(super) protocol: Option<String>,
    pub(super) leader: Option<String>,
    pub(super) members: BTreeMap<String, Member>,
    /// The member behind each instance id.
    pub(super) statics: BTreeMap<String, String>,
    /// Ids that were given out and have not joined yet.
    pending_joins: BTreeSet<String>,
    /// Members of this generation that have not synced yet.
    pending_syncs: BTreeSet<String>,
    /// When it lost its last member.
    empty_since: Option<Instant>,
    /// What the log holds.
    saved: Saved,
}

/// A group as its log has it.
#[derive(Debug, Clone, Default)]
struct Saved {
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<String>,
    members: BTreeMap<String, Member>,
}

impl ClassicGroup {
    pub(super) fn new(id: &str) -> Self {
        ClassicGroup {
            id: id.to_owned(),
            state: State::Empty,
            initial: false,
            new_member_added: false,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            pending_joins: BTreeSet::new(),
            pending_syncs: BTreeSet::new(),
            empty_since: None,
            saved: Saved::default(),
        }
    }

    /// A stable group with these members, in log and life, under the assignor that they agree on.
    pub(super) fn stable(id: &str, generation: i32, protocol_type: &str, members: Vec<Member>) -> Self {
        let mut group = ClassicGroup::new(id);
        group.state = State::Stable;
        group.generation = generation;
        group.protocol_type = Some(protocol_type.to_owned());
        for member in members {
            group.add(member);
        }
        group.protocol = group.select_protocol();
        group.save();
        group
    }

    /// Since when an offset's retention runs; `None` while members need it.
    pub(super) fn offsets_kept_since(&self, topic: &str, committed_at: Instant) -> Option<Instant> {
        match self.state {
            State::Empty => Some(self.empty_since.unwrap_or(committed_at)),
            State::Stable if self.is_consumers() => (!self.is_subscribed_to(topic)).then_some(committed_at),
            _ => None,
        }
    }

    /// Whether it holds nothing but offsets.
    pub(super) fn is_empty(&self) -> bool {
        self.state == State::Empty
    }

    pub(super) fn is_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(ottla_protocol::messages::consumer_protocol::PROTOCOL_TYPE)
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// Checks that `member_id` is a member and, where an instance id is given, still the one behind it.
    fn validate_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.statics.get(instance_id) {
                None => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(current) if current != member_id => return Err(ErrorCode::FENCED_INSTANCE_ID),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) }
    }

    fn supports_protocols(&self, protocol_type: &str, protocols: &[JoinGroupRequestProtocol]) -> bool {
        if self.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let common = |name: &str| self.members.values().all(|member| member.supports(name));
        self.protocol_type.as_deref() == Some(protocol_type) && protocols.iter().any(|one| common(&one.name))
    }

    /// The assignor that most members prefer among those that all have.
    fn select_protocol(&self) -> Option<String> {
        let first = self.members.values().next()?;
        let names = first.protocols.iter().map(|protocol| protocol.name.as_str());
        let candidates: BTreeSet<&str> =
            names.filter(|name| self.members.values().all(|member| member.supports(name))).collect();
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for vote in self.members.values().filter_map(|member| member.vote(&candidates)) {
            *votes.entry(vote).or_default() += 1;
        }
        let most = votes.values().copied().max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.to_owned())
    }

    fn add(&mut self, member: Member) {
        if let Some(instance_id) = &member.instance_id {
            self.statics.insert(instance_id.clone(), member.id.clone());
        }
        if self.members.is_empty() {
            self.protocol_type = Some(member.protocol_type.clone());
        }
        self.leader.get_or_insert_with(|| member.id.clone());
        self.pending_joins.remove(&member.id);
        self.members.insert(member.id.clone(), member);
    }

    /// Takes a member, or an id that was given out, off the books; its timers and what waits for it are the
    /// caller's.
    fn remove(&mut self, member_id: &str) {
        if let Some(instance_id) = self.members.remove(member_id).and_then(|member| member.instance_id) {
            self.statics.remove(&instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending_joins.remove(member_id);
        self.pending_syncs.remove(member_id);
    }

    fn all_joined(&self) -> bool {
        self.pending_joins.is_empty() && self.members.values().all(|member| member.joining.is_some())
    }

    fn awaiting_join(&self) -> usize {
        self.members.values().filter(|member| member.joining.is_some()).count()
    }

    /// The longest rebalance timeout among the members.
    fn rebalance_timeout(&self) -> Duration {
        millis(self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0))
    }

    /// Starts a member's session anew.
    pub(super) fn renew_session(&self, cx: &mut Context<'_>, member_id: &str) {
        if let Some(member) = self.members.get(member_id) {
            let slot = Slot::Heartbeat(member_id.to_owned());
            cx.set_timer(member.session_timeout(), &self.id, slot, Detail::None);
        }
    }

    /// Writes the group to its log: of each member, what it told the assignor in use.
    fn save(&mut self) {
        let protocol = self.protocol.clone().unwrap_or_default();
        let members = self.members.values().map(|member| {
            let mut member = member.clone();
            member.protocols.retain(|own| own.name == protocol);
            (member.joining, member.syncing, member.is_new) = (None, None, false);
            (member.id.clone(), member)
        });
        self.saved = Saved {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            members: members.collect(),
        };
    }

    /// Refuses everything that waits, with `code`.
    pub(super) fn refuse_all(&mut self, cx: &mut Context<'_>, code: ErrorCode) {
        for member in self.members.values_mut() {
            if let Some(parked) = member.joining.take() {
                cx.refuse_join(parked, &member.id, code);
            }
            if let Some(parked) = member.syncing.take() {
                cx.refuse_sync(parked, code);
            }
        }
    }

    /// Stops all timers.
    pub(super) fn cancel_timers(&self, cx: &mut Context<'_>) {
        for member_id in self.members.keys().chain(&self.pending_joins) {
            cx.timers.cancel(&self.id, &Slot::Heartbeat(member_id.clone()));
        }
        cx.timers.cancel(&self.id, &Slot::Join);
        cx.timers.cancel(&self.id, &Slot::Sync);
    }

    /// Goes on as the next coordinator would: what waits is refused, what isn't in the log is forgotten, and
    /// all sessions begin anew.
    pub(super) fn reload(&mut self, cx: &mut Context<'_>) {
        self.refuse_all(cx, ErrorCode::NOT_COORDINATOR);
        cx.timers.cancel_group(&self.id);
        let Saved { generation, protocol_type, protocol, leader, members } = self.saved.clone();
        let statics = |member: &Member| Some((member.instance_id.clone()?, member.id.clone()));
        *self = ClassicGroup {
            state: if members.is_empty() { State::Empty } else { State::Stable },
            generation,
            protocol_type,
            protocol,
            leader,
            statics: members.values().filter_map(statics).collect(),
            members,
            saved: self.saved.clone(),
            empty_since: self.empty_since,
            ..ClassicGroup::new(&self.id)
        };
        for member_id in self.members.keys() {
            self.renew_session(cx, member_id);
        }
        if self.members.len() > cx.options.max_size {
            self.prepare_rebalance(cx);
        }
    }

    /// The requests that wait.
    pub(super) fn parked_mut(&mut self) -> impl Iterator<Item = &mut Parked> {
        self.members
            .values_mut()
            .flat_map(|member| member.joining.iter_mut().chain(member.syncing.iter_mut()))
    }
}
