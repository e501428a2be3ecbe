//! Connections that can all be gone at once, as those of a process that is killed.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use ottla_client::{Dial, DialFuture, NodeId, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::pipes::Pipes;

/// Ends all connections of a client for good, as the death of its process does: nothing that is on its way out leaves any
/// more, and no new connection comes about. Clones are handles of the same.
#[derive(Debug, Clone)]
pub struct Mortality(Arc<Mutex<Option<Vec<Weak<Line>>>>>);

/// Pipes to a cluster as long as nobody has killed them.
#[derive(Debug)]
pub(crate) struct MortalPipes {
    pipes: Pipes,
    mortality: Mortality,
}

/// A stream until it is killed.
struct Mortal(Arc<Line>);

struct Line(Mutex<State>);

struct State {
    stream: Option<Box<dyn Stream>>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Mortality {
    /// Kills.
    pub fn kill(&self) {
        let lines = lock(&self.0).take();
        for line in lines.iter().flatten().filter_map(Weak::upgrade) {
            let mut state = lock(&line.0);
            let gone = (state.stream.take(), state.reader.take(), state.writer.take());
            drop(state);
            let (stream, reader, writer) = gone;
            drop(stream);
            reader.into_iter().chain(writer).for_each(Waker::wake);
        }
    }

    fn add(&self, stream: Box<dyn Stream>) -> Option<Mortal> {
        let state = State { stream: Some(stream), reader: None, writer: None };
        let line = Arc::new(Line(Mutex::new(state)));
        let mut lines = lock(&self.0);
        let lines = lines.as_mut()?;
        lines.retain(|line| line.strong_count() > 0);
        lines.push(Arc::downgrade(&line));
        Some(Mortal(line))
    }
}

impl MortalPipes {
    /// These pipes, and what kills them.
    pub(crate) fn new(pipes: Pipes) -> (MortalPipes, Mortality) {
        let mortality = Mortality(Arc::new(Mutex::new(Some(Vec::new()))));
        (MortalPipes { pipes, mortality: mortality.clone() }, mortality)
    }
}

impl Dial for MortalPipes {
    fn dial<'a>(&'a self, node: Option<NodeId>, host: &'a str, port: u16) -> DialFuture<'a> {
        Box::pin(async move {
            let stream = self.pipes.dial(node, host, port).await?;
            match self.mortality.add(stream) {
                Some(mortal) => Ok(Box::new(mortal) as Box<dyn Stream>),
                // Who is dead connects no more, and is told nothing.
                None => std::future::pending().await,
            }
        })
    }
}

impl Mortal {
    fn with<T>(
        &self,
        waker: impl FnOnce(&mut State) -> &mut Option<Waker>,
        cx: &mut Context<'_>,
        act: impl FnOnce(Pin<&mut Box<dyn Stream>>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let mut state = lock(&self.0.0);
        if state.stream.is_some() {
            *waker(&mut state) = Some(cx.waker().clone());
        }
        match &mut state.stream {
            Some(stream) => act(Pin::new(stream), cx),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

impl AsyncRead for Mortal {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(|state| &mut state.reader, cx, |stream, cx| stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Mortal {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|state| &mut state.writer, cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|state| &mut state.writer, cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|state| &mut state.writer, cx, |stream, cx| stream.poll_shutdown(cx))
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
