//! The RPCs about offsets: the group decides who may, the store does it.

use std::time::Instant;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_commit::{OffsetCommitRequest, OffsetCommitResponse};
use ottla_protocol::messages::offset_delete::{OffsetDeleteRequest, OffsetDeleteResponse};
use ottla_protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchResponseGroup};
use ottla_protocol::messages::txn_offset_commit::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};

use super::classic::ClassicGroup;
use super::consumer::CommitCheck;
use super::context::{Context, Refusal};
use super::offsets::Store;
use super::{Group, GroupMap, Groups};

/// Who commits what as.
#[derive(Debug, Clone, Copy)]
struct Committer<'a> {
    group_id: &'a str,
    member_id: &'a str,
    instance_id: Option<&'a str>,
    /// The generation or member epoch.
    epoch: i32,
    transactional: bool,
    version: i16,
}

impl Groups {
    /// An OffsetCommit.
    pub(crate) fn handle_offset_commit(
        &mut self,
        now: Instant,
        version: i16,
        request: &OffsetCommitRequest,
    ) -> OffsetCommitResponse {
        let (groups, offsets, mut cx) = self.parts(now);
        let store = Store { topics: cx.topics, max_metadata: cx.options.offset_metadata_max_size };
        let committer = Committer {
            group_id: &request.group_id,
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            epoch: request.generation_id_or_member_epoch,
            transactional: false,
            version,
        };
        // Where nothing can be committed, the group isn't even asked.
        let named = request.topics.iter().flat_map(|topic| {
            let name = if version >= 10 { cx.topics.name(topic.topic_id) } else { Some(topic.name.as_str()) };
            topic.partitions.iter().filter_map(move |partition| Some((name?, partition.partition_index)))
        });
        let anything = { named }.any(|(name, partition)| cx.topics.exists(name, partition));
        let check = if anything { check(groups, &mut cx, committer) } else { Ok(CommitCheck::Passed) };
        let outcome = offsets.commit(now, store, request, version, &check);
        let response = outcome
            .or_else(|code| offsets.commit(now, store, request, version, &Err(code)))
            .unwrap_or_default();
        self.schedule_expiry(now);
        response
    }

    /// A TxnOffsetCommit, once the transaction is known to include the group.
    pub(crate) fn handle_txn_offset_commit(
        &mut self,
        now: Instant,
        version: i16,
        request: &TxnOffsetCommitRequest,
    ) -> TxnOffsetCommitResponse {
        let (groups, offsets, mut cx) = self.parts(now);
        let store = Store { topics: cx.topics, max_metadata: cx.options.offset_metadata_max_size };
        let committer = Committer {
            group_id: &request.group_id,
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            epoch: request.generation_id,
            transactional: true,
            version,
        };
        let mut named = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|partition| (topic.name.as_str(), partition.partition_index))
        });
        let check = if request.group_id.is_empty() {
            Err(ErrorCode::INVALID_GROUP_ID)
        } else if named.any(|(name, partition)| cx.topics.exists(name, partition)) {
            check(groups, &mut cx, committer)
        } else {
            Ok(CommitCheck::Passed)
        };
        let outcome = offsets.commit_pending(now, store, request, &check);
        let response = outcome
            .or_else(|code| offsets.commit_pending(now, store, request, &Err(code)))
            .unwrap_or_default();
        self.schedule_expiry(now);
        response
    }

    /// Ends a producer's transaction: what it has pending is committed or forgotten, in all groups. The epoch
    /// is the marker's; commits of older ones are refused from now on.
    pub(crate) fn complete_transaction(&mut self, producer_id: i64, producer_epoch: i16, commit: bool) {
        self.offsets.complete(producer_id, producer_epoch, commit);
    }

    /// The offset that a group has committed.
    pub(crate) fn committed_offset(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        self.offsets.get(group, topic, partition).map(|committed| committed.offset)
    }

    /// What an OffsetFetch asks of one group; its error is in the answer.
    pub(crate) fn handle_offset_fetch(
        &mut self,
        version: i16,
        request: &OffsetFetchRequestGroup,
        require_stable: bool,
    ) -> OffsetFetchResponseGroup {
        let allowed = match self.groups.get(&request.group_id) {
            Some(Group::Consumer(group)) => group.fetch(request.member_id.as_deref(), request.member_epoch),
            Some(Group::Classic(_)) | None => Ok(()),
        };
        if let Err(error_code) = allowed {
            let group_id = request.group_id.clone();
            return OffsetFetchResponseGroup { group_id, error_code, ..Default::default() };
        }
        let store = Store { topics: &self.topics, max_metadata: self.options.offset_metadata_max_size };
        self.offsets.fetch(store, request, version, require_stable)
    }

    /// An OffsetDelete.
    pub(crate) fn handle_offset_delete(&mut self, request: &OffsetDeleteRequest) -> OffsetDeleteResponse {
        let refuse = |error_code| OffsetDeleteResponse { error_code, ..Default::default() };
        let group = match self.groups.get(&request.group_id) {
            _ if request.group_id.is_empty() => return refuse(ErrorCode::INVALID_GROUP_ID),
            None => return refuse(ErrorCode::GROUP_ID_NOT_FOUND),
            Some(Group::Classic(group)) if !group.is_empty() && !group.is_consumers() => {
                return refuse(ErrorCode::NON_EMPTY_GROUP);
            }
            Some(group) => group,
        };
        let store = Store { topics: &self.topics, max_metadata: self.options.offset_metadata_max_size };
        self.offsets.delete(store, request, |topic| match group {
            Group::Classic(group) => group.is_subscribed_to(topic),
            Group::Consumer(group) => group.is_subscribed_to(topic),
        })
    }
}

/// Asks the group whether a member may commit. Anybody who doesn't claim to be a member may do so in a group
/// that isn't there yet.
fn check<'a>(
    groups: &'a mut GroupMap,
    cx: &mut Context<'_>,
    committer: Committer<'_>,
) -> Result<CommitCheck<'a>, ErrorCode> {
    let Committer { group_id, member_id, instance_id, epoch, transactional, version } = committer;
    if !groups.contains_key(group_id) {
        if epoch >= 0 {
            let names_group = !transactional && version >= 9;
            return Err(if names_group {
                ErrorCode::GROUP_ID_NOT_FOUND
            } else {
                ErrorCode::ILLEGAL_GENERATION
            });
        }
        let group = ClassicGroup::new(group_id);
        groups.insert(group_id.to_owned(), Group::Classic(Box::new(group)));
    }
    match groups.get(group_id) {
        Some(Group::Consumer(group)) => {
            let stale = |refusal: Refusal| match refusal.code {
                ErrorCode::STALE_MEMBER_EPOCH if transactional => ErrorCode::ILLEGAL_GENERATION,
                code => code,
            };
            group.commit(member_id, instance_id, epoch, transactional, version).map_err(stale)
        }
        Some(Group::Classic(group)) => {
            group.commit(cx, member_id, instance_id, epoch, transactional).map(|()| CommitCheck::Passed)
        }
        None => Ok(CommitCheck::Passed),
    }
}
