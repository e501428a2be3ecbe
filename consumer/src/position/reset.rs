//! Lookups by ListOffsets: which are due, the request to each leader, and what an answer means.
//!
//! One request goes to each leader, for all of its partitions that wait.
//!
//! Sources: KIP-79 (one offset for a time), KIP-98 (isolation), KIP-207 (`OFFSET_NOT_AVAILABLE`), KIP-320 (epochs),
//! KIP-1106 (reset by duration).

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use ottla_client::{Error, NodeId, TopicPartition};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::fetch::{READ_COMMITTED, READ_UNCOMMITTED};
use ottla_protocol::messages::list_offsets::{
    EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, ListOffsetsPartition, ListOffsetsPartitionResponse,
    ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};

use super::anew::Anew;
use crate::fetch::plan::{Route, Routes};
use crate::fetch::state::FetchState;
use crate::options::IsolationLevel;
use crate::stuck::heard::Cause;
use crate::subscription::{Assigned, Generation, Origin, Phase, Position, ResetTo};

/// A partition's lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lookup {
    pub(crate) partition: TopicPartition,
    pub(crate) generation: Generation,
    pub(crate) to: ResetTo,
    pub(crate) route: Route,
}

/// The lookups that one leader is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LookupBatch {
    pub(crate) leader: NodeId,
    pub(crate) lookups: Vec<Lookup>,
}

impl FetchState {
    /// Lookups that are due now; they count as under way from here on.
    pub(crate) fn begin_lookups(&mut self, now: Instant, routes: &dyn Routes) -> Vec<LookupBatch> {
        let mut batches: BTreeMap<NodeId, Vec<Lookup>> = BTreeMap::new();
        for (name, assigned) in self.subscription.unsettled() {
            let Phase::AwaitingReset(to) = assigned.phase else { continue };
            if assigned.looking_up || !assigned.is_ready(now) {
                continue;
            }
            let Some(route) = routes.route(name) else { continue };
            batches.entry(route.leader).or_default().push(Lookup {
                partition: name.clone(),
                generation: assigned.generation,
                to,
                route,
            });
        }
        for lookup in batches.values().flatten() {
            if let Some(assigned) = self.subscription.current_mut(&lookup.partition, lookup.generation) {
                assigned.looking_up = true;
            }
        }
        batches.into_iter().map(|(leader, lookups)| LookupBatch { leader, lookups }).collect()
    }

    /// Partitions whose committed offset is to be fetched now; they count as under way from here on. Not before their topic
    /// `is_known`, with its id: what is committed under its name may be of one that was deleted.
    pub(crate) fn begin_committed(
        &mut self,
        now: Instant,
        is_known: impl Fn(&str) -> bool,
    ) -> Vec<(TopicPartition, Generation)> {
        let is_due = |(name, assigned): &(&TopicPartition, &Assigned)| {
            assigned.phase == Phase::AwaitingOffset
                && !assigned.looking_up
                && assigned.is_ready(now)
                && is_known(&name.topic)
        };
        let unsettled = self.subscription.unsettled().filter(is_due);
        let due: Vec<_> = unsettled.map(|(name, assigned)| (name.clone(), assigned.generation)).collect();
        for (name, generation) in &due {
            if let Some(assigned) = self.subscription.current_mut(name, *generation) {
                assigned.looking_up = true;
            }
        }
        due
    }

    /// When a lookup that was put off is due.
    pub(crate) fn next_lookup(&self, now: Instant) -> Option<Instant> {
        let waits = self.subscription.unsettled();
        waits.filter_map(|(_, assigned)| assigned.not_before).filter(|at| *at > now).min()
    }

    /// An answer about committed offsets came, with what it says of each partition: `None` where nothing was committed. Those
    /// that it says nothing of are asked about again, and hold up no other.
    pub(crate) fn handle_committed(
        &mut self,
        asked: &[(TopicPartition, Generation)],
        now: Instant,
        random: f64,
        mut offsets: HashMap<TopicPartition, Result<Option<(Position, Origin)>, Error>>,
    ) {
        for (partition, generation) in asked {
            match offsets.remove(partition) {
                Some(Ok(Some((position, origin)))) => self.found(partition, *generation, position, origin),
                Some(Ok(None)) => self.without_offset(partition, *generation, "no offset is committed"),
                Some(Err(error)) => {
                    self.back_off(partition, *generation, now, random);
                    if error.is_retriable() {
                        self.trouble = Some(error);
                    } else {
                        self.report(partition, *generation, error);
                    }
                }
                None => self.back_off(partition, *generation, now, random),
            }
        }
    }

