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
    let unfit = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
    let resolved =
        lookup_host(address).await.map_err(|error| told(&error, &format!("cannot resolve {address}")))?;
    let first = resolved.into_iter().next().ok_or_else(|| unfit(format!("{address} names no address")))?;
    let mut wanted = Vec::new();
    for (broker, distance) in mock.cluster().brokers.iter().map(|broker| broker.id).zip(0..) {
        let port = match first.port() {
            0 => Some(0),
            port => port.checked_add(distance),
        };
        let none = || unfit(format!("no port is left at {} for broker {broker}", first.ip()));
        wanted.push((broker, SocketAddr::new(first.ip(), port.ok_or_else(none)?)));
    }
    let mut bound = Vec::new();
    for (broker, address) in wanted {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| told(&error, &format!("broker {broker} cannot listen on {address}")))?;
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

/// The error with what was tried.
fn told(error: &io::Error, tried: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{tried}: {error}"))
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
