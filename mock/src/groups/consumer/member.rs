//! A member of a consumer group.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ottla_protocol::messages::consumer_group_describe as describe;
use ottla_protocol::messages::consumer_group_heartbeat::{
    Assignment, ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use ottla_protocol::messages::join_group::JoinGroupRequestProtocol;
use ottla_protocol::uuid::Uuid;

use crate::call::Caller;
use crate::groups::assignor::Partitions;
use crate::groups::topics::Topics;

/// Partitions, each with the epoch in which the member got it.
pub(in crate::groups) type Owned = BTreeMap<Uuid, BTreeMap<i32, i32>>;

/// Where a member stands with the target assignment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::groups) enum State {
    /// It has what it shall have.
    #[default]
    Stable,
    /// It has yet to give partitions up.
    UnrevokedPartitions,
    /// Others have yet to give up what it shall get.
    UnreleasedPartitions,
}

/// A member of a consumer group.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::groups) struct Member {
    pub(in crate::groups) id: String,
    pub(in crate::groups) instance_id: Option<String>,
    pub(in crate::groups) rack_id: Option<String>,
    pub(in crate::groups) client_id: String,
    pub(in crate::groups) client_host: String,
    pub(in crate::groups) rebalance_timeout_ms: i32,
    pub(in crate::groups) topics: BTreeSet<String>,
    /// The expression that it subscribes by; empty if there is none.
    pub(in crate::groups) regex: String,
    pub(in crate::groups) server_assignor: Option<String>,
    /// What is known of a member that speaks the classic protocol.
    pub(in crate::groups) classic: Option<ClassicFacts>,
    /// -2 for a static member that has left to come back.
    pub(in crate::groups) epoch: i32,
    pub(in crate::groups) previous_epoch: i32,
    pub(in crate::groups) state: State,
    /// What it may read.
    pub(in crate::groups) assigned: Owned,
    /// What it may read no longer but hasn't given up yet.
    pub(in crate::groups) revoking: Owned,
}

/// What the classic protocol says of a member and the consumer protocol doesn't.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::groups) struct ClassicFacts {
    pub(in crate::groups) session_timeout_ms: i32,
    pub(in crate::groups) protocols: Vec<JoinGroupRequestProtocol>,
}

impl ClassicFacts {
    /// The assignor that it likes best; the coordinator pretends that this one is in use.
    pub(in crate::groups) fn protocol(&self) -> Option<&str> {
        self.protocols.first().map(|protocol| protocol.name.as_str())
    }

    pub(in crate::groups) fn metadata(&self) -> Bytes {
        self.protocols.first().map(|protocol| protocol.metadata.clone()).unwrap_or_default()
    }
}

impl Member {
    pub(in crate::groups) fn new(id: &str) -> Self {
        Member { id: id.to_owned(), rebalance_timeout_ms: -1, previous_epoch: -1, ..Default::default() }
    }

    /// Takes over what a heartbeat says; what it leaves out is as before.
    pub(super) fn update(&mut self, who: &Caller, request: &ConsumerGroupHeartbeatRequest) {
        fn keep<T: Clone>(own: &mut Option<T>, new: &Option<T>) {
            if new.is_some() {
                own.clone_from(new);
            }
        }
        keep(&mut self.instance_id, &request.instance_id);
        keep(&mut self.rack_id, &request.rack_id);
        keep(&mut self.server_assignor, &request.server_assignor);
        if let Some(regex) = &request.subscribed_topic_regex {
            self.regex.clone_from(regex);
        }
        if request.rebalance_timeout_ms != -1 {
            self.rebalance_timeout_ms = request.rebalance_timeout_ms;
        }
        if let Some(topics) = &request.subscribed_topic_names {
            self.topics = topics.iter().cloned().collect();
        }
        self.client_id.clone_from(&who.client_id);
        self.client_host.clone_from(&who.host);
        self.classic = None;
    }

    /// The expression that it subscribes by, if it does.
    pub(super) fn active_regex(&self) -> Option<&str> {
        Some(self.regex.as_str()).filter(|regex| !regex.is_empty())
    }

    pub(super) fn is_reconciled_to(&self, epoch: i32) -> bool {
        self.state == State::Stable && self.epoch == epoch
    }

    pub(super) fn enter(&mut self, epoch: i32) {
        self.previous_epoch = std::mem::replace(&mut self.epoch, epoch);
    }

    /// Everything that nobody else may have: what it reads and what it hasn't given up.
    pub(in crate::groups) fn held(&self) -> impl Iterator<Item = (Uuid, i32)> {
        let both = self.assigned.iter().chain(&self.revoking);
        both.flat_map(|(topic, partitions)| partitions.keys().map(|partition| (*topic, *partition)))
    }

    /// The epoch in which it got a partition that it holds.
    pub(super) fn assignment_epoch(&self, topic: Uuid, partition: i32) -> Option<i32> {
        let epoch =
            |owned: &Owned| owned.get(&topic).and_then(|partitions| partitions.get(&partition)).copied();
        epoch(&self.assigned).or_else(|| epoch(&self.revoking))
    }

    pub(super) fn assignment(&self) -> Assignment {
        let topics = self.assigned.iter().map(|(topic_id, partitions)| TopicPartitions {
            topic_id: *topic_id,
            partitions: partitions.keys().copied().collect(),
            ..Default::default()
        });
        Assignment { topic_partitions: topics.collect(), ..Default::default() }
    }

    pub(super) fn describe(&self, target: Option<&Partitions>, topics: &Topics) -> describe::Member {
        let mut held = Partitions::new();
        for (topic, partition) in self.held() {
            held.entry(topic).or_default().insert(partition);
        }
        let describe = |partitions: &Partitions| {
            let named = partitions.iter().filter_map(|(topic_id, partitions)| {
                Some(describe::TopicPartitions {
                    topic_id: *topic_id,
                    topic_name: topics.name(*topic_id)?.to_owned(),
                    partitions: partitions.iter().copied().collect(),
                    ..Default::default()
                })
            });
            describe::Assignment { topic_partitions: named.collect(), ..Default::default() }
        };
        describe::Member {
            member_id: self.id.clone(),
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            member_epoch: self.epoch,
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            subscribed_topic_names: self.topics.iter().cloned().collect(),
            subscribed_topic_regex: Some(self.regex.clone()),
            assignment: describe(&held),
            target_assignment: target.map(describe).unwrap_or_default(),
            member_type: i8::from(self.classic.is_none()),
            ..Default::default()
        }
    }
}
