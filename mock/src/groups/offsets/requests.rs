//! The RPCs about offsets, once it is clear whose they are.

use std::time::Instant;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitResponse, OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
};
use ottla_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchResponseGroup, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
};
use ottla_protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use ottla_protocol::uuid::Uuid;

use super::{Committed, Offsets};
use crate::groups::consumer::CommitCheck;
use crate::groups::topics::Topics;

/// Where offsets come from and what is asked of them.
#[derive(Debug, Clone, Copy)]
pub(in crate::groups) struct Store<'a> {
    pub(in crate::groups) topics: &'a Topics,
    pub(in crate::groups) max_metadata: usize,
}

impl Offsets {
    /// Commits all partitions that exist, or none of them where the group refuses one.
    pub(in crate::groups) fn commit(
        &mut self,
        now: Instant,
        store: Store<'_>,
        request: &OffsetCommitRequest,
        version: i16,
        check: &Result<CommitCheck<'_>, ErrorCode>,
    ) -> Result<OffsetCommitResponse, ErrorCode> {
        let mut accepted = Vec::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let found = find(store.topics, version, &topic.name, topic.topic_id);
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let index = partition.partition_index;
                let error_code = match (found, check) {
                    (Err(code), _) => code,
                    (Ok((name, _)), _) if !store.topics.exists(name, index) => {
                        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                    }
                    (Ok(_), Err(code)) => *code,
                    (Ok(_), Ok(_)) if store.is_too_long(&partition.committed_metadata) => {
                        ErrorCode::OFFSET_METADATA_TOO_LARGE
                    }
                    (Ok((name, id)), Ok(check)) => {
                        check.partition(id, index)?;
                        accepted.push((name.to_owned(), index, committed(now, partition, id)));
                        ErrorCode::NONE
                    }
                };
                let outcome = OffsetCommitResponsePartition {
                    partition_index: index,
                    error_code,
                    ..Default::default()
                };
                partitions.push(outcome);
            }
            topics.push(OffsetCommitResponseTopic {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partitions,
                ..Default::default()
            });
        }
        for (topic, partition, committed) in accepted {
            self.put(&request.group_id, &topic, partition, committed);
        }
        Ok(OffsetCommitResponse { topics, ..Default::default() })
    }

    /// Commits as a part of a transaction.
    pub(in crate::groups) fn commit_pending(
        &mut self,
        now: Instant,
        store: Store<'_>,
        request: &TxnOffsetCommitRequest,
        check: &Result<CommitCheck<'_>, ErrorCode>,
    ) -> Result<TxnOffsetCommitResponse, ErrorCode> {
        let mut accepted = Vec::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let id = store.topics.by_name(&topic.name).map_or(Uuid::ZERO, |facts| facts.id);
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let index = partition.partition_index;
                let error_code = match check {
                    _ if !store.topics.exists(&topic.name, index) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    Err(code) => *code,
                    Ok(_) if store.is_too_long(&partition.committed_metadata) => {
                        ErrorCode::OFFSET_METADATA_TOO_LARGE
                    }
                    Ok(check) => {
                        check.partition(id, index).map_err(|_| ErrorCode::ILLEGAL_GENERATION)?;
                        accepted.push((&topic.name, index, committed_in_transaction(now, partition)));
                        ErrorCode::NONE
                    }
                };
                let outcome = TxnOffsetCommitResponsePartition {
                    partition_index: index,
                    error_code,
                    ..Default::default()
                };
                partitions.push(outcome);
            }
            topics.push(TxnOffsetCommitResponseTopic {
                name: topic.name.clone(),
                partitions,
                ..Default::default()
            });
        }
        if !accepted.is_empty() {
            self.check_producer(request.producer_id, request.producer_epoch)?;
        }
        for (topic, partition, committed) in accepted {
            self.put_pending(request.producer_id, &request.group_id, topic, partition, committed);
        }
        Ok(TxnOffsetCommitResponse { topics, ..Default::default() })
    }

    /// Answers what was committed: for the partitions that are asked for, or for all.
    pub(in crate::groups) fn fetch(
        &self,
        store: Store<'_>,
        request: &OffsetFetchRequestGroup,
        version: i16,
        require_stable: bool,
    ) -> OffsetFetchResponseGroup {
        let group = &request.group_id;
        let partition = |topic: &str, id: Uuid, index: i32| {
            let committed = self
                .get(group, topic, index)
                .filter(|committed| committed.topic_id.is_zero() || id.is_zero() || committed.topic_id == id);
            match committed {
                _ if require_stable && self.is_pending(group, topic, index) => {
                    no_offset(index, ErrorCode::UNSTABLE_OFFSET_COMMIT)
                }
                Some(committed) => OffsetFetchResponsePartitions {
                    partition_index: index,
                    committed_offset: committed.offset,
                    committed_leader_epoch: committed.leader_epoch,
                    metadata: Some(committed.metadata.clone()),
                    ..Default::default()
                },
                None => no_offset(index, ErrorCode::NONE),
            }
        };
        let topics = match &request.topics {
            None => self
                .all(group)
                .filter_map(|(topic, partitions)| {
                    let id = match store.topics.by_name(topic) {
                        Some(facts) if version >= 10 => facts.id,
                        None if version >= 10 => return None,
                        _ => Uuid::ZERO,
                    };
                    Some(OffsetFetchResponseTopics {
                        name: topic.clone(),
                        topic_id: id,
                        partitions: partitions
                            .keys()
                            .map(|index| partition(topic, Uuid::ZERO, *index))
                            .collect(),
                        ..Default::default()
                    })
                })
                .collect(),
            Some(topics) => topics
                .iter()
                .map(|topic| {
                    let indexes = topic.partition_indexes.iter().copied();
                    let partitions = if version < 10 {
                        indexes.map(|index| partition(&topic.name, Uuid::ZERO, index)).collect()
                    } else {
                        match find(store.topics, version, &topic.name, topic.topic_id) {
                            Ok((name, id)) => indexes.map(|index| partition(name, id, index)).collect(),
                            Err(code) => indexes.map(|index| no_offset(index, code)).collect(),
                        }
                    };
                    OffsetFetchResponseTopics {
                        name: topic.name.clone(),
                        topic_id: topic.topic_id,
                        partitions,
                        ..Default::default()
                    }
                })
                .collect(),
        };
        OffsetFetchResponseGroup { group_id: group.clone(), topics, ..Default::default() }
    }

    /// Forgets offsets, but those of topics that members still read.
    pub(in crate::groups) fn delete(
        &mut self,
        store: Store<'_>,
        request: &OffsetDeleteRequest,
        is_subscribed_to: impl Fn(&str) -> bool,
    ) -> OffsetDeleteResponse {
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let in_use = is_subscribed_to(&topic.name);
            let partitions = topic.partitions.iter().map(|partition| {
                let index = partition.partition_index;
                let error_code = if !store.topics.exists(&topic.name, index) {
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                } else if in_use {
                    ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC
                } else {
                    self.remove(&request.group_id, &topic.name, index);
                    ErrorCode::NONE
                };
                OffsetDeleteResponsePartition { partition_index: index, error_code, ..Default::default() }
            });
            let partitions = partitions.collect();
            topics.push(OffsetDeleteResponseTopic {
                name: topic.name.clone(),
                partitions,
                ..Default::default()
            });
        }
        OffsetDeleteResponse { topics, ..Default::default() }
    }
}

