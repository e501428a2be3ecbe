//! Connections that break at chosen points: a [`Dial`] whose streams each have a [`Fate`].

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use ottla::{Dial, DialFuture, NodeId};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::run::Dice;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// When something comes in for the n-th time, it is thrown away: the request was carried out, its answer is lost.
    Answer(u64),
    /// After so many bytes came in: an answer is lost half way.
    Read(u64),
    /// After so many bytes went out: the rest of a request never leaves.
    Write(u64),
}

/// Dials with another dialer, and cuts every connection at the point that its fate names.
pub struct CuttingDialer {
    dialer: Arc<dyn Dial>,
    fates: Mutex<(Dice, FateOf)>,
    cuts: Arc<AtomicU64>,
}

type FateOf = Box<dyn Fn(&mut Dice) -> Fate + Send>;

impl CuttingDialer {
    /// Draws each connection's fate with `fate`.
    pub fn new(
        dialer: Arc<dyn Dial>,
        dice: Dice,
        fate: impl Fn(&mut Dice) -> Fate + Send + 'static,
    ) -> CuttingDialer {
        CuttingDialer { dialer, fates: Mutex::new((dice, Box::new(fate))), cuts: Default::default() }
    }

    /// How many connections were cut.
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }
}

impl Dial for CuttingDialer {
    fn dial<'a>(&'a self, node: Option<NodeId>, host: &'a str, port: u16) -> DialFuture<'a> {
        Box::pin(async move {
            let stream = self.dialer.dial(node, host, port).await?;
            let fate = {
                let mut fates = self.fates.lock().unwrap_or_else(PoisonError::into_inner);
                let (dice, fate) = &mut *fates;
                fate(dice)
            };
            let cuts = Arc::clone(&self.cuts);
            Ok(Box::new(CutStream { stream: Some(stream), fate, cuts, reader: None }) as Box<_>)
        })
    }
}

impl fmt::Debug for CuttingDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CuttingDialer").field("cuts", &self.cuts()).finish_non_exhaustive()
    }
}

struct CutStream<S> {
    stream: Option<S>,
    fate: Fate,
    cuts: Arc<AtomicU64>,
    reader: Option<Waker>,
}

impl<S> CutStream<S> {
    fn cut(&mut self) -> io::Error {
        if self.stream.take().is_some() {
            self.cuts.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        io::Error::new(io::ErrorKind::ConnectionReset, "cut by the test")
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CutStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(stream) = this.stream.as_mut().filter(|_| this.fate != Fate::Read(0)) else {
            return Poll::Ready(Err(this.cut()));
        };
        let before = buf.filled().len();
        let Poll::Ready(read) = Pin::new(stream).poll_read(cx, buf) else {
            this.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        read?;
        let came = (buf.filled().len() - before) as u64;
        match &mut this.fate {
            Fate::Answer(left) if came > 0 && *left <= 1 => {
                buf.set_filled(before);
                return Poll::Ready(Err(this.cut()));
            }
            Fate::Answer(left) => *left -= u64::from(came > 0),
            Fate::Read(left) => {
                buf.set_filled(before + came.min(*left) as usize);
                *left = left.saturating_sub(came);
            }
            Fate::Write(_) => {}
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CutStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let Some(stream) = this.stream.as_mut().filter(|_| this.fate != Fate::Write(0)) else {
            return Poll::Ready(Err(this.cut()));
        };
        let most = match this.fate {
            Fate::Write(left) => buf.len().min(left as usize),
            Fate::Answer(_) | Fate::Read(_) => buf.len(),
        };
        let written = ready!(Pin::new(stream).poll_write(cx, &buf[..most]))?;
        if let Fate::Write(left) = &mut this.fate {
            *left -= written as u64;
        }
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match (&mut this.stream, this.fate) {
            (Some(stream), Fate::Answer(_) | Fate::Read(_)) => Pin::new(stream).poll_write_vectored(cx, bufs),
            _ => {
                let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| &**buf);
                self.poll_write(cx, first)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_flush(cx),
            None => Poll::Ready(Err(self.cut())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(fate: Fate, stream: &[u8]) -> CutStream<io::Cursor<Vec<u8>>> {
        CutStream {
            stream: Some(io::Cursor::new(stream.to_vec())),
            fate,
            cuts: Default::default(),
            reader: None,
        }
    }

    fn read(stream: &mut CutStream<io::Cursor<Vec<u8>>>, most: usize) -> Option<Vec<u8>> {
        let (mut bytes, cx) = (vec![0; most], &mut Context::from_waker(Waker::noop()));
        let mut buf = ReadBuf::new(&mut bytes);
        match Pin::new(stream).poll_read(cx, &mut buf) {
            Poll::Ready(result) => result.ok().map(|()| buf.filled().to_vec()),
            Poll::Pending => unreachable!("a cursor is always ready"),
        }
    }

    fn write(stream: &mut CutStream<io::Cursor<Vec<u8>>>, bytes: &[u8]) -> Option<usize> {
        match Pin::new(stream).poll_write(&mut Context::from_waker(Waker::noop()), bytes) {
            Poll::Ready(result) => result.ok(),
            Poll::Pending => unreachable!("a cursor is always ready"),
        }
    }

    #[test]
    fn a_stream_ends_as_its_fate_says() {
        let mut stream = cut(Fate::Answer(2), b"abcdef");
        assert_eq!((read(&mut stream, 4), read(&mut stream, 4)), (Some(b"abcd".to_vec()), None));
        assert_eq!((write(&mut stream, b"x"), stream.cuts.load(Ordering::Relaxed)), (None, 1));
        let mut stream = cut(Fate::Read(3), b"abcdef");
        assert_eq!((read(&mut stream, 4), read(&mut stream, 4)), (Some(b"abc".to_vec()), None));
        let mut stream = cut(Fate::Write(3), b"");
        assert_eq!((write(&mut stream, b"ab"), write(&mut stream, b"cd")), (Some(2), Some(1)));
        assert_eq!((write(&mut stream, b"d"), read(&mut stream, 1)), (None, None));
    }
}
