//! How a connection comes about: TCP, a tunnel, or a pipe in memory.

use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::Error;
use crate::metadata::NodeId;

/// A two-way stream of bytes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// The future of a stream.
pub type DialFuture<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn Stream>, Error>> + Send + 'a>>;

/// Opens streams to brokers.
pub trait Dial: Debug + Send + Sync + 'static {
    /// Opens a stream to a broker at `host:port`; `node` is its id, unless it is a bootstrap server.
    ///
    /// The client bounds the time, so the future may wait for as long as it wants. Errors should be of kind `Dns`,
    /// `Connect`, `Tls` or `Sasl` and name host and port.
    ///
    /// # Cancel safety
    /// The client drops the future when its time is up; whatever was opened must then be closed.
    fn dial<'a>(&'a self, node: Option<NodeId>, host: &'a str, port: u16) -> DialFuture<'a>;

    /// As [`Dial::dial`], for those who share their time among several addresses: the client drops the future after
    /// `budget`, which grows while a broker cannot be reached.
    ///
    /// # Cancel safety
    /// As of [`Dial::dial`].
    fn dial_within<'a>(
        &'a self,
        node: Option<NodeId>,
        host: &'a str,
        port: u16,
        budget: Duration,
    ) -> DialFuture<'a> {
        let _ = budget;
        self.dial(node, host, port)
    }
}
