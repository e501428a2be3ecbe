//! The client's connections as pipes of a cluster in memory.

use std::sync::Arc;

use ottla_client::{Client, ClientOptions, Dial, DialFuture, Error, ErrorKind, NodeId, Stream};
use ottla_mock::Mock;

/// Connects clients to a cluster in memory.
///
/// ```
/// use std::sync::Arc;
/// use ottla_client::{Client, ClientOptions};
/// use ottla_mock::{ClusterOptions, Mock};
/// use ottla_sim::Pipes;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let mock = Mock::start(ClusterOptions::new().topic("orders", 6, 1))?;
/// let options = ClientOptions::new().bootstrap_servers(mock.bootstrap_servers());
/// let client = Client::with_dialer(options, Arc::new(Pipes::to(&mock)))?;
/// # drop(client);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Pipes(Mock);

impl Pipes {
    /// Pipes to this cluster.
    pub fn to(mock: &Mock) -> Pipes {
        Pipes(mock.clone())
    }

    /// A client of the cluster by pipes.
    ///
    /// # Errors
    /// Options that no client can have.
    pub fn client(&self, options: ClientOptions) -> Result<Client, Error> {
        Client::with_dialer(options.bootstrap_servers(self.0.bootstrap_servers()), Arc::new(self.clone()))
    }
}

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
