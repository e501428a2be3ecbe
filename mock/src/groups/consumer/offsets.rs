//! Which offsets a member of a consumer group may commit and fetch.
//!
//! A commit names the member's epoch. One from an earlier epoch still counts for partitions that the member
//! has had since then without a break, so that a commit doesn't fail only because it met a rebalance on its
//! way.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::uuid::Uuid;

use super::{ConsumerGroup, Member};
use crate::groups::context::Refusal;

/// What is left to check of a commit, partition by partition.
#[derive(Debug)]
pub(in crate::groups) enum CommitCheck<'a> {
    /// Nothing.
    Passed,
    /// Whether the member has had the partition since the epoch it names.
    Since(&'a Member, i32),
}

impl CommitCheck<'_> {
    /// Checks a partition; `topic` is zero if there is no such topic.
    pub(in crate::groups) fn partition(&self, topic: Uuid, partition: i32) -> Result<(), ErrorCode> {
        match self {
            CommitCheck::Passed => Ok(()),
            CommitCheck::Since(member, epoch) => match member.assignment_epoch(topic, partition) {
                Some(since) if since <= *epoch => Ok(()),
                _ => Err(stale(member)),
            },
        }
    }
}

impl ConsumerGroup {
    /// Checks that a member, or anybody in an empty group, may commit.
    pub(in crate::groups) fn commit(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        epoch: i32,
        transactional: bool,
        version: i16,
    ) -> Result<CommitCheck<'_>, Refusal> {
        // Transactional commits did not name the member at first.
        let is_anonymous = transactional && epoch == -1 && member_id.is_empty() && instance_id.is_none();
        if (epoch < 0 && self.is_empty()) || is_anonymous {
            return Ok(CommitCheck::Passed);
        }
        let member = self.find(member_id, None)?;
        if !transactional && member.classic.is_none() && version < 9 {
            let message = "Members of the consumer protocol commit by OffsetCommit version 9 or newer.";
            return Err(Refusal::new(ErrorCode::UNSUPPORTED_VERSION, message));
        }
        match epoch.cmp(&member.epoch) {
            std::cmp::Ordering::Equal => Ok(CommitCheck::Passed),
            std::cmp::Ordering::Less => Ok(CommitCheck::Since(member, epoch)),
            std::cmp::Ordering::Greater => Err(stale(member).into()),
        }
    }

    /// Checks that a member, or somebody who doesn't say who it is, may fetch.
    pub(in crate::groups) fn fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        if member_id.is_none() && epoch < 0 {
            return Ok(());
        }
        let member = member_id.and_then(|id| self.members.get(id)).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if epoch == member.epoch { Ok(()) } else { Err(stale(member)) }
    }
}

fn stale(member: &Member) -> ErrorCode {
    if member.classic.is_some() { ErrorCode::ILLEGAL_GENERATION } else { ErrorCode::STALE_MEMBER_EPOCH }
}
