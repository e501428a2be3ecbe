//! Truncated logs: after a change of leader, does the new one have what was read from the old one?
//!
//! A partition's fetches go on under a newer leader only after that has said where the epoch of the last fetched record ends
//! in its log; one request goes to each leader, for all of its partitions. What is buffered goes on being handed out
//! meanwhile: it was committed when it was fetched. If the leader's log ends earlier, the verdict waits until the buffer is
//! read. Then the position goes back to the end that the leader named, or, with the reset policy `none`, poll returns
//! `LogTruncated`. Java does the same, but asks by the position and drops what is buffered.
//!
//! A topic of another id is another topic, whatever its name: nothing that was read of the old one is in it, so the
//! partition is reset by the policy. Java goes on at the old offset if the new log is that long, and so leaves out records.
//!
//! Sources: KIP-320 (truncation), KIP-516 (topic ids), KIP-595 (`diverging_epoch`).

use std::collections::BTreeMap;
use std::time::Instant;

use ottla_client::{Error, ErrorKind, NodeId, TopicPartition};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopic,
};

use super::anew::Anew;
use crate::fetch::plan::{Route, Routes};
use crate::fetch::state::FetchState;
use crate::subscription::{Assigned, Generation, Origin, Position, ResetTo, Standing};

/// The first version that needs no right but Describe; with older ones, what was read is taken to be there still.
pub(crate) const FIRST_USABLE_VERSION: i16 = 3;

/// What a leader is asked of one partition: where does this epoch end?
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EpochCheck {
    pub(crate) partition: TopicPartition,
    pub(crate) generation: Generation,
    pub(crate) route: Route,
    /// Where the next fetch begins.
    pub(crate) offset: i64,
    /// The epoch of what is before that.
    pub(crate) epoch: i32,
}

/// What one leader is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EpochBatch {
    pub(crate) leader: NodeId,
    pub(crate) checks: Vec<EpochCheck>,
}

/// Where an epoch ends in the leader's log; `None` if the leader knows nothing of that epoch.
type EpochEnd = Option<(i64, i32)>;

impl FetchState {
    /// Compares positions with who leads, in the metadata of this number: all of them once, and then those that are new.
    pub(crate) fn note_leaders(&mut self, number: u64, routes: &dyn Routes) {
        let subscription = &mut self.subscription;
        if number < subscription.compared_with {
            return;
        }
        let compare = |(name, assigned): (&TopicPartition, &Assigned)| {
            let (standing, origin) = compared(assigned, routes.route(name)?)?;
            Some((name.clone(), standing, origin))
        };
        let changed: Vec<_> = match number == subscription.compared_with {
            true => subscription.unsettled().filter_map(compare).collect(),
            false => subscription.iter().filter_map(compare).collect(),
        };
        subscription.compared_with = number;
        for (name, standing, origin) in changed {
            subscription.stand(&name, standing, origin);
        }
    }

    /// Questions to leaders that are due now; they count as under way from here on. Partitions of topics that were created
    /// anew are reset.
    pub(crate) fn begin_checks(&mut self, now: Instant, routes: &dyn Routes) -> Vec<EpochBatch> {
        let mut batches: BTreeMap<NodeId, Vec<EpochCheck>> = BTreeMap::new();
        let mut recreated = Vec::new();
        for (name, assigned) in self.subscription.unsettled() {
            let Some(fetching) = assigned.fetching().filter(|_| assigned.is_ready(now)) else { continue };
            match assigned.standing {
                Standing::Sound | Standing::Asked(_) => continue,
                Standing::Recreated => {
                    recreated.push((name.clone(), assigned.generation));
                    continue;
                }
                Standing::Suspect if !self.buffer.is_empty_of(name) => continue,
                Standing::Suspect | Standing::Due => {}
            }
            let (Some(route), Some(epoch)) = (routes.route(name), fetching.fetch_epoch) else { continue };
            batches.entry(route.leader).or_default().push(EpochCheck {
                partition: name.clone(),
                generation: assigned.generation,
                route,
                offset: fetching.fetch_offset,
                epoch,
            });
        }
        for check in batches.values().flatten() {
            let last = self.subscription.origin(&check.partition);
            self.subscription.stand(&check.partition, Standing::Asked(check.route), last);
        }
        for (partition, generation) in recreated {
            self.recreated(&partition, generation);
        }
        batches.into_iter().map(|(leader, checks)| EpochBatch { leader, checks }).collect()
    }

