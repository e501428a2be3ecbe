//! From an address to a connection: dial, then shake hands, within one deadline.

use std::sync::Arc;
use std::sync::atomic::AtomicI32;
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::api::Request;
use ottla_protocol::header::{encode_request, split_response};
use ottla_protocol::messages::api_versions::ApiVersionsRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, watch};

use super::connection::{Address, Connection, MAX_OUTSTANDING, Shared};
use super::dial::{Dial, Stream};
use super::frame::FrameReader;
use super::handshake::{ApiTable, Handshake};
use super::spares::Spares;
use super::task::Task;
use super::wire::Wire;
use crate::error::{Error, ErrorKind};
use crate::runtime;

/// The largest frame that a handshake needs.
const MAX_HANDSHAKE_FRAME: usize = 4 << 20;

/// How far a connection that is being set up has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Dial,
    Handshake,
}

/// What all connections of a client have in common.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) client_id: Arc<str>,
    pub(crate) max_frame: usize,
    pub(crate) max_idle: Duration,
    /// Buffers of answers, for the next ones.
    pub(crate) spares: Spares,
}

/// Sets up a connection and starts its task.
pub(super) async fn establish(
    dialer: &dyn Dial,
    address: Arc<Address>,
    settings: &Settings,
    budget: Duration,
    mut reached: impl FnMut(Stage),
) -> Result<Connection, Error> {
    let deadline = runtime::now() + budget;
    let node = (address.node >= 0).then_some(address.node);
    reached(Stage::Dial);
    let dialled =
        runtime::until(deadline, dialer.dial_within(node, &address.host, address.port, budget)).await;
    let mut stream = dialled.unwrap_or_else(|| Err(late(Stage::Dial, &address, budget)))?;
    reached(Stage::Handshake);
    let mut reader = FrameReader::new(settings.max_frame.min(MAX_HANDSHAKE_FRAME));
    let mut correlation_id = 0;
    let shaken =
        runtime::until(deadline, shake(&mut *stream, &mut reader, &settings.client_id, &mut correlation_id));
    let apis = match shaken.await {
        Some(Ok(apis)) => apis,
        Some(Err(error)) => {
            let retriable = error.is_retriable();
            let message = format!("the ApiVersions handshake with {address} failed");
            return Err(Error::new(ErrorKind::Handshake, message)
                .with_cause(error)
                .with_retriable(retriable));
        }
        None => return Err(late(Stage::Handshake, &address, budget)),
    };
    let (connection, task) = assemble(address, (stream, reader), (apis, correlation_id), settings);
    runtime::detach(task.run());
    Ok(connection)
}

/// A connection and its task, after the handshake, which left `reader` and the next correlation id behind.
pub(super) fn assemble(
    address: Arc<Address>,
    (stream, reader): (Box<dyn Stream>, FrameReader),
    (apis, correlation_id): (ApiTable, i32),
    settings: &Settings,
) -> (Connection, Task) {
    let wire = Arc::new(Wire::new(Arc::clone(&address), stream, settings.max_idle));
    let (alive, watched) = watch::channel(());
    let reader = reader.with_max(settings.max_frame).with_spares(settings.spares.clone());
    let task = Task::new(Arc::clone(&wire), reader, alive);
    let connection = Connection::new(Shared {
        address,
        apis,
        client_id: Arc::clone(&settings.client_id),
        next_correlation: AtomicI32::new(correlation_id),
        wire,
        room: Arc::new(Semaphore::new(MAX_OUTSTANDING)),
        alive: watched,
    });
    (connection, task)
}

/// The error of a connection that was not set up in time.
pub(super) fn late(stage: Stage, address: &Address, waited: Duration) -> Error {
    let waited = runtime::spoken(waited);
    match stage {
        Stage::Dial => Error::new(ErrorKind::Connect, format!("no connection to {address} within {waited}")),
        Stage::Handshake => {
            let message =
                format!("no answer from {address} to ApiVersions within {waited}: is this a Kafka broker?");
            Error::new(ErrorKind::Handshake, message).with_retriable(true)
        }
    }
}

async fn shake(
    stream: &mut dyn Stream,
    reader: &mut FrameReader,
    client_id: &str,
    correlation_id: &mut i32,
) -> Result<ApiTable, Error> {
    let mut handshake = Handshake::new();
    loop {
        if let Some(apis) = handshake.poll_ready() {
            return Ok(apis);
        }
        if let Some((request, version)) = handshake.poll_request() {
            let frame =
                encode_request(&request, version, *correlation_id, Some(client_id)).map_err(|error| {
                    Error::new(ErrorKind::Encode, "cannot encode ApiVersions").with_cause(error)
                })?;
            // `Writer::finish` lets no frame be longer than an `i32` can say.
            let message = [&(frame.len() as u32).to_be_bytes()[..], &frame.to_bytes()].concat();
            stream.write_all(&message).await.map_err(broken)?;
            stream.flush().await.map_err(broken)?;
        }
        let frame = read_frame(stream, reader).await?;
        let (header, body) = split_response(&frame, ApiVersionsRequest::API, 0)
            .map_err(|error| Error::new(ErrorKind::Handshake, "no Kafka answer").with_cause(error))?;
        if header.correlation_id != *correlation_id {
            return Err(Error::new(
                ErrorKind::Handshake,
                format!(
                    "the answer names request {} instead of {correlation_id}: no Kafka broker?",
                    header.correlation_id
                ),
            ));
        }
        *correlation_id += 1;
        handshake.handle_response(&body)?;
    }
}

async fn read_frame(stream: &mut dyn Stream, reader: &mut FrameReader) -> Result<Bytes, Error> {
    loop {
        let next = reader.next_frame();
        let bad = |error| Error::new(ErrorKind::Handshake, "what came is no Kafka answer").with_cause(error);
        if let Some(frame) = next.map_err(bad)? {
            return Ok(frame);
        }
        if stream.read_buf(&mut reader.buffer()).await.map_err(broken)? == 0 {
            let message = "the peer closed the connection without an answer: \
                           is this a listener for TLS or SASL, or no Kafka broker at all?";
            return Err(Error::new(ErrorKind::Disconnected, message));
        }
    }
}

fn broken(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Disconnected, "the connection broke").with_cause(error)
}
