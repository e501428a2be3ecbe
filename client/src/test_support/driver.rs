//! The dialer, and the broker's side of its pipes.

#![allow(clippy::disallowed_methods, reason = "it plays the broker, with tasks of its own")]

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::APIS;
use ottla_protocol::messages::api_versions::ApiVersionsRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::{Answer, Received, api_versions};
use crate::error::{Error, ErrorKind};
use crate::metadata::NodeId;
use crate::net::{Dial, DialFuture, Stream};

/// Bytes that a pipe holds in each direction.
const PIPE: usize = 256 << 10;

/// What comes of dialling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialled {
    /// A connection.
    Accept,
    /// An error at once.
    Refuse,
    /// Nothing, ever.
    Hang,
}

/// Answers requests.
type Script = Arc<dyn Fn(&Received) -> Answer + Send + Sync>;
type Doorman = Arc<dyn Fn(Option<NodeId>, &str, u16) -> Dialled + Send + Sync>;

/// Dials scripted brokers. Clones share script and counts.
#[derive(Clone)]
pub struct ScriptedDialer(Arc<Inner>);

struct Inner {
    script: Script,
    doorman: Mutex<Doorman>,
    dials: Mutex<Vec<(Option<NodeId>, String, u16)>>,
    connections: AtomicU64,
    open: Arc<AtomicUsize>,
}

impl ScriptedDialer {
    /// All addresses lead to `script`.
    pub fn new(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        ScriptedDialer(Arc::new(Inner {
            script: Arc::new(script),
            doorman: Mutex::new(Arc::new(|_, _, _| Dialled::Accept)),
            dials: Mutex::default(),
            connections: AtomicU64::new(0),
            open: Arc::default(),
        }))
    }

    /// From now on `doorman` decides what comes of dialling.
    ///
    /// # Panics
    /// If a doorman panicked before.
    pub fn on_dial(&self, doorman: impl Fn(Option<NodeId>, &str, u16) -> Dialled + Send + Sync + 'static) {
        *self.0.doorman.lock().unwrap() = Arc::new(doorman);
    }

    /// What was dialled so far.
    ///
    /// # Panics
    /// Never, unless a test's thread panicked.
    pub fn dials(&self) -> Vec<(Option<NodeId>, String, u16)> {
        self.0.dials.lock().unwrap().clone()
    }

    /// How many connections the brokers have open.
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for ScriptedDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScriptedDialer({} open)", self.open())
    }
}

impl Dial for ScriptedDialer {
    fn dial<'a>(&'a self, node: Option<NodeId>, host: &'a str, port: u16) -> DialFuture<'a> {
        Box::pin(async move {
            self.0.dials.lock().unwrap().push((node, host.to_owned(), port));
            let doorman = Arc::clone(&self.0.doorman.lock().unwrap());
            match doorman(node, host, port) {
                Dialled::Accept => {}
                Dialled::Refuse => {
                    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
                    let error = Error::new(ErrorKind::Connect, format!("cannot connect to {host}:{port}"));
                    return Err(error.with_cause(refused));
                }
                Dialled::Hang => std::future::pending().await,
            }
            let (ours, theirs) = tokio::io::duplex(PIPE);
            let peer = Peer {
                node,
                host: host.to_owned(),
                port,
                connection: self.0.connections.fetch_add(1, Ordering::SeqCst),
                script: Arc::clone(&self.0.script),
                _open: Open::new(&self.0.open),
            };
            tokio::spawn(peer.serve(theirs));
            Ok(Box::new(ours) as Box<dyn Stream>)
        })
    }
}

/// Counts as open until dropped.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Open(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The broker's side of one connection.
struct Peer {
    node: Option<NodeId>,
    host: String,
    port: u16,
    connection: u64,
    script: Script,
    _open: Open,
}

impl Peer {
    async fn serve(self, mut stream: DuplexStream) {
        while let Some(received) = self.receive(&mut stream).await {
            let mut answer = (self.script)(&received);
            loop {
                let bytes = match answer {
                    Answer::Later(later) => {
                        answer = later.await;
                        continue;
                    }
                    Answer::Default if received.api_key == ApiKey::API_VERSIONS => {
                        answer = received.reply::<ApiVersionsRequest>(&api_versions());
                        continue;
                    }
                    Answer::Default | Answer::Close => return,
                    Answer::Nothing => break,
                    Answer::Raw(bytes) => bytes,
                    Answer::Frame(frame) => [&(frame.len() as u32).to_be_bytes()[..], &frame].concat().into(),
                };
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
                break;
            }
        }
    }

    async fn receive(&self, stream: &mut DuplexStream) -> Option<Received> {
        let len = stream.read_u32().await.ok()?;
        let mut frame = vec![0; len as usize];
        stream.read_exact(&mut frame).await.ok()?;
        let short = |at: usize| i16::from_be_bytes([frame[at], frame[at + 1]]);
        let (api_key, version) = (ApiKey(short(0)), short(2));
        let correlation_id = i32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]]);
        let known = APIS.iter().find(|known| known.api.key == api_key);
        let client_id = usize::try_from(short(8)).unwrap_or(0);
        // A flexible header ends with its (empty) tagged fields.
        let body = 10 + client_id + usize::from(known.is_some_and(|known| known.api.flexible(version)));
        Some(Received {
            node: self.node,
            host: self.host.clone(),
            port: self.port,
            connection: self.connection,
            api_key,
            version,
            correlation_id,
            body: Bytes::from(frame).slice(body..),
        })
    }
}
