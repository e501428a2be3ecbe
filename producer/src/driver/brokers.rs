//! Connections to leaders, and the produce requests that are on their way over them.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ottla_client::{Backoff, Client, Cluster, Connection, Error, NodeId, Purpose};
use ottla_protocol::messages::produce::ProduceResponse;
use tracing::Span;

use super::Shared;
use super::produce::{self, SentItem, Terms};
use crate::runtime;
use crate::sender::{Answer, RequestId, Sender};

type Connecting = Pin<Box<dyn Future<Output = Result<Connection, Error>> + Send>>;
/// `None` where no answer comes, with `acks=0`.
pub(super) type Answering = Pin<Box<dyn Future<Output = Result<Option<ProduceResponse>, Error>> + Send>>;

/// All brokers that were sent to.
pub(super) struct Brokers {
    client: Client,
    terms: Terms,
    request_timeout: Duration,
    backoff: Backoff,
    by_id: BTreeMap<NodeId, Broker>,
}

#[derive(Default)]
struct Broker {
    connection: Option<Connection>,
    connecting: Option<Connecting>,
    /// No attempt to connect before.
    pause_until: Option<Instant>,
    failures: u32,
    /// In the order in which they were submitted, which is that of their answers.
    requests: VecDeque<Request>,
}

struct Request {
    id: RequestId,
    sent: Vec<SentItem>,
    answering: Answering,
    span: Span,
}

/// Something that happened.
pub(super) enum Event {
    Connected,
    Unreachable {
        node: NodeId,
        error: Error,
    },
    Answered {
        id: RequestId,
        sent: Vec<SentItem>,
        result: Result<Option<ProduceResponse>, Error>,
        span: Span,
    },
}

impl Brokers {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Brokers {
            client: shared.client.clone(),
            terms: Terms::of(shared.values()),
            request_timeout: shared.values().request_timeout,
            backoff: shared.values().backoff(),
            by_id: BTreeMap::new(),
        }
    }

    /// Sends what the sender has for this broker, or connects to it first.
    pub(super) fn send(&mut self, node: NodeId, sender: &mut Sender, cluster: &Cluster, now: Instant) {
        let broker = self.by_id.entry(node).or_default();
        let Some(connection) = broker.connection.as_ref().filter(|connection| !connection.is_closed()) else {
            broker.connection = None;
            if broker.connecting.is_none() && broker.pause_until.is_none_or(|until| until <= now) {
                let (client, deadline) = (self.client.clone(), now + self.request_timeout);
                broker.connecting =
                    Some(Box::pin(async move { client.connection(node, Purpose::Produce, deadline).await }));
            }
            return;
        };
        while let Some(planned) = sender.plan(node, now) {
            let id = planned.id;
            let deadline = now + self.request_timeout;
            let (batches, bytes) =
                (planned.items.len(), planned.items.iter().map(|item| item.records.len()).sum());
            let span = produce_span(node, id, batches, bytes);
            let entered = span.enter();
            match produce::submit(connection, planned.items, &self.terms, cluster, deadline) {
                Ok((sent, answering)) => {
                    drop(entered);
                    broker.requests.push_back(Request { id, sent, answering, span });
                }
                Err(error) => {
                    let failed = |_| Answer::Failed(error.clone());
                    sender.answered(id, failed, Duration::ZERO, now, runtime::random());
                }
            }
        }
    }

    /// When to try again to send.
    pub(super) fn next_wake(&self, now: Instant) -> Option<Instant> {
        self.by_id.values().filter_map(|broker| broker.pause_until).filter(|until| *until > now).min()
    }

    /// The next thing that happens.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    pub(super) async fn event(&mut self) -> Event {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        for (node, broker) in &mut self.by_id {
            if let Some(connecting) = &mut broker.connecting
                && let Poll::Ready(result) = connecting.as_mut().poll(cx)
            {
                broker.connecting = None;
                return Poll::Ready(match result {
                    Ok(connection) => {
                        broker.connection = Some(connection);
                        broker.failures = 0;
                        broker.pause_until = None;
                        Event::Connected
                    }
                    Err(error) => {
                        let pause = self.backoff.next(broker.failures, runtime::random());
                        broker.failures += 1;
                        // At least a little, or a refusal at once would make this a busy loop.
                        broker.pause_until = Some(runtime::now() + pause.max(Duration::from_millis(1)));
                        Event::Unreachable { node: *node, error }
                    }
                });
            }
            if let Some(request) = broker.requests.front_mut()
                && let Poll::Ready(result) = request.answering.as_mut().poll(cx)
                && let Some(Request { id, sent, span, .. }) = broker.requests.pop_front()
            {
                return Poll::Ready(Event::Answered { id, sent, result, span });
            }
        }
        Poll::Pending
    }
}

/// A request from its submission to what its answer brings about.
fn produce_span(node: NodeId, id: RequestId, batches: usize, bytes: usize) -> Span {
    tracing::debug_span!("produce", node, request = id.number(), batches, bytes)
}
