//! A connection's stream, what waits to be written to it, and who waits for what comes back.
//!
//! All requests that are ready go out in one vectored write.
//!
//! Guarantee: requests are written in the order in which they were taken; one whose bytes may have left counts as begun,
//! also where the write that took them failed.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use bytes::buf::BufMut;
use tokio::io::{AsyncReadExt, AsyncWrite};

use super::connection::{Submitted, Waiter};
use super::dial::Stream;
use super::in_flight::{Expected, InFlight, Mismatch};
use super::outbox::{OneWay, Outbox};

/// Slices of one vectored write.
const SLICES: usize = 64;

/// What is written takes fewer steps of the system in one piece: so much is worth the copy.
pub(super) const ONE_PIECE: usize = 1 << 10;

pub(super) struct Line {
    stream: Box<dyn Stream>,
    outbox: Outbox<Waiter<()>>,
    in_flight: InFlight<Waiter<Bytes>>,
    unflushed: bool,
    /// Those whose frames were written. They are told by whoever has let go of the lock.
    sent: Vec<Waiter<()>>,
    /// Why a write failed: nothing is written any more.
    broken: Option<io::Error>,
}

/// Who is left behind on a connection that ended.
pub(super) struct Left {
    pub(super) sent: Vec<Waiter<()>>,
    /// Frames without an answer, with whether they had begun.
    pub(super) one_ways: Vec<(OneWay<Waiter<()>>, bool)>,
    /// Requests, with whether they were overdue.
    pub(super) expected: Vec<(Expected<Waiter<Bytes>>, bool)>,
}

impl Line {
    pub(super) fn new(stream: Box<dyn Stream>) -> Self {
        Line {
            stream,
            outbox: Outbox::new(),
            in_flight: InFlight::new(),
            unflushed: false,
            sent: Vec::new(),
            broken: None,
        }
    }

    /// Whether nothing waits to be written or to be answered.
    pub(super) fn is_idle(&self) -> bool {
        self.is_answered() && self.is_written() && self.broken.is_none()
    }

    /// Whether nobody waits for an answer.
    pub(super) fn is_answered(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Whether everything was written to the stream, and the stream was flushed.
    pub(super) fn is_written(&self) -> bool {
        self.outbox.is_empty() && !self.unflushed
    }

    /// Whether a write failed.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    pub(super) fn push(&mut self, submitted: Submitted) {
        match submitted {
            Submitted::Call { frame, expected } => {
                self.outbox.push(frame);
                self.in_flight.push(expected);
            }
            Submitted::OneWay { frame, one_way } => self.outbox.push_one_way(frame, one_way),
        }
    }

    /// Writes what the stream takes. Pending: `cx` is woken for the rest. After a failure the line is broken.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.broken.is_none() && !self.outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = self.outbox.slices(&mut slices);
            match poll_write_slices(&mut self.stream, &slices[..filled], cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => self.broken = Some(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => {
                    self.unflushed = true;
                    let progress = self.outbox.advance(written);
                    (0..progress.begun).for_each(|_| self.in_flight.begin());
                    self.sent.extend(progress.sent);
                }
                Poll::Ready(Err(error)) => {
                    (0..self.outbox.failed(filled)).for_each(|_| self.in_flight.begin());
                    self.broken = Some(error);
                }
            }
        }
        if self.broken.is_none() && self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => self.broken = Some(error),
            }
        }
        Poll::Ready(())
    }

    /// Reads some bytes.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut (impl BufMut + ?Sized),
    ) -> Poll<io::Result<usize>> {
        // The future keeps nothing between polls, so it can be made anew for each.
        pin!(self.stream.read_buf(buffer)).poll(cx)
    }

    /// Whose answer a frame is.
    pub(super) fn answer(&mut self, frame: &[u8]) -> Result<Waiter<Bytes>, Mismatch> {
        // `FrameReader` lets no frame be shorter than its correlation id.
        let correlation_id = frame.first_chunk().map_or(-1, |bytes| i32::from_be_bytes(*bytes));
        Ok(self.in_flight.answer(correlation_id)?.waiter)
    }

    /// When the next request is overdue.
    pub(super) fn poll_deadline(&self) -> Option<Instant> {
        [self.in_flight.poll_deadline(), self.outbox.poll_deadline()].into_iter().flatten().min()
    }

    /// The first request overdue at `now`.
    pub(super) fn overdue(&self, now: Instant) -> Option<&Expected<Waiter<Bytes>>> {
        self.in_flight.overdue(now)
    }

    /// Takes out those whose frames were written.
    pub(super) fn take_sent(&mut self) -> Vec<Waiter<()>> {
        std::mem::take(&mut self.sent)
    }

    /// Takes out why a write failed.
    pub(super) fn take_broken(&mut self) -> Option<io::Error> {
        self.broken.take()
    }

    /// Closes the stream.
    pub(super) fn close(mut self, now: Instant) -> Left {
        Left {
            sent: self.sent,
            one_ways: self.outbox.drain().collect(),
            expected: self.in_flight.drain(now).collect(),
        }
    }
}

/// Writes slices, of which a few small ones are put together first. Like any write it may take only some of the bytes.
fn poll_write_slices(
    stream: &mut Box<dyn Stream>,
    slices: &[IoSlice<'_>],
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let len: usize = slices.iter().map(|slice| slice.len()).sum();
    if slices.len() < 2 || len > ONE_PIECE {
        return Pin::new(stream).poll_write_vectored(cx, slices);
    }
    let (mut piece, mut at) = ([0; ONE_PIECE], 0);
    for slice in slices {
        piece[at..at + slice.len()].copy_from_slice(slice);
        at += slice.len();
    }
    Pin::new(stream).poll_write(cx, &piece[..len])
}
