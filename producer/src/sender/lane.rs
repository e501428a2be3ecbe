//! [`Lane`]: one partition as the producer's task sees it: what waits, what is in flight, and when to go on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_client::{Error, NodeId};

use super::RequestId;
use super::staging::Staging;
use crate::accumulator::{Glance, PartitionBuffer};
use crate::batch::Batch;
use crate::body::Body;
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
    queue: VecDeque<Batch>,
    pub(super) glance: Glance,
    /// Nothing is sent before, as something failed.
    pub(super) retry_at: Option<Instant>,
    /// The broker in whose list it stands.
    pub(super) listed: Option<NodeId>,
    /// The request that it gave a batch to last.
    pub(super) in_request: Option<RequestId>,
    pub(super) acknowledged_at: Option<Instant>,
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
            self.queue.push_front(batch);
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
            (Some(next), _) if next.is_away() => return Todo::Nothing,
            (Some(_), _) => {}
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

    /// Gives out the records of a batch that is worth compressing elsewhere, if it is time for that; true if it did.
    pub(super) fn stage(&mut self, now: Instant, linger: Duration, staging: &mut Staging) -> bool {
        let index = self.buffer.index;
        // What was split is taken already.
        if let Some(batch) = self.queue.iter_mut().find(|batch| Staging::is_worth(batch)) {
            return staging.add(index, batch);
        }
        let ahead = self.glance.full > 0 && self.queue.len() < AHEAD;
        let due = self.queue.is_empty() && matches!(self.todo(now, linger), Todo::Send | Todo::Identify);
        let sendable = !matches!(self.sequences.next(), Next::Retry(_));
        if self.leader.is_none() || !(ahead || due && sendable) || !self.take() {
            return false;
        }
        let taken = self.queue.back_mut().filter(|batch| Staging::is_worth(batch));
        taken.is_some_and(|batch| staging.add(index, batch))
    }

    /// Takes compressed records back to their batch; one that takes more than `limit` bytes even so is split. Drops them
    /// if their batch was told meanwhile. Gives out a batch whose records could not be compressed, to be failed.
    pub(super) fn sealed(
        &mut self,
        job: u64,
        body: Result<Body, Error>,
        limit: usize,
    ) -> Option<(Batch, Error)> {
        let place = self.queue.iter().position(|batch| batch.is_with(job));
        let Some((at, mut batch)) = place.and_then(|at| Some((at, self.queue.remove(at)?))) else {
            drop(body.map(Body::let_go));
            return None;
        };
        let body = match body {
            Ok(body) => body,
            Err(error) => return Some((batch, error)),
        };
        batch.take_back(body);
        for (behind, part) in fitting(batch, limit).into_iter().enumerate() {
            self.queue.insert(at + behind, part);
        }
        None
    }

    /// Hands a sealed batch back if it takes no more than `limit` bytes; otherwise its parts are next.
    pub(super) fn fits(&mut self, batch: Batch, limit: usize) -> Option<Batch> {
        if batch.size() <= limit {
            return Some(batch);
        }
        let mut parts = fitting(batch, limit);
        if parts.len() == 1 {
            return parts.pop();
        }
        for part in parts.into_iter().rev() {
            self.queue.push_front(part);
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
        self.queue.front().filter(|batch| !batch.is_away()).map(Batch::size)
    }

    /// The batch to send next, if it is a new one.
    pub(super) fn pop_new(&mut self) -> Option<Batch> {
        if self.queue.front()?.is_away() { None } else { self.queue.pop_front() }
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
        let late: VecDeque<_>;
        (late, self.queue) =
            std::mem::take(&mut self.queue).into_iter().partition(|batch| over(batch.opened));
        expired.extend(late);
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
        let taken = self.sequences.batches().chain(&self.queue);
        taken.map(|batch| batch.opened).chain(self.glance.oldest).min()
    }

    /// Lists what was opened at `until` at the latest and has no outcome, and closes the open batch if it is among that.
    pub(super) fn flush(&mut self, until: Instant) -> Vec<Arc<Completion>> {
        let taken = self.sequences.batches().chain(&self.queue).filter(|batch| batch.opened <= until);
        let mut waiting: Vec<_> = taken.map(|batch| batch.completion.share()).collect();
        waiting.extend(self.buffer.close_open(until));
        self.look();
        waiting
    }

    /// Gives everything back, to be failed, and goes on. Records that are being compressed find their batch gone later.
    pub(super) fn give_up(&mut self) -> Vec<Batch> {
        let sent = self.sequences.give_up_all();
        self.drain(sent)
    }

    /// Ends: gives everything back, to be failed.
    pub(super) fn abandon(&mut self) -> Vec<Batch> {
        let sent = self.sequences.abandon();
        self.drain(sent)
    }

    fn drain(&mut self, mut all: Vec<Batch>) -> Vec<Batch> {
        all.extend(self.queue.drain(..));
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
        self.queue.extend(batch);
        taken
    }
}

/// The batch, or its halves if it takes more than `limit` bytes and has more than one record.
fn fitting(batch: Batch, limit: usize) -> Vec<Batch> {
    if batch.size() <= limit {
        return vec![batch];
    }
    match batch.split() {
        Ok(halves) => halves.into(),
        // The broker is to judge what can't be split.
        Err(whole) => vec![whole.0],
    }
}
