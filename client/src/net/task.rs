//! The task that owns a connection's stream.
//!
//! Reading and writing go on independently within one task, so a broker that stops reading while it writes stalls
//! nothing. All requests that are ready go out in one vectored write.
//!
//! Guarantee: every request handed to the task is answered exactly once: by the broker, by its deadline, or by the cause
//! of the connection's end.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_protocol::api::ApiKey;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio::time::Sleep;

use super::connection::{Address, End, Submitted, Waiter};
use super::dial::Stream;
use super::frame::{BadLength, FrameReader};
use super::in_flight::{Expected, InFlight, Mismatch};
use super::outbox::Outbox;
use crate::error::{Error, ErrorKind};
use crate::runtime;

/// Slices of one vectored write.
const SLICES: usize = 64;
/// Reads before other tasks of the thread get their turn.
const READS: usize = 16;

pub(super) struct Task {
    pub(super) address: Arc<Address>,
    pub(super) stream: Box<dyn Stream>,
    pub(super) reader: FrameReader,
    pub(super) queue: mpsc::UnboundedReceiver<Submitted>,
    pub(super) end: watch::Sender<Option<End>>,
    pub(super) max_idle: Duration,
    state: State,
}

struct State {
    outbox: Outbox<Waiter<()>>,
    in_flight: InFlight<Waiter<Bytes>>,
    unflushed: bool,
    /// All handles and replies are gone.
    released: bool,
    last_used: Instant,
    timer: Pin<Box<Sleep>>,
}

/// Why the task ends.
enum Stop {
    Released,
    Idle,
    Overdue,
    Eof,
    Io(io::Error),
    BadLength(BadLength),
    Mismatch(Mismatch),
}

impl Task {
    pub(super) fn new(
        address: Arc<Address>,
        (stream, reader): (Box<dyn Stream>, FrameReader),
        queue: mpsc::UnboundedReceiver<Submitted>,
        end: watch::Sender<Option<End>>,
        max_idle: Duration,
    ) -> Self {
        let now = runtime::now();
        let state = State {
            outbox: Outbox::new(),
            in_flight: InFlight::new(),
            unflushed: false,
            released: false,
            last_used: now,
            timer: Box::pin(tokio::time::sleep_until((now + max_idle).into())),
        };
        Task { address, stream, reader, queue, end, max_idle, state }
    }

    pub(super) async fn run(mut self) {
        let stop = std::future::poll_fn(|cx| self.poll(cx)).await;
        self.finish(stop).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        while !self.state.released {
            match self.queue.poll_recv(cx) {
                Poll::Ready(Some(submitted)) => self.state.take(submitted),
                Poll::Ready(None) => self.state.released = true,
                Poll::Pending => break,
            }
        }
        if let Poll::Ready(Err(error)) = self.poll_write(cx) {
            return Poll::Ready(Stop::Io(error));
        }
        if let Poll::Ready(stop) = self.poll_read(cx) {
            return Poll::Ready(stop);
        }
        if self.state.released && self.state.outbox.is_empty() && !self.state.unflushed {
            return Poll::Ready(Stop::Released);
        }
        self.state.poll_timer(self.max_idle, cx)
    }

