//! The task of a connection: reads, writes what submitters leave to it, and watches the deadlines.
//!
//! Reading and writing go on independently within one task, so a broker that stops reading while it writes stalls
//! nothing.
//!
//! Guarantees: what has arrived is read before a failed write ends the connection; however the task ends, also with its
//! runtime, the connection has ended and everybody was told.

use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::watch;

use super::frame::FrameReader;
use super::stop::Stop;
use super::wire::{WayOut, Wire};

/// Reads before other tasks of the thread get their turn.
const READS: usize = 16;

pub(super) struct Task {
    wire: Arc<Wire>,
    reader: FrameReader,
    /// Gone with the task, which those who wait for its end notice.
    _alive: watch::Sender<()>,
}

/// What a turn's reading came to.
enum Read {
    /// All that had arrived was read.
    Dry,
    /// There may be more; the task is woken already.
    More,
}

impl Task {
    pub(super) fn new(wire: Arc<Wire>, reader: FrameReader, alive: watch::Sender<()>) -> Self {
        Task { wire, reader, _alive: alive }
    }

    pub(super) async fn run(mut self) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let way_out = self.wire.write(cx);
        match self.read(cx) {
            Ok(Read::Dry) if way_out == WayOut::Broken => self.wire.stop(Stop::Broken),
            Ok(Read::Dry) => return self.wire.poll_end(cx),
            Ok(Read::More) => return Poll::Pending,
            Err(stop) => self.wire.stop(stop),
        }
        Poll::Ready(())
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<Read, Stop> {
        for _ in 0..READS {
            match self.wire.poll_read(cx, &mut self.reader.buffer()) {
                Poll::Pending => return Ok(Read::Dry),
                Poll::Ready(Ok(0)) => return Err(Stop::Eof),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Err(Stop::Io(error)),
            }
            while let Some(frame) = self.reader.next_frame().map_err(Stop::BadLength)? {
                self.wire.answer(frame).map_err(Stop::Mismatch)?;
            }
        }
        cx.waker().wake_by_ref();
        Ok(Read::More)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // Else those who wait would live in the wire, and the wire by those who wait.
        self.wire.stop(Stop::Abandoned);
    }
}
