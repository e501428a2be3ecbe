//! Connections to leaders, and the produce requests that are on their way over them.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ottla_client::{Backoff, Client, Cluster, Connection, Error, ErrorKind, NodeId, Purpose};
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
    /// The one of which something happened last.
    last: NodeId,
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
            last: NodeId::MIN,
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
    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let Brokers { client, backoff, by_id, last, .. } = self;
        // They take turns: the answers of one whose next is always there already would keep those of others waiting.
        for turn in [(Bound::Excluded(*last), Bound::Unbounded), (Bound::Unbounded, Bound::Included(*last))] {
            for (node, broker) in by_id.range_mut::<NodeId, _>(turn) {
                if let Poll::Ready(event) = broker.poll_event(*node, client, backoff, cx) {
                    *last = *node;
                    return Poll::Ready(event);
                }
            }
        }
        Poll::Pending
    }
}

impl Broker {
    fn poll_event(
        &mut self,
        node: NodeId,
        client: &Client,
        backoff: &Backoff,
        cx: &mut Context<'_>,
    ) -> Poll<Event> {
        if let Some(connecting) = &mut self.connecting
            && let Poll::Ready(result) = connecting.as_mut().poll(cx)
        {
            self.connecting = None;
            return Poll::Ready(match result {
                Ok(connection) => {
                    self.connection = Some(connection);
                    self.failures = 0;
                    self.pause_until = None;
                    Event::Connected
                }
                Err(error) => {
                    let pause = backoff.next(self.failures, runtime::random());
                    self.failures += 1;
                    // At least a little, or a refusal at once would make this a busy loop.
                    self.pause_until = Some(runtime::now() + pause.max(Duration::from_millis(1)));
                    Event::Unreachable { node, error }
                }
            });
        }
        if let Some(request) = self.requests.front_mut()
            && let Poll::Ready(result) = request.answering.as_mut().poll(cx)
            && let Some(Request { id, sent, span, .. }) = self.requests.pop_front()
        {
            // Its partitions may have moved, and it is the last to tell.
            if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Timeout) {
                client.avoid(node);
            }
            return Poll::Ready(Event::Answered { id, sent, result, span });
        }
        Poll::Pending
    }
}

/// A request from its submission to what its answer brings about.
fn produce_span(node: NodeId, id: RequestId, batches: usize, bytes: usize) -> Span {
    tracing::debug_span!("produce", node, request = id.number(), batches, bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ottla_client::ClientOptions;
    use ottla_client::test_support::{Answer, ScriptedDialer};

    use super::*;
    use crate::options::ProducerOptions;

    #[tokio::test]
    async fn brokers_whose_answers_are_all_there_take_turns() {
        let dialer = Arc::new(ScriptedDialer::new(|_| Answer::Default));
        let options = ClientOptions::new().bootstrap_servers("boot:9092");
        let values = ProducerOptions::new();
        let mut brokers = Brokers {
            client: Client::with_dialer(options, dialer).expect("options"),
            terms: Terms::of(values.values()),
            request_timeout: Duration::from_secs(1),
            backoff: values.values().backoff(),
            by_id: BTreeMap::new(),
            last: NodeId::MIN,
        };
        for node in [1, 2, 3] {
            let broker = brokers.by_id.entry(node).or_default();
            for number in 0..2 {
                let answering: Answering = Box::pin(async { Ok(None) });
                let id = RequestId(10 * node as u64 + number);
                broker.requests.push_back(Request { id, sent: Vec::new(), answering, span: Span::none() });
            }
        }
        let mut answered = Vec::new();
        for _ in 0..6 {
            let event = std::future::poll_fn(|cx| brokers.poll_event(cx));
            if let Event::Answered { id, .. } = event.await {
                answered.push(id.number());
            }
        }
        assert_eq!(answered, [10, 20, 30, 11, 21, 31]);
    }
}
