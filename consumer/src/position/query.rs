//! [`OffsetQuery`]: offsets at ends of logs and at times that the application asks for, whether it reads the partitions or not.
//!
//! One request goes to each leader, for all of its partitions. Every partition has an answer of its own: an offset, that
//! there is none, or an error, which holds up no other.
//!
//! Sources: KIP-79, KIP-98 (isolation), KIP-207, KIP-320 (epochs).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_client::{Backoff, Error, ErrorKind, NodeId, Topic, TopicPartition};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
};

use super::reset::list_offsets;
use crate::fetch::plan::Routes;
use crate::options::IsolationLevel;

/// An offset that was found for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetAndTimestamp {
    /// The offset of the first record that is not older than the time.
    pub offset: i64,
    /// That record's own time, in milliseconds since 1970.
    pub timestamp: i64,
    /// The epoch of the leader that appended it, where it is known.
    pub leader_epoch: Option<i32>,
}

/// What is known of each partition; `None` if it has no such record.
pub(crate) type Answers = HashMap<TopicPartition, Result<Option<OffsetAndTimestamp>, Error>>;

/// Partitions that are asked about until each has its answer.
#[derive(Debug)]
pub(crate) struct OffsetQuery {
    pending: BTreeMap<TopicPartition, Pending>,
    answers: Answers,
    backoff: Backoff,
}

#[derive(Debug, Default)]
struct Pending {
    /// A time, or one of ListOffsets' negative constants.
    timestamp: i64,
    under_way: bool,
    not_before: Option<Instant>,
    tries: u32,
    /// How often its topic was known, but this partition of it was not.
    absent: u32,
    last: Option<Error>,
}

/// A leader's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueryBatch {
    pub(crate) leader: NodeId,
    /// Partitions, the epochs of their leader, and times.
    rows: Vec<(TopicPartition, i32, i64)>,
}

impl OffsetQuery {
    /// Asks about these partitions by these times.
    pub(crate) fn new(asked: HashMap<TopicPartition, i64>, backoff: Backoff) -> OffsetQuery {
        let pending =
            asked.into_iter().map(|(name, timestamp)| (name, Pending { timestamp, ..Pending::default() }));
        OffsetQuery { pending: pending.collect(), answers: Answers::new(), backoff }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.pending.is_empty()
    }

    /// The topics that are asked about.
    pub(crate) fn topics(&self) -> BTreeSet<Arc<str>> {
        self.pending.keys().map(|name| Arc::clone(&name.topic)).collect()
    }

    /// Questions that are due now; they count as under way from here on.
    pub(crate) fn begin(&mut self, now: Instant, routes: &dyn Routes) -> Vec<QueryBatch> {
        let mut batches: BTreeMap<NodeId, Vec<_>> = BTreeMap::new();
        for (name, pending) in &mut self.pending {
            if pending.under_way || pending.not_before.is_some_and(|at| at > now) {
                continue;
            }
            let Some(route) = routes.route(name) else { continue };
            pending.under_way = true;
            pending.tries += 1;
            batches.entry(route.leader).or_default().push((name.clone(), route.epoch, pending.timestamp));
        }
        batches.into_iter().map(|(leader, rows)| QueryBatch { leader, rows }).collect()
    }

    /// The topics of partitions without a known leader.
    pub(crate) fn leaderless(&self, routes: &dyn Routes) -> BTreeSet<Arc<str>> {
        let waits =
            self.pending.iter().filter(|(name, pending)| !pending.under_way && routes.route(name).is_none());
        waits.map(|(name, _)| Arc::clone(&name.topic)).collect()
    }

    /// When a question that was put off is due.
    pub(crate) fn next_due(&self, now: Instant) -> Option<Instant> {
        self.pending.values().filter_map(|pending| pending.not_before).filter(|at| *at > now).min()
    }

    /// A leader answered. True if the metadata is stale.
    pub(crate) fn handle_response(
        &mut self,
        batch: &QueryBatch,
        now: Instant,
        random: f64,
        response: &ListOffsetsResponse,
    ) -> bool {
        let mut stale = false;
        for (name, ..) in &batch.rows {
            let topics = response.topics.iter().filter(|topic| *topic.name == *name.topic);
            let mut rows = topics.flat_map(|topic| &topic.partitions);
            match rows.find(|row| row.partition_index == name.partition) {
                Some(row) => stale |= self.handle_row(name, now, random, row),
                None => {
                    let message = format!("node {} said nothing about {name}", batch.leader);
                    self.put_off(name, now, random, Error::new(ErrorKind::Protocol, message));
                }
            }
        }
        stale
    }

