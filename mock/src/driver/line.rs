//! One connection: frames from the stream to the cluster, answers back.

use std::io::{self, IoSlice};
use std::sync::Weak;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::sync::mpsc;

use super::{Event, Shared};
use crate::cluster::ConnectionId;

/// Up to so many bytes, an announced frame is believed before it comes.
const FIRST_STEP: usize = 256 << 10;

/// The least that is read at once.
const CHUNK: usize = 4 << 10;

/// Serves a stream until either side closes it.
pub(super) async fn serve<S>(
    shared: Weak<Shared>,
    connection: ConnectionId,
    events: mpsc::UnboundedReceiver<Event>,
    stream: S,
    max_frame: usize,
) where
    S: AsyncRead + AsyncWrite + Send,
{
    let (reader, writer) = tokio::io::split(stream);
    let ready = Notify::new();
    // Which of the two ends first, and with what error, makes no difference: the connection is over.
    tokio::select! {
        _ = read_all(&shared, connection, reader, &ready, max_frame) => {}
        _ = write_all(events, writer, &ready) => {}
    }
    if let Some(shared) = shared.upgrade() {
        let mut guard = shared.lock();
        guard.disconnected(connection);
        guard.state.lines.remove(&connection);
    }
}

/// Reads one request at a time: the next one only when all before it are served.
async fn read_all(
    shared: &Weak<Shared>,
    connection: ConnectionId,
    mut reader: impl AsyncRead + Unpin,
    ready: &Notify,
    max_frame: usize,
) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        let frame = read_frame(&mut reader, &mut buffer, max_frame).await?;
        let Some(shared) = shared.upgrade() else { return Ok(()) };
        let time = super::now();
        shared.lock().handle(time, connection, frame);
        drop(shared);
        ready.notified().await;
    }
}

async fn read_frame(
    reader: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
    max_frame: usize,
) -> io::Result<Bytes> {
    let mut wanted = 4;
    let mut length = None;
    loop {
        while buffer.len() < wanted {
            // Of a long frame no more is reserved than as much again as came already.
            let left = wanted - buffer.len();
            buffer.reserve(left.clamp(CHUNK, buffer.len().max(FIRST_STEP)));
            if reader.read_buf(buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        match length {
            None => {
                let announced = usize::try_from(buffer.get_u32()).unwrap_or(usize::MAX);
                if announced > max_frame {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                length = Some(announced);
                wanted = announced;
            }
            Some(length) => return Ok(buffer.split_to(length).freeze()),
        }
    }
}

async fn write_all(
    mut events: mpsc::UnboundedReceiver<Event>,
    mut writer: impl AsyncWrite + Unpin,
    ready: &Notify,
) -> io::Result<()> {
    while let Some(event) = events.recv().await {
        match event {
            Event::Send(chunks) => write_chunks(&mut writer, chunks).await?,
            Event::Ready => ready.notify_one(),
            Event::Close => break,
        }
    }
    writer.shutdown().await
}

async fn write_chunks(writer: &mut (impl AsyncWrite + Unpin), mut chunks: Vec<Bytes>) -> io::Result<()> {
    let mut first = 0;
    while first < chunks.len() {
        let slices: Vec<IoSlice<'_>> =
            chunks[first..].iter().take(64).map(|chunk| IoSlice::new(chunk)).collect();
        let mut written = writer.write_vectored(&slices).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while written > 0 {
            let step = written.min(chunks[first].len());
            chunks[first].advance(step);
            written -= step;
            if chunks[first].is_empty() {
                first += 1;
            }
        }
    }
    writer.flush().await
}
