//! A scripted broker over pipes in memory, for tests of this crate and of those that stand on it.
//!
//! A script is a closure that answers requests; [`ScriptedDialer`] connects a client with it and, like a broker, serves
//! the requests of one connection in order. ApiVersions is answered from this crate's own tables unless the script does.
//!
//! ```
//! # use std::sync::Arc;
//! # use std::time::Duration;
//! use ottla_client::test_support::{Answer, ScriptedDialer, metadata};
//! use ottla_client::{Client, ClientOptions};
//! use ottla_protocol::messages::metadata::MetadataRequest;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! let dialer = ScriptedDialer::new(|request| match request.decode::<MetadataRequest>() {
//!     Some(_) => request.reply::<MetadataRequest>(&metadata(&[1], &[("orders", &[1, 1])])),
//!     None => Answer::Default,
//! });
//! let client = Client::with_dialer(ClientOptions::new().bootstrap_servers("a:9092"), Arc::new(dialer.clone())).unwrap();
//! let deadline = tokio::time::Instant::now().into_std() + Duration::from_secs(5);
//! assert_eq!(client.topic("orders", deadline).await.unwrap().partitions.len(), 2);
//! # });
//! ```

#![allow(clippy::unwrap_used, reason = "a test's script fails loudly")]

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::api::{ApiKey, Request};
use ottla_protocol::header::{decode_request, encode_response};

pub use answers::{api_versions, metadata, topic_error};
pub use driver::{Dialled, ScriptedDialer};

use crate::metadata::NodeId;
use crate::runtime;

mod answers;
mod driver;

/// A request as a broker sees it.
#[derive(Debug, Clone)]
pub struct Received {
    /// The node that was dialled; `None` for a bootstrap server.
    pub node: Option<NodeId>,
    /// The host that was dialled.
    pub host: String,
    /// The port that was dialled.
    pub port: u16,
    /// Counts the connections of the dialer, from 0.
    pub connection: u64,
    /// The API.
    pub api_key: ApiKey,
    /// The version of the body.
    pub version: i16,
    /// The request's number.
    pub correlation_id: i32,
    /// The body.
    pub body: Bytes,
}

impl Received {
    /// The request, if it is one of this API.
    ///
    /// # Panics
    /// On a body that can't be decoded: no client should send one.
    pub fn decode<R: Request>(&self) -> Option<R> {
        (self.api_key == R::API.key).then(|| decode_request(&self.body, self.version).unwrap())
    }

    /// The response to this request, as an answer.
    ///
    /// # Panics
    /// On a response that the request's version can't express.
    pub fn reply<R: Request>(&self, response: &R::Response) -> Answer {
        assert_eq!(self.api_key, R::API.key, "a response of another API");
        Answer::Frame(encode_response(response, self.version, self.correlation_id).unwrap().to_bytes())
    }
}

/// What a broker does with a request.
pub enum Answer {
    /// Sends a frame; the length goes before it.
    Frame(Bytes),
    /// Sends bytes as they are.
    Raw(Bytes),
    /// Never answers, and goes on to the next request.
    Nothing,
    /// Closes the connection.
    Close,
    /// Answers later; later requests of the same connection wait.
    Later(Pin<Box<dyn Future<Output = Answer> + Send>>),
    /// As if there were no script: ApiVersions is answered, anything else closes the connection.
    Default,
}

impl Answer {
    /// The same answer after a while.
    #[must_use]
    pub fn after(self, wait: Duration) -> Answer {
        Answer::Later(Box::pin(async move {
            runtime::sleep_until(runtime::now() + wait).await;
            self
        }))
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Answer::Frame(_) => "Frame",
            Answer::Raw(_) => "Raw",
            Answer::Nothing => "Nothing",
            Answer::Close => "Close",
            Answer::Later(_) => "Later",
            Answer::Default => "Default",
        })
    }
}
