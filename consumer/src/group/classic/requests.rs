//! What a member asks for next.

use std::time::Instant;

use ottla_client::NodeId;
use ottla_protocol::messages::heartbeat::HeartbeatRequest;
use ottla_protocol::messages::join_group::JoinGroupRequest;
use ottla_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use ottla_protocol::messages::sync_group::SyncGroupRequest;

use super::ClassicMember;

/// A request to be sent; its answer is handed back with the same number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MemberRequest {
    /// The number.
    pub(crate) id: u64,
    /// The coordinator; meaningless while it is looked for.
    pub(crate) node: NodeId,
    /// What to send.
    pub(crate) body: RequestBody,
}

/// The requests of a member.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RequestBody {
    /// To anybody: where is the coordinator, which `instead_of` is not?
    FindCoordinator { instead_of: Option<NodeId> },
    /// On the join lane; held by the coordinator until all members are there.
    Join(JoinGroupRequest),
    /// On the join lane; held by the coordinator until the leader's is there.
    Sync(SyncGroupRequest),
    /// On the heartbeat lane.
    Heartbeat(HeartbeatRequest),
    /// On the heartbeat lane, so that a held JoinGroup does not delay it.
    Leave(LeaveRequest),
}

/// A LeaveGroup, whose form depends on the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeaveRequest {
    /// The group.
    pub(crate) group_id: String,
    /// Who leaves.
    pub(crate) member_id: String,
    /// Why, for the broker's log.
    pub(crate) reason: String,
}

/// The first version of LeaveGroup that names a list of members.
const SEVERAL_MEMBERS: i16 = 3;

impl LeaveRequest {
    /// The request as `version` has it.
    pub(crate) fn to_message(&self, version: i16) -> LeaveGroupRequest {
        let mut message =
            LeaveGroupRequest { group_id: self.group_id.clone(), ..LeaveGroupRequest::default() };
        if version < SEVERAL_MEMBERS {
            message.member_id.clone_from(&self.member_id);
        } else {
            message.members.push(MemberIdentity {
                member_id: self.member_id.clone(),
                reason: Some(self.reason.clone()),
                ..MemberIdentity::default()
            });
        }
        message
    }
}

impl ClassicMember {
    /// The next request to send, if there is one now; to be called until there is none.
    pub(crate) fn poll_request(&mut self, now: Instant) -> Option<MemberRequest> {
        let Some(node) = self.coordinator.node() else {
            let (id, body) = self.find_coordinator(now)?;
            return Some(MemberRequest { id, node: -1, body });
        };
        let (id, body) = self
            .send_leave()
            .or_else(|| self.send_heartbeat(now))
            .or_else(|| self.send_sync())
            .or_else(|| self.send_join(now, node))?;
        Some(MemberRequest { id, node, body })
    }
}
