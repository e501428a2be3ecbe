//! Which batches go into the next request to a broker.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use ottla_client::{Error, ErrorKind, NodeId};

use super::{Outstanding, Sender};

/// Names a request that was planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RequestId(pub(crate) u64);

impl RequestId {
    /// As a number, unique within the producer.
    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

/// A request to send.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) id: RequestId,
    /// Its batches, one for a partition.
    pub(crate) items: Vec<Item>,
}

/// A batch in a request.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) records: Bytes,
}

impl Sender {
    /// The brokers that have something to get, and may get it now.
    pub(crate) fn ready_nodes(&mut self, now: Instant) -> Vec<NodeId> {
        for (id, node) in &mut self.nodes {
            let moved = |index: &u32| self.lanes.find(*index).is_none_or(|lane| lane.listed != Some(*id));
            while node.ready.front().is_some_and(moved) {
                node.ready.pop_front();
            }
        }
        let may = |node: &&super::NodeQueue| {
            !node.ready.is_empty()
                && node.in_flight < self.rules.max_in_flight
                && node.throttled_until.is_none_or(|until| until <= now)
        };
        self.nodes.iter().filter(|(_, node)| may(node)).map(|(id, _)| *id).collect()
    }

    /// The next request to `node`, if there is something to send and it may be sent now. It has to be answered by
    /// [`Sender::answered`], whatever comes of it.
    ///
    /// Partitions take turns. The request holds as many batches as `max.request.size` allows, and one in any case.
    pub(crate) fn plan(&mut self, node: NodeId, now: Instant) -> Option<Planned> {
        let queue = self.nodes.get(&node)?;
        if queue.in_flight >= self.rules.max_in_flight
            || queue.throttled_until.is_some_and(|until| until > now)
        {
            return None;
        }
        let id = RequestId(self.next_request);
        let mut items = Vec::new();
        let mut batches = Vec::new();
        let mut bytes = 0;
        for _ in 0..queue.ready.len() {
            let Some(index) = self.pop_ready(node) else { break };
            let lane = &mut self.lanes[index];
            if lane.leader != Some(node) || lane.retry_at.is_some_and(|at| at > now) {
                self.consider(index, now);
                continue;
            }
            let Some(size) = lane.next_size() else {
                self.consider(index, now);
                continue;
            };
            // A partition stands in the list twice after its leader left and came back.
            let again = lane.in_request == Some(id);
            if !items.is_empty() && (again || bytes + size > self.rules.max_request_size) {
                lane.listed = Some(node);
                if let Some(queue) = self.nodes.get_mut(&node) {
                    queue.ready.push_front(index);
                }
                break;
            }
            if let Some((ticket, item)) = self.send(index, now) {
                self.lanes[index].in_request = Some(id);
                bytes += item.records.len();
                items.push(item);
                batches.push((index, ticket));
            }
            self.consider(index, now);
        }
        if items.is_empty() {
            return None;
        }
        self.next_request += 1;
        self.requests.push_back((id, Outstanding { node, sent_at: now, batches }));
        self.accumulator.memory.meter.request_sent();
        #[cfg(feature = "metrics")]
        self.accumulator.memory.publish();
        let queue = self.nodes.entry(node).or_default();
        queue.in_flight += 1;
        queue.trouble = None;
        queue.waiting_since = Some(now);
        Some(Planned { id, items })
    }

    /// Moves a partition's next batch into flight.
    fn send(&mut self, index: u32, now: Instant) -> Option<(crate::sequence::Ticket, Item)> {
        let lane = &mut self.lanes[index];
        let ticket = match lane.next_retry() {
            Some(ticket) => {
                lane.sequences.resend(ticket)?;
                ticket
            }
            None => {
                if lane.sequences.next() != crate::sequence::Next::New {
                    return None;
                }
                let batch = loop {
                    let mut batch = lane.pop_new()?;
                    if let Err(error) = batch.seal(lane.sequences.upcoming(), &mut self.compressor) {
                        let partition = batch.completion.partition();
                        let error =
                            Error::new(ErrorKind::Encode, format!("cannot compress a batch for {partition}"))
                                .with_cause(error);
                        batch.warn_of(&error);
                        batch.fail(error, &self.accumulator.memory);
                        return None;
                    }
                    if let Some(batch) = lane.fits(batch, self.rules.max_request_size) {
                        break batch;
                    }
                };
                lane.sequences.send_new(batch)
            }
        };
        let (topic, partition) = (Arc::clone(&lane.buffer.topic), lane.buffer.partition);
        let batch = lane.sequences.batch_mut(ticket)?;
        batch.tries += 1;
        let queued = now.saturating_duration_since(batch.opened);
        match batch.tries {
            1 => self.accumulator.memory.meter.sent(batch, queued),
            // Its records were counted with the batch that was split.
            first if first == batch.first_try => {}
            _ => self.accumulator.memory.meter.retried(batch),
        }
        let (records, bytes, tries) = (batch.count, batch.size(), batch.tries);
        tracing::trace!(%topic, partition, records, bytes, tries, ?queued, "sending a batch");
        batch.bytes().map(|records| (ticket, Item { topic, partition, records }))
    }

    /// The next partition that waits for this broker.
    fn pop_ready(&mut self, node: NodeId) -> Option<u32> {
        let queue = self.nodes.get_mut(&node)?;
        loop {
            let index = queue.ready.pop_front()?;
            let Some(lane) = self.lanes.find_mut(index) else { continue };
            if lane.listed == Some(node) {
                lane.listed = None;
                return Some(index);
            }
        }
    }
}
