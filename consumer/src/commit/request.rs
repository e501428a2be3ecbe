//! OffsetFetch as plain values: building it for a version, and judging the answers; and what codes mean for offsets.
//!
//! Version 10 names topics by id; it is used where the ids of all topics are known, else they go by name up to version 9.
//! OffsetFetch asks about one group up to version 7 and about a list of groups from 8 on.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use ottla_client::{Cluster, Error, ErrorKind, TopicPartition};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse,
};
use ottla_protocol::uuid::Uuid;

use super::OffsetAndMetadata;
use crate::group::Membership;

/// The first version of OffsetCommit and OffsetFetch that names topics by id.
pub(super) const BY_ID: i16 = 10;

/// The first version of OffsetFetch with a list of groups.
const SEVERAL_GROUPS: i16 = 8;

/// The first version of OffsetFetch that names the member.
const BY_EPOCH: i16 = 9;

/// The first version of OffsetFetch that can insist on stable offsets.
const REQUIRE_STABLE: i16 = 7;

/// An offset, and the topic that it is of: one that was deleted and created again has the same name, but what was read of
/// the old one says nothing about the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicOffset {
    pub(crate) offset: OffsetAndMetadata,
    /// The topic's id; `None` where nobody said, so that its name has to do.
    pub(crate) topic_id: Option<Uuid>,
}

impl From<OffsetAndMetadata> for TopicOffset {
    fn from(offset: OffsetAndMetadata) -> Self {
        TopicOffset { offset, topic_id: None }
    }
}

/// The topics of a request, in both forms of their names.
#[derive(Debug, Default)]
pub(super) struct Topics {
    ids: HashMap<Arc<str>, Uuid>,
    names: HashMap<Uuid, Arc<str>>,
    /// Whether every topic has an id.
    complete: bool,
}

/// What an answer means for what was asked.
#[derive(Debug)]
pub(super) enum Judgement {
    /// Everything is settled.
    Done,
    /// What is left can be tried again.
    Retry { code: ErrorCode, elsewhere: bool },
    /// It depends on what has become of the membership.
    Membership(ErrorCode),
    /// Trying again does not help.
    Failed(Error),
}

impl Topics {
    /// By the metadata.
    pub(super) fn of<'a>(
        cluster: &Cluster,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Topics {
        let mut topics = Topics { complete: true, ..Topics::default() };
        for TopicPartition { topic, .. } in partitions {
            if topics.ids.contains_key(topic) {
                continue;
            }
            match cluster.topic(topic).map(|topic| topic.id) {
                Some(id) if !id.is_zero() => {
                    topics.ids.insert(Arc::clone(topic), id);
                    topics.names.insert(id, Arc::clone(topic));
                }
                _ => topics.complete = false,
            }
        }
        topics
    }

    /// The newest version that can name all topics.
    pub(super) fn newest_version(&self) -> i16 {
        if self.complete { i16::MAX } else { BY_ID - 1 }
    }

    /// Takes out of `pending` what has to wait for a request of its own: where some topics have ids, those that have none.
    pub(super) fn set_aside(&mut self, pending: &mut Vec<TopicPartition>) -> Vec<TopicPartition> {
        if self.complete || self.ids.is_empty() {
            return Vec::new();
        }
        self.complete = true;
        let (asked, later) =
            std::mem::take(pending).into_iter().partition(|place| self.ids.contains_key(&place.topic));
        *pending = asked;
        later
    }

    fn id(&self, name: &str) -> Uuid {
        self.ids.get(name).copied().unwrap_or_default()
    }

    /// The name of an answered topic, by whichever of the two the version has.
    fn name(&self, name: &str, id: Uuid) -> Option<Arc<str>> {
        if id.is_zero() { Some(Arc::from(name)) } else { self.names.get(&id).map(Arc::clone) }
    }
}

/// `member` is named where it has epochs, so that the coordinator can refuse one that it has removed.
pub(super) fn fetch_request(
    group_id: &str,
    member: &Membership,
    partitions: &[TopicPartition],
    topics: &Topics,
    version: i16,
) -> OffsetFetchRequest {
    let mut sorted: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for TopicPartition { topic, partition } in partitions {
        sorted.entry(topic).or_default().push(*partition);
    }
    let require_stable = version >= REQUIRE_STABLE;
    if version < SEVERAL_GROUPS {
        let listed = sorted.into_iter().map(|(name, partition_indexes)| OffsetFetchRequestTopic {
            name: name.to_owned(),
            partition_indexes,
            ..Default::default()
        });
        let topics = Some(listed.collect());
        return OffsetFetchRequest {
            group_id: group_id.to_owned(),
            topics,
            require_stable,
            ..Default::default()
        };
    }
    let listed = sorted.into_iter().map(|(name, partition_indexes)| OffsetFetchRequestTopics {
        name: name.to_owned(),
        topic_id: topics.id(name),
        partition_indexes,
        ..Default::default()
    });
    let is_named = version >= BY_EPOCH && member.has_epochs && member.is_member();
    let group = OffsetFetchRequestGroup {
        group_id: group_id.to_owned(),
        member_id: is_named.then(|| member.member_id.clone()),
        member_epoch: if is_named { member.generation_id } else { -1 },
        topics: Some(listed.collect()),
        ..Default::default()
    };
    OffsetFetchRequest { groups: vec![group], require_stable, ..Default::default() }
}