    /// An answer to a batch came. True if the metadata is stale.
    pub(crate) fn handle_offsets(
        &mut self,
        batch: &LookupBatch,
        now: Instant,
        random: f64,
        response: &ListOffsetsResponse,
    ) -> bool {
        let mut stale = false;
        for lookup in &batch.lookups {
            let topics = response.topics.iter().filter(|topic| *topic.name == *lookup.partition.topic);
            let mut partitions = topics.flat_map(|topic| &topic.partitions);
            match partitions.find(|row| row.partition_index == lookup.partition.partition) {
                Some(row) => stale |= self.handle_offset(lookup, now, random, row),
                None => self.back_off(&lookup.partition, lookup.generation, now, random),
            }
        }
        stale
    }

    /// A batch, or the fetch of committed offsets, failed as a whole; an error that won't pass is for poll.
    pub(crate) fn handle_lookup_failure<'a>(
        &mut self,
        asked: impl IntoIterator<Item = (&'a TopicPartition, Generation)>,
        now: Instant,
        random: f64,
        error: &Error,
    ) {
        for (partition, generation) in asked {
            self.heard.failed(partition, generation, Cause::Error(error.clone()));
            self.back_off(partition, generation, now, random);
            if !error.is_retriable() {
                self.report(partition, generation, error.clone());
            }
        }
        self.trouble = Some(error.clone());
    }

    fn handle_offset(
        &mut self,
        lookup: &Lookup,
        now: Instant,
        random: f64,
        row: &ListOffsetsPartitionResponse,
    ) -> bool {
        let Lookup { partition, generation, to, route } = lookup;
        let code = row.error_code;
        if !code.is_ok() {
            self.heard.refused(partition, *generation, code);
        }
        match code {
            ErrorCode::NONE if row.offset >= 0 => {
                let leader_epoch = (row.leader_epoch >= 0).then_some(row.leader_epoch);
                let position = Position { offset: row.offset, leader_epoch };
                self.found(partition, *generation, position, Origin::Leader(*route));
            }
            // Everything is older than the time that was asked for.
            ErrorCode::NONE if matches!(to, ResetTo::Timestamp(_) | ResetTo::Ago(_)) => {
                if self.subscription.current_mut(partition, *generation).is_some() {
                    self.begin_anew(partition, Anew::Reset(ResetTo::Latest));
                }
            }
            ErrorCode::NONE => self.back_off(partition, *generation, now, random),
            code if code.is_retriable() => self.back_off(partition, *generation, now, random),
            code => {
                let error = Error::from_code(code, format!("cannot look up an offset of {partition}"));
                self.back_off(partition, *generation, now, random);
                self.report(partition, *generation, error);
            }
        }
        code.is_stale_metadata() || code == ErrorCode::UNKNOWN_LEADER_EPOCH
    }
}

impl LookupBatch {
    /// The request for the leader; `clock_ms` is the time in milliseconds since 1970.
    pub(crate) fn request(
        &self,
        isolation: IsolationLevel,
        timeout_ms: i32,
        clock_ms: i64,
    ) -> ListOffsetsRequest {
        let rows = self
            .lookups
            .iter()
            .map(|lookup| (&lookup.partition, lookup.route.epoch, timestamp(lookup.to, clock_ms)));
        list_offsets(rows, isolation, timeout_ms)
    }

    /// What is asked, without how.
    pub(crate) fn asked(&self) -> impl Iterator<Item = (&TopicPartition, Generation)> {
        self.lookups.iter().map(|lookup| (&lookup.partition, lookup.generation))
    }
}

/// A request about these partitions, each with its leader's epoch and the time asked for.
pub(super) fn list_offsets<'a>(
    rows: impl Iterator<Item = (&'a TopicPartition, i32, i64)>,
    isolation: IsolationLevel,
    timeout_ms: i32,
) -> ListOffsetsRequest {
    let mut topics: Vec<ListOffsetsTopic> = Vec::new();
    for (partition, current_leader_epoch, timestamp) in rows {
        let row = ListOffsetsPartition {
            partition_index: partition.partition,
            current_leader_epoch,
            timestamp,
            ..Default::default()
        };
        match topics.last_mut().filter(|topic| *topic.name == *partition.topic) {
            Some(topic) => topic.partitions.push(row),
            None => topics.push(ListOffsetsTopic {
                name: partition.topic.to_string(),
                partitions: vec![row],
                ..Default::default()
            }),
        }
    }
    let isolation_level = match isolation {
        IsolationLevel::ReadUncommitted => READ_UNCOMMITTED,
        IsolationLevel::ReadCommitted => READ_COMMITTED,
    };
    ListOffsetsRequest { replica_id: -1, isolation_level, topics, timeout_ms, ..Default::default() }
}

fn timestamp(to: ResetTo, clock_ms: i64) -> i64 {
    match to {
        ResetTo::Earliest => EARLIEST_TIMESTAMP,
        ResetTo::Latest => LATEST_TIMESTAMP,
        ResetTo::Timestamp(at) => at.max(0),
        ResetTo::Ago(ago) => {
            clock_ms.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)).max(0)
        }
    }
}

#[cfg(test)]
mod tests;
