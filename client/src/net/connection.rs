//! The handle of a connection: requests in, futures of replies out.
//!
//! Guarantee: requests go to the broker in the order of their submission, and a reply is decoded by whoever awaits it,
//! so a large answer to one delays nobody else.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use ottla_protocol::api::Request;
use ottla_protocol::header::{decode_response, encode_request, split_response};
use ottla_protocol::wire::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::handshake::ApiTable;
use super::in_flight::Expected;
use super::outbox::OneWay;
use super::wire::{Refused, Wire};
use crate::error::{Error, ErrorKind};
use crate::metadata::NodeId;
use crate::runtime;

/// Requests that may be queued or unanswered on one connection.
pub(super) const MAX_OUTSTANDING: usize = 1024;

/// A connection to one broker. Clones share it; it closes when the last one is gone and nobody awaits a reply.
#[derive(Clone)]
pub struct Connection(Arc<Shared>);

/// Where a connection leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) node: NodeId,
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            ..0 => write!(f, "{}:{}", self.host, self.port),
            node => write!(f, "node {node} ({}:{})", self.host, self.port),
        }
    }
}

/// Why and when a connection ended.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) error: Error,
    pub(crate) at: Instant,
    /// Ended for want of work, which is no failure.
    pub(crate) idle: bool,
}

pub(super) struct Shared {
    pub(super) address: Arc<Address>,
    pub(super) apis: ApiTable,
    pub(super) client_id: Arc<str>,
    pub(super) next_correlation: AtomicI32,
    pub(super) wire: Arc<Wire>,
    /// Bounds what waits to be written and what is unanswered together.
    pub(super) room: Arc<Semaphore>,
    /// Closed when the task is gone.
    pub(super) alive: watch::Receiver<()>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.wire.release();
    }
}

/// A request on its way to the wire.
pub(super) enum Submitted {
    /// A request that will be answered.
    Call { frame: Frame, expected: Expected<Waiter<Bytes>> },
    /// A request without an answer; the waiter learns that it was written.
    OneWay { frame: Frame, one_way: OneWay<Waiter<()>> },
}

impl Submitted {
    /// Whether it is a request with an answer of at most `max` bytes.
    pub(super) fn is_call_up_to(&self, max: usize) -> bool {
        matches!(self, Submitted::Call { frame, .. } if frame.len() <= max)
    }

    pub(super) fn deadline(&self) -> Instant {
        match self {
            Submitted::Call { expected, .. } => expected.deadline,
            Submitted::OneWay { one_way, .. } => one_way.deadline,
        }
    }
}

/// Who waits for a request, and the request's place among those outstanding.
#[derive(Debug)]
pub(super) struct Waiter<T> {
    waiting: oneshot::Sender<Result<T, Error>>,
    _room: OwnedSemaphorePermit,
}

/// Where the waiter's side hears of it.
type Outcome<T> = oneshot::Receiver<Result<T, Error>>;

impl<T> Waiter<T> {
    /// Tells the outcome, unless nobody waits any more.
    pub(super) fn tell(self, outcome: Result<T, Error>) {
        let _ = self.waiting.send(outcome);
    }
}

impl Connection {
    pub(super) fn new(shared: Shared) -> Connection {
        Connection(Arc::new(shared))
    }

    /// The broker's id; negative for a bootstrap server.
    pub fn node(&self) -> NodeId {
        self.0.address.node
    }

    /// The newest version of an API that this client and the broker both speak.
    ///
    /// # Errors
    /// Kind `UnsupportedVersion`, naming both ranges.
    pub fn version<R: Request>(&self) -> Result<i16, Error> {
        self.version_at_most::<R>(i16::MAX)
    }

    /// The newest common version that is not above `max`.
    ///
    /// # Errors
    /// Kind `UnsupportedVersion`, naming both ranges.
    pub fn version_at_most<R: Request>(&self, max: i16) -> Result<i16, Error> {
        self.0.apis.negotiate(R::API, max).map_err(|unsupported| {
            Error::new(
                ErrorKind::UnsupportedVersion,
                format!("{} cannot serve this request: {unsupported}", self.0.address),
            )
        })
    }

    /// Encodes and hands over a request now: requests reach the broker in the order of these calls.
    ///
    /// On an idle connection a small request is written to the socket by this call; it never waits for the socket. A failure
    /// of that is told by the reply.
    ///
    /// `version` comes from [`Connection::version`]. When `deadline` passes without an answer, the connection is closed,
    /// since all later answers would be stuck behind this one.
    ///
    /// # Errors
    /// Kind `Busy` with too many requests outstanding, `Disconnected` on a closed connection, `Encode` for a request
    /// that the version can't express, `Timeout` where the deadline has passed already. In all four nothing was sent.
    pub fn submit<R: Request>(
        &self,
        request: &R,
        version: i16,
        deadline: Instant,
    ) -> Result<Reply<R>, Error> {
        let now = self.in_time(deadline)?;
        let (waiter, answer) = self.waiter()?;
        let (frame, correlation_id) = self.encode(request, version)?;
        let expected =
            Expected { correlation_id, api: R::API, version, since: now, deadline, begun: false, waiter };
        self.hand_over(Submitted::Call { frame, expected }, now)?;
        Ok(Reply { answer, version, connection: self.clone(), request: PhantomData })
    }