/// A partition as it stands in either form of the answer.
struct Fetched<'a> {
    place: TopicPartition,
    topic_id: Uuid,
    offset: i64,
    leader_epoch: i32,
    metadata: &'a Option<String>,
    code: ErrorCode,
}

/// Moves from `pending` to `found` what was answered; a partition without a commit is found as `None`.
pub(super) fn judge_fetch(
    group_id: &str,
    pending: &mut Vec<TopicPartition>,
    found: &mut HashMap<TopicPartition, Option<TopicOffset>>,
    topics: &Topics,
    response: &OffsetFetchResponse,
) -> Judgement {
    let mut verdict = Verdict::default();
    let group = response.groups.iter().find(|group| group.group_id == group_id);
    let codes = [response.error_code, group.map_or(ErrorCode::NONE, |group| group.error_code)];
    for code in codes.into_iter().filter(|code| !code.is_ok()) {
        verdict.add(code, || format!("cannot fetch the committed offsets of group `{group_id}`"));
    }

    let single = response.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| Fetched {
            place: TopicPartition::new(topic.name.as_str(), partition.partition_index),
            topic_id: Uuid::ZERO,
            offset: partition.committed_offset,
            leader_epoch: partition.committed_leader_epoch,
            metadata: &partition.metadata,
            code: partition.error_code,
        })
    });
    let several = group.into_iter().flat_map(|group| &group.topics).flat_map(|topic| {
        let name = topics.name(&topic.name, topic.topic_id);
        topic.partitions.iter().filter_map(move |partition| {
            Some(Fetched {
                place: TopicPartition::new(name.clone()?, partition.partition_index),
                topic_id: topic.topic_id,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: &partition.metadata,
                code: partition.error_code,
            })
        })
    });
    let asked: HashSet<TopicPartition> = pending.iter().cloned().collect();
    for Fetched { place, topic_id, offset, leader_epoch, metadata, code } in single.chain(several) {
        if code.is_ok() {
            if asked.contains(&place) {
                let offset = OffsetAndMetadata {
                    offset,
                    leader_epoch: (leader_epoch >= 0).then_some(leader_epoch),
                    metadata: metadata.clone().unwrap_or_default(),
                };
                let committed = TopicOffset { offset, topic_id: (!topic_id.is_zero()).then_some(topic_id) };
                found.entry(place).or_insert((committed.offset.offset >= 0).then_some(committed));
            }
        } else {
            verdict.add(code, || format!("cannot fetch the committed offset of {place}"));
        }
    }
    pending.retain(|partition| !found.contains_key(partition));
    verdict.judge(pending.first(), "OffsetFetch")
}

/// The codes with which an answer refuses single partitions.
pub(super) fn refused(
    group_id: &str,
    topics: &Topics,
    response: &OffsetFetchResponse,
) -> HashMap<TopicPartition, ErrorCode> {
    let single = response.topics.iter().flat_map(|topic| {
        let name = Arc::from(topic.name.as_str());
        let rows = topic.partitions.iter();
        rows.map(move |row| (Some(Arc::clone(&name)), row.partition_index, row.error_code))
    });
    let groups = response.groups.iter().filter(|group| group.group_id == group_id);
    let several = groups.flat_map(|group| &group.topics).flat_map(|topic| {
        let name = topics.name(&topic.name, topic.topic_id);
        topic.partitions.iter().map(move |row| (name.clone(), row.partition_index, row.error_code))
    });
    let refused = single.chain(several).filter(|(_, _, code)| !code.is_ok());
    refused
        .filter_map(|(topic, partition, code)| Some((TopicPartition { topic: topic?, partition }, code)))
        .collect()
}

/// The gravest of the codes in an answer.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    membership: Option<ErrorCode>,
    failed: Option<Error>,
    retry: Option<ErrorCode>,
    elsewhere: bool,
}

impl Verdict {
    pub(super) fn add(&mut self, code: ErrorCode, doing: impl FnOnce() -> String) {
        match code {
            // Where there is no group, there is no member either.
            ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::GROUP_ID_NOT_FOUND
            | ErrorCode::ILLEGAL_GENERATION
            | ErrorCode::STALE_MEMBER_EPOCH
            | ErrorCode::FENCED_MEMBER_EPOCH
            | ErrorCode::FENCED_INSTANCE_ID
            | ErrorCode::REBALANCE_IN_PROGRESS => self.membership = Some(code),
            ErrorCode::NOT_COORDINATOR
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::REQUEST_TIMED_OUT => {
                (self.retry, self.elsewhere) = (Some(code), true);
            }
            code if code.is_retriable() => self.retry = Some(code),
            code => self.failed = Some(self.failed.take().unwrap_or_else(|| Error::from_code(code, doing()))),
        }
    }

    pub(super) fn judge(self, unsettled: Option<&TopicPartition>, api: &str) -> Judgement {
        match (self.membership, self.failed, self.retry, unsettled) {
            (Some(code), ..) => Judgement::Membership(code),
            (None, Some(error), ..) => Judgement::Failed(error),
            (None, None, Some(code), _) => Judgement::Retry { code, elsewhere: self.elsewhere },
            (None, None, None, None) => Judgement::Done,
            (None, None, None, Some(partition)) => Judgement::Failed(Error::new(
                ErrorKind::Protocol,
                format!("the coordinator answered {api} but said nothing about {partition}"),
            )),
        }
    }
}