    /// A leader answered. True if the metadata is stale.
    pub(crate) fn handle_epoch_ends(
        &mut self,
        batch: &EpochBatch,
        now: Instant,
        random: f64,
        response: &OffsetForLeaderEpochResponse,
    ) -> bool {
        let mut stale = false;
        for check in &batch.checks {
            let topics = response.topics.iter().filter(|topic| *topic.topic == *check.partition.topic);
            let mut rows = topics.flat_map(|topic| &topic.partitions);
            match rows.find(|row| row.partition == check.partition.partition) {
                Some(row) => stale |= self.handle_epoch_end(check, now, random, row),
                None => self.back_off(&check.partition, check.generation, now, random),
            }
        }
        stale
    }

    /// No answer came; an error that won't pass is for poll.
    pub(crate) fn handle_check_failure(
        &mut self,
        batch: &EpochBatch,
        now: Instant,
        random: f64,
        error: &Error,
    ) {
        let asked = batch.checks.iter().map(|check| (&check.partition, check.generation));
        self.handle_lookup_failure(asked, now, random, error);
    }

    /// The leader cannot be asked: too old.
    pub(crate) fn handle_unchecked(&mut self, batch: &EpochBatch) {
        for check in &batch.checks {
            if self.is_awaited_check(check) {
                self.subscription.stand(&check.partition, Standing::Sound, Origin::Leader(check.route));
            }
        }
    }

    /// A fetch's answer says that the logs differ: what is before its offset is not all in the leader's log. True if there
    /// is something for poll.
    pub(crate) fn handle_divergence(
        &mut self,
        partition: &TopicPartition,
        generation: Generation,
        end_offset: i64,
        epoch: i32,
    ) -> bool {
        let Some(assigned) = self.subscription.current_mut(partition, generation) else { return false };
        let (origin, Some(fetching)) = (assigned.origin, assigned.fetching().copied()) else { return false };
        let route = origin.route();
        let known = (end_offset >= 0 && epoch >= 0).then_some((end_offset, epoch));
        match (known, route) {
            _ if !self.buffer.is_empty_of(partition) => {
                self.subscription.stand(partition, Standing::Suspect, origin);
                false
            }
            // The offset may be in the log, but what is before it has another history.
            (Some((end_offset, epoch)), Some(route)) if end_offset >= fetching.position.offset => {
                let position = Position { leader_epoch: Some(epoch), ..fetching.position };
                self.begin_anew(partition, Anew::Truncated(position, route));
                false
            }
            (known, _) => {
                self.truncated(partition, generation, known, route);
                true
            }
        }
    }

    fn handle_epoch_end(
        &mut self,
        check: &EpochCheck,
        now: Instant,
        random: f64,
        row: &EpochEndOffset,
    ) -> bool {
        let EpochCheck { partition, generation, .. } = check;
        let code = row.error_code;
        match code {
            ErrorCode::NONE => {
                let known = row.end_offset >= 0 && row.leader_epoch >= 0;
                self.judge(check, known.then_some((row.end_offset, row.leader_epoch)));
            }
            code if code.is_retriable() => self.back_off(partition, *generation, now, random),
            code => {
                let doing = format!("cannot find out whether the log of {partition} was truncated");
                self.back_off(partition, *generation, now, random);
                self.report(partition, *generation, Error::from_code(code, doing));
            }
        }
        code.is_stale_metadata() || code == ErrorCode::UNKNOWN_LEADER_EPOCH
    }

    fn judge(&mut self, check: &EpochCheck, end: EpochEnd) {
        let EpochCheck { partition, generation, route, offset, .. } = check;
        if !self.is_awaited_check(check) {
            return;
        }
        if end.is_some_and(|(end_offset, _)| end_offset >= *offset) {
            if let Some(assigned) = self.subscription.current_mut(partition, *generation) {
                assigned.failures = 0;
            }
            self.subscription.stand(partition, Standing::Sound, Origin::Leader(*route));
        } else if self.buffer.is_empty_of(partition) {
            self.truncated(partition, *generation, end, Some(*route));
        } else {
            let last = self.subscription.origin(partition);
            self.subscription.stand(partition, Standing::Suspect, last);
        }
    }