    /// Ready when nothing is left to write.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let State { outbox, in_flight, unflushed, .. } = &mut self.state;
        while !outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = outbox.slices(&mut slices);
            let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &slices[..filled]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *unflushed = true;
            let progress = outbox.advance(written);
            (0..progress.begun).for_each(|_| in_flight.begin());
            progress.sent.into_iter().for_each(|waiter| waiter.tell(Ok(())));
        }
        if *unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            *unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when the connection can't go on.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        for _ in 0..READS {
            let mut buffer = self.reader.buffer();
            // The future keeps nothing between polls, so it can be made anew for each.
            let read = std::pin::pin!(self.stream.read_buf(&mut buffer));
            match ready!(read.poll(cx)) {
                Ok(0) => return Poll::Ready(Stop::Eof),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Stop::Io(error)),
            }
            loop {
                match self.reader.next_frame() {
                    Ok(Some(frame)) => {
                        if let Err(mismatch) = self.state.deliver(frame) {
                            return Poll::Ready(Stop::Mismatch(mismatch));
                        }
                    }
                    Ok(None) => break,
                    Err(bad) => return Poll::Ready(Stop::BadLength(bad)),
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Tells everybody that the connection ended, and why.
    async fn finish(mut self, stop: Stop) {
        let now = runtime::now();
        let idle = matches!(stop, Stop::Idle | Stop::Released);
        let error = self.cause(stop, now);
        tracing::debug!(broker = %self.address, cause = %error, "connection closed");
        // Whoever finds the queue closed must find the cause.
        self.end.send_replace(Some(End { error: error.clone(), at: now, idle }));
        self.queue.close();
        let lost = |possibly_written| {
            Error::new(ErrorKind::Disconnected, format!("the connection to {} ended", self.address))
                .with_cause(error.clone())
                .with_possibly_written(possibly_written)
        };
        for (one_way, begun) in self.state.outbox.drain() {
            let overdue = one_way.deadline <= now;
            let error = if overdue { self.address.overdue_write(begun) } else { lost(begun) };
            one_way.waiter.tell(Err(error));
        }
        for (expected, overdue) in self.state.in_flight.drain(now) {
            let error = if overdue { self.address.overdue(&expected) } else { lost(expected.begun) };
            expected.waiter.tell(Err(error));
        }
        drop(self.stream);
        // A submission that found the queue open may not have arrived in it: only `recv` waits for such.
        while let Some(submitted) = self.queue.recv().await {
            match submitted {
                Submitted::Call { expected, .. } => expected.waiter.tell(Err(lost(false))),
                Submitted::OneWay { one_way, .. } => one_way.waiter.tell(Err(lost(false))),
            }
        }
    }

    fn cause(&self, stop: Stop, now: Instant) -> Error {
        let Task { address, state, max_idle, .. } = self;
        let disconnected = |message: String| Error::new(ErrorKind::Disconnected, message);
        let protocol = |what: &str| Error::new(ErrorKind::Protocol, format!("{address} {what}"));
        match stop {
            Stop::Released => disconnected(format!("nobody uses the connection to {address} any more")),
            Stop::Idle => {
                let idle = runtime::spoken(*max_idle);
                disconnected(format!(
                    "the connection to {address} was idle for {idle} and closed by this client"
                ))
            }
            Stop::Eof => disconnected(format!("{address} closed the connection")),
            Stop::Io(error) => disconnected(format!("the connection to {address} broke")).with_cause(error),
            Stop::BadLength(error) => protocol("sent what is no frame").with_cause(error),
            Stop::Mismatch(error) => protocol("answered out of order").with_cause(error),
            Stop::Overdue => match state.in_flight.overdue(now) {
                Some(expected) => address.overdue(expected),
                None => address.overdue_write(true),
            },
        }
    }
}

impl State {
    fn take(&mut self, submitted: Submitted) {
        self.last_used = runtime::now();
        match submitted {
            Submitted::Call { frame, expected } => {
                self.outbox.push(frame);
                self.in_flight.push(expected);
            }
            Submitted::OneWay { frame, one_way } => self.outbox.push_one_way(frame, one_way),
        }
    }

    fn deliver(&mut self, frame: Bytes) -> Result<(), Mismatch> {
        // `FrameReader` lets no frame be shorter than its correlation id.
        let correlation_id = frame.first_chunk().map_or(-1, |bytes| i32::from_be_bytes(*bytes));
        let expected = self.in_flight.answer(correlation_id)?;
        expected.waiter.tell(Ok(frame));
        if self.in_flight.is_empty() {
            self.last_used = runtime::now();
        }
        Ok(())
    }

    /// Ready when something is overdue. The timer may be early, never late: it is moved only towards now, or once it
    /// has fired.
    fn poll_timer(&mut self, max_idle: Duration, cx: &mut Context<'_>) -> Poll<Stop> {
        loop {
            let requests =
                [self.in_flight.poll_deadline(), self.outbox.poll_deadline()].into_iter().flatten().min();
            let due = requests.unwrap_or(self.last_used + max_idle);
            if due < self.timer.deadline().into_std() {
                self.timer.as_mut().reset(due.into());
            }
            ready!(self.timer.as_mut().poll(cx));
            let now = runtime::now();
            if due > now {
                self.timer.as_mut().reset(due.into());
                continue;
            }
            let busy = !self.in_flight.is_empty() || !self.outbox.is_empty();
            return Poll::Ready(if busy { Stop::Overdue } else { Stop::Idle });
        }
    }
}

impl Address {
    fn overdue<W>(&self, expected: &Expected<W>) -> Error {
        let Expected { api, version, deadline, since, begun, .. } = expected;
        let within = runtime::spoken(deadline.saturating_duration_since(*since));
        let done = if *begun { "answer" } else { "take" };
        Error::new(
            ErrorKind::Timeout,
            format!("{self} did not {done} {} v{version} within {within}", api.key),
        )
        .with_possibly_written(*begun)
    }

    fn overdue_write(&self, begun: bool) -> Error {
        Error::new(
            ErrorKind::Timeout,
            format!("{self} did not take a {} without acknowledgement in time", ApiKey::PRODUCE),
        )
        .with_possibly_written(begun)
    }
}
