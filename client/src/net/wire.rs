//! What the handles of a connection and its task share: the stream, the requests, and whether there is a connection still.
//!
//! While nothing else is under way, whoever submits a small request writes it as well: that spares a switch to the task
//! before the bytes leave. All else is left to the task, so that a burst of requests still goes out in few vectored writes
//! while the next ones are encoded.
//!
//! Guarantees: requests reach the stream in the order in which they were taken, as taking and writing happen under one
//! lock; a request is taken or refused, and each one that was taken is answered exactly once: by the broker, by its
//! deadline, or by the cause of the connection's end, for the end closes the gate and takes out who waits in one step;
//! whoever finds the connection closed finds the cause. Nobody awaits, is told or is woken under the lock.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use bytes::buf::BufMut;
use tokio::time::Sleep;

use super::connection::{Address, End, Submitted, Waiter};
use super::dial::Stream;
use super::in_flight::Mismatch;
use super::line::{Left, Line};
use super::stop::Stop;
use crate::runtime;

/// Requests of up to this many bytes are written by whoever submits them.
pub(super) const DIRECT_UP_TO: usize = 16 << 10;

pub(super) struct Wire {
    address: Arc<Address>,
    max_idle: Duration,
    /// `None` once the connection has ended.
    open: Mutex<Option<Open>>,
    /// Set before `open` is `None` to anybody.
    end: OnceLock<End>,
}

struct Open {
    line: Line,
    /// The task, before its first turn `None`. Whoever writes does so in its name: a stream keeps one waker for writing,
    /// and with another's in it the task would not hear of room.
    task: Option<Waker>,
    timer: Pin<Box<Sleep>>,
    last_used: Instant,
    /// All handles and replies are gone.
    released: bool,
}

/// The connection had ended, and the request was not taken.
#[derive(Debug)]
pub(super) struct Refused;

/// What the task finds when it has written what it could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WayOut {
    Open,
    /// A write failed before this turn: what has arrived is still to be read, then the connection is over.
    Broken,
}

impl Wire {
    pub(super) fn new(address: Arc<Address>, stream: Box<dyn Stream>, max_idle: Duration) -> Self {
        let now = runtime::now();
        let open = Open {
            line: Line::new(stream),
            task: None,
            timer: Box::pin(tokio::time::sleep_until((now + max_idle).into())),
            last_used: now,
            released: false,
        };
        Wire { address, max_idle, open: Mutex::new(Some(open)), end: OnceLock::new() }
    }

    /// Why the connection ended, if it has. Takes no lock.
    pub(super) fn end(&self) -> Option<&End> {
        self.end.get()
    }

    /// Takes a request, and writes it if the connection is idle.
    pub(super) fn submit(&self, submitted: Submitted, now: Instant) -> Result<(), Refused> {
        let woken = match &mut *self.lock() {
            Some(open) => open.submit(submitted, now),
            None => return Err(Refused),
        };
        if let Some(task) = woken {
            task.wake();
        }
        Ok(())
    }

    /// All handles and replies are gone.
    pub(super) fn release(&self) {
        let task = self.lock().as_mut().and_then(|open| {
            open.released = true;
            open.task.clone()
        });
        if let Some(task) = task {
            task.wake();
        }
    }

    /// For the task: writes what the stream takes.
    pub(super) fn write(&self, cx: &mut Context<'_>) -> WayOut {
        let mut way_out = WayOut::Open;
        let sent = self.lock().as_mut().map_or_else(Vec::new, |open| {
            if !open.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
                open.task = Some(cx.waker().clone());
            }
            if open.line.is_broken() {
                way_out = WayOut::Broken;
            } else if open.line.poll_write(cx).is_ready() && open.line.is_broken() {
                // The turn after this one has its whole share of work for reading what has arrived.
                cx.waker().wake_by_ref();
            }
            open.line.take_sent()
        });
        sent.into_iter().for_each(|waiter| waiter.tell(Ok(())));
        way_out
    }

    /// For the task: reads some bytes.
    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut (impl BufMut + ?Sized),
    ) -> Poll<io::Result<usize>> {
        self.lock().as_mut().map_or(Poll::Ready(Ok(0)), |open| open.line.poll_read(cx, buffer))
    }

    /// For the task: an answer came.
    pub(super) fn answer(&self, frame: Bytes) -> Result<(), Mismatch> {
        let waiter = match &mut *self.lock() {
            Some(open) => open.answer(&frame)?,
            None => return Ok(()),
        };
        waiter.tell(Ok(frame));
        Ok(())
    }

    /// For the task: ends the connection if nobody uses it, if a request is overdue, or if it was idle for too long.
    pub(super) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut gate = self.lock();
        if let Some(open) = &mut *gate {
            let stop = ready!(open.poll_stop(self.max_idle, cx));
            self.close(gate, stop);
        }
        Poll::Ready(())
    }

    /// Ends the connection, unless it has ended.
    pub(super) fn stop(&self, stop: Stop) {
        self.close(self.lock(), stop);
    }

    /// Takes everything out of the gate, and tells everybody that the connection ended, and why.
    fn close(&self, mut gate: MutexGuard<'_, Option<Open>>, stop: Stop) {
        let Some(mut open) = gate.take() else { return };
        let (now, idle) = (runtime::now(), stop.is_idle());
        let error = stop.cause(&self.address, self.max_idle, &mut open.line, now);
        let _ = self.end.set(End { error: error.clone(), at: now, idle });
        drop(gate);
        tracing::debug!(broker = %self.address, cause = %error, "connection closed");
        let Left { sent, one_ways, expected } = open.line.close(now);
        sent.into_iter().for_each(|waiter| waiter.tell(Ok(())));
        for (one_way, begun) in one_ways {
            let overdue = one_way.deadline <= now;
            let error =
                if overdue { self.address.overdue_write(begun) } else { self.address.lost(&error, begun) };
            one_way.waiter.tell(Err(error));
        }
        for (expected, overdue) in expected {
            let error = if overdue {
                self.address.overdue(&expected)
            } else {
                self.address.lost(&error, expected.begun)
            };
            expected.waiter.tell(Err(error));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        // Only a stream can panic here; then the task finds the stream as the panic left it, and at worst its deadline.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Takes a request; says whom to wake for it.
    fn submit(&mut self, submitted: Submitted, now: Instant) -> Option<Waker> {
        let direct = self.line.is_idle() && submitted.is_call_up_to(DIRECT_UP_TO);
        let sooner = submitted.deadline() < self.timer.deadline().into_std();
        self.last_used = now;
        self.line.push(submitted);
        // Without a task, its first turn finds the request.
        let task = self.task.as_ref()?;
        let written = direct && self.line.poll_write(&mut Context::from_waker(task)).is_ready();
        let done = written && !self.line.is_broken() && !sooner;
        (!done).then(|| task.clone())
    }

    fn answer(&mut self, frame: &[u8]) -> Result<Waiter<Bytes>, Mismatch> {
        let waiter = self.line.answer(frame)?;
        if self.line.is_answered() {
            self.last_used = runtime::now();
        }
        Ok(waiter)
    }

    /// Ready when nobody uses the connection or something is overdue. The timer may be early, never late: it is moved only
    /// towards now, or once it has fired, and whoever submits what is due before it wakes the task.
    fn poll_stop(&mut self, max_idle: Duration, cx: &mut Context<'_>) -> Poll<Stop> {
        if self.released && self.line.is_written() {
            return Poll::Ready(Stop::Released);
        }
        loop {
            let requests = self.line.poll_deadline();
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
            return Poll::Ready(if requests.is_some() { Stop::Overdue } else { Stop::Idle });
        }
    }
}
