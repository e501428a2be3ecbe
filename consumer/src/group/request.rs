//! The requests of a member that wait for their answers.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use ottla_client::{Client, Error, NodeId, Purpose};
use ottla_protocol::api::Request;
use ottla_protocol::messages::heartbeat::HeartbeatResponse;
use ottla_protocol::messages::join_group::JoinGroupResponse;
use ottla_protocol::messages::leave_group::LeaveGroupResponse;
use ottla_protocol::messages::sync_group::SyncGroupResponse;

use super::driver::now;
use super::leader::PartitionCounts;
use crate::assignor::Assignments;

/// What came of a request.
#[derive(Debug)]
pub(super) enum Answer {
    Coordinator(Result<NodeId, Error>),
    Join(Result<JoinGroupResponse, Error>),
    Sync(Result<SyncGroupResponse, Error>),
    Heartbeat(Result<HeartbeatResponse, Error>),
    Leave(Result<LeaveGroupResponse, Error>),
    Assignment(Result<Assigned, Error>),
}

/// What the assignor decided, and on which numbers of partitions.
#[derive(Debug)]
pub(super) struct Assigned {
    pub(super) assignments: Assignments,
    pub(super) counts: PartitionCounts,
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
