//! The RPCs of tools: list, describe and delete groups.

use std::time::Instant;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::consumer_group_describe::DescribedGroup as DescribedConsumerGroup;
use ottla_protocol::messages::delete_groups::DeletableGroupResult;
use ottla_protocol::messages::describe_groups::DescribedGroup;
use ottla_protocol::messages::list_groups::{ListGroupsRequest, ListedGroup};

use super::membership::no_consumer_group;
use super::{Group, Groups};

impl Groups {
    /// What DescribeGroups tells of one group.
    pub(crate) fn describe(&self, version: i16, group_id: &str) -> DescribedGroup {
        if let Some(Group::Classic(group)) = self.groups.get(group_id) {
            return group.describe();
        }
        let dead = DescribedGroup {
            group_id: group_id.to_owned(),
            group_state: "Dead".to_owned(),
            ..Default::default()
        };
        if version < 6 {
            return dead;
        }
        DescribedGroup {
            error_code: ErrorCode::GROUP_ID_NOT_FOUND,
            error_message: Some(format!("There is no classic group {group_id}.")),
            ..dead
        }
    }

    /// What ConsumerGroupDescribe tells of one group.
    pub(crate) fn describe_consumer_group(&mut self, now: Instant, group_id: &str) -> DescribedConsumerGroup {
        let refused = |error_code, error_message| DescribedConsumerGroup {
            group_id: group_id.to_owned(),
            error_code,
            error_message,
            ..Default::default()
        };
        if group_id.is_empty() {
            return refused(ErrorCode::INVALID_GROUP_ID, None);
        }
        let (groups, _, cx) = self.parts(now);
        match groups.get(group_id) {
            Some(Group::Consumer(group)) => group.describe(&cx),
            Some(Group::Classic(_)) | None => {
                let refusal = no_consumer_group(group_id);
                refused(refusal.code, refusal.message)
            }
        }
    }

    /// The groups that ListGroups asks for.
    pub(crate) fn list(&self, request: &ListGroupsRequest) -> Vec<ListedGroup> {
        let fits = |filter: &[String], value: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(value))
        };
        let all = self.groups.values().map(|group| match group {
            Group::Classic(group) => group.list(),
            Group::Consumer(group) => group.list(),
        });
        all.filter(|group| {
            fits(&request.states_filter, &group.group_state) && fits(&request.types_filter, &group.group_type)
        })
        .collect()
    }

    /// Deletes a group without members, and what it has committed.
    pub(crate) fn delete(&mut self, group_id: &str) -> DeletableGroupResult {
        let error_code = match self.groups.get(group_id) {
            None => ErrorCode::GROUP_ID_NOT_FOUND,
            Some(Group::Classic(group)) if !group.is_empty() => ErrorCode::NON_EMPTY_GROUP,
            Some(Group::Consumer(group)) if !group.is_empty() => ErrorCode::NON_EMPTY_GROUP,
            Some(_) => {
                self.offsets.remove_group(group_id);
                self.timers.cancel_group(group_id);
                self.groups.remove(group_id);
                ErrorCode::NONE
            }
        };
        DeletableGroupResult { group_id: group_id.to_owned(), error_code, ..Default::default() }
    }
}