    /// Encodes and hands over now a request that the broker does not answer, such as Produce with `acks=0`.
    ///
    /// # Errors
    /// As of [`Connection::submit`].
    pub fn submit_one_way<R: Request>(
        &self,
        request: &R,
        version: i16,
        deadline: Instant,
    ) -> Result<Sent, Error> {
        let now = self.in_time(deadline)?;
        let (waiter, written) = self.waiter()?;
        let (frame, _) = self.encode(request, version)?;
        let submitted = Submitted::OneWay { frame, one_way: OneWay { deadline, waiter } };
        self.hand_over(submitted, now)?;
        Ok(Sent { written, connection: self.clone() })
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.0.wire.end().is_some()
    }

    /// Waits until the connection has ended.
    ///
    /// # Cancel safety
    /// Safe: it only watches.
    pub async fn closed(&self) {
        // Nothing is ever sent: the error says that the task is gone, and before that the connection ended.
        let _ = self.0.alive.clone().changed().await;
    }

    pub(crate) fn end(&self) -> Option<End> {
        self.0.wire.end().cloned()
    }

    /// Requests unwritten or unanswered.
    pub(crate) fn outstanding(&self) -> usize {
        MAX_OUTSTANDING - self.0.room.available_permits()
    }

    /// The time, unless it is too late to send anything: a request that is overdue would close the connection for all.
    fn in_time(&self, deadline: Instant) -> Result<Instant, Error> {
        let now = runtime::now();
        if deadline > now {
            return Ok(now);
        }
        let message =
            format!("the deadline of a request to {} had passed before it was sent", self.0.address);
        Err(Error::new(ErrorKind::Timeout, message))
    }

    fn waiter<T>(&self) -> Result<(Waiter<T>, Outcome<T>), Error> {
        let Ok(_room) = Arc::clone(&self.0.room).try_acquire_owned() else {
            let message = format!("{MAX_OUTSTANDING} requests to {} are unanswered already", self.0.address);
            return Err(Error::new(ErrorKind::Busy, message));
        };
        let (waiting, outcome) = oneshot::channel();
        Ok((Waiter { waiting, _room }, outcome))
    }

    fn encode<R: Request>(&self, request: &R, version: i16) -> Result<(Frame, i32), Error> {
        let cannot = |what: String| Error::new(ErrorKind::Encode, what);
        if !R::API.versions.contains(version) {
            return Err(cannot(format!("{} has no version {version}", R::API.key)));
        }
        let correlation_id = self.0.next_correlation.fetch_add(1, Ordering::Relaxed);
        let frame = encode_request(request, version, correlation_id, Some(&self.0.client_id))
            .map_err(|error| cannot(format!("cannot encode {} v{version}", R::API.key)).with_cause(error))?;
        Ok((frame, correlation_id))
    }

    fn hand_over(&self, submitted: Submitted, now: Instant) -> Result<(), Error> {
        self.0.wire.submit(submitted, now).map_err(|Refused| self.disconnected(false))
    }

    /// The error for a request that was refused.
    fn disconnected(&self, possibly_written: bool) -> Error {
        let error =
            Error::new(ErrorKind::Disconnected, format!("the connection to {} is closed", self.0.address));
        match self.end() {
            Some(end) => error.with_cause(end.error),
            None => error,
        }
        .with_possibly_written(possibly_written)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.0.address)
    }
}

/// The future of an answer.
///
/// # Cancel safety
/// Dropping it drops the answer; the request is sent and the connection stays usable.
///
/// # Errors
/// Kind `Timeout` when the request's deadline passed, `Disconnected` when the connection ended, `Protocol` for an answer
/// that can't be decoded.
#[must_use = "a reply does nothing unless awaited"]
pub struct Reply<R> {
    answer: Outcome<Bytes>,
    version: i16,
    /// Keeps the connection open until the answer is here.
    connection: Connection,
    request: PhantomData<fn() -> R>,
}

impl<R: Request> Reply<R> {
    fn decode(&self, frame: &Bytes) -> Result<R::Response, Error> {
        split_response(frame, R::API, self.version)
            .and_then(|(_, body)| decode_response::<R>(&body, self.version))
            .map_err(|error| {
                let address = &self.connection.0.address;
                let message = format!(
                    "{address} answered {} v{} with what cannot be decoded",
                    R::API.key,
                    self.version
                );
                Error::new(ErrorKind::Protocol, message).with_cause(error).with_possibly_written(true)
            })
    }
}

impl<R: Request> Future for Reply<R> {
    type Output = Result<R::Response, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(cx).map(|answer| match answer {
            Ok(answer) => self.decode(&answer?),
            Err(_) => Err(self.connection.disconnected(true)),
        })
    }
}

impl<R: Request> fmt::Debug for Reply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({} v{} from {})", R::API.key, self.version, self.connection.0.address)
    }
}

/// Resolves when a request without an answer was written to the connection's stream, which may still hold some of it, as
/// TLS does.
///
/// # Cancel safety
/// Dropping it changes nothing about the request.
///
/// # Errors
/// Kind `Timeout` or `Disconnected`; [`Error::possibly_written`] tells whether some of it went out.
#[must_use = "without awaiting it nobody learns whether the request went out"]
#[derive(Debug)]
pub struct Sent {
    written: Outcome<()>,
    connection: Connection,
}

impl Future for Sent {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let written = Pin::new(&mut self.written).poll(cx);
        written.map(|written| written.unwrap_or_else(|_| Err(self.connection.disconnected(true))))
    }
}
