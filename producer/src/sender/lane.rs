//! [`Lane`]: one partition as the producer's task sees it: what waits, what is in flight, and when to go on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_client::NodeId;

use super::RequestId;
use crate::accumulator::{Glance, PartitionBuffer};
use crate::batch::Batch;
use crate::completion::Completion;
use crate::sequence::{Identity, Next, Sequences, Ticket};

/// Batches that are compressed ahead of their turn, so that a request needn't wait for the codec.
const AHEAD: usize = 2;

/// After so long a silence the broker may have forgotten the producer (`producer.id.expiration.ms`, a day unless set).
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// A partition.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(super) buffer: Arc<PartitionBuffer>,
    /// The topic's number among the lanes.
    pub(super) topic: u32,
    pub(super) leader: Option<NodeId>,
    pub(super) sequences: Sequences,
    /// Taken from the buffer, or to be numbered anew; the next one to send is at the front.
    queue: VecDeque<Queued>,
    pub(super) glance: Glance,
    /// Nothing is sent before, as something failed.
    pub(super) retry_at: Option<Instant>,
    /// The broker in whose list it stands.
    pub(super) listed: Option<NodeId>,
    /// The request that it gave a batch to last.
    pub(super) in_request: Option<RequestId>,
    pub(super) acknowledged_at: Option<Instant>,
    next_job: u64,
}

#[derive(Debug)]
enum Queued {
    Ready(Batch),
    /// Elsewhere, being compressed.
    Sealing {
        job: u64,
        opened: Instant,
        completion: Arc<Completion>,
    },
}

/// What there is to do for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Todo {
    /// Send a batch.
    Send,
    /// Get a producer id.
    Identify,
    /// Look again at this instant.
    Later(Instant),
    /// Nothing before something happens.
    Nothing,
}

/// A batch to compress.
#[derive(Debug)]
pub(crate) struct SealJob {
    pub(crate) index: u32,
    pub(crate) job: u64,
    pub(crate) batch: Batch,
}

impl Lane {
    pub(super) fn new(
        buffer: Arc<PartitionBuffer>,
        topic: u32,
        leader: Option<NodeId>,
        sequences: Sequences,
    ) -> Self {
        Lane {
            buffer,
            topic,
            leader,
            sequences,
            queue: VecDeque::new(),
            glance: Glance::default(),
            retry_at: None,
            listed: None,
            in_request: None,
            acknowledged_at: None,
            next_job: 0,
        }
    }

    /// Looks into the buffer.
    pub(super) fn look(&mut self) {
        self.glance = self.buffer.glance();
    }

    /// Whether every record had its outcome, as of the last look into the buffer.
    pub(super) fn is_told(&self) -> bool {
        self.queue.is_empty() && self.sequences.batches().next().is_none() && self.glance == Glance::default()
    }

    /// Batches that wait to be sent, as of the last look into the buffer. The open one doesn't count: it is not the
    /// broker's fault that it is there.
    pub(super) fn waiting(&self) -> u32 {
        (self.glance.full + self.queue.len() + self.sequences.retrying()) as u32
    }

    /// Puts what has to be numbered anew back to the front of the queue.
    pub(super) fn settle(&mut self) {
        for batch in self.sequences.settle().into_iter().rev() {
            self.queue.push_front(Queued::Ready(batch));
        }
    }

    /// Doubts what the broker remembers, after a long silence.
    pub(super) fn doubt(&mut self, now: Instant) {
        let silent = |at: Instant| now.saturating_duration_since(at) >= FORGOTTEN_AFTER;
        if self.acknowledged_at.is_some_and(silent) && self.sequences.is_empty() {
            self.acknowledged_at = None;
            self.sequences.unanchor();
        }
    }

    /// What there is to do. Open batches are sent when they are `linger` old, or at once.
    pub(super) fn todo(&self, now: Instant, linger: Duration) -> Todo {
        if let Some(at) = self.retry_at
            && at > now
        {
            return Todo::Later(at);
        }
        let next = self.sequences.next();
        match next {
            Next::Retry(_) => return Todo::Send,
            Next::Wait => return Todo::Nothing,
            Next::New | Next::NeedsIdentity => {}
        }
        match (self.queue.front(), self.linger_ends(linger)) {
            (Some(Queued::Sealing { .. }), _) => return Todo::Nothing,
            (Some(Queued::Ready(_)), _) => {}
            (None, None) => return Todo::Nothing,
            (None, Some(at)) if at > now => return Todo::Later(at),
            (None, Some(_)) => {}
        }
        if next == Next::NeedsIdentity { Todo::Identify } else { Todo::Send }
    }

    /// When the buffer has a batch to send.
    fn linger_ends(&self, linger: Duration) -> Option<Instant> {
        let oldest = self.glance.oldest?;
        if self.glance.full > 0 { Some(oldest) } else { Some(oldest + linger) }
    }

    /// Takes a batch from the buffer that is worth compressing elsewhere, if it is time for that.
    pub(super) fn stage(&mut self, now: Instant, linger: Duration, worth: usize) -> Option<SealJob> {
        let ahead = self.glance.full > 0 && self.queue.len() < AHEAD;
        let due = self.queue.is_empty() && matches!(self.todo(now, linger), Todo::Send | Todo::Identify);
        let sendable = !matches!(self.sequences.next(), Next::Retry(_));
        if self.leader.is_none() || !(ahead || due && sendable) || !self.take() {
            return None;
        }
        match self.queue.pop_back() {
            Some(Queued::Ready(batch)) if batch.size() >= worth => {
                let job = self.next_job;
                self.next_job += 1;
                let (opened, completion) = (batch.opened, batch.completion.share());
                self.queue.push_back(Queued::Sealing { job, opened, completion });
                Some(SealJob { index: self.buffer.index, job, batch })
            }
            other => {
                self.queue.extend(other);
                None
            }
        }
    }

