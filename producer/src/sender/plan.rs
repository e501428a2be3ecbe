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
    /// The first broker behind `after` that has something to get, and may get it now.
    pub(crate) fn next_ready(&mut self, mut after: Option<NodeId>, now: Instant) -> Option<NodeId> {
        loop {
            let node = self.nodes.next_waited_for(after)?;
            self.pass_over(node);
            if self.nodes.listed(node, self.rules.max_in_flight, now) > 0 {
                return Some(node);
            }
            after = Some(node);
        }
    }

    /// The next request to `node`, if there is something to send and it may be sent now. It has to be answered by
    /// [`Sender::answered`], whatever comes of it.
    ///
    /// Partitions take turns. The request holds as many batches as `max.request.size` allows, and one in any case.
    pub(crate) fn plan(&mut self, node: NodeId, now: Instant) -> Option<Planned> {
        let listed = self.nodes.listed(node, self.rules.max_in_flight, now);
        let id = RequestId(self.next_request);
        let mut items = Vec::new();
        let mut batches = Vec::new();
        let mut bytes = 0;
        for _ in 0..listed {
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
                self.nodes.put_back(node, index);
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
        self.nodes.sent(node, now);
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
        self.pass_over(node);
        let index = self.nodes.pop(node)?;
        self.lanes[index].listed = None;
        Some(index)
    }

    /// Forgets partitions at the head of a broker's list that have moved to another, or are gone.
    fn pass_over(&mut self, node: NodeId) {
        let Sender { nodes, lanes, .. } = self;
        nodes.pass_over(node, |index| lanes.find(index).is_some_and(|lane| lane.listed == Some(node)));
    }
}
