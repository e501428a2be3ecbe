//! [`Commit`]: what is left of a commit; [`Round`]: what one OffsetCommit says of it. Pure.
//!
//! Version 10 names topics by id, versions before by name. Where some topics have no id, because metadata say nothing of them,
//! those go in a request of their own: under its name, an offset of a topic that was deleted could become one of its successor.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ottla_client::{Error, TopicPartition};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
};
use ottla_protocol::uuid::Uuid;

use super::request::{BY_ID, Judgement, TopicOffset, Verdict};
use crate::group::Membership;

/// Offsets that are to be committed, and what became of the others.
#[derive(Debug)]
pub(super) struct Commit {
    pending: BTreeMap<TopicPartition, TopicOffset>,
    /// The topics that some were of, and that do not exist any more, or are others by now.
    gone: BTreeSet<Arc<str>>,
    /// Why the first that was refused for good was.
    refused: Option<Error>,
    /// Whether the last request named topics by id.
    by_id: bool,
}

/// What one request commits: offsets of topics that all have ids, or none of which has one, which is zero then.
#[derive(Debug)]
pub(super) struct Round {
    rows: BTreeMap<TopicPartition, (TopicOffset, Uuid)>,
}

impl Commit {
    pub(super) fn new(pending: BTreeMap<TopicPartition, TopicOffset>) -> Commit {
        Commit { pending, gone: BTreeSet::new(), refused: None, by_id: false }
    }

    /// Takes out what to ask for next, by the ids that are said, else by those that metadata know; `None` if nothing is left.
    /// Where there are two requests to make, they take turns: what holds up one does not hold up the other.
    pub(super) fn next(&mut self, known: impl Fn(&str) -> Option<Uuid>) -> Option<Round> {
        let id = |topic: &str| known(topic).filter(|id| !id.is_zero());
        self.take_former(id);
        let named = |(place, offset): (TopicPartition, TopicOffset)| {
            let id = offset.topic_id.or_else(|| id(&place.topic)).unwrap_or_default();
            (place, (offset, id))
        };
        let (with_id, without): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.pending).into_iter().map(named).partition(|(_, (_, id))| !id.is_zero());
        self.by_id = if with_id.is_empty() || without.is_empty() { !with_id.is_empty() } else { !self.by_id };
        let (rows, later) = if self.by_id { (with_id, without) } else { (without, with_id) };
        self.put_back(Round { rows: later });
        (!rows.is_empty()).then_some(Round { rows })
    }

    /// Takes out what was of topics that are others of the same name by now.
    fn take_former(&mut self, id: impl Fn(&str) -> Option<Uuid>) {
        self.pending.retain(|partition, offset| {
            let is_former = offset.topic_id.zip(id(&partition.topic)).is_some_and(|(said, now)| said != now);
            if is_former {
                self.gone.insert(Arc::clone(&partition.topic));
            }
            !is_former
        });
    }

    /// What is left of a request can be tried again.
    pub(super) fn put_back(&mut self, round: Round) {
        self.pending.extend(round.rows.into_iter().map(|(place, (offset, _))| (place, offset)));
    }

    /// What is left of a request is refused for good.
    pub(super) fn refuse(&mut self, error: Error) {
        self.refused.get_or_insert(error);
    }

    /// What is left of a request was of topics that do not exist any more.
    pub(super) fn lose(&mut self, round: Round) {
        self.gone.extend(round.rows.into_keys().map(|place| place.topic));
    }

    /// What came of it, when nothing is left.
    pub(super) fn result(self, group_id: &str) -> Result<(), Error> {
        if let Some(error) = self.refused {
            return Err(error);
        }
        if self.gone.is_empty() {
            return Ok(());
        }
        let topics: Vec<&str> = self.gone.iter().map(|topic| &**topic).collect();
        let message = format!(
            "offsets of group `{group_id}` are not committed for topics that do not exist any more, or were created anew: {}",
            topics.join(", ")
        );
        Err(Error::from_code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message))
    }
}

impl Round {
    /// The newest version that can name all topics.
    pub(super) fn newest_version(&self) -> i16 {
        match self.rows.values().any(|(_, id)| id.is_zero()) {
            true => BY_ID - 1,
            false => i16::MAX,
        }
    }

    /// Two topics of one name are two entries.
    pub(super) fn request(&self, group_id: &str, member: &Membership) -> OffsetCommitRequest {
        let mut listed: BTreeMap<(&str, Uuid), Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for (TopicPartition { topic, partition }, (TopicOffset { offset, .. }, id)) in &self.rows {
            listed.entry((topic, *id)).or_default().push(OffsetCommitRequestPartition {
                partition_index: *partition,
                committed_offset: offset.offset,
                committed_leader_epoch: offset.leader_epoch.unwrap_or(-1),
                committed_metadata: Some(offset.metadata.clone()),
                ..Default::default()
            });
        }
        let topic = |((name, topic_id), partitions): ((&str, Uuid), _)| OffsetCommitRequestTopic {
            name: name.to_owned(),
            topic_id,
            partitions,
            ..Default::default()
        };
        OffsetCommitRequest {
            group_id: group_id.to_owned(),
            generation_id_or_member_epoch: member.generation_id,
            member_id: member.member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            topics: listed.into_iter().map(topic).collect(),
            ..Default::default()
        }
    }

    /// Drops what is committed, and says what the answer means for the rest.
    pub(super) fn judge(&mut self, response: &OffsetCommitResponse) -> Judgement {
        let names: HashMap<Uuid, Arc<str>> =
            self.rows.iter().map(|(place, (_, id))| (*id, Arc::clone(&place.topic))).collect();
        let mut verdict = Verdict::default();
        for topic in &response.topics {
            let by_name = || Some(Arc::from(topic.name.as_str()));
            let name = if topic.topic_id.is_zero() { by_name() } else { names.get(&topic.topic_id).cloned() };
            let Some(name) = name else { continue };
            for partition in &topic.partitions {
                let place = TopicPartition::new(Arc::clone(&name), partition.partition_index);
                let asked = self.rows.get(&place).map(|(_, id)| *id);
                if asked.is_some_and(|id| topic.topic_id.is_zero() || topic.topic_id == id) {
                    match partition.error_code {
                        ErrorCode::NONE => drop(self.rows.remove(&place)),
                        code => verdict.add(code, || format!("cannot commit the offset of {place}")),
                    }
                }
            }
        }
        verdict.judge(self.rows.keys().next(), "OffsetCommit")
    }

    /// What is left.
    pub(super) fn partitions(&self) -> impl ExactSizeIterator<Item = &TopicPartition> {
        self.rows.keys()
    }
}
