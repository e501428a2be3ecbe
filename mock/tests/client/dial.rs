//! The client's connections as pipes of the cluster in memory.

use std::sync::Arc;

use ottla_client::{Client, ClientOptions, Dial, DialFuture, Error, ErrorKind, NodeId, Stream};
use ottla_mock::Mock;

#[derive(Debug)]
struct Pipes(Mock);

impl Dial for Pipes {
    fn dial<'a>(&'a self, _node: Option<NodeId>, host: &'a str, port: u16) -> DialFuture<'a> {
        Box::pin(async move {
            match self.0.dial(host, port) {
                Ok(pipe) => Ok(Box::new(pipe) as Box<dyn Stream>),
                Err(cause) => Err(Error::new(ErrorKind::Connect, format!("cannot connect to {host}:{port}"))
                    .with_cause(cause)),
            }
        })
    }
}

/// A client by pipes.
pub(crate) fn by_pipes(mock: &Mock) -> Client {
    by_pipes_with(mock, |options| options)
}

/// The same, with other options.
pub(crate) fn by_pipes_with(mock: &Mock, change: impl FnOnce(ClientOptions) -> ClientOptions) -> Client {
    let options = ClientOptions::new().bootstrap_servers(mock.bootstrap_servers().as_str());
    Client::with_dialer(change(options), Arc::new(Pipes(mock.clone()))).unwrap()
}

/// A client by TCP.
pub(crate) async fn by_tcp(mock: &Mock) -> Client {
    mock.listen("127.0.0.1:0").await.unwrap();
    Client::new(ClientOptions::new().bootstrap_servers(mock.bootstrap_servers().as_str())).unwrap()
}