    /// No answer came.
    pub(crate) fn handle_failure(&mut self, batch: &QueryBatch, now: Instant, random: f64, error: &Error) {
        for (name, ..) in &batch.rows {
            if error.is_retriable() {
                self.put_off(name, now, random, error.clone());
            } else {
                self.answer(name, Err(error.clone()));
            }
        }
    }

    /// What came of waiting for a topic whose leaders were not all known; `None` if it is gone again.
    pub(crate) fn handle_topic(&mut self, topic: &str, found: &Result<Option<Arc<Topic>>, Error>) {
        let names = self.pending.keys().filter(|name| &*name.topic == topic);
        let names: Vec<TopicPartition> = names.cloned().collect();
        for name in names {
            match found {
                Err(error) => self.answer(&name, Err(error.clone())),
                Ok(Some(found)) if found.partition(name.partition).is_none() => {
                    let Some(pending) = self.pending.get_mut(&name) else { continue };
                    pending.absent += 1;
                    // The metadata from before may be older than the partition.
                    if pending.absent > 1 {
                        let count = found.partitions.len();
                        let message =
                            format!("there is no partition {name}: the topic has {count} partitions");
                        self.answer(&name, Err(Error::new(ErrorKind::UnknownTopic, message)));
                    }
                }
                Ok(_) => {}
            }
        }
    }

    /// All answers, now that the time given for them is over or nothing is left to ask.
    pub(crate) fn finish(mut self, within: Duration) -> Answers {
        for (name, pending) in self.pending {
            let message = format!("the offset of {name} is not known within {} ms", within.as_millis());
            let error = Error::gave_up(message, pending.last).with_tries(pending.tries);
            self.answers.insert(name, Err(error));
        }
        self.answers
    }

    fn handle_row(
        &mut self,
        name: &TopicPartition,
        now: Instant,
        random: f64,
        row: &ListOffsetsPartitionResponse,
    ) -> bool {
        let code = row.error_code;
        match code {
            ErrorCode::NONE => {
                let found = OffsetAndTimestamp {
                    offset: row.offset,
                    timestamp: row.timestamp,
                    leader_epoch: (row.leader_epoch >= 0).then_some(row.leader_epoch),
                };
                self.answer(name, Ok((row.offset >= 0).then_some(found)));
            }
            // The log's format has no times.
            ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT => self.answer(name, Ok(None)),
            code if code.is_retriable() => {
                let error = Error::from_code(code, format!("cannot look up an offset of {name}"));
                self.put_off(name, now, random, error);
            }
            code => {
                let error = Error::from_code(code, format!("cannot look up an offset of {name}"));
                self.answer(name, Err(error));
            }
        }
        code.is_stale_metadata() || code == ErrorCode::UNKNOWN_LEADER_EPOCH
    }

    fn put_off(&mut self, name: &TopicPartition, now: Instant, random: f64, error: Error) {
        if let Some(pending) = self.pending.get_mut(name) {
            pending.under_way = false;
            pending.not_before = Some(now + self.backoff.next(pending.tries.saturating_sub(1), random));
            pending.last = Some(error);
        }
    }

    fn answer(&mut self, name: &TopicPartition, answer: Result<Option<OffsetAndTimestamp>, Error>) {
        if self.pending.remove(name).is_some() {
            self.answers.insert(name.clone(), answer);
        }
    }
}

impl QueryBatch {
    /// The request for the leader.
    pub(crate) fn request(&self, isolation: IsolationLevel, timeout_ms: i32) -> ListOffsetsRequest {
        let rows = self.rows.iter().map(|(name, epoch, timestamp)| (name, *epoch, *timestamp));
        list_offsets(rows, isolation, timeout_ms)
    }

    /// The partitions that it is about.
    pub(crate) fn partitions(&self) -> Vec<TopicPartition> {
        self.rows.iter().map(|(name, ..)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
