//! TCP: a listener for each broker, open while the broker runs.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::net::{TcpListener, lookup_host};
use tokio::sync::watch;

use super::{Mock, Shared};

/// How long to wait before trying again what the operating system refused.
const RETRY: Duration = Duration::from_millis(50);

/// Binds a listener for every broker, and lets each accept.
pub(super) async fn listen(mock: &Mock, address: &str) -> io::Result<Vec<SocketAddr>> {
    let first = lookup_host(address).await?.next();
    let first =
        first.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the address has no host"))?;
    let brokers: Vec<i32> = mock.cluster().brokers.iter().map(|broker| broker.id).collect();
    let mut bound = Vec::new();
    for (broker, distance) in brokers.into_iter().zip(0..) {
        let port = match first.port() {
            0 => 0,
            port => port.checked_add(distance).ok_or(io::ErrorKind::InvalidInput)?,
        };
        let listener = TcpListener::bind((first.ip(), port)).await?;
        bound.push((broker, listener));
    }
    let mut addresses = Vec::new();
    let mut guard = mock.cluster();
    for (broker, listener) in bound {
        let address = listener.local_addr()?;
        addresses.push(address);
        if let Some(found) = guard.brokers.get_mut(broker) {
            // Whoever listens everywhere is found under the loopback address, at least from here.
            found.host =
                if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { address.ip().to_string() };
            found.port = address.port();
        }
        let (sender, open) = watch::channel(guard.broker_state(broker) != Some(crate::BrokerState::Down));
        guard.state.listening.insert(broker, sender);
        let task = accept_all(Arc::downgrade(&mock.owner.shared), broker, listener, address, open);
        mock.own(tokio::spawn(task).abort_handle());
    }
    Ok(addresses)
}

/// Accepts connections while the broker runs, and has the port closed while it is down.
async fn accept_all(
    shared: Weak<Shared>,
    broker: i32,
    listener: TcpListener,
    address: SocketAddr,
    mut open: watch::Receiver<bool>,
) {
    let mut listener = Some(listener);
    loop {
        let is_open = *open.borrow_and_update();
        if !is_open {
            listener = None;
            if open.changed().await.is_err() {
                return;
            }
            continue;
        }
        let Some(bound) = &listener else {
            // Another process may have taken the port meanwhile; it can only be waited for.
            match TcpListener::bind(address).await {
                Ok(bound) => listener = Some(bound),
                Err(_) => tokio::time::sleep(RETRY).await,
            }
            continue;
        };
        tokio::select! {
            changed = open.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            accepted = bound.accept() => match accepted {
                Ok((stream, peer)) => {
                    let Some(shared) = shared.upgrade() else { return };
                    // Latency matters more than full packets, and a socket that can't be told so works as well.
                    let _ = stream.set_nodelay(true);
                    // A broker that went down a moment ago drops the stream, as a dying process does.
                    let _ = shared.accept(broker, &peer.ip().to_string(), stream);
                }
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }
}
