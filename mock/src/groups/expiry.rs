//! Offsets that nobody has needed for long are forgotten, and with the last of them their group.
//!
//! An offset of a group without members expires `offsets.retention.minutes` after the group lost the last one, or, where it
//! never had any, after its commit. While there are members it expires by its commit once they read its topic no more.
//! Looked at every `offsets.retention.check.interval.ms`.
//!
//! Sources: KIP-211, `OffsetMetadataManager` of Kafka 4.3.

use std::time::Instant;

use super::{Group, Groups};

impl Groups {
    /// Sees to it that offsets are looked at, from the first commit on.
    pub(super) fn schedule_expiry(&mut self, now: Instant) {
        if self.expiry_at.is_none() && !self.offsets.is_empty() {
            self.expiry_at = now.checked_add(self.options.offsets_check_interval);
        }
    }

    /// Forgets what is too old, if it is time to look.
    pub(super) fn expire_offsets(&mut self, now: Instant) {
        if self.expiry_at.is_none_or(|at| at > now) {
            return;
        }
        let ids: Vec<String> = self.offsets.group_ids().cloned().collect();
        for id in ids {
            let retention = self.options.offsets_retention;
            let is_old = |since: Instant| now.saturating_duration_since(since) >= retention;
            let group = self.groups.get(&id);
            let is_all_gone = self.offsets.expire(&id, |topic, committed_at| match group {
                Some(Group::Classic(group)) => match group.offsets_kept_since(topic, committed_at) {
                    Some(since) => is_old(since),
                    None => false,
                },
                Some(Group::Consumer(group)) => !group.is_subscribed_to(topic) && is_old(committed_at),
                None => is_old(committed_at),
            });
            let is_empty = match self.groups.get(&id) {
                Some(Group::Classic(group)) => group.is_empty(),
                Some(Group::Consumer(group)) => group.is_empty(),
                None => false,
            };
            if is_all_gone && is_empty {
                self.groups.remove(&id);
                self.timers.cancel_group(&id);
            }
        }
        self.expiry_at = None;
        self.schedule_expiry(now);
    }
}
