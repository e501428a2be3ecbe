//! The states of a member, and what goes with them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use ottla_client::{Error, NodeId, TopicPartition};
use ottla_protocol::messages::sync_group::SyncGroupRequestAssignment;

use crate::assignor::{Assignor, GroupMember};

/// Where a member stands.
///
/// ```text
///               +--- MEMBER_ID_REQUIRED, coordinator away, rebalance again: id and generation kept ---+
///               |                                                                                     |
///               v      JoinGroup              leader                 assignor ran                     |
///   +-----> Unjoined ------------> Joining -----------> Assigning -----------------> Syncing ---------+
///   |           ^                     |                                              ^    |
///   |           |                     +---- follower, or leader that need not assign +    | SyncGroup answered
///   |           |                                                                         v
///   |           +--------- Lost: UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION ---------------- Stable --+
///   |                                                                                     |      | asked to rejoin:
///   |  polled                max.poll.interval.ms passed                                  |      | revoke, then
///   +-------- Overslept <--------- (from all of the above) -------------------------------+      | JoinGroup
///                                                                                                v
///   Failed: FENCED_INSTANCE_ID, GROUP_AUTHORIZATION_FAILED, ... (from all)                    Joining
///   Leaving ---> Left: on command (from all)
/// ```
///
/// From `Joining`, `Assigning` and `Syncing` a coordinator that turns up at another node leads back to `Unjoined`.
/// `Stable` with a reason to rejoin and `Unjoined` wait for the application where something must be revoked first.
#[derive(Debug)]
pub(super) enum State {
    /// Joins as soon as the application has nothing left to do and the pause is over.
    Unjoined { not_before: Option<Instant>, reason: String },
    /// Waits for the answer to the JoinGroup of this number.
    Joining { request: u64 },
    /// The leader waits for its assignor; `task` until it was taken. Some members have what is `owned`.
    Assigning { request: u64, task: Option<AssignmentTask>, owned: BTreeSet<TopicPartition> },
    /// Waits for the answer to SyncGroup, which is to be sent first while `request` is missing. Who has assigned has `withheld`
    /// something, or nothing.
    Syncing {
        request: Option<u64>,
        assignments: Vec<SyncGroupRequestAssignment>,
        withheld: Option<BTreeSet<TopicPartition>>,
    },
    /// In the generation; with `rejoin`, on the way to the next one.
    Stable { rejoin: Option<String> },
    /// Left because the application did not poll; joins again when it does.
    Overslept,
    /// Waits for the answer to LeaveGroup; first, if it `learns_id`, for the member id to leave with.
    Leaving { learns_id: bool },
    /// Has left.
    Left,
    /// Out of the group because of `error`; for good if it is `lasting`.
    Failed { error: Error, lasting: bool, reported: bool },
}

/// A run of the leader's assignor.
#[derive(Debug, Clone)]
pub(crate) struct AssignmentTask {
    /// To be given back with the outcome.
    pub(crate) id: u64,
    /// The assignor that the coordinator chose.
    pub(crate) assignor: Arc<dyn Assignor>,
    /// Everybody in the generation.
    pub(crate) members: Vec<GroupMember>,
    /// Every topic that somebody subscribes to, in order.
    pub(crate) topics: Vec<String>,
}

/// Who the member is to the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) member_id: String,
    pub(super) generation_id: i32,
    /// The assignor of the generation.
    pub(super) protocol: String,
    /// The generation that a sleeper left with a rebalance still to come, and why that was wanted; the coordinator may put a
    /// static member back into it as if nothing were owed.
    pub(super) owed: Option<(i32, String)>,
}

impl Default for Identity {
    fn default() -> Self {
        Identity { member_id: String::new(), generation_id: -1, protocol: String::new(), owed: None }
    }
}

/// The numbers of the requests that are not answered yet, by lane.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    last: u64,
    /// JoinGroup or SyncGroup. The state says whether anybody still wants the answer.
    pub(super) join: Option<u64>,
    /// Where the last JoinGroup went.
    pub(super) joined_at: Option<NodeId>,
    pub(super) heartbeat: Option<SentHeartbeat>,
    pub(super) leave: Option<u64>,
}

/// A heartbeat on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentHeartbeat {
    pub(super) id: u64,
    /// Whether the generation was complete when it was sent.
    pub(super) stable: bool,
    /// Whether it only asks if the coordinator is there.
    pub(super) probes: bool,
}

impl InFlight {
    pub(super) fn next_id(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

impl State {
    pub(super) fn unjoined(reason: &str) -> State {
        State::Unjoined { not_before: None, reason: reason.to_owned() }
    }

    /// Whether the application's polls keep the member going.
    pub(super) fn is_active(&self) -> bool {
        matches!(
            self,
            State::Unjoined { .. }
                | State::Joining { .. }
                | State::Assigning { .. }
                | State::Syncing { .. }
                | State::Stable { .. }
        )
    }

    /// Whether JoinGroup is what comes next.
    pub(super) fn wants_join(&self) -> bool {
        matches!(self, State::Unjoined { .. } | State::Stable { rejoin: Some(_) })
    }
}
