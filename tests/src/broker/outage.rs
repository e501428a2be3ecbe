//! [`OutageDialer`]: a network that goes silent, and knows how many connections go through it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ottla::{Dial, DialFuture, NodeId};
use tokio::io::copy_bidirectional;
use tokio::sync::watch;

/// Bytes that the network takes from one side before the other has them.
const BUFFER: usize = 64 << 10;

/// Dials with another dialer. During an outage nothing passes in either direction, no connection ends, and none is
/// opened: what a host sees whose cable is pulled. After it the old connections end.
pub struct OutageDialer {
    dialer: Arc<dyn Dial>,
    silent: watch::Sender<bool>,
    open: Arc<AtomicUsize>,
    most: AtomicUsize,
}

impl OutageDialer {
    /// No outage yet.
    pub fn new(dialer: Arc<dyn Dial>) -> OutageDialer {
        OutageDialer {
            dialer,
            silent: watch::Sender::new(false),
            open: Default::default(),
            most: Default::default(),
        }
    }

    /// Begins an outage.
    pub fn silence(&self) {
        self.silent.send_replace(true);
    }

    /// Ends it.
    pub fn restore(&self) {
        self.silent.send_replace(false);
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// The most connections that were open at a time.
    pub fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

impl Dial for OutageDialer {
    fn dial<'a>(&'a self, node: Option<NodeId>, host: &'a str, port: u16) -> DialFuture<'a> {
        Box::pin(async move {
            let mut silent = self.silent.subscribe();
            // The sender is borrowed, so there is always one.
            let _ = silent.wait_for(|silent| !silent).await;
            let mut broker = self.dialer.dial(node, host, port).await?;
            let (client, mut ours) = tokio::io::duplex(BUFFER);
            self.most.fetch_max(self.open.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            let counted = Counted(Arc::clone(&self.open));
            tokio::spawn(async move {
                let _counted = counted;
                let falls_silent = async {
                    if silent.wait_for(|silent| *silent).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                };
                let is_silent = tokio::select! {
                    _ = copy_bidirectional(&mut ours, &mut broker) => false,
                    () = falls_silent => true,
                };
                if is_silent {
                    let _ = silent.wait_for(|silent| !silent).await;
                }
            });
            Ok(Box::new(client) as Box<_>)
        })
    }
}

impl fmt::Debug for OutageDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutageDialer")
            .field("silent", &*self.silent.borrow())
            .field("open", &self.open())
            .finish_non_exhaustive()
    }
}

/// One open connection.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    /// Gives the other ends to the test.
    #[derive(Debug, Default)]
    struct Pipes(Mutex<Vec<DuplexStream>>);

    impl Dial for Pipes {
        fn dial<'a>(&'a self, _node: Option<NodeId>, _host: &'a str, _port: u16) -> DialFuture<'a> {
            let (client, broker) = tokio::io::duplex(16);
            self.0.lock().unwrap().push(broker);
            Box::pin(std::future::ready(Ok(Box::new(client) as Box<_>)))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn during_an_outage_nothing_passes_and_nothing_is_opened_and_after_it_connections_end() {
        let pipes = Arc::new(Pipes::default());
        let dialer = OutageDialer::new(Arc::clone(&pipes) as Arc<_>);
        let mut client = dialer.dial(None, "a", 1).await.unwrap();
        let mut broker = pipes.0.lock().unwrap().remove(0);
        client.write_all(b"x").await.unwrap();
        assert_eq!((broker.read_u8().await.unwrap(), dialer.open()), (b'x', 1));

        dialer.silence();
        let short = Duration::from_secs(60);
        assert!(tokio::time::timeout(short, dialer.dial(None, "a", 1)).await.is_err());
        client.write_all(b"y").await.unwrap();
        assert!(tokio::time::timeout(short, broker.read_u8()).await.is_err());
        assert!(tokio::time::timeout(short, client.read_u8()).await.is_err());

        dialer.restore();
        assert!(broker.read_u8().await.is_err() && client.read_u8().await.is_err());
        drop(dialer.dial(None, "a", 1).await.unwrap());
        assert_eq!(dialer.most(), 1);
    }
}
