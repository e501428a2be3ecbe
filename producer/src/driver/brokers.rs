//! Connections to leaders, and the produce requests that are on their way over them.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ottla_client::{Backoff, Client, Cluster, Connection, Error, ErrorKind, NodeId, Purpose};
use ottla_protocol::messages::produce::ProduceResponse;
use tracing::Span;

use super::Shared;
use super::produce::{self, SentItem, Terms};
use crate::nodes::NodeSet;
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
    /// Those that are being connected to, and those that owe an answer.
    busy: NodeSet,
    /// Those that could not be reached.
    unreachable: BTreeMap<NodeId, Pause>,
    /// The one of which something happened last.
    last: NodeId,
}

#[derive(Default)]
struct Broker {
    connection: Option<Connection>,
    connecting: Option<Connecting>,
    /// In the order in which they were submitted, which is that of their answers.
    requests: VecDeque<Request>,
}

struct Pause {
    /// No attempt to connect before.
    until: Instant,
    /// Attempts that failed in a row.
    failures: u32,
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
            busy: NodeSet::default(),
            unreachable: BTreeMap::new(),
            last: NodeId::MIN,
        }
    }

    /// Sends what the sender has for this broker, or connects to it first.
    pub(super) fn send(&mut self, node: NodeId, sender: &mut Sender, cluster: &Cluster, now: Instant) {
        let broker = self.by_id.entry(node).or_default();
        loop {
            // It may be closed in the middle of this.
            let Some(connection) = broker.connection.as_ref().filter(|connection| !connection.is_closed())
            else {
                if self.unreachable.get(&node).is_none_or(|pause| pause.until <= now) {
                    broker.connect(node, &self.client, self.request_timeout);
                    self.busy.insert(node);
                }
                return;
            };
            let Some(planned) = sender.plan(node, now) else { return };
            let id = planned.id;
            // From when it is sent: the turn may have begun long ago.
            let deadline = runtime::now() + self.request_timeout;
            let (batches, bytes) =
                (planned.items.len(), planned.items.iter().map(|item| item.records.len()).sum());
            let span = produce_span(node, id, batches, bytes);
            let entered = span.enter();
            match produce::submit(connection, planned.items, &self.terms, cluster, deadline) {
                Ok((sent, answering)) => {
                    drop(entered);
                    broker.requests.push_back(Request { id, sent, answering, span });
                    self.busy.insert(node);
                }
                Err(error) => {
                    let failed = |_| Answer::Failed(error.clone());
                    sender.answered(id, failed, Duration::ZERO, now, runtime::random());
                }
            }
        }
    }

    /// Forgets brokers that left the cluster, as far as nothing is under way to them.
    pub(super) fn forget_gone(&mut self, is_known: impl Fn(NodeId) -> bool, now: Instant) {
        self.by_id.retain(|node, broker| is_known(*node) || !broker.is_quiet());
        self.unreachable.retain(|node, pause| is_known(*node) || pause.until > now);
    }

    /// When to try again to send.
    pub(super) fn next_wake(&self, now: Instant) -> Option<Instant> {
        self.unreachable.values().map(|pause| pause.until).filter(|until| *until > now).min()
    }

    /// The next thing that happens.
    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let Brokers { by_id, busy, last, .. } = self;
        // They take turns: the answers of one whose next is always there already would keep those of others waiting.
        let happened = busy.round_from(*last).find_map(|node| {
            let broker = by_id.get_mut(&node)?;
            match broker.poll_event(node, cx) {
                Poll::Ready(event) => Some((node, event, broker.is_quiet())),
                Poll::Pending => None,
            }
        });
        let Some((node, event, quiet)) = happened else { return Poll::Pending };
        *last = node;
        if quiet {
            busy.remove(node);
        }
        match &event {
            Event::Connected => drop(self.unreachable.remove(&node)),
            Event::Unreachable { .. } => self.pause(node),
            // Its partitions may have moved, and it is the last to tell.
            Event::Answered { result: Err(error), .. } if error.kind() == ErrorKind::Timeout => {
                self.client.avoid(node);
            }
            Event::Answered { .. } => {}
        }
        Poll::Ready(event)
    }

    fn pause(&mut self, node: NodeId) {
        let now = runtime::now();
        let pause = self.unreachable.entry(node).or_insert(Pause { until: now, failures: 0 });
        // At least a little, or a refusal at once would make this a busy loop.
        let length = self.backoff.next(pause.failures, runtime::random()).max(Duration::from_millis(1));
        *pause = Pause { until: now + length, failures: pause.failures + 1 };
    }
}