impl Store<'_> {
    fn is_too_long(&self, metadata: &Option<String>) -> bool {
        metadata.as_ref().is_some_and(|metadata| metadata.encode_utf16().count() > self.max_metadata)
    }
}

/// The name and, from version 10 on, the id of a topic that a request names.
fn find<'a>(topics: &'a Topics, version: i16, name: &'a str, id: Uuid) -> Result<(&'a str, Uuid), ErrorCode> {
    if version >= 10 {
        return topics.name(id).map(|name| (name, id)).ok_or(ErrorCode::UNKNOWN_TOPIC_ID);
    }
    topics.by_name(name).map(|facts| (name, facts.id)).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
}

fn committed(now: Instant, partition: &OffsetCommitRequestPartition, topic_id: Uuid) -> Committed {
    Committed {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch.max(-1),
        metadata: partition.committed_metadata.clone().unwrap_or_default(),
        topic_id,
        at: now,
        order: 0,
    }
}

fn committed_in_transaction(now: Instant, partition: &TxnOffsetCommitRequestPartition) -> Committed {
    Committed {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch.max(-1),
        metadata: partition.committed_metadata.clone().unwrap_or_default(),
        topic_id: Uuid::ZERO,
        at: now,
        order: 0,
    }
}

fn no_offset(partition_index: i32, error_code: ErrorCode) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions { partition_index, committed_offset: -1, error_code, ..Default::default() }
}
