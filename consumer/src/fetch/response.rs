//! What a Fetch response means: data into the buffer, and errors into what follows from each.
//!
//! Guarantee: an answer counts for a partition only if its position is still of the generation that was asked for, and
//! the next fetch was to start where this one did. So nothing is buffered twice, nor with a gap.
//!
//! Sources: KIP-227, KIP-320, KIP-392, KIP-951.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::time::Instant;

use bytes::Bytes;
use ottla_client::{Error, Leader, LeaderHint, Node, NodeId, TopicPartition};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::fetch::{FetchResponse, NodeEndpoint, PartitionData};

use super::completed::CompletedFetch;
use super::frames::Frame;
use super::session::Wanted;
use super::state::FetchState;
use crate::options::IsolationLevel;
use crate::subscription::{Assigned, PreferredReplica};

/// What the driver has to do after an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Consequences {
    /// There is something for poll.
    pub(crate) news: bool,
    /// Leaders or topics are not what the metadata says.
    pub(crate) stale_metadata: bool,
    /// Leaders that the answer names.
    pub(crate) hints: Vec<LeaderHint>,
}

impl FetchState {
    /// An answer came from a broker. `random` spreads backoffs.
    pub(crate) fn handle_response(
        &mut self,
        node: NodeId,
        now: Instant,
        random: f64,
        response: FetchResponse,
    ) -> Consequences {
        let mut consequences = Consequences::default();
        let pause = std::time::Duration::from_millis(u64::try_from(response.throttle_time_ms).unwrap_or(0));
        if !response.error_code.is_ok() {
            tracing::debug!(node, error = %response.error_code, "the broker refused the fetch session");
            let session_error = matches!(
                response.error_code,
                ErrorCode::FETCH_SESSION_ID_NOT_FOUND | ErrorCode::INVALID_FETCH_SESSION_EPOCH
            );
            self.plan.session_mut(node).handle_response(response.session_id, response.error_code);
            match session_error {
                // The full request that follows cures it.
                true => self.plan.finish(node, now, pause),
                false => self.fail(node, now, random),
            }
            consequences.stale_metadata = response.error_code.is_stale_metadata();
            return consequences;
        }
        let FetchResponse { responses, node_endpoints, session_id, .. } = response;
        let data = responses.iter().flat_map(|topic| &topic.partitions);
        let size = data.filter_map(|data| data.records.as_ref()).map(Bytes::len).sum();
        let frame = self.buffer.frames.hold(node, size);
        let committed = self.rules.isolation == IsolationLevel::ReadCommitted;
        // A broker may send as many rows and endpoints as fit into a response.
        let endpoints = OnceCell::new();
        let mut hinted = HashSet::new();
        for topic in responses {
            for data in topic.partitions {
                let session = self.plan.session_mut(node);
                let asked = session.asked(&topic.topic, topic.topic_id, data.partition_index);
                let Some((partition, wanted)) = asked else { continue };
                let end = if committed { data.last_stable_offset } else { data.high_watermark };
                if data.error_code.is_ok() && end >= 0 {
                    session.heard_end(&partition, end);
                }
                if !self.is_awaited(&partition, &wanted) {
                    continue;
                }
                if data.error_code.is_ok() {
                    consequences.news |= self.handle_data(&partition, &wanted, now, random, data, &frame);
                } else {
                    self.handle_error(node, &partition, &wanted, now, random, &data, &mut consequences);
                    if let Some(leader) = named_leader(&data)
                        && hinted.insert(partition.clone())
                    {
                        let endpoints = endpoints.get_or_init(|| by_id(&node_endpoints));
                        let endpoint = endpoints.get(&leader.node).and_then(|endpoint| node_at(endpoint));
                        let topic_id = wanted.topic_id;
                        consequences.hints.push(LeaderHint { partition, topic_id, leader, endpoint });
                    }
                }
            }
        }
        self.plan.session_mut(node).handle_response(session_id, ErrorCode::NONE);
        self.plan.finish(node, now, pause);
        consequences
    }

    /// No answer came from a broker, or it refused the request.
    pub(crate) fn fail(&mut self, node: NodeId, now: Instant, random: f64) {
        let backoff = self.rules.backoff;
        self.plan.fail(node, now, |failures| backoff.next(failures, random));
        // A replica that can't be reached is no better than the leader.
        for (_, assigned) in self.subscription.iter_mut() {
            forget_replica(assigned, node);
        }
    }

    fn is_awaited(&self, partition: &TopicPartition, wanted: &Wanted) -> bool {
        self.subscription.partition(partition).is_some_and(|assigned| {
            assigned.generation == wanted.generation
                && assigned.fetching().is_some_and(|fetching| fetching.fetch_offset == wanted.offset)
        })
    }

