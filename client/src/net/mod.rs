//! Sockets: dialling, frames, the task that owns a connection, and the pool of connections.

mod connection;
mod dial;
mod frame;
mod handshake;
mod in_flight;
mod line;
mod outbox;
mod pool;
mod spares;
mod stop;
mod task;
mod tcp;
mod transport;
mod wire;

pub(crate) use connection::Address;
pub use connection::{Connection, Reply, Sent};
pub use dial::{Dial, DialFuture, Stream};
pub(crate) use pool::Pool;
pub(crate) use spares::Spares;
pub use tcp::TcpDialer;
pub(crate) use transport::Settings;

#[cfg(test)]
mod tests;