impl Broker {
    /// Connects, unless it does already.
    fn connect(&mut self, node: NodeId, client: &Client, patience: Duration) {
        self.connection = None;
        self.connecting.get_or_insert_with(|| {
            let (client, deadline) = (client.clone(), runtime::now() + patience);
            Box::pin(async move { client.connection(node, Purpose::Produce, deadline).await })
        });
    }

    fn poll_event(&mut self, node: NodeId, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(connecting) = &mut self.connecting
            && let Poll::Ready(result) = connecting.as_mut().poll(cx)
        {
            self.connecting = None;
            return Poll::Ready(match result {
                Ok(connection) => {
                    self.connection = Some(connection);
                    Event::Connected
                }
                Err(error) => Event::Unreachable { node, error },
            });
        }
        if let Some(request) = self.requests.front_mut()
            && let Poll::Ready(result) = request.answering.as_mut().poll(cx)
            && let Some(Request { id, sent, span, .. }) = self.requests.pop_front()
        {
            return Poll::Ready(Event::Answered { id, sent, result, span });
        }
        Poll::Pending
    }

    /// Whether nothing can happen before something is sent.
    fn is_quiet(&self) -> bool {
        self.connecting.is_none() && self.requests.is_empty()
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

    fn brokers() -> Brokers {
        let dialer = Arc::new(ScriptedDialer::new(|_| Answer::Default));
        let options = ClientOptions::new().bootstrap_servers("boot:9092");
        let values = ProducerOptions::new();
        Brokers {
            client: Client::with_dialer(options, dialer).expect("options"),
            terms: Terms::of(values.values()),
            request_timeout: Duration::from_secs(1),
            backoff: values.values().backoff(),
            by_id: BTreeMap::new(),
            busy: NodeSet::default(),
            unreachable: BTreeMap::new(),
            last: NodeId::MIN,
        }
    }

    #[tokio::test]
    async fn brokers_whose_answers_are_all_there_take_turns() {
        let mut brokers = brokers();
        for node in [1, 2, 3] {
            brokers.busy.insert(node);
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

    #[tokio::test(start_paused = true)]
    async fn brokers_that_left_are_forgotten_unless_they_owe_an_answer_or_are_not_to_be_tried_yet() {
        let mut brokers = brokers();
        let now = runtime::now();
        for node in [1, 2, 3] {
            brokers.by_id.entry(node).or_default();
            brokers.pause(node);
        }
        let answering: Answering = Box::pin(std::future::pending());
        let request = Request { id: RequestId(1), sent: Vec::new(), answering, span: Span::none() };
        brokers.by_id.entry(1).or_default().requests.push_back(request);
        let left = |brokers: &Brokers| {
            let paused: Vec<_> = brokers.unreachable.keys().copied().collect();
            (brokers.by_id.keys().copied().collect::<Vec<_>>(), paused)
        };
        brokers.forget_gone(|node| node == 2, now);
        assert_eq!(left(&brokers), (vec![1, 2], vec![1, 2, 3]));
        brokers.forget_gone(|node| node == 2, now + Duration::from_secs(60));
        assert_eq!(left(&brokers), (vec![1, 2], vec![2]));
    }
}