    fn handle_data(
        &mut self,
        partition: &TopicPartition,
        wanted: &Wanted,
        now: Instant,
        random: f64,
        data: PartitionData,
        frame: &Frame,
    ) -> bool {
        let rules = self.rules;
        let Some(assigned) = self.subscription.current_mut(partition, wanted.generation) else {
            return false;
        };
        let topic_id = assigned.origin.topic_id();
        let Some(fetching) = assigned.fetching_mut() else { return false };
        let diverging = &data.diverging_epoch;
        if diverging.end_offset >= 0 || diverging.epoch >= 0 {
            return self.handle_divergence(
                partition,
                wanted.generation,
                diverging.end_offset,
                diverging.epoch,
            );
        }
        let committed = rules.isolation == IsolationLevel::ReadCommitted;
        let end = if committed { data.last_stable_offset } else { data.high_watermark };
        if end >= 0 {
            fetching.end_offset = Some(end);
        }
        self.heard.served(partition, Some(data.high_watermark).filter(|beyond| committed && *beyond > end));
        if data.preferred_read_replica >= 0 {
            let until = now + rules.replica_lease;
            fetching.preferred = Some(PreferredReplica { node: data.preferred_read_replica, until });
        }
        let records = data.records.unwrap_or_default();
        if records.is_empty() {
            assigned.failures = 0;
            return false;
        }
        let aborted = data.aborted_transactions.unwrap_or_default();
        let fetch = CompletedFetch::new(records, wanted.offset, rules.isolation, aborted)
            .check_crcs(rules.check_crcs)
            .of_topic(topic_id)
            .within(frame.clone());
        let extent = fetch.extent();
        if extent.next_offset <= wanted.offset && !extent.damaged {
            // Not one whole batch, or none that is asked for: the same question would get the same answer at once.
            tracing::debug!(%partition, offset = wanted.offset, bytes = extent.size, "no record in the broker's answer");
            self.back_off(partition, wanted.generation, now, random);
            return false;
        }
        fetching.fetch_offset = extent.next_offset;
        if extent.leader_epoch >= 0 {
            fetching.fetch_epoch = Some(extent.leader_epoch);
        }
        assigned.halted = extent.damaged;
        if !extent.damaged {
            assigned.failures = 0;
        }
        self.meter.received(&partition.topic, extent.records, extent.size);
        self.buffer.push(partition, wanted.generation, fetch);
        self.streams.wake(partition);
        true
    }

    #[allow(clippy::too_many_arguments, reason = "all that an error can depend on")]
    fn handle_error(
        &mut self,
        node: NodeId,
        partition: &TopicPartition,
        wanted: &Wanted,
        now: Instant,
        random: f64,
        data: &PartitionData,
        consequences: &mut Consequences,
    ) {
        let code = data.error_code;
        let generation = wanted.generation;
        let Some(assigned) = self.subscription.current_mut(partition, generation) else { return };
        let is_leader = assigned.origin.route().is_none_or(|route| route.leader == node);
        let from_replica = forget_replica(assigned, node);
        let is_current =
            assigned.fetching().is_some_and(|fetching| fetching.position.offset == wanted.offset);
        tracing::debug!(%partition, node, offset = wanted.offset, error = %code, "fetch refused");
        self.heard.refused(partition, generation, code);
        match code {
            // A replica may lag behind, or hold less: only the leader knows what is out of range.
            ErrorCode::OFFSET_OUT_OF_RANGE if from_replica => {}
            ErrorCode::OFFSET_OUT_OF_RANGE if !is_leader => self.back_off(partition, generation, now, random),
            ErrorCode::OFFSET_OUT_OF_RANGE if is_current && self.buffer.is_empty_of(partition) => {
                self.without_offset(
                    partition,
                    generation,
                    &format!("offset {} is not in the log", wanted.offset),
                );
                consequences.news = true;
            }
            // What is buffered comes first; the question is asked again after it.
            ErrorCode::OFFSET_OUT_OF_RANGE => self.back_off(partition, generation, now, random),
            code if code.is_stale_metadata() || code == ErrorCode::UNKNOWN_LEADER_EPOCH => {
                consequences.stale_metadata = true;
                let told = data.current_leader.leader_id >= 0;
                match self.subscription.current_mut(partition, generation) {
                    // Told where to go, it goes there at once, but only once: brokers may send each other's clients in
                    // circles during an election.
                    Some(assigned) if told && assigned.failures == 0 => assigned.failures = 1,
                    _ => self.back_off(partition, generation, now, random),
                }
            }
            code if code.is_retriable() => self.back_off(partition, generation, now, random),
            code => {
                let doing = format!("cannot fetch {partition} at offset {}", wanted.offset);
                self.report(partition, generation, Error::from_code(code, doing));
                consequences.news = true;
            }
        }
    }
}

/// Goes back to the leader; true if it was this replica that was read from.
fn forget_replica(assigned: &mut Assigned, node: NodeId) -> bool {
    let fetching = assigned.fetching_mut();
    fetching.is_some_and(|fetching| fetching.preferred.take_if(|replica| replica.node == node).is_some())
}

/// Where the broker says that a partition is now, if it says so.
fn named_leader(data: &PartitionData) -> Option<Leader> {
    let (node, epoch) = (data.current_leader.leader_id, data.current_leader.leader_epoch);
    let moved = matches!(data.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH);
    (moved && node >= 0 && epoch >= 0).then_some(Leader { node, epoch })
}

fn by_id(endpoints: &[NodeEndpoint]) -> HashMap<NodeId, &NodeEndpoint> {
    endpoints.iter().map(|endpoint| (endpoint.node_id, endpoint)).collect()
}

fn node_at(endpoint: &NodeEndpoint) -> Option<Node> {
    Some(Node {
        id: endpoint.node_id,
        host: endpoint.host.as_str().into(),
        port: u16::try_from(endpoint.port).ok()?,
        rack: endpoint.rack.as_deref().map(Into::into),
    })
}

#[cfg(test)]
mod tests;