    /// Whether the answer to a question still counts; if not, the question is put anew.
    fn is_awaited_check(&mut self, check: &EpochCheck) -> bool {
        let Some(assigned) = self.subscription.current_mut(&check.partition, check.generation) else {
            return false;
        };
        if assigned.standing != Standing::Asked(check.route) {
            return false;
        }
        let fetched = assigned.fetching().map(|fetching| (fetching.fetch_offset, fetching.fetch_epoch));
        if fetched != Some((check.offset, Some(check.epoch))) {
            // An answer of the old leader that was on its way came first.
            assigned.standing = Standing::Due;
            return false;
        }
        true
    }

    /// Some of what the application got is not in the log any more: goes back to `end`, or reports.
    fn truncated(
        &mut self,
        partition: &TopicPartition,
        generation: Generation,
        end: EpochEnd,
        route: Option<Route>,
    ) {
        let Some(fetching) = self.subscription.partition(partition).and_then(Assigned::fetching) else {
            return;
        };
        let Position { offset, leader_epoch } = fetching.position;
        let epoch = leader_epoch.map_or_else(|| "unknown".to_owned(), |epoch| epoch.to_string());
        let diverging = match end {
            Some((end_offset, epoch)) => {
                format!("it diverges at offset {end_offset}, where epoch {epoch} ends")
            }
            None => "its leader knows nothing of that epoch".to_owned(),
        };
        let what = format!("the log was truncated: position {offset} of epoch {epoch} is gone, {diverging}");
        match (ResetTo::by_policy(self.rules.reset), end, route) {
            (Some(_), Some((end_offset, epoch)), Some(route)) => {
                tracing::warn!(%partition, "{what}: going back to that");
                let position = Position { offset: end_offset.min(offset), leader_epoch: Some(epoch) };
                self.begin_anew(partition, Anew::Truncated(position, route));
            }
            (Some(_), ..) => {
                tracing::warn!(%partition, "{what}");
                self.without_offset(partition, generation, "the log was truncated");
            }
            (None, ..) => {
                // Asked again after the report, as long as nobody seeks.
                let origin = self.subscription.origin(partition).without_leader();
                self.subscription.stand(partition, Standing::Due, origin);
                let message = format!("{partition}: {what}; auto.offset.reset is none: seek to go on");
                self.report(partition, generation, Error::new(ErrorKind::LogTruncated, message));
            }
        }
    }
}

impl EpochBatch {
    /// The request for the leader.
    pub(crate) fn request(&self) -> OffsetForLeaderEpochRequest {
        let mut topics: Vec<OffsetForLeaderTopic> = Vec::new();
        for check in &self.checks {
            let row = OffsetForLeaderPartition {
                partition: check.partition.partition,
                current_leader_epoch: check.route.epoch,
                leader_epoch: check.epoch,
                ..Default::default()
            };
            match topics.last_mut().filter(|topic| *topic.topic == *check.partition.topic) {
                Some(topic) => topic.partitions.push(row),
                None => topics.push(OffsetForLeaderTopic {
                    topic: check.partition.topic.to_string(),
                    partitions: vec![row],
                    ..Default::default()
                }),
            }
        }
        OffsetForLeaderEpochRequest { replica_id: -1, topics, ..Default::default() }
    }
}

/// What the leader of now means for a position; `None` if it has none yet.
fn compared(assigned: &Assigned, route: Route) -> Option<(Standing, Origin)> {
    let fetching = assigned.fetching()?;
    let is_other = |id| id != route.topic_id && !route.topic_id.is_zero();
    Some(match assigned.origin {
        origin if origin.topic_id().is_some_and(is_other) => (Standing::Recreated, origin),
        // Metadata that are older than what is known, or nothing new.
        Origin::Leader(last) if last.epoch > route.epoch => (assigned.standing, assigned.origin),
        Origin::Leader(last) if last.epoch == route.epoch => (assigned.standing, Origin::Leader(route)),
        // An answer for the leader before is of no use any more.
        last if fetching.fetch_epoch.is_some() && route.epoch >= 0 => match assigned.standing {
            Standing::Asked(asked) if asked == route => (assigned.standing, last),
            Standing::Suspect => (Standing::Suspect, last),
            _ => (Standing::Due, last),
        },
        _ => (Standing::Sound, Origin::Leader(route)),
    })
}

#[cfg(test)]
mod tests;
