//! Plain TCP.
//!
//! Guarantee: a connection whose peer, or whose way there, is gone without a word ends within two minutes, also one on
//! which nothing is sent for longer, as while a JoinGroup is held; and no gateway on the way takes it for idle.
//!
//! Sources: KIP-601 (setup timeout), KIP-602 (all DNS answers).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use super::dial::{Dial, DialFuture, Stream};
use crate::error::{Error, ErrorKind};
use crate::metadata::NodeId;
use crate::runtime;

/// How long a connection is quiet before the system asks whether the peer is there: well below what gateways take for
/// idle (some minutes).
const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);

/// How often it asks while there is no answer, up to a number of times that the system decides (9 on Linux).
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Dials over TCP. A name is resolved anew each time and all of its addresses are tried in turn, each time beginning
/// with another one, so that one address that accepts but never answers doesn't block the others for good.
#[derive(Debug)]
pub struct TcpDialer {
    timeout: Duration,
    /// How often each name was dialled. As large as the cluster is.
    dialled: Mutex<HashMap<(String, u16), usize>>,
}

impl TcpDialer {
    /// Dials with `timeout` for all addresses of a name together, unless a client gives more time.
    pub fn new(timeout: Duration) -> TcpDialer {
        TcpDialer { timeout, dialled: Mutex::default() }
    }

    async fn connect(&self, host: &str, port: u16, timeout: Duration) -> Result<TcpStream, Error> {
        let deadline = runtime::now() + timeout;
        let took = || runtime::spoken(timeout);
        let mut addresses: Vec<SocketAddr> =
            match runtime::until(deadline, tokio::net::lookup_host((host, port))).await {
                Some(Ok(addresses)) => addresses.collect(),
                Some(Err(error)) => return Err(unresolved(host, port).with_cause(error)),
                None => {
                    return Err(Error::new(
                        ErrorKind::Dns,
                        format!("no answer about `{host}` ({host}:{port}) within {}", took()),
                    ));
                }
            };
        if addresses.is_empty() {
            return Err(unresolved(host, port));
        }
        let first = self.rotation(host, port) % addresses.len();
        addresses.rotate_left(first);
        let count = addresses.len();
        let mut last = None;
        for (tried, address) in addresses.into_iter().enumerate() {
            // What is left is shared by those that are left, so that a silent address leaves time for the next.
            let now = runtime::now();
            let share =
                deadline.saturating_duration_since(now) / u32::try_from(count - tried).unwrap_or(u32::MAX);
            let failed = |what: String| Error::new(ErrorKind::Connect, what);
            match runtime::until(now + share, TcpStream::connect(address)).await {
                Some(Ok(stream)) => {
                    tune(&stream);
                    return Ok(stream);
                }
                Some(Err(error)) => {
                    last = Some(failed(format!("cannot connect to {address}")).with_cause(error))
                }
                None => {
                    let share = runtime::spoken(share);
                    last = Some(failed(format!("no answer from {address} within {share}")));
                }
            }
        }
        let tried = match count {
            1 => String::new(),
            count => format!(" at any of {count} addresses"),
        };
        let error = Error::new(ErrorKind::Connect, format!("cannot connect to {host}:{port}{tried}"));
        Err(match last {
            Some(last) => error.with_cause(last),
            None => error,
        })
    }

    fn rotation(&self, host: &str, port: u16) -> usize {
        let mut dialled = self.dialled.lock().unwrap_or_else(PoisonError::into_inner);
        let count = dialled.entry((host.to_owned(), port)).or_default();
        *count += 1;
        *count - 1
    }
}

impl Dial for TcpDialer {
    fn dial<'a>(&'a self, node: Option<NodeId>, host: &'a str, port: u16) -> DialFuture<'a> {
        self.dial_within(node, host, port, self.timeout)
    }

    fn dial_within<'a>(
        &'a self,
        _node: Option<NodeId>,
        host: &'a str,
        port: u16,
        budget: Duration,
    ) -> DialFuture<'a> {
        Box::pin(async move {
            let stream = self.connect(host, port, budget).await?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

/// What a system refuses here costs no more than time.
fn tune(stream: &TcpStream) {
    // Without it small requests wait for the acknowledgement of earlier ones.
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER);
    #[cfg(any(
        target_os = "android",
        target_os = "freebsd",
        target_os = "ios",
        target_os = "linux",
        target_os = "macos",
        target_os = "windows",
    ))]
    let keepalive = keepalive.with_interval(KEEPALIVE_INTERVAL);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

fn unresolved(host: &str, port: u16) -> Error {
    Error::new(
        ErrorKind::Dns,
        format!("`{host}` ({host}:{port}) has no address; check the name and the resolver"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn small_requests_go_out_at_once_and_quiet_connections_are_probed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let timeout = Duration::from_secs(5);
        let stream = TcpDialer::new(timeout).connect("127.0.0.1", port, timeout).await.unwrap();
        let socket = SockRef::from(&stream);
        assert_eq!((stream.nodelay().unwrap(), socket.keepalive().unwrap()), (true, true));
        #[cfg(target_os = "linux")]
        assert_eq!(
            (socket.tcp_keepalive_time().unwrap(), socket.tcp_keepalive_interval().unwrap()),
            (KEEPALIVE_AFTER, KEEPALIVE_INTERVAL)
        );
    }
}
