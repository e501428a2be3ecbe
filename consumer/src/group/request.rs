//! The requests of a member that wait for their answers.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ottla_client::{Client, Error, ErrorKind, NodeId, Purpose};
use ottla_protocol::api::Request;
use ottla_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};
use ottla_protocol::messages::heartbeat::HeartbeatResponse;
use ottla_protocol::messages::join_group::JoinGroupResponse;
use ottla_protocol::messages::leave_group::LeaveGroupResponse;
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use ottla_protocol::messages::sync_group::SyncGroupResponse;
use ottla_protocol::uuid::Uuid;

use super::driver::now;
use super::leader::Layout;
use crate::assignor::Assignments;

/// What came of a request.
#[derive(Debug)]
pub(super) enum Answer {
    Coordinator(Result<NodeId, Error>),
    Join(Result<JoinGroupResponse, Error>),
    Sync(Result<SyncGroupResponse, Error>),
    Heartbeat(Result<HeartbeatResponse, Error>),
    Leave(Result<LeaveGroupResponse, Error>),
    ConsumerHeartbeat(Result<ConsumerGroupHeartbeatResponse, Error>),
    ConsumerLeave(Result<ConsumerGroupHeartbeatResponse, Error>),
    /// Those that are known.
    TopicNames(Result<Vec<(Uuid, Arc<str>)>, Error>),
    AllTopics(Result<MetadataResponse, Error>),
    Assignment(Result<Assigned, Error>),
}

/// What the assignor decided, and on which partitions.
#[derive(Debug)]
pub(super) struct Assigned {
    pub(super) assignments: Assignments,
    pub(super) layout: Layout,
}

/// The requests that are on their way. There is one for each of the machine's lanes, and for a while those that it has
/// given up; each ends by its own deadline.
#[derive(Default)]
pub(super) struct Waiting {
    requests: Vec<Pin<Box<Sending>>>,
}

/// A request, with its number.
type Sending = dyn Future<Output = (u64, Answer)> + Send;

impl Waiting {
    pub(super) fn add(&mut self, id: u64, request: impl Future<Output = Answer> + Send + 'static) {
        self.requests.push(Box::pin(async move { (id, request.await) }));
    }

    /// The next answer. Dropping the future loses none.
    pub(super) async fn next(&mut self) -> (u64, Answer) {
        poll_fn(|context| {
            for at in 0..self.requests.len() {
                if let Poll::Ready(answer) = self.requests[at].as_mut().poll(context) {
                    drop(self.requests.swap_remove(at));
                    return Poll::Ready(answer);
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Waiting({})", self.requests.len())
    }
}

/// Sends a request and waits for its answer: `connect` long for a connection, then `answer` long.
pub(super) async fn send<R: Request>(
    client: &Client,
    node: NodeId,
    purpose: Purpose,
    connect: Duration,
    answer: Duration,
    request: impl FnOnce(i16) -> R,
) -> Result<R::Response, Error> {
    let connection = client.connection(node, purpose, now() + connect).await?;
    let version = connection.version::<R>()?;
    connection.submit(&request(version), version, now() + answer)?.await
}

/// The first version of ConsumerGroupHeartbeat with expressions.
const EXPRESSIONS: i16 = 1;

/// The first version of Metadata that takes ids of topics.
const TOPIC_IDS: i16 = 12;

/// Sends a heartbeat of the consumer protocol.
pub(super) async fn consumer_heartbeat(
    client: &Client,
    node: NodeId,
    lane: Purpose,
    timeout: Duration,
    request: ConsumerGroupHeartbeatRequest,
) -> Result<ConsumerGroupHeartbeatResponse, Error> {
    let connection = client.connection(node, lane, now() + timeout).await?;
    let version = connection.version::<ConsumerGroupHeartbeatRequest>()?;
    if version < EXPRESSIONS && request.subscribed_topic_regex.is_some() {
        let message = format!("node {node} takes no patterns in ConsumerGroupHeartbeat");
        return Err(Error::new(ErrorKind::UnsupportedVersion, message));
    }
    connection.submit(&request, version, now() + timeout)?.await
}

/// The names of those of the topics that exist, as any broker knows them.
pub(super) async fn topic_names(
    client: &Client,
    timeout: Duration,
    ids: &[Uuid],
) -> Result<Vec<(Uuid, Arc<str>)>, Error> {
    let connection = client.any_connection(now() + timeout).await?;
    let version = connection.version::<MetadataRequest>()?;
    if version < TOPIC_IDS {
        let message = format!("{connection:?} does not know topics by their ids");
        return Err(Error::new(ErrorKind::UnsupportedVersion, message));
    }
    let topic = |id: &Uuid| MetadataRequestTopic { topic_id: *id, name: None, ..Default::default() };
    let request = MetadataRequest {
        topics: Some(ids.iter().map(topic).collect()),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    let response = connection.submit(&request, version, now() + timeout)?.await?;
    let named = response.topics.into_iter().filter(|topic| topic.error_code.is_ok());
    Ok(named.filter_map(|topic| Some((topic.topic_id, topic.name?.into()))).collect())
}

/// All topics, as any broker knows them.
pub(super) async fn all_topics(client: &Client, timeout: Duration) -> Result<MetadataResponse, Error> {
    let connection = client.any_connection(now() + timeout).await?;
    let version = connection.version::<MetadataRequest>()?;
    let request =
        MetadataRequest { topics: None, allow_auto_topic_creation: version < 4, ..Default::default() };
    let response = connection.submit(&request, version, now() + timeout)?.await?;
    match response.error_code {
        code if code.is_ok() => Ok(response),
        code => Err(Error::from_code(code, "the broker refused Metadata").with_retriable(true)),
    }
}
