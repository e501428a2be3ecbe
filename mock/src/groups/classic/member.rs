//! A member of a classic group.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::messages::describe_groups::DescribedGroupMember;
use ottla_protocol::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponseMember,
};

use crate::call::Caller;
use crate::groups::context::{Parked, millis};

/// A member of a classic group.
#[derive(Debug, Clone)]
pub(in crate::groups) struct Member {
    pub(in crate::groups) id: String,
    pub(in crate::groups) instance_id: Option<String>,
    pub(in crate::groups) client_id: String,
    pub(in crate::groups) client_host: String,
    pub(in crate::groups) rebalance_timeout_ms: i32,
    pub(in crate::groups) session_timeout_ms: i32,
    pub(in crate::groups) protocol_type: String,
    /// The assignors it can work with, best first.
    pub(in crate::groups) protocols: Vec<JoinGroupRequestProtocol>,
    pub(in crate::groups) assignment: Bytes,
    /// The join that waits for the rebalance to end.
    pub(in crate::groups) joining: Option<Parked>,
    /// The sync that waits for the leader's.
    pub(in crate::groups) syncing: Option<Parked>,
    /// Whether it has not been in a generation yet: such a member can't heartbeat, so its join alone must not
    /// keep it.
    pub(in crate::groups) is_new: bool,
}

impl Member {
    pub(super) fn new(id: String, who: &Caller, request: &JoinGroupRequest, joining: Parked) -> Self {
        Member {
            id,
            instance_id: request.group_instance_id.clone(),
            client_id: who.client_id.clone(),
            client_host: who.host.clone(),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocol_type: request.protocol_type.clone(),
            protocols: request.protocols.clone(),
            assignment: Bytes::new(),
            joining: Some(joining),
            syncing: None,
            is_new: true,
        }
    }

    /// Takes over what a later join says. A join of the same member that still waits is forgotten, as Kafka
    /// forgets it.
    pub(super) fn update(&mut self, request: &JoinGroupRequest, joining: Parked) {
        self.protocols.clone_from(&request.protocols);
        self.rebalance_timeout_ms = request.rebalance_timeout_ms;
        self.session_timeout_ms = request.session_timeout_ms;
        self.joining = Some(joining);
    }

    pub(super) fn session_timeout(&self) -> Duration {
        millis(self.session_timeout_ms)
    }

    pub(super) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|own| own.name == protocol)
    }

    /// What it told the assignor `protocol`.
    pub(in crate::groups) fn metadata(&self, protocol: &str) -> Option<Bytes> {
        self.protocols.iter().find(|own| own.name == protocol).map(|own| own.metadata.clone())
    }

    /// The candidate that it likes best.
    pub(super) fn vote<'a>(&'a self, candidates: &BTreeSet<&str>) -> Option<&'a str> {
        self.protocols.iter().map(|own| own.name.as_str()).find(|name| candidates.contains(name))
    }

    /// Whether its silence is the coordinator's doing.
    pub(super) fn is_excused(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }

    pub(super) fn for_leader(&self, protocol: &str) -> JoinGroupResponseMember {
        JoinGroupResponseMember {
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
            metadata: self.metadata(protocol).unwrap_or_default(),
            ..Default::default()
        }
    }

    /// Metadata and assignment are told of stable groups only, whose protocol is `protocol`.
    pub(super) fn describe(&self, protocol: Option<&str>) -> DescribedGroupMember {
        DescribedGroupMember {
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            member_metadata: protocol.and_then(|name| self.metadata(name)).unwrap_or_default(),
            member_assignment: self.assignment.clone(),
            ..Default::default()
        }
    }
}