    /// Takes back a batch that was compressed, or drops its place if it is gone. Hands a batch back whose place is gone.
    pub(super) fn sealed(&mut self, job: u64, batch: Option<Batch>) -> Option<Batch> {
        let place = |queued: &Queued| matches!(queued, Queued::Sealing { job: known, .. } if *known == job);
        let Some(at) = self.queue.iter().position(place) else { return batch };
        match batch {
            Some(batch) => self.queue[at] = Queued::Ready(batch),
            None => drop(self.queue.remove(at)),
        }
        None
    }

    /// Bytes of the batch that would be sent next; takes it from the buffer if need be.
    pub(super) fn next_size(&mut self) -> Option<usize> {
        if let Next::Retry(ticket) = self.sequences.next() {
            return self.sequences.batch_mut(ticket).map(|batch| batch.size());
        }
        if self.queue.is_empty() {
            self.take();
        }
        match self.queue.front()? {
            Queued::Ready(batch) => Some(batch.size()),
            Queued::Sealing { .. } => None,
        }
    }

    /// The batch to send next, if it is a new one.
    pub(super) fn pop_new(&mut self) -> Option<Batch> {
        match self.queue.pop_front()? {
            Queued::Ready(batch) => Some(batch),
            sealing => {
                self.queue.push_front(sealing);
                None
            }
        }
    }

    /// The ticket of the batch to send next, if it is a repeated one.
    pub(super) fn next_retry(&self) -> Option<Ticket> {
        match self.sequences.next() {
            Next::Retry(ticket) => Some(ticket),
            _ => None,
        }
    }

    /// Gives the partition a producer id; false if it needs another one.
    pub(super) fn identify(&mut self, identity: Identity) -> bool {
        self.sequences.identify(identity)
    }

    /// Everything whose time is over.
    pub(super) fn expire(&mut self, now: Instant, timeout: Duration) -> Vec<Batch> {
        let mut expired = self.sequences.expire(now, timeout);
        let over = |opened: Instant| now.saturating_duration_since(opened) >= timeout;
        self.queue = std::mem::take(&mut self.queue)
            .into_iter()
            .filter_map(|queued| match queued {
                Queued::Ready(batch) if over(batch.opened) => {
                    expired.push(batch);
                    None
                }
                other => Some(other),
            })
            .collect();
        while self.glance.oldest.is_some_and(over) {
            let (batch, glance) = self.buffer.take(self.glance.open_since.is_some_and(over));
            self.glance = glance;
            match batch {
                // A newer one than was seen can't come out: the oldest comes first.
                Some(batch) => expired.push(batch),
                None => break,
            }
        }
        expired
    }

    /// When the oldest batch was opened.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let queued = self.queue.iter().filter_map(|queued| match queued {
            Queued::Ready(batch) => Some(batch.opened),
            Queued::Sealing { .. } => None,
        });
        self.sequences.batches().map(|batch| batch.opened).chain(queued).chain(self.glance.oldest).min()
    }

    /// Lists what was opened at `until` at the latest and has no outcome, and closes the open batch if it is among that.
    pub(super) fn flush(&mut self, until: Instant) -> Vec<Arc<Completion>> {
        let sent = self.sequences.batches().filter(|batch| batch.opened <= until);
        let mut waiting: Vec<_> = sent.map(|batch| batch.completion.share()).collect();
        waiting.extend(self.queue.iter().filter_map(|queued| match queued {
            Queued::Ready(batch) => (batch.opened <= until).then(|| batch.completion.share()),
            Queued::Sealing { opened, completion, .. } => (*opened <= until).then(|| Arc::clone(completion)),
        }));
        waiting.extend(self.buffer.close_open(until));
        self.look();
        waiting
    }

    /// Gives everything back, to be failed, and goes on. What is being compressed is only shared: it comes back later,
    /// without a place.
    pub(super) fn give_up(&mut self) -> (Vec<Batch>, Vec<Arc<Completion>>) {
        let sealing = self.queue.iter().filter_map(|queued| match queued {
            Queued::Ready(_) => None,
            Queued::Sealing { completion, .. } => Some(Arc::clone(completion)),
        });
        let sealing = sealing.collect();
        let sent = self.sequences.give_up_all();
        (self.drain(sent), sealing)
    }

    /// Ends: gives everything back, to be failed. What is being compressed comes back later.
    pub(super) fn abandon(&mut self) -> Vec<Batch> {
        let sent = self.sequences.abandon();
        self.drain(sent)
    }

    fn drain(&mut self, mut all: Vec<Batch>) -> Vec<Batch> {
        all.extend(std::mem::take(&mut self.queue).into_iter().filter_map(|queued| match queued {
            Queued::Ready(batch) => Some(batch),
            Queued::Sealing { .. } => None,
        }));
        loop {
            let (batch, glance) = self.buffer.take(true);
            self.glance = glance;
            match batch {
                Some(batch) => all.push(batch),
                None => return all,
            }
        }
    }

    fn take(&mut self) -> bool {
        let (batch, glance) = self.buffer.take(true);
        self.glance = glance;
        let taken = batch.is_some();
        self.queue.extend(batch.map(Queued::Ready));
        taken
    }
}
