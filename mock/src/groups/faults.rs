//! Harm to groups, on demand.

use std::collections::BTreeSet;
use std::time::Instant;

use super::classic::State;
use super::{Group, Groups, fence};

impl Groups {
    /// Ends a member's session now, whatever it has heard of it; false if there is no such member.
    pub(crate) fn expire_session(&mut self, now: Instant, group_id: &str, member_id: &str) -> bool {
        let (groups, _, mut cx) = self.parts(now);
        match groups.get_mut(group_id) {
            Some(Group::Classic(group)) if group.members.contains_key(member_id) => {
                group.drop_member(&mut cx, member_id);
                group.after_removal(&mut cx);
            }
            Some(Group::Consumer(group)) if group.members.contains_key(member_id) => {
                fence(groups, &mut cx, group_id, &BTreeSet::from([member_id.to_owned()]));
            }
            _ => return false,
        }
        true
    }

    /// Makes a group rebalance without a cause: a classic group's members have to join its next generation, a
    /// consumer group's epoch grows. False if there is no such group or nobody in it.
    pub(crate) fn force_rebalance(&mut self, now: Instant, group_id: &str) -> bool {
        let (groups, _, mut cx) = self.parts(now);
        match groups.get_mut(group_id) {
            Some(Group::Classic(group)) if group.state != State::Empty => group.rebalance(&mut cx),
            Some(Group::Consumer(group)) if !group.is_empty() => group.bump(),
            _ => return false,
        }
        true
    }

    /// Another broker takes care of the group from now on: what waits is answered with `NOT_COORDINATOR`. The
    /// new coordinator knows what is in the log; so a classic group's rebalance that was under way has never
    /// happened, and all sessions begin anew.
    pub(crate) fn handle_coordinator_moved(&mut self, now: Instant, group_id: &str) {
        let (groups, _, mut cx) = self.parts(now);
        match groups.get_mut(group_id) {
            Some(Group::Classic(group)) => group.reload(&mut cx),
            Some(Group::Consumer(group)) => group.reload(&mut cx),
            None => {}
        }
    }

    /// The ids of a group's members.
    pub(crate) fn member_ids(&self, group_id: &str) -> Vec<String> {
        match self.groups.get(group_id) {
            Some(Group::Classic(group)) => group.members.keys().cloned().collect(),
            Some(Group::Consumer(group)) => group.members.keys().cloned().collect(),
            None => Vec::new(),
        }
    }

    /// The ids of all groups.
    pub(crate) fn group_ids(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }
}
