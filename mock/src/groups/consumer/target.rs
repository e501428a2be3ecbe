//! The target assignment: when it is computed anew, and for which subscriptions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_protocol::uuid::Uuid;

use super::{ConsumerGroup, Member};
use crate::groups::assignor::{Subscriber, assign};
use crate::groups::context::Context;
use crate::groups::options::ServerAssignor;
use crate::groups::topics::{TopicFacts, Topics};

impl ConsumerGroup {
    /// The ids of the topics that a member subscribes, by name or expression, and that exist.
    pub(super) fn subscribed_ids(&self, member: &Member, topics: &Topics) -> BTreeSet<Uuid> {
        let names = self.subscribed_names(member);
        names.filter_map(|name| topics.by_name(name)).map(|topic| topic.id).collect()
    }

    fn subscribed_names<'a>(&'a self, member: &'a Member) -> impl Iterator<Item = &'a String> {
        let matched = member.active_regex().and_then(|regex| self.regexes.topics(regex));
        member.topics.iter().chain(matched.into_iter().flatten())
    }

    /// Whether some member reads the topic.
    pub(in crate::groups) fn is_subscribed_to(&self, topic: &str) -> bool {
        self.members.values().any(|member| self.subscribed_names(member).any(|name| name == topic))
    }

    /// What there is to know of all subscribed topics.
    pub(super) fn subscribed_metadata(&self, cx: &Context<'_>) -> BTreeMap<String, Arc<TopicFacts>> {
        let names = self.members.values().flat_map(|member| self.subscribed_names(member));
        names.filter_map(|name| Some((name.clone(), Arc::clone(cx.topics.by_name(name)?)))).collect()
    }

    /// Whether the cluster's topics have changed since the group last looked.
    pub(super) fn is_metadata_stale(&self, cx: &Context<'_>) -> bool {
        self.metadata_version != Some(cx.topics.version)
    }

    /// Computes the target if the group epoch has grown past it, unless the last time was too shortly ago.
    pub(super) fn update_target(&mut self, cx: &Context<'_>) {
        let too_early = self
            .assigned_at
            .is_some_and(|at| cx.now.saturating_duration_since(at) < cx.options.consumer_assignment_interval);
        if self.assignment_epoch >= self.epoch || too_early {
            return;
        }
        let subscribers: BTreeMap<String, Subscriber> = self
            .members
            .values()
            .map(|member| {
                let subscriber = Subscriber {
                    instance_id: member.instance_id.clone(),
                    topics: self.subscribed_ids(member, cx.topics),
                    target: self.targets.get(&member.id).cloned().unwrap_or_default(),
                };
                (member.id.clone(), subscriber)
            })
            .collect();
        let topics: BTreeSet<Uuid> =
            subscribers.values().flat_map(|member| member.topics.iter().copied()).collect();
        let sizes = topics.into_iter().map(|topic| (topic, cx.topics.partitions(topic))).collect();
        self.targets = assign(self.assignor(cx), &subscribers, &sizes);
        self.assignment_epoch = self.epoch;
        self.assigned_at = Some(cx.now);
    }

    /// The assignor that most of the members that have a wish wish for.
    pub(super) fn assignor(&self, cx: &Context<'_>) -> ServerAssignor {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for name in self.members.values().filter_map(|member| member.server_assignor.as_deref()) {
            *votes.entry(name).or_default() += 1;
        }
        let offered = &cx.options.consumer_assignors;
        let most = votes
            .iter()
            .max_by_key(|(name, count)| (**count, std::cmp::Reverse(**name)))
            .map(|(name, _)| *name);
        let wished = most.and_then(|name| offered.iter().find(|assignor| assignor.name() == name));
        wished.or_else(|| offered.first()).copied().unwrap_or(ServerAssignor::Uniform)
    }
}
